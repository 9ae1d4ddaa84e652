//! `--keep-streams`: every stream as a file.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use zfs_core::{DatasetName, Guid};
use zfs_replicate::execute::Tap;
use zfs_replicate::plan::Stream;

/// File systems allow 255 bytes, and `.partial` comes behind.
const MAX_NAME_BYTES: usize = 240;

const PARTIAL: &str = "partial";

/// A folder that gets a file for each stream. What did not arrive whole is
/// left as `….partial`.
#[derive(Debug)]
pub struct KeepStreams {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The number of the last file.
    last: u32,
    /// The files of streams that are on their way.
    open: HashMap<(DatasetName, Guid), PathBuf>,
}

impl KeepStreams {
    /// In that folder, which is made if it is not there. Numbers go on after
    /// those of files that are there.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or read.
    pub fn new(folder: &Path) -> io::Result<KeepStreams> {
        fs::create_dir_all(folder)?;
        let mut last = 0;
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number = name.to_string_lossy();
            let number = number.split('-').next().and_then(|n| n.parse().ok());
            last = last.max(number.unwrap_or(0));
        }
        Ok(KeepStreams {
            folder: folder.to_owned(),
            state: Mutex::new(State {
                last,
                open: HashMap::new(),
            }),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream arrived: its file gets its final name, which is returned.
    pub fn arrived(&self, target: &DatasetName, stream: &Stream) -> Option<String> {
        let key = (target.clone(), stream.to.guid);
        let path = self.state().open.remove(&key)?;
        match fs::rename(with_partial(&path), &path) {
            Ok(()) => Some(path.display().to_string()),
            Err(error) => {
                tracing::warn!(%error, path = %path.display(), "a kept stream stays partial");
                None
            }
        }
    }
}

fn with_partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(PARTIAL);
    name.into()
}

fn file_name(number: u32, target: &DatasetName, stream: &Stream) -> String {
    let dataset = target.as_str().replace('/', "-");
    let snapshot = stream.to.name.snapshot();
    let mut name = format!("{number:03}-{}-{dataset}@{snapshot}", stream.word());
    // Names of datasets and snapshots are ASCII.
    name.truncate(MAX_NAME_BYTES);
    name + ".zfs"
}

impl Tap for KeepStreams {
    fn open(
        &self,
        target: &DatasetName,
        stream: &Stream,
    ) -> io::Result<Option<Box<dyn Write + Send>>> {
        let mut state = self.state();
        state.last += 1;
        let path = self.folder.join(file_name(state.last, target, stream));
        let file = File::create_new(with_partial(&path))?;
        state.open.insert((target.clone(), stream.to.guid), path);
        Ok(Some(Box::new(BufWriter::new(file))))
    }
}

#[cfg(test)]
mod tests {
    use zfs_core::Txg;
    use zfs_replicate::tree::{Snapshot, StreamForm};

    use super::*;

    fn stream(snapshot: &str) -> Stream {
        Stream {
            from: None,
            origin: None,
            to: Snapshot {
                name: snapshot.parse().unwrap(),
                guid: Guid(1),
                createtxg: Txg(1),
                creation: None,
                ivset: None,
            },
            form: StreamForm::default(),
            resume: None,
        }
    }

    #[test]
    fn files_are_named_as_documented_and_partial_until_they_arrived() {
        let folder = std::env::temp_dir().join(format!("keep-streams-{}", std::process::id()));
        let target = DatasetName::parse("site-b/office").unwrap();
        for expected in [
            "001-full-site-b-office@x.zfs",
            "002-full-site-b-office@x.zfs",
        ] {
            let keep = KeepStreams::new(&folder).unwrap();
            let stream = stream("site-a/office@x");
            let mut copy = keep.open(&target, &stream).unwrap().unwrap();
            copy.write_all(b"bytes").unwrap();
            drop(copy);
            let path = folder.join(expected);
            assert!(with_partial(&path).exists() && !path.exists());
            let arrived = keep.arrived(&target, &stream).unwrap();
            assert_eq!(arrived, path.display().to_string());
            assert_eq!(fs::read(&path).unwrap(), b"bytes");
            assert_eq!(keep.arrived(&target, &stream), None);
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn names_stay_short_enough_for_a_file_system() {
        let long = format!("tank@{}", "s".repeat(250));
        let target = DatasetName::parse(format!("b/{}", "d".repeat(200))).unwrap();
        let name = file_name(1, &target, &stream(&long));
        assert!(with_partial(Path::new(&name)).as_os_str().len() <= 255);
        assert_eq!(Path::new(&name).extension(), Some("zfs".as_ref()));
    }
}
