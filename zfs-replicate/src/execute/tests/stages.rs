//! What stands between the two ends: taps, verification, a buffer, a limit.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use zfs_core::DatasetName;

use super::{Fake, Log, STREAM_BYTES, dataset, planned};
use crate::execute::{Executor, Tap};
use crate::plan::Stream;

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Tap for Shared {
    fn open(&self, _: &DatasetName, _: &Stream) -> io::Result<Option<Box<dyn Write + Send>>> {
        Ok(Some(Box::new(self.clone())))
    }
}

struct Full;

impl Tap for Full {
    fn open(&self, _: &DatasetName, _: &Stream) -> io::Result<Option<Box<dyn Write + Send>>> {
        let full = File::options().write(true).open("/dev/full")?;
        Ok(Some(Box::new(full)))
    }
}

#[test]
fn a_tap_gets_every_byte_and_the_target_too() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let tap = Shared::default();
    let outcome = Executor::new(&source, &target, &()).tap(&tap).run(&plan);
    assert!(outcome.is_ok());
    let copy = tap.0.lock().unwrap();
    assert_eq!(copy.len(), STREAM_BYTES);
    assert_eq!(copy[..8], 1_u64.to_be_bytes());
}

#[test]
fn a_tap_that_cannot_write_fails_the_transfer_and_is_named_as_the_cause() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let log = Log::default();
    let outcome = Executor::new(&source, &target, &log).tap(&Full).run(&plan);
    assert_eq!(outcome.failed, 1);
    let log = log.0.into_inner().unwrap();
    assert!(log[1].contains("cannot keep a copy of the stream of tank@1"));
}

#[test]
fn what_is_no_stream_does_not_get_past_verification() {
    let (source, target) = (Fake::default(), Fake::default());
    let log = Log::default();
    let plan = planned(vec![dataset("tank", &[1])], "vault/x", false);
    let outcome = Executor::new(&source, &target, &log).verify().run(&plan);
    assert_eq!((outcome.failed, outcome.streams), (1, 0));
    let lines = log.0.into_inner().unwrap();
    assert!(lines[1].contains("is damaged"), "{lines:?}");
    assert!(target.snapshots.lock().unwrap().is_empty());
}

#[test]
fn a_buffer_and_a_limit_change_nothing_but_the_pace() {
    let (source, target) = (Fake::default(), Fake::default());
    let plan = planned(vec![dataset("tank", &[1])], "vault/x", false);
    let limit = zfs_stream::stage::Limit::new(std::num::NonZeroU64::new(1 << 30));
    let executor = Executor::new(&source, &target, &());
    let outcome = executor.buffer(4 << 20).limit(limit).run(&plan);
    assert_eq!(outcome.bytes, STREAM_BYTES as u64);
}
