//! Mounting, unmounting, and what becomes of mounts when properties and names
//! change. `zfs mount` and /proc say what is mounted where.

mod fixture;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use fixture::{Pool, attempt, get, run};
use zfs_core::{
    CreateRequest, DatasetName, Defer, Encryption, ErrorKind, Key, KeyLocation, MountRequest,
    Mounts, Properties, UnmountFlags,
};

/// A filesystem with a mountpoint in the pool's folder, mounted by us.
fn mounted(pool: &Pool, relative: &str) -> (DatasetName, PathBuf) {
    let name = placed(pool, relative, &[]);
    let at = pool
        .zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    (name, at)
}

fn placed(pool: &Pool, relative: &str, properties: &[(&str, &str)]) -> DatasetName {
    let name = pool.dataset(relative);
    let at = pool.path().join(relative.replace('/', "_"));
    let properties: Properties = properties.iter().copied().collect();
    let request = CreateRequest::filesystem(name.clone())
        .property("mountpoint", at.to_str().unwrap())
        .properties(&properties);
    pool.zfs.create(&request).unwrap();
    name
}

/// Options of the mount, as the kernel shows them to findmnt(8).
fn options(name: &DatasetName) -> Vec<String> {
    let output = run(&["findmnt", "-nro", "VFS-OPTIONS", "-S", name.as_str()]);
    output.trim().split(',').map(str::to_owned).collect()
}

fn has(name: &DatasetName, option: &str) -> bool {
    options(name).iter().any(|other| other == option)
}

fn place(name: &DatasetName) -> Option<PathBuf> {
    let output = attempt(&["findmnt", "-nro", "TARGET", "-S", name.as_str()]);
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().next().map(PathBuf::from)
}

fn set(pool: &Pool, name: &DatasetName, property: &str, value: &str) {
    pool.zfs
        .set_properties(name, &Properties::new().with(property, value))
        .unwrap();
}

/// Writes `x` into a file. Not by this process: what it has open another test's
/// child has open as well until it is the program that it is to be, and what
/// is open can be neither run nor unmounted.
fn write(file: &Path) {
    run(&["sh", "-c", "printf x > \"$0\"", file.to_str().unwrap()]);
}

/// Makes a program, in the same way.
fn copy(program: &Path) {
    run(&["cp", "/bin/true", program.to_str().unwrap()]);
}

/// Keeps a folder busy until it is dropped.
struct Busy(std::process::Child);

impl Busy {
    fn on(folder: &Path) -> Busy {
        let child = Command::new("sleep").arg("600").current_dir(folder).spawn();
        Busy(child.expect("sleep"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.kill().expect("to kill it");
        self.0.wait().expect("its end");
    }
}

#[test]
fn a_filesystem_is_mounted_where_its_mountpoint_is_and_unmounted() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    assert_eq!(at, pool.path().join("a"));
    assert_eq!(place(&name), Some(at.clone()));
    assert_eq!(get(&name, "mounted"), "yes");
    let mounts = pool.zfs.mounted_at(&name).unwrap();
    assert_eq!(mounts.len(), 1);
    assert_eq!(mounts[0].mountpoint, at);
    assert!(mounts[0].is_whole());

    let error = pool
        .zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert!(error.to_string().contains(at.to_str().unwrap()), "{error}");

    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    assert_eq!(get(&name, "mounted"), "no");
    let error = pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap_err();
    assert!(error.to_string().contains("not mounted"), "{error}");
}

#[test]
fn a_mountpoint_with_spaces_and_backslashes_is_found() {
    let pool = Pool::new();
    let at = pool.path().join("a b\\040c");
    let name = pool.dataset("a b");
    pool.zfs
        .create(
            &CreateRequest::filesystem(name.clone()).property("mountpoint", at.to_str().unwrap()),
        )
        .unwrap();
    pool.zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    assert_eq!(pool.zfs.mounted_at(&name).unwrap()[0].mountpoint, at);
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    assert_eq!(pool.zfs.mounted_at(&name).unwrap(), []);
}

/// A bare mount(2) of a filesystem with `exec=off` runs what is in it.
#[test]
fn what_the_properties_forbid_is_forbidden() {
    let pool = Pool::new();
    let strict = [
        ("exec", "off"),
        ("setuid", "off"),
        ("devices", "off"),
        ("atime", "off"),
    ];
    let name = placed(&pool, "strict", &strict);
    let at = pool
        .zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    for option in ["noexec", "nosuid", "nodev", "noatime"] {
        assert!(has(&name, option), "{:?}", options(&name));
    }
    let program = at.join("program");
    copy(&program);
    let error = Command::new(&program).status().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);

