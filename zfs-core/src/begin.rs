//! The record that a stream begins with.

use std::io::{self, Read};

use crate::error::StreamProblem;
use crate::name::Guid;

/// How long it is (`sizeof (dmu_replay_record_t)`).
pub(crate) const BEGIN_RECORD_BYTES: usize = 312;

/// `DMU_BACKUP_MAGIC` of `sys/zfs_ioctl.h`.
const MAGIC: u64 = 0x2_f5ba_cbac;

/// `DRR_BEGIN` of `sys/zfs_ioctl.h`.
const DRR_BEGIN: u32 = 0;

/// `DMU_SUBSTREAM`, in the lowest two bits of `drr_versioninfo`: the stream
/// of one snapshot. A package of several has another number there.
const SUBSTREAM: u64 = 1;

/// `DMU_BACKUP_FEATURE_RAW`. The features begin at bit 2 of `drr_versioninfo`.
const FEATURE_RAW: u64 = 1 << (24 + 2);

/// `DMU_BACKUP_FEATURE_DEDUP` and `…_DEDUPPROPS`, which no ZFS receives since
/// 2.0.
const FEATURES_DEDUP: u64 = 3 << 2;

/// The features that a receiver must know (`sys/zfs_ioctl.h`), with the words
/// of zfs-send(8) and zpool-features(7).
const FEATURES: [(u32, &str); 15] = [
    (0, "deduplication"),
    (1, "deduplicated properties"),
    (2, "spill blocks"),
    (16, "embedded_data"),
    (17, "lz4_compress"),
    (19, "large_blocks"),
    (20, "resuming"),
    (21, "redaction"),
    (22, "compressed blocks"),
    (23, "large_dnode"),
    (24, "raw blocks"),
    (25, "zstd_compress"),
    (26, "holds"),
    (28, "longname"),
    (29, "large_microzap"),
];

/// `DRR_FLAG_CLONE`, in `drr_flags`.
const FLAG_CLONE: u32 = 1;

/// The first record of a stream, as it came: for callers who look at it
/// before they know where to receive it.
///
/// Read it from the stream with [`BeginRecord::read`], then hand it to
/// [`ReceiveRequest::begin_record`](crate::ReceiveRequest::begin_record).
#[derive(Clone, PartialEq, Eq)]
pub struct BeginRecord {
    bytes: Box<[u8; BEGIN_RECORD_BYTES]>,
    swapped: bool,
}

impl BeginRecord {
    /// Takes a stream's first 312 bytes.
    ///
    /// # Errors
    ///
    /// [`StreamProblem`]: it is no stream, or a package of several.
    pub fn new(bytes: [u8; BEGIN_RECORD_BYTES]) -> Result<BeginRecord, StreamProblem> {
        let mut record = BeginRecord {
            bytes: Box::new(bytes),
            swapped: false,
        };
        record.swapped = match record.u64_at(8) {
            MAGIC => false,
            other if other.swap_bytes() == MAGIC => true,
            _ => return Err(StreamProblem::NotAStream),
        };
        if record.u32_at(0) != DRR_BEGIN {
            return Err(StreamProblem::NotAStream);
        }
        if record.versioninfo() & 3 != SUBSTREAM {
            return Err(StreamProblem::Package);
        }
        Ok(record)
    }

    /// Reads the record from the beginning of a stream, and not a byte more.
    ///
    /// # Errors
    ///
    /// What the system said, or in it a [`StreamProblem`].
    pub fn read(stream: &mut impl Read) -> io::Result<BeginRecord> {
        let mut bytes = [0; BEGIN_RECORD_BYTES];
        let mut filled = 0;
        while let Some(rest @ [_, ..]) = bytes.get_mut(filled..) {
            match stream.read(rest) {
                Ok(0) if filled == 0 => return Err(invalid(StreamProblem::Empty)),
                Ok(0) => return Err(invalid(StreamProblem::Truncated { bytes: filled })),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        BeginRecord::new(bytes).map_err(invalid)
    }

    /// The GUID of the snapshot that the stream brings.
    pub fn to_guid(&self) -> Guid {
        Guid(self.u64_at(40))
    }

    /// The GUID of the snapshot that it needs, or `None` for a full stream.
    pub fn from_guid(&self) -> Option<Guid> {
        match self.u64_at(48) {
            0 => None,
            guid => Some(Guid(guid)),
        }
    }

    /// The name of the snapshot where it was sent. It is text from elsewhere,
    /// and need not be a valid name.
    pub fn to_name(&self) -> String {
        let name = self.bytes.get(56..).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(name).into_owned()
    }

    /// Whether the blocks are sent as they are stored, encrypted ones
    /// encrypted.
    pub fn is_raw(&self) -> bool {
        self.versioninfo() & FEATURE_RAW != 0
    }

    /// Whether it was made with `zfs send -D`, which no ZFS receives any more.
    pub fn is_deduplicated(&self) -> bool {
        self.versioninfo() & FEATURES_DEDUP != 0
    }

    /// What its receiver must know, in words, for an error.
    pub(crate) fn features(&self) -> String {
        // Bits 2 to 57; the rest is not for features.
        let features = (self.versioninfo() >> 2) & ((1 << 56) - 1);
        let mut words = Vec::new();
        for bit in 0..56 {
            if features & (1 << bit) != 0 {
                match FEATURES.iter().find(|(known, _)| *known == bit) {
                    Some((_, word)) => words.push((*word).to_owned()),
                    None => words.push(format!("an unknown feature (number {bit})")),
                }
            }
        }
        if words.is_empty() {
            return "no features".into();
        }
        words.join(", ")
    }

    /// Whether it is of a clone, incremental from its origin.
    pub fn is_clone(&self) -> bool {
        self.u32_at(36) & FLAG_CLONE != 0
    }

    pub(crate) fn bytes(&self) -> &[u8; BEGIN_RECORD_BYTES] {
        &self.bytes
    }

    fn versioninfo(&self) -> u64 {
        self.u64_at(16)
    }

    fn u64_at(&self, at: usize) -> u64 {
        let number = match self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => u64::from_ne_bytes(*bytes),
            None => 0,
        };
        if self.swapped {
            number.swap_bytes()
        } else {
            number
        }
    }

    fn u32_at(&self, at: usize) -> u32 {
        let number = match self.bytes.get(at..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => u32::from_ne_bytes(*bytes),
            None => 0,
        };
        if self.swapped {
            number.swap_bytes()
        } else {
            number
        }
    }
}

impl std::fmt::Debug for BeginRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BeginRecord")
            .field("to_name", &self.to_name())
            .field("to_guid", &self.to_guid())
            .field("from_guid", &self.from_guid())
            .field("raw", &self.is_raw())
            .field("clone", &self.is_clone())
            .finish_non_exhaustive()
    }
}

