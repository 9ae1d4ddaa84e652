//! Whether the scripts of a configuration are there.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zfs_retention::conf::{Conf, Problem, Severity};

/// What is wrong with the scripts that a configuration names.
pub fn problems<'a>(file: &'a str, conf: &'a Conf) -> impl Iterator<Item = Problem> + 'a {
    conf.scripts().filter_map(move |script| {
        let why = problem(script.command)?;
        Some(Problem {
            file: file.to_owned(),
            line: script.line,
            severity: Severity::Warning,
            text: format!("{}: {why}", script.key),
        })
    })
}

/// Of a command line for sh(1) only a program by its whole path is known
/// without running it.
fn problem(command: &str) -> Option<String> {
    let program = command.split_whitespace().next()?;
    let special = |c: char| !c.is_alphanumeric() && !matches!(c, '/' | '.' | '-' | '_' | '+' | ':');
    if !program.starts_with('/') || program.contains(special) {
        return None;
    }
    match Path::new(program).metadata() {
        Err(error) => Some(format!("cannot find {program}: {error}")),
        Ok(found) if !found.is_file() => Some(format!("{program} is not a file")),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Some(format!("{program} is not executable (chmod +x {program})"))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sh_would_not_find_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let plain = folder.path().join("plain");
        std::fs::write(&plain, "").unwrap();
        let plain = plain.to_str().unwrap();
        assert!(
            problem(&format!("{plain} --now"))
                .unwrap()
                .contains("not executable")
        );
        assert!(problem(folder.path().to_str().unwrap()).is_some());
        assert!(
            problem("/nonexistent/script")
                .unwrap()
                .contains("cannot find")
        );
        for fine in [
            "/bin/sh -c x",
            "echo",
            "$HOME/x",
            "test -e /x || exit 1",
            "/x\\ y",
            "",
        ] {
            assert_eq!(problem(fine), None, "{fine}");
        }
    }
}
