//! A line from the terminal while it shows nothing.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

/// Standard input without Rust's buffer, which would keep what was read.
pub fn input() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Asks for a line that the terminal does not show.
pub fn type_in(prompt: &str) -> io::Result<Zeroizing<String>> {
    let input = input()?;
    let mut terminal = io::stderr();
    let silence = Silence::of(&input)?;
    write!(terminal, "{prompt}")?;
    terminal.flush()?;
    let line = line(&input);
    drop(silence);
    writeln!(terminal)?;
    line
}

/// The terminal's next line, without its end.
fn line(mut input: impl Read) -> io::Result<Zeroizing<String>> {
    /// Longer than a passphrase can be: growing would leave a copy behind.
    const LONGEST: usize = 1024;
    let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0]);
    while input.read(&mut *byte)? == 1 && byte[0] != b'\n' && line.len() < LONGEST {
        line.push(byte[0]);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    let text = std::str::from_utf8(&line).map_err(io::Error::other)?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// A terminal, and how it is set with and without echo.
struct Terminal {
    file: File,
    before: Termios,
    silent: Termios,
}

impl Terminal {
    fn set(&self, modes: &Termios) -> io::Result<()> {
        Ok(tcsetattr(&self.file, OptionalActions::Flush, modes)?)
    }
}

/// The one that shows nothing at present.
static SILENT: Mutex<Option<Terminal>> = Mutex::new(None);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The terminal shows nothing of what is typed until the end of this, and
/// while the program is stopped (Ctrl-Z) or has ended (Ctrl-C) it does again.
struct Silence;

impl Silence {
    fn of(terminal: &File) -> io::Result<Silence> {
        watch_signals()?;
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes -=
            LocalModes::ECHO | LocalModes::ECHOE | LocalModes::ECHOK | LocalModes::ECHONL;
        let terminal = Terminal {
            file: terminal.try_clone()?,
            before,
            silent,
        };
        // A signal waits until it is known what to undo.
        let mut current = lock(&SILENT);
        terminal.set(&terminal.silent)?;
        *current = Some(terminal);
        Ok(Silence)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let mut current = lock(&SILENT);
        if let Some(terminal) = current.take() {
            // Nobody could do more about it.
            let _ = terminal.set(&terminal.before);
        }
    }
}

/// Lets signals that end or stop the program set the terminal right before.
/// For the rest of the process: where signal-hook was once, a signal has no
/// default to go back to, so that this does what the default would.
fn watch_signals() -> io::Result<()> {
    static WATCHED: Mutex<bool> = Mutex::new(false);
    let mut watched = lock(&WATCHED);
    if *watched {
        return Ok(());
    }
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP])?;
    let watch = move || {
        for signal in signals.forever() {
            let current = lock(&SILENT);
            if let Some(terminal) = &*current {
                let _ = terminal.set(&terminal.before);
            }
            // It comes back from a stop, when the program goes on.
            let _ = emulate_default_handler(signal);
            if let Some(terminal) = &*current {
                let _ = terminal.set(&terminal.silent);
            }
        }
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(watch)?;
    *watched = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::BufRead;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};
    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

    use super::*;

    #[test]
    fn a_line_ends_where_it_ends_and_no_more_is_read() {
        let mut input = &b"correct horse\r\nmore"[..];
        assert_eq!(*line(&mut input).unwrap(), "correct horse");
        assert_eq!(input, b"more");
        assert_eq!(*line(&b""[..]).unwrap(), "");
        assert!(line(&b"\xff\n"[..]).is_err());
    }

    #[track_caller]
    fn wait_until(condition: impl Fn() -> bool) {
        let started = Instant::now();
        while !condition() {
            assert!(started.elapsed().as_secs() < 60, "it does not come to that");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Set for the process that asks.
    const ASKS: &str = "ZFS_CTL_TEST_ASKS";

    #[test]
    fn a_signal_undoes_the_silence_and_does_what_it_always_does() {
        if std::env::var_os(ASKS).is_some() {
            assert_eq!(*type_in("?").unwrap(), "secret");
            println!("\nasked");
            return thread::sleep(Duration::from_secs(600));
        }
        let this = "ctl::prompt::tests::a_signal_undoes_the_silence_and_does_what_it_always_does";
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let keyboard = openpt(flags).unwrap();
        grantpt(&keyboard).unwrap();
        unlockpt(&keyboard).unwrap();
        let terminal = ioctl_tiocgptpeer(&keyboard, flags).unwrap();
        let mut keyboard = File::from(keyboard);
        let shows = || {
            let modes = tcgetattr(&terminal).unwrap().local_modes;
            modes.contains(LocalModes::ECHO)
        };
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", this])
            .env(ASKS, "")
            .stdin(terminal.try_clone().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = Pid::from_child(&child);
        let is_stopped = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            stat.rsplit_once(") ").unwrap().1.starts_with('T')
        };
        wait_until(|| !shows());
        kill_process(pid, Signal::TSTP).unwrap();
        wait_until(is_stopped);
        assert!(shows());
        kill_process(pid, Signal::CONT).unwrap();
        wait_until(|| !shows());
        keyboard.write_all(b"secret\n").unwrap();
        let told = io::BufReader::new(child.stdout.take().unwrap());
        assert!(told.lines().any(|line| line.unwrap() == "asked"));
        assert!(shows());
        kill_process(pid, Signal::TERM).unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal(), Some(Signal::TERM.as_raw()));
    }
}
