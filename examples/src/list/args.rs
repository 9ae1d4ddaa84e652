//! The command line, as zfs-list(8) takes it and a few options more.

use std::path::PathBuf;

use zfs_core::{EntryKinds, Glob, Txg};

/// How the rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Columns for people, with headings.
    #[default]
    Table,
    /// Fields with tabs between.
    Tabs,
    /// As `zfs list -j`.
    Json,
}

/// Where what did not change is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CacheChoice {
    /// In the usual folder.
    #[default]
    Usual,
    /// Nowhere.
    Nowhere,
    /// In this folder.
    Folder(PathBuf),
}

/// What the command line says.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option that is there or not"
)]
#[derive(Clone, Debug, Default)]
pub struct Args {
    /// How rows are written.
    pub form: Form,
    /// Numbers in full.
    pub literal: bool,
    /// Numbers in JSON as numbers.
    pub json_int: bool,
    /// With everything below.
    pub recursive: bool,
    /// So many levels below.
    pub depth: Option<usize>,
    /// Columns, as they were written.
    pub columns: Option<String>,
    /// Columns to sort by, and whether the other way round.
    pub sort: Vec<(String, bool)>,
    /// Kinds of things, where some were chosen.
    pub kinds: Option<EntryKinds>,
    /// In the order in which they come.
    pub unsorted: bool,
    /// Where what did not change is kept.
    pub cache: CacheChoice,
    /// How many threads list.
    pub threads: Option<usize>,
    /// Datasets whose names fit.
    pub datasets: Option<Glob>,
    /// Snapshots and bookmarks whose own names fit.
    pub members: Option<Glob>,
    /// Created then or later.
    pub min_txg: Option<Txg>,
    /// Created then or earlier.
    pub max_txg: Option<Txg>,
    /// Names and paths.
    pub names: Vec<String>,
}

/// What a command line can ask for.
#[derive(Debug)]
pub enum Wish {
    /// A listing.
    List(Box<Args>),
    /// How to use it.
    Help,
    /// The version.
    Version,
}

/// Reads the command line: options and names in any order, short options
/// together.
///
/// # Errors
///
/// What is wrong with it, in zfs(8)'s words.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Wish, String> {
    let mut args = Args::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            args.names.extend(arguments.by_ref());
        } else if let Some(long) = argument.strip_prefix("--") {
            let (name, given) = match long.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (long, None),
            };
            match name {
                "help" => return Ok(Wish::Help),
                "version" => return Ok(Wish::Version),
                _ => args.long(name, given, &mut arguments)?,
            }
        } else if argument.len() > 1 && argument.starts_with('-') {
            let mut letters = argument.chars();
            letters.next();
            while let Some(letter) = letters.next() {
                if "oSstd".contains(letter) {
                    let rest: String = letters.by_ref().collect();
                    let value = if rest.is_empty() {
                        arguments.next()
                    } else {
                        Some(rest)
                    };
                    let value = value.ok_or_else(|| format!("invalid option '{letter}'"))?;
                    args.valued(letter, value)?;
                } else {
                    args.flag(letter)?;
                }
            }
        } else {
            args.names.push(argument);
        }
    }
    if args.json_int && args.form != Form::Json {
        return Err("'--json-int' only works with '-j' option".to_owned());
    }
    if args.unsorted && !args.sort.is_empty() {
        return Err("'--unsorted' does not work with '-s' and '-S'".to_owned());
    }
    Ok(Wish::List(Box::new(args)))
}

impl Args {
    fn flag(&mut self, letter: char) -> Result<(), String> {
        match letter {
            // With -j there are no headings to leave out.
            'H' if self.form == Form::Json => {}
            'H' => self.form = Form::Tabs,
            'p' => self.literal = true,
            'r' => self.recursive = true,
            'j' => self.form = Form::Json,
            other => return Err(format!("invalid option '{other}'")),
        }
        Ok(())
    }

    fn valued(&mut self, letter: char, value: String) -> Result<(), String> {
        match letter {
            'o' => self.columns = Some(value),
            's' => self.sort.push((value, false)),
            'S' => self.sort.push((value, true)),
            't' => self.kinds = Some(kinds(&value)?),
            _ => self.depth = Some(depth(&value)?),
        }
        Ok(())
    }

