//! What is mounted and given to file servers: it is not unmounted for a
//! change, since nobody here could give it to them again.

mod fixture;

use fixture::{Pool, get};
use zfs_core::{
    CreateRequest, DatasetName, Error, MountRequest, Mounts, Properties, UnmountFlags, Zfs,
};

/// A filesystem with a mountpoint of its own in the pool's folder.
fn placed(pool: &Pool, relative: &str) -> DatasetName {
    let name = pool.dataset(relative);
    let at = pool.path().join(relative);
    let request =
        CreateRequest::filesystem(name.clone()).property("mountpoint", at.to_str().expect("text"));
    pool.zfs.create(&request).unwrap();
    name
}

fn set(zfs: &Zfs, name: &DatasetName, property: &str, value: &str) -> Result<(), Error> {
    zfs.set_properties(name, &Properties::new().with(property, value))
}

#[test]
fn what_would_unmount_something_shared_is_refused_in_words() {
    for property in ["sharenfs", "sharesmb"] {
        let pool = Pool::new();
        let zfs = &pool.zfs;
        let top = placed(&pool, "top");
        let child = pool.filesystem("top/child");
        set(zfs, &child, property, "on").unwrap();
        let all = zfs.mount_all([&top]).unwrap();
        assert_eq!(all.mounted.len(), 2, "{all:?}");

        let moved = pool.dataset("moved");
        let elsewhere = pool.path().join("elsewhere");
        let elsewhere = elsewhere.to_str().expect("text");
        for (what, outcome) in [
            ("rename", zfs.rename(&top, &moved)),
            ("mountpoint", set(zfs, &top, "mountpoint", elsewhere)),
            ("inherit", zfs.inherit_property(&top, "mountpoint")),
            ("canmount", set(zfs, &child, "canmount", "off")),
            ("destroy", zfs.destroy(&child)),
            ("destroy with snapshots", zfs.check_destroy([&top, &child])),
        ] {
            let text = outcome.expect_err(what).to_string();
            for word in ["file servers", property, child.as_str()] {
                assert!(text.contains(word), "{what}: {text}");
            }
        }
        let failed = zfs.unmount_all([&top], UnmountFlags::empty()).unwrap();
        assert!(
            failed
                .iter()
                .any(|error| error.to_string().contains(property))
        );
        assert_eq!(get(&child, "mounted"), "yes");
        assert_eq!(get(&top, "mounted"), "yes");
        assert_eq!(get(&child, "canmount"), "on");

        // Nothing has to be unmounted for these, or nothing is mounted.
        set(zfs, &child, "canmount", "noauto").unwrap();
        zfs.rename_with(&top, &moved, Mounts::Leave).unwrap();
        zfs.rename_with(&moved, &top, Mounts::Leave).unwrap();
        let error = zfs.unmount(&top, UnmountFlags::empty()).unwrap_err();
        assert!(error.to_string().contains(child.as_str()), "{error}");
        assert_eq!(get(&child, "mounted"), "yes");
        zfs.unmount(&top, UnmountFlags::SHARED).unwrap();
        zfs.rename(&top, &moved).unwrap();
        zfs.check_destroy([&pool.dataset("moved/child")]).unwrap();
        zfs.destroy(&pool.dataset("moved/child")).unwrap();
    }
}

#[test]
fn everything_is_mounted_with_the_options_that_were_given() {
    let pool = Pool::new();
    let top = placed(&pool, "top");
    let child = pool.filesystem("top/child");
    let how = |request: MountRequest| request.option("nosuid").option("noexec");
    let all = pool.zfs.mount_all_with([&top], how).unwrap();
    assert_eq!(all.mounted.len(), 2, "{all:?}");
    for name in [&top, &child] {
        let output = fixture::run(&["findmnt", "-nro", "VFS-OPTIONS", "-S", name.as_str()]);
        let has = |option| output.trim().split(',').any(|other| other == option);
        assert!(has("nosuid") && has("noexec"), "{name}: {output}");
    }
}
