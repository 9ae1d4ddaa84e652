//! Differences between snapshots on real filesystems, compared with zfs(8).

mod fixture;

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Instant;

use fixture::{PATIENCE, Pool, noise, open_device, run, write_synced, zfs};
use zfs_core::{
    CreateRequest, DatasetName, DiffTarget, Difference, ErrorKind, FileKind, SnapshotName,
};

/// Each difference as a line: sign, kind, path.
fn lines(pool: &Pool, from: &SnapshotName, to: impl Into<DiffTarget>) -> BTreeSet<String> {
    let diff = pool.zfs.diff(from, to).unwrap();
    diff.map(|difference| difference.unwrap().to_string().replace('\t', " "))
        .collect()
}

/// The same as zfs(8) says it, with paths from the filesystem's root.
fn zfs_diff(pool: &Pool, dataset: &DatasetName, from: &SnapshotName, to: &str) -> BTreeSet<String> {
    let root = pool.mountpoint(dataset);
    let root = root.to_str().unwrap();
    run(&["zfs", "diff", "-FHh", from.as_str(), to])
        .lines()
        .map(|line| {
            let words: Vec<String> = line
                .split('\t')
                .map(|word| match word.strip_prefix(root) {
                    Some("") => "/".to_owned(),
                    Some(path) => path.to_owned(),
                    None => word.to_owned(),
                })
                .collect();
            match words.as_slice() {
                [sign, kind, old, new] if sign == "R" => format!("{sign} {kind} {old} -> {new}"),
                words => words.join(" "),
            }
        })
        .map(|line| {
            if line.ends_with("//") {
                line[..line.len() - 1].to_owned()
            } else {
                line
            }
        })
        .collect()
}

fn set(lines: &[&str]) -> BTreeSet<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn new_removed_renamed_and_modified_files_are_told_as_zfs_tells_them() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let root = pool.mount(&a);
    write_synced(&root.join("modified"), b"1");
    write_synced(&root.join("removed"), b"2");
    write_synced(&root.join("renamed"), b"3");
    write_synced(&root.join("same"), b"4");
    fs::create_dir(root.join("folder")).unwrap();
    let x = pool.take("a@x");
    write_synced(&root.join("modified"), b"11");
    fs::remove_file(root.join("removed")).unwrap();
    fs::rename(root.join("renamed"), root.join("folder/name")).unwrap();
    write_synced(&root.join("folder/new"), b"5");
    let y = pool.take("a@y");
    let differences = lines(&pool, &x, y.clone());
    assert_eq!(
        differences,
        set(&[
            "M / /",
            "M / /folder",
            "M F /modified",
            "- F /removed",
            "R F /renamed -> /folder/name",
            "+ F /folder/new",
        ])
    );
    assert_eq!(differences, zfs_diff(&pool, &a, &x, y.as_str()));
}

#[test]
fn a_filesystem_is_compared_as_it_is_now_and_nothing_stays_behind() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let root = pool.mount(&a);
    let x = pool.take("a@x");
    write_synced(&root.join("new"), b"1");
    assert_eq!(lines(&pool, &x, a.clone()), set(&["M / /", "+ F /new"]));
    assert_eq!(
        lines(&pool, &x, a.clone()),
        zfs_diff(&pool, &a, &x, a.as_str())
    );
    let snapshots = run(&["zfs", "list", "-Hrt", "snapshot", "-o", "name", a.as_str()]);
    assert_eq!(snapshots.trim(), x.as_str());
}

