//! The XDR encoding (RFC 4506): big-endian, everything a multiple of 4 bytes.
//!
//! ```text
//! list: version i32, flags u32, pair*, zero u32, zero u32
//! pair: xdr size i32, native size i32, name string, type i32, count i32, value
//! ```
//!
//! Arrays of numbers state their count a second time, byte arrays and arrays
//! of strings do not; numbers below 32 bits take 4 bytes each, in arrays too.
//! An empty array has no value at all, although its size is counted as if it
//! had its second count: libnvpair leaves those 4 bytes over at the buffer's
//! end, and so does this.

#![expect(
    clippy::cast_possible_wrap,
    reason = "signed numbers travel as their bits"
)]

use super::cursor::Cursor;
use super::native::pair_len;
use super::value::count_fits;
use super::{
    ByteOrder, DataType, HEADER_LEN, MAX_DEPTH, MAX_NAME_LEN, MAX_PACKED, NvFlags, NvList,
    NvString, Problem, Value,
};
use crate::Result;

fn align4(length: usize) -> usize {
    length.saturating_add(3) & !3
}

pub(super) fn decode(bytes: &[u8]) -> Result<(NvList, usize)> {
    let mut cursor = Cursor::new(bytes, HEADER_LEN, ByteOrder::Big);
    let list = list(&mut cursor, 0)?;
    Ok((list, cursor.at()))
}

fn list(cursor: &mut Cursor<'_>, depth: usize) -> Result<NvList> {
    if depth > MAX_DEPTH {
        return Err(cursor.error(Problem::TooDeep));
    }
    let version = cursor.i32()?;
    if version != 0 {
        return Err(cursor.error(Problem::UnknownVersion(version)));
    }
    let mut list = NvList::with_flags(NvFlags::from_raw(cursor.u32()?));
    loop {
        // libnvpair never looks at the first size; the second ends the list
        // and must be right.
        let (_xdr_size, native_size) = (cursor.i32()?, cursor.i32()?);
        if native_size == 0 {
            list.shrink();
            return Ok(list);
        }
        let name = string(cursor)?;
        if name.as_bytes().len() > MAX_NAME_LEN {
            return Err(cursor.error(Problem::BadName));
        }
        let number = cursor.i32()?;
        let data_type =
            DataType::from_raw(number).ok_or_else(|| cursor.error(Problem::UnknownType(number)))?;
        let count = cursor.i32()?;
        if !count_fits(data_type, count) {
            return Err(cursor.error(Problem::BadCount { data_type, count }));
        }
        let value = value(cursor, data_type, count, depth)?;
        if usize::try_from(native_size).ok() != Some(pair_len(&name, value.native_len())) {
            return Err(cursor.error(Problem::BadSize(native_size)));
        }
        if list.clash(&name, data_type).is_some() {
            return Err(cursor.error(Problem::DuplicateName));
        }
        list.push(name, value);
    }
}

fn value(cursor: &mut Cursor<'_>, data_type: DataType, count: i32, depth: usize) -> Result<Value> {
    Ok(match data_type {
        DataType::Boolean => Value::Boolean,
        DataType::Byte => Value::Byte(byte(cursor, data_type)?),
        DataType::Uint8 => Value::Uint8(byte(cursor, data_type)?),
        DataType::Int8 => Value::Int8(byte(cursor, data_type)? as i8),
        DataType::Int16 => Value::Int16(short(cursor, data_type)? as i16),
        DataType::Uint16 => Value::Uint16(short(cursor, data_type)?),
        DataType::Int32 => Value::Int32(cursor.i32()?),
        DataType::Uint32 => Value::Uint32(cursor.u32()?),
        DataType::Int64 => Value::Int64(cursor.u64()? as i64),
        DataType::Hrtime => Value::Hrtime(cursor.u64()? as i64),
        DataType::Uint64 => Value::Uint64(cursor.u64()?),
        DataType::Double => Value::Double(f64::from_bits(cursor.u64()?)),
        DataType::BooleanValue => Value::BooleanValue(boolean(cursor)?),
        DataType::String => Value::String(string(cursor)?),
        DataType::ByteArray => Value::ByteArray(opaque(cursor, count as usize)?.to_vec()),
        DataType::StringArray => Value::StringArray(elements(cursor, data_type, count, 4, string)?),
        DataType::NvList => Value::NvList(list(cursor, depth + 1)?),
        DataType::NvListArray => {
            Value::NvListArray(elements(cursor, data_type, count, 16, |cursor| {
                list(cursor, depth + 1)
            })?)
        }
        DataType::Uint8Array => {
            Value::Uint8Array(array(cursor, data_type, count, 4, |c| byte(c, data_type))?)
        }
        DataType::Int8Array => Value::Int8Array(array(cursor, data_type, count, 4, |c| {
            byte(c, data_type).map(|byte| byte as i8)
        })?),
        DataType::Int16Array => Value::Int16Array(array(cursor, data_type, count, 4, |c| {
            short(c, data_type).map(|short| short as i16)
        })?),
        DataType::Uint16Array => {
            Value::Uint16Array(array(cursor, data_type, count, 4, |c| short(c, data_type))?)
        }
        DataType::Int32Array => Value::Int32Array(array(cursor, data_type, count, 4, Cursor::i32)?),
        DataType::Uint32Array => {
            Value::Uint32Array(array(cursor, data_type, count, 4, Cursor::u32)?)
        }
        DataType::Int64Array => Value::Int64Array(array(cursor, data_type, count, 8, |c| {
            c.u64().map(|number| number as i64)
        })?),
        DataType::Uint64Array => {
            Value::Uint64Array(array(cursor, data_type, count, 8, Cursor::u64)?)
        }
        DataType::BooleanArray => Value::BooleanArray(array(cursor, data_type, count, 4, boolean)?),
    })
}

