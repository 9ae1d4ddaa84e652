//! What a section comes down to.

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::error::shortened;
use crate::{Names, Part, Policy, SanoidTimes, Schedule, Tier};

/// The settings of one dataset. The default is that of
/// `sanoid.defaults.conf` 2.3.0.
// Each is a switch of its own in sanoid.conf.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Take snapshots.
    pub autosnap: bool,
    /// Destroy them again.
    pub autoprune: bool,
    /// How many of each type, in the order of [`Tier::ALL`].
    counts: [u32; 6],
    /// Preferred times.
    pub times: SanoidTimes,
    /// Prune only while the pool is fuller than so many percent; 0 always.
    pub prune_defer: u8,
    /// Be watched by `--monitor-snapshots`.
    pub monitor: bool,
    /// Report warnings with status OK.
    pub monitor_dont_warn: bool,
    /// Report criticals with status OK.
    pub monitor_dont_crit: bool,
    /// Ages from which to warn, in the order of [`Tier::ALL`].
    warn: [SignedDuration; 6],
    /// Ages that are critical.
    crit: [SignedDuration; 6],
    /// Warn when the pool is fuller than so many percent; 0 never.
    pub capacity_warn: u8,
    /// Critical when the pool is fuller than so many percent; 0 never.
    pub capacity_crit: u8,
    /// Run before snapshots are taken.
    pub pre_snapshot_script: Option<String>,
    /// Run after snapshots were taken.
    pub post_snapshot_script: Option<String>,
    /// Run before each destruction; failure prevents it.
    pub pre_pruning_script: Option<String>,
    /// Run after each destruction.
    pub pruning_script: Option<String>,
    /// How long a script may take; `None` is as long as it likes.
    pub script_timeout: Option<SignedDuration>,
    /// Take nothing where `pre_snapshot_script` failed.
    pub no_inconsistent_snapshot: bool,
    /// Run `post_snapshot_script` even then.
    pub force_post_snapshot_script: bool,
}

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Default for Settings {
    fn default() -> Self {
        let seconds = SignedDuration::from_secs;
        let none = SignedDuration::ZERO;
        Self {
            autosnap: true,
            autoprune: true,
            counts: [0, 6, 0, 90, 48, 0],
            times: SanoidTimes::default(),
            prune_defer: 0,
            monitor: true,
            monitor_dont_warn: false,
            monitor_dont_crit: false,
            warn: [
                none,
                seconds(32 * DAY),
                none,
                seconds(28 * HOUR),
                seconds(90 * MINUTE),
                none,
            ],
            crit: [
                none,
                seconds(40 * DAY),
                none,
                seconds(32 * HOUR),
                seconds(360 * MINUTE),
                none,
            ],
            capacity_warn: 80,
            capacity_crit: 95,
            pre_snapshot_script: None,
            post_snapshot_script: None,
            pre_pruning_script: None,
            pruning_script: None,
            script_timeout: Some(seconds(5)),
            no_inconsistent_snapshot: false,
            force_post_snapshot_script: false,
        }
    }
}

/// What setting a key may have to add.
pub(super) enum Note {
    /// Nothing.
    Fine,
    /// It was understood, but.
    Warning(String),
}

impl Settings {
    /// How many of a type to keep; 0 takes none and destroys all.
    pub fn count(&self, tier: Tier) -> u32 {
        of(tier, &self.counts).copied().unwrap_or(0)
    }

    /// The age from which `--monitor-snapshots` warns; zero never.
    pub fn warn(&self, tier: Tier) -> SignedDuration {
        of(tier, &self.warn).copied().unwrap_or_default()
    }

    /// The age from which `--monitor-snapshots` is critical; zero never.
    pub fn crit(&self, tier: Tier) -> SignedDuration {
        of(tier, &self.crit).copied().unwrap_or_default()
    }

    /// What the counts keep; without `autoprune` it destroys nothing.
    pub fn policy(&self) -> Policy {
        let policy = Policy::managing(Names::prefix("autosnap"));
        if !self.autoprune {
            return policy;
        }
        policy.with_all(Tier::ALL.map(|tier| {
            Part::sanoid_with_period(tier, self.count(tier), self.times.frequent_period)
        }))
    }

