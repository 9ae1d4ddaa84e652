//! What follows a transfer: holds, a bookmark, and what has had its day.

use std::collections::HashSet;

use super::dataset::Pair;
use super::listing::{Depth, Unlisted};
use super::rows::Point;
use super::{DIED, Fatal, Run, Severity};
use crate::replicate::side::Side;

/// How many snapshots are destroyed in one command.
const BATCH: usize = 50;

impl Run {
    /// `matching` is the snapshot that the transfer began with.
    pub(super) fn clean_up(
        &mut self,
        pair: &Pair,
        newest: &str,
        matching: Option<&str>,
    ) -> Result<(), Fatal> {
        if self.arguments.use_hold {
            self.hold(pair, newest, matching);
        }
        if self.arguments.no_sync_snap {
            if self.arguments.create_bookmark && !self.bookmark(pair, newest) {
                self.raise(Severity::Critical);
                return Ok(());
            }
        } else if !self.arguments.keep_sync_snap {
            let source = self.source.clone();
            self.prune(&source, &pair.source, newest, &pair.on_source);
            let target = self.target.clone();
            self.prune(&target, &pair.target, newest, &pair.on_target);
        }
        if self.arguments.delete_target_snapshots {
            self.delete_target_snapshots(pair)?;
        }
        Ok(())
    }

    fn hold(&mut self, pair: &Pair, newest: &str, matching: Option<&str>) {
        let tag = self.prefix();
        let sides = [
            (self.source.clone(), &pair.source),
            (self.target.clone(), &pair.target),
        ];
        for (side, dataset) in sides {
            let mut changes = vec![("hold", newest)];
            changes.extend(matching.map(|matching| ("release", matching)));
            for (verb, snapshot) in changes {
                let name = format!("{dataset}@{snapshot}");
                if let Err(failed) = self.change(&side, &[verb, &tag, &name]) {
                    eprintln!("WARNING: {}", failed.text());
                }
            }
        }
    }

    fn bookmark(&mut self, pair: &Pair, newest: &str) -> bool {
        let side = self.source.clone();
        let snapshot = format!("{}@{newest}", pair.source);
        let name = format!("{}#{newest}", pair.source);
        let Err(failed) = self.change(&side, &["bookmark", &snapshot, &name]) else {
            return true;
        };
        eprint!("{}", failed.said);
        // The name may be taken by a bookmark of something else.
        let guid = pair.on_source.iter().find(|point| point.name == newest);
        let guid = guid.map(|point| point.guid.to_string()).unwrap_or_default();
        let guid = guid.get(..6).unwrap_or(&guid);
        self.messages.info(format!(
            "bookmark creation failed, retrying with guid based suffix ({guid})..."
        ));
        match self.change(&side, &["bookmark", &snapshot, &format!("{name}{guid}")]) {
            Ok(()) => true,
            Err(failed) => {
                eprint!("{}", failed.said);
                false
            }
        }
    }

    /// Destroys the sync snapshots of this system and identifier, but for the
    /// new one.
    fn prune(&mut self, side: &Side, dataset: &str, newest: &str, snapshots: &[Point]) {
        let prefix = self.prefix();
        for point in snapshots {
            if point.name == newest || !point.name.starts_with(&prefix) {
                continue;
            }
            self.messages.debug("pruning obsolete sync snapshots...");
            let name = format!("{dataset}@{}", point.name);
            if let Err(failed) = self.change(side, &["destroy", &name]) {
                self.messages.warn(failed.text());
            }
        }
    }

    /// Destroys what only the target has. Ends everything where it cannot be
    /// known what that is.
    fn delete_target_snapshots(&mut self, pair: &Pair) -> Result<(), Fatal> {
        self.list_source(&pair.source, Depth::One)
            .map_err(|unlisted| self.die(&pair.source, &unlisted))?;
        if pair.target_exists {
            self.list_target(&pair.target, Depth::One)
                .map_err(|unlisted| self.die(&pair.target, &unlisted))?;
        }
        let Some(source) = self.sources.get(&pair.source) else {
            let unlisted = Unlisted {
                problem: format!("cannot open '{}': dataset does not exist", pair.source),
                code: Some(1),
            };
            return Err(self.die(&pair.source, &unlisted));
        };
        let names = |points: &[Point]| -> Vec<String> {
            let names = points.iter().map(|point| point.name.clone());
            names.filter(|name| self.is_included(name)).collect()
        };
        let source: HashSet<String> = names(&source.snapshots).into_iter().collect();
        let target = self
            .targets
            .get(&pair.target)
            .filter(|_| pair.target_exists);
        let target = target
            .map(|listed| names(&listed.snapshots))
            .unwrap_or_default();
        let going: Vec<String> = target
            .into_iter()
            .filter(|name| !source.contains(name))
            .collect();
        let side = self.target.clone();
        for some in going.chunks(BATCH) {
            let names = format!("{}@{}", pair.target, some.join(","));
            if let Err(failed) = self.change(&side, &["destroy", &names]) {
                if !self.messages.is_quiet() {
                    eprintln!("{} failed: {}", failed.line, failed.said);
                }
            }
        }
        Ok(())
    }

    /// As perl's `die` after a command: with that command's code.
    fn die(&self, dataset: &str, unlisted: &Unlisted) -> Fatal {
        self.messages.critical(format!(
            "snapshots couldn't be listed for {dataset}: {}",
            unlisted.problem
        ));
        Fatal(unlisted.code.filter(|code| *code != 0).unwrap_or(DIED))
    }
}
