//! Which options belong to which of the two forms. One that would do nothing is
//! refused, so that nobody relies on it.

use std::fmt;

use zfs_replicate::endpoint::Compression;
use zfs_replicate::marker::{InvalidTargetId, TargetId};

use super::arguments::Arguments;
use super::syncoid::rate;
use crate::exit::{Exit, UsageError};

/// A wrong command line ends with this in syncoid.
const SYNCOID_USAGE: u8 = 2;

/// Ours, and what does in syncoid's form what they do.
const OURS: &[(&str, &str)] = &[
    ("json", "add --safe"),
    ("jobs", "add --safe"),
    ("retries", "add --safe"),
    (
        "rollback",
        "the target is taken back anyway, but for --no-rollback; or add --safe",
    ),
    (
        "retire",
        "add --safe, or destroy what the source no longer has with zfs destroy",
    ),
    (
        "plaintext",
        "encrypted data is sent decrypted anyway, but for --sendoptions=w; or add --safe",
    ),
    ("include-datasets", "use --exclude-datasets, or add --safe"),
    (
        "include-properties",
        "use --preserve-properties, or add --safe",
    ),
    (
        "exclude-properties",
        "use --recvoptions=\"x NAME\", or add --safe",
    ),
    (
        "snapshot",
        "use --no-sync-snap --include-snaps=^NAME$, or add --safe",
    ),
    (
        "newer-than",
        "use --include-snaps and --exclude-snaps, or add --safe",
    ),
    (
        "older-than",
        "use --include-snaps and --exclude-snaps, or add --safe",
    ),
    (
        "target-retention",
        "use --include-snaps and --exclude-snaps, or add --safe",
    ),
    ("forced-command", "add --safe"),
    ("type", "use --exclude-datasets, or add --safe"),
    ("no-verify", "no stream is verified anyway"),
    (
        "no-marker",
        "there is none without --create-bookmark or --use-hold; or add --safe",
    ),
    (
        "no-large-blocks",
        "large blocks are split anyway, but for --sendoptions=L; or add --safe",
    ),
];

/// syncoid's, and what does in our form what they do. Those that can do no harm
/// there are not among them: what they ask for is so anyway, or they do nothing
/// in syncoid's form either.
const THEIRS: &[(&str, &str)] = &[
    (
        "force-delete",
        "--rollback takes a diverged target back; one that has nothing in common is for zfs \
         destroy -r",
    ),
    (
        "delete-target-snapshots",
        "the target's snapshots are for what prunes it (zfs-autosnap); --retire destroys its \
         datasets that the source no longer has",
    ),
    (
        "no-resume",
        "it always goes on where it can; zfs receive -A gives up what was received",
    ),
    (
        "sendoptions",
        "it chooses them; --plaintext, --compress and --preserve-properties change what is sent",
    ),
    (
        "create-bookmark",
        "the base is marked by a bookmark of its own anyway",
    ),
    (
        "no-clone-handling",
        "clones are followed; --exclude-datasets leaves them out",
    ),
    (
        "insecure-direct-connection",
        "streams go through ssh; --sshcipher chooses a faster cipher",
    ),
    ("dumpsnaps", "--dry-run --debug says what is there and why"),
];

/// Options inside `--recvoptions` that our form knows, or that are so anyway.
const RECEIVE_LETTERS: &str = "hosuvx";

/// What is wrong, and what that ends with.
#[derive(Debug)]
pub struct Unfit {
    problem: String,
    code: u8,
}

