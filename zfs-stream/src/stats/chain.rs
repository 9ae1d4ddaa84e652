//! Whether streams follow each other.

use std::collections::BTreeMap;
use std::fmt;

use super::Stream;
use crate::record::{Begin, Features};

/// Why streams do not follow each other. Streams are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Break {
    /// An incremental stream whose source no stream before it brings.
    NeedsSource {
        /// Which stream it is.
        stream: usize,
        /// The GUID of that source.
        from_guid: u64,
    },
    /// A stream of a dataset starts from another snapshot than the one that the
    /// dataset's stream before it ends at.
    Gap {
        /// Which stream it is.
        stream: usize,
        /// The GUID it starts from, 0 for a full stream.
        from_guid: u64,
        /// The GUID that the stream before ends at.
        previous: u64,
    },
    /// A stream without its END, and the next does not resume it.
    Cut {
        /// Which stream it is.
        stream: usize,
    },
    /// A stream that resumes another, and the one before is whole or another's.
    ResumesNothing {
        /// Which stream it is.
        stream: usize,
    },
    /// A stream that resumes another at a place that that one does not reach.
    ResumesBeyond {
        /// Which stream it is.
        stream: usize,
        /// The object and offset where it goes on.
        place: (u64, u64),
        /// How far the one before goes.
        reached: (u64, u64),
    },
    /// A raw incremental stream whose source is not from a raw one.
    RawOntoOther {
        /// Which stream it is.
        stream: usize,
    },
    /// A raw incremental stream of which the source was encrypted otherwise:
    /// their IV set GUIDs differ, or one has none.
    OtherIvSet {
        /// Which stream it is.
        stream: usize,
    },
    /// A stream from a redacted source that needs what was left out there.
    RedactedSource {
        /// Which stream it is.
        stream: usize,
    },
}

impl Break {
    /// Which stream it is about.
    pub fn stream(&self) -> usize {
        match *self {
            Self::NeedsSource { stream, .. }
            | Self::Gap { stream, .. }
            | Self::Cut { stream }
            | Self::ResumesNothing { stream }
            | Self::ResumesBeyond { stream, .. }
            | Self::RawOntoOther { stream }
            | Self::OtherIvSet { stream }
            | Self::RedactedSource { stream } => stream,
        }
    }
}

impl fmt::Display for Break {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeedsSource { stream, from_guid } => write!(
                f,
                "stream {stream} is incremental, and no stream before it brings its source: the snapshot with GUID {from_guid} must be there"
            ),
            Self::Gap {
                stream,
                from_guid: 0,
                previous,
            } => write!(
                f,
                "stream {stream} is a full one and does not continue from GUID {previous}"
            ),
            Self::Gap {
                stream,
                from_guid,
                previous,
            } => write!(
                f,
                "stream {stream} starts from GUID {from_guid}, but the one before ends at {previous}"
            ),
            Self::Cut { stream } => write!(
                f,
                "stream {stream} is cut off, and the next one does not resume it"
            ),
            Self::ResumesNothing { stream } => write!(
                f,
                "stream {stream} resumes one that was interrupted, and the one before it was not"
            ),
            Self::ResumesBeyond {
                stream,
                place,
                reached,
            } => write!(
                f,
                "stream {stream} goes on at object {}, offset {}, but the one before ends at object {}, offset {}",
                place.0, place.1, reached.0, reached.1
            ),
            Self::RawOntoOther { stream } => write!(
                f,
                "stream {stream} is a raw one, and its source is from one that is not"
            ),
            Self::OtherIvSet { stream } => write!(
                f,
                "stream {stream} is a raw one, and its source is not the same encrypted data (IV set GUID)"
            ),
            Self::RedactedSource { stream } => write!(
                f,
                "stream {stream} starts from a redacted snapshot, and is neither redacted alike nor made for it"
            ),
        }
    }
}

/// Whether streams, received one after the other, lead from nothing to the
/// last: what breaks the chains of their GUIDs. Each dataset has a chain of its
/// own, which begins with a full stream, or, of a clone, with one from a
/// snapshot of another. A stream that was cut off is continued by one that
/// resumes it, no further than it reaches. A raw stream goes onto the same
/// encrypted data, and what starts from a redacted snapshot is made for that.
/// Compound streams' own BEGINs are left out.
pub fn chain<'a>(streams: impl IntoIterator<Item = &'a Stream>) -> Vec<Break> {
    let mut received = Received::default();
    let mut breaks = Vec::new();
    for (number, stream) in streams.into_iter().enumerate() {
        if !stream.begin.is_compound() {
            received.stream(number, stream, &mut breaks);
        }
    }
    if let Some((stream, _)) = received.cut {
        breaks.push(Break::Cut { stream });
    }
    breaks
}

