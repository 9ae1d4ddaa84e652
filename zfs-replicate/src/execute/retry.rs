//! What failed for a while is tried again.
//!
//! `plan -> run -> [ something that may pass failed? pause -> connect again -> ] plan -> run …`
//!
//! Every round begins with a look at both sides, so it goes on where the last
//! one stopped, whatever stopped it.

use std::thread;
use std::time::{Duration, Instant};

use super::event::{Event, Outcome};
use super::{Executor, transfer::TICK};
use crate::error::Error;
use crate::plan::Plan;

/// How often something is tried again, and after which pauses: each is twice
/// as long as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// How often, after the first time.
    pub times: u32,
    /// The first pause.
    pub first: Duration,
    /// No pause is longer than that.
    pub longest: Duration,
}

impl Default for Retries {
    /// Three times, after 2, 4 and 8 seconds.
    fn default() -> Retries {
        Retries {
            times: 3,
            first: Duration::from_secs(2),
            longest: Duration::from_secs(60),
        }
    }
}

impl Retries {
    /// Never again.
    pub const NONE: Retries = Retries {
        times: 0,
        first: Duration::ZERO,
        longest: Duration::ZERO,
    };

    /// The pause before this repetition, which counts from 0.
    fn pause(&self, repetition: u32) -> Duration {
        let factor = 1_u32.checked_shl(repetition).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

impl Executor<'_> {
    /// Plans and does as planned; as long as something failed that may pass
    /// (a lost connection, a target that is busy, a stream that was damaged
    /// on its way, a snapshot that is gone since the plan was made), it does
    /// so again after a pause.
    ///
    /// What arrived, and what could not be set on it, is counted over all
    /// rounds, what failed is that of the last one.
    ///
    /// # Errors
    ///
    /// What `plan` returns, after as many rounds.
    pub fn run_with_retries(
        &self,
        retries: Retries,
        plan: impl FnMut() -> Result<Plan, Error>,
    ) -> Result<Outcome, Error> {
        self.watched(|| self.rounds(retries, plan))
    }

    fn rounds(
        &self,
        retries: Retries,
        mut plan: impl FnMut() -> Result<Plan, Error>,
    ) -> Result<Outcome, Error> {
        let mut sum = Outcome::default();
        for repetition in 0.. {
            let round = match plan() {
                Ok(plan) => Ok(self.run(&plan)),
                // It may be no more than what was interrupted.
                Err(error) if self.cancel.is_cancelled() => {
                    tracing::debug!(%error, "stopped on request");
                    return Ok(Outcome {
                        cancelled: true,
                        ..sum
                    });
                }
                Err(error) => Err(error),
            };
            let may_pass = match &round {
                Ok(outcome) => outcome.may_pass > 0,
                Err(error) => error.is_transient(),
            };
            let round = round.map(|round| Outcome {
                streams: sum.streams + round.streams,
                bytes: sum.bytes + round.bytes,
                unset: sum.unset + round.unset,
                ..round
            });
            let is_last = repetition >= retries.times || self.cancel.is_cancelled();
            if !may_pass || is_last {
                return round;
            }
            if let Ok(round) = round {
                sum = round;
            }
            let pause = retries.pause(repetition);
            self.observer.event(&Event::Again { pause });
            self.wait(pause);
            if self.cancel.is_cancelled() {
                return Ok(Outcome {
                    cancelled: true,
                    ..sum
                });
            }
            for end in [self.source, self.target] {
                // If it is still away, the next round says so.
                if let Err(error) = end.connect_again() {
                    tracing::debug!(%error, "still away");
                }
            }
        }
        Ok(sum)
    }

    /// Ends early where somebody wants to stop.
    fn wait(&self, pause: Duration) {
        let began = Instant::now();
        while !self.cancel.is_cancelled() {
            match pause.checked_sub(began.elapsed()) {
                Some(rest) if !rest.is_zero() => thread::sleep(rest.min(TICK)),
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retries = Retries {
            times: 40,
            first: Duration::from_secs(2),
            longest: Duration::from_secs(30),
        };
        let pauses: Vec<u64> = (0..6).map(|n| retries.pause(n).as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        assert_eq!(retries.pause(40).as_secs(), 30);
    }
}
