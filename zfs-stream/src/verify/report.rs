//! The result of a verification.

use super::finding::{Finding, Severity};
use crate::{Error, Result};

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What is wrong, in the stream's order; at most 1,000 warnings and as many
    /// others.
    pub findings: Vec<Finding>,
    /// How many more findings there were.
    pub more: u64,
    /// How many findings, kept or not, keep the stream from being received.
    pub fatal: u64,
    /// How many records were read.
    pub records: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// How many streams and substreams were ended.
    pub streams: u64,
}

impl Report {
    /// Whether nothing was found that keeps the stream from being received.
    pub fn is_intact(&self) -> bool {
        self.fatal == 0
    }

    /// The error of the first finding that does.
    pub(crate) fn refuse(&self) -> Result<()> {
        if self.is_intact() {
            return Ok(());
        }
        // Of those that are fatal the first is always kept.
        let mut findings = self.findings.iter();
        match findings.find(|finding| finding.severity() == Severity::Fatal) {
            Some(finding) => Err(Error::Damaged {
                finding: Box::new(finding.clone()),
            }),
            None => Ok(()),
        }
    }
}