    fn long(
        &mut self,
        name: &str,
        given: Option<&str>,
        arguments: &mut impl Iterator<Item = String>,
    ) -> Result<(), String> {
        let mut value = || {
            given
                .map(str::to_owned)
                .or_else(|| arguments.next())
                .ok_or_else(|| format!("missing argument for '--{name}' option"))
        };
        let number = |text: String| {
            text.parse::<u64>()
                .map_err(|_| format!("{text} is not an integer"))
        };
        let glob = |text: String| text.parse::<Glob>().map_err(|error| error.to_string());
        match name {
            "json" => self.form = Form::Json,
            "json-int" => self.json_int = true,
            "unsorted" => self.unsorted = true,
            "no-cache" => self.cache = CacheChoice::Nowhere,
            "cached" => self.cache = CacheChoice::Usual,
            "cache" => self.cache = CacheChoice::Folder(value()?.into()),
            "threads" => {
                let threads = number(value()?)?;
                self.threads = Some(usize::try_from(threads.clamp(1, 64)).unwrap_or(1));
            }
            "datasets" => self.datasets = Some(glob(value()?)?),
            "members" => self.members = Some(glob(value()?)?),
            "min-txg" => self.min_txg = Some(Txg(number(value()?)?)),
            "max-txg" => self.max_txg = Some(Txg(number(value()?)?)),
            _ => return Err(format!("invalid option '--{name}'")),
        }
        Ok(())
    }
}

fn kinds(list: &str) -> Result<EntryKinds, String> {
    let mut kinds = EntryKinds::empty();
    for word in list.split(',') {
        kinds |= match word {
            "filesystem" | "fs" => EntryKinds::FILESYSTEM,
            "volume" | "vol" => EntryKinds::VOLUME,
            "snapshot" | "snap" => EntryKinds::SNAPSHOT,
            "bookmark" => EntryKinds::BOOKMARK,
            "all" => EntryKinds::all(),
            other => return Err(format!("invalid type '{other}'")),
        };
    }
    Ok(kinds)
}

fn depth(text: &str) -> Result<usize, String> {
    let number: i64 = text
        .parse()
        .map_err(|_| format!("{text} is not an integer"))?;
    usize::try_from(number).map_err(|_| "Depth can not be negative.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &str) -> Result<Args, String> {
        match parse(words.split(' ').map(str::to_owned))? {
            Wish::List(args) => Ok(*args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_stand_together_and_behind_names() {
        let args =
            list("tank -Hpd1 -oname,used -s used -S name -t snap,fs --threads 2 vault").unwrap();
        assert_eq!(args.form, Form::Tabs);
        assert!(args.literal && !args.unsorted && !args.recursive);
        assert!(list("--unsorted").unwrap().unsorted);
        assert_eq!(args.depth, Some(1));
        assert_eq!(args.columns.as_deref(), Some("name,used"));
        assert_eq!(args.sort, [("used".into(), false), ("name".into(), true)]);
        assert_eq!(
            args.kinds,
            Some(EntryKinds::SNAPSHOT | EntryKinds::FILESYSTEM)
        );
        assert_eq!(args.names, ["tank", "vault"]);
        assert_eq!(list("-jH").unwrap().form, Form::Json);
        assert_eq!(
            list("--cache=/x").unwrap().cache,
            CacheChoice::Folder("/x".into())
        );
    }

    #[test]
    fn what_is_wrong_is_said_in_zfs_words() {
        for (words, text) in [
            ("-x", "invalid option 'x'"),
            ("-o", "invalid option 'o'"),
            ("-t bogus", "invalid type 'bogus'"),
            ("-t snapshot,", "invalid type ''"),
            ("-d x", "x is not an integer"),
            ("-d -1", "Depth can not be negative."),
            (
                "--unsorted -S used",
                "'--unsorted' does not work with '-s' and '-S'",
            ),
            ("--json-int", "'--json-int' only works with '-j' option"),
            ("--bogus", "invalid option '--bogus'"),
        ] {
            assert_eq!(list(words).unwrap_err(), text, "{words}");
        }
    }
}
