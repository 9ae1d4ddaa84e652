//! Numbers as people write them.

/// A number as zfs(8) takes it: `131072`, `128K`, `1.5G`, `1MiB`, `512B`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let mut unit = unit.to_ascii_uppercase();
    for suffix in ["IB", "B"] {
        if unit.len() >= suffix.len() && unit != "IB" {
            if let Some(rest) = unit.strip_suffix(suffix) {
                unit = rest.to_owned();
                break;
            }
        }
    }
    let shift = match unit.as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    // Exact where a float would not be, and refused where digits say more
    // than fits.
    let scale = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let whole: u128 = whole.parse().ok()?;
    let fraction: u128 = if fraction.is_empty() {
        0
    } else {
        fraction.parse().ok()?
    };
    let hundredfold = whole.checked_mul(scale)?.checked_add(fraction)?;
    u64::try_from(hundredfold.checked_mul(1 << shift)? / scale).ok()
}

pub(super) fn not_a_size(text: &str) -> String {
    format!("{text:?} is not a number, or one with a unit (K, M, G, T, P, E)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_as_zfs_reads_them() {
        for (text, bytes) in [
            ("0", 0),
            ("131072", 131_072),
            ("128K", 131_072),
            ("128k", 131_072),
            ("1MiB", 1 << 20),
            ("1MB", 1 << 20),
            ("512B", 512),
            ("1.5G", 3 << 29),
            ("15E", 15 << 60),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Some(bytes), "{text}");
        }
        for text in [
            "",
            "K",
            ".",
            ".5G",
            "-1",
            "1 K",
            "1X",
            "1KK",
            "1iB",
            "16E",
            "1e3",
            "1.2.3K",
            "99999999999999999999999999999999999999999",
            "1.0000000000000000000000000000000000000001K",
        ] {
            assert_eq!(parse_size(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_a_size_panic(text in "\\PC{0,24}") {
            let _ = parse_size(&text);
        }

        #[test]
        fn a_plain_number_is_itself(number: u64) {
            prop_assert_eq!(parse_size(&number.to_string()), Some(number));
        }
    }
}
