//! What the binaries say, where perhaps nobody listens any more.
//!
//! The library's own macros of these names panic where standard output or
//! standard error is a closed pipe (`| head`, `2>&1 | head`), in the middle of
//! what is being done. These stand in their place in this package: what is done
//! is done to its end, and [`exit::end`](crate::exit::end) makes a failure of it
//! if standard output did not take what it was to have.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::SignedDuration;

/// Something could not be written to standard output.
static LOST: AtomicBool = AtomicBool::new(false);

/// Whether all was written to standard output.
pub(crate) fn is_whole() -> bool {
    !LOST.load(Ordering::Relaxed)
}

/// Writes to standard output. That it cannot is said once, and not where a
/// reader has had enough.
#[doc(hidden)]
pub fn out(text: Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout.write_fmt(text) {
        let first = !LOST.swap(true, Ordering::Relaxed);
        if first && error.kind() != ErrorKind::BrokenPipe {
            err(format_args!("cannot write: {error}\n"));
        }
    }
}

/// Writes to standard error; nobody is left to tell where that cannot be.
#[doc(hidden)]
pub fn err(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// `1d 2h 3m 4s`, beginning with the largest that is not zero.
pub fn duration(length: SignedDuration) -> String {
    let seconds = length.as_secs();
    let parts = [
        (seconds / 86_400, 'd'),
        (seconds / 3600 % 24, 'h'),
        (seconds / 60 % 60, 'm'),
        (seconds % 60, 's'),
    ];
    let first = parts.iter().position(|(count, _)| *count != 0).unwrap_or(3);
    let parts = parts.iter().skip(first);
    let parts: Vec<_> = parts
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    parts.join(" ")
}

/// `std::print!` that does not panic.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::output::out(format_args!($($text)*)) };
}

/// `std::println!` that does not panic.
#[macro_export]
macro_rules! println {
    () => { $crate::output::out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// `std::eprint!` that does not panic.
#[macro_export]
macro_rules! eprint {
    ($($text:tt)*) => { $crate::output::err(format_args!($($text)*)) };
}

/// `std::eprintln!` that does not panic.
#[macro_export]
macro_rules! eprintln {
    () => { $crate::output::err(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::err(format_args!("{}\n", format_args!($($text)*))) };
}
