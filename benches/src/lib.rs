//! Criterion benches and the comparisons with peers.
