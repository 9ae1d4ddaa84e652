//! Destroying and rolling back take what was planned, and nothing else.

use std::sync::Arc;

use zfs_core::{MountRequest, UnmountFlags};
use zfs_replicate::Error;
use zfs_replicate::endpoint::stock::Shell;
use zfs_replicate::endpoint::{Elevation, Endpoint, Stock};
use zfs_replicate::plan::Rollback;

use super::Site;
use crate::fixture::run;

#[test]
fn what_is_shared_keeps_its_snapshots_where_it_is_not_destroyed() {
    let site = Site::new();
    let shared = site.pool.filesystem("shared");
    let one = site.pool.take("shared@1");
    let zfs = &site.pool.zfs;
    let properties = zfs_core::Properties::new().with("sharenfs", "on");
    zfs.set_properties(&shared, &properties).unwrap();
    let folder = site.pool.path().join("shared");
    zfs.mount(&MountRequest::filesystem(shared.clone()).at(folder))
        .unwrap();
    let snapshots = [one.clone()];
    let error = site.local.destroy(&shared, &snapshots).unwrap_err();
    assert!(error.to_string().contains("file servers"), "{error}");
    assert!(zfs.exists(&one).unwrap());
    zfs.unmount(&shared, UnmountFlags::SHARED).unwrap();
    site.local.destroy(&shared, &snapshots).unwrap();
}

#[test]
fn what_came_since_the_plan_is_not_destroyed_with_what_was_planned() {
    let site = Site::new();
    let stock = Stock::new(Arc::new(Shell::new()), Elevation::None);
    let ends: [(&str, &dyn Endpoint); 2] = [("here", &site.local), ("there", &stock)];
    for (name, end) in ends {
        let dataset = site.pool.filesystem(name);
        let taken = ["1", "2", "3"].map(|n| site.pool.take(&format!("{name}@{n}")));
        let there = || run(&["zfs", "list", "-Hro", "name", "-t", "all", dataset.as_str()]);
        let was = there();
        let [one, two, three] = taken;
        let mut rollback = Rollback {
            to: one.clone(),
            destroy: vec![two.clone()],
        };
        let refused = end.rollback(&rollback);
        assert!(matches!(refused, Err(Error::Changed { .. })), "{name}");
        let refused = end.destroy(&dataset, &[one.clone(), two.clone()]);
        assert!(matches!(refused, Err(Error::Changed { .. })), "{name}");
        assert_eq!(there(), was);
        // A hold stops all of it.
        run(&["zfs", "hold", "keep", three.as_str()]);
        rollback.destroy.push(three.clone());
        assert!(end.rollback(&rollback).is_err(), "{name}");
        assert_eq!(there(), was);
        run(&["zfs", "release", "keep", three.as_str()]);
        end.rollback(&rollback).unwrap();
        assert_eq!(there(), format!("{dataset}\n{one}\n"));
        end.destroy(&dataset, &[one]).unwrap();
        assert!(site.local.tree(&dataset).unwrap().datasets.is_empty());
    }
}
