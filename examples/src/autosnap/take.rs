//! Taking what is due.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{
    Timestamp, Zoned,
    tz::{AmbiguousOffset, TimeZone},
};
use zfs_core::error::ErrorKind;
use zfs_core::{DatasetName, Failure, SnapshotName, Zfs};
use zfs_retention::conf::Settings;
use zfs_retention::{Template, Tier};

use super::hook::Hook;
use super::say::Say;
use super::site::{Observed, Site};

/// One run of taking.
pub struct Take<'a> {
    /// ZFS.
    pub zfs: &'a Zfs,
    /// Who is told.
    pub say: &'a Say,
    /// What there is.
    pub site: &'a Site,
    /// Whose hours and days are meant.
    pub zone: &'a TimeZone,
    /// Nothing is taken, only told.
    pub readonly: bool,
}

/// A dataset with what is due of it.
struct Due<'a> {
    dataset: &'a Observed,
    name: &'a DatasetName,
    tiers: Vec<Tier>,
}

/// What is taken or fails as one: a snapshot of one dataset, and of everything
/// below it where `recursive = zfs`.
struct Unit {
    root: DatasetName,
    members: Vec<DatasetName>,
    tier: Tier,
    /// The name that it has in the second pass of an hour that comes twice.
    again: bool,
}

