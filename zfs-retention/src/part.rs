//! One part of a policy.

use std::fmt;

use crate::{Names, Rule, Unit};

/// A rule, and which names it covers.
///
/// A part without names of its own covers all that its policy manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub(crate) rule: Rule,
    pub(crate) names: Option<Names>,
}

impl Part {
    /// A part with this rule.
    pub fn new(rule: Rule) -> Self {
        Self { rule, names: None }
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

    /// Keeps all that `names` match, as zrepl's `regex` rule does.
    pub fn every(names: Names) -> Self {
        Self::new(Rule::Every).covering(names)
    }

    /// Covers only `names`, of those that the policy manages.
    #[must_use]
    pub fn covering(mut self, names: Names) -> Self {
        self.names = Some(names);
        self
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
        self.rule.fmt(f)?;
        match &self.names {
            Some(names) => write!(f, " of {names}"),
            None => Ok(()),
        }
    }
}
