//! Showing a list to people.

use std::fmt;

use super::{NvList, NvString, Value};
use crate::Printable;

impl fmt::Display for NvList {
    /// One pair a line as `name: value`, the pairs of embedded lists indented
    /// by four, array elements as `name[0]: value`. Names and strings are
    /// [`Printable`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self, f, 0)
    }
}

fn show(list: &NvList, f: &mut fmt::Formatter<'_>, indent: usize) -> fmt::Result {
    for (name, value) in list {
        let name = Printable(name.as_bytes());
        let mut line = |index: Option<usize>, text: &dyn fmt::Display| match index {
            Some(index) => writeln!(f, "{:indent$}{name}[{index}]: {text}", ""),
            None => writeln!(f, "{:indent$}{name}: {text}", ""),
        };
        macro_rules! lines {
            ($array:expr) => {
                for (index, element) in $array.iter().enumerate() {
                    line(Some(index), &element)?;
                }
            };
        }
        match value {
            Value::Boolean => writeln!(f, "{:indent$}{name}", "")?,
            Value::Byte(number) | Value::Uint8(number) => line(None, number)?,
            Value::Int8(number) => line(None, number)?,
            Value::Int16(number) => line(None, number)?,
            Value::Uint16(number) => line(None, number)?,
            Value::Int32(number) => line(None, number)?,
            Value::Uint32(number) => line(None, number)?,
            Value::Int64(number) | Value::Hrtime(number) => line(None, number)?,
            Value::Uint64(number) => line(None, number)?,
            Value::Double(number) => line(None, number)?,
            Value::BooleanValue(truth) => line(None, truth)?,
            Value::String(string) => line(None, &quoted(string))?,
            Value::ByteArray(array) | Value::Uint8Array(array) => lines!(array),
            Value::Int8Array(array) => lines!(array),
            Value::Int16Array(array) => lines!(array),
            Value::Uint16Array(array) => lines!(array),
            Value::Int32Array(array) => lines!(array),
            Value::Uint32Array(array) => lines!(array),
            Value::Int64Array(array) => lines!(array),
            Value::Uint64Array(array) => lines!(array),
            Value::BooleanArray(array) => lines!(array),
            Value::StringArray(array) => {
                for (index, string) in array.iter().enumerate() {
                    line(Some(index), &quoted(string))?;
                }
            }
            Value::NvList(list) => {
                writeln!(f, "{:indent$}{name}:", "")?;
                show(list, f, indent + 4)?;
            }
            Value::NvListArray(lists) => {
                for (index, list) in lists.iter().enumerate() {
                    writeln!(f, "{:indent$}{name}[{index}]:", "")?;
                    show(list, f, indent + 4)?;
                }
            }
        }
    }
    Ok(())
}

fn quoted(string: &NvString) -> String {
    format!("'{}'", Printable(string.as_bytes()))
}