    let (free, at) = mounted(&pool, "free");
    for option in ["noexec", "nosuid", "nodev", "noatime", "ro"] {
        assert!(!has(&free, option), "{:?}", options(&free));
    }
    let program = at.join("program");
    copy(&program);
    assert!(Command::new(&program).status().unwrap().success());
}

/// Whatever the properties are, zfs(8) mounts with the same flags.
#[test]
fn the_flags_are_those_of_zfs_8() {
    let pool = Pool::new();
    let cases: &[&[(&str, &str)]] = &[
        &[],
        &[("readonly", "on")],
        &[("relatime", "off")],
        &[("relatime", "on")],
        &[("atime", "off"), ("relatime", "on")],
        &[("exec", "off"), ("devices", "off")],
        &[("setuid", "off"), ("acltype", "posix"), ("xattr", "sa")],
    ];
    for (number, properties) in cases.iter().enumerate() {
        let name = placed(&pool, &format!("c{number}"), properties);
        let all = |name: &DatasetName| run(&["findmnt", "-nro", "OPTIONS", "-S", name.as_str()]);
        pool.zfs
            .mount(&MountRequest::filesystem(name.clone()))
            .unwrap();
        let ours = all(&name);
        pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
        run(&["zfs", "mount", name.as_str()]);
        assert_eq!(ours, all(&name), "{properties:?}");
    }
}

#[test]
fn an_option_for_one_mount_goes_before_the_property() {
    let pool = Pool::new();
    let name = placed(&pool, "a", &[]);
    let request = MountRequest::filesystem(name.clone())
        .option("ro")
        .option("noexec");
    pool.zfs.mount(&request).unwrap();
    assert!(
        has(&name, "ro") && has(&name, "noexec"),
        "{:?}",
        options(&name)
    );
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    let request = MountRequest::filesystem(name.clone()).option("norw");
    let error = pool.zfs.mount(&request).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn refusals_say_why() {
    let pool = Pool::new();
    let refused = |name: &DatasetName| {
        pool.zfs
            .mount(&MountRequest::filesystem(name.clone()))
            .unwrap_err()
            .to_string()
    };
    let name = placed(&pool, "a", &[("canmount", "off")]);
    assert!(refused(&name).contains("canmount is off"));
    set(&pool, &name, "canmount", "noauto");
    set(&pool, &name, "mountpoint", "legacy");
    assert!(refused(&name).contains("legacy"));
    set(&pool, &name, "mountpoint", "none");
    assert!(refused(&name).contains("has no mountpoint"));
    let volume = pool.dataset("v");
    pool.zfs
        .create(&CreateRequest::volume(volume.clone(), 1 << 20))
        .unwrap();
    assert!(refused(&volume).contains("volume"));
    let zoned = placed(&pool, "z", &[("zoned", "on")]);
    assert!(refused(&zoned).contains("zoned"));
    let missing = pool
        .zfs
        .mount(&MountRequest::filesystem(pool.dataset("missing")))
        .unwrap_err();
    assert!(missing.is_not_found(), "{missing}");
}

#[test]
fn what_has_no_place_can_be_mounted_on_a_folder_that_is_named() {
    let pool = Pool::new();
    for mountpoint in ["legacy", "none"] {
        let name = pool.dataset(mountpoint);
        let request = CreateRequest::filesystem(name.clone()).property("mountpoint", mountpoint);
        pool.zfs.create(&request).unwrap();
        let at = pool.path().join("elsewhere");
        pool.zfs
            .mount(&MountRequest::filesystem(name.clone()).at(&at))
            .unwrap();
        assert_eq!(place(&name), Some(at.clone()));
        let what = pool.zfs.unmount_folder(&at, UnmountFlags::empty()).unwrap();
        assert_eq!(what.as_str(), name.as_str());
        assert_eq!(place(&name), None);
    }
    let name = pool.dataset("none");
    let error = pool
        .zfs
        .mount(&MountRequest::filesystem(name).at("not/absolute"))
        .unwrap_err();
    assert!(error.to_string().contains("absolute"), "{error}");
}

#[test]
fn a_folder_with_something_in_it_is_covered_only_with_overlay() {
    let pool = Pool::new();
    let name = placed(&pool, "a", &[("overlay", "off")]);
    let at = pool.path().join("a");
    fs::create_dir(&at).unwrap();
    fs::write(at.join("file"), "x").unwrap();
    let error = pool
        .zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    pool.zfs
        .mount(&MountRequest::filesystem(name.clone()).overlay())
        .unwrap();
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    set(&pool, &name, "overlay", "on");
    pool.zfs.mount(&MountRequest::filesystem(name)).unwrap();
}

#[test]
fn an_encrypted_filesystem_is_mounted_when_its_key_is_loaded() {
    let pool = Pool::new();
    let name = pool.dataset("e");
    let at = pool.path().join("e");
    let request = CreateRequest::filesystem(name.clone())
        .property("mountpoint", at.to_str().unwrap())
        .encryption(Encryption::raw([3; 32].into()));
    pool.zfs.create(&request).unwrap();
    let child = pool.filesystem("e/child");
    pool.zfs.unload_key(&name).unwrap();
    for dataset in [&name, &child] {
        let error = pool
            .zfs
            .mount(&MountRequest::filesystem(dataset.clone()))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyUnavailable, "{error}");
        let advice = format!("zfs load-key {name}");
        assert!(error.to_string().contains(&advice), "{error}");
    }
    let all = pool.zfs.mount_all([&name]).unwrap();
    assert!(all.mounted.is_empty() && all.failures.is_empty(), "{all:?}");
    pool.zfs.load_key(&name, &Key::from([3; 32])).unwrap();
    let all = pool.zfs.mount_all([&name]).unwrap();
    assert_eq!(all.mounted.len(), 2, "{all:?}");
}

