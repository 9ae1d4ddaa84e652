//! One part of a policy.

use std::fmt;

use jiff::SignedDuration;

use crate::{End, Error, Grid, Keep, Names, Rule, Thinning, Unit};

/// A rule, and which names it covers.
///
/// A part without names of its own covers all that its policy manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub(crate) rule: Rule,
    pub(crate) names: Option<Names>,
    /// What reasons call it, where its rule alone would not say enough.
    pub(crate) label: Option<String>,
}

impl Part {
    /// A part with this rule.
    pub fn new(rule: Rule) -> Self {
        Self {
            rule,
            names: None,
            label: None,
        }
    }

    /// Keeps the newest `count`.
    pub fn last(count: u32) -> Self {
        Self::new(Rule::Last { count })
    }

    /// Keeps the newest of each of the last `count` periods of so many
    /// `minutes`, counted from midnight. sanoid's `frequently` is 15.
    pub fn frequently(minutes: u16, count: u32) -> Self {
        Self::calendar(Unit::Minutes(minutes), count)
    }

    /// Keeps the newest of each of the last `count` hours that have any.
    pub fn hourly(count: u32) -> Self {
        Self::calendar(Unit::Hour, count)
    }

    /// Keeps the newest of each of the last `count` days that have any.
    pub fn daily(count: u32) -> Self {
        Self::calendar(Unit::Day, count)
    }

    /// Keeps the newest of each of the last `count` ISO weeks that have any.
    pub fn weekly(count: u32) -> Self {
        Self::calendar(Unit::Week, count)
    }

    /// Keeps the newest of each of the last `count` months that have any.
    pub fn monthly(count: u32) -> Self {
        Self::calendar(Unit::Month, count)
    }

    /// Keeps the newest of each of the last `count` years that have any.
    pub fn yearly(count: u32) -> Self {
        Self::calendar(Unit::Year, count)
    }

    fn calendar(unit: Unit, count: u32) -> Self {
        Self::new(Rule::Calendar { unit, count })
    }

    /// Keeps what was created at most `age` before now.
    pub fn newer_than(age: SignedDuration) -> Self {
        Self::new(Rule::NewerThan { age })
    }

    /// Keeps one for each epoch-aligned slot of length `every`; see
    /// [`Rule::PerInterval`].
    pub fn per_interval(every: SignedDuration, end: End) -> Self {
        Self::new(Rule::PerInterval {
            every,
            within: None,
            end,
        })
    }

    /// zrepl's `grid` rule; see [`Grid`]. zrepl's `regex` becomes
    /// [`covering`](Self::covering) with `Names::Regex`.
    pub fn grid(grid: Grid) -> Self {
        Self::new(Rule::Grid(grid))
    }

    /// znapzend's backup plan; see [`Thinning`].
    pub fn thinning(thinning: Thinning) -> Self {
        Self::new(Rule::Thinning(thinning))
    }

    /// The parts that a zfs_autobackup schedule such as `10,1d1w,1w1m,1m1y`
    /// stands for: the last ten, and the oldest of every day for a week, of
    /// every week for a month of 30 days, of every month for a year of 365.25
    /// days (`zfs_autobackup/Thinner.py`).
    ///
    /// ```
    /// let parts = zfs_retention::Part::zfs_autobackup("10,1d1w")?;
    /// assert_eq!(parts[1].to_string(), "oldest per 1d for 7d");
    /// # Ok::<(), zfs_retention::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where zfs_autobackup would refuse it, and where anything is left over.
    pub fn zfs_autobackup(schedule: &str) -> Result<Vec<Self>, Error> {
        crate::rule::slots::zfs_autobackup(schedule)
    }

    /// The parts that restic 0.16 and later makes of its `--keep-*` options: as
    /// [`Keep::parts`], and while a tier has fewer periods than its count, the
    /// oldest snapshot stays too; see [`Rule::CalendarAndOldest`].
    ///
    /// ```
    /// use zfs_retention::{Keep, Part};
    ///
    /// let parts = Part::restic(Keep { last: 3, yearly: 2, ..Keep::default() });
    /// assert_eq!(parts[0].to_string(), "last 3");
    /// assert_eq!(parts[1].to_string(), "yearly 2 or the oldest");
    /// ```
    pub fn restic(keep: Keep) -> Vec<Self> {
        let mut parts = keep.parts();
        for part in &mut parts {
            if let Rule::Calendar { unit, count } = part.rule {
                part.rule = Rule::CalendarAndOldest { unit, count };
            }
        }
        parts
    }

    /// Proxmox Backup Server's `keep-*` options; see [`Rule::Chained`].
    pub fn proxmox(keep: Keep) -> Self {
        Self::new(Rule::Chained(keep))
    }

    /// Keeps all that `names` match, as zrepl's `regex` rule does with
    /// `Names::Regex`.
    pub fn every(names: Names) -> Self {
        Self::new(Rule::Every).covering(names)
    }

    /// Covers only `names`, of those that the policy manages.
    #[must_use]
    pub fn covering(mut self, names: Names) -> Self {
        self.names = Some(names);
        self
    }

    /// What reasons call it, instead of its rule and names.
    #[must_use]
    pub fn called(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same part with another count, where its rule has one. Only its
    /// rule is shown then.
    pub(crate) fn with_count(&self, count: u32) -> Option<Self> {
        Some(Self {
            rule: self.rule.with_count(count)?,
            names: self.names.clone(),
            label: None,
        })
    }

    /// What it asks.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The names it covers, where it does not cover all that are managed.
    pub fn names(&self) -> Option<&Names> {
        self.names.as_ref()
    }

    pub(crate) fn covers(&self, name: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.matches(name))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(label) = &self.label {
            return f.write_str(label);
        }
        self.rule.fmt(f)?;
        match &self.names {
            Some(names) => write!(f, " of {names}"),
            None => Ok(()),
        }
    }
}
