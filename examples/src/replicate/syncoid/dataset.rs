//! One dataset, from its listing to the last thing that is cleaned up.

use regex::Regex;

use super::listing::{self, Depth};
use super::rows::{Listed, Point};
use super::sends::shown;
use super::transfer::{Ended, Source};
use super::{DIED, Fatal, Run, Severity, names};

/// A dataset and what is known of its snapshots.
pub(super) struct Pair {
    pub source: String,
    pub target: String,
    /// The snapshots to look at, the oldest first.
    pub on_source: Vec<Point>,
    pub on_target: Vec<Point>,
    pub target_exists: bool,
}

/// What became of a part of the work.
pub(super) enum Next {
    /// It goes on.
    Go,
    /// Nothing more is done for this dataset.
    Stop,
    /// The dataset is begun again, with its clone's origin or without, and
    /// perhaps without another snapshot.
    Again {
        with_origin: bool,
        skip_snapshot: bool,
    },
    /// Something that was listed is not there any more: it is looked at once
    /// more.
    Gone,
}

/// How often a dataset is begun again: after a resumed receive, after one that
/// could not be resumed, and after something in the way was destroyed. Only a
/// target that changes under our hands takes more.
const MAX_ROUNDS: usize = 100;

impl Run {
    pub(super) fn dataset(
        &mut self,
        source: &str,
        target: &str,
        origin: Option<&str>,
        skip_snapshot: bool,
    ) -> Result<(), Fatal> {
        let mut origin = origin.map(str::to_owned);
        let mut skip_snapshot = skip_snapshot;
        let mut was_gone = false;
        for _ in 0..MAX_ROUNDS {
            if self.stopping.is_asked() {
                return Err(Fatal(Severity::Critical.code()));
            }
            let next = self.round(source, target, origin.as_deref(), skip_snapshot)?;
            let (with_origin, skip) = match next {
                Next::Go | Next::Stop => return Ok(()),
                Next::Gone if was_gone => {
                    self.raise(Severity::Critical);
                    return Ok(());
                }
                Next::Gone => {
                    was_gone = true;
                    self.messages.warn(format!(
                        "{source} has lost a snapshot since it was listed; looking again"
                    ));
                    // A sync snapshot has been taken already.
                    (false, true)
                }
                Next::Again {
                    with_origin,
                    skip_snapshot,
                } => (with_origin, skip_snapshot),
            };
            origin = origin.filter(|_| with_origin);
            skip_snapshot = skip;
            self.list_source(source, Depth::One)
                .map_err(|unlisted| self.give_up(&unlisted))?;
            self.list_target(target, Depth::One)
                .map_err(|unlisted| self.give_up(&unlisted))?;
        }
        self.messages
            .critical(format!("{target} changes under our hands; giving up on it"));
        self.raise(Severity::Critical);
        Ok(())
    }

    fn round(
        &mut self,
        source: &str,
        target: &str,
        origin: Option<&str>,
        skip_snapshot: bool,
    ) -> Result<Next, Fatal> {
        self.messages
            .debug(format!("syncing source {source} to target {target}."));
        let Some(listed) = self.sources.get(source).cloned() else {
            self.not_there(source);
            return Ok(Next::Stop);
        };
        if !self.is_meant(&listed) || self.is_busy(target) {
            return Ok(Next::Stop);
        }
        let there = self.targets.get(target).cloned();
        let token = there.as_ref().and_then(|there| there.token.clone());
        if let Some(token) = token.filter(|_| self.resume) {
            self.messages
                .debug(format!("got receive resume token: {token}: "));
            return Ok(self.go_on(source, target, token));
        }

        let pair = Pair {
            source: source.to_owned(),
            target: target.to_owned(),
            on_source: self.included(&listed.snapshots),
            on_target: there
                .as_ref()
                .map(|there| self.included(&there.snapshots))
                .unwrap_or_default(),
            target_exists: there.is_some(),
        };
        if self.arguments.dump_snaps {
            self.dump(&pair);
        }
        let Some(newest) = self.newest(&pair, skip_snapshot)? else {
            return Ok(Next::Stop);
        };
        let (next, matching) = if pair.target_exists {
            self.increment(&pair, &listed, &newest)
        } else {
            (self.first(&pair, origin, &newest), None)
        };
        if let Next::Go = next {
            self.replicated += 1;
            self.clean_up(&pair, &newest, matching.as_deref())?;
        }
        Ok(next)
    }

