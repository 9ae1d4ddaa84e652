//! Progress on standard error: a line per step with the time since the
//! start, and a bar for what takes long where a person looks on.

use std::fmt::Display;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The demo's clock and its voice.
#[derive(Debug)]
pub struct Steps {
    started: Instant,
}

impl Steps {
    pub fn begin() -> Self {
        Self {
            started: Instant::now(),
        }
    }

    pub fn say(&self, what: impl Display) {
        // One write a line: standard error has no buffer, and in the machine
        // the pieces of a line would mix with standard output.
        let line = format!("[{:6.1} s] {what}\n", self.started.elapsed().as_secs_f64());
        eprint!("{line}");
    }

    /// A bar over `total` bytes. It draws nothing unless standard error is a
    /// terminal.
    pub fn bytes(what: &'static str, total: u64) -> ProgressBar {
        Self::bar(
            what,
            total,
            "           {msg} [{bar:30}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}",
        )
    }

    /// A bar over `total` things.
    pub fn count(what: &'static str, total: u64) -> ProgressBar {
        Self::bar(what, total, "           {msg} [{bar:30}] {pos} of {len}")
    }

    fn bar(what: &'static str, total: u64, template: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        bar
    }
}
