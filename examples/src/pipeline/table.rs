//! The table at the end of a run.

use std::fmt;

use indicatif::HumanBytes;

/// A number of bytes for people: `12.3 MiB`.
pub fn bytes_text(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// What was sent, by source and target.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row>,
}

/// What one dataset sent to one target.
#[derive(Debug)]
pub struct Row {
    dataset: String,
    target: String,
    streams: u64,
    full: u64,
    incremental: u64,
    seconds: f64,
    failed: bool,
}

impl Table {
    /// The row of these two, made if there is none yet.
    pub fn row(&mut self, dataset: &str, target: &str) -> &mut Row {
        let known = self
            .rows
            .iter()
            .position(|row| row.dataset == dataset && row.target == target);
        let index = known.unwrap_or_else(|| {
            self.rows.push(Row {
                dataset: dataset.to_owned(),
                target: target.to_owned(),
                streams: 0,
                full: 0,
                incremental: 0,
                seconds: 0.0,
                failed: false,
            });
            self.rows.len() - 1
        });
        &mut self.rows[index]
    }
}

impl Row {
    /// A stream arrived.
    pub fn sent(&mut self, is_incremental: bool, bytes: u64, seconds: f64) {
        self.streams += 1;
        self.seconds += seconds;
        if is_incremental {
            self.incremental += bytes;
        } else {
            self.full += bytes;
        }
    }

    /// Something went wrong.
    pub fn failed(&mut self) {
        self.failed = true;
    }

    fn cells(&self) -> [String; 7] {
        let bytes = self.full + self.incremental;
        let rate = if self.seconds > 0.0 && bytes > 0 {
            format!("{}/s", bytes_text((bytes as f64 / self.seconds) as u64))
        } else {
            "-".to_owned()
        };
        let verdict = match (self.failed, self.streams) {
            (true, _) => "FAILED",
            (false, 0) => "up to date",
            (false, _) => "ok",
        };
        [
            self.dataset.clone(),
            self.target.clone(),
            self.streams.to_string(),
            bytes_text(self.full),
            bytes_text(self.incremental),
            rate,
            verdict.to_owned(),
        ]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let head = [
            "DATASET",
            "TARGET",
            "STREAMS",
            "FULL",
            "INCREMENTAL",
            "RATE",
            "",
        ]
        .map(str::to_owned);
        let lines: Vec<[String; 7]> = std::iter::once(head)
            .chain(self.rows.iter().map(Row::cells))
            .collect();
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let [dataset, target, streams, full, incremental, rate, _] =
            [0, 1, 2, 3, 4, 5, 6].map(width);
        for [a, b, c, d, e, g, h] in &lines {
            let line = format!(
                "{a:dataset$}  {b:target$}  {c:>streams$}  {d:>full$}  {e:>incremental$}  \
                 {g:>rate$}  {h}"
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let mut table = Table::default();
        table.row("a/long/name", "b").sent(false, 1 << 20, 2.0);
        table.row("a/long/name", "b").sent(true, 1024, 0.0);
        table.row("a", "b/a").failed();
        table.row("c", "d");
        assert_eq!(
            table.to_string(),
            "\
DATASET      TARGET  STREAMS      FULL  INCREMENTAL          RATE
a/long/name  b             2  1.00 MiB     1.00 KiB  512.50 KiB/s  ok
a            b/a           0       0 B          0 B             -  FAILED
c            d             0       0 B          0 B             -  up to date

"
        );
    }

    #[test]
    fn without_rows_there_is_no_table() {
        assert_eq!(Table::default().to_string(), "");
    }
}
