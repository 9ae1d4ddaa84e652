//! Vectors computed by hand from the published layout, hostile bytes, and
//! round trips.

use proptest::prelude::*;

use super::*;

/// `{"a": 1u64}` in native little-endian, field by field.
#[rustfmt::skip]
const NATIVE_LITTLE: &[u8] = &[
    0, 1, 0, 0,             // native, little
    0, 0, 0, 0,             // version 0
    1, 0, 0, 0,             // NV_UNIQUE_NAME
    32, 0, 0, 0,            // pair: 16 + "a\0" -> 24, + 8
    2, 0, 0, 0,             // name_sz 2, reserve
    1, 0, 0, 0,             // one element
    8, 0, 0, 0,             // uint64
    b'a', 0, 0, 0, 0, 0, 0, 0,
    1, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0,             // end
];

/// The same from a big-endian machine.
#[rustfmt::skip]
const NATIVE_BIG: &[u8] = &[
    0, 0, 0, 0,
    0, 0, 0, 0,
    0, 0, 0, 1,
    0, 0, 0, 32,
    0, 2, 0, 0,
    0, 0, 0, 1,
    0, 0, 0, 8,
    b'a', 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 1,
    0, 0, 0, 0,
];

/// The same in XDR, packed on a little-endian machine.
#[rustfmt::skip]
const XDR: &[u8] = &[
    1, 1, 0, 0,             // XDR, little (but not below)
    0, 0, 0, 0,             // version 0
    0, 0, 0, 1,             // NV_UNIQUE_NAME
    0, 0, 0, 32,            // 8 sizes + 4+4 name + 8 type and count + 8
    0, 0, 0, 32,            // the native size
    0, 0, 0, 1, b'a', 0, 0, 0,
    0, 0, 0, 8,             // uint64
    0, 0, 0, 1,             // one element
    0, 0, 0, 0, 0, 0, 0, 1,
    0, 0, 0, 0, 0, 0, 0, 0, // end
];

/// `{"n": {"f": flag}, "s": ["x", "yz"]}`: an embedded list's pairs follow its
/// pair, and arrays of strings have zeroed pointers.
#[rustfmt::skip]
const NATIVE_NESTED: &[u8] = &[
    0, 1, 0, 0,
    0, 0, 0, 0, 1, 0, 0, 0,
    48, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 19, 0, 0, 0,
    b'n', 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 1, 0, 0, 0, // nvlist_t: version, flags
    0, 0, 0, 0, 0, 0, 0, 0, // pointer
    0, 0, 0, 0, 0, 0, 0, 0, // nvl_flag, nvl_pad
    24, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
    b'f', 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0,             // end of n
    48, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 17, 0, 0, 0,
    b's', 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    b'x', 0, b'y', b'z', 0, 0, 0, 0,
    0, 0, 0, 0,
];

fn one() -> NvList {
    let mut list = NvList::new();
    list.insert("a", 1_u64).unwrap();
    list
}

fn nested() -> NvList {
    let mut inner = NvList::new();
    inner.insert_flag("f").unwrap();
    let mut list = NvList::new();
    list.insert("n", inner).unwrap();
    let strings = ["x", "yz"].map(|text| NvString::new(text).unwrap());
    list.insert("s", strings.to_vec()).unwrap();
    list
}

fn problem(bytes: &[u8]) -> Problem {
    match NvList::decode(bytes) {
        Err(Error::Nvlist { problem, .. }) => problem,
        other => panic!("not refused: {other:?}"),
    }
}

/// `NATIVE_LITTLE` with some bytes replaced.
fn broken(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut packed = NATIVE_LITTLE.to_vec();
    packed[at..at + bytes.len()].copy_from_slice(bytes);
    packed
}

#[test]
fn packs_to_the_published_layout() {
    let list = one();
    let pack = |encoding, order| list.encode(encoding, order).unwrap();
    assert_eq!(pack(Encoding::Native, ByteOrder::Little), NATIVE_LITTLE);
    assert_eq!(pack(Encoding::Native, ByteOrder::Big), NATIVE_BIG);
    assert_eq!(pack(Encoding::Xdr, ByteOrder::Little), XDR);
    let packed = nested().encode(Encoding::Native, ByteOrder::Little);
    assert_eq!(packed.unwrap(), NATIVE_NESTED);
}