#[test]
fn a_snapshot_is_mounted_read_only_and_harmless() {
    let pool = Pool::new();
    let (_, at) = mounted(&pool, "a");
    let program = at.join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o4755)).unwrap();
    let snapshot = pool.take("a@s");
    let at = pool.path().join("snapshot");
    let request = MountRequest::snapshot(snapshot.clone(), &at);
    assert!(pool.zfs.mount(&request.clone().option("exec")).is_err());
    pool.zfs.mount(&request).unwrap();
    let mounts = pool.zfs.mounted_at(&snapshot).unwrap();
    for option in ["ro", "nosuid", "nodev", "noexec"] {
        assert!(mounts[0].has_option(option), "{mounts:?}");
    }
    assert!(fs::write(at.join("file"), "x").is_err());
    assert!(Command::new(at.join("program")).status().is_err());
    pool.zfs
        .unmount_snapshot(&snapshot, UnmountFlags::empty())
        .unwrap();
    assert_eq!(pool.zfs.mounted_at(&snapshot).unwrap(), []);

    let missing = pool.snapshot("a@missing");
    let nowhere = pool.path().join("nowhere");
    let error = pool
        .zfs
        .mount(&MountRequest::snapshot(missing, &nowhere))
        .unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(!nowhere.exists());
}

#[test]
fn everything_is_mounted_in_order_and_what_cannot_be_is_told() {
    let pool = Pool::new();
    let base = pool.path().join("tree");
    let root = pool.name().root();
    set(&pool, &root, "mountpoint", base.to_str().unwrap());
    // It was none before, and setting it has mounted the root.
    pool.zfs.unmount(&root, UnmountFlags::empty()).unwrap();
    // The folder of `b` lies in that of `z`, which comes after it by name.
    let inside = base.join("z/inside");
    pool.zfs
        .create(
            &CreateRequest::filesystem(pool.dataset("b"))
                .property("mountpoint", inside.to_str().unwrap()),
        )
        .unwrap();
    let z = pool.filesystem("z");
    let noauto = pool.filesystem("noauto");
    set(&pool, &noauto, "canmount", "noauto");
    let off = pool.filesystem("off");
    set(&pool, &off, "canmount", "off");
    let below = pool.filesystem("off/below");
    let bad = pool.filesystem("bad");
    set(&pool, &bad, "overlay", "off");
    for name in [&z, &noauto, &below, &bad] {
        assert_eq!(place(name), None);
    }
    let all = pool.zfs.mount_all([&root]).unwrap();
    assert!(all.failures.is_empty(), "{all:?}");
    let names: Vec<&str> = all
        .mounted
        .iter()
        .map(|(name, _)| name.as_str().rsplit('/').next().unwrap())
        .collect();
    assert_eq!(names, [root.as_str(), "bad", "below", "z", "b"]);
    assert_eq!(place(&pool.dataset("b")), Some(inside));

    pool.zfs.unmount(&bad, UnmountFlags::empty()).unwrap();
    fs::write(base.join("bad/file"), "x").unwrap();
    let all = pool.zfs.mount_all([&root]).unwrap();
    assert!(all.mounted.is_empty() && all.failures.len() == 1, "{all:?}");

    let failures = pool
        .zfs
        .unmount_all([&root], UnmountFlags::empty())
        .unwrap();
    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(place(&root), None);
}

