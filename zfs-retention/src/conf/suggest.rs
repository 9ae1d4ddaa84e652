//! What its writer may have meant, of a word that does not exist.

use super::{STRUCTURAL, Section, Settings};

/// What to say of a key that does not exist.
pub(super) fn unknown(key: &str) -> String {
    let tiers = crate::Tier::ALL.into_iter().flat_map(|tier| {
        [
            "", "_warn", "_crit", "_hour", "_min", "_mday", "_mon", "_wday",
        ]
        .map(|suffix| format!("{tier}{suffix}"))
    });
    let plain = [
        "autosnap",
        "autoprune",
        "monitor",
        "monitor_dont_warn",
        "monitor_dont_crit",
        "frequent_period",
        "prune_defer",
        "capacity_warn",
        "capacity_crit",
        "pre_snapshot_script",
        "post_snapshot_script",
        "pre_pruning_script",
        "pruning_script",
        "script_timeout",
        "no_inconsistent_snapshot",
        "force_post_snapshot_script",
    ];
    let known = plain.into_iter().chain(STRUCTURAL).map(str::to_owned);
    let mut settings = Settings::default();
    let mut real = |name: &String| {
        STRUCTURAL.contains(&name.as_str()) || !matches!(settings.set(name, "0"), Ok(None))
    };
    let meant = nearest(key, tiers.chain(known).filter(|name| real(name)));
    let key = crate::error::shortened(key);
    match meant {
        Some(name) => format!("there is no setting {key}; did you mean {name}?"),
        None => format!("there is no setting {key}"),
    }
}

/// What to say of a template that does not exist, by its section's name.
pub(super) fn no_template(full: &str, all: &[Section]) -> String {
    let templates = all.iter().map(|section| section.name.as_str());
    let templates = templates.filter(|name| name.starts_with("template_"));
    let missing = crate::error::shortened(full);
    // What all of them begin with makes none of them near.
    let word = |name: &str| name.trim_start_matches("template_").to_owned();
    if let Some(meant) = nearest(&word(full), templates.clone().map(word)) {
        return format!("there is no [{missing}]; did you mean [template_{meant}]?");
    }
    let some: Vec<_> = templates
        .clone()
        .take(10)
        .map(|it| format!("[{it}]"))
        .collect();
    match (some.is_empty(), templates.count() > some.len()) {
        (true, _) => format!("there is no [{missing}]"),
        (false, false) => format!("there is no [{missing}], but {}", some.join(", ")),
        (false, true) => format!("there is no [{missing}], but {}, …", some.join(", ")),
    }
}

/// The known word that is nearest, where it is near.
fn nearest(word: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let (distance, name) = known.map(|name| (distance(word, &name), name)).min()?;
    (distance <= 3 && word.len() > distance).then_some(name)
}

/// How many letters one must change to make one word of the other. Keys are
/// short; of longer texts only the beginning is compared.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for ((to, diagonal), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(0);
            let change = diagonal + usize::from(from != to);
            next.push(change.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
