//! The calendar tiers: the newest of each of the last N periods that have any.

use jiff::{Timestamp, Zoned};
use zfs_retention::{Guid, Keep, Names, Part, Policy, Snapshot, Tier, Txg};

fn history(times: &[&str]) -> Vec<Snapshot> {
    (1..)
        .zip(times)
        .map(|(n, time)| {
            let creation: Timestamp = time.parse().unwrap();
            Snapshot::new(*time, Guid(n), Txg(n), creation)
        })
        .collect()
}

#[track_caller]
fn assert_kept(parts: Vec<Part>, now: &str, times: &[&str], expected: &[&str]) {
    let now: Zoned = now.parse().unwrap();
    let snapshots = history(times);
    let policy = parts
        .into_iter()
        .fold(Policy::managing(Names::Any), Policy::with);
    let plan = policy.plan(&snapshots, &[], &now);
    let kept: Vec<_> = plan.kept().map(|snapshot| snapshot.name.as_str()).collect();
    assert_eq!(kept, expected);
}

#[test]
fn the_newest_of_each_day_that_has_any() {
    assert_kept(
        vec![Part::daily(3)],
        "2026-04-09T22:00:00Z[UTC]",
        &[
            "2026-03-31T20:00:00Z",
            "2026-04-01T08:00:00Z",
            "2026-04-01T20:00:00Z",
            "2026-04-02T08:00:00Z",
            "2026-04-09T08:00:00Z",
            "2026-04-09T20:00:00Z",
        ],
        &[
            "2026-04-01T20:00:00Z",
            "2026-04-02T08:00:00Z",
            "2026-04-09T20:00:00Z",
        ],
    );
}

#[test]
fn days_are_those_of_the_zone_of_now() {
    let times = ["2026-04-02T22:30:00Z", "2026-04-03T10:00:00Z"];
    assert_kept(
        vec![Part::daily(2)],
        "2026-04-03T14:00:00+02:00[Europe/Berlin]",
        &times,
        &["2026-04-03T10:00:00Z"],
    );
    assert_kept(
        vec![Part::daily(2)],
        "2026-04-03T12:00:00Z[UTC]",
        &times,
        &times,
    );
}

#[test]
fn the_repeated_hour_of_autumn_keeps_both() {
    let times = [
        "2026-10-24T23:50:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:30:00Z",
    ];
    assert_kept(
        vec![Part::hourly(3)],
        "2026-10-25T12:00:00+01:00[Europe/Berlin]",
        &times,
        &times,
    );
}

#[test]
fn tiers_combine_and_any_of_them_keeps() {
    assert_kept(
        Keep {
            last: 1,
            daily: 2,
            monthly: 2,
            yearly: 2,
            ..Keep::default()
        }
        .parts(),
        "2026-04-03T12:00:00Z[UTC]",
        &[
            "2024-06-01T00:00:00Z",
            "2025-06-01T00:00:00Z",
            "2026-03-30T00:00:00Z",
            "2026-03-31T00:00:00Z",
            "2026-04-02T00:00:00Z",
            "2026-04-03T01:00:00Z",
            "2026-04-03T02:00:00Z",
        ],
        &[
            "2025-06-01T00:00:00Z",
            "2026-03-31T00:00:00Z",
            "2026-04-02T00:00:00Z",
            "2026-04-03T02:00:00Z",
        ],
    );
}

#[test]
fn weeks_and_quarters_of_an_hour_have_their_periods() {
    assert_kept(
        vec![Part::weekly(2)],
        "2026-04-08T00:00:00Z[UTC]",
        &[
            "2026-03-29T00:00:00Z",
            "2026-03-30T00:00:00Z",
            "2026-04-05T00:00:00Z",
            "2026-04-06T00:00:00Z",
        ],
        &["2026-04-05T00:00:00Z", "2026-04-06T00:00:00Z"],
    );
    assert_kept(
        vec![Part::frequently(15, 2)],
        "2026-04-08T02:00:00Z[UTC]",
        &[
            "2026-04-08T00:14:00Z",
            "2026-04-08T00:15:00Z",
            "2026-04-08T00:29:00Z",
            "2026-04-08T01:00:00Z",
        ],
        &["2026-04-08T00:29:00Z", "2026-04-08T01:00:00Z"],
    );
}

