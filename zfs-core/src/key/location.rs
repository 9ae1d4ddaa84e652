//! Where a key is kept.

use std::path::{Component, Path};

use super::{Key, KeyFormat};
use crate::error::Error;
use crate::ffi::CallError;

/// The property `keylocation`: where the key is looked for when it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyLocation(String);

impl KeyLocation {
    /// Somebody types it, or gives it on standard input.
    pub fn prompt() -> KeyLocation {
        KeyLocation("prompt".into())
    }

    /// It is in that file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKeyLocation`] where the path is not absolute, has `.`
    /// or `..` in it, or is not UTF-8.
    pub fn file(path: impl AsRef<Path>) -> Result<KeyLocation, Error> {
        let path = path.as_ref();
        let plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        match path.to_str() {
            Some(text) if path.is_absolute() && plain && !text.contains('\0') => {
                Ok(KeyLocation(format!("file://{text}")))
            }
            _ => Err(Error::InvalidKeyLocation(path.to_owned())),
        }
    }

    /// The location of that text: `prompt` or `file:///PATH`, or what else a
    /// dataset can have (`https://…`), of which [`KeyLocation::read`] makes an
    /// error.
    pub fn parse(text: &str) -> Result<KeyLocation, Error> {
        match text.strip_prefix("file://") {
            Some(path) => KeyLocation::file(path),
            None if text == "prompt" || is_web(text) => Ok(KeyLocation(text.to_owned())),
            None => Err(Error::InvalidKeyLocation(text.into())),
        }
    }

    /// The property's value.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file, where it is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.strip_prefix("file://").map(Path::new)
    }

    /// Reads the key: from the file, or with `prompt`, which is called where
    /// somebody has to be asked.
    ///
    /// # Errors
    ///
    /// As [`Key::file`], or what `prompt` says; [`Error::KeyNotFetched`] for a
    /// key on a web server.
    pub fn read(
        &self,
        format: KeyFormat,
        prompt: impl FnOnce(KeyFormat) -> Result<Key, Error>,
    ) -> Result<Key, Error> {
        match self.path() {
            Some(path) => Key::file(format, path),
            None if is_web(&self.0) => Err(Error::KeyNotFetched {
                location: self.0.clone(),
            }),
            None => prompt(format),
        }
    }

    /// A location that a dataset has, whatever it is.
    pub(super) fn of_dataset(text: &str) -> KeyLocation {
        KeyLocation(text.to_owned())
    }

    /// Whether a key can be put there by this crate's word.
    pub(super) fn check_new(&self) -> Result<(), CallError> {
        if is_web(&self.0) {
            return Err(CallError::Invalid(format!(
                "this crate fetches no keys, and {} would be where the next one is looked for \
                 (file:// or prompt; zfs set keylocation=… afterwards)",
                self.0
            )));
        }
        Ok(())
    }
}

fn is_web(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_has_an_absolute_path() {
        let location = KeyLocation::file("/etc/zfs/my key").unwrap();
        assert_eq!(location.as_str(), "file:///etc/zfs/my key");
        for path in ["", "key", "./key", "/etc/../key", "/a\0b"] {
            assert!(KeyLocation::file(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_location_is_read_back_as_it_was_written() {
        for text in ["prompt", "file:///etc/zfs/key", "https://keys.example/tank"] {
            assert_eq!(KeyLocation::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "none", "file://key", "ftp://example", "Prompt"] {
            assert!(KeyLocation::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_key_on_a_web_server_is_refused_in_words() {
        let location = KeyLocation::parse("https://keys.example/tank").unwrap();
        let asked = |_| panic!("nobody is to be asked");
        let error = location.read(KeyFormat::Hex, asked).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("https://keys.example/tank"), "{text}");
        assert!(text.contains("curl"), "{text}");
        assert!(location.check_new().is_err());
    }

    #[test]
    fn a_prompt_is_asked_for_the_format_that_is_wanted() {
        let key = KeyLocation::prompt()
            .read(KeyFormat::Hex, |format| {
                assert_eq!(format, KeyFormat::Hex);
                Key::hex("ab".repeat(32))
            })
            .unwrap();
        assert_eq!(key.format(), KeyFormat::Hex);
    }
}
