//! Proxmox Backup Server's options, each behind what those before it kept.

use std::collections::{HashMap, HashSet};

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

pub(super) fn judge(keep: &Keep, seen: Seen<'_>, mut judged: impl FnMut(u32, Outcome)) {
    let mut marks: Vec<Option<Outcome>> = vec![None; seen.len()];
    for (nth, (option, count)) in (1_u32..).zip(options(keep)) {
        let Some(unit) = unit(option) else {
            for mark in marks.iter_mut().take(count as usize) {
                *mark = Some(Outcome::Option(nth));
            }
            continue;
        };
        let covered: HashSet<PeriodKey> = seen
            .iter()
            .zip(&marks)
            .filter(|(_, mark)| mark.is_some_and(Outcome::keeps))
            .map(|((_, moment), _)| moment.period(unit))
            .collect();
        let mut chosen: HashMap<PeriodKey, u32> = HashMap::new();
        for ((position, moment), mark) in seen.iter().zip(&mut marks) {
            let period = moment.period(unit);
            if mark.is_some() || covered.contains(&period) {
                continue;
            }
            if let Some(by) = chosen.get(&period) {
                *mark = Some(Outcome::Superseded(*by));
            } else if chosen.len() < count as usize {
                chosen.insert(period, position);
                *mark = Some(Outcome::Option(nth));
            } else {
                break;
            }
        }
    }
    for ((position, _), mark) in seen.iter().zip(marks) {
        judged(position, mark.unwrap_or(Outcome::TooOld));
    }
}

/// What the option at this place (from 1) keeps a snapshot for.
pub(super) fn period_name(keep: &Keep, nth: u32, moment: Moment) -> Option<String> {
    let (option, _) = options(keep).nth(nth.checked_sub(1)? as usize)?;
    Some(match unit(option) {
        None => option.to_owned(),
        Some(unit) => format!("{option} {}", moment.period_name(unit)),
    })
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

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
