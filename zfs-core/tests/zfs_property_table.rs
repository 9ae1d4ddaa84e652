//! The table of native properties beside the one of the kernel's module.

mod fixture;

use std::fs;
use std::path::Path;

use fixture::zfs;
use zfs_core::{DatasetKind, NativeProperty, PropertyValue};

const MODULE: &str = "/sys/module/zfs/properties.dataset";

/// What the kernel's table has besides, and no value of which is in what the
/// kernel says of a dataset: names, mounts, and what nobody is to see.
const NOT_OURS: &[&str] = &[
    "inconsistent",
    "iscsioptions",
    "ivsetguid",
    "keyguid",
    "mounted",
    "name",
    "numclones",
    "pbkdf2salt",
    "redacted",
    "remaptxg",
    "stmf_sbd_lu",
    "unique",
    "useraccounting",
];

/// Words that the module takes and does not tell of.
const UNTOLD: &[(&str, &str)] = &[
    ("aclinherit", "secure"),
    ("checksum", "noparity"),
    ("acltype", "disabled"),
    ("acltype", "noacl"),
    ("acltype", "posixacl"),
];

fn attribute(folder: &Path, name: &str) -> String {
    let text = fs::read_to_string(folder.join(name)).expect("an attribute of the module");
    text.trim_end().to_owned()
}

/// What differs.
fn compare(ours: &NativeProperty, folder: &Path) -> Vec<String> {
    let theirs = |name: &str| attribute(folder, name);
    let datasets = theirs("datasets");
    let of = |kind: &str| datasets.split_whitespace().any(|word| word == kind);
    let mut different = Vec::new();
    let mut equal = |what: &str, ours: &str, theirs: &str| {
        if ours != theirs {
            different.push(format!("{what}: {ours}, and the module: {theirs}"));
        }
    };
    let kind = match (ours.is_number(), ours.words().next()) {
        (true, _) => "number",
        (false, Some(_)) => "index",
        (false, None) => "string",
    };
    // The kernel tells the type as a number, and zfs(8) makes a text of it.
    if ours.name() != "type" {
        equal("type", kind, &theirs("type"));
    }
    let flag = |value: bool| if value { "1" } else { "0" };
    equal("readonly", flag(ours.is_read_only()), &theirs("readonly"));
    if theirs("setonce") == "1" {
        equal("setonce", flag(ours.is_set_once()), "1");
    }
    for (name, value) in [
        ("filesystem", ours.is_of(DatasetKind::Filesystem)),
        ("volume", ours.is_of(DatasetKind::Volume)),
        ("snapshot", ours.is_of_snapshots()),
    ] {
        equal(name, flag(value), flag(of(name)));
    }
    match ours.default() {
        Some(PropertyValue::Number(number)) => {
            equal("default", &number.to_string(), &theirs("default"));
        }
        Some(PropertyValue::Text(text)) => equal("default", &text, &theirs("default")),
        None => {}
    }
    // Of what ZFS reports it is only a remark.
    let values = theirs("values");
    if kind == "index" && !ours.is_read_only() && values.contains('|') {
        let theirs: Vec<String> = values
            .split('|')
            .flat_map(|word| spread(word.trim()))
            .collect();
        for word in &theirs {
            if !ours.words().any(|own| own == word) {
                different.push(format!("{word} is a value to the module alone"));
            }
        }
        for word in ours.words() {
            let untold = UNTOLD.contains(&(ours.name(), word));
            if !untold && !theirs.iter().any(|their| their == word) {
                different.push(format!("{word} is a value of ours alone"));
            }
        }
    }
    different
}

/// `gzip-[1-9]` and `sha256[,verify]` as the words that are meant.
fn spread(text: &str) -> Vec<String> {
    let Some((word, rest)) = text.split_once('[') else {
        return vec![text.to_owned()];
    };
    let inside = rest.trim_end_matches(']');
    if inside.starts_with(',') {
        return vec![word.to_owned(), format!("{word}{inside}")];
    }
    let mut words = Vec::new();
    for part in inside.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.parse::<u32>().expect("a number");
        words.extend((number(first)..=number(last)).map(|number| format!("{word}{number}")));
    }
    words
}

#[test]
fn the_table_is_that_of_the_kernel_s_module() {
    let version = zfs().version();
    let mut different = Vec::new();
    let mut compared = 0;
    for entry in fs::read_dir(MODULE).expect("the module's table") {
        let folder = entry.expect("an entry").path();
        let name = folder.file_name().and_then(|name| name.to_str());
        let name = name.expect("a property's name");
        match NativeProperty::named(name, version) {
            Some(ours) => {
                compared += 1;
                let found = compare(&ours, &folder);
                different.extend(found.iter().map(|text| format!("{name}: {text}")));
            }
            None if NOT_OURS.contains(&name) => {}
            None => different.push(format!("{name} is in the module's table alone")),
        }
    }
    for ours in NativeProperty::all(version) {
        if !Path::new(MODULE).join(ours.name()).exists() {
            different.push(format!("{} is in ours alone", ours.name()));
        }
    }
    assert!(different.is_empty(), "{different:#?}");
    assert!(compared > 60, "only {compared} properties");
}
