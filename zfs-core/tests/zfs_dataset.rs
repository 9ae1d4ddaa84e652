//! Datasets on real pools, case by case as OpenZFS' Python binding tests them:
//! exists, create, clone, rollback, promote, rename, destroy, keys.
//! `tests/pyzfs/keys.tsv` says which is which.

mod fixture;

#[path = "zfs_dataset/clone.rs"]
mod clone;
#[path = "zfs_dataset/create.rs"]
mod create;
#[path = "zfs_dataset/destroy.rs"]
mod destroy;
#[path = "zfs_dataset/exists.rs"]
mod exists;
#[path = "zfs_dataset/keys.rs"]
mod keys;
#[path = "zfs_dataset/rename.rs"]
mod rename;
#[path = "zfs_dataset/rollback.rs"]
mod rollback;

use zfs_core::{CreateRequest, DatasetName, Error, WRAPPING_KEY_BYTES};

const KEY: [u8; WRAPPING_KEY_BYTES] = [0x2a; WRAPPING_KEY_BYTES];

fn no_such_pool(relative: &str) -> DatasetName {
    format!("no-such-pool/{relative}").parse().unwrap()
}

fn volume(name: DatasetName) -> CreateRequest {
    CreateRequest::volume(name, 1 << 20)
}

fn refused(name: &str) -> Error {
    DatasetName::parse(name).unwrap_err()
}
