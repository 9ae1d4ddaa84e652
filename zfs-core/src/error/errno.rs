//! The numbers that ZFS answers with: the system's, and its own from 1024 up.

use std::fmt;

/// An error number as ZFS returned it.
///
/// What it means depends on the operation; [`Failure`](super::Failure) says
/// it in words. Numbers from 1024 are OpenZFS' own (`zfs_errno_t` in
/// `sys/fs/zfs.h`, known here up to OpenZFS 2.4; the list only grows), which `std::io::Error` does not
/// know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Errno(pub i32);

macro_rules! names {
    ($($name:ident = $number:expr;)*) => {
        impl Errno {
            $(
                #[doc = concat!("`", stringify!($name), "`")]
                pub const $name: Errno = Errno($number);
            )*

            /// The name of the number, if this crate knows one: `EBUSY`,
            /// `ZFS_ERR_WRONG_PARENT`.
            pub fn name(self) -> Option<&'static str> {
                $(
                    if self.0 == $number {
                        return Some(stringify!($name));
                    }
                )*
                None
            }
        }
    };
}

names! {
    EPERM = libc::EPERM;
    ESTALE = libc::ESTALE;
    ENOENT = libc::ENOENT;
    ESRCH = libc::ESRCH;
    EINTR = libc::EINTR;
    EIO = libc::EIO;
    ENXIO = libc::ENXIO;
    E2BIG = libc::E2BIG;
    EBADF = libc::EBADF;
    EAGAIN = libc::EAGAIN;
    ENOMEM = libc::ENOMEM;
    EACCES = libc::EACCES;
    EFAULT = libc::EFAULT;
    EBUSY = libc::EBUSY;
    EEXIST = libc::EEXIST;
    EXDEV = libc::EXDEV;
    ENODEV = libc::ENODEV;
    ENOTDIR = libc::ENOTDIR;
    EINVAL = libc::EINVAL;
    ENOTTY = libc::ENOTTY;
    ETXTBSY = libc::ETXTBSY;
    EFBIG = libc::EFBIG;
    ENOSPC = libc::ENOSPC;
    ESPIPE = libc::ESPIPE;
    EROFS = libc::EROFS;
    EPIPE = libc::EPIPE;
    EDOM = libc::EDOM;
    ERANGE = libc::ERANGE;
    ENAMETOOLONG = libc::ENAMETOOLONG;
    ENOTSOCK = libc::ENOTSOCK;
    EOVERFLOW = libc::EOVERFLOW;
    ENOTSUP = libc::ENOTSUP;
    EALREADY = libc::EALREADY;
    ECANCELED = libc::ECANCELED;
    EDQUOT = libc::EDQUOT;
    // Names that ZFS has and Linux lacks; it borrows other numbers for them.
    ECKSUM = libc::EBADE;
    EFRAGS = libc::EBADR;
    ECHRNG = libc::ECHRNG;
    ETIME = libc::ETIME;
    ZFS_ERR_CHECKPOINT_EXISTS = 1024;
    ZFS_ERR_DISCARDING_CHECKPOINT = 1025;
    ZFS_ERR_NO_CHECKPOINT = 1026;
    ZFS_ERR_DEVRM_IN_PROGRESS = 1027;
    ZFS_ERR_VDEV_TOO_BIG = 1028;
    ZFS_ERR_IOC_CMD_UNAVAIL = 1029;
    ZFS_ERR_IOC_ARG_UNAVAIL = 1030;
    ZFS_ERR_IOC_ARG_REQUIRED = 1031;
    ZFS_ERR_IOC_ARG_BADTYPE = 1032;
    ZFS_ERR_WRONG_PARENT = 1033;
    ZFS_ERR_FROM_IVSET_GUID_MISSING = 1034;
    ZFS_ERR_FROM_IVSET_GUID_MISMATCH = 1035;
    ZFS_ERR_SPILL_BLOCK_FLAG_MISSING = 1036;
    ZFS_ERR_UNKNOWN_SEND_STREAM_FEATURE = 1037;
    ZFS_ERR_EXPORT_IN_PROGRESS = 1038;
    ZFS_ERR_BOOKMARK_SOURCE_NOT_ANCESTOR = 1039;
    ZFS_ERR_STREAM_TRUNCATED = 1040;
    ZFS_ERR_STREAM_LARGE_BLOCK_MISMATCH = 1041;
    ZFS_ERR_RESILVER_IN_PROGRESS = 1042;
    ZFS_ERR_REBUILD_IN_PROGRESS = 1043;
    ZFS_ERR_BADPROP = 1044;
    ZFS_ERR_VDEV_NOTSUP = 1045;
    ZFS_ERR_NOT_USER_NAMESPACE = 1046;
    ZFS_ERR_RESUME_EXISTS = 1047;
    ZFS_ERR_CRYPTO_NOTSUP = 1048;
    ZFS_ERR_RAIDZ_EXPAND_IN_PROGRESS = 1049;
    ZFS_ERR_ASHIFT_MISMATCH = 1050;
    ZFS_ERR_STREAM_LARGE_MICROZAP = 1051;
    ZFS_ERR_TOO_MANY_SITOUTS = 1052;
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error {}", self.0),
        }
    }
}

impl From<Errno> for std::io::Error {
    fn from(errno: Errno) -> std::io::Error {
        std::io::Error::from_raw_os_error(errno.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zfs_own_numbers_have_names_without_a_gap() {
        for number in 1024..=1052 {
            let name = Errno(number).name().unwrap();
            assert!(name.starts_with("ZFS_ERR_"), "{number}: {name}");
        }
        assert_eq!(Errno(1053).name(), None);
        assert_eq!(Errno(1053).to_string(), "error 1053");
        assert_eq!(Errno(1040).to_string(), "ZFS_ERR_STREAM_TRUNCATED");
    }
}
