//! Asks how new the compiler is: the AVX-512 intrinsics are stable from Rust
//! 1.89 on, and this crate builds from 1.85 on. Older compilers get AVX2.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(zfs_stream_avx512)");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok());
    // An answer that cannot be read costs speed, not the build.
    if minor(version.as_deref().unwrap_or_default()).is_some_and(|minor| minor >= 89) {
        println!("cargo::rustc-cfg=zfs_stream_avx512");
    }
}

/// 95 of `rustc 1.95.0 (…)`.
fn minor(version: &str) -> Option<u32> {
    version
        .strip_prefix("rustc 1.")?
        .split('.')
        .next()?
        .parse()
        .ok()
}
