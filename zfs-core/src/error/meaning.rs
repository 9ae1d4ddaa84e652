//! What an error number means, which depends on what was attempted.
//!
//! The texts are ours; the facts come from OpenZFS: the comments in
//! `lib/libzfs_core/libzfs_core.c`, the ioctl handlers in
//! `module/zfs/zfs_ioctl.c` and what they call, and pyzfs'
//! `_error_translation.py` (Apache-2.0), which was the first to write down
//! that one number means different things.

mod pool;

use super::{Errno, ErrorKind, Operation};

/// What happened, in a half-sentence, and what to do about it. In the advice
/// `{name}`, `{dataset}` and `{pool}` stand for what was attempted upon.
pub(super) struct Meaning {
    pub(super) kind: ErrorKind,
    pub(super) what: &'static str,
    pub(super) advice: &'static str,
}

const fn meaning(kind: ErrorKind, what: &'static str, advice: &'static str) -> Meaning {
    Meaning { kind, what, advice }
}

pub(super) fn of(operation: Operation, errno: Errno) -> Option<Meaning> {
    by_operation(operation, errno)
        .or_else(|| of_zfs(errno))
        .or_else(|| of_any(errno))
}

/// Where an operation gives a number a meaning of its own.
fn by_operation(operation: Operation, errno: Errno) -> Option<Meaning> {
    match operation {
        Operation::Create | Operation::Clone => of_create(operation, errno),
        Operation::Snapshot => of_snapshot(errno),
        Operation::Destroy => of_destroy(errno),
        Operation::DestroySnapshots => of_destroy_snapshots(errno),
        Operation::Hold | Operation::Release => of_hold(operation, errno),
        Operation::Bookmark => of_bookmark(errno),
        Operation::Promote | Operation::Rename | Operation::Rollback => {
            of_history(operation, errno)
        }
        Operation::LoadKey | Operation::UnloadKey | Operation::ChangeKey => {
            of_key(operation, errno)
        }
        Operation::Send | Operation::SendSpace => of_send(errno),
        Operation::Receive => of_receive(errno),
        Operation::Redact => of_redact(errno),
        Operation::SnapshotRangeSpace => of_snapshot_range(errno),
        Operation::SetProperty | Operation::InheritProperty => of_property(errno),
        Operation::LogHistory => of_log(errno),
        Operation::Diff | Operation::GetAllow => pool::of_reading(operation, errno),
        Operation::PoolStatus
        | Operation::GetVdevProperties
        | Operation::SetVdevProperties
        | Operation::Sync
        | Operation::Reopen
        | Operation::Checkpoint
        | Operation::DiscardCheckpoint
        | Operation::Initialize
        | Operation::Trim
        | Operation::Wait
        | Operation::GetBootenv
        | Operation::SetBootenv
        | Operation::Scrub
        | Operation::PauseScrub
        | Operation::StopScrub
        | Operation::Prefetch
        | Operation::PruneDedupTable
        | Operation::Program => pool::of(operation, errno),
        _ => None,
    }
}

fn of_create(operation: Operation, errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT if operation == Operation::Clone => meaning(
            K::NotFound,
            "its origin or the dataset above it does not exist",
            "",
        ),
        Errno::ENOENT => meaning(
            K::NotFound,
            "the dataset above it does not exist",
            "create that first, or ask for parents",
        ),
        Errno::EXDEV => meaning(
            K::CrossPool,
            "its origin is in another pool",
            "send and receive copies between pools",
        ),
        Errno::EINVAL | Errno::ZFS_ERR_BADPROP => meaning(
            K::Invalid,
            "a property or its value cannot be set here",
            "zfs-props(7) lists what each kind of dataset takes",
        ),
        Errno::EDOM => meaning(
            K::Invalid,
            "volblocksize must be a power of two from 512 to 128 KiB",
            "",
        ),
        Errno::EACCES => meaning(
            K::KeyUnavailable,
            "the key of its parent or origin is not loaded",
            "zfs load-key",
        ),
        _ => return None,
    })
}

fn of_log(errno: Errno) -> Option<Meaning> {
    let unchanged = "this thread has changed no pool since it last did this";
    (errno == Errno::EPERM).then(|| {
        meaning(
            ErrorKind::PermissionDenied,
            unchanged,
            "log once after a change, and on the same thread",
        )
    })
}

