//! The decision over every snapshot of a dataset.
//!
//! A plan stores one small outcome for each snapshot and part; reasons are
//! worked out from them when someone asks.

use std::collections::HashSet;

use jiff::Zoned;

use crate::{
    Kept, Missed, Part, Policy, Protection, Reason, Snapshot, Target,
    calendar::{Moment, Offsets},
    look::{Look, newest_first},
    protection::protections,
    rule::{Outcome, Packed, Seen},
    target::newest_per_name,
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
    outcomes: Vec<Packed>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Nobody has four thousand million snapshots of one dataset; those beyond
    /// would not be planned for, and stay.
    index: u32,
    managed: bool,
    verdict: Verdict,
    reprieve: Option<Reprieve>,
}

/// What saves a snapshot that no part keeps and nothing protects.
#[derive(Clone, Copy, Debug)]
enum Reprieve {
    Space,
    Group,
}

impl<'a, Id> Plan<'a, Id> {
    pub(crate) fn new(
        policy: &'a Policy,
        snapshots: &'a [Snapshot<Id>],
        targets: &[Target],
        now: &Zoned,
    ) -> Self {
        let targets = newest_per_name(targets);
        let present = now.timestamp();
        let look = Look::new(policy, snapshots, &targets, present);
        let mut offsets = Offsets::new(now.time_zone());
        let (order, moments) = newest_first(snapshots, &mut offsets);

        let parts = policy.parts.len();
        let mut outcomes = vec![Packed::OUTSIDE; parts * order.len()];
        let eligible: Vec<u32> = (0_u32..)
            .zip(&order)
            .filter(|(_, index)| look.eligible.get(**index))
            .map(|(position, _)| position)
            .collect();
        let mut own: Vec<u32> = Vec::new();
        for (nth, (part, covered)) in policy.parts.iter().zip(&look.covered).enumerate() {
            let covered = match covered {
                None => &eligible,
                Some(covered) => {
                    let place = |position: u32| order.get(position as usize).copied();
                    let covers =
                        |position: &u32| place(*position).is_some_and(|at| covered.get(at));
                    own.clear();
                    own.extend(eligible.iter().copied().filter(covers));
                    &own
                }
            };
            let seen = Seen {
                moments: &moments,
                covered,
            };
            part.rule.judge(seen, present, |position, outcome| {
                if let Some(slot) = outcomes.get_mut(position as usize * parts + nth) {
                    *slot = Packed::new(outcome);
                }
            });
        }
        drop((moments, eligible, own));

        let mut all = outcomes.chunks_exact(parts.max(1));
        let entries = order
            .into_iter()
            .map(|index| {
                let own = all.next().unwrap_or_default();
                let managed = look.managed.get(index);
                let kept = policy.parts.is_empty()
                    || !managed
                    || look.protected.get(index)
                    || own.iter().any(|outcome| outcome.keeps());
                let verdict = if kept {
                    Verdict::Keep
                } else {
                    Verdict::Destroy
                };
                Entry {
                    index,
                    managed,
                    verdict,
                    reprieve: None,
                }
            })
            .collect();

        let mut plan = Self {
            snapshots,
            policy,
            targets,
            now: now.clone(),
            entries,
            outcomes,
        };
        plan.spare_what_space_does_not_need();
        plan
    }

    fn spare_what_space_does_not_need(&mut self) {
        let Some(space) = self.policy.space else {
            return;
        };
        let mut wanted = space.wanted(self.snapshots);
        for entry in self.entries.iter_mut().rev() {
            if entry.verdict == Verdict::Keep {
                continue;
            }
            if wanted == 0 {
                entry.spare(Reprieve::Space);
            }
            let used = self
                .snapshots
                .get(entry.index as usize)
                .and_then(|it| it.used);
            wanted = wanted.saturating_sub(used.unwrap_or(0));
        }
    }