impl Unfit {
    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

/// Finds the first option that would do nothing.
///
/// # Errors
///
/// There is one.
pub fn check(arguments: &Arguments) -> Result<(), Unfit> {
    if arguments.safe || arguments.restore {
        return safe(arguments).map_err(|UsageError(problem)| Unfit {
            problem,
            code: Exit::Usage.code(),
        });
    }
    syncoid(arguments).map_err(|UsageError(problem)| Unfit {
        problem,
        code: SYNCOID_USAGE,
    })
}

fn given(
    arguments: &Arguments,
    options: &[(&'static str, &'static str)],
) -> Option<(&'static str, &'static str)> {
    let mut options = options.iter().copied();
    options.find(|(name, _)| arguments.given.contains(name))
}

fn syncoid(arguments: &Arguments) -> Result<(), UsageError> {
    if let Some((name, instead)) = given(arguments, OURS) {
        return Err(UsageError(format!(
            "--{name} does nothing in syncoid's form: {instead}"
        )));
    }
    let limits = [
        ("source-bwlimit", &arguments.source_bwlimit),
        ("target-bwlimit", &arguments.target_bwlimit),
    ];
    for (name, limit) in limits {
        let Some(limit) = limit else { continue };
        // As in mbuffer, 0 is no limit.
        if limit.trim() != "0" && rate(limit).is_none() {
            let name = if arguments.given.contains(&"bwlimit") {
                "bwlimit"
            } else {
                name
            };
            return Err(UsageError(format!(
                "--{name}={limit}: a rate is a number with k, m, g or t behind it; a schedule \
                 needs --safe"
            )));
        }
    }
    Ok(())
}

fn safe(arguments: &Arguments) -> Result<(), UsageError> {
    let form = if arguments.restore {
        "restore"
    } else {
        "--safe"
    };
    if let Some((name, instead)) = given(arguments, THEIRS) {
        return Err(UsageError(format!(
            "--{name} does nothing with {form}: {instead}"
        )));
    }
    let letters = &arguments.recv_options;
    if let Some(other) = letters.iter().find(|o| !RECEIVE_LETTERS.contains(o.letter)) {
        return Err(UsageError(format!(
            "{} in --recvoptions does nothing with {form}: it takes \"o NAME=VALUE\" and \"x \
             NAME\"; --rollback takes a diverged target back",
            other.letter
        )));
    }
    if let Some(size) = &arguments.mbuffer_size {
        if rate(size).is_none() {
            return Err(UsageError(format!(
                "--mbuffer-size={size}: a size is a number of bytes with k, m, g or t behind it"
            )));
        }
    }
    if let Some(name) = &arguments.compress {
        if name != "none" && Compression::named(name).is_none() {
            let names = Compression::NAMES.join(", ");
            return Err(UsageError(format!(
                "--compress={name}: there are {names} and none"
            )));
        }
    }
    if arguments.jobs == Some(0) {
        return Err(UsageError(
            "--jobs=0: at least one dataset has to be worked on".to_owned(),
        ));
    }
    if let Some(name) = &arguments.identifier {
        let id: Result<TargetId, InvalidTargetId> = name.parse();
        id.map_err(|error| UsageError(format!("--identifier: {error}")))?;
    }
    if arguments.rollback && arguments.no_rollback {
        return Err(UsageError(
            "--rollback and --no-rollback: which one? Without both nothing is taken back"
                .to_owned(),
        ));
    }
    // What is restored is a new dataset, of which nobody goes on.
    let of_replicas = [
        ("rollback", "the target has to be a new dataset"),
        ("retire", "the target has to be a new dataset"),
        ("use-hold", "what is restored is nobody's base"),
    ];
    if let (true, Some((name, why))) = (arguments.restore, given(arguments, &of_replicas)) {
        return Err(UsageError(format!(
            "--{name} does nothing with restore: {why}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::arguments::{self, Command};
    use super::*;

    fn checked(words: &[&str]) -> Result<(), Unfit> {
        let words = words.iter().chain(&["tank/a", "vault/a"]);
        match arguments::parse(words.map(|word| (*word).to_owned())) {
            Ok(Command::Run(arguments)) => check(&arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_option_of_the_other_form_is_refused_and_named() {
        for (form, code, options) in [
            (&[][..], 2, OURS),
            (&["--safe"], 64, THEIRS),
            (&["restore"], 64, THEIRS),
        ] {
            for (name, instead) in options {
                let bare = format!("--{name}");
                let valued = match *name {
                    "jobs" | "retries" => format!("{bare}=2"),
                    "sendoptions" => format!("{bare}=L"),
                    "type" => format!("{bare}=volume"),
                    name if name.ends_with("-properties")
                        || [
                            "include-datasets",
                            "snapshot",
                            "target-retention",
                            "newer-than",
                            "older-than",
                        ]
                        .contains(&name)
                        || name == "insecure-direct-connection" =>
                    {
                        format!("{bare}=x")
                    }
                    _ => bare.clone(),
                };
                let unfit = checked(&[form, &[valued.as_str()]].concat()).unwrap_err();
                assert_eq!(unfit.code(), code, "{unfit}");
                let text = unfit.to_string();
                assert!(text.starts_with(&bare) && text.ends_with(instead), "{text}");
            }
        }
    }

    #[test]
    fn what_is_so_anyway_or_means_something_is_not_refused() {
        for words in [
            &["--safe", "--quiet", "--no-sync-snap", "--keep-sync-snap"][..],
            &[
                "--safe",
                "--no-rollback",
                "--mbuffer-size=1M",
                "--pv-options=b",
            ],
            &["--safe", "--no-command-checks", "--monitor-version", "-r"],
            &[
                "--safe",
                "--recvoptions=u o a=b x c",
                "--use-hold",
                "--json",
            ],
            &["--safe", "--bwlimit=08:00,2M 18:00,50M", "--skip-parent"],
            &[
                "--safe",
                "--no-stream",
                "--no-large-blocks",
                "--preserve-recordsize",
                "--dry-run",
            ],
            &["restore", "--snapshot=x", "--jobs=2"],
            &["--bwlimit=1.5m", "--dry-run", "--source-bwlimit=0"],
            &[
                "--delete-target-snapshots",
                "--force-delete",
                "--sendoptions=w",
            ],
        ] {
            assert!(checked(words).is_ok(), "{words:?}");
        }
    }

    #[test]
    fn what_contradicts_or_is_no_rate_is_told() {
        for (words, said) in [
            (&["--bwlimit=08:00,2M 18:00,50M"][..], "needs --safe"),
            (&["--target-bwlimit=fast"], "--target-bwlimit=fast"),
            (&["--safe", "--rollback", "--no-rollback"], "which one"),
            (&["--safe", "--recvoptions=F"], "F in --recvoptions"),
            (&["restore", "--retire"], "--retire does nothing with"),
            (&["--safe", "--mbuffer-size=much"], "--mbuffer-size=much"),
            (&["restore", "--mbuffer-size=0"], "--mbuffer-size=0"),
            (&["--safe", "--compress=zip"], "zstd-fast"),
            (&["--safe", "--jobs=0"], "--jobs=0"),
            (&["--safe", "--identifier=my-host"], "letters and digits"),
        ] {
            let text = checked(words).unwrap_err().to_string();
            assert!(text.contains(said), "{text}");
        }
    }
}
