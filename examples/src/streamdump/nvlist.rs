//! The nvlists of BEGIN records: as JSON, and the names of snapshots in them.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::{Value as Json, json};
use zfs_stream::nvlist::{NvList, Value};
use zfs_stream::stats::Stream;

/// The list as JSON. Numbers of 64 bits are strings, as GUIDs are everywhere;
/// bytes are in hexadecimal.
pub fn list_json(list: &NvList) -> Json {
    let pairs = list.iter();
    let pairs: serde_json::Map<_, _> = pairs
        .map(|(name, value)| (name.to_string(), value_json(value)))
        .collect();
    Json::Object(pairs)
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Boolean => json!(true),
        Value::BooleanValue(value) => json!(value),
        Value::String(text) => json!(text.to_string()),
        Value::StringArray(texts) => texts.iter().map(|text| json!(text.to_string())).collect(),
        Value::Uint64(number) => json!(number.to_string()),
        Value::Int64(number) | Value::Hrtime(number) => json!(number.to_string()),
        Value::Uint64Array(numbers) => numbers.iter().map(u64::to_string).collect(),
        Value::Int64Array(numbers) => numbers.iter().map(i64::to_string).collect(),
        Value::NvList(list) => list_json(list),
        Value::NvListArray(lists) => lists.iter().map(list_json).collect(),
        Value::ByteArray(bytes) | Value::Uint8Array(bytes) => json!(hexadecimal(bytes)),
        Value::Byte(number) | Value::Uint8(number) => json!(number),
        Value::Int8(number) => json!(number),
        Value::Int16(number) => json!(number),
        Value::Uint16(number) => json!(number),
        Value::Int32(number) => json!(number),
        Value::Uint32(number) => json!(number),
        Value::Double(number) => json!(number),
        Value::Int8Array(numbers) => json!(numbers),
        Value::Int16Array(numbers) => json!(numbers),
        Value::Uint16Array(numbers) => json!(numbers),
        Value::Int32Array(numbers) => json!(numbers),
        Value::Uint32Array(numbers) => json!(numbers),
        Value::BooleanArray(values) => json!(values),
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
