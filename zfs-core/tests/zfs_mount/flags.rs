//! The flags of a mount: those of the properties, of the request and of the
//! pool.

use std::path::Path;
use std::process::Command;

use zfs_core::{DatasetName, ErrorKind, MountRequest, UnmountFlags};

use super::{has, mounted, options, placed};
use crate::fixture::{Pool, run};

/// Makes a program, in the same way.
fn copy(program: &Path) {
    run(&["cp", "/bin/true", program.to_str().unwrap()]);
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
fn a_read_only_pool_is_mounted_read_only() {
    let pool = Pool::new();
    let name = placed(&pool, "a", &[]);
    pool.import_again(&["-N", "-o", "readonly=on"]);
    pool.zfs
        .mount(&MountRequest::filesystem(name.clone()))
        .unwrap();
    assert!(has(&name, "ro"));
}