    /// The types that are taken, in sanoid's order, and when; none without
    /// `autosnap`.
    pub fn schedules(&self) -> Vec<(Tier, Schedule)> {
        let wanted = |tier: &Tier| self.autosnap && self.count(*tier) > 0;
        Tier::ALL
            .into_iter()
            .filter(wanted)
            .map(|tier| {
                let times = self.times.clone();
                (tier, Schedule::Sanoid { tier, times })
            })
            .collect()
    }

    /// The types of which a snapshot is due, in sanoid's order. `taken` are
    /// the types and creation times of the snapshots that exist, in any order.
    ///
    /// ```
    /// use zfs_retention::{Tier, conf::Settings};
    ///
    /// let now: jiff::Zoned = "2026-04-03T12:34:56+02:00[Europe/Berlin]".parse()?;
    /// let taken = [(Tier::Monthly, "2026-04-01T00:01:07+02:00".parse()?)];
    /// assert_eq!(Settings::default().due(taken, &now), [Tier::Daily, Tier::Hourly]);
    /// # Ok::<(), jiff::Error>(())
    /// ```
    pub fn due(
        &self,
        taken: impl IntoIterator<Item = (Tier, Timestamp)>,
        now: &Zoned,
    ) -> Vec<Tier> {
        let mut own: [Vec<Timestamp>; 6] = Default::default();
        for (tier, creation) in taken {
            if let Some(own) = own.get_mut(tier as usize) {
                own.push(creation);
            }
        }
        self.schedules()
            .into_iter()
            .filter(|(tier, schedule)| {
                let own = of(*tier, &own).map_or(&[][..], Vec::as_slice);
                schedule.due(own.iter().copied(), now).is_some()
            })
            .map(|(tier, _)| tier)
            .collect()
    }

    /// Sets one key. `Err` says what is wrong with the value; `Ok(None)` that
    /// there is no such key.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<Option<Note>, String> {
        let times = &mut self.times;
        let mut note = Note::Fine;
        match key {
            "autosnap" => self.autosnap = toggle(value)?,
            "autoprune" => self.autoprune = toggle(value)?,
            "monitor" => self.monitor = toggle(value)?,
            "monitor_dont_warn" => self.monitor_dont_warn = toggle(value)?,
            "monitor_dont_crit" => self.monitor_dont_crit = toggle(value)?,
            "no_inconsistent_snapshot" => self.no_inconsistent_snapshot = toggle(value)?,
            "force_post_snapshot_script" => self.force_post_snapshot_script = toggle(value)?,
            "hourly_min" => times.hourly_min = number(value, 0, 59, &mut note)?,
            "daily_hour" => times.daily_hour = number(value, 0, 23, &mut note)?,
            "daily_min" => times.daily_min = number(value, 0, 59, &mut note)?,
            "weekly_wday" => times.weekly_wday = number(value, 0, 7, &mut note)?,
            "weekly_hour" => times.weekly_hour = number(value, 0, 23, &mut note)?,
            "weekly_min" => times.weekly_min = number(value, 0, 59, &mut note)?,
            "monthly_mday" => {
                times.monthly_mday = number(value, 1, 31, &mut note)?;
                shorter_months(times.monthly_mday, &mut note);
            }
            "monthly_hour" => times.monthly_hour = number(value, 0, 23, &mut note)?,
            "monthly_min" => times.monthly_min = number(value, 0, 59, &mut note)?,
            "yearly_mon" => times.yearly_mon = number(value, 1, 12, &mut note)?,
            "yearly_mday" => times.yearly_mday = number(value, 1, 31, &mut note)?,
            "yearly_hour" => times.yearly_hour = number(value, 0, 23, &mut note)?,
            "yearly_min" => times.yearly_min = number(value, 0, 59, &mut note)?,
            "frequent_period" => {
                times.frequent_period = number(value, 1, 1440, &mut note)?;
                if 60 % times.frequent_period != 0 {
                    let period = times.frequent_period;
                    note = Note::Warning(format!(
                        "{period} minutes do not divide an hour, so the gaps will differ"
                    ));
                }
            }
            "prune_defer" => self.prune_defer = number(value, 0, 100, &mut note)?,
            "capacity_warn" => self.capacity_warn = number(value, 0, 100, &mut note)?,
            "capacity_crit" => self.capacity_crit = number(value, 0, 100, &mut note)?,
            "pre_snapshot_script" => self.pre_snapshot_script = script(value),
            "post_snapshot_script" => self.post_snapshot_script = script(value),
            "pre_pruning_script" => self.pre_pruning_script = script(value),
            "pruning_script" => self.pruning_script = script(value),
            "script_timeout" => {
                let seconds: i64 = value
                    .parse()
                    .map_err(|_| format!("{:?} is not a number of seconds", shortened(value)))?;
                self.script_timeout = (seconds > 0).then(|| SignedDuration::from_secs(seconds));
            }
            _ => return self.set_of_tier(key, value),
        }
        Ok(Some(note))
    }

    fn set_of_tier(&mut self, key: &str, value: &str) -> Result<Option<Note>, String> {
        let mut note = Note::Fine;
        let (word, kind) = match key.split_once('_') {
            None => (key, None),
            Some((word, kind)) => (word, Some(kind)),
        };
        let Ok(tier) = word.parse::<Tier>() else {
            return Ok(None);
        };
        match kind {
            None => {
                let count = number(value, 0, u32::MAX, &mut note)?;
                put(tier, &mut self.counts, count);
            }
            Some("warn") => put(tier, &mut self.warn, age(tier, value)?),
            Some("crit") => put(tier, &mut self.crit, age(tier, value)?),
            Some(_) => return Ok(None),
        }
        Ok(Some(note))
    }
}

