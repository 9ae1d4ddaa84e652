//! Contradictions that only show where defaults, templates and overrides have
//! come together.

use jiff::civil::Date;

use super::{Conf, Problem, Section, Settings, Severity, Source, path_of, templates_of};
use crate::Tier;

/// Looks at every section as its dataset will have it. What several sections
/// have from one template is told once.
pub(super) fn check(source: Source<'_>, conf: &Conf, problems: &mut Vec<Problem>) {
    let datasets = conf.expand_as_written();
    for section in &conf.sections {
        let path = path_of(section);
        let Some(dataset) = datasets.iter().find(|it| it.path == path) else {
            continue;
        };
        let mut report = |line, severity, text: String| {
            let problem = Problem::new(source, line, severity, text);
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        };
        if dataset.takes_children && dataset.children_only && dataset.settings.autosnap {
            report(
                section.line,
                Severity::Error,
                "recursive = zfs takes the children with their parent, which \
                 process_children_only = yes leaves out: nothing would be taken"
                    .to_owned(),
            );
        }
        for (keys, text) in doubtful(&dataset.settings) {
            let line = conf.line_of(section, &keys);
            report(line, Severity::Warning, text);
        }
    }
}

/// Settings that do not go together, by their keys.
fn doubtful(settings: &Settings) -> Vec<([String; 2], String)> {
    let mut all = Vec::new();
    let times = &settings.times;
    let (month, day) = (times.yearly_mon, times.yearly_mday);
    let first = i8::try_from(month).ok();
    // No leap year: sanoid fails in the others.
    let first = first.and_then(|month| Date::new(2025, month, 1).ok());
    let has_day = first.is_none_or(|first| i16::from(day) <= first.days_in_month().into());
    if !has_day && settings.autosnap && settings.count(Tier::Yearly) > 0 {
        let text = format!(
            "yearly_mday: month {month} does not always have a day {day}; its last day is \
             taken, where sanoid would fail"
        );
        all.push((["yearly_mday", "yearly_mon"].map(str::to_owned), text));
    }
    let mut above = |warn: String, crit: String| {
        let text = format!("{warn} is above {crit}, so that it never warns");
        all.push(([warn, crit], text));
    };
    for tier in Tier::ALL {
        let (warn, crit) = (settings.warn(tier), settings.crit(tier));
        let watched = settings.monitor && settings.count(tier) > 0;
        if watched && !crit.is_zero() && warn > crit {
            above(format!("{tier}_warn"), format!("{tier}_crit"));
        }
    }
    let (warn, crit) = (settings.capacity_warn, settings.capacity_crit);
    if crit > 0 && warn > crit {
        above("capacity_warn".to_owned(), "capacity_crit".to_owned());
    }
    all
}

impl Conf {
    /// Where the first of these keys is set that is, for a section: in itself,
    /// or in what it has from templates, the latest first.
    fn line_of(&self, section: &Section, keys: &[String]) -> usize {
        let mut names: Vec<String> = templates_of(section)
            .map(|name| format!("template_{name}"))
            .collect();
        names.insert(0, "template_default".to_owned());
        let templates = names.iter().rev().filter_map(|name| {
            let mut templates = self.templates.iter();
            templates.find(|template| template.name == *name)
        });
        let mut places = std::iter::once(section).chain(templates);
        places
            .find_map(|place| keys.iter().find_map(|key| place.entry(key)))
            .map_or(section.line, |entry| entry.line)
    }
}
