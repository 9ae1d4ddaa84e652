//! Copies of the streams, and what is told while they run.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Mutex;

use zfs_core::DatasetName;
use zfs_replicate::execute::{Executor, Tap};
use zfs_replicate::plan::Stream;

use super::{LARGE, Late, Log, Site};
use crate::fixture::{self, noise};

struct Copies(Mutex<Vec<std::path::PathBuf>>, tempfile::TempDir);

impl Tap for Copies {
    fn open(&self, _: &DatasetName, _: &Stream) -> io::Result<Option<Box<dyn Write + Send>>> {
        let mut files = self.0.lock().unwrap();
        let path = self.1.path().join(files.len().to_string());
        files.push(path.clone());
        Ok(Some(Box::new(File::create(path)?)))
    }
}

#[test]
fn a_copy_of_the_streams_can_be_received_by_itself() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, 3 << 20));
    site.pool.take("src@1");
    site.pool.write(&source, "a", b"two");
    site.pool.take("src@2");
    let copies = Copies(Mutex::default(), tempfile::tempdir().unwrap());
    let log = Log::default();
    let outcome = Executor::new(&site.local, &site.local, &log)
        .tap(&copies)
        .run(&site.plan());
    assert!(outcome.is_ok());
    let files = copies.0.lock().unwrap();
    let sizes: u64 = files.iter().map(|f| f.metadata().unwrap().len()).sum();
    assert_eq!((files.len(), sizes), (2, outcome.bytes), "bytes are exact");
    for (index, file) in files.iter().enumerate() {
        let snapshot = site.pool.snapshot(&format!("again@{}", index + 1));
        let request = zfs_core::ReceiveRequest::new(snapshot);
        let stream = std::fs::read(file).unwrap();
        fixture::receive(&site.pool.zfs, &request, &stream).unwrap();
    }
    let again = site.pool.dataset("again");
    assert_eq!(site.pool.read(&again, "a"), b"two");
}

#[test]
fn progress_is_told_while_a_stream_runs() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, LARGE));
    site.pool.take("src@1");
    let log = Log::default();
    let late = Late {
        local: &site.local,
        is_stopped: false,
    };
    let outcome = Executor::new(&site.local, &late, &log).run(&site.plan());
    assert!(outcome.is_ok());
    let progress = log.progress.lock().unwrap();
    // The receiver waits a second, while the sender fills the pipe.
    assert!(progress.len() >= 3, "{progress:?}");
    assert!(progress.iter().any(|bytes| *bytes > 0), "{progress:?}");
    assert!(progress.is_sorted(), "{progress:?}");
    assert!(progress.iter().all(|bytes| *bytes <= outcome.bytes));
}
