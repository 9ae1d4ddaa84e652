//! What is sent: in full, in increments, raw, volumes, and onto which base.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use zfs_core::{CreateRequest, Encryption, WrappingKey};
use zfs_replicate::execute::Executor;

use super::{LARGE, Site, assert_resumable, named};
use crate::fixture::{get, noise, open_device, run};

#[test]
fn a_tree_is_sent_in_full_and_then_in_increments() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    let child = site.pool.filesystem("src/child");
    site.pool.write(&source, "a", b"one");
    site.pool.write(&child, "b", &noise(1, 300_000));
    site.pool.take("src@1");
    site.pool.take("src/child@1");
    site.pool.write(&source, "a", b"two");
    site.pool.take("src@2");
    let log = site.replicate();
    assert_eq!(
        log.kinds(),
        named(&[("1", "full"), ("2", "incremental"), ("1", "full")])
    );

    site.pool.write(&source, "a", b"three");
    site.pool.take("src@3");
    site.pool.take("src@4");
    let log = site.replicate();
    assert_eq!(
        log.kinds(),
        named(&[("3", "incremental"), ("4", "incremental")])
    );
    assert_eq!(site.pool.read(&site.target(), "a"), b"three");
    let child = site.pool.dataset("dst/child");
    assert_eq!(site.pool.read(&child, "b"), noise(1, 300_000));
}

#[test]
fn missing_parents_are_made_and_never_mounted() {
    let site = Site::new();
    site.pool.filesystem("src");
    site.pool.take("src@1");
    let deep = site.pool.dataset("vault/of/dst");
    let plan = site.plan_to(&deep);
    let outcome = Executor::new(&site.local, &site.local, &()).run(&plan);
    assert!(outcome.is_ok());
    for parent in ["vault", "vault/of"] {
        let parent = site.pool.dataset(parent);
        assert_eq!(get(&parent, "canmount"), "off");
        assert_eq!(get(&parent, "readonly"), "on");
    }
    assert!(site.plan_to(&deep).is_empty());
}

#[test]
fn the_marker_is_the_base_where_the_snapshots_were_pruned() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, 1 << 20));
    site.pool.take("src@1");
    site.replicate();
    run(&["zfs", "destroy", site.pool.snapshot("src@1").as_str()]);
    assert!(site.plan().is_empty());
    site.pool.write(&source, "b", b"new");
    site.pool.take("src@2");
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("2", "incremental")]));
    assert!(log.bytes() < 1 << 20, "only what is new: {}", log.bytes());
    assert_eq!(site.pool.read(&site.target(), "b"), b"new");
}

#[test]
fn encrypted_data_goes_raw_and_is_read_with_its_own_key_alone() {
    let site = Site::new();
    let key = WrappingKey::from_slice(&[7; 32]).unwrap();
    let request = CreateRequest::filesystem(site.source()).encryption(Encryption::raw(key.clone()));
    site.pool.zfs.create(&request).unwrap();
    site.pool.write(&site.source(), "a", &noise(1, LARGE));
    site.pool.take("src@1");
    site.interrupt();
    assert_resumable(&site);
    site.pool.write(&site.source(), "a", b"changed");
    site.pool.take("src@2");
    let log = site.replicate();
    assert_eq!(log.kinds(), named(&[("1", "resume"), ("2", "incremental")]));
    assert!(
        log.arrived
            .lock()
            .unwrap()
            .iter()
            .all(|(_, _, raw, _)| *raw)
    );
    let target = site.target();
    assert_eq!(get(&target, "keystatus"), "unavailable");

    // The source's key is not needed to send it.
    site.pool.zfs.unload_key(&site.source()).unwrap();
    site.pool.take("src@3");
    site.replicate();
    site.pool.zfs.load_key(&target, &key.into()).unwrap();
    assert_eq!(site.pool.read(&target, "a"), b"changed");
}

#[test]
fn a_volume_arrives_byte_for_byte() {
    let site = Site::new();
    let bytes = 8 << 20;
    let request = CreateRequest::volume(site.source(), bytes);
    site.pool.zfs.create(&request).unwrap();
    let content = noise(3, 3 << 20);
    let mut device = open_device(File::options().write(true), &site.source());
    device.seek(SeekFrom::Start(1 << 20)).unwrap();
    device.write_all(&content).unwrap();
    device.sync_all().unwrap();
    drop(device);
    site.pool.take("src@1");
    site.replicate();
    site.pool.take("src@2");
    site.replicate();

    run(&["zfs", "set", "snapdev=visible", site.target().as_str()]);
    let mut arrived = Vec::new();
    open_device(File::options().read(true), &site.target())
        .read_to_end(&mut arrived)
        .unwrap();
    assert_eq!(arrived.len() as u64, bytes);
    let (before, rest) = arrived.split_at(1 << 20);
    let (same, after) = rest.split_at(content.len());
    assert!(same == content);
    assert!(before.iter().chain(after).all(|byte| *byte == 0));
}
