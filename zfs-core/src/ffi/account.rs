//! The numbers of users and groups, as the system's name services know them.

use std::ffi::{CString, c_char, c_int};
use std::ptr;

use crate::error::Errno;

/// What has a name and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Account {
    User,
    Group,
}

/// No entry comes near this: more is a service that never has enough.
const LARGEST_ENTRY: usize = 16 << 20;

/// The number of the user or group of that name; none where nobody has it.
pub(crate) fn number_of(account: Account, name: &str) -> Result<Option<u32>, Errno> {
    let Ok(name) = CString::new(name) else {
        return Ok(None);
    };
    match account {
        Account::User => with_room(|room| {
            // SAFETY: integers and addresses, of which 0 is a value.
            let mut entry: libc::passwd = unsafe { std::mem::zeroed() };
            let mut found = ptr::null_mut();
            // SAFETY: the name ends with its NUL, the room is as large as is
            // said, and all of it is there during the call.
            let errno = unsafe {
                libc::getpwnam_r(
                    name.as_ptr(),
                    &raw mut entry,
                    room.as_mut_ptr(),
                    room.len(),
                    &raw mut found,
                )
            };
            (errno, (!found.is_null()).then_some(entry.pw_uid))
        }),
        Account::Group => with_room(|room| {
            // SAFETY: integers and addresses, of which 0 is a value.
            let mut entry: libc::group = unsafe { std::mem::zeroed() };
            let mut found = ptr::null_mut();
            // SAFETY: as above.
            let errno = unsafe {
                libc::getgrnam_r(
                    name.as_ptr(),
                    &raw mut entry,
                    room.as_mut_ptr(),
                    room.len(),
                    &raw mut found,
                )
            };
            (errno, (!found.is_null()).then_some(entry.gr_gid))
        }),
    }
}

/// Asks with more room until the entry's texts fit.
fn with_room(
    mut ask: impl FnMut(&mut [c_char]) -> (c_int, Option<u32>),
) -> Result<Option<u32>, Errno> {
    let mut size = 1 << 10;
    loop {
        match ask(&mut vec![0; size]) {
            (0, number) => return Ok(number),
            (libc::ERANGE, _) if size < LARGEST_ENTRY => size *= 4,
            (libc::EINTR, _) => {}
            // How services say that they do not know the name: getpwnam(3).
            (libc::ENOENT | libc::ESRCH | libc::EBADF | libc::EPERM, _) => return Ok(None),
            (errno, _) => return Err(Errno(errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_0_and_nobody_has_a_name_that_cannot_be() {
        assert_eq!(number_of(Account::User, "root"), Ok(Some(0)));
        assert_eq!(number_of(Account::Group, "root"), Ok(Some(0)));
        for none in ["no such account", "ro:ot", "ro\0ot", ""] {
            for account in [Account::User, Account::Group] {
                assert_eq!(number_of(account, none), Ok(None), "{none:?}");
            }
        }
    }

    #[test]
    fn an_entry_that_does_not_fit_is_asked_for_again_and_not_for_ever() {
        let mut sizes = Vec::new();
        let found = with_room(|room| {
            sizes.push(room.len());
            if room.len() < 5000 {
                (libc::ERANGE, None)
            } else {
                (0, Some(7))
            }
        });
        assert_eq!(
            (found, sizes.as_slice()),
            (Ok(Some(7)), &[1024, 4096, 16_384][..])
        );
        assert_eq!(
            with_room(|_| (libc::ERANGE, None)),
            Err(Errno(libc::ERANGE))
        );
    }
}
