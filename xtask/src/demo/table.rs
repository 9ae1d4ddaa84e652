//! The demo's last word: one row per dataset.

use std::fmt::Write as _;

const HEADINGS: [&str; 9] = [
    "dataset",
    "snapshots a",
    "snapshots b",
    "sent full",
    "incremental",
    "rate",
    "files",
    "compared",
    "verdict",
];

/// What the demo saw of one dataset.
#[derive(Debug, Clone, Default)]
pub struct Row {
    pub dataset: String,
    /// Snapshots on site-a and on site-b.
    pub snapshots: [usize; 2],
    pub full_bytes: u64,
    pub incremental_bytes: u64,
    /// Of the streams that were not killed.
    pub timed_bytes: u64,
    pub seconds: f64,
    pub files: u64,
    /// Of one side.
    pub compared_bytes: u64,
    pub differences: usize,
}

impl Row {
    fn cells(&self) -> [String; 9] {
        let rate = if self.seconds > 0.0 {
            format!(
                "{}/s",
                size((self.timed_bytes as f64 / self.seconds) as u64)
            )
        } else {
            "-".to_owned()
        };
        [
            self.dataset.clone(),
            self.snapshots[0].to_string(),
            self.snapshots[1].to_string(),
            size(self.full_bytes),
            size(self.incremental_bytes),
            rate,
            if self.files == 0 {
                "-".to_owned()
            } else {
                self.files.to_string()
            },
            if self.compared_bytes == 0 {
                "-".to_owned()
            } else {
                size(self.compared_bytes)
            },
            match self.differences {
                0 => "identical".to_owned(),
                1 => "1 DIFFERENCE".to_owned(),
                count => format!("{count} DIFFERENCES"),
            },
        ]
    }
}

/// The table, a line each and a rule under the headings. Names stand left,
/// numbers right.
pub fn render(rows: &[Row]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(rows.iter().map(Row::cells));
    let mut widths = [0; 9];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.len().max(*width);
        }
    }
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let mut shown = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Writing to a string cannot fail.
            let _ = if column == 0 || column == line.len() - 1 {
                write!(shown, "{cell:<width$}  ")
            } else {
                write!(shown, "{cell:>width$}  ")
            };
        }
        text.push_str(shown.trim_end());
        text.push('\n');
        if number == 0 {
            text.push_str(&"-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1)));
            text.push('\n');
        }
    }
    text
}

/// Bytes for a reader: `0 B`, `1.5 KiB`, `96.0 MiB`.
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return match unit {
                "B" => format!("{bytes} B"),
                _ => format!("{value:.1} {unit}"),
            };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_shows_every_number_and_the_verdict() {
        let rows = [
            Row {
                dataset: "office/files".into(),
                snapshots: [2, 3],
                full_bytes: 96 << 20,
                incremental_bytes: 1536,
                timed_bytes: 96 << 20,
                seconds: 2.0,
                files: 2000,
                compared_bytes: 5,
                differences: 0,
            },
            Row {
                dataset: "office".into(),
                differences: 2,
                ..Row::default()
            },
        ];
        let text = render(&rows);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[2].split_whitespace().collect::<Vec<_>>().join(" "),
            "office/files 2 3 96.0 MiB 1.5 KiB 48.0 MiB/s 2000 5 B identical"
        );
        assert!(lines[3].starts_with("office  "), "{text}");
        assert!(lines[3].ends_with("2 DIFFERENCES"), "{text}");
        assert_eq!(lines[0].find("verdict"), lines[3].find("2 DIFF"));
    }

    #[test]
    fn sizes_change_their_unit_at_1024() {
        assert_eq!(size(0), "0 B");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1024), "1.0 KiB");
        assert_eq!(size(u64::MAX), "16777216.0 TiB");
    }
}
