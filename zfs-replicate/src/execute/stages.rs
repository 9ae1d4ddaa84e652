//! What a stream goes through between the two ends.
//!
//! `sender's pipe -> [ verify -> buffer -> rate -> tap ] -> receiver's pipe`

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use zfs_stream::stage::{Buffer, Limit, RateReader, Schedule, ScheduledReader, WeekMinute};
use zfs_stream::verify::VerifyingReader;

/// The minute of the week that it is.
type Now = Arc<dyn Fn() -> WeekMinute + Send + Sync>;

/// The stages of every stream. Without any a stream goes from kernel to
/// kernel.
#[derive(Clone, Default)]
pub(super) struct Stages {
    pub verify: bool,
    pub buffer: Option<usize>,
    pub limit: Option<Limit>,
    pub schedule: Option<(Schedule, Now)>,
}

impl Stages {
    pub fn any(&self) -> bool {
        self.verify || self.buffer.is_some() || self.limit.is_some() || self.schedule.is_some()
    }

    /// Puts the stages behind a sender.
    pub fn behind(&self, sender: OwnedFd) -> io::Result<Box<dyn Read + Send>> {
        let mut stream: Box<dyn Read + Send> = Box::new(File::from(sender));
        if self.verify {
            stream = Box::new(VerifyingReader::new(stream));
        }
        if let Some(capacity) = self.buffer {
            stream = Box::new(Buffer::new(stream, capacity)?);
        }
        if let Some(limit) = &self.limit {
            stream = Box::new(RateReader::new(stream, limit.clone()));
        }
        if let Some((schedule, now)) = &self.schedule {
            let now = Arc::clone(now);
            stream = Box::new(ScheduledReader::new(stream, schedule.clone(), move || {
                now()
            }));
        }
        Ok(stream)
    }
}

impl fmt::Debug for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stages")
            .field("verify", &self.verify)
            .field("buffer", &self.buffer)
            .field("limit", &self.limit)
            .field(
                "schedule",
                &self.schedule.as_ref().map(|(schedule, _)| schedule),
            )
            .finish()
    }
}
