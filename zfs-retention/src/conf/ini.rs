//! The lines of an INI file, as Perl's Config::IniFiles divides them.

use super::{Problem, Severity, Source};
use crate::error::shortened;

/// A section and its settings, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) line: usize,
    pub(super) entries: Vec<Entry>,
}

/// One `key = value`.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) line: usize,
}

impl Section {
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

/// Divides a file, with or without a byte order mark. What is wrong goes to `problems`, and reading goes on.
pub(super) fn read(source: Source<'_>, problems: &mut Vec<Problem>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut current: Option<usize> = None;
    let text = source.text.trim_start_matches('\u{feff}');
    for (line, text) in (1..).zip(text.lines()) {
        let mut report = |severity, text: String| {
            problems.push(Problem::new(source, line, severity, text));
        };
        let text = text.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = text
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let name = name.trim();
            if name.is_empty() {
                report(Severity::Error, "a section needs a name".to_owned());
                current = None;
                continue;
            }
            let known = sections.iter().position(|section| section.name == name);
            if let Some(first) = known.and_then(|nth| sections.get(nth)) {
                let (first, name) = (first.line, shortened(name));
                report(
                    Severity::Warning,
                    format!("[{name}] stands already at line {first}; the two are taken as one"),
                );
            } else {
                sections.push(Section {
                    name: name.to_owned(),
                    line,
                    entries: Vec::new(),
                });
            }
            current = known.or_else(|| sections.len().checked_sub(1));
            continue;
        }
        let Some((key, value)) = text.split_once('=') else {
            let text = shortened(text);
            report(
                Severity::Error,
                format!("{text:?} is neither [section], key = value nor comment"),
            );
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if key.is_empty() {
            report(Severity::Error, "there is nothing before the =".to_owned());
            continue;
        }
        let shown = shortened(key);
        if value.starts_with("<<") {
            report(
                Severity::Error,
                format!("{shown} begins a text of several lines; write it in one"),
            );
            continue;
        }
        let Some(section) = current.and_then(|nth| sections.get_mut(nth)) else {
            report(Severity::Error, format!("{shown} stands outside a section"));
            continue;
        };
        match section.entry(key) {
            None => section.entries.push(Entry {
                key: key.to_owned(),
                value: value.to_owned(),
                line,
            }),
            Some(first) if first.value == value => {
                let first = first.line;
                report(
                    Severity::Warning,
                    format!("{shown} is set already, at line {first}, to the same"),
                );
            }
            Some(first) => {
                let (first, earlier) = (first.line, shortened(&first.value));
                let value = shortened(value);
                report(
                    Severity::Error,
                    format!("{shown} = {value} contradicts {shown} = {earlier} at line {first}"),
                );
            }
        }
    }
    sections
}
