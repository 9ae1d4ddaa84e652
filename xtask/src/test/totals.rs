//! Counting what the test runners said.

use std::fmt;

/// Sums over `test result:` lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
    /// How many runners gave a result.
    pub results: u64,
}

impl Totals {
    /// Takes in one line of output; whatever is no result is passed over.
    pub fn line(&mut self, line: &str) {
        let Some(rest) = line.trim().strip_prefix("test result: ") else {
            return;
        };
        let Some((_, counts)) = rest.split_once(". ") else {
            return;
        };
        let mut seen = false;
        for count in counts.split(';') {
            let mut words = count.split_whitespace();
            let (Some(number), Some(what)) = (words.next(), words.next()) else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match what {
                "passed" => {
                    self.passed += number;
                    seen = true;
                }
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
        self.results += u64::from(seen);
    }

    pub fn add(&mut self, other: Totals) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
        self.results += other.results;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
pub struct Lines(Vec<u8>);

impl Lines {
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        self.0.extend_from_slice(bytes);
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.0.drain(..=end).collect();
            each(String::from_utf8_lossy(&line).trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let mut totals = Totals::default();
        totals.line("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s");
        totals
            .line("test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out");
        totals.line("test foo ... ok");
        assert_eq!(
            totals,
            Totals {
                passed: 13,
                failed: 2,
                ignored: 1,
                results: 2
            }
        );
    }

    #[test]
    fn a_line_cut_in_two_is_one_line() {
        let (mut lines, mut seen) = (Lines::default(), Vec::new());
        lines.push(b"ab", |line| seen.push(line.to_owned()));
        lines.push(b"c\nd\n", |line| seen.push(line.to_owned()));
        assert_eq!(seen, ["abc", "d"]);
    }
}
