//! Any bytes as a packed nvlist.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zfs_stream::nvlist::NvList;

fuzz_target!(|bytes: &[u8]| {
    let Ok(decoded) = NvList::decode_prefix(bytes) else {
        return;
    };
    assert!(decoded.length <= bytes.len());
    let packed = decoded
        .list
        .encode(decoded.encoding, decoded.order)
        .expect("what was read can be packed");
    let again = NvList::decode(&packed).expect("what was packed can be read");
    // Not ==: a double may be NaN.
    assert_eq!(format!("{again:?}"), format!("{:?}", decoded.list));
    let _ = decoded.list.to_string();
});
