//! The nvlists of BEGIN records: as JSON, and the names of snapshots in them.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde::{Serialize, Serializer};
use zfs_stream::nvlist::{NvList, NvString, Value};
use zfs_stream::stats::Stream;

/// A list that is written as JSON pair by pair: that of a recursive stream has
/// very many. Numbers of 64 bits are strings, as GUIDs are everywhere; bytes are
/// in hexadecimal.
pub struct ListJson<'a>(pub &'a NvList);

impl Serialize for ListJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(
            self.0
                .iter()
                .map(|(name, value)| (name.to_string(), ValueJson(value))),
        )
    }
}

struct ValueJson<'a>(&'a Value);

impl Serialize for ValueJson<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Boolean => to.serialize_bool(true),
            Value::BooleanValue(value) => to.serialize_bool(*value),
            Value::String(text) => to.collect_str(text),
            Value::StringArray(texts) => to.collect_seq(texts.iter().map(NvString::to_string)),
            Value::Uint64(number) => to.collect_str(number),
            Value::Int64(number) | Value::Hrtime(number) => to.collect_str(number),
            Value::Uint64Array(numbers) => to.collect_seq(numbers.iter().map(u64::to_string)),
            Value::Int64Array(numbers) => to.collect_seq(numbers.iter().map(i64::to_string)),
            Value::NvList(list) => ListJson(list).serialize(to),
            Value::NvListArray(lists) => to.collect_seq(lists.iter().map(ListJson)),
            Value::ByteArray(bytes) | Value::Uint8Array(bytes) => {
                to.serialize_str(&hexadecimal(bytes))
            }
            Value::Byte(number) | Value::Uint8(number) => to.serialize_u8(*number),
            Value::Int8(number) => to.serialize_i8(*number),
            Value::Int16(number) => to.serialize_i16(*number),
            Value::Uint16(number) => to.serialize_u16(*number),
            Value::Int32(number) => to.serialize_i32(*number),
            Value::Uint32(number) => to.serialize_u32(*number),
            Value::Double(number) => to.serialize_f64(*number),
            Value::Int8Array(numbers) => to.collect_seq(numbers),
            Value::Int16Array(numbers) => to.collect_seq(numbers),
            Value::Uint16Array(numbers) => to.collect_seq(numbers),
            Value::Int32Array(numbers) => to.collect_seq(numbers),
            Value::Uint32Array(numbers) => to.collect_seq(numbers),
            Value::BooleanArray(values) => to.collect_seq(values),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        // A string takes whatever is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The names of the snapshots that a stream tells of, by their GUIDs.
#[derive(Debug, Default)]
pub struct Names {
    snapshots: HashMap<u64, String>,
}

impl Names {
    /// Those of all the substreams and of the lists.
    pub fn of(streams: &[Stream]) -> Names {
        let mut snapshots = HashMap::new();
        for stream in streams {
            let datasets = stream.nvlist.as_ref();
            let datasets = datasets.and_then(|list| list.get_nvlist("fss"));
            for (_, dataset) in datasets.into_iter().flat_map(NvList::iter) {
                let Value::NvList(dataset) = dataset else {
                    continue;
                };
                let Some(name) = dataset.get_str("name") else {
                    continue;
                };
                let snaps = dataset.get_nvlist("snaps");
                for (snap, guid) in snaps.into_iter().flat_map(NvList::iter) {
                    if let Value::Uint64(guid) = guid {
                        snapshots.insert(*guid, format!("{name}@{snap}"));
                    }
                }
            }
            let begin = &stream.begin;
            if !begin.is_compound() {
                let name = String::from_utf8_lossy(&begin.to_name).into_owned();
                snapshots.entry(begin.to_guid).or_insert(name);
            }
        }
        Names { snapshots }
    }

    /// That of the snapshot from which the stream starts, if it is known.
    pub fn source(&self, stream: &Stream) -> Option<String> {
        let begin = &stream.begin;
        if !begin.is_compound() {
            return self.snapshots.get(&begin.from_guid).cloned();
        }
        let from = stream.nvlist.as_ref()?.get_str("fromsnap")?;
        let name = String::from_utf8_lossy(&begin.to_name);
        let (dataset, _) = name.split_once('@')?;
        Some(format!("{dataset}@{from}"))
    }
}