/// `count` elements that take at least `least` bytes each.
fn elements<'a, T>(
    cursor: &mut Cursor<'a>,
    data_type: DataType,
    count: i32,
    least: usize,
    mut element: impl FnMut(&mut Cursor<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let number = count as usize;
    if number.saturating_mul(least) > cursor.rest().len() {
        return Err(cursor.error(Problem::BadCount { data_type, count }));
    }
    (0..number).map(|_| element(cursor)).collect()
}

/// Elements with their count before them, unless there are none.
fn array<'a, T>(
    cursor: &mut Cursor<'a>,
    data_type: DataType,
    count: i32,
    least: usize,
    element: impl FnMut(&mut Cursor<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let again = cursor.i32()?;
    if again != count {
        let count = again;
        return Err(cursor.error(Problem::BadCount { data_type, count }));
    }
    elements(cursor, data_type, count, least, element)
}

/// Bytes, padded to a multiple of 4.
fn opaque<'a>(cursor: &mut Cursor<'a>, length: usize) -> Result<&'a [u8]> {
    let padded = cursor.take(align4(length))?;
    Ok(padded.get(..length).unwrap_or_default())
}

fn string(cursor: &mut Cursor<'_>) -> Result<NvString> {
    let length = cursor.u32()? as usize;
    let bytes = opaque(cursor, length)?;
    NvString::new(bytes).map_err(|_| cursor.error(Problem::BadString))
}

fn boolean(cursor: &mut Cursor<'_>) -> Result<bool> {
    match cursor.u32()? {
        0 => Ok(false),
        1 => Ok(true),
        value => Err(cursor.error(Problem::BadValue {
            data_type: DataType::BooleanValue,
            value,
        })),
    }
}

/// A `char`: the kernel writes it zero-extended and reads nothing else, libtirpc
/// writes it sign-extended.
fn byte(cursor: &mut Cursor<'_>, data_type: DataType) -> Result<u8> {
    let value = cursor.u32()?;
    match value {
        0..=0xff | 0xffff_ff80..=0xffff_ffff => Ok(value as u8),
        _ => Err(cursor.error(Problem::BadValue { data_type, value })),
    }
}

/// A `short`, written both ways too.
fn short(cursor: &mut Cursor<'_>, data_type: DataType) -> Result<u16> {
    let value = cursor.u32()?;
    match value {
        0..=0xffff | 0xffff_8000..=0xffff_ffff => Ok(value as u16),
        _ => Err(cursor.error(Problem::BadValue { data_type, value })),
    }
}

pub(super) fn encode(list: &NvList, out: &mut Vec<u8>) -> std::result::Result<(), Problem> {
    let left_over = put_list(list, out, 0)?;
    out.resize(out.len() + left_over, 0);
    if out.len() > MAX_PACKED {
        return Err(Problem::TooLarge);
    }
    Ok(())
}

