//! The values of nvlists and their types.

use std::fmt;

use super::{NvList, NvString};

/// Declares [`DataType`] and [`Value`] together, so that number, name and
/// variant stand on one line each.
macro_rules! data_types {
    ($($number:literal $variant:ident($name:literal) $(($payload:ty))?, $doc:literal;)*) => {
        /// The type of a value, with libnvpair's numbers (`data_type_t`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum DataType {
            $(#[doc = $doc] $variant = $number,)*
        }

        impl DataType {
            /// The type of that number, if there is one.
            pub fn from_raw(number: i32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }

            /// libnvpair's number for it.
            pub fn to_raw(self) -> i32 {
                self as i32
            }

            /// Its name in lower case, as libnvpair's documentation has it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        /// A value with its type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Value {
            $(#[doc = $doc] $variant $(($payload))?,)*
        }

        impl Value {
            /// Its type.
            pub fn data_type(&self) -> DataType {
                match self {
                    $(Self::$variant { .. } => DataType::$variant,)*
                }
            }
        }

        $($(
            data_types!(@from $variant $payload);
        )?)*
    };
    // u8, Vec<u8> and i64 stand for two types each: those are written out.
    (@from Byte $payload:ty) => {};
    (@from ByteArray $payload:ty) => {};
    (@from Hrtime $payload:ty) => {};
    (@from $variant:ident $payload:ty) => {
        impl From<$payload> for Value {
            fn from(value: $payload) -> Self {
                Self::$variant(value)
            }
        }
    };
}

data_types! {
    1 Boolean("boolean"), "No value: being there is the meaning.";
    2 Byte("byte") (u8), "An opaque byte.";
    3 Int16("int16") (i16), "A signed 16-bit number.";
    4 Uint16("uint16") (u16), "An unsigned 16-bit number.";
    5 Int32("int32") (i32), "A signed 32-bit number.";
    6 Uint32("uint32") (u32), "An unsigned 32-bit number.";
    7 Int64("int64") (i64), "A signed 64-bit number.";
    8 Uint64("uint64") (u64), "An unsigned 64-bit number.";
    9 String("string") (NvString), "A string.";
    10 ByteArray("byte_array") (Vec<u8>), "Opaque bytes.";
    11 Int16Array("int16_array") (Vec<i16>), "Signed 16-bit numbers.";
    12 Uint16Array("uint16_array") (Vec<u16>), "Unsigned 16-bit numbers.";
    13 Int32Array("int32_array") (Vec<i32>), "Signed 32-bit numbers.";
    14 Uint32Array("uint32_array") (Vec<u32>), "Unsigned 32-bit numbers.";
    15 Int64Array("int64_array") (Vec<i64>), "Signed 64-bit numbers.";
    16 Uint64Array("uint64_array") (Vec<u64>), "Unsigned 64-bit numbers.";
    17 StringArray("string_array") (Vec<NvString>), "Strings.";
    18 Hrtime("hrtime") (i64), "A time in nanoseconds.";
    19 NvList("nvlist") (NvList), "A list within the list.";
    20 NvListArray("nvlist_array") (Vec<NvList>), "Lists within the list.";
    21 BooleanValue("boolean_value") (bool), "True or false.";
    22 Int8("int8") (i8), "A signed 8-bit number.";
    23 Uint8("uint8") (u8), "An unsigned 8-bit number.";
    24 BooleanArray("boolean_array") (Vec<bool>), "Trues and falses.";
    25 Int8Array("int8_array") (Vec<i8>), "Signed 8-bit numbers.";
    26 Uint8Array("uint8_array") (Vec<u8>), "Unsigned 8-bit numbers.";
    27 Double("double") (f64), "A floating-point number; libnvpair has it in user space only.";
}

impl fmt::Display for DataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Value {
    /// How many elements it has, as libnvpair counts: 0 for a boolean, 1 for
    /// every other single value.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Boolean => 0,
            Self::ByteArray(array) | Self::Uint8Array(array) => array.len(),
            Self::Int8Array(array) => array.len(),
            Self::Int16Array(array) => array.len(),
            Self::Uint16Array(array) => array.len(),
            Self::Int32Array(array) => array.len(),
            Self::Uint32Array(array) => array.len(),
            Self::Int64Array(array) => array.len(),
            Self::Uint64Array(array) => array.len(),
            Self::BooleanArray(array) => array.len(),
            Self::StringArray(array) => array.len(),
            Self::NvListArray(array) => array.len(),
            _ => 1,
        }
    }

    /// How many bytes its C form takes before padding: libnvpair's
    /// `i_get_value_size`. Saturates, so that the packers' own limit refuses
    /// what is too large.
    pub(super) fn native_len(&self) -> usize {
        let strings = |array: &[NvString]| {
            array.iter().fold(0_usize, |sum, string| {
                sum.saturating_add(string.as_bytes().len() + 1)
            })
        };
        match self {
            Self::String(string) => string.as_bytes().len() + 1,
            Self::StringArray(array) => (8 * array.len()).saturating_add(strings(array)),
            other => other
                .count()
                .saturating_mul(element_len(other.data_type()).unwrap_or(0)),
        }
    }
}

/// The bytes that one element takes in libnvpair's C form, `None` for strings,
/// whose length varies. An embedded list's is its `nvlist_t`; in an array each
/// has a pointer too.
pub(super) fn element_len(data_type: DataType) -> Option<usize> {
    Some(match data_type {
        DataType::Boolean => 0,
        DataType::Byte
        | DataType::Int8
        | DataType::Uint8
        | DataType::ByteArray
        | DataType::Int8Array
        | DataType::Uint8Array => 1,
        DataType::Int16 | DataType::Uint16 | DataType::Int16Array | DataType::Uint16Array => 2,
        DataType::Int32
        | DataType::Uint32
        | DataType::BooleanValue
        | DataType::Int32Array
        | DataType::Uint32Array
        | DataType::BooleanArray => 4,
        DataType::Int64
        | DataType::Uint64
        | DataType::Hrtime
        | DataType::Double
        | DataType::Int64Array
        | DataType::Uint64Array => 8,
        DataType::NvList => 24,
        DataType::NvListArray => 32,
        DataType::String | DataType::StringArray => return None,
    })
}

/// Whether a value of that type may have that many elements.
pub(super) fn count_fits(data_type: DataType, count: i32) -> bool {
    match data_type {
        DataType::Boolean => count == 0,
        DataType::ByteArray
        | DataType::Int8Array
        | DataType::Uint8Array
        | DataType::Int16Array
        | DataType::Uint16Array
        | DataType::Int32Array
        | DataType::Uint32Array
        | DataType::Int64Array
        | DataType::Uint64Array
        | DataType::BooleanArray
        | DataType::StringArray
        | DataType::NvListArray => count >= 0,
        _ => count == 1,
    }
}
