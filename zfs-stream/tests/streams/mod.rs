//! The streams that real OpenZFS made.

use std::path::{Path, PathBuf};

/// A gzip file's contents: these were made with `gzip -n`, so their head is ten
/// bytes and their tail eight.
fn gunzip(path: &Path) -> Vec<u8> {
    let file = std::fs::read(path).unwrap();
    assert_eq!(file[..4], [0x1f, 0x8b, 8, 0], "{}", path.display());
    let bytes = miniz_oxide::inflate::decompress_to_vec(&file[10..file.len() - 8]).unwrap();
    let length = u32::from_le_bytes(file[file.len() - 4..].try_into().unwrap());
    assert_eq!(bytes.len(), length as usize);
    bytes
}

/// Every stream there is: its name with the version, its bytes, zstream's words.
pub fn streams() -> Vec<(String, Vec<u8>, String)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let mut streams = Vec::new();
    for version in list(&data).iter().filter(|path| path.is_dir()) {
        for path in list(version) {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let Some(name) = name.strip_suffix(".zfs.gz") else {
                continue;
            };
            let dump = gunzip(&version.join(format!("{name}.dump.gz")));
            let version = version.file_name().unwrap().to_str().unwrap();
            let dump = String::from_utf8_lossy(&dump).into_owned();
            streams.push((format!("{version}/{name}"), gunzip(&path), dump));
        }
    }
    assert!(streams.len() >= 52, "only {} streams", streams.len());
    streams
}