/// What is there after so many streams.
#[derive(Default)]
struct Received<'a> {
    /// The streams of all snapshots, by their GUIDs.
    snapshots: BTreeMap<u64, &'a Stream>,
    /// That of each dataset's last, by the dataset's name.
    last: BTreeMap<&'a [u8], u64>,
    /// A stream that was not received to its end.
    cut: Option<(usize, &'a Stream)>,
}

impl<'a> Received<'a> {
    fn stream(&mut self, number: usize, stream: &'a Stream, breaks: &mut Vec<Break>) {
        let begin = &stream.begin;
        let resumes = begin.features().contains(Features::RESUMING);
        let cut = self.cut.take();
        let resumed = cut.filter(|(_, cut)| {
            let same = (cut.begin.to_guid, cut.begin.from_guid);
            resumes && same == (begin.to_guid, begin.from_guid)
        });
        if let (Some((stream, _)), None) = (cut, resumed) {
            breaks.push(Break::Cut { stream });
        }
        let name = dataset(begin);
        if let Some((_, part)) = resumed {
            breaks.extend(goes_on(number, part, stream));
        } else if resumes {
            breaks.push(Break::ResumesNothing { stream: number });
        } else {
            let missing = self.source(number, name, begin.from_guid);
            let base = self.snapshots.get(&begin.from_guid);
            let unfit = base.and_then(|base| unfit(number, base, stream));
            breaks.extend(missing.or(unfit));
        }
        if !stream.ended {
            self.cut = Some((number, stream));
        }
        self.snapshots.insert(begin.to_guid, stream);
        self.last.insert(name, begin.to_guid);
    }

    /// Whether a stream of that dataset can start from there.
    fn source(&self, stream: usize, name: &[u8], from_guid: u64) -> Option<Break> {
        match self.last.get(name) {
            Some(&previous) if previous != from_guid => Some(Break::Gap {
                stream,
                from_guid,
                previous,
            }),
            None if from_guid != 0 && !self.snapshots.contains_key(&from_guid) => {
                Some(Break::NeedsSource { stream, from_guid })
            }
            _ => None,
        }
    }
}

/// The name of a stream's dataset.
fn dataset(begin: &Begin) -> &[u8] {
    let name = begin.to_name.split(|&byte| byte == b'@').next();
    name.unwrap_or_default()
}

/// Where a stream resumes another.
fn place(stream: &Stream) -> Option<(u64, u64)> {
    let list = stream.nvlist.as_ref()?;
    let object = list.get_u64("resume_object")?;
    Some((object, list.get_u64("resume_offset")?))
}

/// Whether the part before reaches to where a stream goes on. That may itself
/// be a rest of which nothing came.
fn goes_on(number: usize, part: &Stream, rest: &Stream) -> Option<Break> {
    let reached = part.reached.max(place(part).unwrap_or_default());
    let place = place(rest).filter(|&place| place > reached)?;
    Some(Break::ResumesBeyond {
        stream: number,
        place,
        reached,
    })
}

/// Why a stream cannot be received onto its source, though it is there.
/// Sources: `recv_begin_check_existing_impl` and `redact_check` in
/// `module/zfs/dmu_recv.c`, `dsl_crypto_recv_raw_objset_check` in
/// `module/zfs/dsl_crypt.c`.
fn unfit(number: usize, base: &Stream, stream: &Stream) -> Option<Break> {
    let raw = |stream: &Stream| stream.begin.features().contains(Features::RAW);
    // What a clone comes from is not compared.
    let same_dataset = dataset(&base.begin) == dataset(&stream.begin);
    if raw(stream) && same_dataset {
        if !raw(base) {
            return Some(Break::RawOntoOther { stream: number });
        }
        let (from, to) = ("from_ivset_guid", "to_ivset_guid");
        let source = iv_set(stream, from).filter(|&guid| guid != 0);
        if source.is_none() || source != iv_set(base, to) {
            return Some(Break::OtherIvSet { stream: number });
        }
    }
    let snaps = guids(base, "redact_snaps");
    let redacted = base.begin.features().contains(Features::REDACTED);
    (redacted && !fits_redaction(snaps, stream)).then_some(Break::RedactedSource { stream: number })
}

