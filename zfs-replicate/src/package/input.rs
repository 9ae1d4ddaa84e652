//! A package record by record, and not a byte too many: the kernel reads the
//! streams in it from the same descriptor.

use std::fs::File;
use std::io::{ErrorKind, Read};

use zfs_core::BeginRecord;
use zfs_stream::nvlist::{ByteOrder, NvList};
use zfs_stream::record::{Begin, HEADER_LEN, Header, MAGIC, Record, RecordType};

use super::contents::Contents;
use crate::error::Error;

/// The longest list of what is in a package, as in libzfs.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// The longest payload: a block.
const MAX_PAYLOAD_BYTES: u64 = 16 << 20;

/// What comes next in a package.
pub(super) enum Next {
    /// The stream of a snapshot.
    Begin(BeginRecord),
    /// Nothing.
    End,
}

pub(super) struct Input<'a> {
    stream: &'a File,
    order: ByteOrder,
}

impl<'a> Input<'a> {
    pub fn new(stream: &'a File) -> Input<'a> {
        Input {
            stream,
            order: ByteOrder::Little,
        }
    }

    /// The head of a package, or the first record of a stream of one snapshot.
    pub fn begin(&mut self) -> Result<(Option<BeginRecord>, Contents), Error> {
        let bytes = self.header()?;
        let number: [u8; 8] = bytes
            .get(8..16)
            .and_then(|n| n.try_into().ok())
            .unwrap_or_default();
        self.order = match number {
            number if u64::from_le_bytes(number) == MAGIC => ByteOrder::Little,
            number if u64::from_be_bytes(number) == MAGIC => ByteOrder::Big,
            _ => return Err(Error::package("this is no stream of zfs send".to_owned())),
        };
        let (begin, length) = self.begin_of(&bytes)?;
        if !begin.is_compound() {
            return Ok((Some(single(&bytes)?), Contents::single(&begin)?));
        }
        if length > MAX_LIST_BYTES {
            return Err(Error::package(format!(
                "its list of contents has {length} bytes"
            )));
        }
        let mut list = vec![0; length as usize];
        self.fill(&mut list)?;
        let list = if list.is_empty() {
            NvList::new()
        } else {
            NvList::decode(&list).map_err(|error| Error::package(error.to_string()))?
        };
        let end = self.header()?;
        if self.kind(&end)? != RecordType::End {
            return Err(Error::package("its head has no end".to_owned()));
        }
        Ok((None, Contents::package(&begin, &list)?))
    }

    pub fn next(&mut self) -> Result<Next, Error> {
        let bytes = self.header()?;
        match self.kind(&bytes)? {
            RecordType::End => Ok(Next::End),
            RecordType::Begin => Ok(Next::Begin(single(&bytes)?)),
            other => Err(Error::package(format!(
                "there is a {} between its streams",
                other.name()
            ))),
        }
    }

    /// Reads past the stream whose first record was read.
    pub fn skip(&mut self) -> Result<(), Error> {
        loop {
            let bytes = self.header()?;
            let header = self.parse(&bytes)?;
            let length = header.payload_len();
            if length > MAX_PAYLOAD_BYTES {
                return Err(Error::package(format!("a record has {length} bytes")));
            }
            let is_end = header.record_type() == RecordType::End;
            self.fill(&mut vec![0; length as usize])?;
            if is_end {
                return Ok(());
            }
        }
    }

    fn parse<'b>(&self, bytes: &'b [u8; HEADER_LEN]) -> Result<Header<'b>, Error> {
        Header::new(bytes, self.order)
            .ok_or_else(|| Error::package("it has a record of no known kind".to_owned()))
    }

    fn kind(&self, bytes: &[u8; HEADER_LEN]) -> Result<RecordType, Error> {
        Ok(self.parse(bytes)?.record_type())
    }

    fn begin_of(&self, bytes: &[u8; HEADER_LEN]) -> Result<(Begin, u64), Error> {
        let header = self.parse(bytes)?;
        match header.parse() {
            Record::Begin(begin) => Ok((begin, header.payload_len())),
            _ => Err(Error::package("it does not begin".to_owned())),
        }
    }

    fn header(&mut self) -> Result<[u8; HEADER_LEN], Error> {
        let mut bytes = [0; HEADER_LEN];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.stream.read_exact(bytes).map_err(|error| {
            Error::package(if error.kind() == ErrorKind::UnexpectedEof {
                "it is cut off".to_owned()
            } else {
                error.to_string()
            })
        })
    }
}

fn single(bytes: &[u8; HEADER_LEN]) -> Result<BeginRecord, Error> {
    BeginRecord::new(*bytes).map_err(|error| Error::package(error.to_string()))
}
