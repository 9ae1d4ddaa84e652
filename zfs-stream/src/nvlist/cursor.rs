//! Reading packed bytes without ever leaving them.

use super::{ByteOrder, Problem};
use crate::{Error, Result};

/// A place in packed bytes.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    order: ByteOrder,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize, order: ByteOrder) -> Self {
        Self { bytes, at, order }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What has not been read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn error(&self, problem: Problem) -> Error {
        Error::Nvlist {
            offset: self.at,
            problem,
        }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let taken = self
            .rest()
            .get(..length)
            .ok_or_else(|| self.error(Problem::Truncated))?;
        self.at += length;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let array = *self
            .rest()
            .first_chunk()
            .ok_or_else(|| self.error(Problem::Truncated))?;
        self.at += N;
        Ok(array)
    }

    pub(super) fn i16(&mut self) -> Result<i16> {
        self.array().map(|bytes| self.order.i16(bytes))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(|bytes| self.order.u32(bytes))
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.array().map(|bytes| self.order.i32(bytes))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(|bytes| self.order.u64(bytes))
    }
}

/// Numbers from and to bytes of a given order.
macro_rules! numbers {
    ($($type:ident $put:ident $len:literal;)*) => {
        impl ByteOrder {
            $(
                pub(crate) fn $type(self, bytes: [u8; $len]) -> $type {
                    match self {
                        Self::Little => $type::from_le_bytes(bytes),
                        Self::Big => $type::from_be_bytes(bytes),
                    }
                }

                pub(crate) fn $put(self, value: $type) -> [u8; $len] {
                    match self {
                        Self::Little => value.to_le_bytes(),
                        Self::Big => value.to_be_bytes(),
                    }
                }
            )*
        }
    };
}

numbers! {
    i16 put_i16 2;
    u16 put_u16 2;
    i32 put_i32 4;
    u32 put_u32 4;
    i64 put_i64 8;
    u64 put_u64 8;
}
