//! docs/COMPARE.md: each bench owns what stands between its two marks.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::cargo;

/// Replaces the section of one bench; the marks must be there already.
pub fn write(bench: &str, section: &str) -> Result<()> {
    let file = cargo::workspace().join("docs/COMPARE.md");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let text = replace(&text, bench, section)
        .with_context(|| format!("{} has no section for {bench}", file.display()))?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    eprintln!("bench: wrote the section {bench} of {}", file.display());
    Ok(())
}

/// The commit that was measured, and its day.
pub fn measured_at() -> Result<String> {
    let git = Command::new("git")
        .args(["log", "-1", "--format=%h of %cs"])
        .current_dir(cargo::workspace())
        .output()
        .context("cannot run git, which knows what was measured")?;
    let commit = String::from_utf8(git.stdout)?;
    Ok(format!("Measured at commit {}.", commit.trim()))
}

fn replace(text: &str, bench: &str, section: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- bench {bench} -->\n"),
        format!("<!-- end {bench} -->"),
    );
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!(
        "{before}{begin}{}\n{end}{after}",
        section.trim_end()
    ))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn only_the_bench_s_own_section_changes() {
        let text = "a\n<!-- bench send -->\nold\n<!-- end send -->\nb";
        let new = replace(text, "send", "new\n").expect("the marks are there");
        assert_eq!(new, "a\n<!-- bench send -->\nnew\n<!-- end send -->\nb");
        assert_eq!(replace(text, "list", "new"), None);
    }
}
