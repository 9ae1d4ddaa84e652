//! The nvlist of a BEGIN: what a receiver looks up in it, and what it refuses.
//!
//! Sources: `dsl_crypto_recv_raw_objset_check` and `…_key_check` in
//! `module/zfs/dsl_crypt.c`, `resume_check` and `dmu_recv_begin_sync` in
//! `module/zfs/dmu_recv.c`, `zfs_receive_package` in
//! `lib/libzfs/libzfs_sendrecv.c`.

use std::ops::RangeInclusive;

use super::finding::Kind;
use crate::nvlist::{NvList, Value};
use crate::record::{Begin, Features, MAX_BLOCK};

const OTHER_TYPE: &str = "of another type than ZFS looks for";
const OTHER_LENGTH: &str = "of another length than ZFS has";
const OUT_OF_RANGE: &str = "out of range";
const NO_PAIR: &str = "zero with a passphrase, or not zero without one";

/// What is looked up under a name.
enum Shape {
    /// A `uint64` in that range.
    Number(RangeInclusive<u64>),
    /// A `uint8_array` of that length.
    Bytes(usize),
    /// A `uint64_array`.
    Numbers,
    /// A list.
    List,
}

type Entry = (&'static str, Shape);

const ANY: RangeInclusive<u64> = 0..=u64::MAX;

/// In `crypt_keydata`.
const KEY: [Entry; 18] = [
    // AES-128-CCM to AES-256-GCM.
    ("DSL_CRYPTO_SUITE", Shape::Number(3..=8)),
    ("DSL_CRYPTO_GUID", Shape::Number(ANY)),
    ("DSL_CRYPTO_VERSION", Shape::Number(1..=1)),
    ("DSL_CRYPTO_MASTER_KEY_1", Shape::Bytes(32)),
    ("DSL_CRYPTO_HMAC_KEY_1", Shape::Bytes(64)),
    ("DSL_CRYPTO_IV", Shape::Bytes(12)),
    ("DSL_CRYPTO_MAC", Shape::Bytes(16)),
    ("portable_mac", Shape::Bytes(32)),
    // raw, hex, passphrase.
    (KEY_FORMAT, Shape::Number(1..=PASSPHRASE)),
    (PBKDF2[0], Shape::Number(ANY)),
    (PBKDF2[1], Shape::Number(ANY)),
    ("mdn_checksum", Shape::Number(0..=8)),
    ("mdn_compress", Shape::Number(0..=14)),
    ("mdn_nlevels", Shape::Number(0..=12)),
    ("mdn_blksz", Shape::Number(512..=MAX_BLOCK)),
    ("mdn_indblkshift", Shape::Number(12..=17)),
    ("mdn_nblkptr", Shape::Number(3..=3)),
    ("mdn_maxblkid", Shape::Number(ANY)),
];

const KEY_FORMAT: &str = "keyformat";
const PASSPHRASE: u64 = 3;
const PBKDF2: [&str; 2] = ["pbkdf2iters", "pbkdf2salt"];

/// Calls `found` for everything that is wrong with the list, or with there being
/// none.
pub(super) fn check(begin: &Begin, list: Option<&NvList>, found: &mut dyn FnMut(Kind)) {
    if begin.is_compound() {
        if let Some(list) = list {
            entry(list, &("fss", Shape::List), found);
        }
        return;
    }
    let (features, none) = (begin.features(), NvList::new());
    let list = list.unwrap_or(&none);
    for (feature, wanted) in [
        (Features::RAW, ("crypt_keydata", Shape::List)),
        (Features::RESUMING, ("resume_object", Shape::Number(ANY))),
        (Features::RESUMING, ("resume_offset", Shape::Number(ANY))),
        (Features::REDACTED, ("redact_snaps", Shape::Numbers)),
    ] {
        if features.contains(feature) {
            entry(list, &wanted, found);
        }
    }
    let key = list.get_nvlist("crypt_keydata");
    if let Some(key) = key.filter(|_| features.contains(Features::RAW)) {
        keydata(key, found);
    }
}

fn keydata(key: &NvList, found: &mut dyn FnMut(Kind)) {
    for wanted in &KEY {
        entry(key, wanted, found);
    }
    let passphrase = key.get_u64(KEY_FORMAT) == Some(PASSPHRASE);
    for name in PBKDF2 {
        let zero = |value| value == 0;
        if key.get_u64(name).map(zero) == Some(passphrase) {
            let rule = NO_PAIR;
            found(Kind::BadInNvlist { name, rule });
        }
    }
}

/// Looks one up.
fn entry(list: &NvList, (name, shape): &Entry, found: &mut dyn FnMut(Kind)) {
    let Some(value) = list.get(name) else {
        found(Kind::MissingFromNvlist(name));
        return;
    };
    let rule = match (shape, value) {
        (Shape::Number(range), Value::Uint64(number)) if !range.contains(number) => OUT_OF_RANGE,
        (Shape::Bytes(length), Value::Uint8Array(bytes)) if bytes.len() != *length => OTHER_LENGTH,
        (Shape::Number(_), Value::Uint64(_))
        | (Shape::Bytes(_), Value::Uint8Array(_))
        | (Shape::Numbers, Value::Uint64Array(_))
        | (Shape::List, Value::NvList(_)) => return,
        _ => OTHER_TYPE,
    };
    found(Kind::BadInNvlist { name, rule });
}
