//! Whether `zfs receive` would take a stream, and what is wrong if not.
//!
//! ```text
//! source -> [ Verifier ] -> Report              (verify: whole, going on after damage)
//! file   -> [ Verifier ] -> Report              (verify_at: the same on all cores)
//! source -> [ Verifier -> VerifyingReader ] -> sink   (in flight, stopping at damage)
//! ```
//!
//! Every record carries a checksum of everything before it, so damage shows at
//! the next record's header, not where it is: a [`Finding`] names the record
//! that was damaged as well as it can be known. A stream that lost its framing
//! is searched for the next record that bears its snapshot's GUID, and checking
//! goes on there.
//!
//! **A stream of which every checksum is right can still take down who receives
//! it.** OpenZFS up to 2.4.4 looks at several lengths only after it took memory
//! for them: it panics, or writes beyond that memory, at a WRITE or SPILL without a
//! payload, at one with a logical size of nothing or of more than 16 MiB, at a
//! compression that it does not know, at a payload longer than its block, and at a
//! bonus buffer longer than its dnode. The WRITEs were seen to do so on 2.3.9 (the
//! too long payload by leaving it out: with it the kernel crashed later); SPILLs, the
//! bonus buffer and other releases are from their source. The verifier refuses
//! them, and says so ([`Finding::consequence`]).
//!
//! [`VerifyingReader`] stands between a sender and `zfs receive`: it hands a
//! record on only after the next one's checksum has proven it.
//!
//! ```
//! use zfs_stream::verify;
//! # use zfs_stream::nvlist::ByteOrder;
//! # use zfs_stream::record::{Begin, BeginFlags, End, Record, Writer};
//! # let mut stream = Vec::new();
//! # let mut writer = Writer::new(&mut stream, ByteOrder::Little);
//! # let begin = Begin { version_info: 1, objset_type: 2, to_guid: 42, to_name: b"a@b".to_vec(), ..Begin::default() };
//! # writer.write(&Record::Begin(begin), &[])?;
//! # writer.write(&Record::End(End { to_guid: 42, ..End::default() }), &[])?;
//! let report = verify::verify(&stream[..])?;
//! assert!(report.is_intact());
//!
//! stream[400] ^= 1;
//! let report = verify::verify(&stream[..])?;
//! for finding in &report.findings {
//!     println!("{finding}: {}", finding.consequence());
//! }
//! assert!(!report.is_intact());
//! # Ok::<(), zfs_stream::Error>(())
//! ```
//!
//! Sources: `module/zfs/dmu_recv.c` and `lib/libzfs/libzfs_sendrecv.c` of
//! OpenZFS.

mod begin;
mod compound;
mod fields;
mod finding;
mod known;
mod nvlist;
mod parallel;
mod report;
mod scan;
mod stage;
mod verifier;

pub use finding::{Finding, Kind, Severity};
pub use parallel::verify_at;
pub use report::Report;
pub use scan::{verify, verify_with};
pub use stage::VerifyingReader;
pub use verifier::Verifier;

#[cfg(test)]
mod damage;
#[cfg(test)]
mod tests;
