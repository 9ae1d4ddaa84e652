//! Without libzfs_core, what needs it says what to install, and what does not
//! need it works. The library is hidden in a mount namespace of the test's own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Binaries that call ZFS, with arguments that make them do so.
const NEED_ZFS: &[(&str, &[&str])] = &[("zfs-pipeline", &["run", "/tmp/without-library.toml"])];

fn bin(name: &str) -> PathBuf {
    let folder = env::var_os("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets ZFS_TEST_BIN_DIR");
    Path::new(&folder).join(name)
}

/// Runs a program where both names of the library lead to an empty file.
fn without_library(program: &Path, arguments: &[&str]) -> Output {
    let hide = "for file in /lib/*/libzfs_core.so.3* /usr/lib/*/libzfs_core.so.3* /usr/lib64/libzfs_core.so.3*; do
            if [ -e \"$file\" ]; then mount --bind /dev/null \"$file\" || exit 99; hidden=1; fi
        done
        [ \"$hidden\" = 1 ] || exit 98
        exec \"$@\"";
    Command::new("unshare")
        .args(["--mount", "sh", "-c", hide, "sh"])
        .arg(program)
        .args(arguments)
        .output()
        .expect("unshare runs")
}

#[test]
fn what_needs_the_library_says_what_to_install() {
    fs::write(
        "/tmp/without-library.toml",
        "[[job]]\nname = \"a\"\nsource = \"no-such-pool/a\"\n",
    )
    .expect("a file");
    for (name, arguments) in NEED_ZFS {
        let output = without_library(&bin(name), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("libzfs_core.so.3"), "{name}: {said}");
        assert!(said.contains("install"), "{name}: {said}");
        assert!(said.contains("libzfs4linux"), "{name}: {said}");
        // With the library the same command gets further than that.
        let output = Command::new(bin(name))
            .args(*arguments)
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("libzfs4linux"), "{name}: {said}");
    }
}

#[test]
fn every_binary_shows_its_help() {
    let folder = env::var_os("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets ZFS_TEST_BIN_DIR");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with("zfs-") || name.contains('.') {
            continue;
        }
        seen += 1;
        let output = without_library(&entry.path(), &["--help"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}");
        assert!(
            said.contains("Usage:") && said.contains("xample"),
            "{name}: {said}"
        );
        // Cargo would take the name of the package.
        let output = without_library(&entry.path(), &["--version"]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.starts_with(&name), "{name} --version: {said}");
    }
    assert!(seen >= NEED_ZFS.len(), "no binaries in the folder");
}
