//! The command line, read as Perl's Getopt::Long reads syncoid's: names may
//! be shortened and have any case, one dash will do, and options may come
//! after the datasets.

use std::fmt;

use regex::Regex;
use zfs_replicate::tree::Kind;

/// What syncoid's options say, and ours besides.
#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "they are switches")]
pub struct Arguments {
    /// `--debug`
    pub debug: bool,
    /// `--quiet`
    pub quiet: bool,
    /// `--dumpsnaps`
    pub dump_snaps: bool,
    /// `--recursive`, `-r`
    pub recursive: bool,
    /// `--skip-parent`
    pub skip_parent: bool,
    /// `--no-stream`
    pub no_stream: bool,
    /// `--no-sync-snap`
    pub no_sync_snap: bool,
    /// `--keep-sync-snap`
    pub keep_sync_snap: bool,
    /// `--create-bookmark`
    pub create_bookmark: bool,
    /// `--use-hold`
    pub use_hold: bool,
    /// `--no-resume`
    pub no_resume: bool,
    /// `--no-rollback`
    pub no_rollback: bool,
    /// `--no-clone-handling`
    pub no_clone_handling: bool,
    /// `--no-privilege-elevation`
    pub no_privilege_elevation: bool,
    /// `--force-delete`
    pub force_delete: bool,
    /// `--delete-target-snapshots`
    pub delete_target_snapshots: bool,
    /// `--preserve-properties`
    pub preserve_properties: bool,
    /// `--preserve-recordsize`
    pub preserve_recordsize: bool,
    /// `--compress`
    pub compress: Option<String>,
    /// `--identifier`
    pub identifier: Option<String>,
    /// `--source-bwlimit`
    pub source_bwlimit: Option<String>,
    /// `--target-bwlimit`
    pub target_bwlimit: Option<String>,
    /// `--mbuffer-size`
    pub mbuffer_size: Option<String>,
    /// `--insecure-direct-connection`
    pub insecure_direct_connection: Option<String>,
    /// `--exclude-datasets`, or `--exclude` where there is none
    pub exclude_datasets: Vec<Pattern>,
    /// `--include-datasets`
    pub include_datasets: Vec<Pattern>,
    /// `--exclude-snaps`
    pub exclude_snaps: Vec<Pattern>,
    /// `--include-snaps`
    pub include_snaps: Vec<Pattern>,
    /// `--sendoptions`
    pub send_options: Vec<Special>,
    /// `--recvoptions`
    pub recv_options: Vec<Special>,
    /// Arguments for ssh, from `--sshconfig`, `--sshcipher`, `--sshoption`,
    /// `--sshport` and `--sshkey`.
    pub ssh: Vec<String>,
    /// `--safe`
    pub safe: bool,
    /// `--type`
    pub kind: Option<Kind>,
    /// `--no-marker`
    pub no_marker: bool,
    /// `--no-verify`
    pub no_verify: bool,
    /// `--no-large-blocks`
    pub no_large_blocks: bool,
    /// `--dry-run`
    pub dry_run: bool,
    /// `--json`
    pub json: bool,
    /// `--rollback`
    pub rollback: bool,
    /// `--retire`
    pub retire: bool,
    /// `--plaintext`
    pub plaintext: bool,
    /// `--retries`
    pub retries: Option<u32>,
    /// `--include-properties`
    pub include_properties: Vec<Pattern>,
    /// `--exclude-properties`
    pub exclude_properties: Vec<Pattern>,
    /// `--snapshot`
    pub snapshot: Option<String>,
    /// `--newer-than`
    pub newer_than: Option<String>,
    /// `--older-than`
    pub older_than: Option<String>,
    /// `--target-retention`
    pub target_retention: Option<String>,
    /// `--forced-command`
    pub forced_command: bool,
    /// Whether this is the way back: the word `restore` before everything.
    pub restore: bool,
    /// `--jobs`
    pub jobs: Option<usize>,
    /// The options that were given, by their whole names.
    pub given: Vec<&'static str>,
    /// What is to be said before anything else.
    pub warnings: Vec<String>,
    /// `SOURCE`
    pub source: String,
    /// `TARGET`
    pub target: String,
}

/// A regular expression, with the text that it was made from.
#[derive(Clone, Debug)]
pub struct Pattern(pub Regex);

impl Pattern {
    /// Whether any of these is found in a name.
    pub fn any<'a>(patterns: &'a [Pattern], name: &str) -> Option<&'a str> {
        let found = patterns.iter().find(|pattern| pattern.0.is_match(name));
        found.map(|pattern| pattern.0.as_str())
    }
}