fn of_snapshot(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT => meaning(K::NotFound, "the dataset {dataset} does not exist", ""),
        Errno::EEXIST => meaning(K::Exists, "it exists already", ""),
        Errno::EXDEV => meaning(
            K::CrossPool,
            "the snapshots of one call must be in one pool, and of different datasets",
            "take them in two calls",
        ),
        Errno::EINVAL => meaning(
            K::Invalid,
            "a property cannot be set on a snapshot",
            "snapshots take user properties, with a colon in the name",
        ),
        _ => return None,
    })
}

fn of_destroy(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EBUSY => meaning(
            K::Busy,
            "it is mounted, in use, or has snapshots",
            "zfs list -t snapshot {name}; zfs unmount {name}",
        ),
        Errno::EEXIST => meaning(
            K::HasChildren,
            "it has datasets below it",
            "destroy those first: zfs list -r {name}",
        ),
        _ => return None,
    })
}

fn of_destroy_snapshots(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT => meaning(K::NotFound, "the pool {pool} does not exist", "zpool list"),
        Errno::EBUSY => meaning(
            K::Held,
            "it is held, mounted or being sent",
            "zfs holds {name}; destroy it deferred and it goes with its last hold",
        ),
        Errno::EEXIST => meaning(
            K::HasClones,
            "it has clones",
            "zfs get clones {name}; destroy or promote them first, or destroy it deferred",
        ),
        Errno::EXDEV => meaning(
            K::CrossPool,
            "the snapshots of one call must be in one pool",
            "",
        ),
        _ => return None,
    })
}

fn of_hold(operation: Operation, errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT if operation == Operation::Hold => {
            meaning(K::NotFound, "the snapshot does not exist", "")
        }
        Errno::ENOENT | Errno::ESRCH => meaning(
            K::NotFound,
            "there is no such snapshot, or no such hold on it",
            "zfs holds {name}",
        ),
        Errno::EEXIST => meaning(K::Exists, "it has a hold of that tag already", ""),
        Errno::E2BIG => meaning(
            K::Invalid,
            "the tag of a hold is too long",
            "tags have at most 255 bytes, fewer on holds that end by themselves",
        ),
        Errno::EXDEV => meaning(
            K::CrossPool,
            "the snapshots of one call must be in one pool",
            "",
        ),
        Errno::EBADF => meaning(
            K::Invalid,
            "the descriptor that was to end the holds is not an exclusive one of /dev/zfs",
            "",
        ),
        _ => return None,
    })
}

fn of_bookmark(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT | Errno::ESRCH => meaning(
            K::NotFound,
            "the snapshot or bookmark it is made from does not exist",
            "",
        ),
        Errno::EEXIST => meaning(K::Exists, "a bookmark of that name exists already", ""),
        Errno::EXDEV => meaning(
            K::CrossPool,
            "a bookmark and what it is made from must be in one pool",
            "",
        ),
        Errno::EINVAL => meaning(
            K::Invalid,
            "what it is made from does not belong to its dataset or that one's origins, \
             or a name is given twice",
            "",
        ),
        Errno::ZFS_ERR_BOOKMARK_SOURCE_NOT_ANCESTOR => meaning(
            K::Unrelated,
            "what it is made from belongs to another dataset",
            "a bookmark is made on the dataset of its snapshot",
        ),
        Errno::ENOTSUP => meaning(
            K::NotSupported,
            "the pool {pool} lacks the feature bookmarks",
            "zpool upgrade {pool}",
        ),
        _ => return None,
    })
}

