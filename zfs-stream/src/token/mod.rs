//! Resume tokens: where an interrupted `zfs receive -s` stopped, and what it
//! takes to send the rest (`receive_resume_token`, `zfs send -t`).
//!
//! ```text
//! "1-<checksum>-<length>-<payload>" -> hex -> zlib -> nvlist -> ResumeToken
//! ```
//!
//! The checksum is the first word of Fletcher-4 over the compressed bytes, the
//! length that of the packed list; both are in hexadecimal like the payload.
//!
//! **A token is untrusted input.** It comes from the receiving side and decides
//! what is sent: which snapshot, from which, and whether encrypted data leaves
//! raw. Nothing in it is signed. Compare [`ResumeToken::to_guid`] and the flags
//! with what was meant before sending from it ([`ResumeToken::check_snapshot`]).
//!
//! ```
//! use zfs_stream::token::ResumeToken;
//!
//! let token = ResumeToken {
//!     to_guid: 0x1234,
//!     to_name: "tank/data@monday".to_owned(),
//!     object: 7,
//!     offset: 131_072,
//!     bytes: 1_048_576,
//!     raw: true,
//!     ..ResumeToken::default()
//! };
//! let text = token.encode()?;
//! assert!(text.starts_with("1-"));
//! assert_eq!(text.parse::<ResumeToken>()?, token);
//! # Ok::<(), zfs_stream::Error>(())
//! ```
//!
//! Sources: `get_receive_resume_token_impl` in `module/zfs/dsl_dataset.c`,
//! `zfs_send_resume_token_to_nvlist` and `zfs_send_resume_impl` in
//! `lib/libzfs/libzfs_sendrecv.c` of OpenZFS.

mod text;

use std::fmt;
use std::str::FromStr;

use crate::nvlist::{ByteOrder, Encoding, NvList};
use crate::{Error, Printable, Result};

/// The longest token read, in bytes of text. ZFS hands tokens out as a property
/// of at most 8 KiB; redacted sends with very many snapshots may exceed that.
pub const MAX_TEXT: usize = 128 * 1024;

/// The longest packed list inside a token, in bytes.
pub const MAX_UNPACKED: usize = 1024 * 1024;

/// What is wrong with a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not four parts with hyphens between.
    #[error("it is not of the form version-checksum-length-payload")]
    Format,
    /// A version other than 1, the only one there is.
    #[error("its version is {0:?}, and only 1 is known")]
    Version(String),
    /// Longer than [`MAX_TEXT`].
    #[error("it is {0} bytes long, more than the {MAX_TEXT} that are read")]
    TextTooLong(usize),
    /// A length above [`MAX_UNPACKED`].
    #[error("it claims a list of {0} bytes, more than the {MAX_UNPACKED} that are read")]
    ListTooLong(u64),
    /// The payload has a character that is no hexadecimal digit, or an odd
    /// number of them.
    #[error("its payload is not hexadecimal")]
    Hex,
    /// The payload is not what the checksum was made of: the token was cut off
    /// or mistyped.
    #[error("its checksum is {stated:#x}, but the payload's is {computed:#x}")]
    Checksum {
        /// What the token says.
        stated: u64,
        /// What its payload has.
        computed: u64,
    },
    /// The payload is not zlib data.
    #[error("its payload cannot be decompressed")]
    Compression,
    /// The payload holds fewer bytes than the token says.
    #[error("it claims a list of {stated} bytes, but holds {found}")]
    Length {
        /// What the token says.
        stated: u64,
        /// What its payload has.
        found: usize,
    },
    /// The payload holds more bytes than the token says; how many is not tried.
    #[error("it claims a list of {stated} bytes, but holds more")]
    Longer {
        /// What the token says.
        stated: u64,
    },
    /// The snapshot's name is not text.
    #[error("its snapshot name is not UTF-8")]
    Name,
}

