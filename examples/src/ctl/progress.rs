//! How much of a stream is written, told each second as `zfs send -v` does.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use crate::list::nice;

/// Writes into `output` with `act`, and meanwhile tells how much that was.
pub fn telling<T>(
    name: &str,
    parsable: bool,
    output: File,
    act: impl FnOnce(Counted<'_>) -> T,
) -> io::Result<T> {
    let bytes = &AtomicU64::new(0);
    if !parsable {
        eprintln!("TIME        SENT   SNAPSHOT {name}");
    }
    let (ended, end) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let tell = move || {
            while end.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                let time = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
                let bytes = bytes.load(Ordering::Relaxed);
                eprintln!("{}", line(&time, bytes, name, parsable));
            }
        };
        thread::Builder::new()
            .name("progress".to_owned())
            .spawn_scoped(scope, tell)?;
        let outcome = act(Counted { output, bytes });
        drop(ended);
        Ok(outcome)
    })
}

fn line(time: &str, bytes: u64, name: &str, parsable: bool) -> String {
    if parsable {
        format!("{time}\t{bytes}\t{name}")
    } else {
        format!("{time}   {:>5}   {name}", nice::bytes(bytes))
    }
}

/// A file that counts what is written into it.
pub struct Counted<'a> {
    output: File,
    bytes: &'a AtomicU64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    #[test]
    fn a_line_is_for_people_or_for_programs() {
        let of = |parsable| line("01:02:03", 3 << 20, "tank/a@x", parsable);
        assert_eq!(of(false), "01:02:03      3M   tank/a@x");
        assert_eq!(of(true), "01:02:03\t3145728\ttank/a@x");
    }

    #[test]
    fn everything_comes_through_and_is_counted() {
        let mut file = tempfile::tempfile().unwrap();
        let output = file.try_clone().unwrap();
        let count = telling("tank/a@x", true, output, |mut counted| {
            counted.write_all(b"a stream").unwrap();
            counted.bytes.load(Ordering::Relaxed)
        });
        assert_eq!(count.unwrap(), 8);
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a stream");
    }
}