#[test]
fn children_are_unmounted_first_and_come_back_where_one_is_busy() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    let deep = pool.filesystem("a/b/c");
    assert_eq!(pool.zfs.mount_all([&name]).unwrap().mounted.len(), 2);
    {
        let _busy = Busy::on(&at.join("b"));
        let error = pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.to_string().contains(child.as_str()), "{error}");
        for dataset in [&name, &child, &deep] {
            assert_eq!(get(dataset, "mounted"), "yes", "{dataset}");
        }
    }
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    for dataset in [&name, &child, &deep] {
        assert_eq!(get(dataset, "mounted"), "no", "{dataset}");
    }
}

#[test]
fn a_filesystem_that_is_covered_is_not_unmounted_by_mistake() {
    let pool = Pool::new();
    let (below, at) = mounted(&pool, "below");
    let above = pool.filesystem("above");
    pool.zfs
        .mount(&MountRequest::filesystem(above.clone()).at(&at).overlay())
        .unwrap();
    let error = pool.zfs.unmount(&below, UnmountFlags::empty()).unwrap_err();
    assert!(error.to_string().contains("mounted over"), "{error}");
    assert_eq!(get(&above, "mounted"), "yes");
    pool.zfs.unmount(&above, UnmountFlags::empty()).unwrap();
    pool.zfs.unmount(&below, UnmountFlags::empty()).unwrap();
}

#[test]
fn a_new_mountpoint_moves_what_is_mounted_with_its_children() {
    let pool = Pool::new();
    let (name, old) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    let elsewhere = placed(&pool, "a/own", &[]);
    let unmounted = pool.filesystem("a/unmounted");
    set(&pool, &unmounted, "canmount", "noauto");
    pool.zfs.mount_all([&name]).unwrap();
    write(&old.join("b/file"));

    let new = pool.path().join("new");
    set(&pool, &name, "mountpoint", new.to_str().unwrap());
    assert_eq!(place(&name), Some(new.clone()));
    assert_eq!(place(&child), Some(new.join("b")));
    assert_eq!(place(&elsewhere), Some(pool.path().join("a_own")));
    assert_eq!(place(&unmounted), None);
    assert_eq!(fs::read(new.join("b/file")).unwrap(), b"x");

    set(&pool, &name, "mountpoint", "none");
    assert_eq!(place(&name), None);
    assert_eq!(place(&child), None);
    // From `none` everything is mounted that can be.
    set(&pool, &name, "mountpoint", new.to_str().unwrap());
    assert_eq!(place(&child), Some(new.join("b")));
    assert_eq!(place(&unmounted), None);
    set(&pool, &name, "mountpoint", "legacy");
    assert_eq!(place(&name), None);
}

#[test]
fn a_mountpoint_that_is_left_alone_counts_from_the_next_mount() {
    let pool = Pool::new();
    let (name, old) = mounted(&pool, "a");
    let new = pool.path().join("new");
    let properties = Properties::new().with("mountpoint", new.to_str().unwrap());
    pool.zfs
        .set_properties_with(&name, &properties, Mounts::Leave)
        .unwrap();
    assert_eq!(place(&name), Some(old));
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    pool.zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    assert_eq!(place(&name), Some(new));
}

