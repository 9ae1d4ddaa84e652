//! After a kill: what had arrived, what was sent again, and whether that was
//! only the rest.

use std::io::Read as _;
use std::process::Stdio;

use anyhow::{Context as _, Result, bail};

use super::interrupt::Interrupt;
use super::tool;

/// What a resume token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Bytes of the stream that the target has.
    pub bytes: u64,
    /// The snapshot that was on its way.
    pub toname: String,
}

impl Token {
    /// The token of a partly received dataset; an error if it has none.
    pub fn of(dataset: &str) -> Result<Self> {
        let token = tool::run(
            "zfs",
            &["get", "-H", "-o", "value", "receive_resume_token", dataset],
        )?;
        let token = token.trim();
        if token == "-" || token.is_empty() {
            bail!("{dataset} has no resume token: nothing of the killed stream was kept");
        }
        Self::parse(&tool::run("zstream", &["token", token])?)
    }

    /// Reads zstream's listing. Numbers are decimal in one version and hex
    /// in another, behind `=` or `:`.
    fn parse(listing: &str) -> Result<Self> {
        let value = |key: &str| {
            listing
                .lines()
                .filter_map(|line| line.split_once(['=', ':']))
                .find(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim().trim_matches('\''))
                .with_context(|| format!("zstream token shows no {key}: {listing}"))
        };
        let bytes = value("bytes")?;
        let number = match bytes.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => bytes.parse(),
        };
        Ok(Self {
            bytes: number.with_context(|| format!("zstream token: bytes is {bytes}"))?,
            toname: value("toname")?.to_owned(),
        })
    }
}

/// The length of the whole raw stream of a snapshot, counted, not estimated.
pub fn raw_stream_bytes(snapshot: &str, interrupt: &Interrupt) -> Result<u64> {
    let mut command = tool::command("zfs");
    command
        .args(["send", "-w", snapshot])
        .stdout(Stdio::piped());
    let shown = tool::shown(&command);
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot start {shown}"))?;
    let mut bytes = 0;
    let mut buffer = vec![0; 1 << 20];
    let counted = (|| -> Result<()> {
        let mut stdout = child.stdout.take().context("no standard output")?;
        loop {
            interrupt.check()?;
            match stdout.read(&mut buffer)? {
                0 => return Ok(()),
                length => bytes += length as u64,
            }
        }
    })();
    // Its pipe is closed by now, so it ends whatever happened above.
    let status = child.wait().with_context(|| shown.clone())?;
    counted.with_context(|| shown.clone())?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(bytes)
}

/// The bytes of the stream that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accounting {
    pub whole: u64,
    /// What the token said had arrived.
    pub arrived: u64,
    /// All that the next run sent for this dataset.
    pub sent_after: u64,
}

impl Accounting {
    /// The most that may be sent after the kill: the rest and 5 % of it.
    pub fn limit(&self) -> u64 {
        let rest = self.whole.saturating_sub(self.arrived);
        rest + rest / 20
    }

    /// An error in words if more than the rest was sent, or if the numbers
    /// are none that a resumed stream can have.
    pub fn check(&self) -> Result<()> {
        let Self {
            whole,
            arrived,
            sent_after,
        } = *self;
        if arrived == 0 || arrived >= whole {
            bail!(
                "the resume token says {arrived} bytes of a stream of {whole}: that is no part of it"
            );
        }
        if sent_after > self.limit() {
            bail!(
                "{sent_after} bytes were sent after the kill, and only {} were missing (limit {} with 5 %)",
                whole - arrived,
                self.limit()
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_tokens_listing_are_read() {
        let token = Token {
            bytes: 0x1000,
            toname: "site-a/office/vault@p_2026-11-22T12:00:00Z".into(),
        };
        let decimal = "     object: 2\n     bytes: 4096\n     toname: 'site-a/office/vault@p_2026-11-22T12:00:00Z'\n";
        let hex = "nvlist version: 0\n\tobject = 0x2\n\tbytes = 0x1000\n\ttoname = site-a/office/vault@p_2026-11-22T12:00:00Z\n";
        assert_eq!(Token::parse(decimal).unwrap(), token);
        assert_eq!(Token::parse(hex).unwrap(), token);
        assert!(Token::parse("object: 2\n").is_err());
    }

    #[test]
    fn the_rest_and_five_percent_of_it_may_be_sent_after_a_kill() {
        let after = |sent_after| Accounting {
            whole: 1000,
            arrived: 600,
            sent_after,
        };
        assert!(after(420).check().is_ok());
        assert!(after(421).check().is_err());
    }

    #[test]
    fn a_token_without_progress_or_past_the_end_is_refused() {
        for arrived in [0, 1000, 2000] {
            let accounting = Accounting {
                whole: 1000,
                arrived,
                sent_after: 0,
            };
            assert!(accounting.check().is_err(), "{arrived}");
        }
    }
}
