//! What can be wrong with what a person wrote.

use crate::conf::Problems;

/// Why a policy, a schedule, a template or a configuration was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text does not have the form it should have.
    #[error("cannot read {what} {text:?}: {problem}")]
    Syntax {
        /// What it was taken for: `zrepl grid`, `crontab expression`, …
        what: &'static str,
        /// The text, shortened where it is long.
        text: String,
        /// What is wrong, and what was expected.
        problem: String,
    },
    /// A sanoid.conf cannot be used.
    #[error("{0}")]
    Conf(Problems),
}

impl Error {
    pub(crate) fn syntax(what: &'static str, text: &str, problem: impl Into<String>) -> Self {
        Self::Syntax {
            what,
            text: cut(text, 200),
            problem: problem.into(),
        }
    }
}

/// A name or value as messages have it, cut where it is long.
pub(crate) fn shortened(text: &str) -> String {
    cut(text, 60)
}

fn cut(text: &str, longest: usize) -> String {
    let mut shown: String = text.chars().take(longest).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}
