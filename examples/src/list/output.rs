//! How rows are written: a table, fields with tabs between, JSON.

use std::fmt::Write as _;
use std::io::{self, Write};

use zfs_core::{Source, Version};

use super::columns::Column;
use super::columns::SNAP;
use super::row::{Cell, Context, Origin, Row};

/// What a row has in every column; none is `-`.
pub type Cells = Vec<Option<Cell>>;

const NOTHING: &str = "-";

fn text(cell: Option<&Cell>) -> &str {
    cell.map_or(NOTHING, |cell| cell.text.as_str())
}

/// Fields with tabs between.
pub fn tabs(out: &mut impl Write, cells: &Cells) -> io::Result<()> {
    for (number, cell) in cells.iter().enumerate() {
        if number > 0 {
            out.write_all(b"\t")?;
        }
        out.write_all(text(cell.as_ref()).as_bytes())?;
    }
    out.write_all(b"\n")
}

/// How wide the columns of a table are.
pub struct Widths(Vec<usize>);

impl Widths {
    /// As wide as the headings, and what a column can hold where that is
    /// known.
    pub fn new(columns: &[Column], version: Version) -> Widths {
        let width = |column: &Column| match column {
            Column::Native(native) => native.width(version),
            other => other.name().len(),
        };
        Widths(columns.iter().map(width).collect())
    }

    /// How wide a column is.
    pub fn of(&self, column: usize) -> usize {
        self.0.get(column).copied().unwrap_or_default()
    }

    /// As wide as this row needs it.
    pub fn widen(&mut self, columns: &[Column], cells: &Cells, context: &Context) {
        for ((width, column), cell) in self.0.iter_mut().zip(columns).zip(cells) {
            let grows = match column {
                Column::Native(native) => native.flexible(context.version, context.literal),
                Column::User(_) => true,
                // zfs(8) does not look at those.
                Column::Somebody(..) | Column::Written(_) => false,
            };
            if let (true, Some(cell)) = (grows, cell) {
                *width = (*width).max(cell.text.len());
            }
        }
    }

    fn line<'a>(
        &self,
        out: &mut impl Write,
        columns: &[Column],
        texts: impl Iterator<Item = &'a str>,
    ) -> io::Result<()> {
        let last = columns.len().saturating_sub(1);
        for (number, ((width, column), text)) in self.0.iter().zip(columns).zip(texts).enumerate() {
            if number > 0 {
                out.write_all(b"  ")?;
            }
            // By bytes, as C counts; Rust's own padding counts characters.
            let blanks = width.saturating_sub(text.len());
            if column.right() {
                write!(out, "{:blanks$}{text}", "")?;
            } else if number == last {
                out.write_all(text.as_bytes())?;
            } else {
                write!(out, "{text}{:blanks$}", "")?;
            }
        }
        out.write_all(b"\n")
    }

    /// The line of headings.
    pub fn headings(&self, out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
        let headings: Vec<String> = columns.iter().map(Column::heading).collect();
        self.line(out, columns, headings.iter().map(String::as_str))
    }

    /// A row.
    pub fn row(&self, out: &mut impl Write, columns: &[Column], cells: &Cells) -> io::Result<()> {
        let texts = cells.iter().map(|cell| text(cell.as_ref()));
        self.line(out, columns, texts)
    }
}

/// One object with all rows, written as they come.
pub struct Json {
    numbers: bool,
    rows: usize,
    properties: usize,
}

impl Json {
    /// Begins the object, in the shape of that command of zfs(8).
    pub fn begin(out: &mut impl Write, command: &str, numbers: bool) -> io::Result<Json> {
        write!(
            out,
            r#"{{"output_version":{{"command":"{command}","vers_major":0,"vers_minor":1}},"datasets":{{"#,
        )?;
        Ok(Json {
            numbers,
            rows: 0,
            properties: 0,
        })
    }

    /// Adds a row.
    pub fn row(
        &mut self,
        out: &mut impl Write,
        row: &Row,
        columns: &[Column],
        cells: &Cells,
        version: Version,
    ) -> io::Result<()> {
        self.begin_row(out, row)?;
        let shown = columns
            .iter()
            .zip(cells)
            .filter(|(column, _)| !column.is("name"));
        let mut before = None;
        for (column, cell) in shown {
            let source = match (column, cell) {
                // Of what there is none, zfs(8) shows the source of the column
                // before it.
                (Column::User(_), None) => before,
                (Column::Native(native), None) if native.kinds(version) & row.kind == 0 => before,
                (_, cell) => cell.as_ref().map(|cell| &cell.source),
            };
            before = source;
            self.property(out, &column.name(), text(cell.as_ref()), source, None)?;
        }
        Json::end_row(out)
    }

