//! Doing things one after the other, or only telling what would be done.

use std::fmt::Display;

use serde_json::{Value, json};
use zfs_core::Zfs;

use crate::exit::sentence;

/// How a verb is to be carried out.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct How {
    /// Tell what would be done, and do nothing.
    pub dry_run: bool,
    /// Tell it as one JSON object.
    pub json: bool,
    /// Tell what is done.
    pub verbose: bool,
    /// The verb tells it in its own words.
    pub quiet: bool,
}

/// Does it for each, and goes on where one fails, as zfs(8) does. The last
/// error is the outcome; those before it are told when they are not the last.
pub fn each<T>(
    all: impl IntoIterator<Item = T>,
    mut act: impl FnMut(T) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut outcome = Ok(());
    for one in all {
        if let Err(error) = act(one) {
            if let Err(earlier) = std::mem::replace(&mut outcome, Err(error)) {
                eprintln!("zfs-ctl: {}", sentence(&earlier));
            }
        }
    }
    outcome
}

/// The steps of one command.
pub struct Act {
    /// Where to do it.
    pub zfs: Zfs,
    how: How,
    steps: Vec<(&'static str, String)>,
    history: Option<String>,
}

impl Act {
    /// Nothing done yet.
    pub fn new(zfs: Zfs, how: How) -> Act {
        Act {
            zfs,
            how,
            steps: Vec::new(),
            history: None,
        }
    }

    /// With the command line that the history of the changed pool is to show.
    #[must_use]
    pub fn history(mut self, line: String) -> Act {
        self.history = Some(line);
        self
    }

    /// Writes that line where something was changed, once. As with zfs(8) it is
    /// no failure where that is not possible: what was to be done is done.
    pub fn log(&mut self) {
        if let Some(line) = self.history.take_if(|_| !self.how.dry_run) {
            let _ = self.zfs.log_history(&line);
        }
    }

    /// Only tell from now on (`-n` of a verb).
    pub fn dry(&mut self, dry: bool) {
        self.how.dry_run |= dry;
    }

    /// Tell what is done (`-v` of a verb).
    pub fn verbose(&mut self, verbose: bool) {
        self.how.verbose |= verbose;
    }

    /// Whether the verb tells in its own words what is done.
    pub fn quiet(&mut self, quiet: bool) {
        self.how.quiet = quiet;
    }

    /// Whether nothing is to be done.
    pub fn is_dry(&self) -> bool {
        self.how.dry_run
    }

    /// Whether the output is JSON.
    pub fn is_json(&self) -> bool {
        self.how.json
    }

    /// Does one thing to what has that name, or tells of it.
    ///
    /// # Errors
    ///
    /// What the library says.
    pub fn step(
        &mut self,
        action: &'static str,
        name: impl Display,
        act: impl FnOnce(&Zfs) -> Result<(), zfs_core::Error>,
    ) -> Result<(), zfs_core::Error> {
        if !self.how.dry_run {
            act(&self.zfs)?;
        }
        let name = name.to_string();
        if self.how.json || self.how.quiet {
            // Told later, or by the verb.
        } else if self.how.dry_run {
            println!("would {action} {name}");
        } else if self.how.verbose {
            println!("{action} {name}");
        }
        self.steps.push((action, name));
        Ok(())
    }

    /// What was done as one object, where JSON is wanted.
    pub fn finish(&self, error: Option<&str>) {
        if self.how.json {
            println!("{}", self.object(error));
        }
    }

    fn object(&self, error: Option<&str>) -> Value {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|(action, name)| json!({"action": action, "name": name}))
            .collect();
        json!({"dry_run": self.how.dry_run, "steps": steps, "error": error})
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn one_failure_does_not_keep_the_others_from_being_done() {
        let mut done = Vec::new();
        let outcome = each(1..=5, |number| {
            if number % 2 == 0 {
                bail!("{number}");
            }
            done.push(number);
            Ok(())
        });
        assert_eq!(done, [1, 3, 5]);
        assert_eq!(outcome.unwrap_err().to_string(), "4");
    }
}
