//! zfs_cmd, the one structure that every request to /dev/zfs carries, with
//! the buffers it points to.
//!
//! source nvlist -> [ zfs_cmd -> kernel -> zfs_cmd ] -> answer nvlist

use std::ffi::c_char;
use std::fmt;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::bindings::cmd::{dmu_objset_stats, dmu_replay_record, zfs_cmd, zfs_stat};
use crate::bindings::v2_1::boolean_t;

// The kernel refuses nothing here: a wrong layout would only be misread. The
// same numbers are asserted in C against the installed headers by
// tests/headers.rs.
const _: () = {
    assert!(size_of::<zfs_cmd>() == 13_744);
    assert!(offset_of!(zfs_cmd, zc_nvlist_src) == 4096);
    assert!(offset_of!(zfs_cmd, zc_nvlist_dst) == 4112);
    assert!(offset_of!(zfs_cmd, zc_nvlist_dst_filled) == 4128);
    assert!(offset_of!(zfs_cmd, zc_history) == 4136);
    assert!(offset_of!(zfs_cmd, zc_value) == 4144);
    assert!(offset_of!(zfs_cmd, zc_string) == 12_336);
    assert!(offset_of!(zfs_cmd, zc_guid) == 12_592);
    assert!(offset_of!(zfs_cmd, zc_cookie) == 12_616);
    assert!(offset_of!(zfs_cmd, zc_objset_type) == 12_624);
    assert!(size_of::<dmu_objset_stats>() == 288);
    assert!(size_of::<dmu_replay_record>() == 312);
};

/// No answer of the kernel comes near this; a size beyond it is not believed.
const ANSWER_LIMIT: usize = 1 << 30;

/// More entries than a log of errors is read with: 128 MiB of them.
const ENTRY_LIMIT: usize = 1 << 22;

/// A request to /dev/zfs, and afterwards the kernel's answer to it.
///
/// Owns every buffer that its addresses point to, which is what makes
/// [`DevZfs::request`](crate::DevZfs::request) safe to call with it.
pub struct ZfsCmd {
    raw: Box<zfs_cmd>,
    source: Vec<u8>,
    answer: Vec<u8>,
}

impl ZfsCmd {
    /// A request about `name`, a pool, a dataset or a snapshot; everything
    /// else is 0.
    ///
    /// # Errors
    ///
    /// As [`ZfsCmd::set_name`].
    pub fn new(name: &str) -> Result<ZfsCmd, i32> {
        // SAFETY: zfs_cmd is integers and arrays of them: 0 is a value of each.
        let raw: Box<zfs_cmd> = Box::new(unsafe { std::mem::zeroed() });
        let mut cmd = ZfsCmd {
            raw,
            source: Vec::new(),
            answer: Vec::new(),
        };
        cmd.set_name(name)?;
        Ok(cmd)
    }

    /// Makes the request one about `name`.
    ///
    /// # Errors
    ///
    /// `ENAMETOOLONG` where it does not fit whole, `EINVAL` where it has a NUL
    /// in it: nothing is ever cut off to make it fit.
    pub fn set_name(&mut self, name: &str) -> Result<(), i32> {
        write_text(&mut self.raw.zc_name, name)
    }

    /// zc_name as it is now: the listing requests write the next entry's name
    /// into it.
    pub fn name(&self) -> &[u8] {
        read_text(&self.raw.zc_name)
    }

    /// Sets zc_value, where some requests take a second name.
    ///
    /// # Errors
    ///
    /// As [`ZfsCmd::set_name`].
    pub fn set_value(&mut self, value: &str) -> Result<(), i32> {
        write_text(&mut self.raw.zc_value, value)
    }

    /// zc_value as it is now.
    pub fn value(&self) -> &[u8] {
        read_text(&self.raw.zc_value)
    }

    /// Sets zc_cookie: a listing's place, or what else the request says.
    pub fn set_cookie(&mut self, cookie: u64) {
        self.raw.zc_cookie = cookie;
    }

    /// zc_cookie as it is now.
    pub fn cookie(&self) -> u64 {
        self.raw.zc_cookie
    }

