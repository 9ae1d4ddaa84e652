//! A file's pages where they lie, for as long as nobody can change them.
//!
//! A mapping saves the copy that read(2) makes, but bytes that somebody else
//! changes are none that Rust may look at, and a page that is not there any more
//! kills the process. So pieces of a file are only lent out under a read lease
//! (`F_SETLEASE`, fcntl(2)): the kernel grants it where nobody has the file open
//! for writing, and lets those who want to wait until it is given back. They
//! wait for the pieces that are lent and for no more: no piece is lent once
//! somebody waits. A piece's pages are locked in memory before they are shown,
//! so what a disk cannot give is an error here as well and no signal.
//!
//! Whatever is in the way of that, there is no piece, and the file is read.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use memmap2::{Mmap, MmapOptions};

/// The file systems whose files change only through calls to this kernel that
/// leases know of; not ZFS, whose cache would be copied into another one first.
/// The numbers are those of `linux/magic.h`.
const FILE_SYSTEMS: [u32; 4] = [
    0xef53,      // ext2 to ext4
    0x5846_5342, // XFS
    0x9123_683e, // btrfs
    0x0102_1994, // tmpfs
];

/// Which signal tells that somebody waits for the lease; libc has no name for
/// it. The default would kill the process, and this one is ignored by default:
/// the lease is asked each time.
const F_SETSIG: libc::c_int = 10;

/// What a file has lent out. Leases belong to an open file, not to a thread, so
/// all pieces share one.
#[derive(Debug, Default)]
pub(super) struct Lender(Mutex<Lent>);

#[derive(Debug, Default)]
struct Lent {
    /// This file, or this process, cannot have a lease.
    never: bool,
    pieces: usize,
}

impl Lender {
    /// A piece of the file, if there can be one now.
    pub(super) fn piece<'a>(
        &'a self,
        file: &'a File,
        offset: u64,
        length: usize,
    ) -> Option<Piece<'a>> {
        let lease = self.lease(file)?;
        let mut options = MmapOptions::new();
        options.offset(offset).len(length);
        // SAFETY: while the lease is held nobody can write to the file or cut
        // it off, and the mapping is dropped before it. (The kernel takes a
        // lease away after `fs.lease-break-time`, three quarters of a minute,
        // from a process that does not run; a piece is looked at for less than
        // a thousandth of a second.)
        let map = unsafe { options.map(file) }.ok()?;
        map.lock().ok()?;
        Some(Piece { map, _lease: lease })
    }

    fn lease<'a>(&'a self, file: &'a File) -> Option<Lease<'a>> {
        let mut lent = self.lent();
        if lent.never {
            return None;
        }
        if lent.pieces == 0 {
            lent.never = take(file).is_err();
        }
        if lent.never || (lent.pieces > 0 && !is_held(file)) {
            return None;
        }
        lent.pieces += 1;
        Some(Lease { lender: self, file })
    }

    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A piece's part in the lease.
#[derive(Debug)]
struct Lease<'a> {
    lender: &'a Lender,
    file: &'a File,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut lent = self.lender.lent();
        lent.pieces -= 1;
        if lent.pieces == 0 {
            // It cannot fail where there is one.
            let _ = fcntl(self.file, libc::F_SETLEASE, libc::F_UNLCK);
        }
    }
}

/// A piece of a file, mapped and locked in memory.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    map: Mmap,
    /// Given back after the mapping is gone: fields are dropped in this order.
    _lease: Lease<'a>,
}

impl Deref for Piece<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

fn take(file: &File) -> io::Result<()> {
    if !FILE_SYSTEMS.contains(&file_system(file)?) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    fcntl(file, F_SETSIG, libc::SIGURG)?;
    fcntl(file, libc::F_SETLEASE, libc::F_RDLCK)?;
    Ok(())
}

