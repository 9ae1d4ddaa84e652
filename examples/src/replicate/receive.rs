//! `zfs-replicate receive`: a stream that somebody made, into a dataset.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use anyhow::Context;
use serde_json::json;
use zfs_core::{DatasetName, Zfs};
use zfs_replicate::package::{Arrived, Naming, Receiver};
use zfs_replicate::properties::Policy;

use crate::exit::{Exit, UsageError};

/// What the command line asks for.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are switches")]
struct Asked {
    help: bool,
    force: bool,
    json: bool,
    dry_run: bool,
    verbose: bool,
    resumable: bool,
    naming: Naming,
    set: Vec<(String, String)>,
    excluded: Vec<String>,
    target: Option<String>,
}

impl Asked {
    /// Reads the words, with the options of zfs receive: letters may stand
    /// together, and a value behind its letter or in the next word.
    fn read(words: impl Iterator<Item = String>) -> Result<Asked, UsageError> {
        let mut asked = Asked::default();
        let mut words = words.collect::<Vec<_>>().into_iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                // Beside a target it would be zfs receive's, and of holds.
                "-h" if asked.target.is_none() && words.len() == 0 => asked.help = true,
                "--force" => asked.force = true,
                "--json" => asked.json = true,
                "--dry-run" => asked.dry_run = true,
                "--help" => asked.help = true,
                letters if letters.starts_with('-') && !letters.starts_with("--") => {
                    asked.letters(letters.trim_start_matches('-'), &mut words)?;
                }
                option if option.starts_with('-') => {
                    return Err(UsageError(format!("there is no option {option}")));
                }
                name if asked.target.is_none() => asked.target = Some(name.to_owned()),
                other => return Err(UsageError(format!("what is {other}?"))),
            }
        }
        Ok(asked)
    }

    fn letters(
        &mut self,
        letters: &str,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<(), UsageError> {
        for (at, letter) in letters.char_indices() {
            match letter {
                'F' => self.force = true,
                'd' => self.naming = Naming::WithoutPool,
                'e' => self.naming = Naming::Last,
                'n' => self.dry_run = true,
                'v' => self.verbose = true,
                's' => self.resumable = true,
                // It mounts nothing anyway.
                'u' => {}
                'o' | 'x' => {
                    let rest = letters.get(at + 1..).filter(|rest| !rest.is_empty());
                    let value = rest.map(str::to_owned).or_else(|| words.next());
                    return self.property(letter, value.as_deref().unwrap_or_default());
                }
                other => return Err(UsageError(format!("there is no option -{other}"))),
            }
        }
        Ok(())
    }

    fn property(&mut self, letter: char, value: &str) -> Result<(), UsageError> {
        match (letter, value.split_once('=')) {
            ('o', Some(("origin", _))) => {
                return Err(UsageError(
                    "-o origin: the origin of a clone is found by its GUID".to_owned(),
                ));
            }
            ('o', Some((name, value))) if !name.is_empty() => {
                self.set.push((name.to_owned(), value.to_owned()));
            }
            ('x', None) if !value.is_empty() => self.excluded.push(value.to_owned()),
            ('o', _) => return Err(UsageError("-o takes PROPERTY=VALUE".to_owned())),
            _ => return Err(UsageError("-x takes the name of a property".to_owned())),
        }
        Ok(())
    }
}

