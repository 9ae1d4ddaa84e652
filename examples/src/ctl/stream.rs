//! send, receive.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use zfs_core::{
    BeginRecord, DatasetName, ErrorKind, PropertyValue, ReceiveRequest, ResumeToken, SendFlags,
    SendRequest, SnapshotName, SnapshotOrBookmark, Version, Zfs,
};

use super::act::Act;
use super::dataset::{create_above, mount_new};
use super::name::{Any, assignment};
use super::new_key::{NewKey, split_key};
use super::progress::telling;
use super::usage;
use crate::list::nice;

/// Write a snapshot, or what changed up to it, to standard output
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl send -cL tank/home@monday > monday.zfs
  zfs-ctl send -w -i @monday tank/secret@tuesday | ssh host zfs receive backup/secret
  zfs-ctl send -t TOKEN | ssh host zfs receive -s backup/home
  zfs-ctl send -nP tank/home@monday      how large it would be

With -t, -n and -v it does not show what is in the token (zfs-streamdump token does).

Not here: -R, -I, -p, -b, -h, -s, -X and -V, which make several streams one or add
properties to it. zfs-replicate sends trees, ranges of snapshots, properties and holds.")]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct Send {
    /// Compressed blocks as they are stored
    #[arg(short, long)]
    compressed: bool,
    /// Small blocks within their pointers
    #[arg(short, long)]
    embed: bool,
    /// Blocks above 128 KiB as they are
    #[arg(short = 'L', long = "large-block")]
    large_block: bool,
    /// Everything exactly as it is stored; encrypted data stays so
    #[arg(short = 'w', long)]
    raw: bool,
    /// Send nothing, and with -v or -P tell how much it would be
    #[arg(short = 'n', long = "dryrun")]
    dry: bool,
    /// Tell how much it is, and each second how much of it is written
    #[arg(short, long)]
    verbose: bool,
    /// Tell it for programs
    #[arg(short = 'P', long)]
    parsable: bool,
    /// Without what this bookmark leaves out
    #[arg(short = 'd', long, value_name = "BOOKMARK")]
    redact: Option<String>,
    /// What changed since this snapshot or bookmark
    #[arg(short, value_name = "SNAPSHOT|BOOKMARK")]
    incremental: Option<String>,
    /// What an interrupted receive still needs
    #[arg(short = 't', value_name = "TOKEN", conflicts_with_all = ["incremental", "name"])]
    token: Option<String>,
    /// What an interrupted receive has brought so far
    #[arg(short = 'S', long, conflicts_with_all = ["incremental", "token", "redact"])]
    saved: bool,
    name: Option<String>,
}

