//! The native encoding: libnvpair's C structures, one after the other.
//!
//! ```text
//! list: version i32, flags u32, pair*, zero u32
//! pair: size i32, name_sz i16, 0 i16, count i32, type i32, name NUL, pad to 8, value, pad to 8
//! ```
//!
//! An embedded list's value is its 24-byte `nvlist_t` with the pointer zeroed
//! (an array's: that many zeroed pointers, then that many of those), and its
//! pairs with their end mark follow the pair, outside its size. An array of
//! strings begins with a zeroed pointer for each.

#![expect(
    clippy::cast_possible_wrap,
    reason = "sizes are checked against libnvpair's signed limits before they are cast"
)]

use super::cursor::Cursor;
use super::value::{count_fits, element_len};
use super::{
    ByteOrder, DataType, HEADER_LEN, MAX_DEPTH, MAX_PACKED, NvFlags, NvList, NvString, Problem,
    Value,
};
use crate::Result;

/// The fixed fields of a pair, before its name.
const PAIR_HEAD: usize = 16;

pub(super) fn align8(length: usize) -> usize {
    length.saturating_add(7) & !7
}

/// How many bytes a pair takes with a name of that length and a value of that
/// native length.
pub(super) fn pair_len(name: &NvString, value_len: usize) -> usize {
    align8(PAIR_HEAD + name.as_bytes().len() + 1).saturating_add(align8(value_len))
}

pub(super) fn decode(bytes: &[u8], order: ByteOrder) -> Result<(NvList, usize)> {
    let mut cursor = Cursor::new(bytes, HEADER_LEN, order);
    let mut list = list_head(&mut cursor)?;
    pairs(&mut cursor, &mut list, order, 0)?;
    Ok((list, cursor.at()))
}

/// Version and flags, as they begin every list.
fn list_head(cursor: &mut Cursor<'_>) -> Result<NvList> {
    match cursor.i32()? {
        0 => Ok(NvList::with_flags(NvFlags::from_raw(cursor.u32()?))),
        other => Err(cursor.error(Problem::UnknownVersion(other))),
    }
}

fn pairs(cursor: &mut Cursor<'_>, list: &mut NvList, order: ByteOrder, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(cursor.error(Problem::TooDeep));
    }
    loop {
        let start = cursor.at();
        let size = cursor.i32()?;
        if size == 0 {
            list.shrink();
            return Ok(());
        }
        // The size counts its own four bytes; a pair has a head and a name.
        let body = usize::try_from(size)
            .ok()
            .filter(|&size| size > PAIR_HEAD && size - 4 <= cursor.rest().len())
            .ok_or_else(|| cursor.error(Problem::BadSize(size)))?
            - 4;
        let pair_end = cursor.at() + body;
        let name_len = usize::try_from(cursor.i16()?)
            .ok()
            .filter(|&length| length > 0)
            .ok_or_else(|| cursor.error(Problem::BadName))?;
        cursor.i16()?;
        let count = cursor.i32()?;
        let number = cursor.i32()?;
        let data_type =
            DataType::from_raw(number).ok_or_else(|| cursor.error(Problem::UnknownType(number)))?;
        if !count_fits(data_type, count) {
            return Err(cursor.error(Problem::BadCount { data_type, count }));
        }
        let bad_size = |cursor: &Cursor<'_>| cursor.error(Problem::BadSize(size));
        let value_at = start + align8(PAIR_HEAD + name_len);
        let value_len = pair_end
            .checked_sub(value_at)
            .ok_or_else(|| bad_size(cursor))?;
        let name = match cursor.take(name_len)?.split_last() {
            Some((0, name)) => NvString::new(name).ok(),
            _ => None,
        }
        .ok_or_else(|| cursor.error(Problem::BadName))?;
        cursor.take(value_at - cursor.at())?;
        let count = count as usize;
        if let Some(element) = element_len(data_type) {
            // Exact, so that it bounds the count by the bytes there.
            if align8(count.saturating_mul(element)) != value_len {
                return Err(bad_size(cursor));
            }
        }
        let value = value(cursor, data_type, count, pair_end, order, depth)?;
        if align8(value.native_len()) != value_len {
            return Err(bad_size(cursor));
        }
        if list.clash(&name, data_type).is_some() {
            return Err(cursor.error(Problem::DuplicateName));
        }
        list.push(name, value);
    }
}