/// Receives stdin.
///
/// # Errors
///
/// The command line is wrong, or the stream cannot be received.
pub fn run(words: impl Iterator<Item = String>) -> anyhow::Result<Exit> {
    let asked = Asked::read(words)?;
    if asked.help {
        print!("{}", super::HELP);
        return Ok(Exit::Done);
    }
    let target = asked.target.as_deref();
    let target = target.ok_or_else(|| UsageError("where to? Name a dataset".to_owned()))?;
    let target: DatasetName = target
        .parse()
        .map_err(|error| UsageError(format!("{error}")))?;
    if asked.dry_run && asked.force {
        return Err(UsageError(
            "-n -F: what -F destroys is known only while a stream is received, and told there \
             before; -n without -F says what would arrive"
                .to_owned(),
        )
        .into());
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(UsageError("there is no stream: stdin is a terminal".to_owned()).into());
    }
    let stream = stdin.as_fd().try_clone_to_owned();
    let stream = File::from(stream.context("cannot read stdin")?);
    let zfs = Zfs::open()?;
    let excluded = |name: &str| asked.excluded.iter().any(|excluded| excluded == name);
    let mut policy = Policy::new().preserve().exclude(&excluded);
    for (name, value) in &asked.set {
        policy = policy.set(name, value);
    }
    let losing = |name: &str| {
        if asked.json {
            println!("{}", json!({ "event": "destroy", "name": name }));
        } else {
            println!("destroying {name}");
        }
    };
    let mut receiver = Receiver::new(&zfs).naming(asked.naming).policy(policy);
    if asked.force {
        receiver = receiver.force().losing(&losing);
    }
    if asked.resumable {
        receiver = receiver.resumable();
    }
    let arrived = if asked.dry_run {
        receiver.look(&stream, &target)?
    } else {
        receiver.receive(&stream, &target)?
    };
    told(&asked, &arrived);
    Ok(Exit::done_if(arrived.unset.is_empty()))
}

/// Says what arrived, or would.
fn told(asked: &Asked, arrived: &Arrived) {
    for (dataset, problem) in &arrived.unset {
        eprintln!("what was sent to {dataset} has arrived, but {problem}");
    }
    if asked.json {
        let names = |names: &[zfs_core::SnapshotName]| -> Vec<String> {
            names.iter().map(ToString::to_string).collect()
        };
        let (snapshots, skipped) = (names(&arrived.snapshots), names(&arrived.skipped));
        // The rest is not looked at where nothing is received.
        let record = if asked.dry_run {
            json!({ "event": "would-receive", "snapshots": snapshots, "skipped": skipped })
        } else {
            json!({
                "event": "received",
                "snapshots": snapshots,
                "skipped": skipped,
                "renamed": arrived.renamed,
                "promoted": arrived.promoted,
                "destroyed": arrived.destroyed,
                "unset": arrived.unset,
                "bytes": arrived.bytes,
            })
        };
        println!("{record}");
        return;
    }
    for name in &arrived.promoted {
        println!("promoted {name}");
    }
    for (from, to) in &arrived.renamed {
        println!("renamed {from} to {to}");
    }
    for name in &arrived.skipped {
        println!("{name} was there already");
    }
    if asked.verbose || asked.dry_run {
        let word = if asked.dry_run {
            "would receive"
        } else {
            "received"
        };
        for name in &arrived.snapshots {
            println!("{word} {name}");
        }
    }
    if !asked.dry_run {
        println!(
            "{} snapshots, {} bytes",
            arrived.snapshots.len(),
            arrived.bytes
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Asked, UsageError> {
        Asked::read(line.split(' ').map(str::to_owned))
    }

    #[test]
    fn the_options_of_zfs_receive_are_read_as_it_reads_them() {
        let asked = read("-Fvo atime=off -xmountpoint -x org.example:note tank/a -sune").unwrap();
        assert!(asked.force && asked.verbose && asked.dry_run && asked.resumable);
        assert_eq!(asked.naming, Naming::Last);
        assert_eq!(asked.set, [("atime".to_owned(), "off".to_owned())]);
        assert_eq!(asked.excluded, ["mountpoint", "org.example:note"]);
        assert_eq!(asked.target.as_deref(), Some("tank/a"));
    }

    #[test]
    fn what_would_be_destroyed_cannot_be_asked_without_receiving() {
        let words = ["-nF", "tank/a"].map(str::to_owned);
        let error = run(words.into_iter()).unwrap_err();
        assert!(error.is::<UsageError>(), "{error}");
        assert!(error.to_string().starts_with("-n -F"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for line in [
            "-h a", "a -h", "-o", "-o atime", "-o =x", "-x", "-x a=b", "-q a", "--what a", "a b",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
        let origin = read("-o origin=tank/a@b c").unwrap_err();
        assert!(origin.to_string().contains("GUID"), "{origin:?}");
    }
}