/// Promote, rename and rollback: what moves a dataset's snapshots.
fn of_history(operation: Operation, errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match (operation, errno) {
        (Operation::Promote, Errno::EINVAL | Errno::ENOTSOCK) => {
            meaning(K::Invalid, "it is not a clone", "")
        }
        (Operation::Promote, Errno::EEXIST) => meaning(
            K::Exists,
            "a snapshot of its origin has the name of one of its own",
            "rename or destroy one of the two",
        ),
        (Operation::Promote, Errno::EBUSY) => meaning(K::Busy, "it or its origin is in use", ""),
        (Operation::Rename, Errno::EEXIST) => meaning(K::Exists, "the new name is taken", ""),
        (Operation::Rename, Errno::EXDEV) => meaning(
            K::CrossPool,
            "the new name is in another pool or dataset",
            "send and receive copies between pools",
        ),
        (Operation::Rename, Errno::ENOENT) => meaning(
            K::NotFound,
            "it, or what is to be above it, does not exist",
            "",
        ),
        (Operation::Rename, Errno::EINVAL) => meaning(
            K::Invalid,
            "the new name lies below the old one, or is of another kind",
            "",
        ),
        (Operation::Rename, Errno::EACCES) => meaning(
            K::KeyUnavailable,
            "it would leave its encryption root",
            "give it a key of its own first: zfs change-key",
        ),
        (Operation::Rollback, Errno::ESRCH) => meaning(
            K::NotFound,
            "there is no such snapshot to roll back to",
            "zfs list -t snapshot {dataset}",
        ),
        (Operation::Rollback, Errno::EEXIST) => meaning(
            K::NotLatest,
            "there are newer snapshots or bookmarks",
            "destroy those first; rolling back goes to the latest snapshot only",
        ),
        (Operation::Rollback, Errno::EXDEV) => meaning(
            K::NotLatest,
            "the snapshot is not the latest of this dataset",
            "",
        ),
        _ => return None,
    })
}

fn of_key(operation: Operation, errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match (operation, errno) {
        (Operation::LoadKey, Errno::EACCES) => meaning(
            K::WrongKey,
            "this is not its key",
            "zfs get keyformat,keylocation,encryptionroot {name}",
        ),
        (Operation::LoadKey, Errno::EEXIST) => {
            meaning(K::KeyLoaded, "its key is loaded already", "")
        }
        (Operation::LoadKey | Operation::UnloadKey, Errno::EINVAL) => meaning(
            K::NotEncryptionRoot,
            "it is not an encryption root",
            "zfs get encryptionroot {name} says whose key it uses",
        ),
        (Operation::UnloadKey, Errno::EACCES | Errno::ENOENT) => meaning(
            K::KeyUnavailable,
            "no key of its own is loaded",
            "zfs get keystatus,encryptionroot {name}",
        ),
        (Operation::UnloadKey, Errno::EBUSY) => meaning(
            K::Busy,
            "a dataset that uses the key is mounted or open",
            "zfs unmount {name}, and what is below it",
        ),
        (Operation::ChangeKey, Errno::EACCES) => meaning(
            K::KeyUnavailable,
            "its present key, or that of its parent, is not loaded",
            "zfs load-key",
        ),
        (Operation::ChangeKey, Errno::EINVAL) => meaning(
            K::Invalid,
            "it is not encrypted, is a clone, or the new key's properties do not fit",
            "zfs get encryption,encryptionroot,origin,keyformat {name}",
        ),
        (_, Errno::ENOTSUP) => meaning(
            K::NotSupported,
            "the pool {pool} lacks the feature encryption",
            "zpool upgrade {pool}",
        ),
        _ => return None,
    })
}

fn of_send(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT | Errno::ESRCH => meaning(
            K::NotFound,
            "it, or the incremental source, does not exist",
            "zfs list -t snapshot,bookmark {dataset}",
        ),
        Errno::EXDEV => meaning(
            K::Unrelated,
            "the incremental source is not an earlier point of its history",
            "compare with: zfs list -t snapshot,bookmark -o name,guid,createtxg {dataset}",
        ),
        Errno::EACCES => meaning(
            K::KeyUnavailable,
            "its encryption key is not loaded",
            "send it raw, or zfs load-key {dataset}",
        ),
        Errno::EBUSY => meaning(
            K::Busy,
            "it is in use",
            "a filesystem that is sent without a snapshot must not be mounted",
        ),
        Errno::EPIPE => meaning(
            K::Interrupted,
            "the reader of the pipe has gone",
            "the reader's own error says why",
        ),
        Errno::EINTR => meaning(
            K::Interrupted,
            "it was interrupted, or the reader of the pipe has gone",
            "",
        ),
        Errno::EBADF => meaning(
            K::Invalid,
            "the descriptor to write to is not open for writing",
            "",
        ),
        Errno::EINVAL => meaning(
            K::Invalid,
            "its flags, incremental source or resume position do not fit it",
            "a stream is resumed with the very flags it was begun with",
        ),
        Errno::ENOTSUP => meaning(
            K::NotSupported,
            "its flags do not fit its data",
            "blocks above 128 KiB of an encrypted or compressed dataset need large-block",
        ),
        Errno::EIO | Errno::ECKSUM => meaning(
            K::Damaged,
            "its data could not be read",
            "zpool status -v {pool}",
        ),
        _ => return None,
    })
}

