//! Whether streams follow each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::Stream;
use crate::record::Features;

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
        }
    }
}

/// Whether streams, received one after the other, lead from nothing to the
/// last: what breaks the chains of their GUIDs. Each dataset has a chain of its
/// own, which begins with a full stream, or, of a clone, with one from a
/// snapshot of another. A stream that was cut off is continued by one that
/// resumes it. Compound streams' own BEGINs are left out.
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
    /// The GUIDs of all snapshots.
    snapshots: BTreeSet<u64>,
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
        let name = begin.to_name.split(|&byte| byte == b'@').next();
        let name = name.unwrap_or_default();
        if resumes && resumed.is_none() {
            breaks.push(Break::ResumesNothing { stream: number });
        } else if !resumes {
            breaks.extend(self.source(number, name, begin.from_guid));
        }
        if !stream.ended {
            self.cut = Some((number, stream));
        }
        self.snapshots.insert(begin.to_guid);
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
            None if from_guid != 0 && !self.snapshots.contains(&from_guid) => {
                Some(Break::NeedsSource { stream, from_guid })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nvlist::ByteOrder;
    use crate::record::Begin;
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
}
