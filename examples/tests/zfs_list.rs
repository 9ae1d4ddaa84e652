//! zfs-list beside `zfs list`: the same bytes, the same errors, the same exit
//! codes. Both are asked about pools that nothing changes meanwhile.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;

/// The program under test, where `cargo xtask test` has put it.
const PROGRAM: &str = "zfs-list";

fn path() -> PathBuf {
    let folder = std::env::var_os("ZFS_TEST_BIN_DIR").expect("cargo xtask test runs this");
    PathBuf::from(folder).join(PROGRAM)
}

fn run(command: &[&str]) -> Output {
    let program = match command[0] {
        PROGRAM => path(),
        other => PathBuf::from(other),
    };
    Command::new(program)
        .args(&command[1..])
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", command[0]))
}

#[track_caller]
fn must(command: &[&str]) {
    let output = run(command);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
}

fn version() -> (u32, u32) {
    let text = fs::read_to_string("/sys/module/zfs/version").expect("the module is loaded");
    let mut numbers = text.split('.').map(|part| part.parse().expect("a number"));
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// Two pools with what a listing can meet. They stay for the life of this
/// program: the tests only look at them.
struct Pools {
    _folder: tempfile::TempDir,
    mount: PathBuf,
}

/// The first shows snapshots when it is asked to, the second always.
const A: &str = "zfslista";
const B: &str = "zfslistb";

fn pools() -> &'static Pools {
    static POOLS: OnceLock<Pools> = OnceLock::new();
    POOLS.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
        for (pool, more) in [
            (A, &["-O", "mountpoint=none"][..]),
            (
                B,
                &["-o", "listsnapshots=on", "-o", "altroot=/zfslist alt"][..],
            ),
        ] {
            let disk = path(pool);
            File::create(&disk)
                .and_then(|file| file.set_len(128 << 20))
                .expect("a disk");
            let _ = run(&["zpool", "destroy", "-f", pool]);
            let fixed = ["zpool", "create", "-f", "-o", "cachefile=none"];
            must(&[&fixed[..], more, &[pool, &disk]].concat());
        }
        let mount = folder.path().join("a");
        let mountpoint = format!("mountpoint={}", mount.display());
        let name = |rest: &str| format!("{A}/{rest}");
        let create = |options: &[&str], rest: &str| {
            must(&[&["zfs", "create"], options, &[&name(rest)]].concat());
        };
        create(&["-o", &mountpoint, "-o", "org.example:owner=ann"], "a");
        create(&[], "a/b");
        create(
            &[
                "-o",
                "quota=20M",
                "-o",
                "recordsize=16K",
                "-o",
                "b:x=ü \"quoted\" \\ back",
                "-o",
                "compression=zstd-fast-10",
                "-o",
                "readonly=on",
            ],
            "a/b/c",
        );
        create(&["-o", "canmount=off", "-o", "b:number=042"], "a-b");
        create(&[], "a b");
        create(&["-o", "mountpoint=legacy", "-o", "snapdir=visible"], "a.b");
        create(&["-s", "-V", "16M", "-o", "snapdev=visible"], "vol");
        fs::write(mount.join("file"), vec![7; 1_300_000]).expect("to write");
        must(&["zpool", "sync", A]);
        for snapshot in ["a@s1", "a@s10"] {
            must(&["zfs", "snapshot", &name(snapshot)]);
        }
        must(&["zfs", "snapshot", "-o", "c:snap=1", &name("a@s2")]);
        must(&["zfs", "snapshot", &name("vol@v")]);
        must(&["zfs", "snapshot", &name("a b@with:odd_-.name")]);
        must(&["zfs", "hold", "tag", &name("a@s1")]);
        for mark in ["m2", "m1"] {
            must(&[
                "zfs",
                "bookmark",
                &name("a@s1"),
                &name(&format!("a#{mark}")),
            ]);
        }
        must(&["zfs", "clone", &name("a@s2"), &name("clone")]);
        must(&["zfs", "clone", &name("vol@v"), &name("volclone")]);
        let key = path("key");
        fs::write(&key, [7; 32]).expect("a key");
        let location = format!("keylocation=file://{key}");
        create(
            &[
                "-o",
                "encryption=on",
                "-o",
                "keyformat=raw",
                "-o",
                &location,
            ],
            "enc",
        );
        create(&["-o", "canmount=off"], "enc/sub");
        must(&["zfs", "snapshot", &name("enc@e")]);
        must(&["zfs", "create", &format!("{B}/there")]);
        must(&["zfs", "snapshot", "-r", &format!("{B}@all")]);
        // A mount option stands against a property for the time being.
        must(&[
            "mount",
            "-o",
            "remount,noatime",
            mount.to_str().expect("text"),
        ]);
        for pool in [A, B] {
            must(&["zpool", "sync", pool]);
        }
        Pools {
            _folder: folder,
            mount,
        }
    })
}