fn iv_set(stream: &Stream, name: &str) -> Option<u64> {
    let key = stream.nvlist.as_ref()?.get_nvlist("crypt_keydata")?;
    key.get_u64(name)
}

fn guids<'a>(stream: &'a Stream, name: &str) -> &'a [u64] {
    let list = stream.nvlist.as_ref();
    list.and_then(|list| list.get_u64_array(name))
        .unwrap_or_default()
}

/// Whether a stream needs nothing that a source lacks which is redacted with
/// respect to those snapshots.
fn fits_redaction(snaps: &[u64], stream: &Stream) -> bool {
    let has = |name| {
        stream
            .nvlist
            .as_ref()
            .is_some_and(|list| list.contains(name))
    };
    let wanted = if has("redact_from_snaps") {
        guids(stream, "redact_from_snaps")
    } else if stream.begin.features().contains(Features::REDACTED) {
        guids(stream, "redact_snaps")
    } else {
        // One of those is a snapshot of a clone that was redacted for.
        &[stream.begin.to_guid]
    };
    wanted.iter().all(|guid| snaps.contains(guid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvlist::{ByteOrder, NvList, Value};
    use crate::record::tests::begin;

    fn link(name: &str, from_guid: u64, to_guid: u64) -> Stream {
        let mut begin = begin();
        (begin.from_guid, begin.to_guid) = (from_guid, to_guid);
        begin.to_name = format!("{name}@{to_guid}").into_bytes();
        begin.version_info = Begin::make_version_info(false, Features::default());
        Stream {
            offset: 0,
            order: ByteOrder::Little,
            begin,
            nvlist: None,
            ended: true,
            reached: (0, 0),
        }
    }

    fn cut(mut stream: Stream) -> Stream {
        stream.ended = false;
        stream
    }

    fn resumed(mut stream: Stream) -> Stream {
        stream.begin.version_info = Begin::make_version_info(false, Features::RESUMING);
        stream
    }

    #[test]
    fn a_chain_is_unbroken_where_guids_meet() {
        let [full, second, third] = [link("a", 0, 1), link("a", 1, 2), link("a", 2, 3)];
        assert_eq!(chain([&full, &second, &third]), []);
        assert_eq!(
            chain([&full, &third]),
            [Break::Gap {
                stream: 1,
                from_guid: 2,
                previous: 1
            }]
        );
        assert_eq!(
            chain([&second]),
            [Break::NeedsSource {
                stream: 0,
                from_guid: 1
            }]
        );
        assert!(!chain([&full, &full]).is_empty());
    }

    #[test]
    fn each_dataset_of_a_recursive_stream_has_its_own_chain() {
        let first = [link("a", 0, 1), link("a/b", 0, 2), link("a/c", 0, 3)];
        // A clone of a/b, and a dataset that is new on the second day.
        let second = [link("a", 1, 4), link("a/b", 2, 5), link("a/d", 2, 6)];
        let third = [link("a/new", 0, 7), link("a/c", 3, 8), link("a/d", 6, 9)];
        let all: Vec<_> = first.iter().chain(&second).chain(&third).collect();
        assert_eq!(chain(all), []);
        let gap = Break::Gap {
            stream: 3,
            from_guid: 5,
            previous: 2,
        };
        assert_eq!(chain(first.iter().chain([&link("a/b", 5, 10)])), [gap]);
        let needs = Break::NeedsSource {
            stream: 3,
            from_guid: 77,
        };
        assert_eq!(chain(first.iter().chain([&link("a/x", 77, 78)])), [needs]);
    }

    #[test]
    fn what_was_cut_off_needs_the_stream_that_resumes_it() {
        let [full, second, third] = [link("a", 0, 1), link("a", 1, 2), link("a", 2, 3)];
        let (part, rest) = (cut(second.clone()), resumed(second.clone()));
        assert_eq!(chain([&full, &part, &rest, &third]), []);
        // Interrupted twice.
        let middle = cut(rest.clone());
        assert_eq!(chain([&full, &part, &middle, &rest, &third]), []);
        assert_eq!(chain([&full, &part]), [Break::Cut { stream: 1 }]);
        assert_eq!(chain([&full, &part, &third]), [Break::Cut { stream: 1 }]);
        let nothing = [Break::ResumesNothing { stream: 2 }];
        assert_eq!(chain([&full, &second, &rest]), nothing);
        let other = resumed(third);
        let both = [
            Break::Cut { stream: 1 },
            Break::ResumesNothing { stream: 2 },
        ];
        assert_eq!(chain([&full, &part, &other]), both);
    }

    fn with(mut stream: Stream, features: Features, list: &[(&str, Value)]) -> Stream {
        stream.begin.version_info = Begin::make_version_info(false, features);
        let mut nvlist = NvList::new();
        for (name, value) in list {
            nvlist.insert(name, value.clone()).unwrap();
        }
        stream.nvlist = Some(nvlist);
        stream
    }

    fn resumed_at(stream: &Stream, object: u64, offset: u64) -> Stream {
        let place = [
            ("resume_object", object.into()),
            ("resume_offset", offset.into()),
        ];
        with(stream.clone(), Features::RESUMING, &place)
    }

    #[test]
    fn a_rest_goes_on_where_the_part_before_ends() {
        let full = link("a", 0, 1);
        let mut part = cut(full.clone());
        part.reached = (5, 8192);
        for (object, offset) in [(4, 1 << 30), (5, 0), (5, 8192)] {
            let rest = resumed_at(&full, object, offset);
            assert_eq!(chain([&part, &rest]), []);
            // One between, of which nothing came.
            assert_eq!(chain([&part, &cut(rest.clone()), &rest]), []);
        }
        for place in [(5, 8704), (6, 0)] {
            let beyond = Break::ResumesBeyond {
                stream: 1,
                place,
                reached: (5, 8192),
            };
            let rest = resumed_at(&full, place.0, place.1);
            assert_eq!(chain([&part, &rest]), [beyond]);
        }
    }

    #[test]
    fn raw_streams_go_onto_the_same_encrypted_data() {
        let raw = |stream: Stream, from: u64, to: u64| {
            let mut key = NvList::new();
            key.insert("from_ivset_guid", from).unwrap();
            key.insert("to_ivset_guid", to).unwrap();
            with(stream, Features::RAW, &[("crypt_keydata", key.into())])
        };
        let (full, second) = (link("a", 0, 1), link("a", 1, 2));
        let base = raw(full.clone(), 0, 7);
        assert_eq!(chain([&base, &raw(second.clone(), 7, 8)]), []);
        // With the key it can be received; a raw one onto that cannot.
        assert_eq!(chain([&base, &second]), []);
        assert_eq!(
            chain([&full, &raw(second.clone(), 7, 8)]),
            [Break::RawOntoOther { stream: 1 }]
        );
        for from in [0, 9] {
            assert_eq!(
                chain([&base, &raw(second.clone(), from, 8)]),
                [Break::OtherIvSet { stream: 1 }]
            );
        }
        // A clone.
        assert_eq!(chain([&base, &raw(link("b", 1, 2), 9, 8)]), []);
    }

    #[test]
    fn a_redacted_source_has_not_all_that_others_need() {
        let redacted = |stream: Stream, snaps: &[u64]| {
            let snaps = ("redact_snaps", snaps.to_vec().into());
            with(stream, Features::REDACTED, &[snaps])
        };
        let base = redacted(link("a", 0, 1), &[50, 60]);
        let from = |snaps: &[u64]| {
            let snaps = ("redact_from_snaps", snaps.to_vec().into());
            with(link("a", 1, 2), Features::default(), &[snaps])
        };
        for fits in [
            redacted(link("a", 1, 2), &[60]),
            from(&[50]),
            // A snapshot that it is redacted with respect to.
            link("b", 1, 50),
        ] {
            assert_eq!(chain([&base, &fits]), []);
        }
        for unfit in [
            link("a", 1, 2),
            link("b", 1, 2),
            redacted(link("a", 1, 2), &[60, 70]),
            from(&[70]),
        ] {
            let redacted = Break::RedactedSource { stream: 1 };
            assert_eq!(chain([&base, &unfit]), [redacted]);
        }
    }
}