    /// Begins a row, up to its properties.
    pub fn begin_row(&mut self, out: &mut impl Write, row: &Row) -> io::Result<()> {
        if self.rows > 0 {
            out.write_all(b",")?;
        }
        self.rows += 1;
        self.properties = 0;
        let name = quoted(&row.name);
        write!(
            out,
            r#"{name}:{{"name":{name},"type":"{}","pool":{},"createtxg":{}"#,
            row.kind_name().to_ascii_uppercase(),
            quoted(row.pool()),
            self.value(&row.createtxg.to_string())
        )?;
        if let (SNAP, Some((dataset, own))) = (row.kind, row.name.split_once('@')) {
            write!(
                out,
                r#","dataset":{},"snapshot_name":{}"#,
                quoted(dataset),
                quoted(own)
            )?;
        }
        out.write_all(br#","properties":{"#)
    }

    /// Adds a property to the row. What came with a stream is told of, where
    /// that is wanted, if it is in force.
    pub fn property(
        &mut self,
        out: &mut impl Write,
        name: &str,
        value: &str,
        source: Option<&Origin>,
        received: Option<&str>,
    ) -> io::Result<()> {
        if self.properties > 0 {
            out.write_all(b",")?;
        }
        self.properties += 1;
        let (kind, data) = match source {
            None | Some(Origin::Zfs(Source::None)) => ("NONE", NOTHING),
            Some(Origin::Zfs(Source::Default)) => ("DEFAULT", NOTHING),
            Some(Origin::Zfs(Source::Local)) => ("LOCAL", NOTHING),
            Some(Origin::Zfs(Source::Received)) => ("RECEIVED", received.unwrap_or(NOTHING)),
            Some(Origin::Zfs(Source::Inherited(from))) => ("INHERITED", from.as_str()),
            Some(Origin::Temporary) => ("TEMPORARY", NOTHING),
        };
        write!(
            out,
            r#"{}:{{"value":{},"source":{{"type":"{kind}","data":{}}}}}"#,
            quoted(name),
            self.value(value),
            quoted(data)
        )
    }

    /// Ends the row.
    pub fn end_row(out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"}}")
    }

    /// Ends the object.
    pub fn end(self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(b"}}\n")
    }

    /// A text of digits is a number if that was asked for; one that a signed
    /// 64-bit number cannot hold becomes the largest, as zfs(8) has it.
    fn value(&self, text: &str) -> String {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        if self.numbers && digits {
            text.parse().unwrap_or(i64::MAX).to_string()
        } else {
            quoted(text)
        }
    }
}

/// A text in JSON, with what is not ASCII as `\uXXXX`, as libnvpair has it.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            ' '..='~' => quoted.push(letter),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    let _ = write!(quoted, "\\u{unit:04x}");
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_json_wants_it() {
        assert_eq!(
            quoted("a \"b\" \\ \n\u{1} ü 𝄞"),
            "\"a \\\"b\\\" \\\\ \\n\\u0001 \\u00fc \\ud834\\udd1e\""
        );
    }

    #[test]
    fn numbers_are_what_has_digits_alone() {
        let (as_text, as_number) = (
            Json {
                numbers: false,
                rows: 0,
                properties: 0,
            },
            Json {
                numbers: true,
                rows: 0,
                properties: 0,
            },
        );
        assert_eq!(as_text.value("12"), "\"12\"");
        for (text, value) in [
            ("12", "12"),
            ("1.00", "\"1.00\""),
            ("-", "\"-\""),
            ("", "\"\""),
            ("14783613812408647005", "9223372036854775807"),
        ] {
            assert_eq!(as_number.value(text), value);
        }
    }

    #[test]
    fn a_table_has_numbers_at_the_right_and_nothing_behind_the_last_text() {
        let version = Version::new(2, 3);
        let columns = super::super::columns::parse_list("name,used,type", version).unwrap();
        let cells: Cells = ["tank/ä", "1K"]
            .map(|text| {
                Some(Cell {
                    text: text.to_owned(),
                    source: Origin::Zfs(Source::None),
                })
            })
            .into_iter()
            .chain([None])
            .collect();
        let mut widths = Widths::new(&columns, version);
        widths.0[0] = 8;
        let mut out = Vec::new();
        widths.headings(&mut out, &columns).unwrap();
        widths.row(&mut out, &columns, &cells).unwrap();
        // The second is seven bytes.
        let expected = "NAME       USED  TYPE\ntank/ä      1K  -\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
