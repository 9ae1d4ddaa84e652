//! What can be wrong with a stream.

use std::fmt;

use crate::fletcher::Checksum;
use crate::record::{Features, Problem, RecordType};

/// Whether a finding keeps a stream from being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// `zfs receive` takes it all the same, but no sender writes such a
    /// stream, or some receivers cannot read it.
    Warning,
    /// `zfs receive` stops here.
    Fatal,
}

/// Something wrong, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Where the record begins that it is about, in bytes from the stream's
    /// start.
    pub offset: u64,
    /// Which record it is; the first is 0.
    pub record: u64,
    /// The record's type, where there is one.
    pub record_type: Option<RecordType>,
    /// The object that the record is about.
    pub object: Option<u64>,
    /// Where in the object, in bytes.
    pub object_offset: Option<u64>,
    /// What is wrong.
    pub kind: Kind,
}

impl Finding {
    /// One that is about no record that could be read.
    pub(super) fn between(offset: u64, record: u64, kind: Kind) -> Self {
        Self {
            offset,
            record,
            record_type: None,
            object: None,
            object_offset: None,
            kind,
        }
    }

    /// Whether it keeps the stream from being received.
    pub fn severity(&self) -> Severity {
        self.kind.severity()
    }

    /// What it means for who wants to restore from the stream.
    pub fn consequence(&self) -> &'static str {
        self.kind.consequence()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}, record {}", self.offset, self.record)?;
        if let Some(record_type) = self.record_type {
            write!(f, " ({record_type}")?;
            if let Some(object) = self.object {
                write!(f, ", object {object}")?;
            }
            if let Some(offset) = self.object_offset {
                write!(f, " at {offset}")?;
            }
            f.write_str(")")?;
        }
        write!(f, ": {}", self.kind)
    }
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Kind {
    /// What was sent up to the next record's checksum is not what arrived. The
    /// finding is about the record whose payload, or else header, changed.
    #[error("damaged: the checksum after it is {stated}, the bytes give {computed}")]
    Damaged {
        /// What the next header, or this one, states.
        stated: Checksum,
        /// What the bytes give.
        computed: Checksum,
    },
    /// The END's checksum of the whole stream is wrong although each record's
    /// was right, or was not there.
    #[error("the stream's checksum is {stated}, its bytes give {computed}")]
    DamagedEnd {
        /// What the END states.
        stated: Checksum,
        /// What the bytes give.
        computed: Checksum,
    },
    /// A record whose checksum is zero: ZFS does not check it.
    #[error("the record has no checksum")]
    Unchecked,
    /// Bytes that are no record.
    #[error("{0}")]
    NotARecord(Problem),
    /// Bytes that could not be read as records were left out.
    #[error("{bytes} bytes before it could not be read")]
    Skipped {
        /// How many.
        bytes: u64,
    },
    /// There is nothing.
    #[error("the stream is empty")]
    Empty,
    /// The stream ends without an END.
    #[error("the stream ends without an END record")]
    MissingEnd,
    /// A compound stream ends without its closing END.
    #[error("the compound stream ends without its closing END record")]
    MissingFinalEnd,
    /// A BEGIN inside a stream.
    #[error("a BEGIN record before the stream's END")]
    UnexpectedBegin,
    /// A second END, or a closing END of a compound stream that was not begun.
    #[error("an END record where no stream is open")]
    UnexpectedEnd,
    /// A record after the END.
    #[error("a record after the stream's END")]
    AfterEnd,
    /// Records after the stream's end, and no BEGIN among them.
    #[error("records follow the stream's end, and do not begin another")]
    TrailingRecords,
    /// Bytes after the stream's end, too few for a record.
    #[error("{bytes} bytes follow the stream's end")]
    TrailingBytes {
        /// How many.
        bytes: u64,
    },
    /// Another stream after a whole one.
    #[error("another stream follows the first")]
    TrailingStream,
    /// A compound stream inside a compound stream.
    #[error("a compound stream inside a compound stream")]
    NestedCompound,
    /// A header type that is neither substream nor compound stream.
    #[error("unknown stream header type {0}")]
    UnknownHeaderType(u8),
    /// Features that no current receiver has.
    #[error("features that OpenZFS does not receive: {0}")]
    UnsupportedFeatures(Features),
    /// Features or flags that exclude or need each other.
    #[error("{0}")]
    Contradiction(&'static str),
    /// The nvlist of a BEGIN cannot be read.
    #[error("its nvlist cannot be read: {0}")]
    BadNvlist(String),
    /// The nvlist of a BEGIN lacks something.
    #[error("its nvlist has no {0}")]
    MissingFromNvlist(&'static str),
    /// Something in the nvlist of a BEGIN is not what the receiver wants.
    #[error("the {name} of its nvlist is {rule}")]
    BadInNvlist {
        /// Its name.
        name: &'static str,
        /// What is wrong with it.
        rule: &'static str,
    },
    /// A snapshot that is in the list of a compound stream and of which no
    /// substream came.
    #[error("{snapshot:?} is in the stream's list, and did not come")]
    MissingSubstream {
        /// Its name.
        snapshot: String,
        /// No sender leaves it out; else it may be one that was meant to be left
        /// out.
        certain: bool,
    },
    /// An incremental substream whose source did not come before it, nor is one
    /// that the list says is there.
    #[error("its source, the snapshot with GUID {guid}, did not come before it")]
    MissingSource {
        /// The GUID of that source.
        guid: u64,
        /// The list is that of a full stream, so that it cannot be there.
        certain: bool,
    },
    /// A substream that came before.
    #[error("its snapshot came before")]
    DoubledSubstream {
        /// It is a full one.
        full: bool,
    },
    /// The name in a BEGIN is not a snapshot's.
    #[error("its name {0:?} is not that of a snapshot")]
    NotASnapshot(String),
    /// A record that the stream's features do not announce.
    #[error("the stream's features lack {0}")]
    MissingFeature(Features),
    /// A field has a value that the receiver refuses.
    #[error("its {field} of {value} is {rule}")]
    BadField {
        /// The field, as ZFS names it.
        field: &'static str,
        /// Its value.
        value: u64,
        /// What is wrong with that.
        rule: &'static str,
    },
    /// A compressed block of metadata outside raw streams.
    #[error("a compressed block of metadata (object type {0}), which no sender writes")]
    CompressedMetadata(u32),
    /// A block that comes before one that was already there.
    #[error("it comes after object {object} at {offset}, which is later")]
    OutOfOrder {
        /// The object of the block before.
        object: u64,
        /// Where in it that block stands.
        offset: u64,
    },
    /// An object of which the stream has not told what it is.
    #[error("no OBJECT record came before it")]
    UnknownObject,
    /// A snapshot GUID that is not that of the records before.
    #[error("it is of the snapshot with GUID {found}, the records before of {expected}")]
    OtherSnapshot {
        /// The records' before.
        expected: u64,
        /// This one's.
        found: u64,
    },
}

impl Kind {
    /// Whether the stream only ends too early, so that a stream that resumes it
    /// can complete it.
    pub fn is_cut(&self) -> bool {
        matches!(
            self,
            Self::NotARecord(Problem::TruncatedHeader { .. } | Problem::TruncatedPayload { .. })
                | Self::MissingEnd
                | Self::MissingFinalEnd
        )
    }

    /// Whether it keeps the stream from being received.
    pub fn severity(&self) -> Severity {
        match self {
            // No receiver since OpenZFS 2.0 takes the record it announces.
            Self::MissingFeature(features) if features.contains(Features::DEDUP) => Severity::Fatal,
            Self::Unchecked
            | Self::TrailingStream
            | Self::MissingFeature(_)
            | Self::OtherSnapshot { .. }
            | Self::CompressedMetadata(_)
            | Self::MissingSubstream { certain: false, .. }
            | Self::MissingSource { certain: false, .. }
            | Self::DoubledSubstream { full: false }
            | Self::BadField {
                rule: super::fields::UNUSUAL,
                ..
            } => Severity::Warning,
            _ => Severity::Fatal,
        }
    }

    /// What it means for who wants to restore from the stream.
    pub fn consequence(&self) -> &'static str {
        match self {
            Self::Damaged { .. } | Self::DamagedEnd { .. } => {
                "zfs receive stops here; with -s it keeps what came before, and a new send can go on from its resume token"
            }
            Self::NotARecord(
                Problem::TruncatedHeader { .. } | Problem::TruncatedPayload { .. },
            )
            | Self::MissingEnd
            | Self::MissingFinalEnd => {
                "the stream is incomplete; zfs receive -s keeps what is there, and a new send can go on from its resume token"
            }
            Self::NotARecord(_) | Self::Skipped { .. } => {
                "zfs receive stops here; what follows can be read but not received"
            }
            Self::Empty => "there is nothing to receive",
            Self::Unchecked => "zfs receive takes the record without checking it",
            Self::UnexpectedBegin
            | Self::UnexpectedEnd
            | Self::AfterEnd
            | Self::NestedCompound
            | Self::UnknownHeaderType(_) => "zfs receive refuses the stream here",
            Self::TrailingBytes { .. } | Self::TrailingRecords => {
                "the stream before them is whole; they are no part of it"
            }
            Self::TrailingStream => "one zfs receive reads only the first stream",
            Self::MissingSubstream { certain: true, .. } => {
                "zfs receive takes the others, and does not tell that it is missing"
            }
            Self::MissingSubstream { .. } => {
                "it was left out (zfs send -X), or is lost: zfs receive does not tell"
            }
            Self::MissingSource { certain: true, .. } => {
                "zfs receive does not take it without its source, nor what comes after it"
            }
            Self::MissingSource { .. } => "zfs receive takes it only where its source is",
            Self::DoubledSubstream { full: true } => {
                "zfs receive refuses a full stream of what is there"
            }
            Self::DoubledSubstream { .. } => "zfs receive leaves out what is there",
            Self::UnsupportedFeatures(features) if features.contains(Features::DEDUP) => {
                "no OpenZFS since 2.0 receives it until it is redupped"
            }
            Self::UnsupportedFeatures(_) => "zfs receive refuses the stream as too new or foreign",
            Self::Contradiction(_)
            | Self::BadNvlist(_)
            | Self::MissingFromNvlist(_)
            | Self::BadInNvlist { .. }
            | Self::NotASnapshot(_) => "zfs receive refuses the stream",
            Self::MissingFeature(features) if features.contains(Features::DEDUP) => {
                "zfs receive fails at this record (invalid argument)"
            }
            Self::MissingFeature(_) => "receivers without that feature may fail half way",
            Self::BadField {
                rule: super::fields::UNUSUAL,
                ..
            } => "zfs receive takes it, but newer receivers may refuse it",
            Self::BadField {
                rule: super::fields::BEYOND_DNODE,
                ..
            } => {
                "OpenZFS up to 2.4 does not refuse it, and writes beyond the object in the kernel's memory: never give it to zfs receive"
            }
            Self::BadField { rule, .. } if super::fields::KILLING.contains(rule) => {
                "OpenZFS up to 2.4 does not refuse it, and its kernel panics or damages its memory: never give it to zfs receive"
            }
            Self::BadField { .. } | Self::OutOfOrder { .. } | Self::UnknownObject => {
                "zfs receive fails at this record (invalid argument)"
            }
            Self::CompressedMetadata(_) => {
                "zfs receive takes it, but on a machine of the other byte order it could not be read afterwards; recompress mends it"
            }
            Self::OtherSnapshot { .. } => "zfs receive takes it, but no sender writes it",
        }
    }
}