/// One of the options inside `--sendoptions` and `--recvoptions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Special {
    /// Its letter.
    pub letter: char,
    /// Its value.
    pub value: Option<String>,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// To replicate.
    Run(Box<Arguments>),
    /// The help.
    Help,
    /// The version.
    Version,
}

/// What is wrong with the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(pub Vec<String>);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Text,
    Number,
}

/// syncoid's options come first: a name that is short for one of them is no
/// less so because of ours.
const THEIRS: &[(&str, Takes)] = &[
    ("no-command-checks", Takes::Nothing),
    ("monitor-version", Takes::Nothing),
    ("compress", Takes::Text),
    ("dumpsnaps", Takes::Nothing),
    ("recursive", Takes::Nothing),
    ("r", Takes::Nothing),
    ("sendoptions", Takes::Text),
    ("recvoptions", Takes::Text),
    ("source-bwlimit", Takes::Text),
    ("target-bwlimit", Takes::Text),
    ("sshconfig", Takes::Text),
    ("sshkey", Takes::Text),
    ("sshport", Takes::Number),
    ("sshcipher", Takes::Text),
    ("c", Takes::Text),
    ("sshoption", Takes::Text),
    ("o", Takes::Text),
    ("debug", Takes::Nothing),
    ("quiet", Takes::Nothing),
    ("no-stream", Takes::Nothing),
    ("no-sync-snap", Takes::Nothing),
    ("no-resume", Takes::Nothing),
    ("exclude", Takes::Text),
    ("skip-parent", Takes::Nothing),
    ("identifier", Takes::Text),
    ("no-clone-handling", Takes::Nothing),
    ("no-privilege-elevation", Takes::Nothing),
    ("force-delete", Takes::Nothing),
    ("no-rollback", Takes::Nothing),
    ("create-bookmark", Takes::Nothing),
    ("use-hold", Takes::Nothing),
    ("pv-options", Takes::Text),
    ("keep-sync-snap", Takes::Nothing),
    ("preserve-recordsize", Takes::Nothing),
    ("mbuffer-size", Takes::Text),
    ("delete-target-snapshots", Takes::Nothing),
    ("insecure-direct-connection", Takes::Text),
    ("preserve-properties", Takes::Nothing),
    ("include-snaps", Takes::Text),
    ("exclude-snaps", Takes::Text),
    ("exclude-datasets", Takes::Text),
    ("help", Takes::Nothing),
    ("version", Takes::Nothing),
];

const OURS: &[(&str, Takes)] = &[
    ("bwlimit", Takes::Text),
    ("safe", Takes::Nothing),
    ("dry-run", Takes::Nothing),
    ("json", Takes::Nothing),
    ("jobs", Takes::Number),
    ("rollback", Takes::Nothing),
    ("retire", Takes::Nothing),
    ("plaintext", Takes::Nothing),
    ("retries", Takes::Number),
    ("include-datasets", Takes::Text),
    ("include-properties", Takes::Text),
    ("exclude-properties", Takes::Text),
    ("snapshot", Takes::Text),
    ("newer-than", Takes::Text),
    ("older-than", Takes::Text),
    ("target-retention", Takes::Text),
    ("forced-command", Takes::Nothing),
    ("type", Takes::Text),
    ("no-marker", Takes::Nothing),
    ("no-verify", Takes::Nothing),
    ("no-large-blocks", Takes::Nothing),
];

/// The option that a name stands for.
fn find(name: &str) -> Result<(&'static str, Takes), String> {
    let name = name.to_ascii_lowercase();
    for options in [THEIRS, OURS] {
        if let Some(option) = options.iter().find(|(full, _)| *full == name) {
            return Ok(*option);
        }
        // One-letter names are not what a longer one can be short for.
        let begins: Vec<_> = options
            .iter()
            .filter(|(full, _)| full.starts_with(&name))
            .collect();
        match begins.as_slice() {
            [] => {}
            [option] => return Ok(**option),
            several => {
                let names: Vec<_> = several.iter().map(|(full, _)| *full).collect();
                return Err(format!("Option {name} is ambiguous ({})", names.join(", ")));
            }
        }
    }
    let known = THEIRS.iter().chain(OURS).map(|(full, _)| *full);
    let near = known.map(|full| (strsim::damerau_levenshtein(&name, full), full));
    // A typing error or two, and not another word.
    let near = near.filter(|(distance, full)| *distance <= 2 && full.len() > 2 * distance);
    Err(match near.min() {
        Some((_, near)) => format!("Unknown option: {name} (is --{near} meant?)"),
        None => format!("Unknown option: {name}"),
    })
}