/// How a token and what it is used with disagree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Mismatch {
    /// The snapshot at hand has another GUID.
    #[error("the token is for the snapshot with GUID {token}, this one has {found}")]
    ToGuid {
        /// The token's.
        token: u64,
        /// The snapshot's or stream's.
        found: u64,
    },
    /// The incremental source at hand has another GUID; 0 stands for none.
    #[error("the token continues from GUID {token}, this starts from {found} (0: full)")]
    FromGuid {
        /// The token's.
        token: u64,
        /// The source's or stream's.
        found: u64,
    },
    /// The stream is not the rest of an interrupted one.
    #[error("the stream does not resume anything")]
    NotResuming,
    /// The stream goes on at another place.
    #[error("the token goes on at object {}, offset {}, the stream at {}, {}", token.0, token.1, found.0, found.1)]
    Place {
        /// The token's object and offset.
        token: (u64, u64),
        /// The stream's.
        found: (u64, u64),
    },
    /// The stream is raw where the token is not, or the other way round.
    #[error("of the token and the stream only one is raw")]
    Raw,
    /// What was received has large blocks, and the stream does without.
    #[error("the token is of a stream with large blocks (-L), and this one has none")]
    LargeBlocks,
    /// The stream is redacted otherwise, or from a source that is.
    #[error("the stream is not redacted with respect to the same snapshots as the token")]
    Redaction,
}

/// The contents of a resume token.
///
/// [`ResumeToken::default`] is not a meaningful token, but a start for building
/// one.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own in the token"
)]
pub struct ResumeToken {
    /// The GUID of the snapshot being received.
    pub to_guid: u64,
    /// Its full name on the sending side, `pool/dataset@snapshot`. Not
    /// trustworthy by itself: it may have been renamed, or made up.
    pub to_name: String,
    /// The GUID of the incremental source, a snapshot or bookmark; `None` for a
    /// full stream.
    pub from_guid: Option<u64>,
    /// The object at which to go on.
    pub object: u64,
    /// The offset in that object, in bytes.
    pub offset: u64,
    /// How many bytes of the stream were received, as the receiver counts.
    pub bytes: u64,
    /// The stream has blocks above 128 KiB (`zfs send -L`).
    pub large_block: bool,
    /// It has embedded blocks (`-e`).
    pub embed: bool,
    /// Its blocks are as on disk, compressed (`-c`).
    pub compress: bool,
    /// It is raw (`-w`).
    pub raw: bool,
    /// It is of a partly received dataset (`--saved`).
    pub saved: bool,
    /// The snapshots that the sent dataset is redacted with respect to.
    pub redact_snaps: Option<Vec<u64>>,
    /// The snapshots of the redaction bookmark that is the incremental source.
    pub book_redact_snaps: Option<Vec<u64>>,
}

/// The flags by name: being there is their meaning.
const LARGE_BLOCK: &str = "largeblockok";
const EMBED: &str = "embedok";
const COMPRESS: &str = "compressok";
const RAW: &str = "rawok";
const SAVED: &str = "savedok";

impl ResumeToken {
    /// Reads a token's text.
    ///
    /// # Errors
    ///
    /// [`Error::Token`] for the text, [`Error::TokenContents`] where the list
    /// inside is malformed or lacks what a token must have.
    pub fn decode(text: &str) -> Result<Self> {
        let list = Self::decode_list(text)?;
        Self::from_nvlist(&list)
    }

    /// The list inside a token, with whatever it holds.
    ///
    /// # Errors
    ///
    /// As [`ResumeToken::decode`].
    pub fn decode_list(text: &str) -> Result<NvList> {
        let packed = text::unwrap(text).map_err(|problem| Error::Token { problem })?;
        NvList::decode(&packed).map_err(contents)
    }