#[test]
fn reads_the_published_layout() {
    for bytes in [NATIVE_LITTLE, NATIVE_BIG, XDR] {
        assert_eq!(NvList::decode(bytes).unwrap(), one());
    }
    assert_eq!(NvList::decode(NATIVE_NESTED).unwrap(), nested());
}

#[test]
fn header_tells_encoding_order_and_length() {
    let mut bytes = NATIVE_BIG.to_vec();
    bytes.extend_from_slice(&[0xff; 7]);
    let decoded = NvList::decode_prefix(&bytes).unwrap();
    assert_eq!(decoded.encoding, Encoding::Native);
    assert_eq!(decoded.order, ByteOrder::Big);
    assert_eq!(decoded.length, NATIVE_BIG.len());
}

/// A list of that many names, each with two types.
fn twice_each(flags: NvFlags, names: u32) -> NvList {
    let mut list = NvList::with_flags(flags);
    for name in 0..names {
        list.insert(name.to_string(), name).unwrap();
    }
    for name in 0..names {
        list.insert(name.to_string(), u64::from(name)).unwrap();
    }
    list
}

#[test]
fn long_lists_tell_pairs_apart_as_short_ones_do() {
    for names in [7, 9, 1_000] {
        let by_type = twice_each(NvFlags::UNIQUE_NAME_TYPE, names);
        assert_eq!(by_type.len() as u32, 2 * names);
        let mut by_name = twice_each(NvFlags::UNIQUE_NAME, names);
        assert_eq!(by_name.len() as u32, names);
        assert_eq!(twice_each(NvFlags::NONE, names).len() as u32, 2 * names);
        for name in 0..names {
            // The first of them.
            assert_eq!(by_type.get_u32(name.to_string()), Some(name));
            assert_eq!(by_name.get_u64(name.to_string()), Some(u64::from(name)));
        }
        assert!(by_name.remove("3").is_some());
        by_name.insert("new", 1_u64).unwrap();
        assert_eq!(by_name.get_u64("new"), Some(1));
        assert_eq!(by_name.get_u64("6"), Some(6));
        assert!(by_name.get("3").is_none() && by_name.get("none").is_none());
        // Twice one name and one type.
        let mut again = by_type.clone();
        again.push(NvString::new("5").unwrap(), Value::Uint64(5));
        let packed = again.encode(Encoding::Xdr, ByteOrder::Little).unwrap();
        assert_eq!(problem(&packed), Problem::DuplicateName);
    }
}

#[test]
fn long_lists_of_unique_names_and_types_are_read_in_linear_time() {
    let list = twice_each(NvFlags::UNIQUE_NAME_TYPE, 60_000);
    let packed = list.encode(Encoding::Native, ByteOrder::Little).unwrap();
    let start = std::time::Instant::now();
    assert!(NvList::decode(&packed).unwrap() == list);
    // Quadratic, it takes minutes.
    assert!(start.elapsed().as_secs() < 15, "{:?}", start.elapsed());
}

#[test]
fn what_could_forge_a_line_is_shown_escaped() {
    let mut list = NvList::new();
    list.insert_str("a\nb", "x'\u{1b}[2J").unwrap();
    assert_eq!(list.to_string(), "a\\nb: 'x'\\u{1b}[2J'\n");
}

