//! A policy's years in a moment.
//!
//! ```text
//! schedules ┐
//! policy    ├─> at every moment: due? -> take, plan -> destroy -> Run -> Timeline
//! clock     ┘
//! ```

use jiff::{SignedDuration, Timestamp, Zoned};

use crate::{Guid, Policy, Schedule, Snapshot, Template, Timeline, Txg};

/// Schedules and a policy, to be run over any stretch of time.
///
/// ```
/// use jiff::{SignedDuration, Zoned};
/// use zfs_retention::{Keep, Names, SanoidTimes, Schedule, Simulation, Template, Tier};
///
/// let policy = Keep { daily: 7, monthly: 12, ..Keep::default() }.policy(Names::Any);
/// let daily = Schedule::preferred(Tier::Daily, &SanoidTimes::default());
/// let from: Zoned = "2024-01-01T00:00:00+01:00[Europe/Berlin]".parse()?;
/// let to: Zoned = "2026-01-01T00:00:00+01:00[Europe/Berlin]".parse()?;
/// let run = Simulation::new(&policy)
///     .taking("daily", daily, Template::plain())
///     .run(&from, &to, SignedDuration::from_hours(1));
/// // 732 taken: one at once for the day before, then every day's at midnight.
/// assert_eq!(run.lives().len(), 732);
/// assert_eq!(run.living().count(), 17);
/// # Ok::<(), jiff::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Simulation<'a> {
    policy: &'a Policy,
    takers: Vec<Taker>,
    /// What is taken as somebody else takes it, by time.
    followed: Vec<Life>,
    order: Order,
}

/// Whether a run's pruning knows what the run has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Order {
    /// It does: the count is met when the run ends.
    #[default]
    TakeThenPrune,
    /// It does not, so that there is one more than the count until the next
    /// run. sanoid 2.3.0 is so: `--cron` prunes by the list that it made
    /// before it took anything.
    PruneThenTake,
}

#[derive(Clone, Debug)]
struct Taker {
    tier: String,
    schedule: Schedule,
    template: Template,
}

/// One snapshot of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Life {
    /// Its name.
    pub name: String,
    /// The tier it was taken for.
    pub tier: String,
    /// When it was taken.
    pub created: Timestamp,
    /// When it was destroyed, if it was.
    pub destroyed: Option<Timestamp>,
}

/// What a simulation went through.
#[derive(Clone, Debug)]
pub struct Run {
    lives: Vec<Life>,
    tiers: Vec<String>,
    end: Zoned,
}

