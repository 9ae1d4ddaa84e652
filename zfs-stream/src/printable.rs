//! Names from streams and tokens, for people to see.

use std::fmt::{self, Write as _};

/// Text that nobody vouches for, such as a snapshot's name in a stream: shown
/// word for word, but what would move a terminal's cursor, begin a line or turn
/// the direction of writing is escaped, so that no name can pass for something
/// else. What is not UTF-8 is shown as U+FFFD.
///
/// ```
/// use zfs_stream::Printable;
///
/// assert_eq!(Printable(b"tank/data@monday").to_string(), "tank/data@monday");
/// assert_eq!(Printable(b"a@b\n\x1b[2J").to_string(), "a@b\\n\\u{1b}[2J");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for letter in chunk.valid().chars() {
                if is_control(letter) {
                    write!(f, "{}", letter.escape_default())?;
                } else {
                    f.write_char(letter)?;
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// Control characters, Unicode's line ends, and its marks that turn the
/// direction of writing.
fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_could_forge_a_line_is_escaped() {
        let shown = |bytes: &[u8]| Printable(bytes).to_string();
        for plain in ["tank/dä ta@x y:z", "C:\\dir \"quoted\" 'a'", "雪 🦀", ""] {
            assert_eq!(shown(plain.as_bytes()), plain);
        }
        assert_eq!(
            shown(b"a\x1b[8m\r\n\tb\x7f\0"),
            "a\\u{1b}[8m\\r\\n\\tb\\u{7f}\\u{0}"
        );
        assert_eq!(
            shown("\u{9b}2J\u{202e}\u{2028}".as_bytes()),
            "\\u{9b}2J\\u{202e}\\u{2028}"
        );
        assert_eq!(shown(b"\xffa\xf0\x9f"), "\u{fffd}a\u{fffd}");
    }
}
