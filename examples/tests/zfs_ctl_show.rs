//! zfs-ctl against zfs(8): what it shows.

mod ctl;

use std::fs;
use std::process::Command;

use ctl::{Pool, binary, says_the_same, zfs_versions};

#[test]
fn versions_are_those_of_zfs() {
    let [programs, kernel] = zfs_versions();
    let run = |arguments: &[&str]| {
        let output = Command::new(binary()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&["version"]);
    let [own, library, module] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("{text}");
    };
    assert!(own.starts_with("zfs-ctl-0."), "{text}");
    assert_eq!(module, kernel);
    let library = library.strip_prefix("libzfs_core-").expect("the library");
    // 2.4 added no function.
    let wanted = if programs.starts_with("zfs-2.4.") {
        "2.3"
    } else {
        &programs[4..7]
    };
    assert_eq!(library, wanted, "{text}");
    let json: serde_json::Value = serde_json::from_str(&run(&["--json", "version"])).unwrap();
    assert_eq!(json["kernel"], kernel["zfs-kmod-".len()..]);
    assert_eq!(json["libzfs_core"], wanted);
}

#[test]
fn keys_are_verified_in_the_same_words() {
    let pool = Pool::new();
    fs::write(pool.folder.path().join("raw.key"), [5; 32]).unwrap();
    let before = [
        "create -o encryption=on -o keyformat=raw -o keylocation=file://DIR/raw.key POOL/e",
        "create -o encryption=on -o keyformat=raw -o keylocation=file://DIR/raw.key POOL/e/own",
        "unmount POOL/e",
        "unload-key POOL/e/own",
    ];
    let lines = [
        "load-key -n POOL/e",
        "load-key -n POOL/e/own",
        "load-key -rn POOL/e",
        "load-key -rn -L file://DIR/missing.key POOL/e",
        "load-key -n -L file://DIR/missing.key POOL/e",
        "load-key -rn POOL/nonexistent",
    ];
    says_the_same(&pool, &before, &lines);
}

#[test]
fn looking_says_the_same() {
    let before = [
        "create POOL/a",
        "create POOL/a/below",
        "create -s -V 4M POOL/v",
        "snapshot POOL/a@1",
        "bookmark POOL/a@1 POOL/a#mark",
        "hold keep POOL/a@1",
        "set quota=10M POOL/a",
        "set userquota@root=10M groupquota@0=20M POOL/a",
        "set org.example:by=me POOL/a",
        "set exec=off POOL/a",
        "snapshot POOL/a@2",
        "send POOL/a@1 > DIR/plain",
        "send -p POOL/a@1 > DIR/stream",
        "receive POOL/received < DIR/stream",
        "set exec=on POOL/received",
        "umount POOL/a/below",
        "mount -o ro POOL/a/below",
    ];
    let lines = [
        "get all POOL/a",
        "get all POOL/a@1",
        "get -p all POOL/v",
        "get -r all POOL",
        "get -o all all POOL/received",
        "get -H -o name,property,received,source exec,quota POOL/received",
        "get -Hp compression,quota,mountpoint,type,readonly POOL/a",
        "get -Hp -o property,value,source -r quota,userrefs POOL/a",
        "get -H -o name -s local quota,compression POOL/a",
        "get -r -s local,inherited,temporary all POOL/a",
        "get -d 1 used,readonly POOL",
        "get -t snapshot used POOL/a",
        "get -r -t filesystem,volume type POOL",
        "get userused@root,written@1,org.example:by,nothing:here POOL/a POOL/a@1",
        "get name POOL/a",
        "get used POOL/nonexistent POOL/a",
        "get nosuch POOL/a",
        "get -s nosuch used POOL/a",
        "holds -H POOL/a@1",
        "holds POOL/a@1",
        "send --dryrun --parsable --raw POOL/a@1",
        "send -n POOL/a@1",
        "send -nv POOL/a@1",
        "send -nvP -i @1 POOL/a@2",
        "send -nP -i POOL/a#mark POOL/a@2",
        "send -nv -i @1 POOL/a@2",
        "send -nv -i 1 POOL/a@2",
        "send -nv -i #mark POOL/a@2",
        "send -nv POOL/a",
        "receive -n POOL/new < DIR/plain",
        "receive -nv POOL/new < DIR/plain",
        "receive -nv -d POOL/received < DIR/plain",
        "get userquota@root,groupquota@0,userobjquota@root,projectused@0 POOL/a POOL/v",
        "get -Hp userquota@root,userquota@nosuchuser POOL/a",
        "create -n POOL/new",
        "create -nv POOL/new",
        "create -nv -o atime=off -o org.example:by=me POOL/new",
        "create -npv -V 4M POOL/new/below/disk",
        "create -nP -V 4M -b 8K POOL/new",
        "create -nv -s -V 2741K -o compression=off POOL/new",
        "create -nv -V 2741K POOL/new",
        "create -nv -o atime=perhaps POOL/new",
        "create -nv nosuchpool/new",
    ];
    let json = [
        "get -j all POOL/a",
        "get -jp all POOL/v",
        "get --json -r used,quota,org.example:by POOL",
        "get -j --json-int -p used,creation,guid POOL/a@1",
        "get -j -t all -d 1 type POOL/a",
        "get -j -s local all POOL/a",
        "get -j -o all exec,quota,compression POOL/received",
        "get -j used POOL/nonexistent",
    ];
    let mut lines = lines.to_vec();
    let [_, kernel] = zfs_versions();
    if !kernel.starts_with("zfs-kmod-2.1.") {
        lines.extend(json);
    }
    says_the_same(&Pool::new(), &before, &lines);
}