    /// Takes the contents from a list.
    ///
    /// # Errors
    ///
    /// [`Error::TokenContents`] where `toguid`, `toname`, `object`, `offset` or
    /// `bytes` is missing, or something is of a wrong type.
    pub fn from_nvlist(list: &NvList) -> Result<Self> {
        let number = |name| list.require_u64(name).map_err(contents);
        let guids = |name| {
            let present = list.contains(name);
            let guids = present.then(|| list.require_u64_array(name)).transpose();
            Ok::<_, Error>(guids.map_err(contents)?.map(<[u64]>::to_vec))
        };
        let name = list.require_string("toname").map_err(contents)?;
        let from_guid = list.contains("fromguid").then(|| number("fromguid"));
        let from_guid = from_guid.transpose()?.filter(|&guid| guid != 0);
        Ok(Self {
            to_guid: number("toguid")?,
            to_name: name
                .to_str()
                .ok_or(Error::Token {
                    problem: Problem::Name,
                })?
                .to_owned(),
            from_guid,
            object: number("object")?,
            offset: number("offset")?,
            bytes: number("bytes")?,
            large_block: list.contains(LARGE_BLOCK),
            embed: list.contains(EMBED),
            compress: list.contains(COMPRESS),
            raw: list.contains(RAW),
            saved: list.contains(SAVED),
            redact_snaps: guids("redact_snaps")?,
            book_redact_snaps: guids("book_redact_snaps")?,
        })
    }

    /// The contents as a list, in the order in which ZFS writes them.
    ///
    /// # Errors
    ///
    /// [`Error::EmbeddedNul`] if the name has a NUL byte.
    pub fn to_nvlist(&self) -> Result<NvList> {
        let mut list = NvList::new();
        if let Some(guid) = self.from_guid {
            list.insert("fromguid", guid)?;
        }
        list.insert("object", self.object)?;
        list.insert("offset", self.offset)?;
        list.insert("bytes", self.bytes)?;
        list.insert("toguid", self.to_guid)?;
        list.insert_str("toname", &self.to_name)?;
        for (set, name) in [
            (self.large_block, LARGE_BLOCK),
            (self.embed, EMBED),
            (self.compress, COMPRESS),
            (self.raw, RAW),
            (self.saved, SAVED),
        ] {
            if set {
                list.insert_flag(name)?;
            }
        }
        for (guids, name) in [
            (&self.redact_snaps, "redact_snaps"),
            (&self.book_redact_snaps, "book_redact_snaps"),
        ] {
            if let Some(guids) = guids {
                list.insert(name, guids.clone())?;
            }
        }
        Ok(list)
    }

    /// Writes the token as text that `zfs send -t` takes on a machine of this
    /// machine's byte order (the list inside is in native encoding, and
    /// libnvpair reads only its own order).
    ///
    /// # Errors
    ///
    /// [`Error::EmbeddedNul`] if the name has a NUL byte, and [`Error::Token`]
    /// for a token that would be too long to be read.
    pub fn encode(&self) -> Result<String> {
        self.encode_for(ByteOrder::NATIVE)
    }

    /// Writes the token for machines of that byte order.
    ///
    /// # Errors
    ///
    /// As [`ResumeToken::encode`].
    pub fn encode_for(&self, order: ByteOrder) -> Result<String> {
        let packed = self.to_nvlist()?.encode(Encoding::Native, order)?;
        text::wrap(&packed, order).map_err(|problem| Error::Token { problem })
    }

    /// Whether the token is for a snapshot of that GUID, sent from a source of
    /// that GUID (`None`: full).
    ///
    /// # Errors
    ///
    /// [`Error::TokenMismatch`] with what differs.
    pub fn check_snapshot(&self, to_guid: u64, from_guid: Option<u64>) -> Result<()> {
        let mismatch = if self.to_guid != to_guid {
            Mismatch::ToGuid {
                token: self.to_guid,
                found: to_guid,
            }
        } else if self.from_guid != from_guid {
            Mismatch::FromGuid {
                token: self.from_guid.unwrap_or(0),
                found: from_guid.unwrap_or(0),
            }
        } else {
            return Ok(());
        };
        Err(Error::TokenMismatch { mismatch })
    }