impl<'a> Simulation<'a> {
    /// A simulation that takes nothing yet and prunes by `policy`.
    pub fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            takers: Vec::new(),
            followed: Vec::new(),
            order: Order::default(),
        }
    }

    /// The same, taking a snapshot named by `template` whenever `schedule`
    /// says that one of `tier` is due. At one moment the first added goes
    /// first.
    #[must_use]
    pub fn taking(
        mut self,
        tier: impl Into<String>,
        schedule: Schedule,
        template: Template,
    ) -> Self {
        self.takers.push(Taker {
            tier: tier.into(),
            schedule,
            template,
        });
        self
    }

    /// The same, taking also what another run took when it was taken: what a
    /// dataset gets of a recursive snapshot of its parent, which it prunes by a
    /// policy of its own.
    #[must_use]
    pub fn following(mut self, parent: &Run) -> Self {
        self.followed.extend_from_slice(&parent.lives);
        self.followed.sort_by_key(|life| life.created);
        self
    }

    /// The same in that order.
    #[must_use]
    pub fn in_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Runs at `from`, and every so long after, until `to`, both ends
    /// included; `every` is at least a second. A snapshot whose name is taken
    /// gets the template's `%{dst}`, and is not made if that is taken too.
    pub fn run(&self, from: &Zoned, to: &Zoned, every: SignedDuration) -> Run {
        let every = every.max(SignedDuration::from_secs(1));
        let mut lives: Vec<Life> = Vec::new();
        // The living, with their place in `lives` and their taker's.
        let mut living: Vec<Snapshot<(usize, usize)>> = Vec::new();
        let mut followed = self.followed.iter().peekable();
        let mut now = from.clone();
        while now.timestamp() <= to.timestamp() {
            let due = self.due(&living, &now);
            if self.order == Order::PruneThenTake {
                self.prune(&mut living, &mut lives, &now);
            }
            while let Some(life) = followed.next_if(|life| life.created <= now.timestamp()) {
                // No taker's own.
                let taken = (life.name.clone(), &*life.tier, usize::MAX);
                take(taken, &mut living, &mut lives, &now);
            }
            for (nth, taker) in due {
                if let Some(name) = taker.free_name(&living, &now) {
                    take((name, &taker.tier, nth), &mut living, &mut lives, &now);
                }
            }
            if self.order == Order::TakeThenPrune {
                self.prune(&mut living, &mut lives, &now);
            }
            match now.timestamp().checked_add(every) {
                Ok(next) => now = next.to_zoned(from.time_zone().clone()),
                Err(_) => break,
            }
        }
        let followed = self.followed.iter().map(|life| &life.tier);
        let mut tiers: Vec<String> = Vec::new();
        for tier in self.takers.iter().map(|taker| &taker.tier).chain(followed) {
            if !tiers.contains(tier) {
                tiers.push(tier.clone());
            }
        }
        Run {
            lives,
            tiers,
            end: to.clone(),
        }
    }

    fn due(&self, living: &[Snapshot<(usize, usize)>], now: &Zoned) -> Vec<(usize, &Taker)> {
        let taken = |nth: usize| {
            let own = living.iter().filter(move |snapshot| snapshot.id.1 == nth);
            own.map(|snapshot| snapshot.creation)
        };
        self.takers
            .iter()
            .enumerate()
            .filter(|(nth, taker)| taker.schedule.due(taken(*nth), now).is_some())
            .collect()
    }

    fn prune(&self, living: &mut Vec<Snapshot<(usize, usize)>>, lives: &mut [Life], now: &Zoned) {
        let destroyed: std::collections::HashSet<usize> = self
            .policy
            .plan(living, &[], now)
            .destroyed()
            .map(|snapshot| snapshot.id.0)
            .collect();
        if destroyed.is_empty() {
            return;
        }
        living.retain(|snapshot| !destroyed.contains(&snapshot.id.0));
        for place in destroyed {
            if let Some(life) = lives.get_mut(place) {
                life.destroyed = Some(now.timestamp());
            }
        }
    }
}

/// Makes a snapshot of a name and a tier, by the taker at this place.
fn take(
    (name, tier, nth): (String, &str, usize),
    living: &mut Vec<Snapshot<(usize, usize)>>,
    lives: &mut Vec<Life>,
    now: &Zoned,
) {
    let number = lives.len() as u64 + 1;
    let snapshot = Snapshot::new(&name, Guid(number), Txg(number), now.timestamp());
    living.push(snapshot.with_id((lives.len(), nth)));
    lives.push(Life {
        name,
        tier: tier.to_owned(),
        created: now.timestamp(),
        destroyed: None,
    });
}

impl Taker {
    fn free_name(&self, living: &[Snapshot<(usize, usize)>], now: &Zoned) -> Option<String> {
        let free = |name: &String| living.iter().all(|snapshot| snapshot.name != *name);
        Some(self.template.print(now, &self.tier))
            .filter(free)
            .or_else(|| Some(self.template.print_again(now, &self.tier)).filter(free))
    }
}

impl Run {
    /// Every snapshot that was taken, in that order.
    pub fn lives(&self) -> &[Life] {
        &self.lives
    }

    /// Those that exist at the end, by creation.
    pub fn living(&self) -> impl Iterator<Item = &Life> {
        self.lives.iter().filter(|life| life.destroyed.is_none())
    }

    /// The end of the simulated time.
    pub fn end(&self) -> &Zoned {
        &self.end
    }

    /// What exists at the end, by tier and age.
    pub fn timeline(&self) -> Timeline {
        let mut timeline = Timeline::new(self.end.clone());
        for tier in &self.tiers {
            let own = self.living().filter(|life| life.tier == *tier);
            timeline = timeline.with_row(tier, own.map(|life| life.created));
        }
        timeline
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Names, Part, SanoidTimes, Tier};

