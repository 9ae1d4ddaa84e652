//! Any payload as a block, and any bytes as a stream to be changed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zfs_stream::change;
use zfs_stream::compress::{self, Compression, Level};
use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{SliceReader, Writer};
use zfs_stream::verify;

fuzz_target!(|bytes: &[u8]| {
    let Some((&[compression, length, to], bytes)) = bytes.split_first_chunk::<3>() else {
        return;
    };
    let mut block = vec![0; usize::from(length) * 64];
    let _ = compress::decompress(compression % 20, bytes, &mut block);

    let to = match to % 4 {
        0 => Compression::Off,
        1 => Compression::Lz4,
        2 => Compression::Zstd(Level::default()),
        _ => Compression::Zstd(Level::fast(10).expect("ZFS has it")),
    };
    change_all(bytes, to);
    change_all(&summed(bytes), to);
});

fn change_all(bytes: &[u8], to: Compression) {
    let mut changed = Vec::new();
    if change::recompress(bytes, &mut changed, to).is_ok() {
        assert_intact(&changed);
        let mut plain = Vec::new();
        change::decompress(&changed[..], &mut plain).expect("what was compressed decompresses");
        let mut expected = Vec::new();
        change::decompress(bytes, &mut expected).expect("what was recompressed decompresses");
        assert_eq!(plain, expected);
    }
    let mut whole = Vec::new();
    if change::redup(bytes, &mut whole).is_ok() {
        assert_intact(&whole);
    }
    let mut less = Vec::new();
    let drops = |record: &zfs_stream::record::RawRecord<'_>| record.number % 5 == 3;
    if change::drop_records(bytes, &mut less, drops).is_ok() {
        assert_intact(&less);
    }
    let quick = verify::verify_at(bytes).expect("memory does not fail");
    assert_eq!(quick, verify::verify(bytes).expect("memory does not fail"));
}

/// The records that can be read, with checksums that are theirs: so that what is
/// behind them is reached, too.
fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    for record in SliceReader::new(bytes).map_while(Result::ok) {
        writer.rewrite(&record).expect("memory does not fail");
    }
    writer.into_inner()
}

fn assert_intact(stream: &[u8]) {
    let report = verify::verify(stream).expect("memory does not fail");
    assert!(report.is_intact(), "{:?}", report.findings);
}
