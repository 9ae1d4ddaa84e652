//! What a run tells: to a person, or to a machine.

use std::cell::Cell;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::Stdio;

use serde_json::{Value, json};

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// What went wrong.
    Quiet,
    /// And everything that is done.
    Verbose,
    /// And what it goes by.
    Debug,
    /// What is done, one JSON object a line.
    Json,
}

/// Tells what is done on stdout and what failed on stderr, and counts that.
#[derive(Debug)]
pub struct Say {
    loudness: Loudness,
    failures: Cell<usize>,
}

impl Say {
    /// Nothing was told yet.
    pub fn new(loudness: Loudness) -> Say {
        Say {
            loudness,
            failures: Cell::new(0),
        }
    }

    /// How often something failed.
    pub fn failures(&self) -> usize {
        self.failures.get()
    }

    /// Where scripts write to: what a machine reads has nothing of theirs in it.
    pub fn stdout_of_scripts(&self) -> Stdio {
        match self.loudness {
            Loudness::Json => io::stderr().into(),
            _ => Stdio::inherit(),
        }
    }

    /// Something that only a person wants to read.
    pub fn info(&self, text: impl Display) {
        if matches!(self.loudness, Loudness::Verbose | Loudness::Debug) {
            line(format_args!("INFO: {text}"));
        }
    }

    /// Something that only a person wants to read who looks for a fault.
    pub fn debug(&self, text: impl Display) {
        if self.loudness == Loudness::Debug {
            line(format_args!("DEBUG: {text}"));
        }
    }

    /// Something that is about to be done, for a person to read.
    pub fn doing(&self, text: impl Display) {
        if matches!(self.loudness, Loudness::Verbose | Loudness::Debug) {
            line(text);
        }
    }

    /// Something that was done, for a machine: a person was told before.
    pub fn done(&self, event: &str, name: impl Display) {
        if self.loudness == Loudness::Json {
            object(&json!({ "event": event, "name": name.to_string() }));
        }
    }

    /// Something that would be done, or was found so.
    pub fn event(&self, event: &str, name: impl Display, text: impl Display) {
        self.doing(text);
        self.done(event, name);
    }

    /// Something that went wrong; the rest goes on.
    pub fn failed(&self, name: impl Display, error: impl Display) {
        self.failures.set(self.failures.get() + 1);
        if self.loudness == Loudness::Json {
            let (name, error) = (name.to_string(), error.to_string());
            object(&json!({ "event": "failed", "name": name, "error": error }));
        }
        eprintln!("zfs-autosnap: {error}");
    }
}

fn object(value: &Value) {
    line(value);
}

/// Whoever stopped to read has seen enough; the work goes on.
fn line(text: impl Display) {
    let _ = writeln!(io::stdout(), "{text}");
}