impl Send {
    fn request(&self, zfs: &Zfs) -> Result<(SendRequest, String, Option<String>)> {
        if let Some(token) = &self.token {
            let token = ResumeToken::decode(token).context("cannot read the token")?;
            let snapshot: SnapshotName = token.to_name.parse()?;
            let request = zfs.resume_request(snapshot.dataset(), &token)?;
            return Ok((request, snapshot.to_string(), None));
        }
        let Some(name) = &self.name else {
            return usage("what to send, or -t TOKEN, is wanted");
        };
        let mut flags = SendFlags::empty();
        flags.set(SendFlags::LARGE_BLOCK, self.large_block);
        flags.set(SendFlags::EMBED_DATA, self.embed);
        flags.set(SendFlags::COMPRESS, self.compressed);
        flags.set(SendFlags::RAW, self.raw);
        let request = match Any::parse(name)? {
            Any::Snapshot(_) | Any::Bookmark(_) if self.saved => {
                return usage("-S takes the filesystem that was received into");
            }
            Any::Snapshot(snapshot) => SendRequest::snapshot(snapshot),
            Any::Dataset(dataset) if self.saved => zfs.saved_request(&dataset)?,
            Any::Dataset(dataset) => SendRequest::dataset(dataset),
            Any::Bookmark(name) => bail!("cannot send '{name}': it is a bookmark"),
        };
        let mut request = request.flags(flags);
        if let Some(bookmark) = &self.redact {
            let dataset: DatasetName = name.split('@').next().unwrap_or_default().parse()?;
            request = request.redacted(dataset.with_bookmark(bookmark)?);
        }
        let mut from = None;
        if let Some(text) = &self.incremental {
            let dataset = name.split('@').next().unwrap_or_default();
            let full = if text.starts_with(['@', '#']) {
                format!("{dataset}{text}")
            } else if text.contains(['@', '#']) {
                text.clone()
            } else {
                format!("{dataset}@{text}")
            };
            let source: SnapshotOrBookmark = match Any::parse(&full)? {
                Any::Snapshot(snapshot) => snapshot.into(),
                Any::Bookmark(bookmark) => bookmark.into(),
                Any::Dataset(_) => return usage("-i takes a snapshot or a bookmark"),
            };
            request = request.from(source);
            from = Some(full);
        }
        Ok((request, name.clone(), from))
    }

    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let (request, name, from) = self.request(&act.zfs)?;
        if self.dry || act.is_dry() || self.verbose || self.parsable {
            let bytes = match act.zfs.send_space(&request) {
                Ok(bytes) => Some(bytes),
                // How much a receive has saved, ZFS does not say.
                Err(error) if self.saved && error.kind() == ErrorKind::Invalid => None,
                Err(error) => return Err(error.into()),
            };
            let text = estimated(&name, from.as_deref(), bytes, self.parsable);
            if !self.dry && !act.is_dry() {
                eprintln!("{text}");
            } else if self.verbose || self.parsable || act.is_dry() {
                println!("{text}");
            }
        }
        if self.dry || act.is_dry() {
            return Ok(());
        }
        let output = io::stdout();
        if output.is_terminal() {
            bail!("stream can not be written to a terminal: redirect standard output");
        }
        if !self.verbose {
            return Ok(act.zfs.send(&request, output.as_fd())?);
        }
        let file = File::from(output.as_fd().try_clone_to_owned()?);
        telling(&name, self.parsable, file, |counted| {
            act.zfs.send_to(&request, counted).map(drop)
        })??;
        Ok(())
    }
}

/// How large a stream will be, as zfs(8) tells it.
fn estimated(name: &str, from: Option<&str>, bytes: Option<u64>, parsable: bool) -> String {
    let number = bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    match (from, parsable) {
        (Some(from), true) => format!("incremental\t{from}\t{name}\t{number}\nsize\t{number}"),
        (None, true) => format!("full\t{name}\t{number}\nsize\t{number}"),
        (from, false) => {
            let what = match from {
                Some(from) => format!("send from {from} to {name}"),
                None => format!("full send of {name}"),
            };
            let Some(bytes) = bytes else { return what };
            let size = match bytes {
                0 => String::new(),
                _ => format!(" estimated size is {}", nice::bytes(bytes)),
            };
            let total = nice::number(bytes);
            format!("{what}{size}\ntotal estimated size is {total}")
        }
    }
}

/// Make a bookmark for sending a snapshot without what clones of it changed
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl redact tank/patients@monday anonymous tank/anonymous@monday
  zfs-ctl send --redact anonymous tank/patients@monday > without-names.zfs")]
pub struct Redact {
    snapshot: SnapshotName,
    /// The bookmark's name, without the dataset
    bookmark: String,
    #[arg(required = true)]
    redaction_snapshots: Vec<SnapshotName>,
}

impl Redact {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let bookmark = self.snapshot.dataset().with_bookmark(&self.bookmark)?;
        Ok(act.step("redact", &bookmark, |zfs| {
            zfs.redact(&self.snapshot, &bookmark, &self.redaction_snapshots)
        })?)
    }
}

/// Make a snapshot of the stream on standard input
#[derive(Args, Debug)]
#[command(
    visible_alias = "recv",
    after_help = "Examples:
  zfs-ctl receive backup/home < monday.zfs
  zfs-ctl receive -s -o canmount=noauto backup/home@monday < monday.zfs
  zfs-ctl receive -c tank/home@monday < monday.zfs      repairs its damaged blocks
  zfs-ctl receive -o encryption=on -o keyformat=raw -o keylocation=file:///root/key \\
      backup/secret < monday.zfs
  zfs-ctl receive -A backup/home      gives up an interrupted one

