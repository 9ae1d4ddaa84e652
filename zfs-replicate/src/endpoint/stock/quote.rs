//! Words for a POSIX shell.

use std::borrow::Cow;

/// A word that the shell at the other end reads as exactly this text.
///
/// ```
/// use zfs_replicate::endpoint::stock::quote;
///
/// assert_eq!(quote("tank/home"), "tank/home");
/// assert_eq!(quote("tank/it's mine"), r#"'tank/it'\''s mine'"#);
/// ```
pub fn quote(word: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:@#,=+%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return Cow::Borrowed(word);
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('\'');
    for char in word.chars() {
        if char == '\'' {
            quoted.push_str(r"'\''");
        } else {
            quoted.push(char);
        }
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// Words, one after the other.
pub(in crate::endpoint) fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<_> = words.into_iter().map(quote).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_reads_back_what_was_quoted(word in "[^\\x00]{0,40}") {
            let script = format!("printf %s {}", quote(&word));
            let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }

    #[test]
    fn nothing_is_a_word_as_well() {
        assert_eq!(command(["zfs", "", "$(x)"]), "zfs '' '$(x)'");
    }
}