#[test]
fn nothing_is_set_where_something_cannot_be_unmounted() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    pool.zfs.mount_all([&name]).unwrap();
    let _busy = Busy::on(&at);
    for (property, value) in [("mountpoint", "/elsewhere"), ("canmount", "off")] {
        let error = pool
            .zfs
            .set_properties(&name, &Properties::new().with(property, value))
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.to_string().contains("nothing was changed"), "{error}");
        assert_eq!(place(&name), Some(at.clone()));
        assert_eq!(place(&child), Some(at.join("b")));
        assert_eq!(get(&name, "mountpoint"), at.to_str().unwrap());
        assert_eq!(get(&name, "canmount"), "on");
    }
    let error = pool.zfs.rename(&name, &pool.dataset("c")).unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert_eq!(place(&child), Some(at.join("b")));
}

#[test]
fn a_new_place_that_cannot_be_mounted_on_is_told() {
    let pool = Pool::new();
    let (name, _) = mounted(&pool, "a");
    let taken = pool.path().join("taken");
    fs::write(&taken, "a file").unwrap();
    let error = pool
        .zfs
        .set_properties(
            &name,
            &Properties::new().with("mountpoint", taken.to_str().unwrap()),
        )
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("not everything is mounted again"), "{text}");
    assert!(text.contains(taken.to_str().unwrap()), "{text}");
    assert_eq!(get(&name, "mountpoint"), taken.to_str().unwrap());
    assert_eq!(place(&name), None);
}

#[test]
fn canmount_off_unmounts_and_on_mounts_nothing() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    pool.zfs.mount_all([&name]).unwrap();
    set(&pool, &name, "canmount", "off");
    assert_eq!(place(&name), None);
    assert_eq!(place(&child), Some(at.join("b")));
    set(&pool, &name, "canmount", "on");
    assert_eq!(place(&name), None);
    set(&pool, &child, "canmount", "noauto");
    assert_eq!(place(&child), Some(at.join("b")));
}

#[test]
fn an_inherited_mountpoint_moves_what_is_mounted() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    let own = pool.path().join("own");
    set(&pool, &child, "mountpoint", own.to_str().unwrap());
    pool.zfs.mount_all([&name]).unwrap();
    assert_eq!(place(&child), Some(own));
    pool.zfs.inherit_property(&child, "mountpoint").unwrap();
    assert_eq!(place(&child), Some(at.join("b")));
    // The root's is none.
    pool.zfs.inherit_property(&name, "mountpoint").unwrap();
    assert_eq!(place(&name), None);
    assert_eq!(place(&child), None);
}

#[test]
fn properties_of_the_mount_count_at_once_also_where_they_are_inherited() {
    let pool = Pool::new();
    let (name, _) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    let own = pool.filesystem("a/own");
    set(&pool, &own, "exec", "on");
    pool.zfs.mount_all([&name]).unwrap();
    set(&pool, &name, "exec", "off");
    assert!(has(&name, "noexec") && has(&child, "noexec"));
    assert!(!has(&own, "noexec"));
    pool.zfs.inherit_property(&name, "exec").unwrap();
    assert!(!has(&name, "noexec") && !has(&child, "noexec"));
    set(&pool, &name, "readonly", "on");
    assert!(has(&name, "ro"));
    set(&pool, &name, "readonly", "off");
    assert!(!has(&name, "ro"));
    set(&pool, &name, "atime", "off");
    assert!(has(&name, "noatime"));
}

#[test]
fn sharing_what_is_mounted_is_refused_in_words() {
    let pool = Pool::new();
    let (name, _) = mounted(&pool, "a");
    for property in ["sharenfs", "sharesmb"] {
        let error = pool
            .zfs
            .set_properties(&name, &Properties::new().with(property, "on"))
            .unwrap_err();
        assert!(error.to_string().contains("file servers"), "{error}");
        assert_eq!(get(&name, property), "off");
    }
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
    set(&pool, &name, "sharenfs", "on");
    assert_eq!(get(&name, "sharenfs"), "on");
    set(&pool, &name, "sharenfs", "off");
}

