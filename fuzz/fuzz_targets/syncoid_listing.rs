//! What `zfs list` says to zfs-replicate in syncoid's form.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use rows::{is_within, parse};

// Of a program, and not of a library.
#[allow(dead_code, reason = "what is read is not all looked at")]
#[path = "../../examples/src/replicate/syncoid/rows.rs"]
mod rows;

fuzz_target!(|output: &[u8]| {
    if let Ok(datasets) = parse(output, "tank/a") {
        let mut names = HashSet::new();
        assert!(datasets.iter().any(|dataset| dataset.name == "tank/a"));
        for dataset in &datasets {
            assert!(is_within(&dataset.name, "tank/a"));
            assert!(names.insert(dataset.name.clone()));
            for (separator, points) in [('@', &dataset.snapshots), ('#', &dataset.bookmarks)] {
                for point in points {
                    assert!(!point.name.is_empty() && !point.name.contains(['@', '#', '/']));
                    assert!(names.insert(format!("{}{separator}{}", dataset.name, point.name)));
                }
            }
        }
    }
});