fn invalid(problem: StreamProblem) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(versioninfo: u64, swap: bool) -> [u8; BEGIN_RECORD_BYTES] {
        let mut bytes = [0; BEGIN_RECORD_BYTES];
        let mut put = |at: usize, number: u64| {
            let number = if swap { number.swap_bytes() } else { number };
            bytes[at..at + 8].copy_from_slice(&number.to_ne_bytes());
        };
        put(8, MAGIC);
        put(16, versioninfo);
        put(40, 0x1122_3344_5566_7788);
        put(48, 7);
        bytes[56..66].copy_from_slice(b"tank/a@mon");
        bytes
    }

    fn problem(bytes: &[u8]) -> StreamProblem {
        let error = BeginRecord::read(&mut &bytes[..]).unwrap_err();
        let inner = error.get_ref().unwrap();
        inner.downcast_ref::<StreamProblem>().unwrap().clone()
    }

    #[test]
    fn a_record_is_read_in_either_byte_order() {
        for swap in [false, true] {
            let record = BeginRecord::new(record(SUBSTREAM | FEATURE_RAW, swap)).unwrap();
            assert_eq!(record.to_guid(), Guid(0x1122_3344_5566_7788));
            assert_eq!(record.from_guid(), Some(Guid(7)));
            assert_eq!(record.to_name(), "tank/a@mon");
            assert!(record.is_raw());
        }
        assert!(!BeginRecord::new(record(SUBSTREAM, false)).unwrap().is_raw());
    }

    #[test]
    fn what_is_no_stream_is_told_from_one_that_is_cut_off() {
        assert_eq!(problem(b""), StreamProblem::Empty);
        assert_eq!(
            problem(&record(SUBSTREAM, false)[..311]),
            StreamProblem::Truncated { bytes: 311 }
        );
        assert_eq!(problem(&[0; 312]), StreamProblem::NotAStream);
        assert_eq!(problem(&record(2, false)), StreamProblem::Package);
        let mut end = record(SUBSTREAM, false);
        end[0] = 5;
        assert_eq!(problem(&end), StreamProblem::NotAStream);
    }

    #[test]
    fn features_have_words_and_unknown_ones_numbers() {
        let begin = |features: u64| BeginRecord::new(record(SUBSTREAM | features << 2, false));
        assert_eq!(begin(0).unwrap().features(), "no features");
        let some = begin(1 << 19 | 1 << 22 | 1 << 41).unwrap();
        assert_eq!(
            some.features(),
            "large_blocks, compressed blocks, an unknown feature (number 41)"
        );
        assert!(!some.is_deduplicated());
        assert!(begin(1).unwrap().is_deduplicated());
    }

    #[test]
    fn nothing_behind_the_record_is_read() {
        let mut stream = record(SUBSTREAM, false).to_vec();
        stream.extend_from_slice(b"what follows");
        let mut stream = &stream[..];
        BeginRecord::read(&mut stream).unwrap();
        assert_eq!(stream, b"what follows");
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = BeginRecord::read(&mut &bytes[..]);
        }

        #[test]
        fn any_record_can_be_shown(rest in prop::collection::vec(any::<u8>(), 288)) {
            let mut bytes = record(SUBSTREAM, false);
            bytes[24..].copy_from_slice(&rest);
            let _ = format!("{:?}", BeginRecord::new(bytes).unwrap());
        }
    }
}
