//! What happened in a pool since: the kernel's list of events, which is what
//! `zpool events` shows.
//!
//! ```text
//! last event at the time of a listing -> every event after it -> did any of
//!                                        them make or unmake a name?
//! ```
//!
//! Each change that ZFS writes into a pool's history is an event as well, in
//! the same transaction group and before anybody can see the change. The
//! kernel keeps the last few hundred; where the one in question is no longer
//! among them, nobody knows what came after it. Only root may ask.

use std::collections::HashSet;

use zfs_stream::nvlist::NvList;
use zfs_sys::DevZfs;

use crate::ffi::CallError;
use crate::ffi::ioctl::Device;

/// What an event of history may be about without that a dataset or snapshot
/// comes, goes, or gets another name. All others count, those that nobody
/// here knows as well.
const HARMLESS: &[&str] = &[
    "set",
    "inherit",
    "hold",
    "release",
    "permission update",
    "permission who remove",
    "permission remove",
    "scan setup",
    "scan done",
    "scan cancelled",
    "scan aborted, restarting",
    "error scrub setup",
    "error scrub done",
    "error scrub canceled",
];

/// What is as harmless where nobody asks for bookmarks.
const BOOKMARKS: &[&str] = &["bookmark", "remove bookmark"];

const HISTORY: &str = "sysevent.fs.zfs.history_event";

/// More events than the kernel is made to keep on any machine.
const MOST: usize = 16 << 10;

/// A place among the kernel's events.
#[derive(Debug)]
pub(super) struct Events<'a> {
    device: &'a Device,
    place: DevZfs,
}

/// What happened since an event.
#[derive(Debug)]
pub(super) struct Since {
    /// The pools in which names may have changed, by GUID.
    pub(super) changed: HashSet<u64>,
    /// Those in which bookmarks came or went.
    pub(super) bookmarks: HashSet<u64>,
    /// How many events there were.
    pub(super) count: usize,
    /// The last of them.
    pub(super) last: u64,
}

impl<'a> Events<'a> {
    pub(super) fn open(device: &'a Device) -> Option<Events<'a>> {
        let place = DevZfs::open().ok()?;
        Some(Events { device, place })
    }

    /// The number of the last event; none where there is none, or it is not
    /// for this user to know.
    pub(super) fn last(&self) -> Option<u64> {
        // The oldest, and from there in longer and longer steps.
        self.device.seek_event(&self.place, 0).ok()?;
        let oldest = number(&self.next().ok()??)?;
        let (mut known, mut step) = (oldest, 1);
        while step > 0 {
            match self
                .device
                .seek_event(&self.place, known.checked_add(step)?)
            {
                Ok(true) => {
                    known += step;
                    step *= 2;
                }
                Ok(false) => step /= 2,
                Err(_) => return None,
            }
        }
        // They are numbered before they are put in line, so a number can be
        // missing, or behind a higher one: what is behind is read.
        self.device.seek_event(&self.place, known).ok()?;
        for _ in 0..MOST {
            match self.next().ok()? {
                Some(event) => known = number(&event)?,
                None => return Some(known),
            }
        }
        None
    }

    /// What happened since that event. None where nobody knows.
    pub(super) fn since(&self, event: u64) -> Option<Since> {
        // Neither is an event's number: they mean both ends.
        if [0, u64::MAX].contains(&event) || !self.device.seek_event(&self.place, event).ok()? {
            return None;
        }
        let mut since = Since {
            changed: HashSet::new(),
            bookmarks: HashSet::new(),
            count: 0,
            last: event,
        };
        let mut most = event;
        while let Some(next) = self.next().ok()? {
            since.count += 1;
            since.last = number(&next)?;
            most = most.max(since.last);
            if since.count > MOST {
                return None;
            }
            match change(&next) {
                Some((What::Names, pool)) => since.changed.insert(pool),
                Some((What::Bookmarks, pool)) => since.bookmarks.insert(pool),
                None => false,
            };
        }
        // One that got lost would leave a gap.
        (most.checked_sub(event)? <= since.count as u64).then_some(since)
    }

    /// The next event, or that there is none yet. Where it cannot be read,
    /// nobody knows what happened.
    fn next(&self) -> Result<Option<NvList>, CallError> {
        self.device.next_event(&self.place)
    }
}

fn number(event: &NvList) -> Option<u64> {
    event.get_u64("eid")
}

/// What an event changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Names,
    Bookmarks,
}

/// What the event may have changed, and in which pool.
fn change(event: &NvList) -> Option<(What, u64)> {
    if event.get_str("class") != Some(HISTORY) {
        return None;
    }
    let name = event.get_str("history_internal_name");
    let is_of = |names: &[&str]| name.is_some_and(|name| names.contains(&name));
    if is_of(HARMLESS) {
        return None;
    }
    let what = if is_of(BOOKMARKS) {
        What::Bookmarks
    } else {
        What::Names
    };
    // An event of no pool would be one of all; there is none such.
    Some((what, event.get_u64("pool_guid")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(class: &str, name: Option<&str>) -> NvList {
        let mut event = NvList::new();
        event.insert_str("class", class).unwrap();
        event.insert("pool_guid", 7_u64).unwrap();
        if let Some(name) = name {
            event.insert_str("history_internal_name", name).unwrap();
        }
        event
    }

    #[test]
    fn what_is_not_known_to_be_harmless_counts() {
        for name in [
            "snapshot",
            "destroy",
            "rename",
            "promote",
            "clone swap",
            "news",
        ] {
            let names = Some((What::Names, 7));
            assert_eq!(change(&event(HISTORY, Some(name))), names, "{name}");
        }
        assert_eq!(change(&event(HISTORY, None)), Some((What::Names, 7)));
        for name in BOOKMARKS {
            let bookmarks = Some((What::Bookmarks, 7));
            assert_eq!(change(&event(HISTORY, Some(name))), bookmarks, "{name}");
        }
        for name in HARMLESS {
            assert_eq!(change(&event(HISTORY, Some(name))), None, "{name}");
        }
        let other = event("sysevent.fs.zfs.config_sync", Some("snapshot"));
        assert_eq!(change(&other), None);
    }
}