Not here: -M, -h, and streams of many snapshots (send -R). zfs-replicate receives whole
trees."
)]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct Receive {
    /// Roll the target back first, or replace it
    #[arg(short = 'F')]
    force: bool,
    /// Do not mount it
    #[arg(short)]
    unmounted: bool,
    /// Repair damaged blocks of the snapshot, which is there (OpenZFS 2.2)
    #[arg(short = 'c', conflicts_with_all = ["force", "resumable"])]
    corrective: bool,
    /// Keep what has arrived where it is interrupted
    #[arg(short = 's')]
    resumable: bool,
    /// Receive nothing, and with -v tell what would be received
    #[arg(short = 'n')]
    dry: bool,
    /// Tell what is received, and how fast
    #[arg(short)]
    verbose: bool,
    /// The sent name without its pool, below the target
    #[arg(short = 'd', conflicts_with = "last")]
    path: bool,
    /// The last part of the sent name, below the target
    #[arg(short = 'e')]
    last: bool,
    /// Give up an interrupted receive
    #[arg(short = 'A', exclusive = false)]
    abort: bool,
    /// A property
    #[arg(short = 'o', value_name = "PROPERTY=VALUE", value_parser = assignment)]
    properties: Vec<(String, String)>,
    /// A property that is not taken from the stream
    #[arg(short = 'x', value_name = "PROPERTY")]
    excluded: Vec<String>,
    target: String,
}

