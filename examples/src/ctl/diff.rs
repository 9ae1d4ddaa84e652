//! diff.

use std::io::{self, BufWriter, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::time::SystemTime;

use anyhow::Result;
use clap::{ArgAction, Args};
use zfs_core::{DatasetName, DiffTarget, Difference, FileState, Mounted, SnapshotName};

use super::act::Act;
use super::usage;

/// Show what changed from a snapshot to a later one, or to now
#[derive(Args, Debug)]
#[command(
    disable_help_flag = true,
    after_help = "Examples:
  zfs-ctl diff tank/home@monday
  zfs-ctl diff -FH tank/home@monday tank/home@tuesday
  zfs-ctl diff tank/home@monday tank/clone

Of a filesystem that is not mounted paths begin at its root."
)]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct Diff {
    /// With a sign for the kind of file
    #[arg(short = 'F')]
    classify: bool,
    /// For scripts: a tab before the new name
    #[arg(short = 'H')]
    script: bool,
    /// With the time of the change
    #[arg(short = 't')]
    times: bool,
    /// Names as they are, without codes for what is not plain ASCII
    #[arg(short = 'h')]
    plain: bool,
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    from: String,
    to: Option<String>,
}

impl Diff {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let (from, to) = self.ends()?;
        let dataset = match &to {
            DiffTarget::Snapshot(snapshot) => snapshot.dataset(),
            DiffTarget::Filesystem(dataset) => dataset,
        };
        let is_it = |what: &Mounted| matches!(what, Mounted::Filesystem(name) if name == dataset);
        let mounts = act.zfs.mounts()?;
        let mount = mounts.into_iter().find(|mount| is_it(&mount.what));
        let root = mount.map(|mount| mount.mountpoint.as_os_str().as_bytes().to_vec());
        let root = root.unwrap_or_default();
        let mut out = BufWriter::new(io::stdout().lock());
        for difference in act.zfs.diff(&from, to.clone())? {
            let line = self.line(&difference?, &root);
            match out.write_all(&line) {
                // Nobody reads on.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
                result => result?,
            }
        }
        out.flush()?;
        Ok(())
    }

    /// From and to; of one of them the dataset may be left out.
    fn ends(&self) -> Result<(SnapshotName, DiffTarget)> {
        let dataset = |name: &str| name.split('@').next().unwrap_or_default().to_owned();
        let Some(to) = &self.to else {
            let from: SnapshotName = self.from.parse()?;
            let now = from.dataset().clone();
            return Ok((from, now.into()));
        };
        let from = match self.from.strip_prefix('@') {
            Some(_) => format!("{}{}", dataset(to), self.from),
            None => self.from.clone(),
        };
        let to = match to.strip_prefix('@') {
            Some(_) => format!("{}{to}", dataset(&from)),
            None => to.clone(),
        };
        if !from.contains('@') {
            return usage(format!("{from} is not the name of a snapshot"));
        }
        let to = if to.contains('@') {
            to.parse::<SnapshotName>()?.into()
        } else {
            to.parse::<DatasetName>()?.into()
        };
        Ok((from.parse()?, to))
    }

    fn line(&self, difference: &Difference, root: &[u8]) -> Vec<u8> {
        let mut line = Vec::new();
        let file = difference.file();
        if self.times {
            let since = file.ctime.duration_since(SystemTime::UNIX_EPOCH);
            let since = since.unwrap_or_default();
            let text = format!("{:>10}.{:09}\t", since.as_secs(), since.subsec_nanos());
            line.extend(text.into_bytes());
        }
        line.extend([difference.sign() as u8, b'\t']);
        if self.classify {
            line.extend([file.kind.sign() as u8, b'\t']);
        }
        match difference {
            Difference::Renamed { before, after } => {
                self.path(&mut line, root, before);
                line.extend(if self.script { &b"\t"[..] } else { b" -> " });
                self.path(&mut line, root, after);
            }
            Difference::LinksChanged { before, after } => {
                let more = i128::from(after.links) - i128::from(before.links);
                // The name that both have, as far as ZFS knows it.
                self.path(&mut line, root, if more > 0 { before } else { after });
                line.extend(format!("\t({more:+})").into_bytes());
            }
            _ => self.path(&mut line, root, file),
        }
        line.push(b'\n');
        line
    }

    fn path(&self, line: &mut Vec<u8>, root: &[u8], file: &FileState) {
        let path = match &file.path {
            Some(path) => path.as_os_str().as_bytes(),
            None => b"(on_delete_queue)",
        };
        for byte in root.iter().chain(path) {
            if self.plain || (byte.is_ascii_graphic() && *byte != b'\\') {
                line.push(*byte);
            } else {
                line.extend(format!("\\{byte:04o}").into_bytes());
            }
        }
    }
}