    fn zoned(time: &str) -> Zoned {
        time.parse().unwrap()
    }

    fn sanoid(policy: &Policy, order: Order) -> Simulation<'_> {
        let times = SanoidTimes::default();
        [Tier::Daily, Tier::Hourly]
            .into_iter()
            .fold(Simulation::new(policy), |simulation, tier| {
                let times = times.clone();
                let schedule = Schedule::Sanoid { tier, times };
                simulation.taking(tier.as_str(), schedule, Template::sanoid())
            })
            .in_order(order)
    }

    fn policy() -> Policy {
        Policy::managing(Names::Any)
            .with(Part::sanoid(Tier::Hourly, 3))
            .with(Part::sanoid(Tier::Daily, 2))
    }

    #[test]
    fn both_orders_meet_at_the_same_counts_one_run_apart() {
        let policy = policy();
        let hour = SignedDuration::from_hours(1);
        let from = zoned("2026-04-01T00:00:00Z[UTC]");
        let to = zoned("2026-04-05T12:00:00Z[UTC]");
        let count = |order| {
            let run = sanoid(&policy, order).run(&from, &to, hour);
            let hourly = run.living().filter(|life| life.tier == "hourly").count();
            let daily = run.living().filter(|life| life.tier == "daily").count();
            (hourly, daily)
        };
        // One that is exactly three hours old is not older than three hours.
        assert_eq!(count(Order::TakeThenPrune), (4, 2));
        assert_eq!(count(Order::PruneThenTake), (4, 2));
    }

    #[test]
    fn the_repeated_hour_gets_its_own_name() {
        let policy = Policy::managing(Names::Any);
        let run = sanoid(&policy, Order::PruneThenTake).run(
            &zoned("2026-10-25T01:00:00+02:00[Europe/Berlin]"),
            &zoned("2026-10-25T03:00:00+01:00[Europe/Berlin]"),
            SignedDuration::from_hours(1),
        );
        let names: Vec<_> = run
            .living()
            .filter(|life| life.tier == "hourly")
            .map(|life| life.name.as_str())
            .collect();
        assert_eq!(
            names,
            [
                "autosnap_2026-10-25_01:00:00_hourly",
                "autosnap_2026-10-25_02:00:00_hourly",
                "autosnap_2026-10-25_02:00:00dst_hourly",
                "autosnap_2026-10-25_03:00:00_hourly",
            ]
        );
    }

    #[test]
    fn what_is_taken_with_the_parent_is_pruned_by_a_policy_of_its_own() {
        let from = zoned("2026-04-01T00:00:00Z[UTC]");
        let to = zoned("2026-04-03T00:00:00Z[UTC]");
        let hour = SignedDuration::from_hours(1);
        let parents = policy();
        let parent = sanoid(&parents, Order::PruneThenTake).run(&from, &to, hour);
        // No dailies: each is destroyed an hour later, and not taken again.
        let own = Policy::managing(Names::Any)
            .with(Part::sanoid(Tier::Hourly, 1))
            .with(Part::sanoid(Tier::Daily, 0));
        let run = Simulation::new(&own)
            .in_order(Order::PruneThenTake)
            .following(&parent)
            .run(&from, &to, hour);
        let names = |run: &Run| -> Vec<String> {
            run.lives().iter().map(|life| life.name.clone()).collect()
        };
        assert_eq!(names(&run), names(&parent));
        let living: Vec<&str> = run.living().map(|life| life.name.as_str()).collect();
        assert_eq!(
            living,
            [
                "autosnap_2026-04-02_23:00:00_hourly",
                "autosnap_2026-04-03_00:00:00_daily",
                "autosnap_2026-04-03_00:00:00_hourly",
            ]
        );
    }

    #[test]
    fn both_ends_are_run() {
        let policy = Policy::managing(Names::Any);
        let at = zoned("2026-04-01T00:00:00Z[UTC]");
        let run = sanoid(&policy, Order::TakeThenPrune).run(&at, &at, SignedDuration::ZERO);
        assert_eq!(run.lives().len(), 2);
        assert_eq!(run.lives()[0].tier, "daily");
    }
}