/// Reads the value and leaves the cursor behind the pair and, for embedded
/// lists, behind their pairs.
fn value(
    cursor: &mut Cursor<'_>,
    data_type: DataType,
    count: usize,
    pair_end: usize,
    order: ByteOrder,
    depth: usize,
) -> Result<Value> {
    let bytes = cursor.rest().get(..pair_end - cursor.at());
    let bytes = bytes.ok_or_else(|| cursor.error(Problem::Truncated))?;
    let value = match data_type {
        DataType::Boolean => Value::Boolean,
        DataType::Byte => Value::Byte(cursor.array::<1>()?[0]),
        DataType::Uint8 => Value::Uint8(cursor.array::<1>()?[0]),
        DataType::Int8 => Value::Int8(i8::from_le_bytes(cursor.array()?)),
        DataType::Int16 => Value::Int16(cursor.i16()?),
        DataType::Uint16 => Value::Uint16(order.u16(cursor.array()?)),
        DataType::Int32 => Value::Int32(cursor.i32()?),
        DataType::Uint32 => Value::Uint32(cursor.u32()?),
        DataType::Int64 => Value::Int64(order.i64(cursor.array()?)),
        DataType::Hrtime => Value::Hrtime(order.i64(cursor.array()?)),
        DataType::Uint64 => Value::Uint64(cursor.u64()?),
        DataType::Double => Value::Double(f64::from_bits(cursor.u64()?)),
        DataType::BooleanValue => {
            let number = cursor.u32()?;
            Value::BooleanValue(boolean(cursor, number)?)
        }
        DataType::ByteArray => Value::ByteArray(cursor.take(count)?.to_vec()),
        DataType::Uint8Array => Value::Uint8Array(cursor.take(count)?.to_vec()),
        DataType::Int8Array => Value::Int8Array(numbers(bytes, count, i8::from_le_bytes)),
        DataType::Int16Array => Value::Int16Array(numbers(bytes, count, |b| order.i16(b))),
        DataType::Uint16Array => Value::Uint16Array(numbers(bytes, count, |b| order.u16(b))),
        DataType::Int32Array => Value::Int32Array(numbers(bytes, count, |b| order.i32(b))),
        DataType::Uint32Array => Value::Uint32Array(numbers(bytes, count, |b| order.u32(b))),
        DataType::Int64Array => Value::Int64Array(numbers(bytes, count, |b| order.i64(b))),
        DataType::Uint64Array => Value::Uint64Array(numbers(bytes, count, |b| order.u64(b))),
        DataType::BooleanArray => Value::BooleanArray(
            numbers(bytes, count, |b| order.u32(b))
                .into_iter()
                .map(|number| boolean(cursor, number))
                .collect::<Result<_>>()?,
        ),
        DataType::String => Value::String(string(cursor, pair_end)?),
        DataType::StringArray => {
            // A pointer and at least a NUL for each.
            if count.saturating_mul(9) > bytes.len() {
                return Err(cursor.error(Problem::BadSize(bytes.len() as i32)));
            }
            cursor.take(8 * count)?;
            let strings = (0..count).map(|_| string(cursor, pair_end));
            Value::StringArray(strings.collect::<Result<_>>()?)
        }
        DataType::NvList => {
            let mut list = embedded_head(cursor)?;
            pairs(cursor, &mut list, order, depth + 1)?;
            return Ok(Value::NvList(list));
        }
        DataType::NvListArray => {
            cursor.take(8 * count)?;
            let lists = (0..count).map(|_| embedded_head(cursor));
            let mut lists: Vec<_> = lists.collect::<Result<_>>()?;
            for list in &mut lists {
                pairs(cursor, list, order, depth + 1)?;
            }
            return Ok(Value::NvListArray(lists));
        }
    };
    cursor.take(pair_end.saturating_sub(cursor.at()))?;
    Ok(value)
}

/// An `nvlist_t`: version, flags, a pointer, two numbers that are not kept.
fn embedded_head(cursor: &mut Cursor<'_>) -> Result<NvList> {
    let list = list_head(cursor)?;
    cursor.take(16)?;
    Ok(list)
}

fn numbers<T, const N: usize>(bytes: &[u8], count: usize, number: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .chunks_exact(N)
        .take(count)
        .filter_map(|chunk| chunk.first_chunk().copied())
        .map(number)
        .collect()
}

/// A C `boolean_t`, which is a 32-bit number.
fn boolean(cursor: &Cursor<'_>, value: u32) -> Result<bool> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        value => Err(cursor.error(Problem::BadValue {
            data_type: DataType::BooleanValue,
            value,
        })),
    }
}

/// A string up to its NUL, which must come before `end`.
fn string(cursor: &mut Cursor<'_>, end: usize) -> Result<NvString> {
    let bytes = cursor.rest().get(..end.saturating_sub(cursor.at()));
    let length = bytes
        .and_then(|bytes| bytes.iter().position(|&byte| byte == 0))
        .ok_or_else(|| cursor.error(Problem::BadString))?;
    let string = NvString::new(cursor.take(length)?)?;
    cursor.take(1)?;
    Ok(string)
}