fn of_receive(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT => meaning(
            K::NotFound,
            "the dataset above it, or the origin of the stream, does not exist",
            "a full stream needs the parent; an incremental one needs the dataset and its base",
        ),
        Errno::EEXIST => meaning(
            K::Exists,
            "it exists already",
            "a full stream goes to a new name; forced, it replaces what is there",
        ),
        Errno::ENODEV => meaning(
            K::Unrelated,
            "{dataset}, or the origin, is not of the lineage that the stream is incremental from",
            "zfs list -t snapshot -o name,guid {dataset}",
        ),
        Errno::ETXTBSY => meaning(
            K::Modified,
            "{dataset} was modified since the snapshot that the stream is incremental from",
            "roll it back to that one; receiving forced destroys newer snapshots as well",
        ),
        Errno::EBUSY => meaning(
            K::Busy,
            "{dataset} is in use, holds an interrupted receive, or has a held snapshot in the way",
            "resume that receive (zfs get receive_resume_token {dataset}) or give it up \
             (zfs receive -A {dataset}); zfs holds",
        ),
        Errno::ECKSUM => meaning(
            K::BadStream,
            "the stream is damaged: a checksum in it does not match",
            "what was received so far is kept if the receive was resumable",
        ),
        Errno::ZFS_ERR_STREAM_TRUNCATED => meaning(
            K::StreamTruncated,
            "the stream ends too early",
            "what was received so far is kept if the receive was resumable",
        ),
        Errno::EINVAL => meaning(
            K::BadStream,
            "the stream is not one, or does not fit the way it is received",
            "a resumed stream is received resumable; zfs-streamdump shows what it holds",
        ),
        Errno::ENOTSUP => meaning(
            K::NotSupported,
            "the stream needs a feature that the pool {pool} lacks",
            "zpool upgrade {pool}",
        ),
        Errno::EACCES => meaning(
            K::KeyUnavailable,
            "the key of {dataset} or of its parent is not loaded",
            "zfs load-key, or send raw",
        ),
        Errno::ERANGE => meaning(
            K::BadStream,
            "the stream has a record that is too large",
            "",
        ),
        Errno::EBADF => meaning(
            K::Invalid,
            "the descriptor to read from is not open for reading",
            "",
        ),
        Errno::EPERM => meaning(
            K::PermissionDenied,
            "it is not permitted",
            "run as root, or zfs allow USER receive,create,mount {dataset}; \
             a forced receive over snapshots that differ needs root",
        ),
        Errno::EINTR => meaning(K::Interrupted, "it was interrupted", ""),
        _ => return None,
    })
}

fn of_redact(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT => meaning(
            K::NotFound,
            "it, or one of the snapshots to redact it by, does not exist",
            "",
        ),
        Errno::EEXIST => meaning(
            K::Exists,
            "the redaction bookmark exists already",
            "zfs list -t bookmark {dataset}",
        ),
        Errno::ESRCH => meaning(
            K::Exists,
            "the redaction bookmark was begun with other snapshots, and is not complete",
            "give it the same ones, or destroy it",
        ),
        Errno::EINVAL | Errno::EXDEV => meaning(
            K::Unrelated,
            "what it is to be redacted by are not snapshots of clones of it",
            "zfs get clones {name}",
        ),
        Errno::EALREADY => meaning(
            K::Invalid,
            "it, or one of the snapshots to redact it by, came from a redacted stream itself",
            "",
        ),
        Errno::ENOTSUP => meaning(
            K::NotSupported,
            "the pool {pool} lacks the feature redaction_bookmarks or redacted_datasets",
            "zpool upgrade {pool}",
        ),
        _ => return None,
    })
}

fn of_snapshot_range(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ENOENT => meaning(
            K::NotFound,
            "the first or the last snapshot does not exist",
            "zfs list -t snapshot {dataset}",
        ),
        Errno::EINVAL => meaning(
            K::Unrelated,
            "the first snapshot is not an earlier one of its dataset",
            "zfs list -t snapshot -o name,createtxg {dataset}",
        ),
        _ => return None,
    })
}

fn of_property(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::EINVAL | Errno::ZFS_ERR_BADPROP => meaning(
            K::Invalid,
            "the property or its value cannot be set here",
            "zfs-props(7) lists what each kind of dataset takes",
        ),
        Errno::ENOTSUP => meaning(
            K::NotSupported,
            "the pool {pool} lacks a feature that this value needs",
            "zpool upgrade {pool}",
        ),
        _ => return None,
    })
}

