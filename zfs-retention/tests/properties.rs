//! What holds for every history, policy, zone and clock. With `ZFS_TEST_LONG`
//! millions of them are tried, else as many as `PROPTEST_CASES` says.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};
use proptest::prelude::*;
use zfs_retention::{
    End, Guid, Keep, Names, Part, Plan, Policy, Protection, Rule, Snapshot, Space, Target, Tier,
    Txg, Verdict,
};

/// Zones whose clocks have done everything a clock can do: half-hour DST,
/// midnight set back across itself, a day left out, no DST at all.
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Asia/Kolkata",
];

/// Seconds of the years that the zones above did it in.
const SPAN: std::ops::Range<i64> = 1_230_000_000..1_330_000_000;

fn zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(&ZONES[..]).prop_map(|name| TimeZone::get(name).unwrap())
}

/// Types of sanoid's that are among the names.
const SANOIDS: [Tier; 3] = [Tier::Hourly, Tier::Daily, Tier::Weekly];

/// Gaps of minutes as well as of months, in txg order, on a clock that never
/// goes back.
fn history() -> impl Strategy<Value = Vec<Snapshot>> {
    let gap = prop_oneof![0_i64..7200, 0_i64..100_000, 0_i64..5_000_000];
    let one = (gap, 0_u8..20, 0_usize..8);
    (SPAN, prop::collection::vec(one, 0..60)).prop_map(|(start, gaps)| {
        let mut second = start;
        (1..)
            .zip(gaps)
            .map(|(n, (gap, luck, name))| {
                second += gap;
                let name = match name {
                    0 => format!("manual{n}"),
                    1..=3 => format!("autosnap_{n}_{}", SANOIDS[name - 1]),
                    _ => format!("auto_{n}"),
                };
                let creation = Timestamp::from_second(second).unwrap();
                let snapshot = Snapshot::new(name, Guid(n), Txg(n), creation)
                    .held(u32::from(luck == 0))
                    .cloned(u32::from(luck == 1));
                match luck {
                    2 => snapshot,
                    _ => snapshot.using(n * 7 % 100),
                }
            })
            .collect()
    })
}

/// The same, with a clock that jumps either way.
fn disordered_history() -> impl Strategy<Value = Vec<Snapshot>> {
    (history(), prop::collection::vec(-100_000_i64..100_000, 60)).prop_map(|(mut all, jumps)| {
        for (snapshot, jump) in all.iter_mut().zip(jumps) {
            snapshot.creation += SignedDuration::from_secs(jump);
        }
        all
    })
}

/// Kinds of parts for which pruning often is pruning once.
const STEADY: usize = 14;
/// All kinds; those behind the steady ones choose by age, so that what a
/// later run would choose instead may be gone by then.
const KINDS: usize = 18;

fn part_of(kind: usize, count: u32) -> Part {
    let hours = |n: u32| SignedDuration::from_hours(i64::from(n));
    match kind {
        0 => Part::last(count),
        1 => Part::frequently(15, count),
        2 => Part::hourly(count),
        3 => Part::daily(count),
        4 => Part::weekly(count),
        5 => Part::monthly(count),
        6 => Part::yearly(count),
        7 => Part::new(Rule::Aged {
            period: hours(24),
            count,
        }),
        8 => Part::newer_than(hours(count * 24)),
        9 => Part::per_interval(hours(17), End::Oldest),
        10 => Part::per_interval(hours(400), End::Newest),
        11 => Part::sanoid(SANOIDS[count as usize % 3], count / 3),
        12 => Part::every(Names::glob("auto*3*")),
        13 => Part::restic(Keep {
            weekly: count + 1,
            ..Keep::default()
        })
        .remove(0),
        14 => Part::grid(
            format!("1x1h(keep=all) | 5x1h | 3x1d(keep={})", count + 1)
                .parse()
                .unwrap(),
        ),
        THINNING => Part::thinning(format!("{}d=>6h,200d=>7d", count + 1).parse().unwrap()),
        16 => Part::zfs_autobackup("1h1d,1d1w").unwrap().remove(1),
        _ => Part::proxmox(Keep {
            last: count,
            hourly: 3,
            daily: 2,
            monthly: 2,
            ..Keep::default()
        }),
    }
}

/// znapzend's plan. A longer step is not more generous: slots of its length
/// then stand where those of the next step did.
const THINNING: usize = 15;
/// sanoid's, whose type goes by the count here: another is not more generous.
const SANOID: usize = 11;

