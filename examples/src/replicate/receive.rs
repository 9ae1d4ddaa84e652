//! `zfs-replicate receive`: a stream that somebody made, into a dataset.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;

use anyhow::Context;
use serde_json::json;
use zfs_core::{DatasetName, Zfs};
use zfs_replicate::package::{Naming, Receiver};

use crate::exit::{Exit, UsageError};

/// Receives stdin.
///
/// # Errors
///
/// The command line is wrong, or the stream cannot be received.
pub fn run(words: impl Iterator<Item = String>) -> anyhow::Result<Exit> {
    let (mut force, mut json, mut target) = (false, false, None);
    let mut naming = Naming::Below;
    for word in words {
        match word.as_str() {
            "--force" => force = true,
            "--json" => json = true,
            "--help" => {
                print!("{}", super::HELP);
                return Ok(Exit::Done);
            }
            letters if is_letters(letters) => {
                for letter in letters.chars() {
                    match letter {
                        'F' => force = true,
                        'd' => naming = Naming::WithoutPool,
                        'e' => naming = Naming::Last,
                        // -s and -u are what it does anyway.
                        _ => {}
                    }
                }
            }
            option if option.starts_with('-') => {
                return Err(UsageError(format!("there is no option {option}")).into());
            }
            name if target.is_none() => target = Some(name.to_owned()),
            other => return Err(UsageError(format!("what is {other}?")).into()),
        }
    }
    let target = target.ok_or_else(|| UsageError("where to? Name a dataset".to_owned()))?;
    let target: DatasetName = target
        .parse()
        .map_err(|error| UsageError(format!("{error}")))?;
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(UsageError("there is no stream: stdin is a terminal".to_owned()).into());
    }
    let stream = stdin.as_fd().try_clone_to_owned();
    let stream = File::from(stream.context("cannot read stdin")?);
    let zfs = Zfs::open()?;
    let mut receiver = Receiver::new(&zfs).naming(naming);
    if force {
        receiver = receiver.force();
    }
    let arrived = receiver.receive(&stream, &target)?;
    if json {
        let names = |names: &[zfs_core::SnapshotName]| -> Vec<String> {
            names.iter().map(ToString::to_string).collect()
        };
        let record = json!({
            "event": "received",
            "snapshots": names(&arrived.snapshots),
            "skipped": names(&arrived.skipped),
            "renamed": arrived.renamed,
            "promoted": arrived.promoted,
            "destroyed": arrived.destroyed,
            "bytes": arrived.bytes,
        });
        println!("{record}");
        return Ok(Exit::Done);
    }
    for name in &arrived.destroyed {
        println!("destroyed {name}");
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
    println!(
        "{} snapshots, {} bytes",
        arrived.snapshots.len(),
        arrived.bytes
    );
    Ok(Exit::Done)
}

/// Options of zfs receive: `-F`, `-d`, `-e`, `-s` and `-u`, also together.
fn is_letters(word: &str) -> bool {
    word.strip_prefix('-')
        .is_some_and(|letters| !letters.is_empty() && letters.chars().all(|c| "Fdesu".contains(c)))
}
