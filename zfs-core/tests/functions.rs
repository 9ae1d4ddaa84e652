//! The table of libzfs_core's functions in the docs is whole, and what it
//! names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

struct Row {
    since: String,
    method: String,
    test: String,
}

/// The rows of the table by function.
fn table() -> BTreeMap<String, Row> {
    let text = include_str!("../docs/functions.md");
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [function, since, method, test] = cells.as_slice() else {
            panic!("{line}");
        };
        let row = Row {
            since: (*since).to_owned(),
            method: (*method).to_owned(),
            test: test.trim_matches('`').to_owned(),
        };
        let before = rows.insert(function.trim_matches('`').to_owned(), row);
        assert!(before.is_none(), "{function} is there twice");
    }
    rows
}

/// The functions of the bindings, with the release that brought them, and
/// those that are left out of the bindings on purpose.
fn functions() -> BTreeMap<String, String> {
    let of = |names: &'static [&'static str], since: &'static str| {
        names
            .iter()
            .filter(|name| name.starts_with("lzc_"))
            .map(move |name| ((*name).to_owned(), since.to_owned()))
    };
    of(zfs_sys::V2_1::NAMES, "2.1")
        .chain(of(zfs_sys::V2_2::NAMES, "2.2"))
        .chain(of(zfs_sys::V2_3::NAMES, "2.3"))
        .chain(of(&["lzc_initialize", "lzc_send_progress"], "2.1"))
        .collect()
}

#[test]
fn the_table_names_every_function_and_the_release_that_brought_it() {
    let named: BTreeMap<String, String> = table()
        .into_iter()
        .map(|(function, row)| (function, row.since))
        .collect();
    assert_eq!(named, functions());
}

#[test]
fn each_test_that_the_table_names_is_there() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for (function, row) in table() {
        if row.test.is_empty() {
            assert!(row.method.starts_with("none: "), "{function} has no test");
            continue;
        }
        let (program, test) = row.test.split_once("::").expect("PROGRAM::TEST");
        let text = fs::read_to_string(folder.join(format!("{program}.rs")))
            .unwrap_or_else(|error| panic!("{function}: {program}: {error}"));
        let head = format!("#[test]\nfn {test}()");
        assert!(text.contains(&head), "{function}: no test {}", row.test);
    }
}

#[test]
fn each_method_that_the_table_names_is_there() {
    let mut source = String::new();
    read_all(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut source,
    );
    for (function, row) in table() {
        if row.method.starts_with("none: ") {
            continue;
        }
        let methods: BTreeSet<&str> = row.method.split('`').skip(1).step_by(2).collect();
        assert!(!methods.is_empty(), "{function}");
        for method in methods {
            let name = method.rsplit("::").next().unwrap_or(method);
            // A variant that chooses what a method does is one of these as well.
            let heads = [
                format!("pub fn {name}<"),
                format!("pub fn {name}("),
                format!("    {name},"),
            ];
            assert!(
                heads.iter().any(|head| source.contains(head)),
                "{function}: no method {method}"
            );
        }
    }
}

fn read_all(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else {
            into.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
