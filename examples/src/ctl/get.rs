//! get.

use std::io::{self, BufWriter, Write};

use anyhow::{Result, bail};
use clap::Args;
use jiff::tz::TimeZone;
use zfs_core::{Details, EntryKinds, ListOrder, Source};

use super::act::Act;
use super::usage;
use crate::list::args;
use crate::list::columns::{self, Column};
use crate::list::mounts::Mounts;
use crate::list::output::{Json, Widths};
use crate::list::row::{Cell, Context, Origin, Row};
use crate::list::select::Selection;
use crate::list::sort::Order;
use crate::list::{cells, user_columns};

/// Show properties
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  zfs-ctl get -Hp used,available tank/home
  zfs-ctl get -r -s local -o name,property,value all tank
  zfs-ctl get -t snapshot used tank/home")]
#[expect(clippy::struct_excessive_bools, reason = "command-line switches")]
pub struct Get {
    /// Of everything below as well
    #[arg(short)]
    recursive: bool,
    /// Of everything to that depth
    #[arg(short, value_name = "DEPTH")]
    depth: Option<usize>,
    /// For scripts: no head, and tabs
    #[arg(short = 'H')]
    script: bool,
    /// Numbers in full
    #[arg(short)]
    parsable: bool,
    /// The columns: name, property, value, received, source, or all
    #[arg(
        short = 'o',
        value_delimiter = ',',
        default_value = "name,property,value,source"
    )]
    output: Vec<String>,
    /// The sources: local, default, inherited, received, temporary, none
    #[arg(short, value_delimiter = ',')]
    source: Vec<String>,
    /// The types: filesystem, volume, snapshot, bookmark, all
    #[arg(short = 't', value_delimiter = ',')]
    types: Vec<String>,
    /// As JSON, in the shape of `zfs get -j`
    #[arg(short = 'j')]
    as_json: bool,
    /// Numbers in JSON as numbers
    #[arg(long)]
    json_int: bool,
    /// Properties with commas between them, or all
    properties: String,
    names: Vec<String>,
}

/// A column of the output.
#[derive(Clone, Copy, PartialEq)]
enum Field {
    Name,
    Property,
    Value,
    Received,
    Source,
}

impl Field {
    fn heading(self) -> &'static str {
        match self {
            Field::Name => "NAME",
            Field::Property => "PROPERTY",
            Field::Value => "VALUE",
            Field::Received => "RECEIVED",
            Field::Source => "SOURCE",
        }
    }
}

const ALL: [Field; 5] = [
    Field::Name,
    Field::Property,
    Field::Value,
    Field::Received,
    Field::Source,
];

const SOURCES: [&str; 6] = [
    "local",
    "default",
    "inherited",
    "received",
    "temporary",
    "none",
];

/// One property of one thing.
struct Line {
    /// The number of the row that it is of.
    row: usize,
    origin: Option<Origin>,
    name: String,
    property: String,
    value: String,
    received: String,
    source: String,
}

impl Line {
    fn field(&self, field: Field) -> &str {
        match field {
            Field::Name => &self.name,
            Field::Property => &self.property,
            Field::Value => &self.value,
            Field::Received => &self.received,
            Field::Source => &self.source,
        }
    }
}

/// What came with a stream.
struct Received(Option<(Row, Vec<String>)>);

impl Received {
    fn of(row: &Row, fields: &[Field], context: &Context) -> Received {
        let wanted = fields.contains(&Field::Received);
        Received(wanted.then(|| row.received(&context.zfs)).flatten())
    }

    fn value(&self, column: &Column, context: &Context) -> String {
        let value = self.0.as_ref().and_then(|(row, names)| {
            let is_there = names.contains(&column.name());
            is_there.then(|| row.value(column, context)).flatten()
        });
        value.map_or_else(|| "-".to_owned(), |cell| cell.text)
    }
}

