//! Any text as sanoid.conf, and as its defaults.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zfs_retention::conf::{Conf, Source};

const DATASETS: [&str; 6] = ["a", "a/b", "a/b/c", "tank", "tank/a", "tank/a/b"];

fuzz_target!(|text: &str| {
    let source = |text| Source { name: "sanoid.conf", text };
    let (conf, defaults) = text.split_once('\0').map_or((text, None), |(conf, defaults)| (conf, Some(defaults)));
    let read = Conf::read(source(conf), defaults.map(source));
    let conf = match read {
        Ok(conf) => conf,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let now: jiff::Zoned = "2026-10-25T02:30:00+01:00[UTC]".parse().unwrap_or_else(|_| jiff::Zoned::default());
    for dataset in conf.expand(&DATASETS) {
        let _ = dataset.settings.policy().plan::<()>(&[], &[], &now);
        let due = dataset.settings.due([], &now);
        assert!(dataset.settings.autosnap || due.is_empty());
    }
});
