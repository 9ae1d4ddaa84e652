//! What an executor tells about its work.

use std::time::Duration;

use zfs_core::DatasetName;

use crate::error::Error;
use crate::plan::{Step, Stream, Why};

/// Something happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// An empty parent was made.
    Created {
        /// The step.
        step: &'a Step,
    },
    /// What an interrupted receive had left was given up.
    Aborted {
        /// The step.
        step: &'a Step,
    },
    /// A dataset of the target was renamed, made as a clone, promoted, taken
    /// back or destroyed.
    Changed {
        /// The step.
        step: &'a Step,
    },
    /// The source's marker was put right.
    Marked {
        /// The step.
        step: &'a Step,
    },
    /// The newest common snapshot is held again.
    Held {
        /// The step.
        step: &'a Step,
    },
    /// A plan begins; only told to those who [want](Observer::wants_total) it.
    Begun {
        /// How many streams there will be.
        streams: u64,
        /// How many bytes they will have together, as ZFS estimates it;
        /// `None` where it cannot say for one of them.
        estimate: Option<u64>,
    },
    /// A stream begins.
    Started(Transfer<'a>),
    /// A stream goes on. This comes several times a second, from another
    /// thread.
    Progress {
        /// Which.
        transfer: Transfer<'a>,
        /// What was sent so far, in bytes.
        bytes: u64,
    },
    /// A stream arrived, and what arrived is what was meant. Where the target
    /// answers for several together they are told one after the other by then,
    /// after they have all started.
    Finished {
        /// Which.
        transfer: Transfer<'a>,
        /// What the receiver read, in bytes.
        bytes: u64,
        /// How long it took.
        elapsed: Duration,
    },
    /// Something failed that may pass: after a pause both sides are looked at
    /// again.
    Again {
        /// The pause.
        pause: Duration,
    },
    /// A step was refused by the plan.
    Refused {
        /// The step.
        step: &'a Step,
    },
    /// A step failed. What else there was to do for its dataset is left.
    Failed {
        /// The step.
        step: &'a Step,
        /// What happened.
        error: &'a Error,
        /// Whether the next run can go on where this one stopped.
        resumable: bool,
    },
}

/// A stream on its way.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// The dataset on the source.
    pub source: &'a DatasetName,
    /// The dataset on the target.
    pub target: &'a DatasetName,
    /// The stream.
    pub stream: &'a Stream,
    /// Why it goes: its step's reason, and behind the first of several what
    /// the target has by then.
    pub why: &'a Why,
    /// How many bytes it will have, as ZFS estimates it; `None` where it
    /// cannot say.
    pub estimate: Option<u64>,
}

/// Who is told.
pub trait Observer: Sync {
    /// Whether [`Event::Begun`] is wanted: ZFS is asked about every stream for
    /// it, before anything is sent.
    fn wants_total(&self) -> bool {
        false
    }

    /// Something happened. It should not take long.
    fn event(&self, event: &Event<'_>);
}

/// Nobody is told.
impl Observer for () {
    fn event(&self, _: &Event<'_>) {}
}

/// What became of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many streams arrived.
    pub streams: u64,
    /// How many bytes they had.
    pub bytes: u64,
    /// How many datasets failed.
    pub failed: u64,
    /// How many of those failed for something that
    /// [may pass](Error::is_transient).
    pub may_pass: u64,
    /// How many datasets have not the properties that they were to have. The
    /// next round does not set them, so they are counted over all rounds.
    pub unset: u64,
    /// How many steps the plan refused.
    pub refused: u64,
    /// Whether it was stopped on request.
    pub cancelled: bool,
}

impl Outcome {
    /// Whether all was done that there was to do.
    pub fn is_ok(&self) -> bool {
        self.failed == 0 && self.unset == 0 && self.refused == 0 && !self.cancelled
    }
}
