//! SIGINT and SIGTERM: once to end cleanly, twice to end now.

use std::io;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::exit::Exit;

/// Calls `stop` at the first signal, in a thread of its own. At the second
/// the process exits at once.
///
/// # Errors
///
/// The signals cannot be watched.
pub fn on_signal(stop: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            let mut arriving = signals.forever();
            if arriving.next().is_some() {
                stop();
            }
            if arriving.next().is_some() {
                std::process::exit(Exit::Failed.code().into());
            }
        })?;
    Ok(())
}
