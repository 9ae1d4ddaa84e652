//! Perl's way of reading options, which cron jobs written for sanoid may use:
//! long options with one dash, in any case (`Getopt::Long`).

use std::ffi::OsString;

/// sanoid's, of which a beginning that fits no other will do.
const LONG: &[&str] = &[
    "cache-dir",
    "cache-ttl",
    "configdir",
    "cron",
    "debug",
    "force-prune",
    "force-update",
    "help",
    "monitor-capacity",
    "monitor-health",
    "monitor-snapshots",
    "prune-snapshots",
    "quiet",
    "readonly",
    "run-dir",
    "take-snapshots",
    "verbose",
    "version",
];

/// The same arguments with two dashes before sanoid's long options. Ours are
/// not touched, nor is a subcommand's line, nor what follows `--`.
pub fn with_two_dashes(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let is_subcommand = args
        .get(1)
        .and_then(|arg| arg.to_str())
        .is_some_and(|arg| !arg.starts_with('-'));
    if is_subcommand {
        return args;
    }
    for arg in args.iter_mut().skip(1) {
        let Some(text) = arg.to_str() else { continue };
        if text == "--" {
            break;
        }
        if let Some(long) = long(text) {
            *arg = long.into();
        }
    }
    args
}

fn long(text: &str) -> Option<String> {
    let (dashes, text) = match text.strip_prefix("--") {
        Some(text) => (2, text),
        None => (1, text.strip_prefix('-')?),
    };
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let name = name.to_ascii_lowercase();
    // One letter is an option of its own: -v, -q, -h.
    if name.is_empty() || (dashes == 1 && matches!(name.as_str(), "h" | "q" | "v")) {
        return None;
    }
    let mut fitting = LONG.iter().filter(|known| known.starts_with(&name));
    let name = match (fitting.next(), fitting.next()) {
        (None, _) => return None,
        (Some(only), None) => (*only).to_owned(),
        // That it could be several is for others to say.
        (Some(_), Some(_)) => name,
    };
    Some(match value {
        Some(value) => format!("--{name}={value}"),
        None => format!("--{name}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> String {
        let args = line.split(' ').map(OsString::from);
        let args: Vec<String> = with_two_dashes(args)
            .into_iter()
            .map(|arg| arg.into_string().unwrap())
            .collect();
        args.join(" ")
    }

    #[test]
    fn options_of_sanoid_may_have_one_dash() {
        for (given, read_as) in [
            ("x -cron", "x --cron"),
            (
                "x -cr -verb -configdir /etc/s",
                "x --cron --verbose --configdir /etc/s",
            ),
            ("x -d --d --ver -c", "x --debug --debug --ver --c"),
            ("x -Cache-TTL=5 --Cron", "x --cache-ttl=5 --cron"),
            (
                "x --configdir=/Etc/Cron -cron",
                "x --configdir=/Etc/Cron --cron",
            ),
            ("x -v -q -vv -qv", "x -v -q -vv -qv"),
            (
                "x --log-format json --dry-run",
                "x --log-format json --dry-run",
            ),
            ("x -- -cron", "x -- -cron"),
            ("x explain -cron", "x explain -cron"),
            ("x", "x"),
        ] {
            assert_eq!(read(given), read_as, "{given}");
        }
    }
}
