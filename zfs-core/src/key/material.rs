//! What people keep as a key, checked before ZFS sees it.
//!
//! ```text
//! bytes, file, reader -> Key (raw | hex | passphrase) -> salt, iterations -> WrappingKey
//! ```
//!
//! The kernel takes 32 bytes, whatever they are. That a raw key is 32 bytes, a
//! hex key 64 digits and a passphrase 8 to 512 bytes is checked here, as
//! libzfs does it, and so is the first line of a text being all that counts.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use zeroize::Zeroizing;

use super::{WRAPPING_KEY_BYTES, WrappingKey};
use crate::error::Error;

/// A passphrase's shortest and longest (`MIN_PASSPHRASE_LEN`,
/// `MAX_PASSPHRASE_LEN` of libzfs).
const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 8..=512;

/// How often a passphrase is hashed where nobody says
/// (`DEFAULT_PBKDF2_ITERATIONS` of `sys/fs/zfs.h`).
const DEFAULT_ITERATIONS: u64 = 350_000;

/// The fewest that OpenZFS takes (`MIN_PBKDF2_ITERATIONS`).
pub(super) const MIN_ITERATIONS: u64 = 100_000;

/// What is read of a key file, so that an error can tell how long it is. No
/// key is longer than a passphrase.
const READ_BYTES: usize = 16 << 10;

/// The property `keyformat`: what a key looks like.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyFormat {
    /// 32 bytes as they are.
    Raw,
    /// 64 hexadecimal digits.
    Hex,
    /// 8 to 512 bytes that PBKDF2-HMAC-SHA1 makes a key of.
    Passphrase,
}

impl KeyFormat {
    /// ZFS' word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyFormat::Raw => "raw",
            KeyFormat::Hex => "hex",
            KeyFormat::Passphrase => "passphrase",
        }
    }

    /// The format of that word.
    pub fn parse(word: &str) -> Option<KeyFormat> {
        [KeyFormat::Raw, KeyFormat::Hex, KeyFormat::Passphrase]
            .into_iter()
            .find(|format| format.as_str() == word)
    }

    /// `zfs_keyformat_t` of `sys/fs/zfs.h`.
    pub(super) fn number(self) -> u64 {
        match self {
            KeyFormat::Raw => 1,
            KeyFormat::Hex => 2,
            KeyFormat::Passphrase => 3,
        }
    }

    pub(super) fn from_number(number: u64) -> Option<KeyFormat> {
        [KeyFormat::Raw, KeyFormat::Hex, KeyFormat::Passphrase]
            .into_iter()
            .find(|format| format.number() == number)
    }
}

impl fmt::Display for KeyFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key as people keep it: raw bytes, hexadecimal digits, or a passphrase.
///
/// It is checked when it is made, zeroed when it goes, and never shown.
///
/// ```
/// use zfs_core::{Key, KeyFormat};
///
/// let key = Key::passphrase("correct horse battery staple")?;
/// assert_eq!(key.format(), KeyFormat::Passphrase);
/// assert!(Key::hex("0123").is_err());
/// # Ok::<(), zfs_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Key {
    pub(super) material: Material,
    iterations: u64,
}

#[derive(Clone)]
pub(super) enum Material {
    Raw(WrappingKey),
    Hex(WrappingKey),
    Passphrase(Zeroizing<Vec<u8>>),
}

impl Key {
    /// A raw key of these bytes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] where they are not 32.
    pub fn raw(bytes: &[u8]) -> Result<Key, Error> {
        Key::checked(KeyFormat::Raw, bytes, &Origin::Given)
    }

    /// A hex key of these digits, of either case.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] where they are not 64, or something else is
    /// among them.
    pub fn hex(digits: impl AsRef<[u8]>) -> Result<Key, Error> {
        Key::checked(KeyFormat::Hex, digits.as_ref(), &Origin::Given)
    }

    /// A passphrase. Its letters count as bytes of UTF-8.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] where it has fewer than 8 or more than 512 bytes,
    /// or a zero byte, at which other tools would cut it off.
    pub fn passphrase(text: impl AsRef<[u8]>) -> Result<Key, Error> {
        Key::checked(KeyFormat::Passphrase, text.as_ref(), &Origin::Given)
    }

    /// Reads a key of that format from `reader`: a raw key is all of it, to its
    /// end. Of anything else the first line counts, and nothing behind it is
    /// read: the next line can be the next key.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] where it is not such a key, and
    /// [`Error::KeyFile`] where it cannot be read.
    pub fn read(format: KeyFormat, reader: impl Read) -> Result<Key, Error> {
        Key::read_from(format, reader, &Origin::Given)
    }

