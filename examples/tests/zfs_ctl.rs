//! zfs-ctl against zfs(8): what it changes.

mod ctl;

use std::fs;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use ctl::{Pool, binary, same, same_on, zfs_versions};

#[test]
fn create_and_destroy() {
    same(&[
        "create POOL/a",
        "create -p POOL/x/y/z",
        "create -p POOL/x/y/z",
        "create -u POOL/unmounted",
        "create -o compression=zstd -o canmount=noauto -o org.example:a=b POOL/b",
        "create -o mountpoint=DIR/elsewhere POOL/c",
        "create -V 4M -b 16K POOL/v",
        "create -s -V 4M POOL/sparse",
        "create -n POOL/never",
        "create POOL/a",
        "create POOL/no/parent",
        "destroy POOL/x",
        "destroy -n -r POOL/x",
        "destroy -r POOL/x",
        "destroy POOL/c",
        "destroy POOL/nonexistent",
        "destroy -d POOL/a",
        "destroy -rd POOL/v",
    ]);
}

#[test]
fn destroying_a_pool_destroys_what_is_in_it_and_leaves_its_root() {
    let pool = Pool::new();
    let ours = |line: &str| pool.run(&mut Command::new(binary()), line);
    assert!(ours("create POOL/a").status.success());
    let dry = ours("destroy -rnv POOL");
    let told = String::from_utf8_lossy(&dry.stdout);
    assert_eq!(pool.general(&told), "would destroy POOL/a\n");
    same(&[
        "destroy POOL",
        "create POOL/a",
        "destroy POOL",
        "snapshot -r POOL@1",
        "destroy -r POOL",
    ]);
}

#[test]
fn a_volume_on_raidz_reserves_what_it_takes_there() {
    // Sizes that need no rounding, for which libzfs has had several ways.
    let lines = [
        "create -V 2736K -b 16K POOL/v",
        "create -V 228K -b 4K -o copies=2 POOL/small",
        "set volsize=5472K POOL/v",
        "set volsize=456K POOL/small",
    ];
    same_on([Pool::raidz(), Pool::raidz()], &lines);
}

#[test]
fn what_is_shared_keeps_its_snapshots_where_it_is_not_destroyed() {
    let pool = Pool::new();
    for line in [
        "create POOL/a",
        "create -u -o sharenfs=on POOL/a/b",
        "snapshot -r POOL/a@1",
        "clone POOL/a@1 POOL/clone",
        "mount POOL/a/b",
    ] {
        let output = pool.run(&mut Command::new(binary()), line);
        assert!(output.status.success(), "{line}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            said.contains("zfs share"),
            line == "mount POOL/a/b",
            "{said}"
        );
    }
    let was = pool.state();
    for line in [
        "destroy -r POOL/a/b",
        "destroy -R POOL/a",
        "destroy -f -r POOL/a/b",
        "unmount POOL/a/b",
    ] {
        let output = pool.run(&mut Command::new(binary()), line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("file servers"), "{line}: {said}");
    }
    assert_eq!(pool.state(), was);
}

#[test]
fn a_volume_has_the_blocks_and_the_reservation_that_zfs_gives_it() {
    let lines = [
        "create -V 1m POOL/v",
        "create -V 2736K POOL/odd",
        "create -s -V 4M POOL/sparse",
        "create -V 2736K -b 8K POOL/small",
        "set volsize=5472K POOL/small",
        "set refreservation=auto POOL/sparse",
    ];
    // Sectors of 16 KiB: the default block size would waste space on all but
    // the first.
    for (disks, layout) in [
        (1, &[][..]),
        (4, &["raidz"]),
        (5, &["raidz2"]),
        (5, &["draid1:3d"]),
    ] {
        let pool = || Pool::with_sectors(14, disks, layout);
        let [theirs, ours] = [pool(), pool()];
        same_on([theirs, ours], &lines);
    }
    same_on([Pool::draid(), Pool::draid()], &lines);
}

