//! What a remote `zfs list` says.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zfs_replicate::endpoint::stock::parse_listing;

fuzz_target!(|output: &[u8]| {
    if let Ok(datasets) = parse_listing(output, |name| name.as_str().starts_with("tank")) {
        for dataset in datasets {
            assert!(dataset.name.as_str().starts_with("tank"));
            for snapshot in &dataset.snapshots {
                assert_eq!(*snapshot.name.dataset(), dataset.name);
            }
        }
    }
});
