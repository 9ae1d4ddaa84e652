//! Pure Rust: which snapshots a policy keeps, which it destroys, and why.