/// Both with the same arguments. What the pools use for themselves can change
/// between two looks: then both look again.
fn both(arguments: &[&str]) -> (Output, Output) {
    let zfs = || run(&[&["zfs", "list"], arguments].concat());
    let mut theirs = zfs();
    for _ in 0..8 {
        let ours = run(&[&[PROGRAM], arguments].concat());
        let after = zfs();
        if theirs.stdout == after.stdout {
            return (ours, theirs);
        }
        theirs = after;
    }
    panic!("{arguments:?}: the pools do not come to rest");
}

/// What is not the same, in short.
fn difference(arguments: &[&str]) -> Result<String, String> {
    pools();
    let (ours, theirs) = both(arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut told = Vec::new();
    for (what, ours, theirs) in [
        ("stdout", &ours.stdout, &theirs.stdout),
        ("stderr", &ours.stderr, &theirs.stderr),
    ] {
        let (ours, theirs) = (text(ours), text(theirs));
        let lines = ours.lines().zip(theirs.lines());
        if let Some((a, b)) = lines.clone().find(|(a, b)| a != b) {
            told.push(format!("{what}: ours {a:?}\n  theirs {b:?}"));
        } else if ours != theirs {
            told.push(format!("{what}: ours {ours:?}\n  theirs {theirs:?}"));
        }
    }
    let (code, other) = (ours.status.code(), theirs.status.code());
    if code != other {
        told.push(format!("exit code: ours {code:?}, theirs {other:?}"));
    }
    if told.is_empty() {
        Ok(text(&ours.stdout))
    } else {
        Err(format!("{arguments:?}: {}", told.join("\n  ")))
    }
}

#[track_caller]
fn same(arguments: &[&str]) -> String {
    difference(arguments).unwrap_or_else(|text| panic!("{text}"))
}

/// All of them, and what is not the same told of all at once.
#[track_caller]
fn all_same<'a>(all: impl IntoIterator<Item = Vec<&'a str>>) {
    let told: Vec<String> = all
        .into_iter()
        .filter_map(|arguments| difference(&arguments).err())
        .collect();
    assert!(told.is_empty(), "{}", told.join("\n"));
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[test]
fn every_form_and_kind_is_that_of_zfs_list() {
    let lines = [
        "",
        "-H",
        "-p",
        "-Hp",
        "-t all",
        "-t snapshot",
        "-Hp -t snapshot",
        "-t bookmark",
        "-t volume,bookmark",
        "-t filesystem,snap",
        "-o space",
        "-o space -t all",
        "-o name,space -r zfslista/a",
        "zfslista",
        "-r zfslista",
        "-r zfslistb",
        "-d 1 zfslista",
        "-d0 zfslista",
        "-d 1 -t all zfslista/a",
        "-d 2 -t snapshot zfslista",
        "-t snapshot zfslista/a",
        "-t bookmark zfslista/a",
        "-t snapshot,bookmark zfslista/a",
        "-t all zfslista/a",
        "-rt volume zfslista",
        "zfslista/vol zfslista/a",
        "zfslista/a zfslista/a",
        "-r zfslista/a/b zfslista/a",
        "zfslista/a@s10 zfslista/a@s1",
        "zfslista/a zfslista/a@s10 zfslistb@all zfslistb",
        "-t all zfslista/a#m1 zfslista/a@s2",
        "-t bookmark zfslista/a#m1",
        "-r -t snapshot zfslista/vol",
    ];
    all_same(lines.into_iter().map(words));
}

#[test]
fn every_column_is_that_of_zfs_list() {
    let mut all: Vec<Vec<&str>> = [
        "-o all -t all -r zfslista/a/b",
        "-Ho all -t all -r zfslista/a",
        "-Hpo all -t all -r zfslista/enc",
        "-po all -t all -r zfslista/vol zfslista/volclone",
        "-Ho all -t all -r zfslistb",
        "-o all -t bookmark",
    ]
    .map(words)
    .into();
    for columns in [
        "name,avail,refer,lused,lrefer,ratio,refratio,rdonly,compress,recsize,volblock,reserv",
        "name,type,origin,clones,userrefs,defer_destroy,creation",
        "name,org.example:owner,c:snap,b:x,b:number",
        "org.example:owner,name",
        "name,mounted,atime,exec,readonly,mountpoint,canmount",
        "name,version,utf8only,casesensitivity,normalization",
        "name,encryption,encryptionroot,keystatus,keyformat,keylocation,pbkdf2iters",
        "name,quota,refquota,filesystem_limit,snapshot_limit,filesystem_count,snapshot_count",
        "name,written,written@s1,written#m1,userused@root,groupused@0,userquota@root,userobjused@0",
        "name,guid,createtxg,objsetid",
        "guid",
        "used,name",
    ] {
        for form in ["-o", "-po", "-Ho", "-Hpo"] {
            all.push(vec![form, columns, "-t", "all"]);
        }
    }
    if version() >= (2, 2) {
        all.push(words("-o name,snapshots_changed"));
        all.push(words("-Hpo name,snapshots_changed -t all"));
    }
    all_same(all);
}

#[test]
fn every_order_is_that_of_zfs_list() {
    let mut all = Vec::new();
    for (sort, columns) in [
        ("-s used", "name,used"),
        ("-S used", "name,used"),
        ("-s type -s name", "name,type"),
        ("-S type -S name", "name,type"),
        ("-s origin", "name,origin"),
        ("-S origin", "name,origin"),
        ("-s org.example:owner", "name"),
        ("-S org.example:owner", "name"),
        ("-s name", "name"),
        ("-S name", "name,used"),
        ("-s createtxg", "name,createtxg"),
        ("-S createtxg", "name"),
        ("-s creation -S guid", "name"),
        ("-s compression", "name,compression"),
        ("-s mounted", "name,mounted"),
        ("-s quota -S avail", "name"),
        ("-s compressratio", "name"),
        ("-s userrefs", "name"),
        ("-s mountpoint", "name"),
    ] {
        for types in ["filesystem", "snapshot", "all"] {
            let mut arguments = words(sort);
            arguments.extend(["-Ho", columns, "-t", types]);
            all.push(arguments);
        }
    }
    all_same(all);
}

#[test]
fn what_cannot_be_opened_is_said_in_the_same_words() {
    let long = format!("{A}/{}", "x".repeat(300));
    let lines = [
        "zfslista/nope",
        "nopool",
        "nopool/x@y",
        "zfslista/a@nope",
        "zfslista/nope@x",
        "zfslista/a#m1",
        "-t bookmark zfslista/a#nope",
        "-t bookmark zfslista/nope#x",
        "-t snapshot zfslista/a zfslista/nope zfslista/vol",
        "-H zfslista/nope zfslista/a",
        "-t volume zfslista/a",
        "-t filesystem zfslista/vol",
        "-t filesystem zfslista/a@s1",
        "zfslista/",
        "zfslista//a",
        "zfslista/a%b",
        "zfslista/a$b",
        "zfslista/a@b@c",
        "1pool",
        "mirror",
        "zfslista/..",
        "zfslista/./a",
        "/there/is/none",
        "/proc",
        "-r zfslista/a@nope",
        &long,
    ];
    all_same(lines.into_iter().map(words).chain([vec![""]]));
}

#[test]
fn a_path_is_the_filesystem_that_it_is_in() {
    let mount = pools().mount.to_str().unwrap();
    assert!(same(&["-Ho", "name", mount]).starts_with("zfslista/a\n"));
    let file = format!("{mount}/file");
    same(&["-Ho", "name", &file]);
    same(&["-rHo", "name", "-t", "all", mount]);
}

#[test]
fn json_is_that_of_zfs_list() {
    pools();
    if version() < (2, 3) {
        // zfs list has none there; ours has the same shape.
        let ours = run(&[PROGRAM, "-j", "-o", "name,used", "zfslista/a"]);
        let value: serde_json::Value = serde_json::from_slice(&ours.stdout).expect("JSON");
        assert_eq!(value["datasets"]["zfslista/a"]["pool"], A);
        return;
    }
    let lines = [
        "-j",
        "-jp",
        "-j --json-int",
        "-j -t all",
        "-j -H -t snapshot",
        "-j -o name,used,quota,compressratio,creation,mountpoint,type,guid -t all",
        "-jp --json-int -o name,used,quota,compressratio,guid,creation,written -t all",
        "-j --json-int -o name,org.example:owner,b:x,b:number,atime,readonly -t all",
        "-j -o all -r zfslista/a/b",
        "-j -o all -t all -r zfslista/enc",
        "-j -o name,quota,written@s1,userused@root,volsize -t all",
        "-j -s used",
        "-j zfslista/nope",
        "-j zfslista/nope zfslista/a",
        "-j zfslista/a@s1 zfslista/vol",
    ];
    all_same(lines.into_iter().map(words));
}

#[test]
fn wrong_usage_begins_with_the_same_line_and_ends_with_the_same_code() {
    pools();
    let first = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    };
    let mut lines = vec![
        vec!["-x"],
        vec!["-o"],
        vec!["-o", "bogus"],
        vec!["-o", ""],
        vec!["-o", "name,,used"],
        vec!["-o", "name,MOUNTED"],
        vec!["-s", "bogus"],
        vec!["-S", "userused@root"],
        vec!["-t", "bogus"],
        vec!["-t", "snapshot,bogus"],
        vec!["-d", "x"],
        vec!["-d", "-1"],
    ];
    if version() >= (2, 3) {
        lines.push(vec!["--json-int"]);
    }
    for arguments in lines {
        let (ours, theirs) = both(&arguments);
        if arguments == ["-o", "name,,used"] && version() < (2, 2) {
            // There it is called empty; both refuse it.
            assert_eq!(ours.status.code(), theirs.status.code());
            continue;
        }
        assert_eq!(first(&ours), first(&theirs), "{arguments:?}");
        assert_eq!(ours.status.code(), Some(2), "{arguments:?}");
        assert_eq!(theirs.status.code(), Some(2), "{arguments:?}");
        assert!(ours.stdout.is_empty());
    }
}

