//! The wrapping of a token: text, hexadecimal, checksum and zlib.

use std::fmt::Write as _;

use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::{TINFLStatus, decompress_to_vec_zlib_with_limit};

use super::{MAX_TEXT, MAX_UNPACKED, Problem};
use crate::fletcher;
use crate::nvlist::ByteOrder;

/// zlib's level, as ZFS has it.
const LEVEL: u8 = 6;

/// The packed list inside a token.
pub(super) fn unwrap(text: &str) -> Result<Vec<u8>, Problem> {
    if text.len() > MAX_TEXT {
        return Err(Problem::TextTooLong(text.len()));
    }
    let mut parts = text.split('-');
    let (Some(version), Some(checksum), Some(length), Some(payload), None) = (
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
        parts.next(),
    ) else {
        return Err(Problem::Format);
    };
    if version != "1" {
        return Err(Problem::Version(version.to_owned()));
    }
    let stated = number(checksum)?;
    let length = number(length)?;
    let limit = usize::try_from(length)
        .ok()
        .filter(|&length| length <= MAX_UNPACKED)
        .ok_or(Problem::ListTooLong(length))?;
    let compressed = bytes(payload)?;
    // The machine that made the token summed words of its own byte order.
    let [little, big] = [ByteOrder::Little, ByteOrder::Big]
        .map(|order| fletcher::checksum(&compressed, order).0[0]);
    if stated != little && stated != big {
        let computed = little;
        return Err(Problem::Checksum { stated, computed });
    }
    let stated = length;
    match decompress_to_vec_zlib_with_limit(&compressed, limit) {
        Ok(packed) if packed.len() == limit => Ok(packed),
        Ok(packed) => {
            let found = packed.len();
            Err(Problem::Length { stated, found })
        }
        Err(error) if error.status == TINFLStatus::HasMoreOutput => Err(Problem::Longer { stated }),
        Err(_) => Err(Problem::Compression),
    }
}

/// The token around a packed list.
pub(super) fn wrap(packed: &[u8], order: ByteOrder) -> Result<String, Problem> {
    if packed.len() > MAX_UNPACKED {
        return Err(Problem::ListTooLong(packed.len() as u64));
    }
    let compressed = compress_to_vec_zlib(packed, LEVEL);
    let checksum = fletcher::checksum(&compressed, order).0[0];
    let mut text = format!("1-{checksum:x}-{:x}-", packed.len());
    for byte in compressed {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    if text.len() > MAX_TEXT {
        return Err(Problem::TextTooLong(text.len()));
    }
    Ok(text)
}

fn number(digits: &str) -> Result<u64, Problem> {
    // from_str_radix would take a sign.
    if digits.starts_with('+') {
        return Err(Problem::Format);
    }
    u64::from_str_radix(digits, 16).map_err(|_| Problem::Format)
}

fn bytes(digits: &str) -> Result<Vec<u8>, Problem> {
    let pairs = digits.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(Problem::Hex);
    }
    let digit = |digit: u8| char::from(digit).to_digit(16);
    pairs
        .map(|pair| match pair {
            &[high, low] => Some((digit(high)? * 16 + digit(low)?) as u8),
            _ => None,
        })
        .collect::<Option<_>>()
        .ok_or(Problem::Hex)
}
