//! The rules for a BEGIN: what the receiver cannot or will not take.

use super::finding::Kind;
use crate::record::{Begin, BeginFlags, Features};

/// The features that OpenZFS receives.
const RECEIVED: Features = Features::SA_SPILL
    .with(Features::EMBED_DATA)
    .with(Features::LZ4)
    .with(Features::LARGE_BLOCKS)
    .with(Features::RESUMING)
    .with(Features::REDACTED)
    .with(Features::COMPRESSED)
    .with(Features::LARGE_DNODE)
    .with(Features::RAW)
    .with(Features::ZSTD)
    .with(Features::HOLDS)
    .with(Features::SWITCH_TO_LARGE_BLOCKS)
    .with(Features::LONGNAME)
    .with(Features::LARGE_MICROZAP);

/// `DMU_OST_NUMTYPES`.
const OBJSET_TYPES: u32 = 6;

/// `DMU_OST_ZFS` and `DMU_OST_ZVOL`: what can be encrypted.
const ENCRYPTED_TYPES: std::ops::RangeInclusive<u32> = 2..=3;

/// Calls `found` for everything that is wrong with it; features in `removed` are
/// taken away before anybody receives it.
pub(super) fn check(begin: &Begin, removed: Features, found: &mut dyn FnMut(Kind)) {
    let features = begin.features();
    let foreign = features.without(RECEIVED).without(removed);
    if foreign != Features::default() {
        found(Kind::UnsupportedFeatures(foreign));
    }
    let mut bad = |field, value, rule| found(Kind::BadField { field, value, rule });
    let objset_type = u64::from(begin.objset_type);
    if begin.objset_type >= OBJSET_TYPES {
        bad("objset type", objset_type, "unknown");
    }
    let raw = features.contains(Features::RAW) && !begin.is_compound();
    if raw && !ENCRYPTED_TYPES.contains(&begin.objset_type) {
        bad("objset type", objset_type, "not one of a raw stream");
    }
    if begin.to_name.len() >= 256 {
        let length = begin.to_name.len() as u64;
        bad("name's length", length, "too large");
    }
    if raw && features.contains(Features::EMBED_DATA) {
        found(Kind::Contradiction("a raw stream with embedded data"));
    }
    if raw && !begin.flags.contains(BeginFlags::SPILL_BLOCK) {
        let text = "a raw stream without the spill block flag";
        found(Kind::Contradiction(text));
    }
    if !begin.to_name.contains(&b'@') {
        let name = String::from_utf8_lossy(&begin.to_name);
        found(Kind::NotASnapshot(name.into_owned()));
    }
}
