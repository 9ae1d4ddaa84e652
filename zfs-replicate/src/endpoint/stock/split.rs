//! Where one stream ends and the next begins.
//!
//! `streams in a row, packed as by zfs send -I or not -> [ begin -> copy ] -> one of them`

use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};

use zfs_core::Guid;
use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{HEADER_LEN, Header, MAGIC, Record, RecordType};

/// The most that is moved at once.
const BUFFER_BYTES: usize = 1 << 20;

/// The longest list of what is in a package, as in libzfs.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// Why a stream did not get through.
#[derive(Debug)]
pub(in crate::endpoint) enum Broken {
    /// There is no more of it.
    CutOff,
    /// It is none.
    Nonsense(&'static str),
    /// It cannot be read any further.
    Read(io::Error),
    /// Nobody takes it any more.
    NobodyReads,
}

/// How a stream begins.
pub(in crate::endpoint) struct Head {
    bytes: [u8; HEADER_LEN],
    payload: u64,
    /// The snapshot that it brings.
    pub to_guid: Guid,
}

/// Streams that come one after the other.
pub(in crate::endpoint) struct Splitter<R> {
    from: BufReader<R>,
    order: ByteOrder,
}

impl<R: Read> Splitter<R> {
    pub fn new(from: R) -> Splitter<R> {
        Splitter {
            from: BufReader::with_capacity(BUFFER_BYTES, from),
            order: ByteOrder::Little,
        }
    }

    /// The next stream, past what holds several of them together; `None` at
    /// the end.
    pub fn begin(&mut self) -> Result<Option<Head>, Broken> {
        loop {
            let Some(bytes) = self.header()? else {
                return Ok(None);
            };
            if bytes.starts_with(&[0; 4]) {
                self.order = order(&bytes)?;
            }
            let header = parse(&bytes, self.order)?;
            let payload = header.payload_len();
            match header.parse() {
                Record::Begin(begin) if begin.is_compound() => {
                    if payload > MAX_LIST_BYTES {
                        return Err(Broken::Nonsense("its list of contents is too long"));
                    }
                    self.pass(payload, &mut io::sink())?;
                    let end = self.header()?.ok_or(Broken::CutOff)?;
                    if parse(&end, self.order)?.record_type() != RecordType::End {
                        return Err(Broken::Nonsense("its list of contents has no end"));
                    }
                }
                Record::Begin(begin) => {
                    return Ok(Some(Head {
                        bytes,
                        payload,
                        to_guid: Guid(begin.to_guid),
                    }));
                }
                // The end of a package.
                Record::End(_) => {}
                _ => return Err(Broken::Nonsense("it does not begin")),
            }
        }
    }

    /// Moves the stream that began to its end, telling how many bytes that
    /// are so far, and returns how many they were.
    pub fn copy(
        &mut self,
        head: &Head,
        to: impl Write,
        mut moved: impl FnMut(u64),
    ) -> Result<u64, Broken> {
        let mut to = BufWriter::with_capacity(BUFFER_BYTES, to);
        let (mut total, mut told) = (0, 0);
        let (mut bytes, mut payload, mut is_last) = (head.bytes, head.payload, false);
        loop {
            to.write_all(&bytes).map_err(|_| Broken::NobodyReads)?;
            self.pass(payload, &mut to)?;
            total += HEADER_LEN as u64 + payload;
            if is_last {
                to.flush().map_err(|_| Broken::NobodyReads)?;
                return Ok(total);
            }
            if total - told >= BUFFER_BYTES as u64 {
                told = total;
                moved(total);
            }
            bytes = self.header()?.ok_or(Broken::CutOff)?;
            let header = parse(&bytes, self.order)?;
            payload = header.payload_len();
            match header.record_type() {
                RecordType::Begin => return Err(Broken::Nonsense("it begins twice")),
                kind => is_last = kind == RecordType::End,
            }
        }
    }

    /// `None` at the end of everything.
    fn header(&mut self) -> Result<Option<[u8; HEADER_LEN]>, Broken> {
        let mut bytes = [0; HEADER_LEN];
        let mut have = 0;
        while let Some(rest) = bytes.get_mut(have..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest) {
                Ok(0) if have == 0 => return Ok(None),
                Ok(0) => return Err(Broken::CutOff),
                Ok(count) => have += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Broken::Read(error)),
            }
        }
        Ok(Some(bytes))
    }

    fn pass(&mut self, count: u64, to: &mut impl Write) -> Result<(), Broken> {
        let mut left = count;
        while left > 0 {
            let piece = match self.from.fill_buf() {
                Ok([]) => return Err(Broken::CutOff),
                Ok(piece) => piece,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(Broken::Read(error)),
            };
            let length = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
            to.write_all(piece.get(..length).unwrap_or(&[]))
                .map_err(|_| Broken::NobodyReads)?;
            self.from.consume(length);
            left -= length as u64;
        }
        Ok(())
    }
}

