//! The zvol: finding its device, writing to it, and comparing two of them
//! byte by byte.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;

use super::content::{Content, Random};
use super::interrupt::Interrupt;
use super::tool;

const CHUNK: usize = 1 << 20;

/// The block device of a zvol. The links below /dev/zvol are udev's work;
/// where udev does not run, ZFS' own `zvol_id` tells which device is which.
/// Either comes some time after the zvol, so this waits.
pub fn device(dataset: &str, interrupt: &Interrupt) -> Result<PathBuf> {
    let deadline = Instant::now() + Duration::from_secs(120);
    let link = Path::new("/dev/zvol").join(dataset);
    loop {
        interrupt.check()?;
        if let Ok(device) = link.canonicalize() {
            return Ok(device);
        }
        if let Some(device) = device_by_id(dataset) {
            return Ok(device);
        }
        if Instant::now() > deadline {
            bail!(
                "{dataset} has no device: neither {} nor a /dev/zd* that zvol_id knows as this zvol",
                link.display()
            );
        }
        sleep(Duration::from_millis(100));
    }
}

fn device_by_id(dataset: &str) -> Option<PathBuf> {
    let zvol_id = ["/usr/lib/udev/zvol_id", "/lib/udev/zvol_id"]
        .into_iter()
        .find(|path| Path::new(path).exists())?;
    let devices = std::fs::read_dir("/dev").ok()?;
    devices
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.and_then(|name| name.strip_prefix("zd"))
                .is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
        })
        .find(|path| tool::run(zvol_id, &[path]).is_ok_and(|name| name.trim_end() == dataset))
}

/// The first content: the head of the volume, as if a filesystem lay in it;
/// the rest was never written.
pub fn fill(device: &Path, bytes: u64, seed: u64, interrupt: &Interrupt) -> Result<()> {
    let mut random = Random::new(seed);
    edit(device, |file| {
        let mut chunk = vec![0; CHUNK];
        for (number, offset) in (0..bytes).step_by(CHUNK).enumerate() {
            interrupt.check()?;
            Content::ALL[number % 3].fill(&mut random, &mut chunk);
            file.write_all_at(&chunk, offset)?;
        }
        Ok(())
    })
}

/// One round of change: scattered writes that keep to no block's border.
pub fn change(device: &Path, bytes: u64, seed: u64, round: u64) -> Result<()> {
    let mut random = Random::new(seed).derive(round);
    edit(device, |file| {
        for _ in 0..64 {
            let mut part = vec![0; random.between(512, 40_000) as usize];
            let content = *random.pick(&Content::ALL);
            content.fill(&mut random, &mut part);
            file.write_all_at(&part, random.below(bytes - part.len() as u64))?;
        }
        Ok(())
    })
}

fn edit(device: &Path, write: impl FnOnce(&File) -> Result<()>) -> Result<()> {
    let writing = || format!("cannot write to {}", device.display());
    let file = OpenOptions::new()
        .write(true)
        .open(device)
        .with_context(writing)?;
    write(&file).with_context(writing)?;
    file.sync_all().with_context(writing)
}

/// What comparing two volumes found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// Bytes of the one and of the other.
    pub bytes: [u64; 2],
    pub hashes: [blake3::Hash; 2],
    /// Where the first byte differs.
    pub first_difference: Option<u64>,
}

impl Compared {
    pub fn is_same(&self) -> bool {
        self.bytes[0] == self.bytes[1] && self.hashes[0] == self.hashes[1]
    }
}

/// Reads both to the end.
pub fn compare(
    left: &Path,
    right: &Path,
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> Result<Compared> {
    let open = |path: &Path| -> Result<(File, u64)> {
        let reading = || format!("cannot read {}", path.display());
        let mut file = File::open(path).with_context(reading)?;
        // A block device has no length in its metadata.
        let bytes = file.seek(SeekFrom::End(0)).with_context(reading)?;
        file.rewind().with_context(reading)?;
        Ok((file, bytes))
    };
    let (mut left_file, left_bytes) = open(left)?;
    let (mut right_file, right_bytes) = open(right)?;
    let mut hashers = [blake3::Hasher::new(), blake3::Hasher::new()];
    let mut chunks = [vec![0; CHUNK], vec![0; CHUNK]];
    let mut first_difference = None;
    let mut offset = 0;
    loop {
        interrupt.check()?;
        let [ours, theirs] = &mut chunks;
        let ours = read_chunk(&mut left_file, left, ours)?;
        let theirs = read_chunk(&mut right_file, right, theirs)?;
        if ours.is_empty() && theirs.is_empty() {
            break;
        }
        hashers[0].update(ours);
        hashers[1].update(theirs);
        if first_difference.is_none() && ours != theirs {
            let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
            first_difference = Some(offset + same as u64);
        }
        offset += ours.len().max(theirs.len()) as u64;
        bar.inc((ours.len() + theirs.len()) as u64);
    }
    Ok(Compared {
        bytes: [left_bytes, right_bytes],
        hashes: hashers.map(|hasher| hasher.finalize()),
        first_difference,
    })
}

fn read_chunk<'a>(file: &mut File, path: &Path, chunk: &'a mut [u8]) -> Result<&'a [u8]> {
    let mut filled = 0;
    while filled < chunk.len() {
        let length = file
            .read(&mut chunk[filled..])
            .with_context(|| format!("cannot read {}", path.display()))?;
        if length == 0 {
            break;
        }
        filled += length;
    }
    Ok(&chunk[..filled])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(left: &[u8], right: &[u8]) -> Compared {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("left"), dir.path().join("right")];
        std::fs::write(&paths[0], left).unwrap();
        std::fs::write(&paths[1], right).unwrap();
        let bar = ProgressBar::hidden();
        compare(&paths[0], &paths[1], &bar, &Interrupt::default()).unwrap()
    }

    #[test]
    fn equal_volumes_are_the_same() {
        let bytes = vec![7; CHUNK + 1];
        let found = compared(&bytes, &bytes);
        assert!(found.is_same());
        assert_eq!(found.first_difference, None);
        assert_eq!(found.bytes, [CHUNK as u64 + 1; 2]);
    }

    #[test]
    fn one_other_byte_is_found_and_placed() {
        let left = vec![7; 2 * CHUNK];
        let mut right = left.clone();
        right[CHUNK + 5] = 8;
        let found = compared(&left, &right);
        assert!(!found.is_same());
        assert_eq!(found.first_difference, Some(CHUNK as u64 + 5));
    }

    #[test]
    fn a_shorter_volume_differs_where_it_ends() {
        let found = compared(&[1, 2, 3], &[1, 2]);
        assert!(!found.is_same());
        assert_eq!(found.first_difference, Some(2));
    }

    #[test]
    fn rounds_of_change_follow_from_the_seed() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().join("one"), dir.path().join("other")];
        for path in &paths {
            let bytes = 4 * CHUNK as u64;
            File::create(path).unwrap().set_len(bytes).unwrap();
            fill(path, bytes / 2, 1, &Interrupt::default()).unwrap();
            change(path, bytes, 1, 1).unwrap();
        }
        let bar = ProgressBar::hidden();
        let found = compare(&paths[0], &paths[1], &bar, &Interrupt::default()).unwrap();
        assert!(found.is_same());
        change(&paths[1], 4 * CHUNK as u64, 1, 2).unwrap();
        let found = compare(&paths[0], &paths[1], &bar, &Interrupt::default()).unwrap();
        assert!(!found.is_same());
    }
}