/// Returns how many bytes libnvpair counts for the list but does not write.
fn put_list(list: &NvList, out: &mut Vec<u8>, depth: usize) -> std::result::Result<usize, Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::TooDeep);
    }
    put_u32(out, 0);
    put_u32(out, list.flags().to_raw());
    let mut left_over = 0;
    for (name, value) in list {
        let start = out.len();
        let native_size =
            i32::try_from(pair_len(name, value.native_len())).map_err(|_| Problem::TooLarge)?;
        put_u32(out, 0);
        put_u32(out, native_size as u32);
        put_string(out, name);
        put_u32(out, value.data_type().to_raw() as u32);
        put_u32(out, value.count() as u32);
        let uncounted = put_value(value, out, depth)?;
        if out.len() > MAX_PACKED {
            return Err(Problem::TooLarge);
        }
        let size = ((out.len() - start + uncounted) as u32).to_be_bytes();
        if let Some(place) = out.get_mut(start..start + 4) {
            place.copy_from_slice(&size);
        }
        left_over += uncounted;
    }
    put_u32(out, 0);
    put_u32(out, 0);
    Ok(left_over)
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

fn put_opaque(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
    out.resize(out.len() + align4(bytes.len()) - bytes.len(), 0);
}

fn put_string(out: &mut Vec<u8>, string: &NvString) {
    put_u32(out, string.as_bytes().len() as u32);
    put_opaque(out, string.as_bytes());
}

/// Zero-extends, which the kernel and libtirpc both read.
fn put_value(
    value: &Value,
    out: &mut Vec<u8>,
    depth: usize,
) -> std::result::Result<usize, Problem> {
    fn put_array<T: Copy, const N: usize>(
        out: &mut Vec<u8>,
        array: &[T],
        bytes: impl Fn(T) -> [u8; N],
    ) -> usize {
        if array.is_empty() {
            return 4;
        }
        put_u32(out, array.len() as u32);
        for &number in array {
            out.extend_from_slice(&bytes(number));
        }
        0
    }
    match value {
        Value::Boolean => {}
        Value::Byte(number) | Value::Uint8(number) => put_u32(out, u32::from(*number)),
        Value::Int8(number) => put_u32(out, u32::from(*number as u8)),
        Value::Int16(number) => put_u32(out, u32::from(*number as u16)),
        Value::Uint16(number) => put_u32(out, u32::from(*number)),
        Value::Int32(number) => out.extend_from_slice(&number.to_be_bytes()),
        Value::Uint32(number) => put_u32(out, *number),
        Value::Int64(number) | Value::Hrtime(number) => {
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Uint64(number) => out.extend_from_slice(&number.to_be_bytes()),
        Value::Double(number) => out.extend_from_slice(&number.to_bits().to_be_bytes()),
        Value::BooleanValue(truth) => put_u32(out, u32::from(*truth)),
        Value::String(string) => put_string(out, string),
        Value::ByteArray(array) => put_opaque(out, array),
        Value::StringArray(array) => {
            for string in array {
                put_string(out, string);
            }
        }
        Value::NvList(list) => return put_list(list, out, depth + 1),
        Value::NvListArray(lists) => {
            let mut left_over = 0;
            for list in lists {
                left_over += put_list(list, out, depth + 1)?;
            }
            return Ok(left_over);
        }
        Value::Uint8Array(array) => {
            return Ok(put_array(out, array, |n| u32::from(n).to_be_bytes()));
        }
        Value::Int8Array(array) => {
            return Ok(put_array(out, array, |n| u32::from(n as u8).to_be_bytes()));
        }
        Value::Int16Array(array) => {
            return Ok(put_array(out, array, |n| u32::from(n as u16).to_be_bytes()));
        }
        Value::Uint16Array(array) => {
            return Ok(put_array(out, array, |n| u32::from(n).to_be_bytes()));
        }
        Value::Int32Array(array) => return Ok(put_array(out, array, i32::to_be_bytes)),
        Value::Uint32Array(array) => return Ok(put_array(out, array, u32::to_be_bytes)),
        Value::Int64Array(array) => return Ok(put_array(out, array, i64::to_be_bytes)),
        Value::Uint64Array(array) => return Ok(put_array(out, array, u64::to_be_bytes)),
        Value::BooleanArray(array) => {
            return Ok(put_array(out, array, |truth| {
                u32::from(truth).to_be_bytes()
            }));
        }
    }
    Ok(0)
}