fn of<T>(tier: Tier, values: &[T; 6]) -> Option<&T> {
    let mut both = Tier::ALL.into_iter().zip(values);
    both.find(|(own, _)| *own == tier).map(|(_, value)| value)
}

fn put<T>(tier: Tier, values: &mut [T; 6], new: T) {
    let mut both = Tier::ALL.into_iter().zip(values);
    if let Some((_, value)) = both.find(|(own, _)| *own == tier) {
        *value = new;
    }
}

/// The words that sanoid knows for yes and no; nothing at all is no.
pub(super) fn toggle(value: &str) -> Result<bool, String> {
    match value {
        "1" | "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Ok(true),
        "" | "0" | "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            Ok(false)
        }
        _ => Err(format!("{:?} is neither yes nor no", shortened(value))),
    }
}

fn script(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn number<T>(value: &str, least: T, most: T, note: &mut Note) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = value.split_at(digits);
    let comment = rest.trim_start();
    if comment.starts_with(['#', ';']) {
        let comment = shortened(comment);
        *note = Note::Warning(format!("{comment:?} is read as a comment behind the value"));
    } else if !rest.is_empty() || digits.is_empty() {
        return Err(format!("{:?} is not a number", shortened(value)));
    }
    let number = digits.parse::<T>().ok();
    number
        .filter(|number| *number >= least && *number <= most)
        .ok_or_else(|| format!("{} is not from {least} to {most}", shortened(digits)))
}

fn shorter_months(day: u8, note: &mut Note) {
    if day > 28 {
        *note = Note::Warning(format!(
            "not every month has a day {day}; its last day is taken, where sanoid would fail"
        ));
    }
}

/// An age with sanoid's unit, or a bare number in units of one period down.
fn age(tier: Tier, value: &str) -> Result<SignedDuration, String> {
    let problem = || {
        let value = shortened(value);
        format!("{value:?} is not an age such as 90m, 28h, 32d, 5w or 1y")
    };
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, unit) = value.split_at(digits);
    let unit = match unit {
        "y" | "Y" => 365 * DAY,
        "w" | "W" => 7 * DAY,
        "d" | "D" => DAY,
        "h" | "H" => HOUR,
        "m" | "M" => MINUTE,
        "s" | "S" => 1,
        "" => match tier {
            Tier::Frequently => 1,
            Tier::Hourly => MINUTE,
            Tier::Daily => HOUR,
            Tier::Weekly => DAY,
            Tier::Monthly => 7 * DAY,
            Tier::Yearly => 31 * DAY,
        },
        _ => return Err(problem()),
    };
    let seconds = digits.parse::<i64>().ok().and_then(|n| n.checked_mul(unit));
    seconds.map(SignedDuration::from_secs).ok_or_else(problem)
}
