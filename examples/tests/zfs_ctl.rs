//! zfs-ctl against zfs(8): the same commands on two fresh pools, and then the
//! same state of both.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

fn binary() -> PathBuf {
    let folder = std::env::var_os("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    PathBuf::from(folder).join("zfs-ctl")
}

/// A pool on a file, mounted below a folder of its own.
struct Pool {
    name: String,
    folder: tempfile::TempDir,
}

impl Pool {
    fn new() -> Pool {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().expect("a folder");
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ctl{}x{count:03}", std::process::id());
        let disk = folder.path().join("disk");
        File::create(&disk)
            .and_then(|file| file.set_len(128 << 20))
            .expect("a disk");
        let status = Command::new("zpool")
            .args(["create", "-f", "-o", "cachefile=none", "-m"])
            .arg(folder.path().join("mnt"))
            .arg(&name)
            .arg(&disk)
            .status();
        assert!(status.expect("zpool").success());
        Pool { name, folder }
    }

    /// `POOL` and `DIR` in a word are this pool's.
    fn filled(&self, word: &str) -> String {
        word.replace("POOL", &self.name)
            .replace("DIR", self.folder.path().to_str().expect("text"))
    }

    /// And back, so that the output for two pools can be compared.
    fn general(&self, text: &str) -> String {
        text.replace(self.folder.path().to_str().expect("text"), "DIR")
            .replace(&self.name, "POOL")
    }

    fn run(&self, program: &mut Command, line: &str) -> Output {
        let line = self.filled(line);
        let (words, input) = line.split_once(" < ").unwrap_or((&line, ""));
        let (words, output) = words.split_once(" > ").unwrap_or((words, ""));
        program.args(words.split(' '));
        program.stdin(match input {
            "" => Stdio::null(),
            file => Stdio::from(File::open(file).expect("the input")),
        });
        if !output.is_empty() {
            program.stdout(File::create(output).expect("the output"));
        }
        program.output().expect("the program")
    }

    /// Everything that is in it, and what of that is mounted where.
    fn state(&self) -> String {
        let shown = |program: &str, line: &str| {
            let output = self.run(&mut Command::new(program), line);
            self.general(&String::from_utf8_lossy(&output.stdout))
        };
        let mut state = shown(
            "zfs",
            "list -Hr -t all -o name,type,origin,mountpoint,mounted,keystatus,userrefs POOL",
        );
        // Those that differ by nature, and space, which may.
        let by_nature = [
            "creation",
            "guid",
            "createtxg",
            "objsetid",
            "used",
            "available",
            "referenced",
            "written",
            "usedby",
            "logical",
            "compressratio",
            "refcompressratio",
            "snapshots_changed",
            // GUIDs.
            "redact_snaps",
        ];
        for line in shown(
            "zfs",
            "get -Hpr -t all -o name,property,value,source all POOL",
        )
        .lines()
        {
            let property = line.split('\t').nth(1).unwrap_or_default();
            if !by_nature.iter().any(|known| property.starts_with(known)) {
                state.push_str(line);
                state.push('\n');
            }
        }
        let mounts = shown("findmnt", "-nrt zfs -o TARGET,SOURCE,OPTIONS");
        for line in mounts.lines().filter(|line| line.contains("POOL")) {
            state.push_str(line);
            state.push('\n');
        }
        state
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // The last first: one can lie over another.
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for line in mounts.lines().rev() {
            let mut fields = line.split(' ');
            if let (Some(source), Some(path)) = (fields.next(), fields.next()) {
                if source.split('/').next() == Some(&self.name) {
                    let _ = Command::new("umount").arg(path).status();
                }
            }
        }
        let _ = Command::new("zpool")
            .args(["destroy", "-f", &self.name])
            .status();
    }
}

/// Runs the lines with zfs(8) on one pool and with zfs-ctl on another, and
/// compares exit codes after each, and the state at the end.
#[track_caller]
fn same(lines: &[&str]) {
    let (theirs, ours) = (Pool::new(), Pool::new());
    for pool in [&theirs, &ours] {
        fs::write(pool.folder.path().join("raw.key"), [5; 32]).unwrap();
        fs::write(
            pool.folder.path().join("hex.key"),
            format!("{}\n", "0f".repeat(32)),
        )
        .unwrap();
        fs::write(
            pool.folder.path().join("phrase.key"),
            "correct horse battery\n",
        )
        .unwrap();
    }
    let mut differences = Vec::new();
    for line in lines {
        let one = theirs.run(&mut Command::new("zfs"), line);
        let other = ours.run(&mut Command::new(binary()), line);
        let code = |output: &Output| match output.status.code() {
            // What some of its verbs end with where the man page says 1.
            Some(255) => Some(1),
            // An error's number.
            Some(2 | 17 | 22) if line.starts_with("redact ") => Some(1),
            code => code,
        };
        if code(&one) != code(&other) {
            let told = [&one, &other].map(|output| {
                let text = String::from_utf8_lossy(&output.stderr);
                format!("{:?} {}", output.status.code(), text.trim())
            });
            differences.push(format!("{line}: zfs {}, zfs-ctl {}", told[0], told[1]));
        }
    }
    let (one, other) = (theirs.state(), ours.state());
    let lines = |state: &str| state.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (one, other) = (lines(&one), lines(&other));
    for line in one.difference(&other) {
        differences.push(format!("only zfs: {line}"));
    }
    for line in other.difference(&one) {
        differences.push(format!("only zfs-ctl: {line}"));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The output and the exit code of both for lines that only look at what these
/// have made.
#[track_caller]
fn says_the_same(pool: &Pool, before: &[&str], lines: &[&str]) {
    for line in before {
        let output = pool.run(&mut Command::new("zfs"), line);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
    }
    // What space is used settles.
    pool.run(&mut Command::new("zpool"), "sync POOL");
    let mut differences = Vec::new();
    for line in lines {
        let one = pool.run(&mut Command::new("zfs"), line);
        let other = pool.run(&mut Command::new(binary()), line);
        if one.status.success() != other.status.success() {
            let said = [&one, &other].map(|output| String::from_utf8_lossy(&output.stderr));
            differences.push(format!("{line}: zfs {:?}, zfs-ctl {:?}", said[0], said[1]));
        }
        let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
        let (one, other) = (text(&one), text(&other));
        if one == other {
            continue;
        }
        let mut theirs = one.lines();
        let mut ours = other.lines();
        loop {
            match (theirs.next(), ours.next()) {
                (None, None) => break,
                (a, b) if a == b => {}
                (a, b) => {
                    differences.push(format!("{line}:\n zfs     {a:?}\n zfs-ctl {b:?}"));
                    break;
                }
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

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
    ]);
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
        "destroy POOL/a@1",
        "destroy -d POOL/a@1",
        "release keep POOL/a@1",
        "release nothing POOL/a@1",
        "release -r all POOL/a@1",
        "snapshot POOL/a@2",
        "bookmark POOL/a@2 POOL/a#mark",
        "bookmark POOL/a@2 POOL/a#mark",
        "bookmark POOL/a#mark POOL/a#copy",
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
        "inherit compression POOL/a",
        "inherit -r readonly POOL/a",
        "inherit mountpoint POOL/a",
        "inherit quota POOL/a",
        "snapshot POOL/a@1",
        "set org.example:x=z POOL/a@1",
        "create -V 4M -b 16K POOL/v",
        "set volsize=8M POOL/v",
    ]);
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
fn sending_and_receiving() {
    same(&[
        "create POOL/a",
        "snapshot POOL/a@1",
        "snapshot POOL/a@2",
        "send POOL/a@1 > DIR/full",
        "send -i @1 POOL/a@2 > DIR/incremental",
        "receive POOL/copy < DIR/full",
        "receive POOL/copy < DIR/incremental",
        "receive POOL/copy < DIR/incremental",
        "receive -u -o compression=zstd -x atime POOL/other@named < DIR/full",
        "create POOL/into",
        "receive -d POOL/into < DIR/full",
        "receive -A POOL/copy",
        "send POOL/a@nonexistent > DIR/none",
        "receive POOL/broken < DIR/raw.key",
    ]);
}

#[test]
fn corrective_receives() {
    let lines = [
        "create POOL/a",
        "snapshot POOL/a@1",
        "snapshot POOL/a@2",
        "send POOL/a@1 > DIR/full",
        "send -i @1 POOL/a@2 > DIR/incremental",
        "receive -c POOL/a@1 < DIR/full",
        "receive -c POOL/a@2 < DIR/incremental",
        // Another snapshot's stream, one that is not there, and no stream.
        "receive -c POOL/a@1 < DIR/incremental",
        "receive -c POOL/a@3 < DIR/full",
        "receive -c POOL/a@1 < DIR/raw.key",
    ];
    let [_, kernel] = zfs_versions();
    if kernel.starts_with("zfs-kmod-2.1.") {
        let pool = Pool::new();
        for line in &lines[..4] {
            assert!(pool.run(&mut Command::new(binary()), line).status.success());
        }
        let output = pool.run(&mut Command::new(binary()), lines[5]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("2.2"), "{said}");
        return;
    }
    same(&lines);
}

/// What `zfs version` says of its programs and of the kernel.
fn zfs_versions() -> [String; 2] {
    let output = Command::new("zfs").arg("version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.try_into().expect("two lines")
}

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
fn looking_says_the_same() {
    let before = [
        "create POOL/a",
        "create POOL/a/below",
        "create -s -V 4M POOL/v",
        "snapshot POOL/a@1",
        "bookmark POOL/a@1 POOL/a#mark",
        "hold keep POOL/a@1",
        "set quota=10M POOL/a",
        "set org.example:by=me POOL/a",
        "set exec=off POOL/a",
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
    ];
    says_the_same(&Pool::new(), &before, &lines);
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

#[test]
fn redaction() {
    same(&[
        "create POOL/a",
        "create POOL/other",
        "snapshot POOL/a@1",
        "snapshot POOL/other@1",
        "clone POOL/a@1 POOL/clone",
        "snapshot POOL/clone@r",
        "redact POOL/a@1 book POOL/clone@r",
        "redact POOL/a@1 book POOL/clone@r",
        "redact POOL/a@1 second POOL/other@1",
        "redact POOL/a@1 third POOL/clone@nonexistent",
        "send --redact book POOL/a@1 > DIR/redacted",
        "receive POOL/redacted < DIR/redacted",
        "mount -f POOL/redacted",
        "send --redact nonexistent POOL/a@1 > DIR/none",
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