#[test]
fn each_kind_of_file_is_told() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let root = pool.mount(&a);
    let x = pool.take("a@x");
    fs::create_dir(root.join("directory")).unwrap();
    write_synced(&root.join("file"), b"1");
    symlink("file", root.join("link")).unwrap();
    let socket = UnixListener::bind(root.join("socket")).unwrap();
    run(&["mkfifo", root.join("pipe").to_str().unwrap()]);
    run(&["mknod", root.join("null").to_str().unwrap(), "c", "1", "3"]);
    run(&["mknod", root.join("loop").to_str().unwrap(), "b", "7", "0"]);
    assert!(
        fs::metadata(root.join("pipe"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    drop(socket);
    let y = pool.take("a@y");
    let differences = lines(&pool, &x, y.clone());
    assert_eq!(
        differences,
        set(&[
            "M / /",
            "+ / /directory",
            "+ F /file",
            "+ @ /link",
            "+ = /socket",
            "+ | /pipe",
            "+ C /null",
            "+ B /loop",
        ])
    );
    assert_eq!(differences, zfs_diff(&pool, &a, &x, y.as_str()));
}

#[test]
fn hard_links_are_counted() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let root = pool.mount(&a);
    write_synced(&root.join("file"), b"1");
    let x = pool.take("a@x");
    fs::hard_link(root.join("file"), root.join("other")).unwrap();
    let y = pool.take("a@y");
    let links = |from: &SnapshotName, to: &SnapshotName| {
        let diff = pool.zfs.diff(from, to.clone()).unwrap();
        let changed: Vec<(u64, u64)> = diff
            .filter_map(|difference| match difference.unwrap() {
                Difference::LinksChanged { before, after } => Some((before.links, after.links)),
                _ => None,
            })
            .collect();
        changed
    };
    assert_eq!(links(&x, &y), [(1, 2)]);
    fs::remove_file(root.join("other")).unwrap();
    let z = pool.take("a@z");
    assert_eq!(links(&y, &z), [(2, 1)]);
}

#[test]
fn a_change_of_mode_alone_is_a_modification() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let root = pool.mount(&a);
    write_synced(&root.join("file"), b"1");
    let x = pool.take("a@x");
    fs::set_permissions(root.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
    let y = pool.take("a@y");
    let differences: Vec<Difference> = pool
        .zfs
        .diff(&x, y)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let [Difference::Modified { before, after }] = differences.as_slice() else {
        panic!("{differences:?}");
    };
    assert_eq!((before.mode & 0o777, after.mode & 0o777), (0o644, 0o600));
    assert_eq!(after.kind, FileKind::File);
    assert_eq!(after.path.as_deref(), Some(Path::new("/file")));
    assert!(after.ctime > before.ctime);
}

#[test]
fn hundreds_of_files_are_all_told() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let root = pool.mount(&a);
    for number in 0..300 {
        fs::write(root.join(format!("old{number}")), b"1").unwrap();
    }
    let x = pool.take("a@x");
    for number in 0..300 {
        fs::remove_file(root.join(format!("old{number}"))).unwrap();
        fs::write(root.join(format!("new{number}")), b"2").unwrap();
    }
    let y = pool.take("a@y");
    let differences = lines(&pool, &x, y.clone());
    assert_eq!(differences.len(), 601);
    assert_eq!(differences, zfs_diff(&pool, &a, &x, y.as_str()));
}

#[test]
fn snapshots_without_a_difference_have_none() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.write(&a, "file", b"1");
    let (x, y) = (pool.take("a@x"), pool.take("a@y"));
    assert_eq!(lines(&pool, &x, y.clone()), set(&[]));
    let mut diff = pool.zfs.diff(&x, y).unwrap();
    assert!(diff.next().is_none() && diff.next().is_none());
}

#[test]
fn a_clone_is_compared_with_what_it_was_made_from() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.write(&a, "file", b"1");
    let x = pool.take("a@x");
    let clone = pool.dataset("clone");
    pool.zfs
        .clone_snapshot(&x, &clone, &zfs_core::Properties::new())
        .unwrap();
    pool.write(&clone, "more", b"2");
    let y = pool.take("clone@y");
    assert_eq!(lines(&pool, &x, y), set(&["M / /", "+ F /more"]));
    assert_eq!(lines(&pool, &x, clone), set(&["M / /", "+ F /more"]));
}

#[test]
fn a_number_that_was_given_to_a_new_file_is_two_files() {
    use std::os::unix::fs::MetadataExt;
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let numbers = |prefix: &str| -> BTreeSet<u64> {
        let root = pool.mount(&a);
        for number in 0..20 {
            write_synced(&root.join(format!("{prefix}{number}")), b"1");
        }
        let files = (0..20).map(|number| root.join(format!("{prefix}{number}")));
        files
            .map(|file| fs::metadata(file).unwrap().ino())
            .collect()
    };
    let old = numbers("old");
    let x = pool.take("a@x");
    for number in 0..20 {
        fs::remove_file(pool.mountpoint(&a).join(format!("old{number}"))).unwrap();
    }
    run(&["zpool", "sync", pool.name().as_str()]);
    // Opened anew it looks for free numbers from the first.
    pool.unmount(&a);
    let new = numbers("new");
    assert_ne!(old.intersection(&new).count(), 0, "{old:?} {new:?}");
    let y = pool.take("a@y");
    let differences = lines(&pool, &x, y.clone());
    let signs = |sign| {
        differences
            .iter()
            .filter(move |line| line.starts_with(sign))
    };
    assert_eq!(signs("- F /old").count(), 20, "{differences:?}");
    assert_eq!(signs("+ F /new").count(), 20, "{differences:?}");
    assert_eq!(differences, zfs_diff(&pool, &a, &x, y.as_str()));
}