impl Get {
    /// Carries it out.
    pub fn run(self, act: &mut Act) -> Result<()> {
        let mut fields = Vec::new();
        for column in &self.output {
            if column == "all" && self.output.len() == 1 {
                fields = ALL.to_vec();
                break;
            }
            fields.push(match column.as_str() {
                "name" => Field::Name,
                "property" => Field::Property,
                "value" => Field::Value,
                "received" => Field::Received,
                "source" => Field::Source,
                other => return usage(format!("{other} is no column")),
            });
        }
        for source in &self.source {
            if !SOURCES.contains(&source.as_str()) {
                return usage(format!("invalid source '{source}'"));
            }
        }
        let json = self.as_json || act.is_json();
        if self.json_int && !json {
            return usage("'--json-int' only works with '-j' option");
        }
        let version = act.zfs.version();
        let all = self.properties == "all";
        let mut columns = if all {
            columns::all(version)
        } else {
            match columns::parse_list(&self.properties, version) {
                Ok(columns) => columns,
                Err(text) => return usage(text),
            }
        };
        let selection = Selection::of(&self.selected()?, &act.zfs, Details::Properties);
        let mut context = Context {
            version,
            literal: false,
            zone: TimeZone::system(),
            mounts: Mounts::read(),
            altroots: selection.altroots(&act.zfs),
            zfs: act.zfs.clone(),
        };
        let rows = rows_of(&selection, &context)?;
        if all {
            columns.extend(user_columns(&rows));
        }

        let mut widths = Widths::new(&columns, version);
        let mut lines = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            // zfs-get(8) makes room for numbers as people read them, with -p too.
            context.literal = false;
            widths.widen(&columns, &cells(row, &columns, &context), &context);
            context.literal = self.parsable;
            let cells = cells(row, &columns, &context);
            let received = Received::of(row, &fields, &context);
            for (column, cell) in columns.iter().zip(cells) {
                // With all of them, what it has not is left out.
                if all && (cell.is_none() || column.is("name")) {
                    continue;
                }
                let received = received.value(column, &context);
                lines.extend(self.line(number, row, column, cell, received));
            }
        }
        if json {
            if selection.whole {
                self.print_json(&rows, &lines, &fields)?;
            }
        } else if !lines.is_empty() {
            let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or_default();
            let name = widest(&mut rows.iter().map(|row| row.name.len())).max(4);
            let of = |field: &Field| match field {
                Field::Name => name,
                Field::Property => {
                    widest(&mut columns.iter().map(|column| column.name().len())).max(8)
                }
                Field::Value => {
                    let shown = (0..columns.len()).filter(|at| !(all && *at == 0));
                    widest(&mut shown.map(|at| widths.of(at))).max(5)
                }
                Field::Received => widest(&mut lines.iter().map(|line| line.received.len())).max(8),
                // The longest that could be inherited from.
                Field::Source if name > 4 => name + "inherited from".len(),
                Field::Source => 6,
            };
            let wide: Vec<usize> = fields.iter().map(of).collect();
            if !self.script {
                self.print(&wide, fields.iter().map(|field| field.heading()));
            }
            for line in &lines {
                self.print(&wide, fields.iter().map(|field| line.field(*field)));
            }
        }
        if !selection.whole {
            bail!("not all of it could be looked at");
        }
        Ok(())
    }

    /// What is to be looked at, as zfs-list has it.
    fn selected(&self) -> Result<args::Args> {
        let mut kinds = EntryKinds::empty();
        for kind in &self.types {
            kinds |= match kind.as_str() {
                "filesystem" | "fs" => EntryKinds::FILESYSTEM,
                "volume" | "vol" => EntryKinds::VOLUME,
                "snapshot" | "snap" => EntryKinds::SNAPSHOT,
                "bookmark" => EntryKinds::BOOKMARK,
                "all" => EntryKinds::all(),
                other => return usage(format!("invalid type '{other}'")),
            };
        }
        if kinds.is_empty() {
            kinds = EntryKinds::all();
        }
        Ok(args::Args {
            kinds: Some(kinds),
            recursive: self.recursive,
            depth: self.depth,
            names: self.names.clone(),
            ..args::Args::default()
        })
    }

    fn print_json(&self, rows: &[Row], lines: &[Line], fields: &[Field]) -> Result<()> {
        let mut out = BufWriter::new(io::stdout().lock());
        let mut json = Json::begin(&mut out, "zfs get", self.json_int)?;
        for of_row in lines.chunk_by(|one, other| one.row == other.row) {
            let row = of_row.first().and_then(|line| rows.get(line.row));
            let Some(row) = row else { continue };
            json.begin_row(&mut out, row)?;
            for line in of_row {
                let received = fields
                    .contains(&Field::Received)
                    .then_some(line.received.as_str());
                let (name, origin) = (&line.property, line.origin.as_ref());
                json.property(&mut out, name, &line.value, origin, received)?;
            }
            Json::end_row(&mut out)?;
        }
        json.end(&mut out)?;
        Ok(out.flush()?)
    }

    /// One line of the output, where its source is one of those wanted.
    fn line(
        &self,
        number: usize,
        row: &Row,
        column: &Column,
        cell: Option<Cell>,
        received: String,
    ) -> Option<Line> {
        let (value, origin) = match cell {
            Some(cell) => (cell.text, Some(cell.source)),
            None => ("-".to_owned(), None),
        };
        let (word, source) = match &origin {
            Some(Origin::Temporary) => ("temporary", "temporary".to_owned()),
            Some(Origin::Zfs(Source::Inherited(from))) => {
                ("inherited", format!("inherited from {from}"))
            }
            Some(Origin::Zfs(Source::Default)) => ("default", "default".to_owned()),
            Some(Origin::Zfs(Source::Local)) => ("local", "local".to_owned()),
            Some(Origin::Zfs(Source::Received)) => ("received", "received".to_owned()),
            None | Some(Origin::Zfs(Source::None)) => ("none", "-".to_owned()),
        };
        let wanted = self.source.is_empty() || self.source.iter().any(|wanted| wanted == word);
        wanted.then(|| Line {
            row: number,
            origin,
            name: row.name.clone(),
            property: column.name(),
            value,
            received,
            source,
        })
    }

    fn print<'a>(&self, widths: &[usize], texts: impl Iterator<Item = &'a str>) {
        let mut line = String::new();
        for (at, (width, text)) in widths.iter().zip(texts).enumerate() {
            line.push_str(text);
            if at + 1 == widths.len() {
                break;
            }
            if self.script {
                line.push('\t');
            } else {
                // By bytes, as C counts.
                line.push_str(&" ".repeat(width.saturating_sub(text.len()) + 2));
            }
        }
        println!("{line}");
    }
}

fn rows_of(selection: &Selection, context: &Context) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    if let Some(request) = selection.request.clone() {
        for entry in context.zfs.list(request.order(ListOrder::Name)) {
            rows.push(Row::of(entry?));
        }
    }
    if !selection.single.is_empty() {
        rows.extend(selection.single.iter().cloned().map(Row::of));
        if let Ok(order) = Order::parse(&[], context.version) {
            order.sort(&mut rows, context);
        }
    }
    for row in &mut rows {
        row.look_inside(&context.zfs);
    }
    Ok(rows)
}