fn order(bytes: &[u8; HEADER_LEN]) -> Result<ByteOrder, Broken> {
    let number: [u8; 8] = bytes
        .get(8..16)
        .and_then(|number| number.try_into().ok())
        .unwrap_or_default();
    if u64::from_le_bytes(number) == MAGIC {
        Ok(ByteOrder::Little)
    } else if u64::from_be_bytes(number) == MAGIC {
        Ok(ByteOrder::Big)
    } else {
        Err(Broken::Nonsense("this is no stream of zfs send"))
    }
}

fn parse(bytes: &[u8; HEADER_LEN], order: ByteOrder) -> Result<Header<'_>, Broken> {
    Header::new(bytes, order).ok_or(Broken::Nonsense("it has a record of no known kind"))
}

#[cfg(test)]
pub(in crate::endpoint) mod tests {
    use proptest::prelude::*;
    use zfs_stream::nvlist::{Encoding, NvList};
    use zfs_stream::record::{Begin, End, Features, Write as WriteRecord, Writer};

    use super::*;

    /// A stream that brings the snapshot with this GUID.
    pub fn stream(guid: u64) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
        let begin = Begin {
            version_info: Begin::make_version_info(false, Features::default()),
            to_guid: guid,
            to_name: format!("tank/a@{guid}").into_bytes(),
            ..Begin::default()
        };
        writer.write(&Record::Begin(begin), &[]).unwrap();
        let write = WriteRecord {
            object: 1,
            logical_size: 4096,
            to_guid: guid,
            ..WriteRecord::default()
        };
        writer
            .write(&Record::Write(write), &[guid as u8; 4096])
            .unwrap();
        let end = End {
            to_guid: guid,
            ..End::default()
        };
        writer.write(&Record::End(end), &[]).unwrap();
        writer.into_inner()
    }

    /// What `zfs send -I` makes of several.
    pub fn package(streams: &[Vec<u8>]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
        let begin = Begin {
            version_info: Begin::make_version_info(true, Features::default()),
            to_name: b"tank/a@last".to_vec(),
            ..Begin::default()
        };
        let mut list = NvList::new();
        list.insert_str("tosnap", "last").unwrap();
        let list = list.encode(Encoding::Xdr, ByteOrder::Big).unwrap();
        writer.write(&Record::Begin(begin), &list).unwrap();
        writer.end_compound_header().unwrap();
        let mut bytes = writer.into_inner();
        bytes.extend(streams.concat());
        let mut end = Writer::new(bytes, ByteOrder::Little);
        end.end_compound().unwrap();
        end.into_inner()
    }

    fn split(bytes: &[u8]) -> Result<Vec<(u64, Vec<u8>)>, Broken> {
        let mut splitter = Splitter::new(bytes);
        let mut found = Vec::new();
        while let Some(head) = splitter.begin()? {
            let mut stream = Vec::new();
            let count = splitter.copy(&head, &mut stream, |_| {})?;
            assert_eq!(count, stream.len() as u64);
            found.push((head.to_guid.0, stream));
        }
        Ok(found)
    }

    #[test]
    fn streams_come_out_of_a_package_and_its_neighbours_as_they_went_in() {
        let mut bytes = stream(1);
        bytes.extend(package(&[stream(2), stream(3)]));
        bytes.extend(stream(4));
        let wanted: Vec<_> = (1..=4).map(|guid| (guid, stream(guid))).collect();
        assert!(split(&bytes).unwrap() == wanted);
    }

    #[test]
    fn what_is_cut_off_or_no_stream_is_told() {
        let whole = package(&[stream(2)]);
        for length in 1..whole.len() - HEADER_LEN {
            let result = split(&whole[..length]);
            // Between two records nothing tells that there is more.
            assert!(
                matches!(result, Err(Broken::CutOff)) || result.is_ok_and(|f| f.is_empty()),
                "{length}"
            );
        }
        for garbage in [&b"Welcome to far!"[..], &[0; 400], &[9; 400]] {
            assert!(split(garbage).is_err());
        }
        let mut twice = stream(1);
        twice.truncate(HEADER_LEN);
        twice.extend(stream(1));
        assert!(matches!(split(&twice), Err(Broken::Nonsense(_))));
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), at in 0_usize..900) {
            let mut stream = package(&[stream(2)]);
            let at = at.min(stream.len());
            stream.splice(at..at, bytes);
            let _ = split(&stream);
        }
    }
}
