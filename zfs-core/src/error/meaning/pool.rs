//! What the numbers mean where something was attempted on a pool, compared or
//! looked up.

use super::{Meaning, meaning};
use crate::error::{Errno, ErrorKind, Operation};

pub(super) fn of(operation: Operation, errno: Errno) -> Option<Meaning> {
    of_one(operation, errno).or_else(|| of_pool(errno))
}

/// What holds for every operation on a pool.
fn of_pool(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT => meaning(
            K::NotFound,
            "there is no imported pool of that name",
            "zpool list; zpool import",
        ),
        Errno::EPERM | Errno::EACCES => meaning(
            K::PermissionDenied,
            "it is not permitted",
            "pools are administered by root alone",
        ),
        _ => return None,
    })
}

fn of_one(operation: Operation, errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match (operation, errno) {
        (Operation::Scrub, Errno::EBUSY) => meaning(
            K::Busy,
            "it is being scrubbed or resilvered already",
            "zpool status {pool}",
        ),
        (Operation::Scrub, Errno::ENOTSUP) => meaning(
            K::NotSupported,
            "the pool lacks the feature head_errlog, which a scrub of errors needs",
            "zpool upgrade {pool}",
        ),
        (Operation::Scrub, Errno::ECANCELED) => {
            meaning(K::NotFound, "no errors are recorded that it could read", "")
        }
        (Operation::PauseScrub, Errno::EBUSY) => meaning(
            K::Busy,
            "its scrub is paused already, or it is being resilvered",
            "zpool status {pool}",
        ),
        (Operation::PauseScrub | Operation::StopScrub, Errno::ENOENT) => {
            meaning(K::NotFound, "no scrub is running", "zpool status {pool}")
        }
        (Operation::StopScrub, Errno::EBUSY) => meaning(
            K::Busy,
            "it is being resilvered, which cannot be stopped",
            "zpool status {pool}",
        ),
        (Operation::Initialize | Operation::Trim, Errno::ENODEV) => meaning(
            K::NotFound,
            "the pool has no such device, or it is an auxiliary one",
            "zpool status -g shows the devices by GUID",
        ),
        (Operation::Initialize | Operation::Trim, Errno::EBUSY) => meaning(
            K::Busy,
            "it is going on already, or the device is being removed",
            "zpool status -it says what is going on",
        ),
        (Operation::Initialize | Operation::Trim, Errno::ESRCH) => meaning(
            K::NotFound,
            "it is not going on, so that it cannot be suspended or cancelled",
            "zpool status -it says what is going on",
        ),
        (Operation::Initialize | Operation::Trim, Errno::EROFS) => {
            meaning(K::ReadOnly, "the device cannot be written to", "")
        }
        (Operation::Initialize | Operation::Trim, Errno::EINVAL) => meaning(
            K::Invalid,
            "only a whole, working leaf device can be",
            "zpool status -g shows the devices by GUID",
        ),
        (Operation::Trim, Errno::ENOTSUP) => meaning(
            K::NotSupported,
            "the device cannot be trimmed, or not securely",
            "",
        ),
        (Operation::Wait, Errno::ECANCELED) => meaning(
            K::Interrupted,
            "the pool was exported or destroyed meanwhile",
            "",
        ),
        (Operation::Wait, Errno::EINVAL) => meaning(
            K::Invalid,
            "this cannot be waited for there",
            "devices are waited for that are initialized or trimmed",
        ),
        (Operation::GetVdevProperties | Operation::SetVdevProperties, Errno::ENOENT) => meaning(
            K::NotFound,
            "there is no imported pool of that name, or it has no such device",
            "zpool status -g {pool} shows the devices by GUID",
        ),
        (Operation::SetVdevProperties, Errno::EINVAL) => meaning(
            K::Invalid,
            "the property or its value cannot be set on this device",
            "vdevprops(7) lists them",
        ),
        (Operation::SetBootenv, Errno::E2BIG | Errno::ENOSPC) => meaning(
            K::NoSpace,
            "it is larger than the place for it on the devices",
            "",
        ),
        (Operation::SetBootenv, Errno::EINVAL | Errno::ENOTSUP) => meaning(
            K::Invalid,
            "a boot environment is a list with a version, number 0 or 1",
            "",
        ),
        (Operation::Prefetch, Errno::EINVAL) => {
            meaning(K::NotSupported, "there is nothing to prefetch", "")
        }
        (Operation::PruneDedupTable, Errno::ENOTSUP) => meaning(
            K::NotSupported,
            "the pool lacks the feature fast_dedup",
            "zpool upgrade {pool}",
        ),
        (Operation::PruneDedupTable, Errno::EALREADY) => {
            meaning(K::Busy, "its table is being pruned already", "")
        }
        (Operation::Program, Errno::EINVAL) => meaning(
            K::Invalid,
            "a limit is 0 or larger than this system allows",
            "cat /sys/module/zfs/parameters/zfs_lua_max_*",
        ),
        _ => return None,
    })
}