#[test]
fn reasons_name_the_period_the_place_and_the_snapshot_that_stands_for_it() {
    let now: Zoned = "2026-04-03T12:00:00Z[UTC]".parse().unwrap();
    let snapshots = history(&[
        "2026-04-01T00:00:00Z",
        "2026-04-03T01:00:00Z",
        "2026-04-03T02:00:00Z",
    ]);
    let policy = Policy::managing(Names::Any)
        .with(Part::daily(1))
        .with(Part::last(2));
    let plan = policy.plan(&snapshots, &[], &now);
    let told: Vec<Vec<String>> = plan
        .decisions()
        .map(|decision| decision.reasons().iter().map(ToString::to_string).collect())
        .collect();
    assert_eq!(
        told,
        [
            vec!["daily 1: 2026-04-01 is number 2", "last 2: it is number 3"],
            vec![
                "last 2: kept, number 2",
                "daily 1: 2026-04-03T02:00:00Z stands for 2026-04-03"
            ],
            vec![
                "daily 1: kept for 2026-04-03, number 1",
                "last 2: kept, number 1"
            ],
        ]
    );
}

#[cfg(feature = "serde")]
#[test]
fn a_plan_is_json() {
    let now: Zoned = "2026-04-03T12:00:00Z[UTC]".parse().unwrap();
    let snapshots = history(&["2026-04-01T00:00:00Z", "2026-04-03T01:00:00Z"]);
    let policy = Policy::managing(Names::Any).with(Part::daily(1));
    let json = serde_json::to_value(policy.plan(&snapshots, &[], &now)).unwrap();
    assert_eq!(
        json[0],
        serde_json::json!({
            "name": "2026-04-01T00:00:00Z",
            "guid": "1",
            "createtxg": 1,
            "creation": "2026-04-01T00:00:00Z",
            "used": null,
            "verdict": "destroy",
            "reasons": [{
                "kind": "beyond_count",
                "rank": 2,
                "part": "daily 1",
                "period": "2026-04-01",
                "text": "daily 1: 2026-04-01 is number 2",
            }],
        })
    );
    assert_eq!(json[1]["verdict"], "keep");
}

#[test]
fn what_count_of_sanoids_would_keep_one_is_the_least_that_does() {
    let snapshots: Vec<Snapshot> = (1..)
        .zip(["08:00", "08:40", "09:20", "09:40"])
        .map(|(n, time)| {
            let creation: Timestamp = format!("2026-04-03T{time}:00Z").parse().unwrap();
            Snapshot::new(format!("autosnap_{time}_hourly"), Guid(n), Txg(n), creation)
        })
        .collect();
    let policy = Policy::managing(Names::Any).with(Part::sanoid(Tier::Hourly, 1));
    // By its age where it is young, by its place where there are few newer.
    for (now, needed) in [
        ("2026-04-03T10:30:00Z[UTC]", 3),
        ("2026-04-04T10:30:00Z[UTC]", 4),
    ] {
        let now: Zoned = now.parse().unwrap();
        let plan = policy.plan(&snapshots, &[], &now);
        let reasons = plan.decision("autosnap_08:00_hourly").unwrap().reasons();
        let told: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        let expected = format!("{needed} would keep it");
        assert!(
            told.iter().any(|reason| reason.ends_with(&expected)),
            "{told:?}"
        );
        let change = plan.if_count(0, needed).unwrap();
        assert!(
            change
                .saved
                .iter()
                .any(|saved| saved.name == "autosnap_08:00_hourly")
        );
    }
}