    fn not_there(&mut self, source: &str) {
        if self.replicated > 0 {
            self.messages.warn(format!(
                "Skipping dataset (dataset no longer exists): {source}..."
            ));
        } else {
            self.messages
                .critical(format!("cannot open '{source}': dataset does not exist"));
            self.raise(Severity::Critical);
        }
    }

    /// What `syncoid:sync` says.
    fn is_meant(&self, listed: &Listed) -> bool {
        let name = &listed.name;
        match listed.sync.as_deref() {
            None | Some("true" | "-" | "") => true,
            Some("false") => {
                self.messages
                    .info(format!("Skipping dataset (syncoid:sync=false): {name}..."));
                false
            }
            Some(hosts) => {
                let mine = hosts.split(',').any(|host| host == self.hostname);
                if !mine {
                    self.messages.info(format!(
                        "Skipping dataset (syncoid:sync doesn't include {}): {name}...",
                        self.hostname
                    ));
                }
                mine
            }
        }
    }

    /// Whether something else is received there, which is said.
    pub(super) fn is_busy(&mut self, target: &str) -> bool {
        let pattern = format!(r"zfs *(receive|recv)[^/]*{}\z", regex::escape(target));
        let Ok(pattern) = Regex::new(&pattern) else {
            return false;
        };
        let busy = self
            .target
            .processes()
            .iter()
            .any(|line| pattern.is_match(line));
        if busy {
            self.messages.warn(format!(
                "Cannot sync now: {target} is already target of a zfs receive process."
            ));
            self.raise(Severity::Warning);
        }
        busy
    }

    fn included(&self, points: &[Point]) -> Vec<Point> {
        points
            .iter()
            .filter(|point| self.is_included(&point.name))
            .cloned()
            .collect()
    }

    fn dump(&self, pair: &Pair) {
        self.messages
            .info(format!("merged snapshot list of {}: ", pair.target));
        let side = |points: &[Point]| {
            let mut points: Vec<&Point> = points.iter().collect();
            points.sort_by(|a, b| a.name.cmp(&b.name));
            let lines = points.iter().map(|point| {
                format!(
                    "      '{}' => {{ 'guid' => '{}', 'createtxg' => '{}' }},\n",
                    point.name, point.guid, point.createtxg
                )
            });
            lines.collect::<String>()
        };
        self.messages.info(format!(
            "$VAR1 = {{\n  'source' => {{\n{}  }},\n  'target' => {{\n{}  }}\n}};",
            side(&pair.on_source),
            side(&pair.on_target)
        ));
    }

    /// The snapshot to bring the target to: a new one, or the newest there is.
    fn newest(&mut self, pair: &Pair, skip_snapshot: bool) -> Result<Option<String>, Fatal> {
        if !self.arguments.no_sync_snap && !skip_snapshot {
            let prefix = self.prefix();
            let name = names::sync_snapshot(&prefix, &jiff::Zoned::now());
            let whole = format!("{}@{name}", pair.source);
            self.messages
                .debug(format!("creating sync snapshot {whole}..."));
            if let Err(failed) = self.change(&self.source.clone(), &["snapshot", &whole]) {
                self.messages.critical(failed.text());
                self.raise(Severity::Critical);
                return Ok(None);
            }
            if self.is_included(&name) {
                return Ok(Some(name));
            }
        }
        let Some(newest) = pair.on_source.last() else {
            if self.arguments.no_sync_snap {
                let problem = "--no-sync-snap is set, and getnewestsnapshot() could not find any \
                               snapshots on source";
                if !self.arguments.recursive {
                    eprintln!("CRIT: {problem}!");
                    return Err(Fatal(DIED));
                }
                self.messages
                    .warn(format!("{problem} for current dataset. Continuing."));
                self.raise(Severity::Critical);
            }
            self.messages.warn(format!(
                "CRITICAL: no snapshots exist on source {}, and you asked for --no-sync-snap.",
                pair.source
            ));
            self.raise(Severity::Warning);
            return Ok(None);
        };
        self.messages
            .debug(format!("NEWEST SNAPSHOT: {}", newest.name));
        Ok(Some(newest.name.clone()))
    }

    pub(super) fn prefix(&self) -> String {
        names::prefix(self.arguments.identifier.as_deref(), &self.hostname)
    }