    /// Whether a stream, by its BEGIN and the nvlist of that, goes on where the
    /// token says: `zfs receive` takes no other.
    ///
    /// # Errors
    ///
    /// [`Error::TokenMismatch`] with what differs.
    #[cfg(feature = "stream")]
    pub fn check_stream(
        &self,
        begin: &crate::record::Begin,
        nvlist: Option<&NvList>,
    ) -> Result<()> {
        use crate::record::Features;
        let from_guid = Some(begin.from_guid).filter(|&guid| guid != 0);
        self.check_snapshot(begin.to_guid, from_guid)?;
        let features = begin.features();
        let place = nvlist.and_then(|list| {
            let object = list.get_u64("resume_object")?;
            Some((object, list.get_u64("resume_offset")?))
        });
        let token = (self.object, self.offset);
        let guids = |name| nvlist.and_then(|list| sorted(list.get_u64_array(name)));
        let redacted = guids("redact_snaps").filter(|_| features.contains(Features::REDACTED));
        let same_redaction = redacted == sorted(self.redact_snaps.as_deref())
            && guids("redact_from_snaps") == sorted(self.book_redact_snaps.as_deref());
        let large_blocks = features.contains(Features::LARGE_BLOCKS);
        let mismatch = match place.filter(|_| features.contains(Features::RESUMING)) {
            None => Mismatch::NotResuming,
            Some(found) if found != token => Mismatch::Place { token, found },
            Some(_) if features.contains(Features::RAW) != self.raw => Mismatch::Raw,
            Some(_) if self.large_block && !large_blocks => Mismatch::LargeBlocks,
            Some(_) if !same_redaction => Mismatch::Redaction,
            Some(_) => return Ok(()),
        };
        Err(Error::TokenMismatch { mismatch })
    }
}

/// GUIDs whose order means nothing.
#[cfg(feature = "stream")]
fn sorted(guids: Option<&[u64]>) -> Option<Vec<u64>> {
    let mut guids = guids?.to_vec();
    guids.sort_unstable();
    Some(guids)
}

fn contents(source: Error) -> Error {
    Error::TokenContents {
        source: Box::new(source),
    }
}

impl FromStr for ResumeToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::decode(text)
    }
}

impl fmt::Display for ResumeToken {
    /// Explains the token in a few lines, the name [`Printable`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Printable(self.to_name.as_bytes());
        writeln!(f, "sends      {name} (GUID {})", self.to_guid)?;
        match self.from_guid {
            Some(guid) => writeln!(f, "from       the snapshot or bookmark with GUID {guid}")?,
            None => writeln!(f, "from       nothing: a full stream")?,
        }
        writeln!(
            f,
            "goes on at object {}, offset {}, after {} bytes",
            self.object, self.offset, self.bytes
        )?;
        let flags: Vec<_> = [
            (self.raw, "raw (-w)"),
            (self.compress, "compressed (-c)"),
            (self.large_block, "large blocks (-L)"),
            (self.embed, "embedded blocks (-e)"),
            (self.saved, "of a partly received dataset (--saved)"),
        ]
        .into_iter()
        .filter_map(|(set, name)| set.then_some(name))
        .collect();
        let flags = if flags.is_empty() {
            "none".to_owned()
        } else {
            flags.join(", ")
        };
        write!(f, "flags      {flags}")?;
        for (guids, what) in [
            (&self.redact_snaps, "redacted with respect to"),
            (&self.book_redact_snaps, "its source's redaction snapshots:"),
        ] {
            if let Some(guids) = guids {
                let guids: Vec<_> = guids.iter().map(u64::to_string).collect();
                write!(f, "\nredaction  {what} {}", guids.join(", "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