/// What differs between snapshots, and what is allowed.
pub(super) fn of_reading(operation: Operation, errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match (operation, errno) {
        (Operation::Diff, Errno::EXDEV) => meaning(
            K::Unrelated,
            "the first snapshot is not an earlier point of its history",
            "zfs list -t snapshot -o name,guid,createtxg {dataset}",
        ),
        (Operation::Diff, Errno::ENOENT) => meaning(
            K::NotFound,
            "it, or the snapshot to compare with, does not exist",
            "zfs list -t snapshot {dataset}",
        ),
        (Operation::Diff, Errno::EACCES) => meaning(
            K::KeyUnavailable,
            "its encryption key is not loaded, and names are encrypted",
            "zfs load-key {dataset}",
        ),
        (Operation::Diff, Errno::EINVAL) => meaning(
            K::Invalid,
            "only filesystems have files that could differ",
            "",
        ),
        (Operation::GetAllow, Errno::ENOENT) => {
            meaning(K::NotFound, "the dataset does not exist", "")
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use crate::error::{Errno, ErrorKind, Failure, Operation};

    #[test]
    fn one_number_means_another_thing_to_each_operation_on_a_pool() {
        let kind = |operation, errno| Failure::new(operation, "tank", errno).kind();
        assert_eq!(kind(Operation::Sync, Errno::ENOENT), ErrorKind::NotFound);
        assert_eq!(kind(Operation::StopScrub, Errno::EBUSY), ErrorKind::Busy);
        assert_eq!(
            kind(Operation::Trim, Errno::ENOTSUP),
            ErrorKind::NotSupported
        );
        let text = Failure::new(Operation::StopScrub, "tank", Errno::ENOENT).to_string();
        assert_eq!(
            text,
            "cannot stop the scrub of pool tank: no scrub is running (zpool status tank)"
        );
        for (operation, name, errno, said) in [
            (
                Operation::Wait,
                "tank",
                Errno::ENOENT,
                "cannot wait for activity in pool tank: there is no imported pool of that name \
                 (zpool list; zpool import)",
            ),
            (
                Operation::Wait,
                "tank",
                Errno::EAGAIN,
                "cannot wait for activity in pool tank: the pool tank is suspended \
                 (zpool status tank; zpool clear tank once its devices are back)",
            ),
            (
                Operation::WaitFilesystem,
                "tank/a",
                Errno::ENOENT,
                "cannot wait for the delete queue of tank/a: it does not exist",
            ),
            (
                Operation::SetVdevProperties,
                "tank",
                Errno::ENOENT,
                "cannot set properties of a device of pool tank: there is no imported pool of \
                 that name, or it has no such device (zpool status -g tank shows the devices by \
                 GUID)",
            ),
        ] {
            let text = Failure::new(operation, name, errno).to_string();
            assert_eq!(text, said);
        }
        let text = Failure::new(Operation::Scrub, "tank", Errno::EPERM).to_string();
        assert!(text.contains("root"), "{text}");
    }
}