#[test]
fn a_rename_moves_inherited_mounts_and_leaves_others() {
    let pool = Pool::new();
    let (top, at) = mounted(&pool, "top");
    let name = pool.filesystem("top/a");
    let child = pool.filesystem("top/a/b");
    let own = placed(&pool, "top/a/own", &[]);
    pool.zfs.mount_all([&top]).unwrap();
    write(&at.join("a/b/file"));

    let new = pool.dataset("top/c");
    pool.zfs.rename(&name, &new).unwrap();
    assert_eq!(place(&new), Some(at.join("c")));
    assert_eq!(place(&pool.dataset("top/c/b")), Some(at.join("c/b")));
    assert_eq!(
        place(&pool.dataset("top/c/own")),
        Some(pool.path().join("top_a_own"))
    );
    assert_eq!(fs::read(at.join("c/b/file")).unwrap(), b"x");
    assert!(!at.join("a").exists(), "the old folder went");
    assert_eq!(
        (place(&name), place(&child), place(&own)),
        (None, None, None)
    );

    pool.zfs
        .rename_with(&new, &pool.dataset("top/d"), Mounts::Leave)
        .unwrap();
    assert_eq!(place(&pool.dataset("top/d")), Some(at.join("c")));
}

#[test]
fn a_rename_that_zfs_refuses_leaves_everything_mounted() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    pool.filesystem("taken");
    let error = pool.zfs.rename(&name, &pool.dataset("taken")).unwrap_err();
    assert!(error.is_exists(), "{error}");
    assert_eq!(place(&name), Some(at));
}

#[test]
fn a_mounted_filesystem_is_unmounted_to_be_destroyed() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    let child = pool.filesystem("a/b");
    pool.zfs.mount_all([&name]).unwrap();
    let error = pool.zfs.destroy(&name).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::HasChildren, "{error}");
    assert_eq!(place(&name), Some(at.clone()));
    pool.zfs.destroy(&child).unwrap();
    assert!(!at.join("b").exists(), "its folder went with it");
    let snapshot = pool.take("a@s");
    let error = pool.zfs.destroy(&name).unwrap_err();
    assert!(error.is_busy(), "{error}");
    assert_eq!(place(&name), Some(at.clone()));
    pool.zfs.destroy_snapshots([&snapshot], Defer::No).unwrap();
    {
        let _busy = Busy::on(&at);
        let error = pool.zfs.destroy(&name).unwrap_err();
        assert!(error.is_busy(), "{error}");
        assert_eq!(place(&name), Some(at.clone()));
    }
    pool.zfs.destroy(&name).unwrap();
    assert!(!pool.zfs.exists(&name).unwrap());
}

#[test]
fn a_mounted_snapshot_is_unmounted_to_be_destroyed() {
    let pool = Pool::new();
    let (_, at) = mounted(&pool, "a");
    let (one, other, third) = (pool.take("a@1"), pool.take("a@2"), pool.take("a@3"));
    // By hand, and as the kernel does it for who looks.
    let by_hand = pool.path().join("by-hand");
    pool.zfs
        .mount(&MountRequest::snapshot(one.clone(), &by_hand))
        .unwrap();
    run(&["ls", at.join(".zfs/snapshot/2/").to_str().unwrap()]);
    assert_eq!(pool.zfs.mounted_at(&other).unwrap().len(), 1);
    pool.zfs
        .destroy_snapshots([&one, &other], Defer::No)
        .unwrap();
    assert!(!pool.zfs.exists(&one).unwrap());
    assert!(!pool.zfs.exists(&other).unwrap());

    // Held: it stays, and stays mounted.
    pool.zfs.hold([&third], "keep").unwrap();
    pool.zfs
        .mount(&MountRequest::snapshot(third.clone(), &by_hand))
        .unwrap();
    let error = pool.zfs.destroy_snapshots([&third], Defer::No).unwrap_err();
    assert!(error.to_string().contains("keep"), "{error}");
    assert_eq!(pool.zfs.mounted_at(&third).unwrap().len(), 1);
    pool.zfs.release([&third], "keep").unwrap();
    let busy = Busy::on(&by_hand);
    let error = pool.zfs.destroy_snapshots([&third], Defer::No).unwrap_err();
    assert!(error.is_busy(), "{error}");
    drop(busy);
    pool.zfs.destroy_snapshots([&third], Defer::No).unwrap();
}

