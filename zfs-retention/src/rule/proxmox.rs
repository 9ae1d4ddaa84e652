//! Proxmox Backup Server's options, each behind what those before it kept.

use std::collections::HashMap;

use super::{Outcome, Seen};
use crate::{
    Keep,
    calendar::{Moment, PeriodKey, Unit},
};

/// The options above zero, in the order that Proxmox takes them.
pub(crate) fn options(keep: &Keep) -> impl Iterator<Item = (&'static str, u32)> {
    [
        ("last", keep.last),
        ("frequently", keep.frequently),
        ("hourly", keep.hourly),
        ("daily", keep.daily),
        ("weekly", keep.weekly),
        ("monthly", keep.monthly),
        ("yearly", keep.yearly),
    ]
    .into_iter()
    .filter(|(_, count)| *count > 0)
}

fn unit(option: &str) -> Option<Unit> {
    Some(match option {
        "frequently" => Unit::Minutes(15),
        "hourly" => Unit::Hour,
        "daily" => Unit::Day,
        "weekly" => Unit::Week,
        "monthly" => Unit::Month,
        "yearly" => Unit::Year,
        _ => return None,
    })
}

/// Judges as Proxmox does, and says of what no option keeps which would with
/// another count, or what stands in its place.
pub(super) fn judge(keep: &Keep, seen: Seen<'_>, mut judged: impl FnMut(u32, Outcome)) {
    if options(keep).next().is_none() {
        // keeps_something() in prune.rs: without an option nothing is pruned.
        seen.iter()
            .for_each(|(position, _)| judged(position, Outcome::Every));
        return;
    }
    // What options decided, and why those of periods did not decide.
    let mut marks: Vec<Option<Outcome>> = vec![None; seen.len()];
    let mut missed: Vec<Option<Outcome>> = vec![None; seen.len()];
    for (option, (name, count)) in (1_u32..).zip(options(keep)) {
        if let Some(unit) = unit(name) {
            choose((option, count), unit, seen, &mut marks, &mut missed);
        } else {
            let last = Outcome::Option(option);
            marks
                .iter_mut()
                .take(count as usize)
                .for_each(|mark| *mark = Some(last));
        }
    }
    let reasons = marks.into_iter().zip(missed);
    for (rank, ((position, _), (mark, missed))) in (1..).zip(seen.iter().zip(reasons)) {
        let kept = mark.filter(|mark| mark.keeps());
        // Which count would keep it says more than what stands in its place.
        let counted = missed.filter(|missed| matches!(missed, Outcome::BeyondOption { .. }));
        let outcome = kept.or(counted).or(mark).or(missed);
        // There is only `last`, which is the first.
        judged(
            position,
            outcome.unwrap_or(Outcome::BeyondOption { option: 1, rank }),
        );
    }
}

/// What one option of periods keeps, the newest of each.
fn choose(
    (option, count): (u32, u32),
    unit: Unit,
    seen: Seen<'_>,
    marks: &mut [Option<Outcome>],
    missed: &mut [Option<Outcome>],
) {
    // Periods in which something is kept already, by its place.
    let mut covered: HashMap<PeriodKey, u32> = HashMap::new();
    for ((position, moment), mark) in seen.iter().zip(&*marks) {
        if mark.is_some_and(Outcome::keeps) {
            covered.entry(moment.period(unit)).or_insert(position);
        }
    }
    // The others as they are counted, with their newest.
    let mut counted: HashMap<PeriodKey, (u32, u32)> = HashMap::new();
    for (((position, moment), mark), missed) in seen.iter().zip(marks).zip(missed) {
        if mark.is_some() {
            continue;
        }
        let period = moment.period(unit);
        if let Some(by) = covered.get(&period) {
            missed.get_or_insert(Outcome::Superseded(*by));
            continue;
        }
        let next = u32::try_from(counted.len() + 1).unwrap_or(u32::MAX);
        let (rank, newest) = *counted.entry(period).or_insert((next, position));
        match (rank <= count, newest == position) {
            (true, true) => *mark = Some(Outcome::Option(option)),
            // No later option looks at it.
            (true, false) => *mark = Some(Outcome::Superseded(newest)),
            (false, true) => *missed = Some(Outcome::BeyondOption { option, rank }),
            (false, false) => {
                missed.get_or_insert(Outcome::Superseded(newest));
            }
        }
    }
}

/// What the option at this place (from 1) keeps a snapshot for.
pub(super) fn period_name(keep: &Keep, option: u32, moment: Moment) -> Option<String> {
    let (option, _) = options(keep).nth(option.checked_sub(1)? as usize)?;
    Some(match unit(option) {
        None => option.to_owned(),
        Some(unit) => format!("{option} {}", moment.period_name(unit)),
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::{Guid, Names, Part, Policy, Snapshot, Txg};

    /// Of each moment of April 2026, from the oldest, all that is said.
    fn told(keep: Keep, moments: &[&str]) -> Vec<String> {
        let snapshots: Vec<Snapshot> = (1..)
            .zip(moments)
            .map(|(n, at)| {
                let creation = format!("2026-04-{at}:00Z").parse().unwrap();
                Snapshot::new(*at, Guid(n), Txg(n), creation)
            })
            .collect();
        let policy = Policy::managing(Names::Any).with(Part::proxmox(keep).called("in turn"));
        let now = "2026-04-30T12:00:00Z[UTC]".parse().unwrap();
        let plan = policy.plan(&snapshots, &[], &now);
        plan.decisions()
            .map(|decision| decision.reasons().iter().map(ToString::to_string).collect())
            .collect()
    }

    #[test]
    fn without_an_option_all_is_kept() {
        let all = told(Keep::default(), &["01T08:00", "02T08:00"]);
        assert_eq!(all, ["in turn: kept", "in turn: kept"]);
    }

    #[test]
    fn what_is_not_kept_is_told_by_what_stands_for_it_or_which_count_would_keep_it() {
        let keep = Keep {
            last: 1,
            daily: 2,
            monthly: 1,
            ..Keep::default()
        };
        let moments = [
            "01T08:00", "01T20:00", "02T20:00", "03T08:00", "03T20:00", "04T08:00", "04T20:00",
        ];
        assert_eq!(
            told(keep, &moments),
            [
                "in turn: 01T20:00 stands for its period",
                "in turn: daily 2026-04-01 is number 3",
                "in turn: kept for daily 2026-04-02",
                "in turn: 03T20:00 stands for its period",
                "in turn: kept for daily 2026-04-03",
                "in turn: 04T20:00 stands for its period",
                "in turn: kept for last",
            ]
        );
        let keep = Keep {
            last: 1,
            ..Keep::default()
        };
        let all = told(keep, &["01T08:00", "02T08:00", "03T08:00"]);
        assert_eq!(
            all,
            [
                "in turn: it is number 3",
                "in turn: it is number 2",
                "in turn: kept for last"
            ]
        );
    }

    #[test]
    fn options_of_zero_are_none_and_the_others_name_their_periods() {
        let keep = Keep {
            last: 3,
            daily: 2,
            ..Keep::default()
        };
        let all: Vec<_> = options(&keep).collect();
        assert_eq!(all, [("last", 3), ("daily", 2)]);
        let at = "2026-04-03T12:00:00Z".parse().unwrap();
        let moment = Moment::new(at, &TimeZone::UTC);
        let name = |nth| period_name(&keep, nth, moment);
        assert_eq!(name(1).as_deref(), Some("last"));
        assert_eq!(name(2).as_deref(), Some("daily 2026-04-03"));
        assert_eq!((name(0), name(3)), (None, None));
    }
}