#[test]
fn what_zfs_list_has_not_is_a_part_of_what_it_has() {
    pools();
    let lines = |arguments: &[&str]| -> Vec<String> {
        let output = run(&[&[PROGRAM, "-Hpo", "name,guid,createtxg"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(str::to_owned).collect()
    };
    let all = lines(&["-t", "all", "-r", A]);
    let mut unsorted = lines(&["-t", "all", "-r", A, "--unsorted"]);
    assert_eq!(unsorted.len(), all.len());
    unsorted.sort();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(unsorted, sorted);

    let members = lines(&["-t", "snapshot", "-r", A, "--members", "s1*"]);
    assert_eq!(members.len(), 2);
    let datasets = lines(&["-r", A, "--datasets", "zfslista/a/**"]);
    assert_eq!(datasets.len(), 2);
    let txg = members[1].split('\t').nth(2).unwrap();
    let range = lines(&[
        "-t",
        "snapshot",
        "-r",
        A,
        "--min-txg",
        txg,
        "--max-txg",
        txg,
    ]);
    assert_eq!(range, members[1..]);
    for threads in ["1", "2", "5"] {
        assert_eq!(lines(&["-t", "all", "-r", A, "--threads", threads]), all);
    }
    let table = run(&[PROGRAM, "--unsorted", "-o", "name,used", "-t", "all"]);
    assert!(table.stdout.starts_with(b"NAME"));

    let help = run(&[PROGRAM, "--help"]);
    assert!(String::from_utf8_lossy(&help.stdout).contains("Examples:"));
    assert!(run(&[PROGRAM, "--version"]).status.success());
}

#[test]
fn a_cache_changes_no_byte() {
    pools();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("cache");
    let folder = folder.to_str().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(2100));
    for columns in [
        "name",
        "name,guid,createtxg",
        "name,guid,createtxg,creation",
    ] {
        for _ in 0..2 {
            for form in ["-o", "-Hpo", "-Ho"] {
                let arguments = [form, columns, "-t", "all", "-r", A];
                let theirs = run(&[&["zfs", "list"][..], &arguments].concat());
                let cached = [&[PROGRAM, "--cache", folder][..], &arguments].concat();
                let plain = [&[PROGRAM, "--no-cache"][..], &arguments].concat();
                assert_eq!(run(&cached).stdout, theirs.stdout, "{columns}");
                assert_eq!(run(&plain).stdout, theirs.stdout, "{columns}");
            }
        }
    }
    let kept = fs::read_dir(folder).map_or(0, Iterator::count);
    assert_eq!(kept, 1);
    // Hostile content costs time alone.
    for file in fs::read_dir(folder).into_iter().flatten() {
        fs::write(file.unwrap().path(), b"zfs-list\x01\0\0\0nonsense").unwrap();
    }
    let theirs = run(&["zfs", "list", "-Ho", "name", "-t", "all"]);
    let ours = run(&[PROGRAM, "--cache", folder, "-Ho", "name", "-t", "all"]);
    assert_eq!(ours.stdout, theirs.stdout);
}

#[test]
fn an_ordinary_user_sees_the_same() {
    pools();
    let nobody = |program: &str| {
        run(&[
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "sh",
            "-c",
            &format!("cd /; {program} -Ho name,used,mounted,keystatus -t all -r {A}"),
        ])
    };
    // The program's folder may be root's alone.
    let copy = "/tmp/zfs-list-for-everybody";
    // By another process: what is open for writing in this one may be so in a
    // child that another test starts, and could not be run.
    must(&["cp", path().to_str().unwrap(), copy]);
    let (ours, theirs) = (nobody(copy), nobody("zfs list"));
    fs::remove_file(copy).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(text(&ours.stdout), text(&theirs.stdout));
    assert!(ours.status.success(), "{}", text(&ours.stderr));
}
