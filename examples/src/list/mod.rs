//! zfs-list: datasets, snapshots and bookmarks.
//!
//! ```text
//! Args -> roots, ListRequest -> zfs_core::Listing -> Row -> Cells -> table | tabs | JSON
//! ```

pub mod args;
pub mod columns;
pub mod mounts;
pub mod nice;
pub mod output;
pub mod row;
pub mod select;
pub mod sort;

use std::collections::HashMap;
use std::io::{self, BufWriter, Write};

use jiff::tz::TimeZone;
use zfs_core::{Details, ListCache, ListOrder, Zfs};

use self::args::{Args, CacheChoice, Form};
use self::columns::Column;
use self::output::{Cells, Json, Widths};
use self::row::{Context, Row};
use self::select::Selection;
use self::sort::Order;

/// What ends a listing before its time.
#[derive(Debug)]
pub enum Failure {
    /// The command line, in zfs(8)'s words.
    Usage(String),
    /// There is no ZFS.
    Zfs(zfs_core::Error),
    /// Nobody takes what is written.
    Output(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Output(error)
    }
}

/// Lists. True where all of it could be.
///
/// # Errors
///
/// [`Failure`]; what concerns one name alone is said on stderr.
pub fn run(args: &Args) -> Result<bool, Failure> {
    let zfs = Zfs::open_to_list().map_err(Failure::Zfs)?;
    let version = zfs.version();
    let all = args.columns.as_deref() == Some("all");
    let mut columns = match args.columns.as_deref() {
        Some("all") => columns::all(version),
        Some(list) => columns::parse_list(list, version).map_err(Failure::Usage)?,
        None => columns::parse_list("name,used,available,referenced,mountpoint", version)
            .map_err(Failure::Usage)?,
    };
    let order = Order::parse(&args.sort, version).map_err(Failure::Usage)?;

    let asked = || columns.iter().chain(order.columns());
    let details = details(asked(), all);
    let inside = all || asked().any(Row::is_inside);
    let mounts = asked().any(|column| match column {
        Column::Native(native) => mounts::Mounts::concerns(native.name),
        _ => false,
    });
    let selection = Selection::of(args, &zfs, details);
    if args.form == Form::Json && !selection.whole {
        // As zfs(8): no object that tells half of what was asked.
        return Ok(false);
    }
    let altroots = if asked().any(|column| column.is("mountpoint")) {
        selection.altroots(&zfs)
    } else {
        HashMap::default()
    };
    let context = Context {
        version,
        literal: args.literal || args.json_int,
        zone: TimeZone::system(),
        mounts: if mounts {
            mounts::Mounts::read()
        } else {
            mounts::Mounts::default()
        },
        altroots,
        zfs,
    };

    let mut good = selection.whole;
    let cache = cache(args, details);
    let in_order = args.unsorted || (order.is_default() && selection.single.is_empty() && !all);
    let request = selection.request.clone().map(|request| {
        let order = if in_order && !args.unsorted {
            ListOrder::Name
        } else {
            ListOrder::Kernel
        };
        let request = request.order(order).threads(threads(args));
        match cache {
            Some(cache) => request.cache(cache),
            None => request,
        }
    });
    let listed = request
        .into_iter()
        .flat_map(|request| context.zfs.list(request));
    let mut rows = listed
        .filter_map(|entry| match entry {
            Ok(entry) => Some(Row::of(entry)),
            Err(error) => {
                eprintln!("{error}");
                good = false;
                None
            }
        })
        .chain(selection.single.iter().cloned().map(Row::of))
        .filter(|row| selection.wants(row))
        .map(|mut row| {
            if inside {
                row.look_inside(&context.zfs);
            }
            row
        });

    let mut out = BufWriter::with_capacity(64 << 10, io::stdout().lock());
    let mut printer = Printer::new(args);
    if in_order && !all {
        for row in rows {
            let cells = cells(&row, &columns, &context);
            printer.take(&mut out, &row, cells, &columns, &context)?;
        }
    } else {
        let mut kept: Vec<Row> = rows.by_ref().collect();
        drop(rows);
        if all {
            columns.extend(user_columns(&kept));
        }
        if !in_order {
            order.sort(&mut kept, &context);
        }
        for row in kept {
            let cells = cells(&row, &columns, &context);
            printer.take(&mut out, &row, cells, &columns, &context)?;
        }
    }
    let any = printer.end(&mut out, &columns, &context)?;
    out.flush()?;
    if good && !any && args.form != Form::Tabs {
        eprintln!("no datasets available");
    }
    Ok(good)
}

/// What a row has in these columns.
pub fn cells(row: &Row, columns: &[Column], context: &Context) -> Cells {
    columns
        .iter()
        .map(|column| row.value(column, context))
        .collect()
}

