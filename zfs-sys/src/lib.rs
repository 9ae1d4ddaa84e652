//! Raw bindings to libzfs_core, libnvpair and /dev/zfs, loaded at run time.
