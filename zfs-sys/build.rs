//! Finds libzfs_core for the feature `linked`; without it there is nothing to
//! do, since the libraries are loaded at run time.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    #[cfg(feature = "linked")]
    linked();
}

#[cfg(feature = "linked")]
fn linked() {
    println!("cargo:rerun-if-env-changed=ZFS_LIB_DIR");
    println!("cargo:rerun-if-env-changed=DOCS_RS");
    if std::env::var_os("DOCS_RS").is_some() {
        return;
    }
    if let Some(folder) = std::env::var_os("ZFS_LIB_DIR") {
        println!(
            "cargo:rustc-link-search=native={}",
            folder.to_string_lossy()
        );
    } else {
        match pkg_config::Config::new()
            .atleast_version("2.1")
            .probe("libzfs_core")
        {
            Ok(_) => return,
            // The linker may know better than pkg-config; where it does not,
            // its own error says what is missing.
            Err(error) => println!(
                "cargo:warning=libzfs_core 2.1 or later not found by pkg-config (apt install libzfslinux-dev, \
                 or set ZFS_LIB_DIR): {error}"
            ),
        }
    }
    println!("cargo:rustc-link-lib=dylib=zfs_core");
    println!("cargo:rustc-link-lib=dylib=nvpair");
}
