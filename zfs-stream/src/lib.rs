//! Pure Rust: nvlists, ZFS send-stream records, checksums and resume tokens.
