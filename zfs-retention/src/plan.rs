//! The decision over every snapshot of a dataset.
//!
//! A plan stores one small outcome for each snapshot and part; reasons are
//! worked out from them when someone asks.

use jiff::Zoned;

use crate::{
    Missed, Part, Policy, Protection, Reason, Snapshot, Target, calendar::Moment,
    protection::protections, rule::Outcome, target::newest_per_name,
};

/// What is to become of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
pub enum Verdict {
    /// It stays.
    Keep,
    /// The policy wants it destroyed and nothing protects it.
    Destroy,
}

/// What [`Policy::plan`] decided over the snapshots of one dataset.
#[derive(Clone, Debug)]
pub struct Plan<'a, Id = ()> {
    snapshots: &'a [Snapshot<Id>],
    policy: &'a Policy,
    targets: Vec<Target>,
    now: Zoned,
    /// Newest first: where each snapshot stands in `snapshots`, and its fate.
    entries: Vec<Entry>,
    /// `policy.parts` of them for each entry, in the order of `entries`.
    outcomes: Vec<Outcome>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    index: usize,
    managed: bool,
    verdict: Verdict,
}

impl<'a, Id> Plan<'a, Id> {
    pub(crate) fn new(
        policy: &'a Policy,
        snapshots: &'a [Snapshot<Id>],
        targets: &[Target],
        now: &Zoned,
    ) -> Self {
        let targets = newest_per_name(targets);
        let mut newest_first: Vec<(usize, &Snapshot<Id>)> = snapshots.iter().enumerate().collect();
        newest_first.sort_by(|(_, a), (_, b)| b.age_key().cmp(&a.age_key()));

        let present = now.timestamp();
        let moments: Vec<Moment> = newest_first
            .iter()
            .map(|(_, snapshot)| Moment::new(snapshot.creation, now.time_zone()))
            .collect();

        let parts = policy.parts.len();
        let mut outcomes = vec![Outcome::Outside; parts * newest_first.len()];
        let mut covered: Vec<u32> = Vec::new();
        for (nth, part) in policy.parts.iter().enumerate() {
            covered.clear();
            covered.extend(
                (0_u32..)
                    .zip(&newest_first)
                    .filter(|(_, (_, snapshot))| {
                        // Not yet created snapshots must not take the place
                        // of real ones in any count.
                        snapshot.creation <= present
                            && policy.names.matches(&snapshot.name)
                            && part.covers(&snapshot.name)
                    })
                    .map(|(position, _)| position),
            );
            let judged = part.rule.judge(&moments, &covered);
            for (&position, outcome) in covered.iter().zip(judged) {
                if let Some(slot) = outcomes.get_mut(position as usize * parts + nth) {
                    *slot = outcome;
                }
            }
        }

        let entries = newest_first
            .iter()
            .enumerate()
            .map(|(position, &(index, snapshot))| {
                let managed = manages(policy, &snapshot.name);
                let kept = policy.parts.is_empty()
                    || outcomes
                        .get(position * parts..(position + 1) * parts)
                        .is_none_or(|own| own.iter().any(|outcome| outcome.keeps()))
                    || protections(snapshot, managed, present, &targets)
                        .next()
                        .is_some();
                let verdict = if kept {
                    Verdict::Keep
                } else {
                    Verdict::Destroy
                };
                Entry {
                    index,
                    managed,
                    verdict,
                }
            })
            .collect();

        Self {
            snapshots,
            policy,
            targets,
            now: now.clone(),
            entries,
            outcomes,
        }
    }