#[test]
fn quotas_of_users_groups_and_projects() {
    let each = [
        "set userquota@root=10M groupquota@daemon=20M POOL/a",
        "set userquota@1234=1.5M userobjquota@1=7 groupobjquota@1=8 POOL/a",
        "set projectquota@12=4M projectobjquota@12=5 POOL/a",
        "set userquota@nosuchuser=10M POOL/a",
        "set userquota@root=lots POOL/a",
        "set projectquota@root=1M POOL/a",
        "set userused@root=10M POOL/a",
        "set userquota@root=10M POOL/v",
        "set groupquota@daemon=none POOL/a",
        "create -o userquota@daemon=3M POOL/b",
        "create -o userquota@nosuchuser=3M POOL/c",
    ];
    let pools = [Pool::new(), Pool::new()];
    let mut shown = Vec::new();
    for (pool, program) in pools.iter().zip(["zfs".into(), binary()]) {
        let run = |line: &str| pool.run(&mut Command::new(&program), line);
        for line in ["create POOL/a", "create -s -V 4M POOL/v"] {
            assert!(run(line).status.success(), "{line}");
        }
        let codes: Vec<bool> = each.iter().map(|line| run(line).status.success()).collect();
        // zfs(8) shows both.
        let set = |line: &str| pool.run(&mut Command::new("zfs"), line).stdout;
        let listed = ["user", "group", "project"].map(|whose| {
            let line = format!("{whose}space -Hpo type,name,quota,objquota POOL/a");
            String::from_utf8_lossy(&set(&line)).into_owned()
        });
        let values = set(
            "get -Hpo value userquota@root,groupquota@daemon,userquota@1234,\
                          userobjquota@1,groupobjquota@1,projectquota@12,projectobjquota@12 POOL/a",
        );
        let created = set("get -Hpo value userquota@daemon POOL/b");
        shown.push((codes, listed, values, created));
    }
    let (codes, _, values, created) = &shown[1];
    assert_eq!(
        codes,
        &[
            true, true, true, false, false, false, false, false, true, true, false
        ]
    );
    let text = String::from_utf8_lossy(values);
    let text: Vec<&str> = text.lines().collect();
    assert_eq!(text, ["10485760", "0", "1572864", "7", "8", "4194304", "5"]);
    assert_eq!(created, b"3145728\n");
    assert_eq!(shown[0], shown[1]);
}

#[test]
fn a_reservation_is_found_out_for_volumes_alone() {
    same(&[
        "create POOL/a",
        "create -s -V 4M POOL/v",
        "set refreservation=auto POOL/a",
        "set quota=auto POOL/a",
        "set refreservation=auto volsize=8M POOL/v",
        "snapshot POOL/v@1",
        "clone -o refreservation=auto POOL/v@1 POOL/clone",
        "create -V 4M POOL/thick",
        "set refreserv=none POOL/thick",
    ]);
    // zfs(8) finds there to be no room.
    let pool = Pool::new();
    let ours = |line: &str| pool.run(&mut Command::new(binary()), line);
    for line in [
        "create -V 4M POOL/v",
        "create -s -V 4M -o refreservation=auto POOL/w",
    ] {
        let output = ours(line);
        assert!(output.status.success(), "{output:?}");
    }
    let line = "get -Hpo value refreservation POOL/v POOL/w";
    let shown = pool.run(&mut Command::new("zfs"), line).stdout;
    let shown = String::from_utf8_lossy(&shown);
    let shown: Vec<&str> = shown.lines().collect();
    assert!(shown[0] == shown[1] && shown[0] != "0", "{shown:?}");
}

#[test]
fn snapshots_and_what_depends_on_them() {
    same(&[
        "create POOL/a",
        "create POOL/a/b",
        "snapshot -r POOL/a@1",
        "snapshot -o org.example:by=test POOL/a@2 POOL/a/b@2",
        "snapshot POOL/a@3",
        "snapshot POOL/a@3",
        "clone POOL/a@1 POOL/clone",
        "clone -p -o canmount=off POOL/a/b@1 POOL/new/clone",
        "promote POOL/clone",
        "promote POOL/a/b",
        "destroy POOL/a@2%3",
        "destroy -r POOL/a@2",
        "destroy POOL/clone",
        "destroy -R POOL/clone@1",
        "destroy POOL/a/b@1",
    ]);
}

#[test]
fn rollback_goes_back() {
    same(&[
        "create POOL/a",
        "snapshot POOL/a@1",
        "snapshot POOL/a@2",
        "bookmark POOL/a@2 POOL/a#2",
        "rollback POOL/a@1",
        "rollback -r POOL/a@1",
        "rollback POOL/a@1",
        "snapshot POOL/a@3",
        "clone POOL/a@3 POOL/clone",
        "rollback -r POOL/a@1",
        "rollback -R POOL/a@1",
        "rollback POOL/a@nonexistent",
    ]);
}

