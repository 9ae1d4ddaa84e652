//! The history of a pool, where `zpool history` shows who did what.
//!
//! The kernel records most changes by itself (`zpool history -i`). The lines
//! that it shows without `-i` are command lines, written by programs: it lets
//! each thread write one after each change, into the pool that was changed.
//! Source: `zfs_ioc_log_history` in `module/zfs/zfs_ioctl.c`.

use zfs_stream::nvlist::NvList;
use zfs_sys::zfs_ioc_t;

use crate::error::{Error, Operation};
use crate::ffi::CallError;
use crate::name::DatasetName;
use crate::zfs::Zfs;

/// The longest line that a program writes (`HIS_MAX_RECORD_LEN`, with its NUL).
const LONGEST: usize = 8192;

impl Zfs {
    /// Writes a line into the history of the pool that this thread changed
    /// last, as zfs(8) does with its command line after each command: this is
    /// what `zpool history` shows. A line that is too long is cut.
    ///
    /// No other function of this crate writes there; the kernel's own records
    /// are there all the same. Nothing of its content is checked.
    ///
    /// ```no_run
    /// use zfs_core::{DatasetName, Zfs};
    ///
    /// let zfs = Zfs::open()?;
    /// let home: DatasetName = "tank/home".parse()?;
    /// zfs.snapshot([&home.with_snapshot("monday")?])?;
    /// zfs.log_history("nightly backup: snapshot tank/home@monday")?;
    /// # Ok::<(), zfs_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied):
    /// this thread has changed nothing since it last wrote a line.
    pub fn log_history(&self, line: &str) -> Result<(), Error> {
        let line = cut(line);
        let on = |error: CallError| error.on(Operation::LogHistory, line);
        let mut list = NvList::new();
        list.insert_str("message", line)
            .map_err(|error| on(CallError::Request(error)))?;
        // The kernel knows the pool.
        let answer = self.device.call(zfs_ioc_t::ZFS_IOC_LOG_HISTORY, "", &list);
        match answer.map_err(on)?.errno {
            None => Ok(()),
            Some(errno) => Err(on(CallError::Zfs(errno))),
        }
    }

    /// Lets this thread log a change that another one made for it, by a change
    /// of nothing. Where that is not possible there is no line.
    pub(crate) fn may_log_on_this_thread(&self, changed: &DatasetName) {
        let _ = self.device.set_properties(changed.as_str(), &NvList::new());
    }
}

/// As much of it as there is room for, in whole characters.
fn cut(line: &str) -> &str {
    let mut end = line.len().min(LONGEST);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    &line[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_between_characters() {
        assert_eq!(cut("zfs create"), "zfs create");
        let long = format!("x{}", "ö".repeat(LONGEST));
        assert_eq!(cut(&long).len(), LONGEST - 1);
    }
}