/// OpenZFS' own numbers, which mean the same everywhere.
fn of_zfs(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        Errno::ZFS_ERR_CHECKPOINT_EXISTS => {
            meaning(K::Exists, "the pool {pool} has a checkpoint", "")
        }
        Errno::ZFS_ERR_DISCARDING_CHECKPOINT => {
            meaning(K::Busy, "the checkpoint of {pool} is being discarded", "")
        }
        Errno::ZFS_ERR_NO_CHECKPOINT => {
            meaning(K::NotFound, "the pool {pool} has no checkpoint", "")
        }
        Errno::ZFS_ERR_DEVRM_IN_PROGRESS => {
            meaning(K::Busy, "a device is being removed from {pool}", "")
        }
        Errno::ZFS_ERR_VDEV_TOO_BIG => meaning(
            K::NotSupported,
            "a device of {pool} is too big for that",
            "",
        ),
        Errno::ZFS_ERR_IOC_CMD_UNAVAIL => meaning(
            K::NotSupported,
            "the loaded ZFS kernel module does not know this operation",
            "load a newer one; cat /sys/module/zfs/version",
        ),
        Errno::ZFS_ERR_IOC_ARG_UNAVAIL => meaning(
            K::NotSupported,
            "the loaded ZFS kernel module does not know one of the options",
            "load a newer one; cat /sys/module/zfs/version",
        ),
        Errno::ZFS_ERR_IOC_ARG_REQUIRED => meaning(
            K::NotSupported,
            "the loaded ZFS kernel module wants an argument that the library did not give",
            "use the library of the module's version; cat /sys/module/zfs/version",
        ),
        Errno::ZFS_ERR_IOC_ARG_BADTYPE => meaning(
            K::NotSupported,
            "the loaded ZFS kernel module wants an argument of another type",
            "use the library of the module's version; cat /sys/module/zfs/version",
        ),
        Errno::ZFS_ERR_WRONG_PARENT => meaning(
            K::Invalid,
            "what is above it is not a filesystem",
            "a volume has no datasets below it",
        ),
        Errno::ZFS_ERR_FROM_IVSET_GUID_MISSING => meaning(
            K::Unrelated,
            "the base of the raw stream has no IV set GUID",
            "the base must have been received raw itself; old ones need \
             zfs_disable_ivset_guid_check",
        ),
        Errno::ZFS_ERR_FROM_IVSET_GUID_MISMATCH => meaning(
            K::Unrelated,
            "the raw stream was made from another encryption of the base",
            "begin again with a full raw stream",
        ),
        Errno::ZFS_ERR_SPILL_BLOCK_FLAG_MISSING => meaning(
            K::BadStream,
            "the raw stream comes from a ZFS that lost spill blocks",
            "send it from a newer ZFS",
        ),
        Errno::ZFS_ERR_UNKNOWN_SEND_STREAM_FEATURE => meaning(
            K::NotSupported,
            "the stream uses a feature that this ZFS does not know",
            "receive it with a newer ZFS",
        ),
        Errno::ZFS_ERR_EXPORT_IN_PROGRESS => {
            meaning(K::Busy, "the pool {pool} is being exported", "")
        }
        Errno::ZFS_ERR_BOOKMARK_SOURCE_NOT_ANCESTOR => meaning(
            K::Unrelated,
            "the source of the bookmark is not in its dataset's history",
            "",
        ),
        Errno::ZFS_ERR_STREAM_TRUNCATED => {
            meaning(K::StreamTruncated, "the stream ends too early", "")
        }
        Errno::ZFS_ERR_STREAM_LARGE_BLOCK_MISMATCH => meaning(
            K::Unrelated,
            "large blocks were on in one stream of this dataset and off in another",
            "send with large-block always, or begin again with a full stream",
        ),
        Errno::ZFS_ERR_RESILVER_IN_PROGRESS => meaning(
            K::Busy,
            "the pool {pool} is resilvering",
            "zpool status {pool}",
        ),
        Errno::ZFS_ERR_REBUILD_IN_PROGRESS => meaning(
            K::Busy,
            "the pool {pool} is being rebuilt",
            "zpool status {pool}",
        ),
        Errno::ZFS_ERR_BADPROP => meaning(K::Invalid, "a property or its value is not valid", ""),
        Errno::ZFS_ERR_VDEV_NOTSUP => meaning(
            K::NotSupported,
            "this kind of device does not support that",
            "",
        ),
        Errno::ZFS_ERR_NOT_USER_NAMESPACE => {
            meaning(K::Invalid, "the file given is not a user namespace", "")
        }
        Errno::ZFS_ERR_RESUME_EXISTS => meaning(
            K::Busy,
            "{dataset} holds an interrupted receive",
            "resume it (zfs get receive_resume_token {dataset}) or give it up \
             (zfs receive -A {dataset})",
        ),
        Errno::ZFS_ERR_CRYPTO_NOTSUP => meaning(
            K::NotSupported,
            "the stream and the dataset do not agree on encryption",
            "a raw stream cannot go over an unencrypted dataset, nor a plain one over a \
             dataset that was received raw",
        ),
        Errno::ZFS_ERR_RAIDZ_EXPAND_IN_PROGRESS => meaning(
            K::Busy,
            "a RAIDZ device of {pool} is being expanded",
            "zpool status {pool}",
        ),
        Errno::ZFS_ERR_ASHIFT_MISMATCH => meaning(
            K::Invalid,
            "the sector sizes (ashift) of the devices do not agree",
            "",
        ),
        Errno::ZFS_ERR_STREAM_LARGE_MICROZAP => meaning(
            K::NotSupported,
            "it has large microzap directories, which need large blocks",
            "send it with large-block",
        ),
        Errno::ZFS_ERR_TOO_MANY_SITOUTS => meaning(
            K::Busy,
            "too many devices of {pool} are sitting out reads already",
            "zpool status {pool}",
        ),
        _ => return None,
    })
}