#[test]
fn renames() {
    same(&[
        "create POOL/a",
        "create POOL/a/b",
        "create POOL/taken",
        "snapshot -r POOL/a@1",
        "rename POOL/a POOL/c",
        "rename POOL/c POOL/taken",
        "rename -p POOL/c POOL/deep/down/c",
        "rename -u POOL/taken POOL/other",
        "rename -r POOL/deep/down/c@1 @2",
        "rename POOL/deep/down/c@2 POOL/deep/down/c@3",
        "rename POOL/deep/down/c@3 POOL/other@3",
        "rename -f POOL/other POOL/forced",
    ]);
}

#[test]
fn holds_and_bookmarks() {
    same(&[
        "create POOL/a",
        "create POOL/a/b",
        "snapshot -r POOL/a@1",
        "hold keep POOL/a@1",
        "hold keep POOL/a@1",
        "hold -r all POOL/a@1",
        "hold -r all POOL/a@nonexistent",
        "hold more POOL/a@nonexistent POOL/a@1",
        "release -r nothing POOL/a@1",
        "release more POOL/a@nonexistent POOL/a@1",
        "destroy POOL/a@1",
        "destroy -d POOL/a@1",
        "release keep POOL/a@1",
        "release nothing POOL/a@1",
        "release -r all POOL/a@1",
        "snapshot POOL/a@2",
        "bookmark POOL/a@2 POOL/a#mark",
        "bookmark POOL/a@2 POOL/a#mark",
        "bookmark POOL/a#mark POOL/a#copy",
        "destroy -d POOL/a#mark",
        "destroy -r POOL/a#mark",
        "destroy POOL/a#mark",
        "destroy POOL/a#nonexistent",
    ]);
}

#[test]
fn properties_and_the_mounts_that_follow_them() {
    same(&[
        "create POOL/a",
        "create POOL/a/b",
        "set compression=lz4 quota=10M POOL/a",
        "set exec=off POOL/a/b",
        "set readonly=on POOL/a/b",
        "set mountpoint=DIR/new POOL/a",
        "set canmount=off POOL/a",
        "set canmount=on POOL/a",
        "mount POOL/a",
        "set compression=bogus POOL/a",
        "set used=1 POOL/a",
        "set nosuch=1 POOL/a",
        "set org.example:x=y POOL/a",
        "set org.example:z=z POOL/nonexistent POOL/a",
        "inherit exec POOL/nonexistent POOL/a/b",
        "inherit compression POOL/a",
        "inherit -r readonly POOL/a",
        "inherit mountpoint POOL/a",
        "inherit quota POOL/a",
        "snapshot POOL/a@1",
        "set org.example:x=z POOL/a@1",
        "create -V 4M -b 16K POOL/v",
        "set volsize=8M POOL/v",
        "set volsize=10000000 POOL/v",
    ]);
}

#[test]
fn nothing_is_changed_where_a_name_is_none() {
    let pool = Pool::new();
    let line = "set org.example:x=y POOL POOL@@";
    let output = pool.run(&mut Command::new(binary()), line);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(!pool.state().contains("org.example:x"));
}

#[test]
fn mounting() {
    same(&[
        "create POOL/a",
        "create POOL/a/b",
        "create -o canmount=off POOL/off",
        "create -o mountpoint=legacy POOL/legacy",
        "mount POOL/a",
        "unmount POOL/a",
        "unmount POOL/a",
        "mount POOL/off",
        "mount POOL/legacy",
        "mount -o ro POOL/a",
        "unmount DIR/mnt/a",
        "mount POOL/nonexistent",
        "mount POOL/a",
        "mount POOL/a/b",
        "unmount -f POOL/a",
    ]);
}

#[test]
fn mounting_a_tree() {
    let [_, kernel] = zfs_versions();
    if kernel.starts_with("zfs-kmod-2.1.") {
        // zfs(8) has no -R there: what ours does is looked at alone.
        let pool = Pool::new();
        for line in [
            "create POOL/a",
            "unmount POOL/a",
            "mount -R -o noexec POOL/a",
        ] {
            assert!(pool.run(&mut Command::new(binary()), line).status.success());
        }
        assert!(pool.state().contains("noexec"));
        return;
    }
    same(&[
        "create POOL/a",
        "create POOL/a/b",
        "create -o canmount=off POOL/a/off",
        "create -o canmount=noauto POOL/a/noauto",
        "unmount POOL/a",
        "mount -R -o noexec,nosuid POOL/a",
        "mount -R POOL/a",
        "unmount POOL/a/b",
        "set overlay=off POOL/a/b",
        "mount -R POOL/a",
    ]);
}

