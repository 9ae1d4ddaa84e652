//! What bindgen made of OpenZFS' headers. 2.1 is the baseline that every
//! supported release has; what 2.2 and 2.3 added stands in tables of its own.

#[rustfmt::skip]
pub mod cmd;
#[rustfmt::skip]
pub mod numbers;
#[rustfmt::skip]
pub mod nvpair;
#[rustfmt::skip]
pub mod v2_1;
#[rustfmt::skip]
pub mod v2_2;
#[rustfmt::skip]
pub mod v2_3;