/// Whether a command line, right or wrong, is in our own form.
pub fn is_ours<'a>(words: impl IntoIterator<Item = &'a str>) -> bool {
    let mut words = words.into_iter().peekable();
    words.next_if_eq(&"restore").is_some()
        || words.take_while(|word| *word != "--").any(|word| {
            let name = word.strip_prefix("--").or_else(|| word.strip_prefix('-'));
            name.is_some_and(|name| matches!(find(name), Ok(("safe", _))))
        })
}

/// Reads a command line.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Command, Wrong> {
    let mut found = Arguments::default();
    let mut texts: Vec<(&'static str, String)> = Vec::new();
    let mut datasets = Vec::new();
    let mut wrong = Vec::new();
    let mut version = false;
    let mut rest = arguments.into_iter().peekable();
    found.restore = rest.next_if(|word| word == "restore").is_some();
    while let Some(argument) = rest.next() {
        if argument == "--" {
            datasets.extend(rest.by_ref());
            break;
        }
        let option = argument
            .strip_prefix("--")
            .or_else(|| argument.strip_prefix('-'));
        let Some(option) = option.filter(|option| !option.is_empty()) else {
            datasets.push(argument);
            continue;
        };
        let (name, given) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (option, None),
        };
        let (name, takes) = match find(name) {
            Ok(option) => option,
            Err(problem) => {
                wrong.push(problem);
                continue;
            }
        };
        found.given.push(name);
        match (takes, given) {
            (Takes::Nothing, Some(_)) => {
                wrong.push(format!("Option {name} does not take an argument"));
            }
            (Takes::Nothing, None) => match name {
                "help" => return Ok(Command::Help),
                "version" => version = true,
                name => found.switch(name),
            },
            (_, given) => match given.or_else(|| rest.next()) {
                None => wrong.push(format!("Option {name} requires an argument")),
                Some(value) if takes == Takes::Number && value.parse::<u32>().is_err() => {
                    wrong.push(format!(
                        "Value \"{value}\" invalid for option {name} (number expected)"
                    ));
                }
                Some(value) => texts.push((name, value)),
            },
        }
    }
    if version && datasets.is_empty() {
        return Ok(Command::Version);
    }
    if version {
        wrong.push(
            "-v is --version here, which replicates nothing; there is no verbose mode: use --debug"
                .to_owned(),
        );
    }
    if !wrong.is_empty() {
        return Err(Wrong(wrong));
    }
    found.texts(texts)?;
    let Ok([source, target]) = <[String; 2]>::try_from(datasets) else {
        return Err(Wrong(vec![
            "WARNING: Source or target not found! Two datasets are needed, SOURCE and TARGET; the \
             words restore and receive come before everything else"
                .to_owned(),
        ]));
    };
    (found.source, found.target) = (source, target);
    Ok(Command::Run(Box::new(found)))
}

impl Arguments {
    fn switch(&mut self, name: &str) {
        let switch = match name {
            "dumpsnaps" => &mut self.dump_snaps,
            "recursive" | "r" => &mut self.recursive,
            "debug" => &mut self.debug,
            "quiet" => &mut self.quiet,
            "no-stream" => &mut self.no_stream,
            "no-sync-snap" => &mut self.no_sync_snap,
            "no-resume" => &mut self.no_resume,
            "skip-parent" => &mut self.skip_parent,
            "no-clone-handling" => &mut self.no_clone_handling,
            "no-privilege-elevation" => &mut self.no_privilege_elevation,
            "force-delete" => &mut self.force_delete,
            "no-rollback" => &mut self.no_rollback,
            "create-bookmark" => &mut self.create_bookmark,
            "use-hold" => &mut self.use_hold,
            "keep-sync-snap" => &mut self.keep_sync_snap,
            "preserve-recordsize" => &mut self.preserve_recordsize,
            "delete-target-snapshots" => &mut self.delete_target_snapshots,
            "preserve-properties" => &mut self.preserve_properties,
            "safe" => &mut self.safe,
            "dry-run" => &mut self.dry_run,
            "json" => &mut self.json,
            "rollback" => &mut self.rollback,
            "retire" => &mut self.retire,
            "plaintext" => &mut self.plaintext,
            "forced-command" => &mut self.forced_command,
            "no-marker" => &mut self.no_marker,
            "no-verify" => &mut self.no_verify,
            "no-large-blocks" => &mut self.no_large_blocks,
            // no-command-checks and monitor-version do nothing in syncoid.
            _ => return,
        };
        *switch = true;
    }

