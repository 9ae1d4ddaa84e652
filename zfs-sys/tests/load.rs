//! Loading libzfs_core where it is missing, incomplete, or only as new as
//! OpenZFS 2.1, with libraries that this test makes itself.

#![allow(unsafe_code)]

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use zfs_sys::{LIBNVPAIR, LIBZFS_CORE, Lib, LoadError, NvPair, V2_1, V2_2, V2_3};

/// Makes a shared library in which each function does nothing.
fn make_library(folder: &Path, file: &str, functions: &[&str]) {
    let mut source = String::new();
    for function in functions {
        writeln!(source, "int {function}(void) {{ return 0; }}").unwrap();
    }
    let c = folder.join("library.c");
    std::fs::write(&c, source).unwrap();
    let status = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(folder.join(file))
        .arg(&c)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_missing_library_is_named_with_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let error = Lib::load_from(folder.path()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(&error, LoadError::Library { library, .. } if *library == LIBNVPAIR));
    assert!(
        text.contains(LIBNVPAIR) && text.contains("apt install zfsutils-linux"),
        "{text}"
    );
    let source = error
        .source()
        .expect("what the dynamic linker said")
        .to_string();
    assert!(source.contains("No such file"), "{source}");

    make_library(folder.path(), LIBNVPAIR, NvPair::NAMES);
    let error = Lib::load_from(folder.path()).unwrap_err();
    assert!(matches!(error, LoadError::Library { library, .. } if library == LIBZFS_CORE));
}

#[test]
fn a_library_without_a_required_function_is_refused_by_that_name() {
    let folder = tempfile::tempdir().unwrap();
    make_library(folder.path(), LIBNVPAIR, NvPair::NAMES);
    let without: Vec<&str> = V2_1::NAMES
        .iter()
        .copied()
        .filter(|name| *name != "lzc_wait_fs")
        .collect();
    make_library(folder.path(), LIBZFS_CORE, &without);
    let error = Lib::load_from(folder.path()).unwrap_err();
    assert!(matches!(error, LoadError::Symbol { library, symbol, .. }
        if library == LIBZFS_CORE && symbol == "lzc_wait_fs"));
    assert!(error.to_string().contains("lzc_wait_fs"), "{error}");
}

#[test]
fn a_library_of_2_1_is_enough_and_later_functions_are_absent() {
    let folder = tempfile::tempdir().unwrap();
    make_library(folder.path(), LIBNVPAIR, NvPair::NAMES);
    make_library(folder.path(), LIBZFS_CORE, V2_1::NAMES);
    let lib = Lib::load_from(folder.path()).unwrap();
    assert!(lib.v2_2.lzc_scrub.is_none());
    assert!(lib.v2_3.lzc_get_props.is_none());
    // SAFETY: a function of this test's own, which takes nothing.
    assert_eq!(unsafe { lib.core.libzfs_core_init() }, 0);
}

#[test]
fn later_functions_are_found_where_they_are() {
    let folder = tempfile::tempdir().unwrap();
    make_library(folder.path(), LIBNVPAIR, NvPair::NAMES);
    make_library(
        folder.path(),
        LIBZFS_CORE,
        &[V2_1::NAMES, V2_2::NAMES, V2_3::NAMES].concat(),
    );
    let lib = Lib::load_from(folder.path()).unwrap();
    assert!(lib.v2_2.lzc_scrub.is_some() && lib.v2_2.lzc_receive_with_heal.is_some());
    assert!(lib.v2_3.lzc_get_props.is_some());
}
