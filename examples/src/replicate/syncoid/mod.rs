//! syncoid's way: one dataset after the other, by name and GUID.
//!
//! What it does to both pools is what syncoid 2.3 does, step by step, and so
//! are its messages and exit codes. How it finds out is not: each side is
//! listed once, and a listing is made again only where something was changed.

mod clean;
mod dataset;
mod flow;
mod listing;
mod names;
mod rows;
mod sends;
mod stopping;
mod transfer;

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitStatus;
use std::sync::Arc;

use zfs_core::{DatasetName, Zfs};

use super::arguments::{Arguments, Pattern};
use super::messages::Messages;
use super::side::{Place, Side};
use listing::{Depth, Unlisted};
use rows::Listed;
use stopping::Stopping;
pub use transfer::rate;

/// How bad it was: syncoid's exit codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// 0: all was done.
    #[default]
    None,
    /// 1: something could not be done now.
    Warning,
    /// 2: something failed.
    Critical,
}

impl Severity {
    /// The exit code.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Ends everything at once, with this exit code.
#[derive(Clone, Copy, Debug)]
pub struct Fatal(pub u8);

/// perl's `die` without an error number.
const DIED: u8 = 255;

/// One run.
pub struct Run {
    arguments: Arguments,
    messages: Messages,
    source: Side,
    target: Side,
    zfs: Option<Zfs>,
    hostname: String,
    resume: bool,
    severity: Severity,
    replicated: usize,
    sources: BTreeMap<String, Listed>,
    targets: BTreeMap<String, Listed>,
    programs: transfer::Programs,
    stopping: Arc<Stopping>,
    /// Datasets of which it was said that they are sent decrypted.
    in_plain: BTreeSet<String>,
}

/// Replicates as the arguments say, and says how it went.
pub fn run(arguments: Arguments) -> u8 {
    let messages = Messages::new(&arguments);
    for warning in &arguments.warnings {
        messages.warn(warning);
    }
    // Where there is no ZFS here, zfs(8) over there may still be.
    let zfs = Zfs::open().ok();
    let is_pool = |name: &str| {
        let dataset = name.parse::<DatasetName>();
        match (&zfs, dataset) {
            (Some(zfs), Ok(dataset)) => zfs.dataset(&dataset).is_ok(),
            _ => false,
        }
    };
    let places = [
        Place::parse(&arguments.source, is_pool),
        Place::parse(&arguments.target, is_pool),
    ];
    let open = |place: &Place| {
        Side::open(place, &arguments.ssh, arguments.no_privilege_elevation).map_err(|error| {
            messages.critical(format!(
                "ssh connection echo test failed for {}: {error}",
                place.host
            ));
            2
        })
    };
    let [source_place, target_place] = &places;
    let direct = arguments.insecure_direct_connection.as_deref();
    if direct.is_some_and(|parts| parts.split(',').count() > 4) {
        messages.critical("invalid insecure-direct-connection argument! It has up to four parts");
        return Severity::Critical.code();
    }
    if direct.is_some() && places.iter().all(|place| !place.host.is_empty()) {
        messages.critical(
            "--insecure-direct-connection goes from here or to here, and not between two others",
        );
        return Severity::Critical.code();
    }
    let (source, target) = match (open(source_place), open(target_place)) {
        (Ok(source), Ok(target)) => (source, target),
        (Err(code), _) | (_, Err(code)) => return code,
    };
    let stopping = Arc::new(Stopping::default());
    if let Err(error) = stopping.on_signal() {
        messages.critical(format!("cannot watch for signals: {error}"));
        return Severity::Critical.code();
    }
    let programs = transfer::Programs::find(&arguments, messages, &source, &target);
    let mut run = Run {
        resume: !arguments.no_resume,
        messages,
        source,
        target,
        zfs,
        hostname: names::hostname(),
        severity: Severity::None,
        replicated: 0,
        sources: BTreeMap::new(),
        targets: BTreeMap::new(),
        programs,
        stopping,
        in_plain: BTreeSet::new(),
        arguments,
    };
    let code = match run.everything(&source_place.dataset, &target_place.dataset) {
        Ok(()) => run.severity.code(),
        Err(Fatal(code)) => code,
    };
    if code != 0 && run.stopping.is_asked() {
        messages.critical("stopped on request; what was received is kept");
    }
    code
}

impl Run {
    fn everything(&mut self, source: &str, target: &str) -> Result<(), Fatal> {
        let depth = if self.arguments.recursive {
            Depth::All
        } else {
            Depth::One
        };
        self.list_source(source, depth)
            .map_err(|unlisted| self.give_up(&unlisted))?;
        self.list_target(target, depth)
            .map_err(|unlisted| self.give_up(&unlisted))?;
        if !self.arguments.recursive {
            return self.dataset(source, target, None, false);
        }
        self.messages.debug(format!("recursive sync of {source}."));
        let children = self.children(source);
        if children.is_empty() {
            self.messages.critical("no datasets found");
            self.raise(Severity::Critical);
        }
        let mut later = Vec::new();
        for name in &children {
            let origin = self
                .sources
                .get(name)
                .and_then(|listed| listed.origin.clone());
            let origin = origin.filter(|_| !self.arguments.no_clone_handling);
            let replicated = origin.filter(|origin| {
                let dataset = origin.split('@').next().unwrap_or_default();
                children.iter().any(|child| child == dataset)
            });
            match replicated {
                Some(origin) => later.push((name.clone(), origin)),
                None => self.child(source, target, name, None)?,
            }
        }
        for (name, origin) in later {
            self.child(source, target, &name, Some(&origin))?;
        }
        Ok(())
    }