    fn texts(&mut self, texts: Vec<(&'static str, String)>) -> Result<(), Wrong> {
        let mut exclude = Vec::new();
        let mut ssh: Vec<(u8, &str, String)> = Vec::new();
        for (name, value) in texts {
            let text = || Some(value.clone()).filter(|value| !value.is_empty());
            match name {
                "compress" => self.compress = text(),
                "identifier" => self.identifier = text(),
                "source-bwlimit" => self.source_bwlimit = text(),
                "target-bwlimit" => self.target_bwlimit = text(),
                "bwlimit" => {
                    self.source_bwlimit = text();
                    self.target_bwlimit = text();
                }
                "mbuffer-size" => self.mbuffer_size = text(),
                "insecure-direct-connection" => self.insecure_direct_connection = text(),
                "sendoptions" => {
                    self.send_options = special(&value, "invalid send options!")?;
                }
                "recvoptions" => {
                    self.recv_options = special(&value, "invalid receive options!")?;
                }
                "exclude" => exclude.push(pattern(&value)?),
                "exclude-datasets" => self.exclude_datasets.push(pattern(&value)?),
                "include-datasets" => self.include_datasets.push(pattern(&value)?),
                "exclude-snaps" => self.exclude_snaps.push(pattern(&value)?),
                "include-snaps" => self.include_snaps.push(pattern(&value)?),
                "include-properties" => self.include_properties.push(pattern(&value)?),
                "exclude-properties" => self.exclude_properties.push(pattern(&value)?),
                "retries" => self.retries = value.parse().ok(),
                "type" => self.kind = Some(kind(&value)?),
                "snapshot" => self.snapshot = text(),
                "newer-than" => self.newer_than = text(),
                "older-than" => self.older_than = text(),
                "target-retention" => self.target_retention = text(),
                "jobs" => self.jobs = value.parse().ok(),
                "sshconfig" => ssh.push((0, "-F", value)),
                "sshcipher" | "c" => ssh.push((1, "-c", value)),
                "sshoption" | "o" => ssh.push((2, "-o", value)),
                "sshport" => ssh.push((3, "-p", value)),
                "sshkey" => ssh.push((4, "-i", value)),
                // How pv draws its bar is not ours.
                _ => {}
            }
        }
        // Of each but -o the last one counts.
        ssh.sort_by_key(|(order, ..)| *order);
        for (index, (order, option, value)) in ssh.iter().enumerate() {
            let last = ssh.get(index + 1).is_none_or(|(next, ..)| next != order);
            if (last || *order == 2) && !value.is_empty() {
                self.ssh.extend([(*option).to_owned(), value.clone()]);
            }
        }
        if !exclude.is_empty() {
            self.warnings.push(
                "The --exclude option is deprecated, please use --exclude-datasets instead"
                    .to_owned(),
            );
            if self.exclude_datasets.is_empty() {
                self.exclude_datasets = exclude;
            }
        }
        if self.recursive && self.send_options.iter().any(|option| option.letter == 'R') {
            return Err(Wrong(vec![
                "WARNING: invalid argument combination, zfs send -R and --recursive aren't \
                 compatible!"
                    .to_owned(),
            ]));
        }
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_:.".contains(c);
        if self
            .identifier
            .as_ref()
            .is_some_and(|id| !id.chars().all(fits))
        {
            return Err(Wrong(vec![
                "WARNING: extra identifier contains invalid chars!".to_owned(),
            ]));
        }
        Ok(())
    }
}

fn kind(text: &str) -> Result<Kind, Wrong> {
    match text {
        "filesystem" | "fs" => Ok(Kind::Filesystem),
        "volume" | "vol" => Ok(Kind::Volume),
        _ => Err(Wrong(vec![format!(
            "--type={text}: it is filesystem or volume; without the option it is both"
        )])),
    }
}

fn pattern(text: &str) -> Result<Pattern, Wrong> {
    Regex::new(text)
        .map(Pattern)
        .map_err(|error| Wrong(vec![format!("CRITICAL ERROR: {error}")]))
}

/// `"Lc e"` is `-L -c -e`; `o`, `x` and `X` take the next word.
fn special(line: &str, problem: &str) -> Result<Vec<Special>, Wrong> {
    let wrong = || Wrong(vec![format!("WARNING: {problem}")]);
    if line.is_empty() {
        return Ok(Vec::new());
    }
    let mut options = Vec::new();
    let mut waiting: Option<char> = None;
    for word in line.trim_end_matches(' ').split(' ') {
        if let Some(letter) = waiting.take() {
            options.push(Special {
                letter,
                value: Some(word.to_owned()),
            });
            continue;
        }
        for letter in word.chars() {
            if waiting.is_some() {
                return Err(wrong());
            }
            if "oxX".contains(letter) {
                waiting = Some(letter);
            } else {
                options.push(Special {
                    letter,
                    value: None,
                });
            }
        }
    }
    if options.is_empty() {
        return Err(wrong());
    }
    Ok(options)
}

/// The options of these that are among the letters, as words.
pub fn words(options: &[Special], letters: &str) -> Vec<String> {
    let mut words = Vec::new();
    for option in options
        .iter()
        .filter(|option| letters.contains(option.letter))
    {
        words.push(format!("-{}", option.letter));
        words.extend(option.value.clone());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Arguments {
        match parse(line.split('|').map(str::to_owned)) {
            Ok(Command::Run(arguments)) => *arguments,
            other => panic!("{other:?}"),
        }
    }

    fn wrong(line: &str) -> String {
        match parse(line.split('|').map(str::to_owned)) {
            Err(wrong) => wrong.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_are_read_as_getopt_long_reads_them() {
        for line in [
            "--recursive|--no-sync-snap|a|b",
            "a|-r|b|-no-sync-snap",
            "--recu|--no-sy|a|b",
            "--RECURSIVE|a|--No-Sync-Snap|--|b",
        ] {
            let arguments = read(line);
            assert!(arguments.recursive && arguments.no_sync_snap, "{line}");
            assert_eq!(
                (arguments.source.as_str(), arguments.target.as_str()),
                ("a", "b")
            );
        }
    }

    #[test]
    fn every_option_of_syncoid_is_known() {
        for (name, takes) in THEIRS {
            let value = match takes {
                Takes::Nothing => "",
                Takes::Number => "=22",
                Takes::Text if name.ends_with("options") => "=L",
                Takes::Text => "=x",
            };
            let datasets = if *name == "version" { "" } else { "|a|b" };
            let line = format!("--{name}{value}{datasets}");
            assert!(parse(line.split('|').map(str::to_owned)).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(wrong("--frobnicate|a|b"), "Unknown option: frobnicate");
        let near = wrong("--recusrive|a|b");
        assert_eq!(near, "Unknown option: recusrive (is --recursive meant?)");
        assert_eq!(wrong("-q1|a|b"), "Unknown option: q1");
        for line in ["-v|a|b", "a|b|--version", "--safe|-V|a|b"] {
            assert!(wrong(line).contains("use --debug"), "{line}");
        }
        for line in ["a", "restore", "restore|a", "-r|restore|a|b"] {
            let text = wrong(line);
            assert!(
                text.contains("SOURCE and TARGET; the words restore"),
                "{text}"
            );
        }
        assert!(wrong("--no|a|b").contains("ambiguous"));
        assert!(wrong("--debug=1|a|b").contains("does not take an argument"));
        assert!(wrong("--sshport=x|a|b").contains("number expected"));
        assert!(wrong("a").contains("Source or target not found!"));
        assert!(wrong("--identifier=a/b|a|b").contains("invalid chars"));
        assert!(wrong("-r|--sendoptions=R|a|b").contains("aren't compatible"));
        assert!(wrong("--sendoptions=Lo x|a|b|--recvoptions=ox y").contains("receive options"));
    }

    #[test]
    fn the_form_is_known_of_a_wrong_line_too() {
        let ours = |line: &str| is_ours(line.split('|'));
        assert!(ours("restore") && ours("a|b|--what|--safe") && ours("-SAF|a"));
        assert!(!ours("a|restore") && !ours("a|b|--|--safe") && !ours("--s|a|b"));
    }

    #[test]
    fn options_for_send_and_receive_are_taken_apart() {
        let arguments = read("--recvoptions=ux recordsize o compression=lz4|a|b");
        assert_eq!(
            words(&arguments.recv_options, "houvx"),
            ["-u", "-x", "recordsize", "-o", "compression=lz4"]
        );
        assert_eq!(words(&arguments.recv_options, "u"), ["-u"]);
    }

    #[test]
    fn ssh_gets_its_options_in_one_order() {
        let arguments =
            read("--sshkey=k|-o|A=1|--sshport|22|-c=aes|-o=B=2|--sshconfig=f|--sshkey=l|a|b");
        assert_eq!(
            arguments.ssh.join(" "),
            "-F f -c aes -o A=1 -o B=2 -p 22 -i l"
        );
    }

    #[test]
    fn exclude_counts_only_without_exclude_datasets() {
        assert_eq!(read("--exclude=x|a|b").exclude_datasets.len(), 1);
        let both = read("--exclude=x|--exclude-datasets=y|a|b");
        assert_eq!(Pattern::any(&both.exclude_datasets, "tank/x"), None);
        assert!(Pattern::any(&both.exclude_datasets, "tank/y").is_some());
    }
}