    /// Makes snapshots of one name on several datasets, taken as a group, live
    /// and die together: if one of them stays in its plan, all do.
    ///
    /// None of the peers has it; zrepl plans it (`docs/future.rst`). Below, the
    /// policy keeps nothing: `logs@a` stays because it is held, and `database@a`
    /// because it is of the same group.
    ///
    /// ```
    /// # use zfs_retention::{Guid, Names, Part, Plan, Policy, Snapshot, Txg};
    /// # let now: jiff::Zoned = "2026-04-03T12:00:00Z[UTC]".parse()?;
    /// # let at = now.timestamp();
    /// let policy = Policy::managing(Names::Any).with(Part::last(0));
    /// let database = [Snapshot::new("a", Guid(1), Txg(1), at)];
    /// let logs = [Snapshot::new("a", Guid(2), Txg(1), at).held(1)];
    /// let mut plans = [&database, &logs].map(|all| policy.plan(all, &[], &now));
    /// Plan::keep_groups_whole(&mut plans);
    /// assert_eq!(plans[0].destroyed().count(), 0);
    /// # Ok::<(), jiff::Error>(())
    /// ```
    pub fn keep_groups_whole(plans: &mut [Self]) {
        let staying: HashSet<String> = plans
            .iter()
            .flat_map(Self::kept)
            .map(|snapshot| snapshot.name.clone())
            .collect();
        for plan in plans {
            for entry in &mut plan.entries {
                let name = plan
                    .snapshots
                    .get(entry.index as usize)
                    .map(|it| it.name.as_str());
                let stays = name.is_none_or(|name| staying.contains(name));
                if stays && entry.verdict == Verdict::Destroy {
                    entry.spare(Reprieve::Group);
                }
            }
        }
    }

    /// What a part with another count would change, or `None` where the
    /// policy has no such part or the part has no count.
    ///
    /// ```
    /// # use zfs_retention::{Guid, Names, Part, Policy, Snapshot, Txg};
    /// # let now: jiff::Zoned = "2026-04-03T12:00:00Z[UTC]".parse()?;
    /// # let at = now.timestamp();
    /// let snapshots = [1, 2, 3].map(|n| Snapshot::new(format!("a{n}"), Guid(n), Txg(n), at));
    /// let policy = Policy::managing(Names::Any).with(Part::last(1));
    /// let plan = policy.plan(&snapshots, &[], &now);
    /// let change = plan.if_count(0, 2).unwrap();
    /// assert_eq!(change.saved[0].name, "a2");
    /// assert!(change.lost.is_empty());
    /// # Ok::<(), jiff::Error>(())
    /// ```
    pub fn if_count(&self, part: usize, count: u32) -> Option<Change<'a, Id>> {
        let other = self.policy.parts.get(part)?.with_count(count)?;
        self.if_part(part, other)
    }

    /// What another part in the place of one would change, or `None` where the
    /// policy has no such part. For Proxmox' options, of which one part has
    /// several. What [`keep_groups_whole`](Self::keep_groups_whole) saved stays;
    /// groups are not made anew.
    ///
    /// ```
    /// # use zfs_retention::{Guid, Keep, Names, Part, Policy, Snapshot, Txg};
    /// # let now: jiff::Zoned = "2026-04-03T12:00:00Z[UTC]".parse()?;
    /// # let at = now.timestamp();
    /// # let snapshots = [1, 2, 3].map(|n| Snapshot::new(format!("a{n}"), Guid(n), Txg(n), at));
    /// let keep = Keep { last: 1, ..Keep::default() };
    /// let policy = Policy::managing(Names::Any).with(Part::proxmox(keep));
    /// let plan = policy.plan(&snapshots, &[], &now);
    /// let change = plan.if_part(0, Part::proxmox(Keep { last: 2, ..keep })).unwrap();
    /// assert_eq!(change.saved[0].name, "a2");
    /// # Ok::<(), jiff::Error>(())
    /// ```
    pub fn if_part(&self, part: usize, other: Part) -> Option<Change<'a, Id>> {
        let mut policy = self.policy.clone();
        *policy.parts.get_mut(part)? = other;
        let other = Plan::new(&policy, self.snapshots, &self.targets, &self.now);
        let mut change = Change {
            saved: Vec::new(),
            lost: Vec::new(),
        };
        for (here, there) in self.entries.iter().zip(&other.entries).rev() {
            let Some(snapshot) = self.snapshots.get(here.index as usize) else {
                continue;
            };
            match (here.verdict, there.verdict) {
                (Verdict::Destroy, Verdict::Keep) => change.saved.push(snapshot),
                // What its group keeps does not go for this dataset's sake.
                (Verdict::Keep, Verdict::Destroy)
                    if !matches!(here.reprieve, Some(Reprieve::Group)) =>
                {
                    change.lost.push(snapshot);
                }
                _ => {}
            }
        }
        Some(change)
    }

    /// What the plan frees, as far as sizes are known.
    pub fn reclaimable(&self) -> Reclaimable {
        let mut sum = Reclaimable {
            bytes: 0,
            unknown: 0,
        };
        for snapshot in self.destroyed() {
            match snapshot.used {
                Some(used) => sum.bytes = sum.bytes.saturating_add(used),
                None => sum.unknown += 1,
            }
        }
        sum
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
            .filter_map(|entry| self.snapshots.get(entry.index as usize))
    }

    fn at(&self, position: usize) -> Option<Decision<'_, Id>> {
        let entry = self.entries.get(position)?;
        let parts = self.policy.parts.len();
        Some(Decision {
            snapshot: self.snapshots.get(entry.index as usize)?,
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
        Some(self.snapshots.get(entry.index as usize)?.name.as_str())
    }
}

