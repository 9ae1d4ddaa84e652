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
/// kernel. A limit is one for all of them together.
#[derive(Clone, Default)]
pub(super) struct Stages {
    pub verify: bool,
    pub buffer: Option<usize>,
    pub limit: Option<Limit>,
    /// The limit is what the schedule sets.
    pub schedule: Option<(Schedule, Now, Limit)>,
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
        if let Some((schedule, now, limit)) = &self.schedule {
            let (schedule, limit) = (schedule.clone(), limit.clone());
            let now = Arc::clone(now);
            let now = move || now();
            stream = Box::new(ScheduledReader::sharing(stream, schedule, now, limit));
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
                &self.schedule.as_ref().map(|(schedule, ..)| schedule),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::num::NonZeroU64;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    /// Reads so many streams of 30 kB at once.
    fn read(stages: &Stages, streams: usize) -> Duration {
        let began = Instant::now();
        thread::scope(|scope| {
            for _ in 0..streams {
                let (from, to) = zfs_core::stream_pipe().unwrap();
                File::from(to).write_all(&vec![1; 30_000]).unwrap();
                let mut stream = stages.behind(from).unwrap();
                scope.spawn(move || io::copy(&mut stream, &mut io::sink()).unwrap());
            }
        });
        began.elapsed()
    }

    #[test]
    fn streams_side_by_side_keep_to_the_limit_together() {
        let schedule = "00:00,100000".parse().unwrap();
        let now: Now = Arc::new(WeekMinute::default);
        for stages in [
            Stages {
                limit: Some(Limit::new(NonZeroU64::new(100_000))),
                ..Stages::default()
            },
            Stages {
                schedule: Some((schedule, now, Limit::default())),
                ..Stages::default()
            },
        ] {
            // 90 kB; each by itself would be through in 0.3 s.
            let took = read(&stages, 3);
            assert!(took > Duration::from_millis(750), "{took:?}");
        }
    }
}