    /// Sets zc_objset_type, which says what some requests are about.
    pub fn set_objset_type(&mut self, number: u64) {
        self.raw.zc_objset_type = number;
    }

    /// Sets zc_guid.
    pub fn set_guid(&mut self, guid: u64) {
        self.raw.zc_guid = guid;
    }

    /// zc_objset_type as it is now.
    pub fn objset_type(&self) -> u64 {
        self.raw.zc_objset_type
    }

    /// zc_obj as it is now.
    pub fn obj(&self) -> u64 {
        self.raw.zc_obj
    }

    /// Sets zc_obj: the object that the request is about.
    pub fn set_obj(&mut self, object: u64) {
        self.raw.zc_obj = object;
    }

    /// Sets zc_flags: what more the request says.
    pub fn set_flags(&mut self, flags: u32) {
        self.raw.zc_flags = flags;
    }

    /// Sets zc_cleanup_fd: what the request makes ends when that descriptor
    /// of /dev/zfs is closed. The kernel refuses any other descriptor.
    pub fn set_cleanup(&mut self, device: BorrowedFd<'_>) {
        self.raw.zc_cleanup_fd = device.as_raw_fd();
    }

    /// What OBJ_TO_STATS left of a file: its generation, mode, links and time
    /// of change.
    pub fn stat(&self) -> &zfs_stat {
        &self.raw.zc_stat
    }

    /// Asks SNAPSHOT_LIST_NEXT for what the directory of snapshots and the
    /// dataset's own record hold, without properties (zc_simple).
    pub fn set_simple(&mut self, simple: bool) {
        self.raw.zc_simple = u8::from(simple);
    }

    /// What the kernel said of the dataset itself, in every request that
    /// returns one.
    pub fn stats(&self) -> &dmu_objset_stats {
        &self.raw.zc_objset_stats
    }

    /// Forgets the last answer's dataset record, so that one that the kernel
    /// leaves out (2.1 in simple mode) cannot be taken for the previous one's.
    pub fn clear_stats(&mut self) {
        // SAFETY: integers and arrays of them: 0 is a value of each.
        self.raw.zc_objset_stats = unsafe { std::mem::zeroed() };
    }

    /// Sends `packed`, a packed nvlist, with the request.
    pub fn set_source(&mut self, packed: Vec<u8>) {
        self.source = packed;
    }

    /// Asks for the answer's nvlist, with room for `capacity` bytes at first.
    /// Several requests do less work where none is asked for.
    pub fn want_answer(&mut self, capacity: usize) {
        self.answer.resize(capacity.clamp(1, ANSWER_LIMIT), 0);
    }

    /// The packed nvlist of the last answer, where the kernel gave one.
    pub fn answer(&self) -> Option<&[u8]> {
        if self.raw.zc_nvlist_dst_filled == boolean_t::B_FALSE {
            return None;
        }
        let length = usize::try_from(self.raw.zc_nvlist_dst_size).ok()?;
        self.answer.get(..length)
    }

