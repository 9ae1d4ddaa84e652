//! What an ordinary user may do with what is mounted.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use zfs_core::{MountRequest, Properties, UnmountFlags};

use super::{mounted, place};
use crate::fixture::{self, Pool, get, run};

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