impl Entry {
    fn spare(&mut self, reprieve: Reprieve) {
        self.verdict = Verdict::Keep;
        self.reprieve = Some(reprieve);
    }
}

/// How another count would change a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(bound = ""))]
pub struct Change<'a, Id = ()> {
    /// What it would keep and the plan destroys, from the oldest on. In JSON
    /// these are names.
    #[cfg_attr(feature = "serde", serde(serialize_with = "names"))]
    pub saved: Vec<&'a Snapshot<Id>>,
    /// What it would destroy and the plan keeps, from the oldest on.
    #[cfg_attr(feature = "serde", serde(serialize_with = "names"))]
    pub lost: Vec<&'a Snapshot<Id>>,
}

#[cfg(feature = "serde")]
fn names<Id, S: serde::Serializer>(
    snapshots: &[&Snapshot<Id>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(snapshots.iter().map(|snapshot| &snapshot.name))
}

/// What destroying all that a plan destroys would free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Reclaimable {
    /// The sum of `used` over those where it is known: at least this much,
    /// since blocks that only they share are in none of the numbers.
    pub bytes: u64,
    /// How many have no known size.
    pub unknown: usize,
}

/// What a plan says about one snapshot.
#[derive(Debug)]
pub struct Decision<'a, Id = ()> {
    plan: &'a Plan<'a, Id>,
    snapshot: &'a Snapshot<Id>,
    outcomes: &'a [Packed],
    entry: Entry,
}

// Whatever the id is, a decision is only a few references.
impl<Id> Clone for Decision<'_, Id> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Id> Copy for Decision<'_, Id> {}

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
        match self.entry.reprieve {
            None => {}
            Some(Reprieve::Space) => reasons.push(Reason::SpaceSuffices),
            Some(Reprieve::Group) => reasons.push(Reason::Group),
        }
        let parts = || self.plan.policy.parts.iter().zip(self.outcomes);
        for keeping in [true, false] {
            reasons.extend(
                parts()
                    .filter(|(_, outcome)| outcome.keeps() == keeping)
                    .filter_map(|(part, outcome)| self.reason(part, outcome.outcome())),
            );
        }
        reasons
    }

    fn reason(&self, part: &'a Part, outcome: Outcome) -> Option<Reason<'a>> {
        let moment = Moment::new(self.snapshot.creation, self.plan.now.time_zone());
        let period = part.rule.period_name(outcome, moment);
        let kept = match outcome {
            Outcome::Outside => return None,
            Outcome::Every => Kept::Covered,
            Outcome::Young => Kept::Young,
            Outcome::Anchor => Kept::Newest,
            Outcome::Oldest => Kept::Oldest,
            Outcome::Ranked(rank) => match period {
                None => Kept::Counted { rank },
                Some(period) => Kept::Period {
                    period,
                    rank: Some(rank),
                },
            },
            Outcome::Chosen(_) | Outcome::Option(_) => Kept::Period {
                period: period.unwrap_or_default(),
                rank: None,
            },
            Outcome::BeyondCount(rank) | Outcome::BeyondOption { rank, .. } => {
                return Some(missed(part, Missed::BeyondCount { rank, period }));
            }
            Outcome::BeyondBoth(needed) => {
                return Some(missed(part, Missed::BeyondCountAndAge { needed }));
            }
            Outcome::Superseded(by) => {
                let by = self.plan.name_at(by);
                return Some(missed(part, Missed::Superseded { by, period }));
            }
            Outcome::TooOld => return Some(missed(part, Missed::TooOld)),
            Outcome::BucketFull(_) => {
                let period = period.unwrap_or_default();
                return Some(missed(part, Missed::BucketFull { period }));
            }
        };
        Some(Reason::Kept { part, kept })
    }
}

fn missed<'a>(part: &'a Part, missed: Missed<'a>) -> Reason<'a> {
    Reason::Missed { part, missed }
}

#[cfg(feature = "serde")]
impl<Id> serde::Serialize for Decision<'_, Id> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut map = serializer.serialize_struct("Decision", 7)?;
        map.serialize_field("name", &self.snapshot.name)?;
        // As text: many JSON readers keep only 53 bits of a number.
        map.serialize_field("guid", &self.snapshot.guid.to_string())?;
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