    /// Reads a key of that format from a file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`] where there is no such key in it: the error names
    /// the file, what was found in it, and how to make a right one.
    /// [`Error::KeyFile`] where it cannot be read.
    ///
    /// ```
    /// use zfs_core::{Key, KeyFormat};
    ///
    /// let file = tempfile::NamedTempFile::new().unwrap();
    /// std::fs::write(file.path(), "q2hhbmdlIG1lIQ==\n").unwrap();
    /// let error = Key::file(KeyFormat::Raw, file.path()).unwrap_err();
    /// let text = error.to_string();
    /// assert!(text.contains("17 bytes of base64 text with a newline at the end"), "{text}");
    /// assert!(text.contains("head -c 32 /dev/urandom"), "{text}");
    /// ```
    pub fn file(format: KeyFormat, path: impl AsRef<Path>) -> Result<Key, Error> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| Error::KeyFile {
            path: path.to_owned(),
            source,
        })?;
        Key::read_from(format, file, &Origin::File(path))
    }

    /// How often a passphrase is hashed when this key becomes a dataset's
    /// (`pbkdf2iters`): at least 100,000, and 350,000 if nobody says. Where a
    /// key is loaded, the dataset's own number counts.
    #[must_use]
    pub fn iterations(mut self, iterations: u64) -> Key {
        self.iterations = iterations;
        self
    }

    /// What it looks like.
    pub fn format(&self) -> KeyFormat {
        match self.material {
            Material::Raw(_) => KeyFormat::Raw,
            Material::Hex(_) => KeyFormat::Hex,
            Material::Passphrase(_) => KeyFormat::Passphrase,
        }
    }

    pub(super) fn iterations_wanted(&self) -> u64 {
        self.iterations
    }

    /// The 32 bytes for the kernel. Salt and iterations count for passphrases
    /// alone.
    pub(super) fn wrapping_key(&self, salt: u64, iterations: u32) -> WrappingKey {
        match &self.material {
            Material::Raw(key) | Material::Hex(key) => key.clone(),
            Material::Passphrase(text) => WrappingKey::filled(|key| {
                pbkdf2_hmac::<Sha1>(text, &salt.to_le_bytes(), iterations, key);
            }),
        }
    }

    fn read_from(format: KeyFormat, reader: impl Read, origin: &Origin<'_>) -> Result<Key, Error> {
        // As long as it may become, so that growing leaves no copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(READ_BYTES + 1));
        let reader = reader.take(READ_BYTES as u64);
        match format {
            KeyFormat::Raw => read_all(reader, &mut bytes),
            KeyFormat::Hex | KeyFormat::Passphrase => read_line(reader, &mut bytes),
        }
        .map_err(|source| Error::KeyFile {
            path: origin.path(),
            source,
        })?;
        Key::checked(format, &bytes, origin)
    }

    fn checked(format: KeyFormat, bytes: &[u8], origin: &Origin<'_>) -> Result<Key, Error> {
        let material = match format {
            KeyFormat::Raw => (bytes.len() == WRAPPING_KEY_BYTES)
                .then(|| WrappingKey::filled(|key| key.copy_from_slice(bytes)))
                .map(Material::Raw),
            KeyFormat::Hex => from_hex(bytes).map(Material::Hex),
            KeyFormat::Passphrase => {
                let fits = PASSPHRASE_BYTES.contains(&bytes.len()) && !bytes.contains(&0);
                fits.then(|| Material::Passphrase(Zeroizing::new(bytes.to_vec())))
            }
        };
        match material {
            Some(material) => Ok(Key {
                material,
                iterations: DEFAULT_ITERATIONS,
            }),
            None => Err(Error::InvalidKey {
                origin: origin.to_string(),
                format,
                found: found(format, bytes),
                advice: advice(format, bytes, origin),
            }),
        }
    }
}

impl From<WrappingKey> for Key {
    fn from(key: WrappingKey) -> Key {
        Key {
            material: Material::Raw(key),
            iterations: DEFAULT_ITERATIONS,
        }
    }
}

impl From<[u8; WRAPPING_KEY_BYTES]> for Key {
    fn from(bytes: [u8; WRAPPING_KEY_BYTES]) -> Key {
        WrappingKey::from(bytes).into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, …)", self.format())
    }
}

/// Where key material came from, for errors.
enum Origin<'a> {
    Given,
    File(&'a Path),
}