#[test]
fn every_truncation_is_an_error() {
    for whole in [NATIVE_LITTLE, NATIVE_BIG, XDR, NATIVE_NESTED] {
        for length in 0..whole.len() {
            assert!(NvList::decode(&whole[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn pointers_in_packed_bytes_are_not_believed() {
    let mut bytes = NATIVE_NESTED.to_vec();
    bytes[44..52].fill(0xaa);
    bytes[112..128].fill(0xaa);
    assert_eq!(NvList::decode(&bytes).unwrap(), nested());
}

#[test]
fn unknown_headers_are_refused() {
    assert_eq!(problem(&broken(0, &[2])), Problem::UnknownEncoding(2));
    assert_eq!(problem(&broken(1, &[7])), Problem::UnknownByteOrder(7));
    assert_eq!(problem(&broken(4, &[1])), Problem::UnknownVersion(1));
    assert_eq!(problem(&broken(24, &[28])), Problem::UnknownType(28));
    assert_eq!(problem(&broken(24, &[0])), Problem::UnknownType(0));
}

#[test]
fn hostile_sizes_are_refused() {
    let size = |size: i32| problem(&broken(12, &size.to_le_bytes()));
    for wrong in [-1, 1, 4, 16, 31, 33, 40, i32::MAX, i32::MIN] {
        assert_eq!(size(wrong), Problem::BadSize(wrong));
    }
    let name_sz = |size: i16| problem(&broken(16, &size.to_le_bytes()));
    assert_eq!(name_sz(0), Problem::BadName);
    assert_eq!(name_sz(-2), Problem::BadName);
    assert_eq!(name_sz(1), Problem::BadName);
    assert_eq!(name_sz(8), Problem::BadName);
    assert_eq!(name_sz(9), Problem::BadName);
    assert_eq!(name_sz(i16::MAX), Problem::BadSize(32));
    for count in [0, 2, -1, i32::MAX] {
        let data_type = DataType::Uint64;
        let expected = Problem::BadCount { data_type, count };
        assert_eq!(problem(&broken(20, &count.to_le_bytes())), expected);
    }
}

#[test]
fn hostile_counts_take_no_memory() {
    for data_type in [
        DataType::ByteArray,
        DataType::Uint64Array,
        DataType::StringArray,
        DataType::NvListArray,
    ] {
        let number = data_type.to_raw();
        for count in [i32::MAX, 1 << 28, 100] {
            let mut native = NATIVE_LITTLE.to_vec();
            native[20..24].copy_from_slice(&count.to_le_bytes());
            native[24..28].copy_from_slice(&number.to_le_bytes());
            assert!(NvList::decode(&native).is_err());
            let mut xdr = XDR.to_vec();
            xdr[28..32].copy_from_slice(&number.to_be_bytes());
            xdr[32..36].copy_from_slice(&count.to_be_bytes());
            xdr[36..40].copy_from_slice(&count.to_be_bytes());
            assert!(NvList::decode(&xdr).is_err());
        }
    }
}

#[test]
fn strings_must_end_inside_their_pair() {
    let mut list = NvList::new();
    list.insert_str("s", "12345678").unwrap();
    let whole = list.encode(Encoding::Native, ByteOrder::Little).unwrap();
    let mut bytes = whole.clone();
    let value = whole.windows(8).position(|w| w == b"12345678").unwrap();
    bytes[value + 8..value + 16].fill(b'x');
    assert_eq!(problem(&bytes), Problem::BadString);
    // A NUL inside makes the string shorter than the pair's size says.
    let mut bytes = whole;
    bytes[value + 2] = 0;
    assert!(matches!(problem(&bytes), Problem::BadSize(_)));
}

#[test]
fn booleans_are_zero_or_one() {
    let mut list = NvList::new();
    list.insert("b", true).unwrap();
    for (encoding, at) in [(Encoding::Native, 36), (Encoding::Xdr, 39)] {
        let mut bytes = list.encode(encoding, ByteOrder::Little).unwrap();
        assert_eq!(bytes[at], 1);
        bytes[at] = 2;
        assert!(matches!(
            problem(&bytes),
            Problem::BadValue { value: 2, .. }
        ));
    }
}

#[test]
fn duplicates_are_refused_only_where_names_are_unique() {
    let mut twice = NvList::with_flags(NvFlags::NONE);
    twice.insert("a", 1_u64).unwrap();
    twice.insert("a", 2_u32).unwrap();
    assert_eq!(twice.len(), 2);
    assert_eq!(twice.get_u64("a"), Some(1));
    for encoding in [Encoding::Native, Encoding::Xdr] {
        let mut bytes = twice.encode(encoding, ByteOrder::Little).unwrap();
        assert_eq!(NvList::decode(&bytes).unwrap(), twice);
        let flags = if encoding == Encoding::Native { 8 } else { 11 };
        bytes[flags] = 1;
        assert_eq!(problem(&bytes), Problem::DuplicateName);
        // Of two types: allowed where name and type together are unique.
        bytes[flags] = 2;
        assert_eq!(NvList::decode(&bytes).unwrap().len(), 2);
    }
}

#[test]
fn nesting_ends_at_the_limit() {
    let deep = |levels: usize| {
        (0..levels).fold(NvList::new(), |inner, _| {
            let mut outer = NvList::new();
            outer.insert("n", inner).unwrap();
            outer
        })
    };
    for encoding in [Encoding::Native, Encoding::Xdr] {
        let list = deep(MAX_DEPTH);
        let bytes = list.encode(encoding, ByteOrder::Little).unwrap();
        assert_eq!(NvList::decode(&bytes).unwrap(), list);
        let refused = deep(MAX_DEPTH + 1).encode(encoding, ByteOrder::Little);
        assert!(matches!(
            refused,
            Err(Error::NvlistUnpackable {
                problem: Problem::TooDeep
            })
        ));
    }
    // Packed by hand, as no packer would: 10,000 heads inside each other.
    let mut bytes = vec![0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    for _ in 0..10_000 {
        bytes.extend_from_slice(&NATIVE_NESTED[12..60]);
    }
    assert_eq!(problem(&bytes), Problem::TooDeep);
}

#[test]
fn names_and_strings_may_be_any_bytes_but_nul() {
    let mut list = NvList::new();
    list.insert_str(b"\xff:\x80", b"\xfe\x01").unwrap();
    let bytes = list.encode(Encoding::Xdr, ByteOrder::Little).unwrap();
    let read = NvList::decode(&bytes).unwrap();
    let value = read.get_string(b"\xff:\x80").unwrap();
    assert_eq!(value.as_bytes(), b"\xfe\x01");
    assert_eq!(read.get_str(b"\xff:\x80"), None);
    assert!(matches!(
        list.insert_str("a\0b", "x"),
        Err(Error::EmbeddedNul {
            offset: 1,
            length: 3
        })
    ));
    assert!(list.insert_str("a", "x\0").is_err());
}

#[test]
fn names_are_as_long_as_libnvpair_allows() {
    let mut list = NvList::new();
    list.insert("n".repeat(MAX_NAME_LEN), 1_u64).unwrap();
    for encoding in [Encoding::Native, Encoding::Xdr] {
        let bytes = list.encode(encoding, ByteOrder::Big).unwrap();
        assert_eq!(NvList::decode(&bytes).unwrap(), list);
    }
    let refused = list.insert("n".repeat(MAX_NAME_LEN + 1), 1_u64);
    assert!(matches!(
        refused,
        Err(Error::NameTooLong { length: 32_767 })
    ));
}

#[test]
fn an_empty_xdr_array_leaves_its_count_over_at_the_end() {
    let mut list = NvList::new();
    list.insert("e", Vec::<u64>::new()).unwrap();
    let bytes = list.encode(Encoding::Xdr, ByteOrder::Little).unwrap();
    // 12 heads, 24 pair without a value, 8 end mark, 4 left over.
    assert_eq!(bytes.len(), 48);
    assert_eq!(bytes[12..16], 28_u32.to_be_bytes());
    let decoded = NvList::decode_prefix(&bytes).unwrap();
    assert_eq!((decoded.list, decoded.length), (list, 44));
}

#[test]
fn xdr_bytes_are_read_zero_and_sign_extended() {
    let mut list = NvList::new();
    list.insert("b", -1_i8).unwrap();
    let mut bytes = list.encode(Encoding::Xdr, ByteOrder::Little).unwrap();
    assert_eq!(bytes[36..40], [0, 0, 0, 0xff]);
    bytes[36..40].fill(0xff);
    assert_eq!(NvList::decode(&bytes).unwrap(), list);
    bytes[36..40].copy_from_slice(&[0, 0, 1, 0xff]);
    assert!(matches!(problem(&bytes), Problem::BadValue { .. }));
}

#[test]
fn typed_access_tells_missing_from_wrong() {
    let list = one();
    assert_eq!(list.get_u32("a"), None);
    let wrong = list.require_u32("a").unwrap_err();
    assert_eq!(
        wrong.to_string(),
        r#"the nvlist's "a" is of type uint64, not uint32"#
    );
    let missing = list.require_u32("b").unwrap_err();
    assert_eq!(missing.to_string(), r#"the nvlist has no "b""#);
    assert_eq!(list.require_u64("a").unwrap(), 1);
}

#[test]
fn long_lists_find_replace_and_remove_by_name() {
    let mut list = NvList::new();
    for number in 0..1_000_u64 {
        list.insert(format!("tank@{number}"), number).unwrap();
    }
    list.insert("tank@500", 1_u64).unwrap();
    assert_eq!(list.len(), 1_000);
    assert_eq!(list.get_u64("tank@500"), Some(1));
    assert_eq!(list.remove("tank@20"), Some(Value::Uint64(20)));
    assert_eq!(list.remove("tank@20"), None);
    assert_eq!(list.get_u64("tank@999"), Some(999));
    list.insert("tank@20", 7_u64).unwrap();
    assert_eq!(list.get_u64("tank@20"), Some(7));
    assert_eq!(list.iter().last().unwrap().0, "tank@20");
}

#[test]
fn display_indents_what_is_inside() {
    assert_eq!(nested().to_string(), "n:\n    f\ns[0]: 'x'\ns[1]: 'yz'\n");
}

fn string() -> impl Strategy<Value = NvString> {
    prop::collection::vec(1_u8.., 0..12).prop_map(|bytes| NvString::new(bytes).unwrap())
}

fn leaf() -> impl Strategy<Value = Value> {
    fn some<T: Arbitrary>() -> impl Strategy<Value = Vec<T>> {
        prop::collection::vec(any::<T>(), 0..4)
    }
    let scalars = prop_oneof![
        Just(Value::Boolean),
        any::<u8>().prop_map(Value::Byte),
        any::<i8>().prop_map(Value::Int8),
        any::<u8>().prop_map(Value::Uint8),
        any::<i16>().prop_map(Value::Int16),
        any::<u16>().prop_map(Value::Uint16),
        any::<i32>().prop_map(Value::Int32),
        any::<u32>().prop_map(Value::Uint32),
        any::<i64>().prop_map(Value::Int64),
        any::<u64>().prop_map(Value::Uint64),
        any::<i64>().prop_map(Value::Hrtime),
        any::<f64>().prop_map(Value::Double),
        any::<bool>().prop_map(Value::BooleanValue),
        string().prop_map(Value::String),
    ];
    let arrays = prop_oneof![
        some().prop_map(Value::ByteArray),
        some().prop_map(Value::Int8Array),
        some().prop_map(Value::Uint8Array),
        some().prop_map(Value::Int16Array),
        some().prop_map(Value::Uint16Array),
        some().prop_map(Value::Int32Array),
        some().prop_map(Value::Uint32Array),
        some().prop_map(Value::Int64Array),
        some().prop_map(Value::Uint64Array),
        some().prop_map(Value::BooleanArray),
        prop::collection::vec(string(), 0..4).prop_map(Value::StringArray),
    ];
    prop_oneof![scalars, arrays]
}

fn list_of(value: impl Strategy<Value = Value>) -> impl Strategy<Value = NvList> {
    let flags = prop_oneof![
        Just(NvFlags::UNIQUE_NAME),
        Just(NvFlags::UNIQUE_NAME_TYPE),
        Just(NvFlags::NONE)
    ];
    let pairs = prop::collection::vec((string(), value), 0..10);
    (flags, pairs).prop_map(|(flags, pairs)| {
        let mut list = NvList::with_flags(flags);
        for (name, value) in pairs {
            list.insert(name, value).unwrap();
        }
        list
    })
}

fn any_list() -> impl Strategy<Value = NvList> {
    let value = leaf().prop_recursive(3, 16, 3, |inner| {
        let lists = prop::collection::vec(list_of(inner.clone()), 0..3);
        prop_oneof![
            list_of(inner).prop_map(Value::NvList),
            lists.prop_map(Value::NvListArray),
        ]
    });
    list_of(value)
}

proptest! {
    #[test]
    fn what_was_packed_is_read_back(list in any_list()) {
        for encoding in [Encoding::Native, Encoding::Xdr] {
            for order in [ByteOrder::Little, ByteOrder::Big] {
                let bytes = list.encode(encoding, order).unwrap();
                let decoded = NvList::decode_prefix(&bytes).unwrap();
                prop_assert_eq!(&decoded.list, &list);
                prop_assert_eq!((decoded.encoding, decoded.order), (encoding, order));
                prop_assert!(decoded.length <= bytes.len());
                prop_assert!(bytes[decoded.length..].iter().all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn flipped_bits_never_panic(list in any_list(), at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        for encoding in [Encoding::Native, Encoding::Xdr] {
            let mut bytes = list.encode(encoding, ByteOrder::Little).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1_u8 << bit;
            // Whatever is still a list packs and reads again.
            if let Ok(read) = NvList::decode(&bytes) {
                let again = read.encode(encoding, ByteOrder::Little).unwrap();
                let again = NvList::decode(&again).unwrap();
                prop_assert_eq!(format!("{again:?}"), format!("{read:?}"));
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..300), xdr in any::<bool>()) {
        if let [encoding, order, ..] = &mut bytes[..] {
            *encoding = u8::from(xdr);
            *order &= 1;
        }
        let _ = NvList::decode(&bytes);
    }
}