    /// The target does not have the dataset: its oldest snapshot in full, then
    /// all the others.
    fn first(&mut self, pair: &Pair, origin: Option<&str>, newest: &str) -> Next {
        let no_stream = self.arguments.no_stream;
        let oldest = match pair.on_source.first() {
            Some(oldest) if !no_stream => oldest.name.clone(),
            _ => newest.to_owned(),
        };
        let ended = if let Some(origin) = origin {
            let ended = self.send_clone(pair, origin, &oldest);
            if !matches!(ended, Ended::Well) {
                self.messages
                    .info("clone creation failed, trying ordinary replication as fallback");
                return Next::Again {
                    with_origin: false,
                    skip_snapshot: true,
                };
            }
            ended
        } else {
            self.send_full(pair, &oldest)
        };
        if let Ended::Gone = ended {
            return Next::Gone;
        }
        if !matches!(ended, Ended::Well) {
            self.raise(Severity::Critical);
            return Next::Stop;
        }
        if !no_stream && oldest != newest {
            let ended = self.send_increment(pair, &oldest, newest, false);
            if let Ended::Gone = ended {
                return Next::Gone;
            }
            if !matches!(ended, Ended::Well) {
                self.raise(Severity::Warning);
                return Next::Stop;
            }
        }
        Next::Go
    }

    /// An interrupted receive goes on; what follows is done in another round.
    fn go_on(&mut self, source: &str, target: &str, token: String) -> Next {
        let size = self.size(&Source::Token(token.clone()));
        self.messages.info(format!(
            "Resuming interrupted zfs send/receive from {} to {} (~ {} remaining):",
            self.source.show(source),
            self.target.show(target),
            shown(size)
        ));
        if self.arguments.dry_run {
            return Next::Stop;
        }
        let said = match self.transfer(source, target, &Source::Token(token), size) {
            Ended::Well => {
                return Next::Again {
                    with_origin: false,
                    skip_snapshot: false,
                };
            }
            Ended::Busy | Ended::Gone => String::new(),
            Ended::Badly(said) => said,
        };
        if said.contains("used in the initial send no longer exists") || is_source_gone(&said) {
            self.messages.warn(
                "resetting partially receive state because the snapshot source no longer exists",
            );
            if self.reset(target) {
                return Next::Again {
                    with_origin: true,
                    skip_snapshot: false,
                };
            }
        }
        self.raise(Severity::Critical);
        Next::Stop
    }

    /// Gives up what an interrupted receive left.
    fn reset(&mut self, target: &str) -> bool {
        self.messages
            .debug(format!("reset partial receive state of {target}..."));
        match self.change(&self.target.clone(), &["receive", "-A", target]) {
            Ok(()) => true,
            Err(failed) => {
                eprintln!("CRITICAL ERROR: {}", failed.text());
                self.raise(Severity::Critical);
                false
            }
        }
    }

    /// The target has the dataset. Also says from which of its snapshots.
    fn increment(&mut self, pair: &Pair, listed: &Listed, newest: &str) -> (Next, Option<String>) {
        let common = pair.on_source.iter().rev().find(|on_source| {
            let mut there = pair.on_target.iter();
            there.any(|point| point.name == on_source.name && point.guid == on_source.guid)
        });
        let mut bookmark: Option<Point> = None;
        let mut matching = if let Some(common) = common {
            common.name.clone()
        } else {
            let found = pair.on_target.iter().rev().find_map(|point| {
                let mut bookmarks = listed.bookmarks.iter();
                let bookmark = bookmarks.find(|bookmark| bookmark.guid == point.guid)?;
                Some((point.name.clone(), bookmark.clone()))
            });
            let Some((name, found)) = found else {
                return (self.nothing_common(pair), None);
            };
            bookmark = Some(found);
            name
        };
        if self.is_busy(&pair.target) {
            return (Next::Stop, None);
        }
        if matching == newest {
            self.messages.info(format!(
                "no snapshots on source newer than {newest} on target. Nothing to do, not syncing."
            ));
            return (Next::Stop, None);
        }
        let mut next = None;
        if let Some(bookmark) = &bookmark {
            // A bookmark cannot be the base of a range, so the first after it
            // is sent by itself.
            let first = pair.on_source.iter();
            next = first
                .filter(|_| !self.arguments.no_stream)
                .find(|point| point.createtxg >= bookmark.createtxg)
                .map(|point| point.name.clone());
            let to = next.clone().unwrap_or_else(|| newest.to_owned());
            match self.send_from_bookmark(pair, &bookmark.name, &to) {
                Ended::Well => {}
                Ended::Gone => return (Next::Gone, None),
                Ended::Busy | Ended::Badly(_) => {
                    self.raise(Severity::Critical);
                    return (Next::Stop, None);
                }
            }
            if next.is_some() {
                matching = to;
            }
        }
        if bookmark.is_none() || next.is_some() {
            if matching == newest {
                return (Next::Stop, None);
            }
            let next = self.increment_or_heal(pair, &matching, newest);
            if !matches!(next, Next::Go) {
                return (next, None);
            }
        }
        (Next::Go, Some(matching))
    }