/// One part in three covers some names only.
fn narrowed(part: Part, narrow: u8) -> Part {
    if narrow > 0 || part.names().is_some() {
        return part;
    }
    part.covering(Names::suffix("_daily").or(Names::glob("auto*1*")))
}

fn part_below(kinds: usize) -> impl Strategy<Value = Part> {
    (0_u32..8, 0..kinds, 0_u8..3)
        .prop_map(|(count, kind, narrow)| narrowed(part_of(kind, count), narrow))
}

fn policy_below(kinds: usize) -> impl Strategy<Value = Policy> {
    prop::collection::vec(part_below(kinds), 1..5)
        .prop_map(|parts| Policy::managing(Names::prefix("auto")).with_all(parts))
}

fn policy() -> impl Strategy<Value = Policy> {
    policy_below(KINDS)
}

/// Also those that destroy only until there is space enough.
fn policy_and_space() -> impl Strategy<Value = Policy> {
    (policy(), 0_u8..4, 0_u64..3000).prop_map(|(policy, kind, bytes)| match kind {
        0 => policy.until(Space::Free(bytes)),
        1 => policy.until(Space::Total(bytes)),
        _ => policy,
    })
}

fn targets() -> impl Strategy<Value = Vec<Target>> {
    let sending = prop::option::weighted(0.3, 1_u64..70);
    let one = (0_u64..70, any::<bool>(), any::<bool>(), 0_u8..3, sending);
    prop::collection::vec(one, 0..3).prop_map(|all| {
        all.into_iter()
            .map(|(n, bookmarked, required, name, sending)| {
                let target = Target::new(format!("t{name}"));
                let target = match (n, bookmarked) {
                    (0, _) => target,
                    (_, true) => target.marker(Guid(n), Txg(n)),
                    (_, false) => target.base(Guid(n), Txg(n)),
                };
                let target = sending.map_or(target.clone(), |n| target.sending(Guid(n)));
                if required { target.required() } else { target }
            })
            .collect()
    })
}

/// A moment near the end of the history.
fn now(snapshots: &[Snapshot], after: i64, zone: &TimeZone) -> Zoned {
    let last = snapshots.iter().map(|s| s.creation).max();
    let last = last.unwrap_or_else(|| Timestamp::from_second(SPAN.start).unwrap());
    (last + SignedDuration::from_secs(after)).to_zoned(zone.clone())
}

fn survivors(
    policy: &Policy,
    snapshots: &[Snapshot],
    targets: &[Target],
    now: &Zoned,
) -> Vec<Snapshot> {
    let plan = policy.plan(snapshots, targets, now);
    plan.kept().cloned().collect()
}

fn names(snapshots: &[Snapshot]) -> BTreeSet<&str> {
    snapshots.iter().map(|s| s.name.as_str()).collect()
}

/// How many histories each property is tried on in a long run.
const LONG: u32 = 300_000;