impl Origin<'_> {
    fn path(&self) -> std::path::PathBuf {
        match self {
            Origin::Given => "-".into(),
            Origin::File(path) => (*path).to_owned(),
        }
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Given => f.write_str("what was given"),
            Origin::File(path) => write!(f, "the file {}", path.display()),
        }
    }
}

fn read_all(mut reader: impl Read, into: &mut Vec<u8>) -> io::Result<()> {
    reader.read_to_end(into).map(drop)
}

/// Reads a line without its end, a byte at a time: what is taken from a pipe
/// cannot be given back.
fn read_line(mut reader: impl Read, into: &mut Vec<u8>) -> io::Result<()> {
    let mut byte = Zeroizing::new([0]);
    loop {
        match reader.read(&mut *byte) {
            Ok(0) => return Ok(()),
            Ok(_) if *byte == *b"\n" => return Ok(()),
            Ok(_) => into.extend_from_slice(&*byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn from_hex(digits: &[u8]) -> Option<WrappingKey> {
    if digits.len() != 2 * WRAPPING_KEY_BYTES || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    Some(WrappingKey::filled(|key| {
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |high, low| high << 4 | value(*low));
        }
    }))
}

/// What is there in place of a key, without a byte of it.
fn found(format: KeyFormat, bytes: &[u8]) -> String {
    let text = bytes.trim_ascii_end();
    let of = if text.is_empty() {
        ""
    } else if text.iter().all(u8::is_ascii_hexdigit) {
        " of hexadecimal digits"
    } else if text.iter().all(|byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\n' | b'\r')
    }) {
        " of base64 text"
    } else if text.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        " of text"
    } else {
        ""
    };
    let end = match bytes.last() {
        Some(b'\n') => " with a newline at the end",
        Some(b'\r') => " with a carriage return at the end (a file from Windows)",
        _ => "",
    };
    let zero = if format == KeyFormat::Passphrase && bytes.contains(&0) {
        " and a zero byte among them"
    } else {
        ""
    };
    let count = match bytes.len() {
        READ_BYTES => format!("{READ_BYTES} bytes or more"),
        1 => "1 byte".to_owned(),
        more => format!("{more} bytes"),
    };
    let wanted = match format {
        KeyFormat::Raw => "a raw key is exactly 32 bytes",
        KeyFormat::Hex => "a hex key is exactly 64 hexadecimal digits",
        KeyFormat::Passphrase => "a passphrase is 8 to 512 bytes on one line",
    };
    format!("{count}{of}{end}{zero}, and {wanted}")
}