    /// Runs `ioctl` with a list of entries in the place of the answer, larger
    /// until they fit: ERROR_LOG counts entries where others count bytes,
    /// fills the list from its end, and leaves how many stayed free.
    pub(crate) fn entries(
        &mut self,
        mut ioctl: impl FnMut(&mut zfs_cmd) -> Result<(), i32>,
    ) -> Result<Vec<[u64; 4]>, i32> {
        self.point();
        let mut room = 256;
        loop {
            let mut entries = vec![[0_u64; 4]; room];
            self.raw.zc_nvlist_dst = entries.as_mut_ptr().expose_provenance() as u64;
            self.raw.zc_nvlist_dst_size = room as u64;
            let result = ioctl(&mut self.raw);
            let free = usize::try_from(self.raw.zc_nvlist_dst_size).unwrap_or(usize::MAX);
            self.point();
            match result {
                Ok(()) => {
                    entries.drain(..free.min(room));
                    return Ok(entries);
                }
                Err(libc::ENOMEM) if room < ENTRY_LIMIT => room *= 4,
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Runs `ioctl` until the answer fits, each time on the request as it was
    /// when this was called.
    pub(crate) fn request(
        &mut self,
        mut ioctl: impl FnMut(&mut zfs_cmd) -> Result<(), i32>,
    ) -> Result<(), i32> {
        self.point();
        if self.answer.is_empty() {
            // Nothing that could be too large: no second time, and no copy of
            // the 13 KiB for it.
            return ioctl(&mut self.raw);
        }
        // SAFETY: integers and arrays of them: a copy of the bytes is a copy.
        let before = unsafe { std::ptr::read(&raw const *self.raw) };
        loop {
            let result = ioctl(&mut self.raw);
            let Err(libc::ENOMEM) = result else {
                return result;
            };
            // The kernel says how much it needs in the size that it was given.
            // Where that is no more than there was, it is short of memory
            // itself.
            let needed = usize::try_from(self.raw.zc_nvlist_dst_size).unwrap_or(usize::MAX);
            if needed <= self.answer.len() || needed > ANSWER_LIMIT {
                return result;
            }
            self.answer.resize(needed, 0);
            // SAFETY: as above.
            *self.raw = unsafe { std::ptr::read(&raw const before) };
            self.point();
        }
    }

    /// Writes the buffers' addresses and sizes where the kernel looks.
    fn point(&mut self) {
        let address = |buffer: &mut Vec<u8>| {
            if buffer.is_empty() {
                0
            } else {
                buffer.as_mut_ptr().expose_provenance() as u64
            }
        };
        self.raw.zc_nvlist_src = address(&mut self.source);
        self.raw.zc_nvlist_src_size = self.source.len() as u64;
        self.raw.zc_nvlist_dst = address(&mut self.answer);
        self.raw.zc_nvlist_dst_size = self.answer.len() as u64;
        self.raw.zc_nvlist_dst_filled = boolean_t::B_FALSE;
    }
}

impl fmt::Debug for ZfsCmd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZfsCmd")
            .field("name", &String::from_utf8_lossy(self.name()))
            .field("cookie", &self.cookie())
            .field("source", &self.source.len())
            .field("answer", &self.answer.len())
            .finish_non_exhaustive()
    }
}

fn write_text(field: &mut [c_char], text: &str) -> Result<(), i32> {
    let bytes = text.as_bytes();
    if bytes.contains(&0) {
        return Err(libc::EINVAL);
    }
    if bytes.len() >= field.len() {
        return Err(libc::ENAMETOOLONG);
    }
    field.fill(0);
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = c_char::from_ne_bytes([*from]);
    }
    Ok(())
}