impl Take<'_> {
    /// Takes all that is due at `now`: those of one type in one call for each
    /// pool, then those with scripts, each by itself.
    pub fn run(&self, now: Timestamp) {
        let moment = now.to_zoned(self.zone.clone());
        let mut together: BTreeMap<Tier, BTreeMap<&str, Vec<Unit>>> = BTreeMap::new();
        let mut alone = Vec::new();
        for due in self.due(&moment) {
            let settings = &due.dataset.conf.settings;
            if settings.pre_snapshot_script.is_some() || settings.post_snapshot_script.is_some() {
                alone.push(due);
                continue;
            }
            for tier in &due.tiers {
                let pool = due.name.components().next().unwrap_or_default();
                let pools = together.entry(*tier).or_default();
                pools.entry(pool).or_default().push(self.unit(&due, *tier));
            }
        }
        for units in together.into_values().flat_map(BTreeMap::into_values) {
            self.take(units, &moment);
        }
        for due in alone {
            self.with_scripts(&due);
        }
    }

    fn due(&self, moment: &Zoned) -> Vec<Due<'_>> {
        let mut all = Vec::new();
        for dataset in &self.site.datasets {
            if dataset.conf.children_only {
                continue;
            }
            let tiers = dataset.conf.settings.due(dataset.taken(), moment);
            if tiers.is_empty() || dataset.unseen {
                // Why it could not be listed was told.
                continue;
            }
            if let Some(name) = &dataset.name {
                if self.site.is_incomplete(name) {
                    self.say.info(format_args!(
                        "{name} is not taken: its first receive is incomplete"
                    ));
                    continue;
                }
                all.push(Due {
                    dataset,
                    name,
                    tiers,
                });
            } else {
                let path = &dataset.conf.path;
                let text = format!("cannot take a snapshot of {path}: there is no such dataset");
                self.say.failed(path, text);
            }
        }
        all
    }

    fn unit(&self, due: &Due<'_>, tier: Tier) -> Unit {
        let members = if due.dataset.conf.takes_children {
            self.site.tree(due.name)
        } else {
            vec![due.name.clone()]
        };
        Unit {
            root: due.name.clone(),
            members,
            tier,
            again: false,
        }
    }

    /// Takes units of one pool in one call. One that cannot be taken is told
    /// and left out, and the others are tried again without it; so is what is
    /// gone from below a root since it was listed. Says whether any needed the
    /// name of a second pass.
    fn take(&self, mut units: Vec<Unit>, moment: &Zoned) -> bool {
        let mut told = false;
        let mut ever_renamed = false;
        while !units.is_empty() {
            let names = match names(&units, moment) {
                Ok(names) => names,
                Err((nth, error)) => {
                    let unit = units.remove(nth);
                    self.say.failed(&unit.root, error);
                    continue;
                }
            };
            if !told {
                for unit in &units {
                    self.tell(unit, moment);
                }
                told = true;
            }
            if self.readonly {
                break;
            }
            let Err(error) = self.zfs.snapshot(names.iter().flatten()) else {
                self.taken(&units, moment);
                break;
            };
            let mut nth = 0;
            let before = units.len();
            let (mut renamed, mut shrunk) = (false, false);
            units.retain_mut(|unit| {
                let own = names.get(nth).map_or(&[][..], Vec::as_slice);
                nth += 1;
                let failures: Vec<_> = error
                    .failures()
                    .iter()
                    .filter(|failure| own.iter().any(|name| name.as_str() == failure.name))
                    .collect();
                if failures.is_empty() {
                    return true;
                }
                if self.leave_out_gone(unit, &failures) {
                    shrunk = true;
                    return true;
                }
                let exist = failures.iter().all(|it| it.kind() == ErrorKind::Exists);
                if exist && !unit.again && is_second_pass(moment) {
                    unit.again = true;
                    renamed = true;
                    self.tell(unit, moment);
                    return true;
                }
                if exist && failures.len() == own.len() {
                    // Somebody was faster: sanoid from an old timer, perhaps.
                    let name = snapshot_name(unit, moment);
                    let name = format!("{}@{name}", unit.root);
                    let text = format!("{name} is there already");
                    self.say.event("exists", name, text);
                    return false;
                }
                self.report(unit, own, &error);
                false
            });
            ever_renamed |= renamed;
            if units.len() == before && !renamed && !shrunk {
                // It concerns all of them, or nobody knows which.
                if let [unit] = units.as_slice() {
                    let own = names.first().map_or(&[][..], Vec::as_slice);
                    self.report(unit, own, &error);
                    break;
                }
                for unit in units {
                    self.take_silently(unit, moment);
                }
                break;
            }
        }
        ever_renamed
    }

    /// One that was told already.
    fn take_silently(&self, unit: Unit, moment: &Zoned) {
        let units = [unit];
        let Ok(names) = names(&units, moment) else {
            return;
        };
        match self.zfs.snapshot(names.iter().flatten()) {
            Ok(()) => self.taken(&units, moment),
            Err(error) => {
                for (unit, own) in units.iter().zip(&names) {
                    self.report(unit, own, &error);
                }
            }
        }
    }

    /// Takes out of a unit what was destroyed or renamed since it was listed,
    /// where that is all that is wrong. False where its root is gone.
    fn leave_out_gone(&self, unit: &mut Unit, failures: &[&Failure]) -> bool {
        let dataset = |failure: &Failure| failure.name.split('@').next().map(str::to_owned);
        let gone: BTreeSet<String> = failures
            .iter()
            .filter(|failure| failure.kind() == ErrorKind::NotFound)
            .filter_map(|failure| dataset(failure))
            .collect();
        if gone.len() < failures.len() || gone.contains(unit.root.as_str()) {
            return false;
        }
        unit.members
            .retain(|member| !gone.contains(member.as_str()));
        for name in gone {
            let text = "is gone since it was listed, and left out";
            self.say.info(format_args!("{name} {text}"));
        }
        true
    }

    fn taken(&self, units: &[Unit], moment: &Zoned) {
        for unit in units {
            let name = snapshot_name(unit, moment);
            self.say.done("take", format_args!("{}@{name}", unit.root));
        }
    }

    fn tell(&self, unit: &Unit, moment: &Zoned) {
        let name = format!("{}@{}", unit.root, snapshot_name(unit, moment));
        let below = match unit.members.len() {
            0 | 1 => String::new(),
            count => format!(" and {} below it", count - 1),
        };
        let text = format!("taking {name}{below}");
        if self.readonly {
            self.say.event("would_take", &name, text);
        } else {
            self.say.doing(text);
        }
    }

    fn report(&self, unit: &Unit, own: &[SnapshotName], error: &zfs_core::Error) {
        let mut own_failures = error
            .failures()
            .iter()
            .filter(|failure| own.iter().any(|name| name.as_str() == failure.name))
            .peekable();
        if own_failures.peek().is_none() {
            self.say.failed(&unit.root, error);
        }
        for failure in own_failures {
            self.say.failed(&failure.name, failure);
        }
    }

    /// A dataset with scripts, as sanoid does it.
    fn with_scripts(&self, due: &Due<'_>) {
        let settings = &due.dataset.conf.settings;
        // Scripts take their time, and the name tells when it really was.
        let moment = Timestamp::now().to_zoned(self.zone.clone());
        let units: Vec<Unit> = due.tiers.iter().map(|tier| self.unit(due, *tier)).collect();
        let names: Vec<String> = units.iter().map(|it| snapshot_name(it, &moment)).collect();
        let types: Vec<&str> = due.tiers.iter().map(|tier| tier.as_str()).collect();
        let mut first = names.first().cloned().unwrap_or_default();
        let environment = |script: &str, first: String| {
            vec![
                ("SANOID_TARGET", due.name.to_string()),
                ("SANOID_TARGETS", due.name.to_string()),
                ("SANOID_SNAPNAME", first),
                ("SANOID_SNAPNAMES", names.join(",")),
                ("SANOID_TYPES", types.join(",")),
                ("SANOID_SCRIPT", script.to_owned()),
            ]
        };
        let mut failed_before = false;
        if let Some(script) = &settings.pre_snapshot_script {
            let environment = environment("pre", first.clone());
            let key = "pre_snapshot_script";
            if !self.script(due, settings, key, script, environment) {
                if settings.no_inconsistent_snapshot {
                    return;
                }
                failed_before = true;
            }
        }
        for (nth, unit) in units.into_iter().enumerate() {
            let tier = unit.tier.as_str();
            if self.take(vec![unit], &moment) && nth == 0 {
                first = Template::sanoid().print_again(&moment, tier);
            }
        }
        if let Some(script) = &settings.post_snapshot_script {
            if failed_before && !settings.force_post_snapshot_script {
                return;
            }
            // Afterwards sanoid gives the whole name here.
            let mut environment = environment("post", format!("{}@{first}", due.name));
            environment.push(("SANOID_PRE_FAILURE", u8::from(failed_before).to_string()));
            let key = "post_snapshot_script";
            self.script(due, settings, key, script, environment);
        }
    }

    fn script(
        &self,
        due: &Due<'_>,
        settings: &Settings,
        key: &'static str,
        script: &str,
        environment: Vec<(&'static str, String)>,
    ) -> bool {
        let name = due.name;
        self.say
            .info(format_args!("running {key} {script:?} for {name}"));
        if self.readonly {
            return true;
        }
        let hook = Hook {
            key,
            script,
            timeout: settings.script_timeout,
            environment,
        };
        let result = hook.run(self.say.stdout_of_scripts());
        if let Err(trouble) = &result {
            let text = format!("{key} {script:?} failed for {name}: {trouble}");
            self.say.failed(name, text);
        }
        result.is_ok()
    }
}