/// Whether nobody waits for it: then it is told as what it is about to be.
fn is_held(file: &File) -> bool {
    fcntl(file, libc::F_GETLEASE, 0).is_ok_and(|lease| lease == libc::F_RDLCK)
}

fn fcntl(file: &File, command: libc::c_int, argument: libc::c_int) -> io::Result<libc::c_int> {
    // SAFETY: the descriptor is open, and the commands above take a number.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

fn file_system(file: &File) -> io::Result<u32> {
    let mut told = std::mem::MaybeUninit::uninit();
    // SAFETY: the descriptor is open, and there is room for what is told.
    if unsafe { libc::fstatfs(file.as_raw_fd(), told.as_mut_ptr()) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was told.
    let told: libc::statfs = unsafe { told.assume_init() };
    // Its type differs between C libraries; the numbers have 32 bits.
    Ok(told.f_type as u32)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;

    struct Temporary(PathBuf);

    impl Temporary {
        fn new(name: &str, bytes: &[u8]) -> (Self, File) {
            let name = format!("zfs-stream-map-{name}-{}", std::process::id());
            let path = std::env::temp_dir().join(name);
            fs::write(&path, bytes).unwrap();
            let file = File::open(&path).unwrap();
            let known = FILE_SYSTEMS.contains(&file_system(&file).unwrap());
            assert!(known, "set TMPDIR to a folder on ext4, XFS, btrfs or tmpfs");
            (Self(path), file)
        }

        fn open_for_writing(&self) -> File {
            File::options().write(true).open(&self.0).unwrap()
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    fn wait_for(what: impl Fn() -> bool) {
        let start = Instant::now();
        while !what() {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn pieces_are_the_files_bytes_at_any_offset() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number / 7) as u8).collect();
        let (_path, file) = Temporary::new("bytes", &bytes);
        let lender = Lender::default();
        let all = lender.piece(&file, 0, bytes.len()).unwrap();
        assert!(*all == bytes);
        for (offset, length) in [(1, 1), (4095, 2), (70_001, 300), (99_999, 1)] {
            let piece = lender.piece(&file, offset, length).unwrap();
            assert!(*piece == bytes[offset as usize..][..length]);
        }
        drop(all);
        assert_eq!(fcntl(&file, libc::F_GETLEASE, 0).unwrap(), libc::F_UNLCK);
    }

    #[test]
    fn what_is_open_for_writing_is_not_mapped() {
        let (path, file) = Temporary::new("written", &[7; 5000]);
        let writer = path.open_for_writing();
        let lender = Lender::default();
        assert!(lender.piece(&file, 0, 5000).is_none());
        drop(writer);
        // Once refused is refused for good; who begins anew is not.
        assert!(lender.piece(&file, 0, 5000).is_none());
        assert!(Lender::default().piece(&file, 0, 5000).is_some());
    }

    #[test]
    fn who_opens_it_for_writing_waits_for_the_pieces_that_are_lent_and_no_more() {
        let (path, file) = Temporary::new("waits", &[7; 5000]);
        let lender = Lender::default();
        let (first, second) = (lender.piece(&file, 0, 9), lender.piece(&file, 9, 9));
        assert!(first.is_some() && second.is_some());
        thread::scope(|scope| {
            let writer = scope.spawn(|| path.open_for_writing().set_len(0).unwrap());
            wait_for(|| !is_held(&file));
            assert!(lender.piece(&file, 0, 9).is_none());
            drop(first);
            assert!(lender.piece(&file, 0, 9).is_none());
            assert!(!writer.is_finished());
            assert_eq!(*second.unwrap(), [7; 9]);
            writer.join().unwrap();
        });
    }

    #[test]
    fn what_is_not_there_is_no_piece_and_no_signal() {
        let (path, file) = Temporary::new("short", &[7; 5000]);
        assert!(Lender::default().piece(&file, 0, 20_000).is_none());
        path.open_for_writing().set_len(100).unwrap();
        assert!(Lender::default().piece(&file, 4096, 904).is_none());
    }
}
