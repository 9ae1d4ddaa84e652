//! Any text as a template, and any other as a name, a pattern, a tier's.

#![no_main]

use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;
use zfs_retention::{Glob, Template, Tier};

fuzz_target!(|input: (u32, &str, &str)| {
    let (second, text, name) = input;
    let moment = Timestamp::from_second(i64::from(second))
        .expect("in range")
        .to_zoned(TimeZone::get("Europe/Berlin").expect("a bundled zone"));
    let templates = Template::all_known().map(|(_, template)| template);
    for template in templates.into_iter().chain(text.parse().ok()) {
        let again: Template = template.to_string().parse().expect("what is shown can be read");
        assert_eq!(again, template);
        let printed = template.print(&moment, "daily");
        assert!(template.read(&printed).is_some(), "{template} made {printed}");
        if let Some(named) = template.read(name) {
            let _ = named.timestamp(moment.time_zone());
        }
    }
    let _ = Glob::new(text).matches(name);
    if let Some(tier) = Tier::of(name) {
        assert!(tier.names().matches(name));
    }
});