#[test]
fn keys_are_unloaded_with_what_is_unmounted() {
    same(&[
        "create -o encryption=on -o keyformat=raw -o keylocation=file://DIR/raw.key POOL/e",
        "create -o encryption=on -o keyformat=hex -o keylocation=file://DIR/hex.key POOL/e/own",
        "create POOL/e/child",
        "create -o encryption=on -o keyformat=raw -o keylocation=file://DIR/raw.key POOL/path",
        "create -o encryption=on -o keyformat=raw -o keylocation=file://DIR/raw.key POOL/stays",
        "unmount -u POOL/e",
        "unmount -u DIR/mnt/path",
        "unmount POOL/stays",
    ]);
}

#[test]
fn a_key_that_is_missing_keeps_nothing_else_from_being_mounted() {
    let mut lines = vec![
        "create -o encryption=on -o keyformat=raw -o keylocation=file://DIR/raw.key POOL/e",
        "create -o encryption=on -o keyformat=hex -o keylocation=file://DIR/hex.key POOL/e/own",
        "create POOL/e/own/child",
        "create -o encryption=on -o keyformat=hex -o keylocation=file://DIR/hex.key POOL/e/two",
        "create -o encryption=on -o keyformat=hex -o keylocation=file://DIR/hex.key -o canmount=off POOL/e/off",
        "create -s -V 1M -o volmode=none -o encryption=on -o keyformat=hex -o keylocation=file://DIR/hex.key POOL/e/volume",
        "set keylocation=file://DIR/missing.key POOL/e/own",
        "unmount POOL/e/own",
        // The key of `e` is in use, which keeps no other loaded.
        "unload-key -r POOL/e",
        "unmount POOL/e",
        "unload-key -r POOL/e",
    ];
    let [_, kernel] = zfs_versions();
    if !kernel.starts_with("zfs-kmod-2.1.") {
        lines.push("mount -l -R POOL/e");
    }
    same(&lines);
}

#[test]
fn of_standard_input_each_key_takes_its_line() {
    let pools = [Pool::new(), Pool::new()];
    let [one, two] = ["01", "ab"].map(|digits| format!("{}\n", digits.repeat(32)));
    for pool in &pools {
        for (file, text) in [
            ("one", &one),
            ("two", &two),
            ("both", &format!("{one}{two}")),
        ] {
            fs::write(pool.folder.path().join(file), text).unwrap();
        }
    }
    let lines = [
        "create -o encryption=on -o keyformat=hex -o keylocation=prompt POOL/e < DIR/one",
        "create -o encryption=on -o keyformat=hex -o keylocation=prompt POOL/e/own < DIR/two",
        "unmount POOL/e",
        "unload-key -r POOL/e",
        "load-key -r POOL/e < DIR/one",
        "unload-key -r POOL/e",
        "load-key -r POOL/e < DIR/both",
    ];
    same_on(pools, &lines);
}

#[test]
fn keys() {
    same(&[
        "create -o encryption=on -o keyformat=raw -o keylocation=file://DIR/raw.key POOL/e",
        "create -o encryption=aes-128-gcm -o keyformat=passphrase -o pbkdf2iters=100000 -o keylocation=file://DIR/phrase.key POOL/p",
        "create -o keyformat=hex -o keylocation=file://DIR/hex.key POOL/plain",
        "create POOL/e/child",
        "load-key POOL/e",
        "unload-key POOL/e",
        "unmount POOL/e",
        "unload-key POOL/e",
        "unload-key POOL/e",
        "load-key -n POOL/e",
        "load-key POOL/e/child",
        "load-key -L file://DIR/hex.key POOL/e",
        "load-key POOL/e",
        "change-key -o keyformat=hex -o keylocation=file://DIR/hex.key POOL/e/child",
        "change-key -i POOL/e/child",
        "change-key -i POOL/e",
        "change-key -o keyformat=hex -o keylocation=file://DIR/hex.key POOL/e",
        "change-key -o keyformat=raw POOL/e",
        "unmount POOL/p",
        "unload-key POOL/p",
        "mount POOL/p",
        "mount -l POOL/p",
    ]);
}

