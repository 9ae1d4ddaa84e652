#![doc = include_str!("../docs/functions.md")]