#[test]
fn altroot_goes_before_the_mountpoint() {
    let pool = Pool::new();
    let name = pool.dataset("a");
    pool.zfs
        .create(&CreateRequest::filesystem(name.clone()).property("mountpoint", "/srv/zfs-core-a"))
        .unwrap();
    let child = pool.filesystem("a/b");
    let root = pool.path().join("root");
    pool.import_again(&["-N", "-R", root.to_str().unwrap()]);
    for dataset in [&name, &child] {
        let ours = pool.zfs.properties(dataset).unwrap().text("mountpoint");
        assert_eq!(ours, get(dataset, "mountpoint"));
        assert!(ours.starts_with(root.to_str().unwrap()), "{ours}");
        let listed = pool.zfs.dataset(dataset).unwrap().properties.unwrap();
        assert_eq!(listed.text("mountpoint"), ours);
    }
    let at = pool
        .zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    assert_eq!(at, root.join("srv/zfs-core-a"));
    assert_eq!(place(&name), Some(at));
    set(&pool, &name, "mountpoint", "/");
    assert_eq!(place(&name), Some(root));
    pool.zfs.unmount(&name, UnmountFlags::empty()).unwrap();
}

#[test]
fn a_read_only_pool_is_mounted_read_only() {
    let pool = Pool::new();
    let name = placed(&pool, "a", &[]);
    pool.import_again(&["-N", "-o", "readonly=on"]);
    pool.zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    assert!(has(&name, "ro"));
}

#[test]
fn an_ordinary_user_lists_reads_and_does_what_was_delegated() {
    let pool = Pool::new();
    let (name, at) = mounted(&pool, "a");
    run(&[
        "zfs",
        "allow",
        "nobody",
        "snapshot,hold,compression,mountpoint,destroy",
        name.as_str(),
    ]);
    fs::set_permissions(pool.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let snapshot = pool.snapshot("a@mine");
    let empty = pool.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fixture::as_user(65534, || {
        let zfs = fixture::zfs();
        let listed = zfs.list_datasets(
            &pool.name().root(),
            zfs_core::ListDatasets::new().recursive(),
        );
        assert_eq!(listed.map(Result::unwrap).count(), 2);
        assert_eq!(
            zfs.properties(&name).unwrap().text("mountpoint"),
            at.to_str().unwrap()
        );
        zfs.snapshot([&snapshot]).unwrap();
        zfs.hold([&snapshot], "mine").unwrap();
        zfs.set_properties(&name, &Properties::new().with("compression", "lz4"))
            .unwrap();

        let error = zfs
            .set_properties(&name, &Properties::new().with("quota", "1G"))
            .unwrap_err();
        assert!(error.is_permission(), "{error}");
        let error = zfs.unmount(&name, UnmountFlags::empty()).unwrap_err();
        assert!(error.is_permission(), "{error}");
        let error = zfs
            .set_properties(&name, &Properties::new().with("mountpoint", "/elsewhere"))
            .unwrap_err();
        assert!(error.is_permission(), "{error}");
        assert!(error.to_string().contains("nothing was changed"), "{error}");
        let request = MountRequest::snapshot(snapshot.clone(), &empty);
        assert!(zfs.mount(&request).unwrap_err().is_permission());
    });
    assert_eq!(get(&name, "compression"), "lz4");
    assert_eq!(place(&name), Some(at.clone()));
    assert_eq!(fs::metadata(&at).unwrap().uid(), 0);
}

#[test]
fn a_key_location_that_can_be_read_is_used_to_mount_after_a_restart() {
    let pool = Pool::new();
    let file = pool.path().join("key");
    fs::write(&file, "correct horse battery\n").unwrap();
    let name = pool.dataset("e");
    let at = pool.path().join("e");
    let location = KeyLocation::file(&file).unwrap();
    let key = location
        .read(zfs_core::KeyFormat::Passphrase, |_| unreachable!())
        .unwrap();
    let request = CreateRequest::filesystem(name.clone())
        .property("mountpoint", at.to_str().unwrap())
        .encryption(Encryption::new(key.iterations(100_000)).location(location));
    pool.zfs.create(&request).unwrap();
    pool.import_again(&["-N"]);
    let state = pool.zfs.encryption(&name).unwrap().unwrap();
    let key = state
        .location
        .unwrap()
        .read(state.format, |_| unreachable!())
        .unwrap();
    pool.zfs.load_key(&name, &key).unwrap();
    pool.zfs.mount(&MountRequest::filesystem(name)).unwrap();
}