fn advice(format: KeyFormat, bytes: &[u8], origin: &Origin<'_>) -> String {
    let into = match origin {
        Origin::Given => String::new(),
        Origin::File(path) => format!(" > {}", path.display()),
    };
    match format {
        KeyFormat::Raw if from_hex(bytes.trim_ascii_end()).is_some() => {
            "with keyformat=hex it is one".to_owned()
        }
        KeyFormat::Hex if bytes.len() == WRAPPING_KEY_BYTES => {
            "with keyformat=raw it may be one".to_owned()
        }
        KeyFormat::Raw => format!("head -c 32 /dev/urandom{into} makes one"),
        KeyFormat::Hex => format!("openssl rand -hex 32{into} makes one"),
        KeyFormat::Passphrase => format!("openssl rand -base64 24{into} makes one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(key: &Key) -> [u8; 32] {
        *key.wrapping_key(0, 1).bytes()
    }

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    fn refusal(format: KeyFormat, content: &[u8]) -> String {
        let file = file(content);
        let text = Key::file(format, file.path()).unwrap_err().to_string();
        assert!(text.contains(&file.path().display().to_string()), "{text}");
        text
    }

    #[test]
    fn a_raw_key_is_its_32_bytes() {
        let content: [u8; 32] = std::array::from_fn(|i| i as u8);
        let key = Key::file(KeyFormat::Raw, file(&content).path()).unwrap();
        assert_eq!(bytes(&key), content);
        for length in [0, 1, 31, 33, 64] {
            let text = refusal(KeyFormat::Raw, &vec![0x80; length]);
            assert!(text.contains("exactly 32 bytes"), "{text}");
            assert!(text.contains(&format!("{length} byte")), "{text}");
        }
    }

    /// What many guides tell people to make a raw key with.
    #[test]
    fn base64_text_as_a_raw_key_is_caught_and_explained() {
        let line = "A".repeat(64);
        for (content, count) in [
            (format!("{line}\n{}==\n", "B".repeat(22)), "90 bytes"),
            (format!("{line}{}==\n", "B".repeat(22)), "89 bytes"),
        ] {
            let text = refusal(KeyFormat::Raw, content.as_bytes());
            assert!(text.contains(count), "{text}");
            assert!(text.contains("base64 text with a newline"), "{text}");
            assert!(text.contains("head -c 32 /dev/urandom > "), "{text}");
            assert!(!text.contains("AAAA"), "the key is not shown: {text}");
        }
    }

    #[test]
    fn hex_digits_where_a_raw_key_is_wanted_name_the_right_format() {
        let text = refusal(KeyFormat::Raw, format!("{}\n", "ab".repeat(32)).as_bytes());
        assert!(text.contains("hexadecimal digits"), "{text}");
        assert!(text.contains("keyformat=hex"), "{text}");
    }

    #[test]
    fn a_hex_key_is_64_digits_of_either_case_with_or_without_a_newline() {
        let digits = "00ff10Ab".repeat(8);
        for content in [
            digits.clone(),
            format!("{digits}\n"),
            format!("{digits}\nmore\n"),
        ] {
            let key = Key::file(KeyFormat::Hex, file(content.as_bytes()).path()).unwrap();
            assert_eq!(bytes(&key)[..4], [0, 0xff, 0x10, 0xab]);
        }
        for (content, said) in [
            ("0".repeat(63), "63 bytes"),
            ("0".repeat(65), "65 bytes"),
            (format!("{}g", "0".repeat(63)), "64 bytes"),
            (format!("{}\r\n", "0".repeat(64)), "carriage return"),
            (String::new(), "0 bytes"),
            (format!("+{}", "0".repeat(63)), "64 bytes"),
        ] {
            let text = refusal(KeyFormat::Hex, content.as_bytes());
            assert!(text.contains(said), "{text}");
            assert!(text.contains("openssl rand -hex 32 > "), "{text}");
        }
    }

    #[test]
    fn a_passphrase_has_8_to_512_bytes() {
        for good in [8, 512] {
            Key::passphrase("x".repeat(good)).unwrap();
        }
        for bad in [0, 7, 513, READ_BYTES + 9] {
            let text = refusal(KeyFormat::Passphrase, "x".repeat(bad).as_bytes());
            assert!(text.contains("8 to 512"), "{text}");
        }
        let text = refusal(KeyFormat::Passphrase, b"correct\0horse");
        assert!(text.contains("zero byte"), "{text}");
    }

    /// RFC 6070 has PBKDF2-HMAC-SHA1 with short outputs; the salt here is a
    /// number, as it is in ZFS. Computed with Python's
    /// `hashlib.pbkdf2_hmac("sha1", …, dklen=32)`.
    #[test]
    fn a_passphrase_is_hashed_as_openzfs_does_it() {
        let key = Key::passphrase("password")
            .unwrap()
            .wrapping_key(0x0102_0304_0506_0708, 1000);
        let expected = from_hex(EXPECTED.as_bytes()).unwrap();
        assert_eq!(key.bytes(), expected.bytes());
    }
    const EXPECTED: &str = "e2e4d2de6c62e56d64cd62dd127df4d29e97ea3a7a8471d3ac55db6d4ae6f6c5";

    #[test]
    fn a_passphrase_ends_with_its_line_and_the_next_line_is_the_next_one() {
        let mut reader = &b"correct horse\nbattery staple"[..];
        for text in ["correct horse", "battery staple"] {
            let read = Key::read(KeyFormat::Passphrase, &mut reader).unwrap();
            assert_eq!(bytes(&read), bytes(&Key::passphrase(text).unwrap()));
        }
        let error = Key::read(KeyFormat::Passphrase, &mut reader).unwrap_err();
        assert!(error.to_string().contains("0 bytes"), "{error}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = Key::file(KeyFormat::Raw, "/no/such/key").unwrap_err();
        assert!(error.to_string().contains("/no/such/key"), "{error}");
    }

    #[test]
    fn a_key_is_never_shown() {
        let shown = format!("{:?}", Key::passphrase("correct horse").unwrap());
        assert_eq!(shown, "Key(passphrase, …)");
        let error = Key::hex("topsecret").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("topsecret"));
    }

    proptest! {
        #[test]
        fn whatever_a_file_holds_there_is_a_key_or_an_error_without_its_content(
            content in proptest::collection::vec(any::<u8>(), 0..600),
            number in 1_u64..4,
        ) {
            let format = KeyFormat::from_number(number).unwrap();
            if let Err(error) = Key::read(format, content.as_slice()) {
                let is_key = matches!(error, Error::InvalidKey { .. });
                prop_assert!(is_key);
            }
        }
    }
}