/// Whether the local time comes twice and this is the second time.
fn is_second_pass(moment: &Zoned) -> bool {
    let local = moment.datetime();
    let ambiguous = moment.time_zone().to_ambiguous_timestamp(local);
    matches!(ambiguous.offset(), AmbiguousOffset::Fold { after, .. } if after == moment.offset())
}

fn snapshot_name(unit: &Unit, moment: &Zoned) -> String {
    let template = Template::sanoid();
    if unit.again {
        template.print_again(moment, unit.tier.as_str())
    } else {
        template.print(moment, unit.tier.as_str())
    }
}

/// The names of each unit, none twice: ZFS refuses a call that has two
/// snapshots of one dataset.
fn names(
    units: &[Unit],
    moment: &Zoned,
) -> Result<Vec<Vec<SnapshotName>>, (usize, zfs_core::Error)> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::with_capacity(units.len());
    for (nth, unit) in units.iter().enumerate() {
        let name = snapshot_name(unit, moment);
        let mut own = Vec::with_capacity(unit.members.len());
        for member in unit.members.iter().filter(|member| seen.insert(*member)) {
            own.push(member.with_snapshot(&name).map_err(|error| (nth, error))?);
        }
        all.push(own);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_second_pass_is_one() {
        for (moment, second) in [
            ("2026-10-25T02:30:00+02:00[Europe/Berlin]", false),
            ("2026-10-25T02:30:00+01:00[Europe/Berlin]", true),
            ("2026-10-25T03:30:00+01:00[Europe/Berlin]", false),
            ("2026-03-29T03:30:00+02:00[Europe/Berlin]", false),
            ("2026-10-25T01:30:00+00:00[Europe/Dublin]", true),
        ] {
            assert_eq!(is_second_pass(&moment.parse().unwrap()), second, "{moment}");
        }
    }
}
