//! Programs that compress a stream on its way between two systems.

/// What compresses, under syncoid's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    compress: &'static [&'static str],
    decompress: &'static [&'static str],
}

impl Compression {
    /// The names there are.
    pub const NAMES: &'static [&'static str] = &[
        "gzip",
        "pigz-fast",
        "pigz-slow",
        "zstd-fast",
        "zstdmt-fast",
        "zstd-slow",
        "zstdmt-slow",
        "xz",
        "lzo",
        "lz4",
    ];

    /// The one of that name.
    pub fn named(name: &str) -> Option<Compression> {
        let (compress, decompress): (&'static [&'static str], &'static [&'static str]) = match name
        {
            "gzip" => (&["gzip", "-3"], &["zcat"]),
            "pigz-fast" => (&["pigz", "-3"], &["pigz", "-dc"]),
            "pigz-slow" => (&["pigz", "-9"], &["pigz", "-dc"]),
            "zstd-fast" => (&["zstd", "-3"], &["zstd", "-dc"]),
            "zstdmt-fast" => (&["zstdmt", "-3"], &["zstdmt", "-dc"]),
            "zstd-slow" => (&["zstd", "-19"], &["zstd", "-dc"]),
            "zstdmt-slow" => (&["zstdmt", "-19"], &["zstdmt", "-dc"]),
            "xz" => (&["xz"], &["xz", "-d"]),
            "lzo" => (&["lzop"], &["lzop", "-dfc"]),
            "lz4" => (&["lz4"], &["lz4", "-dc"]),
            _ => return None,
        };
        Some(Compression {
            compress,
            decompress,
        })
    }

    /// The program that compresses stdin to stdout, and its arguments.
    pub fn compress(self) -> &'static [&'static str] {
        self.compress
    }

    /// The program that does the opposite, and its arguments.
    pub fn decompress(self) -> &'static [&'static str] {
        self.decompress
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_compression_of_syncoid_is_known() {
        for name in Compression::NAMES {
            assert!(Compression::named(name).is_some(), "{name}");
        }
        assert_eq!(Compression::named("none"), None);
    }
}
