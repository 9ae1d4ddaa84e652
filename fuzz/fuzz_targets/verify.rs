//! A stream with bytes changed, checked whole and in flight.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use zfs_stream::verify::{self, VerifyingReader};

fuzz_target!(|bytes: &[u8]| {
    let report = verify::verify(bytes).expect("memory does not fail");
    let mut stage = VerifyingReader::new(bytes);
    let mut out = Vec::new();
    let passed = stage.read_to_end(&mut out).is_ok();
    assert!(bytes.starts_with(&out));
    assert_eq!(passed, report.is_intact(), "{:?}", report.findings);
    if passed {
        assert_eq!(out.len(), bytes.len());
    }
});