/// A column for each user property, in the order in which zfs(8) meets them: a
/// dataset, what is below it, and then its snapshots and bookmarks.
pub fn user_columns(rows: &[Row]) -> Vec<Column> {
    let mut names: Vec<String> = Vec::new();
    let mut meet = |row: &Row| {
        for name in row.user_properties() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    };
    // Datasets on the way down, each with its snapshots and bookmarks, which
    // the kernel's order has before what is below.
    let mut open: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in rows {
        if row.name.contains(['@', '#']) {
            match open.last_mut() {
                Some((dataset, members)) if row.name.starts_with(*dataset) => members.push(row),
                _ => meet(row),
            }
            continue;
        }
        while let Some((dataset, members)) = open.pop() {
            let below = row.name.strip_prefix(dataset);
            if below.is_some_and(|below| below.starts_with('/')) {
                open.push((dataset, members));
                break;
            }
            members.into_iter().for_each(&mut meet);
        }
        meet(row);
        open.push((&row.name, Vec::new()));
    }
    for (_, members) in open.into_iter().rev() {
        members.into_iter().for_each(&mut meet);
    }
    names.into_iter().map(Column::User).collect()
}

/// How much the columns need.
fn details<'a>(columns: impl Iterator<Item = &'a Column>, all: bool) -> Details {
    let need = |column: &Column| {
        let is = |names: &[&str]| names.iter().any(|name| column.is(name));
        if is(&["name", "type", "guid", "createtxg", "mounted"]) {
            Details::Identity
        } else if is(&["creation"]) {
            Details::Creation
        } else if matches!(column, Column::Somebody(..) | Column::Written(_)) {
            Details::Identity
        } else {
            Details::Properties
        }
    };
    if all {
        return Details::Properties;
    }
    columns.map(need).max().unwrap_or(Details::Identity)
}

fn threads(args: &Args) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    args.threads.unwrap_or(processors.min(8))
}

/// The cache, where one is wanted and there is a folder for it.
fn cache(args: &Args, details: Details) -> Option<ListCache> {
    // What is listed in the kernel's order is not to be kept in memory.
    if args.unsorted || details == Details::Properties {
        return None;
    }
    let folder = match &args.cache {
        CacheChoice::Nowhere => return None,
        CacheChoice::Folder(folder) => folder.clone(),
        CacheChoice::Usual => crate::cache::usual_folder()?,
    };
    Some(ListCache::new(folder))
}

/// What takes rows and writes them.
enum Printer {
    Tabs {
        any: bool,
    },
    /// A table is written when the widths of all rows are known, or at once
    /// where memory is to stay the same.
    Table {
        rows: Vec<Cells>,
        at_once: Option<Widths>,
        streams: bool,
    },
    Json {
        json: Option<Json>,
        numbers: bool,
        any: bool,
    },
}

impl Printer {
    fn new(args: &Args) -> Printer {
        match args.form {
            Form::Tabs => Printer::Tabs { any: false },
            Form::Table => Printer::Table {
                rows: Vec::new(),
                at_once: None,
                streams: args.unsorted,
            },
            Form::Json => Printer::Json {
                json: None,
                numbers: args.json_int,
                any: false,
            },
        }
    }

    fn take(
        &mut self,
        out: &mut impl Write,
        row: &Row,
        cells: Cells,
        columns: &[Column],
        context: &Context,
    ) -> io::Result<()> {
        match self {
            Printer::Tabs { any } => {
                *any = true;
                output::tabs(out, &cells)
            }
            Printer::Table {
                rows,
                at_once,
                streams,
            } => {
                if !*streams {
                    rows.push(cells);
                    return Ok(());
                }
                let widths = if let Some(widths) = at_once {
                    widths
                } else {
                    let widths = at_once.insert(Widths::new(columns, context.version));
                    widths.headings(out, columns)?;
                    widths
                };
                widths.widen(columns, &cells, context);
                widths.row(out, columns, &cells)
            }
            Printer::Json { json, numbers, any } => {
                *any = true;
                let json = match json {
                    Some(json) => json,
                    None => json.insert(Json::begin(out, "zfs list", *numbers)?),
                };
                json.row(out, row, columns, &cells, context.version)
            }
        }
    }

    /// Writes what is left. True where there was anything.
    fn end(self, out: &mut impl Write, columns: &[Column], context: &Context) -> io::Result<bool> {
        match self {
            Printer::Tabs { any } => Ok(any),
            Printer::Table { rows, at_once, .. } => {
                if !rows.is_empty() {
                    let mut widths = Widths::new(columns, context.version);
                    for cells in &rows {
                        widths.widen(columns, cells, context);
                    }
                    widths.headings(out, columns)?;
                    for cells in &rows {
                        widths.row(out, columns, cells)?;
                    }
                }
                Ok(!rows.is_empty() || at_once.is_some())
            }
            Printer::Json { json, numbers, any } => {
                let json = match json {
                    Some(json) => json,
                    None => Json::begin(out, "zfs list", numbers)?,
                };
                json.end(out)?;
                Ok(any)
            }
        }
    }
}
