//! A stream with bytes changed, checked whole and in flight; and the same with
//! its checksums right, so that what is behind them is reached, too.

#![no_main]

use std::io::Read;

use libfuzzer_sys::fuzz_target;
use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{SliceReader, Writer};
use zfs_stream::source::ReadAt;
use zfs_stream::verify::{self, VerifyingReader};

fuzz_target!(|bytes: &[u8]| {
    check(bytes);
    check(&summed(bytes));
});

fn check(bytes: &[u8]) {
    let report = verify::verify(bytes).expect("memory does not fail");
    let quick = verify::verify_at(bytes).expect("memory does not fail");
    assert_eq!(quick, report);
    let read = verify::verify_at(&Unseen(bytes)).expect("memory does not fail");
    assert_eq!(read, report);
    let mut stage = VerifyingReader::new(bytes);
    let mut out = Vec::new();
    let passed = stage.read_to_end(&mut out).is_ok();
    assert!(bytes.starts_with(&out));
    assert_eq!(passed, report.is_intact(), "{:?}", report.findings);
    if passed {
        assert_eq!(out.len(), bytes.len());
    }
}

/// Memory that is read as a file is that cannot be mapped.
struct Unseen<'a>(&'a [u8]);

impl ReadAt for Unseen<'_> {
    fn length(&self) -> u64 {
        self.0.length()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<()> {
        self.0.read_exact_at(buffer, offset)
    }
}

/// The records that can be read, with checksums that are theirs.
fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    for record in SliceReader::new(bytes).map_while(Result::ok) {
        writer.rewrite(&record).expect("memory does not fail");
    }
    writer.into_inner()
}