fn read_text(field: &[c_char]) -> &[u8] {
    // SAFETY: c_char is a byte, signed or not, and every byte is one.
    let bytes = unsafe { std::slice::from_raw_parts(field.as_ptr().cast::<u8>(), field.len()) };
    let end = bytes
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    bytes.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_command_is_zero_but_for_its_name() {
        let cmd = ZfsCmd::new("tank/a").unwrap();
        assert_eq!(cmd.name(), b"tank/a");
        // SAFETY: zfs_cmd has no padding that is read here as anything but
        // bytes, and it was made from zeros.
        let bytes = unsafe {
            std::slice::from_raw_parts(
                std::ptr::from_ref::<zfs_cmd>(&cmd.raw).cast::<u8>(),
                size_of::<zfs_cmd>(),
            )
        };
        assert!(bytes[6..].iter().all(|byte| *byte == 0));
        assert_eq!(cmd.answer(), None);
    }

    #[test]
    fn a_name_is_refused_rather_than_cut() {
        let longest = "a".repeat(4095);
        assert_eq!(ZfsCmd::new(&longest).unwrap().name(), longest.as_bytes());
        assert_eq!(
            ZfsCmd::new(&"a".repeat(4096)).unwrap_err(),
            libc::ENAMETOOLONG
        );
        assert_eq!(ZfsCmd::new("tank\0/a").unwrap_err(), libc::EINVAL);
    }

    #[test]
    fn a_shorter_name_leaves_nothing_of_the_longer_one() {
        let mut cmd = ZfsCmd::new("tank/long").unwrap();
        cmd.set_name("b").unwrap();
        assert_eq!(cmd.name(), b"b");
        assert!(cmd.raw.zc_name[1..].iter().all(|byte| *byte == 0));
    }

    /// A kernel that needs `size` bytes, and moves on whether they fit or not.
    fn listing_kernel(size: usize) -> impl FnMut(&mut zfs_cmd) -> Result<(), i32> {
        move |raw| {
            raw.zc_cookie += 1;
            raw.zc_name[4] = c_char::from_ne_bytes(*b"/");
            let room = raw.zc_nvlist_dst_size as usize;
            raw.zc_nvlist_dst_size = size as u64;
            if room < size {
                return Err(libc::ENOMEM);
            }
            raw.zc_nvlist_dst_filled = boolean_t::B_TRUE;
            Ok(())
        }
    }

    #[test]
    fn an_answer_too_large_is_asked_for_again_from_the_same_place() {
        let mut cmd = ZfsCmd::new("tank").unwrap();
        cmd.set_cookie(7);
        cmd.want_answer(16);
        cmd.request(listing_kernel(100)).unwrap();
        assert_eq!(cmd.cookie(), 8, "an entry was skipped");
        assert_eq!(cmd.name(), b"tank/");
        assert_eq!(cmd.answer().map(<[u8]>::len), Some(100));
        // The buffer stays as large as it grew.
        let mut calls = 0;
        let mut kernel = listing_kernel(90);
        cmd.request(|raw| {
            calls += 1;
            kernel(raw)
        })
        .unwrap();
        assert_eq!((calls, cmd.answer().map(<[u8]>::len)), (1, Some(90)));
    }

    #[test]
    fn a_kernel_short_of_memory_is_not_asked_for_ever() {
        for answer in [0, 16] {
            let mut cmd = ZfsCmd::new("tank").unwrap();
            if answer > 0 {
                cmd.want_answer(answer);
            }
            let mut calls = 0;
            let result = cmd.request(|_| {
                calls += 1;
                Err(libc::ENOMEM)
            });
            assert_eq!((result, calls), (Err(libc::ENOMEM), 1));
        }
    }

    #[test]
    fn entries_are_read_from_the_end_and_asked_for_again_where_they_do_not_fit() {
        let mut cmd = ZfsCmd::new("tank").unwrap();
        let mut rooms = Vec::new();
        let entries = cmd
            .entries(|raw| {
                let room = raw.zc_nvlist_dst_size;
                rooms.push(room);
                if room < 300 {
                    raw.zc_nvlist_dst_size = 0;
                    return Err(libc::ENOMEM);
                }
                let list =
                    std::ptr::with_exposed_provenance_mut::<[u64; 4]>(raw.zc_nvlist_dst as usize);
                // SAFETY: the list has as many entries as its size says.
                unsafe { list.add(room as usize - 1).write([1, 2, 3, 4]) };
                raw.zc_nvlist_dst_size = room - 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(
            (rooms.as_slice(), entries),
            (&[256, 1024][..], vec![[1, 2, 3, 4]])
        );
        let none = cmd.entries(|raw| {
            raw.zc_nvlist_dst_size = u64::MAX;
            Ok(())
        });
        assert_eq!(none, Ok(Vec::new()));
        let mut calls = 0;
        let short = cmd.entries(|_| {
            calls += 1;
            Err(libc::ENOMEM)
        });
        assert_eq!((short, calls), (Err(libc::ENOMEM), 8));
    }

    #[test]
    fn a_size_that_cannot_be_is_not_believed() {
        let mut cmd = ZfsCmd::new("tank").unwrap();
        cmd.want_answer(16);
        let result = cmd.request(|raw| {
            raw.zc_nvlist_dst_size = u64::MAX;
            Err(libc::ENOMEM)
        });
        assert_eq!(result, Err(libc::ENOMEM));
        let filled = cmd.request(|raw| {
            raw.zc_nvlist_dst_size = u64::MAX;
            raw.zc_nvlist_dst_filled = boolean_t::B_TRUE;
            Ok(())
        });
        assert_eq!((filled, cmd.answer()), (Ok(()), None));
    }
}
