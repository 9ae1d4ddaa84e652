//! One snapshot for each slot of time: zfs_autobackup's and znapzend's way.

use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
    str::FromStr,
};

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, Seen};
use crate::{Error, Part, Rule, calendar::Moment, length};

/// Which snapshot of a slot stands for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The first one taken in it, which stays the same while others come.
    Oldest,
    /// The last one taken in it.
    Newest,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Oldest => "oldest",
            Self::Newest => "newest",
        })
    }
}

/// znapzend's backup plan: the older, the sparser.
///
/// Written as znapzend writes it (`lib/ZnapZend/Time.pm`): `7d=>1h,30d=>4h`
/// keeps one an hour for seven days and one every four hours for thirty. A
/// snapshot's age picks the step with the smallest retention that it does not
/// exceed, and the first of each of that step's slots survives; slots begin
/// at multiples of their length in local time. A month has 30 days, a year
/// 365.25. As in znapzend, a snapshot taken this very moment survives.
///
/// A longer retention is not always more generous: where the step of the finer
/// slots grows, its slots stand where those of the next step did, and of two
/// snapshots that each had a slot one may go. Another part beside it never takes one away.
///
/// Ages are real time here; znapzend subtracts local times, so it is an hour
/// off for a while after each change of the clocks.
///
/// With `1d=>1h,7d=>1d` at 10 April 12:00 UTC, snapshots of 8 April 09:00 and
/// 15:00 and of 10 April 11:10, 11:20 and 11:50: of the first step 11:10
/// survives, of the second 8 April 09:00.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thinning {
    /// Retention and slot, by retention.
    steps: Vec<(SignedDuration, SignedDuration)>,
}

impl Thinning {
    /// The slot that the step numbered from 1 has a snapshot in.
    pub(super) fn slot_name(&self, step: u32, moment: Moment) -> Option<String> {
        let (_, slot) = self.steps.get(step.checked_sub(1)? as usize)?;
        let local = moment.local_seconds();
        let begin = local - local.rem_euclid(slot.as_secs().max(1));
        let begin = Timestamp::from_second(begin).ok()?;
        let begin = begin.strftime("%Y-%m-%d %H:%M");
        Some(format!("{} from {begin}", length::show(*slot)))
    }

    fn step(&self, age: SignedDuration) -> Option<(u32, SignedDuration)> {
        (0..)
            .zip(&self.steps)
            .find(|(_, (retention, _))| *retention >= age)
            .map(|(nth, (_, slot))| (nth, *slot))
    }

    pub(super) fn judge(
        &self,
        seen: Seen<'_>,
        now: Timestamp,
        mut judged: impl FnMut(u32, Outcome),
    ) {
        let mut slots = Slots::default();
        for (position, moment) in seen.iter().rev() {
            let outcome = match self.step(moment.age(now)) {
                None => Outcome::TooOld,
                Some((step, slot)) => {
                    let number = slot_number(moment.local_seconds(), slot);
                    match slots.take((step, number), position) {
                        None => Outcome::Chosen(step + 1),
                        Some(_) if moment.at() == now => Outcome::Young,
                        Some(by) => Outcome::Superseded(by),
                    }
                }
            };
            judged(position, outcome);
        }
    }
}

impl FromStr for Thinning {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |problem: String| Error::syntax("znapzend plan", text, problem);
        let mut steps = Vec::new();
        for step in text.split(',') {
            let (retention, slot) = step
                .split_once("=>")
                .ok_or_else(|| wrong(format!("{step:?} is not of the form RETENTION=>INTERVAL")))?;
            steps.push((
                length::parse(retention.trim(), length::ZNAPZEND).map_err(wrong)?,
                length::parse(slot.trim(), length::ZNAPZEND).map_err(wrong)?,
            ));
        }
        steps.sort();
        let twice = steps
            .iter()
            .zip(steps.iter().skip(1))
            .find(|(a, b)| a.0 == b.0);
        if let Some(((retention, _), _)) = twice {
            let retention = length::show(*retention);
            return Err(wrong(format!("there are two steps for {retention}")));
        }
        Ok(Self { steps })
    }
}

impl fmt::Display for Thinning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, (retention, slot)) in self.steps.iter().enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            // Here m is a month.
            let [retention, slot] = [retention, slot].map(|it| {
                let shown = length::show(*it);
                let minutes = shown.strip_suffix('m').map(|number| format!("{number}min"));
                minutes.unwrap_or(shown)
            });
            write!(f, "{comma}{retention}=>{slot}")?;
        }
        Ok(())
    }
}