impl Receive {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        act.dry(self.dry);
        if self.abort {
            act.verbose(self.verbose);
            return Self::give_up(act, &self.target.parse()?);
        }
        act.quiet(self.dry || self.verbose);
        let stdin = io::stdin();
        if stdin.is_terminal() {
            bail!("stream can not be read from a terminal: redirect standard input");
        }
        // Rust's stdin reads ahead, and what it has the kernel does not see.
        let mut input = File::from(stdin.as_fd().try_clone_to_owned()?);
        let begin = BeginRecord::read(&mut input).context("cannot receive")?;
        let snapshot = self.snapshot(&begin)?;
        let is_new = !act.zfs.exists(snapshot.dataset())?;
        if self.makes_dataset(&begin) {
            if is_new {
                self.create_between(act, snapshot.dataset())?;
            } else {
                self.check_target(&act.zfs, snapshot.dataset())?;
            }
        }
        let mut origin = None;
        let (is_incremental, guid) = (begin.from_guid().is_some(), begin.to_guid());
        let sent = begin.to_name();
        let mut request = ReceiveRequest::new(snapshot.clone()).begin_record(begin);
        let (key, properties) = split_key(&self.properties);
        if let NewKey::Own(wanted) = key {
            if wanted.is_prompted() {
                bail!(
                    "cannot receive: the key cannot be asked for, standard input is the stream \
                     (-o keylocation=file:///PATH)"
                );
            }
            request = request.encryption(wanted.encryption(&act.zfs, snapshot.dataset())?);
        }
        for (property, value) in properties.iter() {
            match (property, value) {
                ("origin", PropertyValue::Text(value)) => {
                    origin = Some(value.parse::<SnapshotName>()?);
                }
                _ => request = request.property(property, value.clone()),
            }
        }
        if let Some(origin) = origin {
            request = request.origin(origin);
        }
        for property in &self.excluded {
            request = request.exclude(property);
        }
        if self.force {
            request = request.force();
        }
        if self.resumable {
            request = request.resumable();
        }
        if self.corrective {
            request = request.heal();
        }
        let tells = self.verbose && !act.is_json();
        if tells {
            let action = if act.is_dry() {
                "would receive"
            } else {
                "receiving"
            };
            let corrective = if self.corrective { "corrective " } else { "" };
            let kind = if is_incremental {
                "incremental"
            } else {
                "full"
            };
            println!("{action} {corrective}{kind} stream of {sent} into {snapshot}");
        }
        let started = Instant::now();
        let (mut errors, mut bytes) = (Vec::new(), 0);
        let received = act.step("receive", &snapshot, |zfs| {
            let received = zfs.receive(&request, input.as_fd())?;
            (errors, bytes) = (received.property_errors, received.bytes_read);
            Ok(())
        });
        if act.is_dry() {
            // Its sender is not to find that nobody reads it.
            io::copy(&mut input, &mut io::sink())?;
            return Ok(received?);
        }
        if let Err(error) = received {
            let there = act.zfs.snapshot_entry(&snapshot);
            let refuses = self.corrective || act.zfs.version() < Version::new(2, 2);
            if refuses || !is_incremental || !there.is_ok_and(|there| there.guid == guid) {
                return Err(error.into());
            }
            // As zfs(8) since 2.2: what is there already is passed over.
            io::copy(&mut input, &mut io::sink())?;
            return Ok(());
        }
        if tells {
            let seconds = started.elapsed().as_secs_f64().max(1e-9);
            let [size, rate] = [bytes, (bytes as f64 / seconds) as u64].map(nice::bytes);
            println!("received {size} stream in {seconds:.2} seconds ({rate}/sec)");
        }
        for error in &errors {
            eprintln!("{error}");
        }
        if is_new && !self.unmounted {
            mount_new(act, snapshot.dataset())?;
        }
        Ok(())
    }

    /// Whether the stream is for a dataset that is not there yet.
    fn makes_dataset(&self, begin: &BeginRecord) -> bool {
        let has_origin = self.properties.iter().any(|(name, _)| name == "origin");
        !self.corrective && (begin.from_guid().is_none() || begin.is_clone() || has_origin)
    }

    /// With -d, what is missing between the target and the new dataset; with -n
    /// it is told, where zfs(8) only finds that it is missing.
    fn create_between(&self, act: &mut Act, dataset: &DatasetName) -> Result<()> {
        if self.path {
            act.zfs.dataset(&self.target.parse()?)?;
            create_above(act, dataset)?;
        }
        Ok(())
    }

    /// As zfs(8), and unlike the kernel, -F lets a stream for a new dataset
    /// replace one that is there only where no snapshot goes with it.
    fn check_target(&self, zfs: &Zfs, target: &DatasetName) -> Result<()> {
        let there = zfs.dataset(target)?;
        // The stream goes on with the interrupted one; any other is refused by
        // the kernel.
        if there.receive_resume_token().is_some() {
            return Ok(());
        }
        if !self.force {
            bail!(
                "cannot receive into '{target}': it exists, and the stream is for a new dataset \
                 (-F replaces what has no snapshots)"
            );
        }
        if let Some(snapshot) = there.newest_snapshot() {
            bail!(
                "cannot receive into '{target}': it has snapshots ({snapshot}), and -F replaces \
                 only what has none (zfs-ctl destroy {target}@% destroys them)"
            );
        }
        if there.origin.is_some() {
            bail!(
                "cannot receive into '{target}': it is a clone, which -F does not replace \
                 (zfs-ctl destroy {target})"
            );
        }
        Ok(())
    }

    fn snapshot(&self, begin: &BeginRecord) -> Result<SnapshotName> {
        let sent = begin.to_name();
        let (dataset, snapshot) = sent.split_once('@').unwrap_or((sent.as_str(), "--head--"));
        if self.target.contains('@') {
            if self.path || self.last {
                return usage("-d and -e take a filesystem");
            }
            return Ok(self.target.parse()?);
        }
        let target: DatasetName = self.target.parse()?;
        let below = if self.path {
            dataset.split_once('/').map(|(_, path)| path)
        } else if self.last {
            dataset.rsplit('/').next()
        } else {
            None
        };
        let target = match below {
            Some(below) => target.join(below)?,
            None => target,
        };
        Ok(target.with_snapshot(snapshot)?)
    }

    fn give_up(act: &mut Act, target: &DatasetName) -> Result<()> {
        let partial = target.partial_receive()?;
        let name = if act.zfs.exists(&partial)? {
            partial
        } else if act.zfs.dataset(target)?.receive_resume_token().is_some() {
            target.clone()
        } else {
            bail!("'{target}' does not have any resumable receive state to abort");
        };
        Ok(act.step("destroy", &name, |zfs| zfs.destroy(&name))?)
    }
}