#[test]
fn what_is_created_is_told_as_zfs_tells_it() {
    let pools = [
        Pool::with_sectors(14, 5, &["raidz2"]),
        Pool::with_sectors(14, 5, &["raidz2"]),
    ];
    let mut told = Vec::new();
    for (pool, program) in pools.iter().zip(["zfs".into(), binary()]) {
        let said = [
            "create -v POOL/a",
            "create -vp -o atime=off POOL/b/c/d",
            "create -v -V 4M POOL/disk",
            "create -P -V 2741K POOL/other",
            "create -nv -V 4M POOL/never",
        ]
        .map(|line| {
            let output = pool.run(&mut Command::new(&program), line);
            pool.general(&String::from_utf8_lossy(&output.stdout))
        });
        told.push(said);
    }
    assert_eq!(told[0], told[1]);
    assert!(told[1][2].contains("\tvolsize=4194304\n"), "{:?}", told[1]);
    assert_eq!(told[1][0], "create POOL/a\n");
}

#[test]
fn what_is_received_is_told_as_zfs_tells_it() {
    let pool = Pool::new();
    let run = |program: &mut Command, line: &str| {
        let output = pool.run(program, line);
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    for line in [
        "create POOL/a",
        "snapshot POOL/a@1",
        "snapshot POOL/a@2",
        "send POOL/a@1 > DIR/full",
        "send -i @1 POOL/a@2 > DIR/more",
    ] {
        run(&mut Command::new("zfs"), line);
    }
    let told = [("theirs", "zfs".into()), ("ours", binary())].map(|(target, program)| {
        let lines = ["full", "more"].map(|stream| {
            let line = format!("receive -v POOL/{target} < DIR/{stream}");
            run(&mut Command::new(&program), &line)
        });
        // How long it took, and what came to the second, differs.
        let text = lines.concat().replace(target, "target");
        text.replace(|letter: char| letter.is_ascii_digit() || letter == '.', "")
            .lines()
            .map(|line| line.split(" (").next().unwrap_or_default().to_owned())
            .collect::<Vec<String>>()
    });
    assert_eq!(told[0], told[1]);
    assert_eq!(told[1].len(), 4, "{told:?}");
    assert!(told[1][3].starts_with("received "), "{told:?}");
}

#[test]
fn what_would_be_destroyed_and_freed_is_told_as_zfs_tells_it() {
    let pool = Pool::new();
    let zfs = |line: &str| assert!(pool.run(&mut Command::new("zfs"), line).status.success());
    zfs("create POOL/a");
    zfs("create POOL/a/b");
    for number in 1..=4 {
        let file = pool.folder.path().join("mnt/a/file");
        fs::write(file, vec![number; 100_000 * usize::from(number)]).unwrap();
        zfs(&format!("snapshot -r POOL/a@{number}"));
    }
    let before = [
        "create POOL/tree",
        "create POOL/tree/below",
        "snapshot -r POOL/tree@1",
        "clone POOL/tree/below@1 POOL/tree/clone",
        "create POOL/plain",
        "create POOL/plain/below",
        "snapshot -r POOL/plain@1",
    ];
    let lines = [
        "destroy -n POOL/a@1",
        "destroy -nv POOL/a@1",
        "destroy -nvp POOL/a@2",
        "destroy -np POOL/a@2%3",
        "destroy -nv POOL/a@1%3",
        "destroy -nvp POOL/a@1,3",
        "destroy -nvp POOL/a@1,4,2",
        "destroy -nv POOL/a@%",
        "destroy -rnvp POOL/a@1",
        "destroy -dnv POOL/tree/below@1",
        "destroy -nv POOL/tree/below@1",
        "destroy -nv POOL/a@nosuch",
        "destroy -nv POOL/a",
        "destroy -nv POOL/tree/clone",
        "destroy -rn POOL/plain",
        "destroy -rnv POOL/plain",
        "destroy -rnvp POOL/plain",
    ];
    says_the_same(&pool, &before, &lines);
}

#[test]
fn what_changed_is_told_as_zfs_tells_it() {
    let pool = Pool::new();
    let root = pool.folder.path().join("mnt/a");
    let zfs = |line: &str| assert!(pool.run(&mut Command::new("zfs"), line).status.success());
    zfs("create POOL/a");
    for name in ["removed", "renamed", "modified", "linked", "same"] {
        fs::write(root.join(name), name).unwrap();
    }
    zfs("snapshot POOL/a@1");
    fs::remove_file(root.join("removed")).unwrap();
    fs::rename(root.join("renamed"), root.join("other name")).unwrap();
    fs::write(root.join("modified"), "more").unwrap();
    fs::hard_link(root.join("linked"), root.join("second")).unwrap();
    fs::create_dir(root.join("folder")).unwrap();
    fs::write(root.join("folder/\\odd\tn\u{e4}me"), "x").unwrap();
    zfs("snapshot POOL/a@2");
    zfs("clone POOL/a@1 POOL/clone");
    fs::write(pool.folder.path().join("mnt/clone/more"), "x").unwrap();
    let lines = [
        "diff POOL/a@1 POOL/a@2",
        "diff -FHt POOL/a@1 POOL/a@2",
        "diff -h POOL/a@1 @2",
        "diff -F @1 POOL/a@2",
        "diff POOL/a@1",
        "diff POOL/a@1 POOL/a",
        "diff POOL/a@1 POOL/clone",
        "diff POOL/a@2",
        "diff POOL/a@2 POOL/a@1",
        "diff POOL/a@nonexistent",
        "diff POOL/a POOL/a@2",
    ];
    says_the_same(&pool, &[], &lines);
}

#[test]
fn what_is_allowed_is_shown_as_zfs_shows_it() {
    let before = [
        "create POOL/a",
        "create POOL/a/b",
        "create POOL/nothing",
        "allow -s @ops snapshot,hold POOL",
        "allow -c destroy,mount POOL/a",
        "allow -u root,daemon,12345 @ops,send POOL/a",
        "allow -lu daemon rollback POOL/a",
        "allow -d -g daemon diff POOL/a",
        "allow -e release POOL/a/b",
    ];
    let lines = [
        "allow POOL/a/b",
        "allow POOL/a",
        "allow POOL/nothing",
        "allow POOL/nonexistent",
    ];
    says_the_same(&Pool::new(), &before, &lines);
}

#[test]
fn programs_answer_the_same() {
    let pool = Pool::new();
    let write = |name: &str, text: &str| fs::write(pool.folder.path().join(name), text).unwrap();
    write(
        "all.lua",
        "args = ... ; return {1, \"two\", true, {{}, -3}, argv=args[\"argv\"]}",
    );
    write("none.lua", "local x = 1");
    write(
        "list.lua",
        "local n = {} for s in zfs.list.snapshots('POOL') do n[s] = 1 end return n",
    );
    write("wrong.lua", "return (");
    write("error.lua", "error({code=5})");
    write("forever.lua", "while true do end");
    let lines = [
        "program POOL DIR/all.lua one two",
        "program -j POOL DIR/all.lua one",
        "program -n POOL DIR/none.lua",
        "program -j POOL DIR/none.lua",
        "program -n POOL - < DIR/none.lua",
        "program POOL DIR/wrong.lua",
        "program POOL DIR/error.lua",
        "program -t 1000 POOL DIR/forever.lua",
        "program -m 1 POOL DIR/all.lua",
        "program POOL DIR/missing.lua",
        "program nosuchpool DIR/none.lua",
        "wait POOL",
        "wait -t deleteq POOL",
        "wait POOL/nonexistent",
        "wait -t nosuch POOL",
    ];
    says_the_same(&pool, &["snapshot POOL@1"], &lines);
}