fn config() -> ProptestConfig {
    let usual = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("ZFS_TEST_LONG").is_none() {
        return usual;
    }
    ProptestConfig {
        cases: LONG.max(usual.cases),
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_protected_are_never_destroyed(
        snapshots in disordered_history(),
        policy in policy_and_space(),
        targets in targets(),
        zone in zone(),
        after in -200_000_i64..200_000,
    ) {
        let now = now(&snapshots, after, &zone);
        let plan = policy.plan(&snapshots, &targets, &now);
        for snapshot in plan.destroyed() {
            prop_assert_eq!((snapshot.userrefs, snapshot.clones), (0, 0));
            prop_assert!(snapshot.name.starts_with("auto"));
            prop_assert!(snapshot.creation <= now.timestamp());
            let decision = plan.decision(&snapshot.name).unwrap();
            prop_assert_eq!(decision.protections().next(), None);
        }
        // The same promise for replication, told without the crate's own words.
        let required_with_nothing = ["t0", "t1", "t2"].iter().any(|name| {
            let mut own = targets.iter().filter(|t| t.name() == *name).peekable();
            own.peek().is_some()
                && own.clone().any(|t| t.clone().required() == *t)
                && own.all(|t| *t == Target::new(*name) || *t == Target::new(*name).required())
        });
        if required_with_nothing {
            prop_assert_eq!(plan.destroyed().count(), 0);
        }
    }

    #[test]
    fn verdicts_follow_from_the_reasons(
        snapshots in disordered_history(),
        policy in policy_and_space(),
        targets in targets(),
        zone in zone(),
        after in -200_000_i64..200_000,
    ) {
        let now = now(&snapshots, after, &zone);
        let plan = policy.plan(&snapshots, &targets, &now);
        prop_assert_eq!(plan.decisions().count(), snapshots.len());
        for decision in plan.decisions() {
            let reasons = decision.reasons();
            prop_assert!(!reasons.is_empty());
            let kept = reasons.iter().any(zfs_retention::Reason::keeps);
            prop_assert_eq!(kept, decision.verdict() == Verdict::Keep);
        }
    }

    #[test]
    fn a_second_plan_destroys_nothing_more(
        snapshots in disordered_history(),
        policy in policy(),
        total in prop::option::of(0_u64..3000),
        targets in targets(),
        zone in zone(),
        after in -200_000_i64..200_000,
    ) {
        // So many bytes more to be freed would be so many more each time.
        let policy = match total {
            Some(bytes) => policy.until(Space::Total(bytes)),
            None => policy,
        };
        let now = now(&snapshots, after, &zone);
        let once = survivors(&policy, &snapshots, &targets, &now);
        let twice = survivors(&policy, &once, &targets, &now);
        prop_assert_eq!(names(&once), names(&twice));
    }

    #[test]
    fn pruning_often_is_pruning_once(
        snapshots in history(),
        policy in policy_below(STEADY),
        zone in zone(),
        every in 1_usize..10,
    ) {
        let mut often: Vec<Snapshot> = Vec::new();
        for (nth, snapshot) in snapshots.iter().enumerate() {
            often.push(snapshot.clone());
            if nth % every == 0 {
                let then = snapshot.creation.to_zoned(zone.clone());
                often = survivors(&policy, &often, &[], &then);
            }
        }
        let end = now(&snapshots, 0, &zone);
        let often = survivors(&policy, &often, &[], &end);
        let once = survivors(&policy, &snapshots, &[], &end);
        prop_assert_eq!(names(&often), names(&once));
    }

    #[test]
    fn more_generous_never_destroys_more(
        snapshots in disordered_history(),
        kinds in prop::collection::vec((0..KINDS, 0_u32..8, 0_u32..4, 0_u8..3), 1..5),
        extra in part_below(KINDS),
        zone in zone(),
        after in -200_000_i64..200_000,
    ) {
        let now = now(&snapshots, after, &zone);
        let base = Policy::managing(Names::prefix("auto"));
        let strict = kinds.iter().fold(base.clone(), |policy, &(kind, count, _, narrow)| {
            policy.with(narrowed(part_of(kind, count), narrow))
        });
        let generous = kinds
            .iter()
            .fold(base, |policy, &(kind, count, more, narrow)| {
                let more = match kind {
                    THINNING => 0,
                    SANOID => more * 3,
                    _ => more,
                };
                policy.with(narrowed(part_of(kind, count + more), narrow))
            })
            .with(extra);
        let strict = strict.plan(&snapshots, &[], &now);
        for snapshot in generous.plan(&snapshots, &[], &now).destroyed() {
            let decision = strict.decision(&snapshot.name).unwrap();
            // A part more may manage names that nobody managed.
            let unmanaged = decision.protections().any(|it| it == Protection::Unmanaged);
            prop_assert!(unmanaged || decision.verdict() == Verdict::Destroy);
        }
    }

    #[test]
    fn with_space_the_oldest_go_and_no_more_than_are_needed(
        snapshots in disordered_history(),
        policy in policy(),
        bytes in 0_u64..3000,
        total in any::<bool>(),
        zone in zone(),
        after in -200_000_i64..200_000,
    ) {
        let now = now(&snapshots, after, &zone);
        let all: u64 = snapshots.iter().filter_map(|snapshot| snapshot.used).sum();
        let (space, wanted) = if total {
            (Space::Total(bytes), all.saturating_sub(bytes))
        } else {
            (Space::Free(bytes), bytes)
        };
        let all: Vec<_> = policy.plan(&snapshots, &[], &now).destroyed().cloned().collect();
        let policy = policy.until(space);
        let plan = policy.plan(&snapshots, &[], &now);
        let gone: Vec<_> = plan.destroyed().cloned().collect();
        prop_assert_eq!(names(&gone), names(&all[..gone.len()]));
        let freed = |some: &[Snapshot]| -> u64 { some.iter().filter_map(|it| it.used).sum() };
        prop_assert!(gone.len() == all.len() || freed(&gone) >= wanted);
        if let Some((_, before)) = gone.split_last() {
            prop_assert!(freed(before) < wanted);
        }
    }

    #[test]
    fn groups_live_and_die_whole(
        datasets in prop::collection::vec(disordered_history(), 2..4),
        policies in prop::collection::vec(policy_and_space(), 3),
        targets in targets(),
        zone in zone(),
        after in -200_000_i64..200_000,
    ) {
        let now = now(&datasets[0], after, &zone);
        let plans = || -> Vec<Plan<'_>> {
            let both = datasets.iter().zip(&policies);
            both.map(|(all, policy)| policy.plan(all, &targets, &now)).collect()
        };
        let alone = plans();
        let mut whole = plans();
        Plan::keep_groups_whole(&mut whole);
        let kept: BTreeSet<&str> = alone.iter().flat_map(Plan::kept).map(|it| it.name.as_str()).collect();
        for (alone, whole) in alone.iter().zip(&whole) {
            // Exactly those go of which no one stayed.
            let gone: BTreeSet<&str> = whole.destroyed().map(|it| it.name.as_str()).collect();
            let wanted = alone.destroyed().map(|it| it.name.as_str());
            let wanted: BTreeSet<&str> = wanted.filter(|name| !kept.contains(name)).collect();
            prop_assert_eq!(gone, wanted);
        }
    }

    #[test]
    fn the_order_of_the_input_means_nothing(
        (ordered, shuffled) in disordered_history()
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        policy in policy_and_space(),
        targets in targets(),
        zone in zone(),
        after in -200_000_i64..200_000,
    ) {
        let now = now(&ordered, after, &zone);
        let a = policy.plan(&ordered, &targets, &now);
        let b = policy.plan(&shuffled, &targets, &now);
        let told = |plan: &Plan<'_>| -> Vec<String> {
            plan.decisions()
                .map(|d| format!("{} {:?} {:?}", d.snapshot().name, d.verdict(), d.reasons()))
                .collect()
        };
        prop_assert_eq!(told(&a), told(&b));
    }

    #[test]
    fn every_tier_is_filled_where_the_history_can_fill_it(
        snapshots in history(),
        kind in 0_usize..7,
        count in 0_u32..8,
        zone in zone(),
    ) {
        let now = now(&snapshots, 0, &zone);
        let managed: Vec<_> =
            snapshots.iter().filter(|s| s.name.starts_with("auto")).collect();
        let periods: BTreeSet<String> = managed
            .iter()
            .map(|s| {
                let local = s.creation.to_zoned(zone.clone());
                let offset = local.offset();
                match kind {
                    0 => s.name.clone(),
                    1 => format!("{} {} {offset}", local.date(), i32::from(local.hour()) * 4 + i32::from(local.minute()) / 15),
                    2 => format!("{} {} {offset}", local.date(), local.hour()),
                    3 => local.date().to_string(),
                    4 => format!("{:?}", (local.date().iso_week_date().year(), local.date().iso_week_date().week())),
                    5 => local.strftime("%Y-%m").to_string(),
                    _ => local.year().to_string(),
                }
            })
            .collect();
        let policy = Policy::managing(Names::prefix("auto")).with(part_of(kind, count));
        let plan = policy.plan(&snapshots, &[], &now);
        let kept = plan
            .decisions()
            .filter(|d| d.reasons().iter().any(|r| matches!(r, zfs_retention::Reason::Kept { .. })))
            .count();
        prop_assert_eq!(kept, periods.len().min(count as usize));
    }

    #[test]
    fn a_base_without_bookmark_lives_and_so_does_what_is_missing(
        snapshots in history(),
        policy in policy(),
        n in 1_u64..60,
        zone in zone(),
    ) {
        let now = now(&snapshots, 0, &zone);
        let targets = [Target::new("t").base(Guid(n), Txg(n)).required()];
        let plan = policy.plan(&snapshots, &targets, &now);
        for snapshot in plan.destroyed() {
            prop_assert!(snapshot.createtxg < Txg(n));
        }
        if let Some(base) = snapshots.iter().find(|s| s.guid == Guid(n)) {
            let decision = plan.decision(&base.name).unwrap();
            let saving = Protection::CommonBase { target: "t" };
            prop_assert!(decision.protections().any(|found| found == saving));
        }
    }
}