    fn child(
        &mut self,
        source: &str,
        target: &str,
        name: &str,
        origin: Option<&str>,
    ) -> Result<(), Fatal> {
        let path = name.strip_prefix(source).unwrap_or_default();
        self.dataset(name, &format!("{target}{path}"), origin, false)
    }

    /// The datasets to replicate, by name.
    fn children(&self, source: &str) -> Vec<String> {
        let mut names: Vec<&String> = self
            .sources
            .keys()
            .filter(|name| rows::is_within(name, source))
            .collect();
        // zfs-list(8)'s order is that of whole names as well.
        names.sort();
        names
            .into_iter()
            .skip(usize::from(self.arguments.skip_parent))
            .filter(|name| {
                let excluded = Pattern::any(&self.arguments.exclude_datasets, name);
                if let Some(pattern) = excluded {
                    self.messages
                        .debug(format!("excluded {name} because of {pattern}"));
                }
                excluded.is_none()
            })
            .cloned()
            .collect()
    }

    fn raise(&mut self, severity: Severity) {
        self.severity = self.severity.max(severity);
    }

    /// Whether a snapshot is among those to look at.
    fn is_included(&self, snapshot: &str) -> bool {
        let Arguments {
            include_snaps,
            exclude_snaps,
            ..
        } = &self.arguments;
        Pattern::any(exclude_snaps, snapshot).is_none()
            && (include_snaps.is_empty() || Pattern::any(include_snaps, snapshot).is_some())
    }

    fn list_source(&mut self, root: &str, depth: Depth) -> Result<(), Unlisted> {
        let listed = listing::list(&self.source, self.zfs.as_ref(), root, depth)?;
        listing::replace(&mut self.sources, root, depth, listed);
        Ok(())
    }

    fn list_target(&mut self, root: &str, depth: Depth) -> Result<(), Unlisted> {
        let listed = listing::list(&self.target, self.zfs.as_ref(), root, depth)?;
        listing::replace(&mut self.targets, root, depth, listed);
        Ok(())
    }

    /// Without a listing nothing may be changed: what cannot be seen is not
    /// what is not there.
    fn give_up(&self, unlisted: &Unlisted) -> Fatal {
        self.messages.critical(&unlisted.problem);
        Fatal(Severity::Critical.code())
    }

    /// Runs zfs(8) where something is changed; not in a dry run.
    fn change(&self, side: &Side, arguments: &[&str]) -> Result<(), Failed> {
        let line = side.zfs_line(arguments);
        if self.arguments.dry_run {
            self.messages.info(format!("would run: {line}"));
            return Ok(());
        }
        self.messages.debug(&line);
        let output = side.run(arguments).map_err(|error| Failed {
            line: line.clone(),
            status: None,
            said: error.to_string(),
        })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failed {
            line,
            status: Some(output.status),
            said,
        })
    }
}

/// A command that failed.
struct Failed {
    line: String,
    status: Option<ExitStatus>,
    said: String,
}

impl Failed {
    /// As syncoid says it, and before that what the command said.
    fn text(&self) -> String {
        format!(
            "{}{} failed: {}",
            self.said,
            self.line,
            transfer::wait_status(self.status)
        )
    }
}
