//! Lists through the real libnvpair and back, by the names of the 107 tests of
//! OpenZFS' Python binding (`TestNVList` in contrib/pyzfs, Apache-2.0).
//!
//! What fits must come back as it went in, from libnvpair and from our own
//! packing, in both encodings. What does not fit its type must
//! not become a value at all.

use std::ptr;

use zfs_stream::nvlist::{ByteOrder, DataType, Encoding, NvList, NvString, Value};
use zfs_sys::Lib;

use DataType::{
    BooleanValue as Bool, Byte, Int8, Int16, Int32, Int64, String, Uint8, Uint16, Uint32, Uint64,
};

enum Case {
    /// A list that comes back.
    List(fn() -> NvList),
    /// A number of that type under that name, which fits or does not.
    One(&'static str, DataType, i128, bool),
    /// An array of numbers of that type.
    Many(DataType, &'static [i128], bool),
    /// An array that is not read as one of another type.
    Other(DataType, &'static [i128], DataType),
    /// A name that is refused.
    Name(&'static str),
    /// A packed list with another number at that place, which neither side
    /// unpacks.
    Packed(usize, i32),
}

const FITS: bool = true;
const NOT: bool = false;

/// Where a packed list in native encoding has the count and the type of its
/// first pair (`nvpair_t`, after the stream's and the list's headers).
const COUNT_AT: usize = 4 + 8 + 8;
const TYPE_AT: usize = COUNT_AT + 4;

#[rustfmt::skip]
const ROWS: [(&str, Case); 107] = [
    ("empty", Case::List(NvList::new)),
    ("invalid_key_type", Case::Name("key\0")),
    ("invalid_val_type__tuple", Case::Packed(TYPE_AT, 0)),
    ("invalid_val_type__set", Case::Packed(TYPE_AT, 28)),
    ("invalid_array_val_type", Case::Packed(COUNT_AT, -1)),
    ("invalid_array_of_arrays_val_type", Case::Packed(COUNT_AT, 2)),
    ("string_value", Case::List(a_string)),
    ("implicit_boolean_value", Case::List(a_flag)),
    ("boolean_values", Case::List(booleans)),
    ("explicit_boolean_true_value", Case::One("key", Bool, 1, FITS)),
    ("explicit_boolean_false_value", Case::One("key", Bool, 0, FITS)),
    ("explicit_boolean_invalid_value", Case::One("key", Bool, 2, NOT)),
    ("explicit_boolean_another_invalid_value", Case::One("key", Bool, -1, NOT)),
    ("uint64_value", Case::One("key", Uint64, 1, FITS)),
    ("uint64_max_value", Case::One("key", Uint64, 18_446_744_073_709_551_615, FITS)),
    ("uint64_too_large_value", Case::One("key", Uint64, 18_446_744_073_709_551_616, NOT)),
    ("uint64_negative_value", Case::One("key", Uint64, -1, NOT)),
    ("explicit_uint64_value", Case::One("key", Uint64, 1, FITS)),
    ("explicit_uint64_max_value", Case::One("key", Uint64, 18_446_744_073_709_551_615, FITS)),
    ("explicit_uint64_too_large_value", Case::One("key", Uint64, 18_446_744_073_709_551_616, NOT)),
    ("explicit_uint64_negative_value", Case::One("key", Uint64, -1, NOT)),
    ("explicit_uint32_value", Case::One("key", Uint32, 1, FITS)),
    ("explicit_uint32_max_value", Case::One("key", Uint32, 4_294_967_295, FITS)),
    ("explicit_uint32_too_large_value", Case::One("key", Uint32, 4_294_967_296, NOT)),
    ("explicit_uint32_negative_value", Case::One("key", Uint32, -1, NOT)),
    ("explicit_uint16_value", Case::One("key", Uint16, 1, FITS)),
    ("explicit_uint16_max_value", Case::One("key", Uint16, 65_535, FITS)),
    ("explicit_uint16_too_large_value", Case::One("key", Uint16, 65_536, NOT)),
    ("explicit_uint16_negative_value", Case::One("key", Uint16, -1, NOT)),
    ("explicit_uint8_value", Case::One("key", Uint8, 1, FITS)),
    ("explicit_uint8_max_value", Case::One("key", Uint8, 255, FITS)),
    ("explicit_uint8_too_large_value", Case::One("key", Uint8, 256, NOT)),
    ("explicit_uint8_negative_value", Case::One("key", Uint8, -1, NOT)),
    ("explicit_byte_value", Case::One("key", Byte, 1, FITS)),
    ("explicit_byte_max_value", Case::One("key", Byte, 255, FITS)),
    ("explicit_byte_too_large_value", Case::One("key", Byte, 256, NOT)),
    ("explicit_byte_negative_value", Case::One("key", Byte, -1, NOT)),
    ("explicit_int64_value", Case::One("key", Int64, 1, FITS)),
    ("explicit_int64_max_value", Case::One("key", Int64, 9_223_372_036_854_775_807, FITS)),
    ("explicit_int64_min_value", Case::One("key", Int64, -9_223_372_036_854_775_808, FITS)),
    ("explicit_int64_too_large_value", Case::One("key", Int64, 9_223_372_036_854_775_808, NOT)),
    ("explicit_int64_too_small_value", Case::One("key", Int64, -9_223_372_036_854_775_809, NOT)),
    ("explicit_int32_value", Case::One("key", Int32, 1, FITS)),
    ("explicit_int32_max_value", Case::One("key", Int32, 2_147_483_647, FITS)),
    ("explicit_int32_min_value", Case::One("key", Int32, -2_147_483_648, FITS)),
    ("explicit_int32_too_large_value", Case::One("key", Int32, 2_147_483_648, NOT)),
    ("explicit_int32_too_small_value", Case::One("key", Int32, -2_147_483_649, NOT)),
    ("explicit_int16_value", Case::One("key", Int16, 1, FITS)),
    ("explicit_int16_max_value", Case::One("key", Int16, 32_767, FITS)),
    ("explicit_int16_min_value", Case::One("key", Int16, -32_768, FITS)),
    ("explicit_int16_too_large_value", Case::One("key", Int16, 32_768, NOT)),
    ("explicit_int16_too_small_value", Case::One("key", Int16, -32_769, NOT)),
    ("explicit_int8_value", Case::One("key", Int8, 1, FITS)),
    ("explicit_int8_max_value", Case::One("key", Int8, 127, FITS)),
    ("explicit_int8_min_value", Case::One("key", Int8, -128, FITS)),
    ("explicit_int8_too_large_value", Case::One("key", Int8, 128, NOT)),
    ("explicit_int8_too_small_value", Case::One("key", Int8, -129, NOT)),
    ("nested_dict", Case::List(nested)),
    ("nested_nested_dict", Case::List(nested_twice)),
    ("mismatching_values_array", Case::Other(Uint64, &[1], String)),
    ("mismatching_values_array2", Case::Other(Bool, &[1], Uint64)),
    ("mismatching_values_array3", Case::Other(Uint64, &[1], Bool)),
    ("string_array", Case::List(strings)),
    ("boolean_array", Case::Many(Bool, &[1, 0], FITS)),
    ("explicit_boolean_array", Case::Many(Bool, &[0, 1], FITS)),
    ("uint64_array", Case::Many(Uint64, &[0, 1, 18_446_744_073_709_551_615], FITS)),
    ("uint64_array_too_large_value", Case::Many(Uint64, &[0, 18_446_744_073_709_551_616], NOT)),
    ("uint64_array_negative_value", Case::Many(Uint64, &[0, -1], NOT)),
    ("mixed_explict_int_array", Case::Other(Uint64, &[0, 0], Uint32)),
    ("explict_uint64_array", Case::Many(Uint64, &[0, 1, 18_446_744_073_709_551_615], FITS)),
    ("explict_uint64_array_too_large_value", Case::Many(Uint64, &[0, 18_446_744_073_709_551_616], NOT)),
    ("explict_uint64_array_negative_value", Case::Many(Uint64, &[0, -1], NOT)),
    ("explict_uint32_array", Case::Many(Uint32, &[0, 1, 4_294_967_295], FITS)),
    ("explict_uint32_array_too_large_value", Case::Many(Uint32, &[0, 4_294_967_296], NOT)),
    ("explict_uint32_array_negative_value", Case::Many(Uint32, &[0, -1], NOT)),
    ("explict_uint16_array", Case::Many(Uint16, &[0, 1, 65_535], FITS)),
    ("explict_uint16_array_too_large_value", Case::Many(Uint16, &[0, 65_536], NOT)),
    ("explict_uint16_array_negative_value", Case::Many(Uint16, &[0, -1], NOT)),
    ("explict_uint8_array", Case::Many(Uint8, &[0, 1, 255], FITS)),
    ("explict_uint8_array_too_large_value", Case::Many(Uint8, &[0, 256], NOT)),
    ("explict_uint8_array_negative_value", Case::Many(Uint8, &[0, -1], NOT)),
    ("explict_byte_array", Case::Many(Byte, &[0, 1, 255], FITS)),
    ("explict_byte_array_too_large_value", Case::Many(Byte, &[0, 256], NOT)),
    ("explict_byte_array_negative_value", Case::Many(Byte, &[0, -1], NOT)),
    ("explict_int64_array", Case::Many(Int64, &[0, 1, 9_223_372_036_854_775_807, -9_223_372_036_854_775_808], FITS)),
    ("explict_int64_array_too_large_value", Case::Many(Int64, &[0, 9_223_372_036_854_775_808], NOT)),
    ("explict_int64_array_too_small_value", Case::Many(Int64, &[0, -9_223_372_036_854_775_809], NOT)),
    ("explict_int32_array", Case::Many(Int32, &[0, 1, 2_147_483_647, -2_147_483_648], FITS)),
    ("explict_int32_array_too_large_value", Case::Many(Int32, &[0, 2_147_483_648], NOT)),
    ("explict_int32_array_too_small_value", Case::Many(Int32, &[0, -2_147_483_649], NOT)),
    ("explict_int16_array", Case::Many(Int16, &[0, 1, 32_767, -32_768], FITS)),
    ("explict_int16_array_too_large_value", Case::Many(Int16, &[0, 32_768], NOT)),
    ("explict_int16_array_too_small_value", Case::Many(Int16, &[0, -32_769], NOT)),
    ("explict_int8_array", Case::Many(Int8, &[0, 1, 127, -128], FITS)),
    ("explict_int8_array_too_large_value", Case::Many(Int8, &[0, 128], NOT)),
    ("explict_int8_array_too_small_value", Case::Many(Int8, &[0, -129], NOT)),
    ("dict_array", Case::List(lists)),
    ("implicit_uint32_value", Case::One("rewind-request", Uint32, 1, FITS)),
    ("implicit_uint32_max_value", Case::One("rewind-request", Uint32, 4_294_967_295, FITS)),
    ("implicit_uint32_too_large_value", Case::One("rewind-request", Uint32, 4_294_967_296, NOT)),
    ("implicit_uint32_negative_value", Case::One("rewind-request", Uint32, -1, NOT)),
    ("implicit_int32_value", Case::One("pool_context", Int32, 1, FITS)),
    ("implicit_int32_max_value", Case::One("pool_context", Int32, 2_147_483_647, FITS)),
    ("implicit_int32_min_value", Case::One("pool_context", Int32, -2_147_483_648, FITS)),
    ("implicit_int32_too_large_value", Case::One("pool_context", Int32, 2_147_483_648, NOT)),
    ("implicit_int32_too_small_value", Case::One("pool_context", Int32, -2_147_483_649, NOT)),
    ("complex_dict", Case::List(of_everything)),
];

/// A value of that type, where the number fits it.
fn one(data_type: DataType, number: i128) -> Option<Value> {
    Some(match data_type {
        Bool => Value::BooleanValue(boolean(number)?),
        Byte => Value::Byte(number.try_into().ok()?),
        Uint8 => Value::Uint8(number.try_into().ok()?),
        Uint16 => Value::Uint16(number.try_into().ok()?),
        Uint32 => Value::Uint32(number.try_into().ok()?),
        Uint64 => Value::Uint64(number.try_into().ok()?),
        Int8 => Value::Int8(number.try_into().ok()?),
        Int16 => Value::Int16(number.try_into().ok()?),
        Int32 => Value::Int32(number.try_into().ok()?),
        Int64 => Value::Int64(number.try_into().ok()?),
        other => panic!("{other} is no number"),
    })
}

fn boolean(number: i128) -> Option<bool> {
    match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn all<T: TryFrom<i128>>(numbers: &[i128]) -> Option<Vec<T>> {
    numbers
        .iter()
        .map(|number| T::try_from(*number).ok())
        .collect()
}

fn many(data_type: DataType, numbers: &[i128]) -> Option<Value> {
    Some(match data_type {
        Bool => Value::BooleanArray(numbers.iter().map(|n| boolean(*n)).collect::<Option<_>>()?),
        Byte => Value::ByteArray(all(numbers)?),
        Uint8 => Value::Uint8Array(all(numbers)?),
        Uint16 => Value::Uint16Array(all(numbers)?),
        Uint32 => Value::Uint32Array(all(numbers)?),
        Uint64 => Value::Uint64Array(all(numbers)?),
        Int8 => Value::Int8Array(all(numbers)?),
        Int16 => Value::Int16Array(all(numbers)?),
        Int32 => Value::Int32Array(all(numbers)?),
        Int64 => Value::Int64Array(all(numbers)?),
        other => panic!("{other} is no number"),
    })
}

fn with(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> NvList {
    let mut list = NvList::new();
    for (name, value) in pairs {
        list.insert(name, value).expect("a name");
    }
    list
}

fn text(text: &str) -> Value {
    Value::String(NvString::new(text).expect("a text"))
}

fn texts(texts: &[&str]) -> Value {
    let texts = texts
        .iter()
        .map(|text| NvString::new(*text).expect("a text"));
    Value::StringArray(texts.collect())
}

fn a_string() -> NvList {
    with([("key", text("value"))])
}

fn a_flag() -> NvList {
    with([("key", Value::Boolean)])
}

fn booleans() -> NvList {
    with([("key1", true.into()), ("key2", false.into())])
}

fn strings() -> NvList {
    with([("key", texts(&["value", "value2"]))])
}

fn nested() -> NvList {
    with([("key", NvList::new().into())])
}

fn nested_twice() -> NvList {
    with([("key", nested().into())])
}

fn lists() -> NvList {
    let lists = vec![with([("key", 1_u64.into())]), a_flag(), nested()];
    with([("key", Value::NvListArray(lists))])
}

fn of_everything() -> NvList {
    let inner = with([
        ("first", true.into()),
        ("second", Value::Boolean),
        ("third", Value::BooleanArray(vec![true, false, true])),
    ]);
    let row = |one, other| with([("left", text(one)), ("right", text(other))]);
    with([
        ("text", text("some")),
        ("number", 10_u64.into()),
        ("list", inner.into()),
        ("texts", texts(&["ab", "bc"])),
        ("numbers", Value::Uint64Array(vec![u64::MAX, 1, 2, 3])),
        (
            "rows",
            Value::NvListArray(vec![row("a", "b"), row("c", "d"), row("e", "f")]),
        ),
        ("type", u32::MAX.into()),
        ("pool_context", i32::MIN.into()),
    ])
}

/// Unpacks what is packed, and packs that again in both encodings: native, and
/// XDR. None where libnvpair refuses it.
fn through_libnvpair(packed: &[u8]) -> Option<[Vec<u8>; 2]> {
    let lib = Lib::load().expect("libnvpair");
    let mut words = vec![0_u64; packed.len().div_ceil(8)];
    for (word, bytes) in words.iter_mut().zip(packed.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(whole);
    }
    // SAFETY: the words hold as many bytes as are told, and outlive the call;
    // the list that comes out is used here alone, and freed once; packing gets
    // a buffer of the size that it asked for, aligned to 8 bytes.
    #[expect(unsafe_code, reason = "it is libnvpair that is asked, without a pool")]
    unsafe {
        let mut list = ptr::null_mut();
        if lib
            .nvpair
            .nvlist_unpack(words.as_mut_ptr().cast(), packed.len(), &raw mut list, 0)
            != 0
        {
            return None;
        }
        let pack = |encoding: i32| {
            let mut size = 0_usize;
            assert_eq!(lib.nvpair.nvlist_size(list, &raw mut size, encoding), 0);
            let mut words = vec![0_u64; size.div_ceil(8)];
            let mut buffer = words.as_mut_ptr().cast();
            let packed = lib
                .nvpair
                .nvlist_pack(list, &raw mut buffer, &raw mut size, encoding, 0);
            assert_eq!(packed, 0);
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            bytes.truncate(size);
            bytes
        };
        let both = [pack(0), pack(1)];
        lib.nvpair.nvlist_free(list);
        Some(both)
    }
}

fn comes_back(name: &str, list: &NvList) {
    let pack = |encoding| list.encode(encoding, ByteOrder::NATIVE).expect("it packs");
    let ours = [pack(Encoding::Native), pack(Encoding::Xdr)];
    for packed in &ours {
        assert_eq!(
            NvList::decode(packed).ok().as_ref(),
            Some(list),
            "{name}: by us"
        );
        let theirs = through_libnvpair(packed);
        let theirs = theirs.unwrap_or_else(|| panic!("{name}: libnvpair refuses it"));
        assert_eq!(theirs[0], ours[0], "{name}: libnvpair packs it otherwise");
        // In XDR the kernel extends small numbers with zeroes, as we do, and
        // libtirpc, which libnvpair uses, with their sign.
        assert_eq!(theirs[1].len(), ours[1].len(), "{name}: in XDR");
        for packed in &theirs {
            assert_eq!(
                NvList::decode(packed).ok().as_ref(),
                Some(list),
                "{name}: by libnvpair"
            );
        }
    }
}

fn judge(name: &str, case: &Case) {
    let value = |made: Option<Value>, key: &'static str, fits: bool| {
        assert_eq!(made.is_some(), fits, "{name}");
        if let Some(value) = made {
            comes_back(name, &with([(key, value)]));
        }
    };
    match case {
        Case::List(list) => comes_back(name, &list()),
        Case::One(key, data_type, number, fits) => value(one(*data_type, *number), key, *fits),
        Case::Many(data_type, numbers, fits) => value(many(*data_type, numbers), "key", *fits),
        Case::Other(data_type, numbers, other) => {
            let list = with([("key", many(*data_type, numbers).expect("it fits"))]);
            comes_back(name, &list);
            assert_ne!(
                list.get("key").map(Value::data_type),
                Some(*other),
                "{name}"
            );
            assert!(list.get_string_array("key").is_none(), "{name}");
            assert!(list.get_u64("key").is_none(), "{name}");
        }
        Case::Name(key) => {
            NvList::new().insert(key, 1_u64).expect_err(name);
        }
        Case::Packed(at, number) => {
            let list = with([("key", 1_u64.into())]);
            let mut packed = list
                .encode(Encoding::Native, ByteOrder::NATIVE)
                .expect("it packs");
            packed[*at..at + 4].copy_from_slice(&number.to_ne_bytes());
            NvList::decode(&packed).expect_err(name);
            assert_eq!(through_libnvpair(&packed), None, "{name}: by libnvpair");
        }
    }
}

#[test]
fn all_107_cases_come_back_or_are_refused() {
    let mut names: Vec<_> = ROWS.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 107);
    for (name, case) in &ROWS {
        println!("{name}");
        judge(name, case);
    }
}
