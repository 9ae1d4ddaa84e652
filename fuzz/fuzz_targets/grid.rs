//! Any text as a policy of a peer's: zrepl's grid, znapzend's plan,
//! zfs_autobackup's schedule, a length.

#![no_main]

use jiff::{SignedDuration, Timestamp, Zoned};
use libfuzzer_sys::fuzz_target;
use zfs_retention::{Grid, Guid, Names, Part, Policy, Snapshot, Thinning, Txg, parse_length};

fuzz_target!(|text: &str| {
    let _ = parse_length(text);
    let mut parts = Vec::new();
    if let Ok(grid) = text.parse::<Grid>() {
        let again: Grid = grid.to_string().parse().expect("what is shown can be read");
        assert_eq!(again, grid);
        parts.push(Part::grid(grid));
    }
    if let Ok(plan) = text.parse::<Thinning>() {
        let again: Thinning = plan.to_string().parse().expect("what is shown can be read");
        assert_eq!(again, plan);
        parts.push(Part::thinning(plan));
    }
    if let Ok(more) = Part::zfs_autobackup(text) {
        parts.extend(more);
    }
    if parts.is_empty() {
        return;
    }
    let now = Zoned::default();
    let snapshots: Vec<Snapshot> = (0_i64..40)
        .map(|nth| {
            let age = SignedDuration::from_secs(nth * nth * nth * 977);
            let at: Timestamp = now.timestamp().checked_sub(age).unwrap_or(Timestamp::MIN);
            Snapshot::new(format!("s{nth}"), Guid(nth as u64), Txg(99 - nth as u64), at)
        })
        .collect();
    let policy = Policy::managing(Names::Any).with_all(parts);
    let plan = policy.plan(&snapshots, &[], &now);
    for decision in plan.decisions() {
        assert!(!decision.reasons().is_empty());
    }
});