    fn send_from_bookmark(&mut self, pair: &Pair, bookmark: &str, to: &str) -> Ended {
        let ended = self.send_bookmark(pair, bookmark, to);
        match &ended {
            Ended::Badly(said)
                if !self.resume && said.contains("contains partially-complete state") =>
            {
                self.messages.warn("resetting partially receive state");
                if self.reset(&pair.target) {
                    return self.send_bookmark(pair, bookmark, to);
                }
                ended
            }
            _ => ended,
        }
    }

    fn increment_or_heal(&mut self, pair: &Pair, from: &str, to: &str) -> Next {
        let no_stream = self.arguments.no_stream;
        let said = match self.send_increment(pair, from, to, no_stream) {
            Ended::Well => return Next::Go,
            Ended::Gone => return Next::Gone,
            Ended::Busy => String::new(),
            Ended::Badly(said) => said,
        };
        // FreeBSD calls it busy.
        let is_partial =
            said.contains("contains partially-complete state") || said.contains("dataset is busy");
        if !self.resume && is_partial {
            self.messages.warn("resetting partially receive state");
            if self.reset(&pair.target)
                && matches!(self.send_increment(pair, from, to, no_stream), Ended::Well)
            {
                return Next::Go;
            }
        } else if self.arguments.force_delete && said.contains("destination already exists") {
            if let Some(existing) = in_the_way(&said) {
                self.messages
                    .warn(format!("removing existing destination: {existing}"));
                match self.change(&self.target.clone(), &["destroy", existing]) {
                    Ok(()) => {
                        return Next::Again {
                            with_origin: false,
                            skip_snapshot: true,
                        };
                    }
                    Err(failed) => eprintln!("CRITICAL ERROR: {}", failed.text()),
                }
            }
        }
        self.raise(Severity::Critical);
        Next::Stop
    }

    fn nothing_common(&mut self, pair: &Pair) -> Next {
        let target = &pair.target;
        // A pool's own dataset cannot be destroyed.
        if self.arguments.force_delete && target.contains('/') {
            self.messages.info(format!(
                "Removing {target} because no matching snapshots were found"
            ));
            match self.change(&self.target.clone(), &["destroy", "-r", target]) {
                Ok(()) if self.arguments.dry_run => return Next::Stop,
                Ok(()) => {
                    listing::replace(&mut self.targets, target, Depth::All, Vec::new());
                    return Next::Again {
                        with_origin: false,
                        skip_snapshot: true,
                    };
                }
                Err(failed) => self.messages.warn(failed.text()),
            }
        }
        self.raise(Severity::Critical);
        self.messages.critical(format!(
            "\n\tTarget {target} exists but has no snapshots matching with {}!\n\
             \tIt would have to be destroyed first, which is not done without --force-delete.\n",
            pair.source
        ));
        Next::Stop
    }
}

/// `incremental source 0x1f no longer exists`
fn is_source_gone(said: &str) -> bool {
    said.split("incremental source ").skip(1).any(|rest| {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c) || c == 'x';
        let after = rest.trim_start_matches(hex);
        after.len() < rest.len() && after.starts_with(" no longer exists")
    })
}

/// `cannot restore to NAME: destination already exists`
fn in_the_way(said: &str) -> Option<&str> {
    said.lines().find_map(|line| {
        let name = line.strip_prefix("cannot restore to ")?;
        let name = name.strip_suffix(": destination already exists")?;
        (!name.is_empty() && !name.contains(':')).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_zfs_complains_about_is_understood() {
        assert!(is_source_gone(
            "cannot resume send: incremental source 0x12af no longer exists"
        ));
        assert!(!is_source_gone(
            "incremental source tank/a@x no longer exists"
        ));
        assert_eq!(
            in_the_way("x\ncannot restore to tank/a@b: destination already exists\n"),
            Some("tank/a@b")
        );
        assert_eq!(in_the_way("destination already exists"), None);
    }
}