#[test]
fn what_cannot_be_compared_is_told() {
    let pool = Pool::new();
    let (a, b) = (pool.filesystem("a"), pool.filesystem("b"));
    pool.write(&a, "file", b"1");
    let (x, y) = (pool.take("a@x"), pool.take("a@y"));
    let of_b = pool.take("b@y");
    let error = |from: &SnapshotName, to: DiffTarget| {
        let mut diff = pool.zfs.diff(from, to)?;
        let error = diff.next().unwrap().unwrap_err();
        assert!(diff.next().is_none(), "an error is the end");
        Err::<(), _>(error)
    };
    // The wrong way round, and without a common history.
    for (from, to) in [(&y, &x), (&x, &of_b), (&x, &x)] {
        let error = error(from, to.clone().into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unrelated, "{from} {to}: {error}");
    }
    let missing = pool.snapshot("a@missing");
    for (from, to) in [(&missing, &y), (&x, &missing)] {
        assert!(error(from, to.clone().into()).unwrap_err().is_not_found());
    }
    let gone = pool.dataset("gone");
    assert!(error(&x, gone.into()).unwrap_err().is_not_found());
    assert_eq!(lines(&pool, &pool.take("b@z"), b), set(&[]));
}

#[test]
fn a_volume_has_no_files() {
    let pool = Pool::new();
    let volume = pool.dataset("volume");
    pool.zfs
        .create(&CreateRequest::volume(volume.clone(), 1 << 20))
        .unwrap();
    let x = pool.take("volume@x");
    let mut device = open_device(OpenOptions::new().write(true), &volume);
    device.write_all(&noise(1, 256 << 10)).unwrap();
    device.sync_all().unwrap();
    drop(device);
    run(&["zpool", "sync", pool.name().as_str()]);
    let y = pool.take("volume@y");
    let differences: Result<Vec<_>, _> = pool.zfs.diff(&x, y).unwrap().collect();
    match differences {
        Ok(none) => assert!(none.is_empty(), "{none:?}"),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{error}"),
    }
}

#[test]
fn one_that_is_given_up_leaves_nothing_behind() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let root = pool.mount(&a);
    let x = pool.take("a@x");
    for number in 0..100 {
        fs::write(root.join(format!("new{number}")), noise(number, 10)).unwrap();
    }
    let mut diff = pool.zfs.diff(&x, a.clone()).unwrap();
    assert!(pool.zfs.exists(diff.to()).unwrap());
    diff.next().unwrap().unwrap();
    let now = diff.to().clone();
    drop(diff);
    // It goes with the last copy of a descriptor, and a child that another
    // test starts has one until it is the program that it is to be.
    let dropped = Instant::now();
    while pool.zfs.exists(&now).unwrap() {
        assert!(dropped.elapsed() < PATIENCE, "{now} stays");
    }
}

#[test]
fn names_that_are_no_text_come_whole() {
    use std::os::unix::ffi::OsStrExt;
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let root = pool.mount(&a);
    let x = pool.take("a@x");
    let odd = std::ffi::OsStr::from_bytes(b"a\xff \\\nb");
    fs::write(root.join(odd), b"1").unwrap();
    let y = pool.take("a@y");
    let diff = pool.zfs.diff(&x, y).unwrap();
    let added: Vec<_> = diff
        .filter_map(|difference| match difference.unwrap() {
            Difference::Added(file) => file.path,
            _ => None,
        })
        .collect();
    assert_eq!(added, [Path::new("/").join(odd)]);
}

#[test]
fn an_ordinary_user_needs_the_permission() {
    if let Some(name) = fixture::argument_as_user() {
        let dataset: DatasetName = name.parse().unwrap();
        let x = dataset.with_snapshot("x").unwrap();
        let y = dataset.with_snapshot("y").unwrap();
        match zfs().diff(&x, y).unwrap().next() {
            Some(Err(error)) => {
                assert!(error.is_permission(), "{error}");
                assert!(error.to_string().contains("zfs allow USER diff"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        return;
    }
    let pool = Pool::new();
    let a = pool.filesystem("a");
    pool.take("a@x");
    pool.write(&a, "file", b"1");
    pool.take("a@y");
    fixture::again_as_user(&pool, "an_ordinary_user_needs_the_permission", a.as_str());
}