    /// Every snapshot's decision, from the oldest to the newest.
    pub fn decisions(&self) -> impl DoubleEndedIterator<Item = Decision<'_, Id>> {
        (0..self.entries.len())
            .rev()
            .filter_map(|position| self.at(position))
    }

    /// The decision over the snapshot with this name (the part after `@`).
    pub fn decision(&self, name: &str) -> Option<Decision<'_, Id>> {
        self.decisions()
            .find(|decision| decision.snapshot.name == name)
    }

    /// The snapshots to destroy, from the oldest to the newest.
    pub fn destroyed(&self) -> impl DoubleEndedIterator<Item = &Snapshot<Id>> {
        self.with_verdict(Verdict::Destroy)
    }

    /// The snapshots that stay, from the oldest to the newest.
    pub fn kept(&self) -> impl DoubleEndedIterator<Item = &Snapshot<Id>> {
        self.with_verdict(Verdict::Keep)
    }

    /// The policy behind it.
    pub fn policy(&self) -> &'a Policy {
        self.policy
    }

    /// The moment it was made for.
    pub fn now(&self) -> &Zoned {
        &self.now
    }

    fn with_verdict(&self, verdict: Verdict) -> impl DoubleEndedIterator<Item = &Snapshot<Id>> {
        self.entries
            .iter()
            .rev()
            .filter(move |entry| entry.verdict == verdict)
            .filter_map(|entry| self.snapshots.get(entry.index))
    }

    fn at(&self, position: usize) -> Option<Decision<'_, Id>> {
        let entry = self.entries.get(position)?;
        let parts = self.policy.parts.len();
        Some(Decision {
            snapshot: self.snapshots.get(entry.index)?,
            outcomes: self
                .outcomes
                .get(position * parts..(position + 1) * parts)?,
            entry: *entry,
            plan: self,
        })
    }

    /// The name of the snapshot at a position among the newest first.
    fn name_at(&self, position: u32) -> Option<&str> {
        let entry = self.entries.get(position as usize)?;
        Some(self.snapshots.get(entry.index)?.name.as_str())
    }
}

/// Whether some part looks at such a name; with no parts there is nothing to
/// be protected from.
fn manages(policy: &Policy, name: &str) -> bool {
    policy.names.matches(name)
        && (policy.parts.is_empty() || policy.parts.iter().any(|part| part.covers(name)))
}

/// What a plan says about one snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Decision<'a, Id = ()> {
    plan: &'a Plan<'a, Id>,
    snapshot: &'a Snapshot<Id>,
    outcomes: &'a [Outcome],
    entry: Entry,
}

impl<'a, Id> Decision<'a, Id> {
    /// The snapshot.
    pub fn snapshot(&self) -> &'a Snapshot<Id> {
        self.snapshot
    }

    /// What is to become of it.
    pub fn verdict(&self) -> Verdict {
        self.entry.verdict
    }

    /// What stands over the policy for it.
    pub fn protections(&self) -> impl Iterator<Item = Protection<'a>> + use<'a, Id> {
        let plan = self.plan;
        protections(
            self.snapshot,
            self.entry.managed,
            plan.now.timestamp(),
            &plan.targets,
        )
    }

    /// All reasons: protections first, then the parts that keep it, then
    /// those that cover it and do not.
    pub fn reasons(&self) -> Vec<Reason<'a>> {
        let mut reasons: Vec<Reason<'a>> = self.protections().map(Reason::Protected).collect();
        if self.plan.policy.parts.is_empty() {
            reasons.push(Reason::EmptyPolicy);
        }
        let parts = || self.plan.policy.parts.iter().zip(self.outcomes);
        for keeping in [true, false] {
            reasons.extend(
                parts()
                    .filter(|(_, outcome)| outcome.keeps() == keeping)
                    .filter_map(|(part, outcome)| self.reason(part, *outcome)),
            );
        }
        reasons
    }

    fn reason(&self, part: &'a Part, outcome: Outcome) -> Option<Reason<'a>> {
        let period = part.rule.unit().map(|unit| {
            Moment::new(self.snapshot.creation, self.plan.now.time_zone()).period_name(unit)
        });
        let kept = |rank, period| Reason::Kept { part, rank, period };
        let missed = |missed, period| Reason::Missed {
            part,
            missed,
            period,
        };
        Some(match outcome {
            Outcome::Outside => return None,
            Outcome::Every => kept(None, period),
            Outcome::Ranked(rank) => kept(Some(rank), period),
            Outcome::BeyondCount(rank) => missed(Missed::BeyondCount { rank }, period),
            Outcome::Superseded(by) => {
                let by = self.plan.name_at(by);
                missed(Missed::Superseded { by }, period)
            }
        })
    }
}

#[cfg(feature = "serde")]
impl<Id> serde::Serialize for Decision<'_, Id> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut map = serializer.serialize_struct("Decision", 7)?;
        map.serialize_field("name", &self.snapshot.name)?;
        map.serialize_field("guid", &self.snapshot.guid)?;
        map.serialize_field("createtxg", &self.snapshot.createtxg)?;
        map.serialize_field("creation", &self.snapshot.creation)?;
        map.serialize_field("used", &self.snapshot.used)?;
        map.serialize_field("verdict", &self.entry.verdict)?;
        map.serialize_field("reasons", &self.reasons())?;
        map.end()
    }
}

#[cfg(feature = "serde")]
impl<Id> serde::Serialize for Plan<'_, Id> {
    /// The decisions, from the oldest to the newest.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.decisions())
    }
}