/// The parts of a zfs_autobackup schedule such as `10,1d1w,1w1m,1m1y`
/// (`zfs_autobackup/ThinnerRule.py`): a bare number keeps the last so many,
/// each other rule the oldest of every epoch-aligned period until a lifetime.
pub(crate) fn zfs_autobackup(text: &str) -> Result<Vec<Part>, Error> {
    let wrong = |problem: String| Error::syntax("zfs_autobackup schedule", text, problem);
    let lower = text.to_ascii_lowercase();
    let mut parts = Vec::new();
    for rule in lower.split(',') {
        if !rule.is_empty() && rule.bytes().all(|byte| byte.is_ascii_digit()) {
            let count = rule
                .parse()
                .map_err(|_| wrong(format!("{rule} is too many snapshots")))?;
            parts.push(Part::last(count));
            continue;
        }
        let (every, rest) = length::take(rule, length::ZFS_AUTOBACKUP).map_err(wrong)?;
        let within = length::parse(rest, length::ZFS_AUTOBACKUP).map_err(wrong)?;
        if every > within {
            return Err(wrong(format!(
                "in {rule:?} the period outlasts the lifetime"
            )));
        }
        parts.push(Part::new(Rule::PerInterval {
            every,
            within: Some(within),
            end: End::Oldest,
        }));
    }
    Ok(parts)
}

pub(super) fn judge_interval(
    every: SignedDuration,
    within: Option<SignedDuration>,
    end: End,
    seen: Seen<'_>,
    now: Timestamp,
    mut judged: impl FnMut(u32, Outcome),
) {
    let mut slots = Slots::default();
    let mut judge = |(position, moment): (u32, &Moment)| {
        let old = within.is_some_and(|within| moment.age(now) > within);
        let outcome = if old {
            Outcome::TooOld
        } else {
            let number = slot_number(moment.second(), every);
            match slots.take((0, number), position) {
                None => Outcome::Chosen(0),
                Some(by) => Outcome::Superseded(by),
            }
        };
        judged(position, outcome);
    };
    match end {
        End::Newest => seen.iter().for_each(&mut judge),
        End::Oldest => seen.iter().rev().for_each(&mut judge),
    }
}

/// The slot as a person reads it: `1d from 2026-04-03T00:00:00Z`.
pub(super) fn slot_name(every: SignedDuration, moment: Moment) -> String {
    let second = moment.second();
    let begin = second - second.rem_euclid(every.as_secs().max(1));
    // Only the first slot of all time begins before any timestamp can.
    let begin = Timestamp::from_second(begin).unwrap_or(Timestamp::MIN);
    format!("{} from {begin}", length::show(every))
}

fn slot_number(seconds: i64, length: SignedDuration) -> i64 {
    seconds.div_euclid(length.as_secs().max(1))
}

/// Which slots, by step and number, have their snapshot, and at which position.
#[derive(Default)]
struct Slots(HashMap<(u32, i64), u32>);

impl Slots {
    /// `None` where the slot was free, else who has it.
    fn take(&mut self, slot: (u32, i64), position: u32) -> Option<u32> {
        match self.0.entry(slot) {
            Entry::Occupied(taken) => Some(*taken.get()),
            Entry::Vacant(free) => {
                free.insert(position);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn znapzend_plans_are_read_and_sorted() {
        let plan: Thinning = "30d=>4h,7days=>1hour,1y=>1mon".parse().unwrap();
        assert_eq!(plan.to_string(), "7d=>1h,30d=>4h,8766h=>30d");
        // Found by fuzzing: 2m would be two months.
        let plan: Thinning = "90min=>2min".parse().unwrap();
        assert_eq!(plan.to_string(), "90min=>2min");
        assert_eq!(plan.to_string().parse(), Ok(plan));
    }

    #[test]
    fn a_slot_is_named_by_its_step_and_beginning() {
        let plan: Thinning = "1d=>1h,7d=>1d".parse().unwrap();
        let at = "2026-04-08T09:30:00Z".parse().unwrap();
        let name = |step| plan.slot_name(step, Moment::new(at, &jiff::tz::TimeZone::UTC));
        assert_eq!(name(1).as_deref(), Some("1h from 2026-04-08 09:00"));
        assert_eq!(name(2).as_deref(), Some("1d from 2026-04-08 00:00"));
        assert_eq!((name(0), name(3)), (None, None));
    }

    #[test]
    fn plans_that_make_no_sense_are_refused() {
        for text in [
            "",
            "7d",
            "7d=>",
            "7d=>1x",
            "7d=>1h,7d=>2h",
            "0d=>1h",
            "7d=>1h,",
        ] {
            assert!(text.parse::<Thinning>().is_err(), "{text}");
        }
    }

    #[test]
    fn zfs_autobackup_schedules_are_read() {
        let parts = zfs_autobackup("10,1d1w,1W1M").unwrap();
        let shown: Vec<_> = parts.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            ["last 10", "oldest per 1d for 7d", "oldest per 7d for 30d"]
        );
    }

    #[test]
    fn schedules_that_zfs_autobackup_refuses_are_refused() {
        for text in ["", "1d", "1w1d", "x", "1d1w,", "99999999999", "1d1w2"] {
            assert!(zfs_autobackup(text).is_err(), "{text}");
        }
    }
}