#[test]
fn a_dry_run_tells_and_changes_nothing_and_json_is_one_object() {
    let pool = Pool::new();
    let before = pool.state();
    for line in [
        "--dry-run create POOL/a",
        "--dry-run set atime=off POOL",
        "--dry-run snapshot POOL@1",
    ] {
        let output = pool.run(&mut Command::new(binary()), line);
        assert!(output.status.success(), "{line}");
        assert!(
            String::from_utf8_lossy(&output.stdout).starts_with("would "),
            "{line}"
        );
    }
    assert_eq!(before, pool.state());
    let output = pool.run(&mut Command::new(binary()), "--json create POOL/a");
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["steps"][0]["action"], "create");
    assert_eq!(object["dry_run"], false);
    let output = pool.run(&mut Command::new(binary()), "--json create POOL/a");
    let object: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        object["error"].as_str().unwrap().contains("exists"),
        "{object}"
    );
}

#[test]
fn an_interrupted_prompt_leaves_the_terminal_as_it_was() {
    let pool = Pool::new();
    for line in [
        "create -o encryption=on -o keyformat=passphrase -o keylocation=file://DIR/key POOL/e",
        "set keylocation=prompt POOL/e",
        "unmount POOL/e",
        "unload-key POOL/e",
    ] {
        fs::write(pool.folder.path().join("key"), "correct horse\n").unwrap();
        let output = pool.run(&mut Command::new("zfs"), line);
        assert!(output.status.success(), "{line}");
    }
    let program = binary();
    let load = format!("{} load-key {}/e", program.display(), pool.name);
    let mut script = Command::new("script")
        .args([
            "-qec",
            &format!("trap : INT; {load}; echo code $?; stty -a"),
            "/dev/null",
        ])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keyboard, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut said = Vec::new();
    let mut byte = [0];
    while !said.ends_with(b"/e':") && screen.read(&mut byte).unwrap() == 1 {
        said.push(byte[0]);
    }
    keyboard.write_all(b"\x03").unwrap();
    screen.read_to_end(&mut said).unwrap();
    script.wait().unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("code 130"), "{said}");
    assert!(
        said.contains(" echo ") && !said.contains("-echo "),
        "{said}"
    );
}

#[test]
fn json_is_there_or_refused() {
    let pool = Pool::new();
    for line in [
        "--json holds POOL@1",
        "--json diff POOL@1",
        "--json allow POOL",
        "--json send -nP POOL@1",
    ] {
        let output = pool.run(&mut Command::new(binary()), line);
        assert_eq!(output.status.code(), Some(2), "{line}");
        assert!(output.stdout.is_empty(), "{line}");
    }
    for line in ["--json mount", "mount -j", "--json get used POOL"] {
        let output = pool.run(&mut Command::new(binary()), line);
        let object: serde_json::Value = serde_json::from_slice(&output.stdout).expect(line);
        assert!(
            object["datasets"][&pool.name].is_object(),
            "{line}: {object}"
        );
    }
}

#[test]
fn the_history_of_the_pool_shows_what_was_done() {
    let lines = [
        "create -o org.example:a=b POOL/a",
        "create POOL/a/b",
        "snapshot -r POOL/a@1",
        "set atime=off POOL/a",
        "hold keep POOL/a@1",
        "release keep POOL/a@1",
        "rename -r POOL/a@1 @2",
        "bookmark POOL/a@2 POOL/a#2",
        "unmount POOL/a/b",
        "mount POOL/a/b",
        "get all POOL/a",
        "create -n POOL/never",
        "create POOL/a",
        "send POOL/a@2 > DIR/stream",
        "receive POOL/received < DIR/stream",
        "create -s -V 4M POOL/v",
        "destroy -rn POOL/a",
        "destroy -r POOL/a",
    ];
    let histories = [("zfs", "zfs".into()), ("zfs-ctl", binary())].map(|(word, program)| {
        let pool = Pool::new();
        for line in lines {
            pool.run(&mut Command::new(&program), line);
        }
        let shown = pool.run(&mut Command::new("zpool"), "history POOL");
        let shown = pool.general(&String::from_utf8_lossy(&shown.stdout));
        let begins = format!(" {word} ");
        let commands = shown.lines().filter_map(|line| line.split_once(&begins));
        commands
            .map(|(_, command)| command.to_owned())
            .collect::<Vec<_>>()
    });
    assert_eq!(histories[0], histories[1]);
    assert_eq!(histories[1].len(), 11, "{:?}", histories[1]);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let pool = Pool::new();
    for line in [
        "create",
        "nosuchverb",
        "set POOL",
        "create -Z POOL/a",
        "load-key",
    ] {
        let ours = pool.run(&mut Command::new(binary()), line);
        let theirs = pool.run(&mut Command::new("zfs"), line);
        assert_eq!(ours.status.code(), Some(2), "{line}");
        assert_eq!(theirs.status.code(), Some(2), "{line}");
    }
}