/// What the system's numbers mean where no operation says otherwise.
fn of_any(errno: Errno) -> Option<Meaning> {
    use ErrorKind as K;
    Some(match errno {
        // The advice for this one names the permission: `Failure::advice`.
        Errno::EPERM | Errno::EACCES => meaning(K::PermissionDenied, "it is not permitted", ""),
        Errno::ENOENT | Errno::ESRCH => meaning(K::NotFound, "it does not exist", ""),
        Errno::EEXIST => meaning(K::Exists, "it exists already", ""),
        Errno::EBUSY => meaning(K::Busy, "it is in use", ""),
        Errno::EXDEV => meaning(K::CrossPool, "what it concerns is not in one pool", ""),
        Errno::EINVAL => meaning(K::Invalid, "ZFS calls the arguments invalid", ""),
        Errno::EROFS => meaning(
            K::ReadOnly,
            "the pool {pool} is imported read-only",
            "zpool export {pool}, and import it without readonly=on",
        ),
        Errno::EAGAIN => meaning(
            K::Suspended,
            "the pool {pool} is suspended",
            "zpool status {pool}; zpool clear {pool} once its devices are back",
        ),
        Errno::ENOSPC => meaning(
            K::NoSpace,
            "the pool {pool} has no space left",
            "zfs list -o space -r {pool}",
        ),
        Errno::EDQUOT => meaning(
            K::NoSpace,
            "a quota is reached",
            "zfs get -r quota,refquota,snapshot_limit,filesystem_limit {dataset}",
        ),
        Errno::EIO => meaning(
            K::Damaged,
            "there was an input/output error",
            "zpool status -v {pool}",
        ),
        Errno::ECKSUM => meaning(
            K::Damaged,
            "a checksum does not match",
            "zpool status -v {pool}",
        ),
        Errno::ENXIO => meaning(
            K::Damaged,
            "the pool {pool} lacks devices",
            "zpool status {pool}",
        ),
        Errno::ENOTSUP => meaning(
            K::NotSupported,
            "this pool or this ZFS does not support it",
            "zpool get all {pool} shows the features",
        ),
        Errno::ENOTTY => meaning(
            K::NotSupported,
            "the loaded ZFS kernel module does not know this operation",
            "cat /sys/module/zfs/version",
        ),
        Errno::ENAMETOOLONG => meaning(
            K::Invalid,
            "a name would become too long, or too deeply nested",
            "names have at most 255 bytes, and datasets nest 50 deep",
        ),
        Errno::EINTR => meaning(K::Interrupted, "it was interrupted", ""),
        Errno::ENOMEM => meaning(K::Other, "there is not enough memory", ""),
        Errno::EBADF => meaning(K::Invalid, "a descriptor is not open for that", ""),
        _ => return None,
    })
}
