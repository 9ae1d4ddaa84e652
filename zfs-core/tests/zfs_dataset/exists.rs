//! Whether something exists.

use super::no_such_pool;
use crate::fixture::shared::{Ground, read_only_pool};

#[test]
fn a_pool_s_root_exists() {
    let ground = Ground::new();
    assert!(ground.zfs.exists(&ground.pool.name().root()).unwrap());
}

#[test]
fn what_is_in_a_read_only_pool_exists() {
    let pool = read_only_pool();
    assert!(pool.zfs.exists(&pool.name().root()).unwrap());
    assert!(pool.zfs.exists(&pool.snapshot("fs@there")).unwrap());
}

#[test]
fn what_is_not_there_does_not_exist() {
    let ground = Ground::new();
    assert!(!ground.exists("nonexistent"));
    assert!(!ground.exists("nonexistent@snapshot"));
    assert!(!ground.zfs.exists(&no_such_pool("a")).unwrap());
}
