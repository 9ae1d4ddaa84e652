//! The bytes of a configuration, as text.

/// A line that is no text, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoText {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

/// UTF-8, of which comments may be anything: sanoid does not look at them.
///
/// # Errors
///
/// The first line of which a name or value could not be known.
pub fn text(bytes: &[u8]) -> Result<String, NoText> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        let text = "this is UTF-16 (iconv -f UTF-16 -t UTF-8 makes it readable)".to_owned();
        return Err(NoText { line: 1, text });
    }
    // A byte order mark says only that it is UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Vec::new();
    for (line, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if bytes.contains(&0) {
            let text = "there is a byte 0: this is no text file".to_owned();
            return Err(NoText { line, text });
        }
        let shown = String::from_utf8_lossy(bytes);
        let is_comment = shown.trim_start().starts_with(['#', ';']);
        if !is_comment && std::str::from_utf8(bytes).is_err() {
            let text = format!("{:?} is not UTF-8", shown.trim());
            return Err(NoText { line, text });
        }
        lines.push(shown);
    }
    Ok(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_may_be_in_any_encoding() {
        let read = text(b"# caf\xe9\n[tank]\r\n ; \xff\ndaily = 1\n").unwrap();
        assert_eq!(read, "# caf\u{fffd}\n[tank]\r\n ; \u{fffd}\ndaily = 1\n");
        assert_eq!(text("[ä]".as_bytes()).unwrap(), "[ä]");
        assert_eq!(text(b"\xef\xbb\xbf# \xe9").unwrap(), "# \u{fffd}");
        assert_eq!(text(b"").unwrap(), "");
    }

    #[test]
    fn what_is_no_text_is_told_by_its_line() {
        for (bytes, line, told) in [
            (&b"[tank]\npruning_script = /caf\xe9\n"[..], 2, "not UTF-8"),
            (b"\xff\xfe[\0t\0", 1, "UTF-16"),
            (b"[\0t\0]\0\n\0", 1, "byte 0"),
            (b"[tank]\n\x7fELF\0", 2, "byte 0"),
        ] {
            let wrong = text(bytes).unwrap_err();
            assert_eq!(wrong.line, line, "{wrong:?}");
            assert!(wrong.text.contains(told), "{wrong:?}");
        }
    }
}