pub(super) fn encode(
    list: &NvList,
    order: ByteOrder,
    out: &mut Vec<u8>,
) -> std::result::Result<(), Problem> {
    out.extend_from_slice(&order.put_i32(0));
    out.extend_from_slice(&order.put_u32(list.flags().to_raw()));
    put_pairs(list, order, out, 0)
}

fn put_pairs(
    list: &NvList,
    order: ByteOrder,
    out: &mut Vec<u8>,
    depth: usize,
) -> std::result::Result<(), Problem> {
    if depth > MAX_DEPTH {
        return Err(Problem::TooDeep);
    }
    for (name, value) in list {
        let start = out.len();
        let size = pair_len(name, value.native_len());
        if size > MAX_PACKED - start.min(MAX_PACKED) {
            return Err(Problem::TooLarge);
        }
        let value_at = start + align8(PAIR_HEAD + name.as_bytes().len() + 1);
        // All of these fit: the size does, and MAX_NAME_LEN holds for names.
        out.extend_from_slice(&order.put_i32(size as i32));
        out.extend_from_slice(&order.put_i16((name.as_bytes().len() + 1) as i16));
        out.extend_from_slice(&order.put_i16(0));
        out.extend_from_slice(&order.put_i32(value.count() as i32));
        out.extend_from_slice(&order.put_i32(value.data_type().to_raw()));
        out.extend_from_slice(name.as_bytes());
        out.resize(value_at, 0);
        put_value(value, order, out);
        out.resize(start + size, 0);
        match value {
            Value::NvList(list) => put_pairs(list, order, out, depth + 1)?,
            Value::NvListArray(lists) => {
                for list in lists {
                    put_pairs(list, order, out, depth + 1)?;
                }
            }
            _ => {}
        }
    }
    out.extend_from_slice(&[0; 4]);
    if out.len() > MAX_PACKED {
        return Err(Problem::TooLarge);
    }
    Ok(())
}

fn put_value(value: &Value, order: ByteOrder, out: &mut Vec<u8>) {
    fn put_all<T: Copy, const N: usize>(
        out: &mut Vec<u8>,
        array: &[T],
        bytes: impl Fn(T) -> [u8; N],
    ) {
        for &number in array {
            out.extend_from_slice(&bytes(number));
        }
    }
    match value {
        Value::Boolean => {}
        Value::Byte(number) | Value::Uint8(number) => out.push(*number),
        Value::Int8(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Int16(number) => out.extend_from_slice(&order.put_i16(*number)),
        Value::Uint16(number) => out.extend_from_slice(&order.put_u16(*number)),
        Value::Int32(number) => out.extend_from_slice(&order.put_i32(*number)),
        Value::Uint32(number) => out.extend_from_slice(&order.put_u32(*number)),
        Value::Int64(number) | Value::Hrtime(number) => {
            out.extend_from_slice(&order.put_i64(*number));
        }
        Value::Uint64(number) => out.extend_from_slice(&order.put_u64(*number)),
        Value::Double(number) => out.extend_from_slice(&order.put_u64(number.to_bits())),
        Value::BooleanValue(truth) => out.extend_from_slice(&order.put_u32(u32::from(*truth))),
        Value::ByteArray(array) | Value::Uint8Array(array) => out.extend_from_slice(array),
        Value::Int8Array(array) => put_all(out, array, i8::to_le_bytes),
        Value::Int16Array(array) => put_all(out, array, |number| order.put_i16(number)),
        Value::Uint16Array(array) => put_all(out, array, |number| order.put_u16(number)),
        Value::Int32Array(array) => put_all(out, array, |number| order.put_i32(number)),
        Value::Uint32Array(array) => put_all(out, array, |number| order.put_u32(number)),
        Value::Int64Array(array) => put_all(out, array, |number| order.put_i64(number)),
        Value::Uint64Array(array) => put_all(out, array, |number| order.put_u64(number)),
        Value::BooleanArray(array) => {
            put_all(out, array, |truth| order.put_u32(u32::from(truth)));
        }
        Value::String(string) => {
            out.extend_from_slice(string.as_bytes());
            out.push(0);
        }
        Value::StringArray(array) => {
            out.resize(out.len() + 8 * array.len(), 0);
            for string in array {
                out.extend_from_slice(string.as_bytes());
                out.push(0);
            }
        }
        Value::NvList(list) => put_embedded_head(list, order, out),
        Value::NvListArray(lists) => {
            out.resize(out.len() + 8 * lists.len(), 0);
            for list in lists {
                put_embedded_head(list, order, out);
            }
        }
    }
}

fn put_embedded_head(list: &NvList, order: ByteOrder, out: &mut Vec<u8>) {
    out.extend_from_slice(&order.put_i32(0));
    out.extend_from_slice(&order.put_u32(list.flags().to_raw()));
    out.extend_from_slice(&[0; 16]);
}
