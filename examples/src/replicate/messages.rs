//! What is said, in syncoid's four kinds, which scripts look for.

use std::io::{self, Write};

use super::arguments::Arguments;

/// Says things.
#[derive(Clone, Copy, Debug)]
pub struct Messages {
    debug: bool,
    quiet: bool,
}

impl Messages {
    /// As much as was asked for.
    pub fn new(arguments: &Arguments) -> Messages {
        Messages {
            debug: arguments.debug,
            quiet: arguments.quiet,
        }
    }

    /// Whether only errors are told.
    pub fn is_quiet(self) -> bool {
        self.quiet
    }

    /// What failed, always, on stderr.
    pub fn critical(self, text: impl AsRef<str>) {
        say(&mut io::stderr(), "CRITICAL ERROR: ", text.as_ref());
    }

    /// What is odd, on stderr.
    pub fn warn(self, text: impl AsRef<str>) {
        if !self.quiet {
            say(&mut io::stderr(), "WARNING: ", text.as_ref());
        }
    }

    /// What is done, on stdout.
    pub fn info(self, text: impl AsRef<str>) {
        if !self.quiet {
            say(&mut io::stdout(), "INFO: ", text.as_ref());
        }
    }

    /// How it is done, on stdout.
    pub fn debug(self, text: impl AsRef<str>) {
        if self.debug {
            say(&mut io::stdout(), "DEBUG: ", text.as_ref());
        }
    }
}

/// Nobody is left to tell where it cannot be written.
fn say(to: &mut impl Write, kind: &str, text: &str) {
    let _ = writeln!(to, "{kind}{}", text.trim_end_matches('\n'));
    let _ = to.flush();
}

/// A size as syncoid shows it.
pub fn readable(bytes: u64) -> String {
    let size = bytes as f64;
    if bytes > 1 << 30 {
        format!("{:.1} GB", size / f64::from(1 << 30))
    } else if bytes > 1 << 20 {
        format!("{:.1} MB", size / f64::from(1 << 20))
    } else {
        format!("{} KB", bytes / 1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_syncoids() {
        assert_eq!(readable(4096), "4 KB");
        assert_eq!(readable(1 << 20), "1024 KB");
        assert_eq!(readable((1 << 20) + 1), "1.0 MB");
        assert_eq!(readable(3 << 29), "1.5 GB");
    }
}
