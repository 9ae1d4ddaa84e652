//! What is mounted, and how.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The ZFS filesystems that are mounted, with the options in force.
#[derive(Debug, Default)]
pub struct Mounts(HashMap<String, Vec<String>>);

/// Properties that a mount option can stand against for the time being: the
/// property, the option for on, the option for off.
const OPTIONS: [(&str, &str, &str); 8] = [
    ("atime", "atime", "noatime"),
    ("relatime", "relatime", "norelatime"),
    ("devices", "dev", "nodev"),
    ("exec", "exec", "noexec"),
    ("readonly", "ro", "rw"),
    ("setuid", "suid", "nosuid"),
    ("xattr", "xattr", "noxattr"),
    ("nbmand", "mand", "nomand"),
];

impl Mounts {
    /// As the kernel lists them; none where it does not.
    pub fn read() -> Mounts {
        Mounts::parse(&fs::read_to_string("/proc/self/mounts").unwrap_or_default())
    }

    fn parse(text: &str) -> Mounts {
        let mut mounts = HashMap::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            if let [source, _, "zfs", options, ..] = fields[..] {
                mounts
                    .entry(unescaped(source))
                    .or_insert_with(|| options.split(',').map(str::to_owned).collect());
            }
        }
        Mounts(mounts)
    }

    /// Whether it is mounted.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What the mount options make of a property that is `on` or not, where
    /// that is something else.
    pub fn instead(&self, name: &str, property: &str, on: bool) -> Option<bool> {
        let (_, yes, no) = OPTIONS.iter().find(|(known, ..)| *known == property)?;
        let options = self.0.get(name)?;
        let against = if on { no } else { yes };
        options
            .iter()
            .any(|option| option == against)
            .then_some(!on)
    }

    /// Whether mount options have a say in a property.
    pub fn concerns(property: &str) -> bool {
        property == "mounted" || OPTIONS.iter().any(|(known, ..)| *known == property)
    }
}

/// A blank is `\040`, and so on.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| *first == b'\\');
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        if let Some(code) = code {
            bytes.push(code);
            rest = after.get(3..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The dataset that a path is in.
///
/// # Errors
///
/// What is wrong, in zfs(8)'s words.
pub fn dataset_of(path: &str) -> Result<String, String> {
    let about = fs::metadata(Path::new(path)).map_err(|error| {
        // zfs(8) says what the C library says, without Rust's number.
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        format!("cannot open '{path}': {text}")
    })?;
    let (major, minor) = (device_major(about.dev()), device_minor(about.dev()));
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let device = format!("{major}:{minor}");
    let found = table.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut after = after.split(' ');
        let (kind, source) = (after.next()?, after.next()?);
        let here = before.split(' ').nth(2)? == device;
        here.then(|| (kind == "zfs").then(|| unescaped(source)))
    });
    found
        .flatten()
        .ok_or_else(|| format!("'{path}': not a ZFS filesystem"))
}

fn device_major(device: u64) -> u64 {
    (device >> 8 & 0xfff) | (device >> 32 & !0xfff)
}

fn device_minor(device: u64) -> u64 {
    (device & 0xff) | (device >> 12 & !0xff & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_against_properties_where_they_differ() {
        let mounts = Mounts::parse(
            "proc /proc proc rw 0 0\n\
             tank/a\\040b /mnt zfs ro,noexec,relatime,xattr,noacl 0 0\n",
        );
        let name = "tank/a b";
        assert!(mounts.has(name) && !mounts.has("tank/a"));
        assert_eq!(mounts.instead(name, "readonly", false), Some(true));
        assert_eq!(mounts.instead(name, "readonly", true), None);
        assert_eq!(mounts.instead(name, "exec", true), Some(false));
        assert_eq!(mounts.instead(name, "atime", true), None);
        assert_eq!(mounts.instead("tank", "exec", true), None);
        assert_eq!(mounts.instead(name, "checksum", true), None);
    }

    #[test]
    fn a_path_that_is_none_or_elsewhere_is_told_in_zfs_words() {
        assert_eq!(
            dataset_of("/there/is/none"),
            Err("cannot open '/there/is/none': No such file or directory".to_owned())
        );
        assert_eq!(
            dataset_of("/proc"),
            Err("'/proc': not a ZFS filesystem".to_owned())
        );
    }
}
