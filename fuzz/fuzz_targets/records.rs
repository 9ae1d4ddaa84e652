//! Any bytes as a stream, through both readers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{Reader, SliceReader, Writer};

fuzz_target!(|bytes: &[u8]| {
    let mut reader = Reader::new(bytes);
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    for expected in SliceReader::new(bytes) {
        let record = reader.next_record();
        match (expected, record) {
            (Ok(expected), Ok(Some(record))) => {
                assert_eq!(expected.offset, record.offset);
                assert_eq!(expected.header.bytes(), record.header.bytes());
                assert_eq!(expected.payload, record.payload);
                let _ = record.parse();
                writer.copy(&record).expect("a Vec takes all");
            }
            (Err(expected), Err(error)) => {
                assert_eq!(expected.to_string(), error.to_string());
                break;
            }
            other => panic!("the readers disagree: {other:?}"),
        }
    }
    let copy = writer.into_inner();
    assert!(bytes.starts_with(&copy));
});
