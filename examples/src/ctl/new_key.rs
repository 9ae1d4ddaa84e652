//! The key of a new dataset, out of the properties that it is given.

use anyhow::{Result, bail};
use zfs_core::{Cipher, DatasetName, Encryption, KeyFormat, KeyLocation, Properties, Zfs};

use super::key::ask;
use super::usage;

/// Whether a new dataset gets a key of its own.
pub enum NewKey {
    /// None, or that of what is above it.
    None,
    /// One of its own.
    Own(Wanted),
}

/// The properties that make a key.
pub struct Wanted {
    cipher: Option<String>,
    format: String,
    location: Option<String>,
    iterations: Option<String>,
}

/// The four properties that make a key, and the others.
pub fn split_key(given: &[(String, String)]) -> (NewKey, Properties) {
    let value = |name: &str| {
        given
            .iter()
            .rev()
            .find(|(property, _)| property == name)
            .map(|(_, value)| value.clone())
    };
    let Some(format) = value("keyformat") else {
        return (NewKey::None, given.iter().cloned().collect());
    };
    let wanted = Wanted {
        cipher: value("encryption"),
        format,
        location: value("keylocation"),
        iterations: value("pbkdf2iters"),
    };
    let others = given.iter().filter(|(property, _)| {
        !["encryption", "keyformat", "keylocation", "pbkdf2iters"].contains(&property.as_str())
    });
    (NewKey::Own(wanted), others.cloned().collect())
}

impl Wanted {
    /// Whether somebody is asked for the key.
    pub fn is_prompted(&self) -> bool {
        matches!(self.location.as_deref(), None | Some("prompt"))
    }

    /// How a new dataset of that name is encrypted. Reads the key.
    pub fn encryption(&self, zfs: &Zfs, name: &DatasetName) -> Result<Encryption> {
        let Some(format) = KeyFormat::parse(&self.format) else {
            return usage(format!(
                "keyformat is raw, hex or passphrase, and not {}",
                self.format
            ));
        };
        let cipher = if let Some(word) = &self.cipher {
            let Some(cipher) = Cipher::parse(word) else {
                return usage(format!("{word} is no encryption"));
            };
            cipher
        } else {
            let parent = name.parent().map(|parent| zfs.encryption(&parent));
            let cipher = parent.transpose()?.flatten().and_then(|state| state.cipher);
            let Some(cipher) = cipher else {
                bail!(
                    "Encryption must be turned on to set encryption properties \
                     (-o encryption=on)."
                );
            };
            cipher
        };
        let location = match &self.location {
            Some(text) => KeyLocation::parse(text)?,
            None => KeyLocation::prompt(),
        };
        let mut key = location.read(format, |format| ask(format, None, true))?;
        if let Some(iterations) = &self.iterations {
            let Ok(number) = iterations.parse() else {
                return usage(format!("pbkdf2iters is a number, and not {iterations}"));
            };
            key = key.iterations(number);
        }
        Ok(Encryption::new(key).cipher(cipher).location(location))
    }
}
