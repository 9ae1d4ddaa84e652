use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::Tier;

mod messages;

fn read(text: &str) -> Result<Conf, String> {
    let source = Source {
        name: "sanoid.conf",
        text,
    };
    Conf::read(source, None).map_err(|error| error.to_string())
}

fn expand(text: &str, existing: &[&str]) -> Vec<Dataset> {
    read(text).unwrap().expand(existing)
}

/// Dataset, hourly, daily, monthly, autosnap.
fn summary(datasets: &[Dataset]) -> Vec<(&str, u32, u32, u32, bool)> {
    let count = |dataset: &Dataset, tier| dataset.settings.count(tier);
    datasets
        .iter()
        .map(|it| {
            (
                it.path.as_str(),
                count(it, Tier::Hourly),
                count(it, Tier::Daily),
                count(it, Tier::Monthly),
                it.settings.autosnap,
            )
        })
        .collect()
}

#[track_caller]
fn assert_error(text: &str, expected: &str) {
    assert_eq!(read(text).unwrap_err(), format!("sanoid.conf:{expected}"));
}

#[track_caller]
fn assert_warning(text: &str, expected: &str) {
    let conf = read(text).unwrap();
    let told: Vec<_> = conf.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(told, [format!("sanoid.conf:{expected}")]);
}

#[test]
fn an_empty_section_has_sanoids_defaults() {
    let datasets = expand("[tank]\n", &[]);
    assert_eq!(summary(&datasets), [("tank", 48, 90, 6, true)]);
    assert_eq!(datasets[0].settings, Settings::default());
}

#[test]
fn templates_apply_in_a_row_and_the_section_has_the_last_word() {
    let text = "\
        [tank]\n use_template = production , demo\n hourly = 7\n\
        [template_production]\n hourly = 36\n daily = 30\n monthly = 3\n autosnap = no\n\
        [template_demo]\n daily = 60\n\
        [template_default]\n monthly = 99\n autosnap = yes\n";
    assert_eq!(summary(&expand(text, &[])), [("tank", 7, 60, 3, false)]);
}

#[test]
fn children_inherit_and_override_only_what_they_say() {
    let text = "\
        [tank]\nuse_template = production\nrecursive = yes\nprocess_children_only = yes\n\
        [tank/vm]\nhourly = 4\n\
        [template_production]\nhourly = 36\ndaily = 30\nmonthly = 3\n";
    let datasets = expand(
        text,
        &["tank", "tank/a", "tank/vm", "tank/vm/disk", "tanker"],
    );
    assert_eq!(
        summary(&datasets),
        [
            ("tank", 36, 30, 3, true),
            ("tank/a", 36, 30, 3, true),
            ("tank/vm", 4, 30, 3, true),
            ("tank/vm/disk", 36, 30, 3, true),
        ]
    );
    let only: Vec<_> = datasets.iter().map(|it| it.children_only).collect();
    assert_eq!(only, [true, false, false, false]);
}

#[test]
fn zfs_recursion_takes_children_with_the_parent_and_prunes_them_alone() {
    let text = "[tank]\nrecursive = zfs\ndaily = 3\n";
    let datasets = expand(text, &["tank", "tank/a"]);
    assert_eq!(
        summary(&datasets),
        [("tank", 48, 3, 6, true), ("tank/a", 48, 3, 6, false)]
    );
    assert!(datasets[0].takes_children && !datasets[1].takes_children);
    assert!(datasets[1].settings.autoprune);
}

#[test]
fn a_child_of_zfs_recursion_cannot_take_its_own() {
    let text = "[tank]\nrecursive = ZFS\n[tank/a]\nautosnap = yes\ndaily = 1\n";
    assert_warning(
        text,
        "3: warning: autosnap is ignored: [tank] takes it with recursive = zfs",
    );
    let datasets = expand(text, &["tank", "tank/a"]);
    assert_eq!(summary(&datasets)[1], ("tank/a", 48, 1, 6, false));
}

#[test]
fn only_who_asks_for_autosnap_is_told_that_it_is_ignored() {
    let told = |child: &str| {
        let text = format!(
            "[tank]\nrecursive = zfs\n[tank/a]\n{child}\n[template_on]\nautosnap = yes\n\
             [template_off]\nautosnap = no\n"
        );
        read(&text).unwrap().warnings().len()
    };
    assert_eq!(told("daily = 1"), 0);
    assert_eq!(told("autosnap = no"), 0);
    assert_eq!(told("use_template = off"), 0);
    assert_eq!(told("use_template = on, off"), 0);
    assert_eq!(told("use_template = on\nautosnap = no"), 0);
    assert_eq!(told("use_template = on"), 1);
    assert_eq!(told("use_template = off, on"), 1);
    assert_eq!(told("use_template = off\nautosnap = yes"), 1);
}

#[test]
fn skip_children_takes_them_out_again() {
    let text = "[tank]\nrecursive = yes\n[tank/a]\nskip_children = yes\ndaily = 1\n";
    let datasets = expand(
        text,
        &["tank", "tank/a", "tank/a/b", "tank/a/b/c", "tank/b"],
    );
    let paths: Vec<_> = datasets.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["tank", "tank/a", "tank/b"]);
}

#[test]
fn a_path_names_the_dataset_of_a_section() {
    let datasets = expand(
        "[mail]\npath = tank/mail\nrecursive = on\n",
        &["tank/mail/a"],
    );
    let paths: Vec<_> = datasets.iter().map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["tank/mail", "tank/mail/a"]);
}

#[test]
fn a_path_into_a_recursive_tree_is_a_contradiction() {
    assert_error(
        "[tank]\nrecursive = yes\n[mail]\npath = tank/mail\ndaily = 1\n",
        "3: error: tank/mail belongs to [tank] at line 1 as well, which is recursive \
         (name this section [tank/mail] and put it behind that one)",
    );
    // Wherever it stands, and whatever the section is called.
    assert_error(
        "[tank/x]\npath = tank/mail\n[tank]\nrecursive = zfs\n",
        "1: error: tank/mail belongs to [tank] at line 3 as well, which is recursive \
         (name this section [tank/mail] and put it behind that one)",
    );
    let beside = "[tank]\nrecursive = yes\n[mail]\npath = tanker/mail\n\
                  [tank/own]\npath = tank/own\n";
    assert!(read(beside).unwrap().warnings().is_empty());
}

#[test]
fn a_section_does_not_cover_itself() {
    let above = "[tank/x]\npath = tank\nrecursive = zfs\n";
    assert!(read(above).unwrap().warnings().is_empty());
}

#[test]
fn only_what_is_near_is_suggested() {
    for (key, told) in [
        ("daily_wxxx", "; did you mean daily_warn?"),
        ("daily_xxxx", ""),
        ("pqq", ""),
    ] {
        let expected = format!("2: error: there is no setting {key}{told}");
        assert_error(&format!("[a]\n{key} = 1\n"), &expected);
    }
}

#[test]
fn as_written_a_child_inherits_what_it_would_if_it_existed() {
    let text = "[tank/early]\ndaily = 1\n[tank]\nrecursive = yes\nhourly = 3\ndaily = 5\n\
                [tank/vm]\nhourly = 7\n[other]\n[tank/off]\nskip_children = yes\n";
    let conf = read(text).unwrap();
    assert_eq!(
        summary(&conf.expand_as_written()),
        [
            ("tank", 3, 5, 6, true),
            ("tank/early", 3, 5, 6, true),
            ("tank/vm", 7, 5, 6, true),
            ("tank/off", 3, 5, 6, true),
            ("other", 48, 90, 6, true),
        ]
    );
}

#[test]
fn a_recursive_parent_overrides_what_came_before() {
    let text = "[tank/a]\ndaily = 1\n[tank]\nrecursive = yes\ndaily = 5\n";
    assert_warning(
        text,
        "1: warning: [tank] at line 3 is recursive and overrides all of this",
    );
    let datasets = expand(text, &["tank", "tank/a"]);
    let daily: Vec<_> = summary(&datasets).iter().map(|it| (it.0, it.2)).collect();
    assert_eq!(daily, [("tank", 5), ("tank/a", 5)]);
}

#[test]
fn the_usual_guides_work_unchanged() {
    let text = "\
[rpool/data]
        use_template = production
        recursive = yes
[rpool/data/vm-100-disk-0]
        use_template = critical
[rpool/data/vm-101-disk-0]
        hourly = 4
#############################
# templates below this line #
#############################
[template_production]
        frequently = 0
        hourly = 48
        daily = 60
        monthly = 24
        yearly = 0
        autosnap = yes
        autoprune = yes
[template_critical]
        frequently = 8
        hourly = 96
        daily = 90
        monthly = 36
        autosnap = yes
        autoprune = yes
";
    let existing = [
        "rpool",
        "rpool/data",
        "rpool/data/vm-100-disk-0",
        "rpool/data/vm-101-disk-0",
        "rpool/data/vm-102-disk-0",
    ];
    assert!(read(text).unwrap().warnings().is_empty());
    assert_eq!(
        summary(&expand(text, &existing)),
        [
            ("rpool/data", 48, 60, 24, true),
            ("rpool/data/vm-100-disk-0", 96, 90, 36, true),
            ("rpool/data/vm-101-disk-0", 4, 60, 24, true),
            ("rpool/data/vm-102-disk-0", 48, 60, 24, true),
        ]
    );
}

#[test]
fn every_setting_is_read() {
    let text = "\
[tank]
frequently = 1
frequent_period = 5
weekly = 2
yearly = 3
autoprune = off
prune_defer = 60
hourly_min = 1
daily_hour = 2
daily_min = 3
weekly_wday = 4
weekly_hour = 5
weekly_min = 6
monthly_mday = 7
monthly_hour = 8
monthly_min = 9
yearly_mon = 10
yearly_mday = 11
yearly_hour = 12
yearly_min = 13
monitor = FALSE
monitor_dont_warn = On
monitor_dont_crit = 1
hourly_warn = 2880
hourly_crit = 60H
daily_warn = 48
weekly_warn = 8
monthly_crit = 5
yearly_warn = 1y
capacity_warn = 0
capacity_crit = 100
pre_snapshot_script = /bin/a b
post_snapshot_script =
pre_pruning_script = c
pruning_script = d
script_timeout = 0
no_inconsistent_snapshot = yes
force_post_snapshot_script = yes
";
    let settings = &expand(text, &[])[0].settings;
    let hours = SignedDuration::from_hours;
    assert_eq!(settings.times.frequent_period, 5);
    assert_eq!(settings.times.yearly_min, 13);
    assert_eq!(settings.warn(Tier::Hourly), hours(48));
    assert_eq!(settings.crit(Tier::Hourly), hours(60));
    assert_eq!(settings.warn(Tier::Daily), hours(48));
    assert_eq!(settings.crit(Tier::Daily), hours(32));
    assert_eq!(settings.warn(Tier::Weekly), hours(24 * 8));
    assert_eq!(settings.crit(Tier::Monthly), hours(24 * 35));
    assert_eq!(settings.warn(Tier::Yearly), hours(24 * 365));
    assert_eq!(settings.pre_snapshot_script.as_deref(), Some("/bin/a b"));
    assert_eq!(settings.post_snapshot_script, None);
    assert_eq!(settings.script_timeout, None);
    assert!(!settings.autoprune && !settings.monitor && settings.monitor_dont_crit);
    assert!(settings.policy().parts().is_empty(), "autoprune is off");
    let taken: Vec<_> = settings.schedules().iter().map(|(tier, _)| *tier).collect();
    assert_eq!(taken, Tier::ALL);
}

#[test]
fn everything_wrong_is_told_at_once_by_line() {
    let text = "\
stray = 1
[tank]
dayly = 3
hourly = -1
autosnap = maybe
use_template = nowhere
recursive = sometimes
what is this
monthly_mday = 32
prune_defer = 101
daily_warn = soon
[/tank]
[]
";
    assert_error(
        text,
        "1: error: stray stands outside a section\n\
         sanoid.conf:3: error: there is no setting dayly; did you mean daily?\n\
         sanoid.conf:4: error: hourly: \"-1\" is not a number\n\
         sanoid.conf:5: error: autosnap: \"maybe\" is neither yes nor no\n\
         sanoid.conf:6: error: there is no [template_nowhere]\n\
         sanoid.conf:7: error: recursive: \"sometimes\" is neither yes, no nor zfs\n\
         sanoid.conf:8: error: \"what is this\" is neither [section], key = value nor comment\n\
         sanoid.conf:9: error: monthly_mday: 32 is not from 1 to 31\n\
         sanoid.conf:10: error: prune_defer: 101 is not from 0 to 100\n\
         sanoid.conf:11: error: daily_warn: \"soon\" is not an age such as 90m, 28h, 32d, 5w or 1y\n\
         sanoid.conf:12: error: \"/tank\" is not a dataset\n\
         sanoid.conf:13: error: a section needs a name",
    );
}

#[test]
fn contradictions_are_errors() {
    assert_error(
        "[a]\ndaily = 1\ndaily = 2\n",
        "3: error: daily = 2 contradicts daily = 1 at line 2",
    );
    assert_error(
        "[a]\nrecursive = yes\nskip_children = yes\n",
        "1: error: recursive and skip_children contradict each other",
    );
    assert_error(
        "[a]\nrecursive = zfs\nprocess_children_only = yes\n",
        "1: error: recursive = zfs takes the children with their parent, which \
         process_children_only = yes leaves out: nothing would be taken",
    );
    assert_error(
        "[a]\n[b]\npath = a\n",
        "2: error: a is the dataset of line 1 already",
    );
}

#[test]
fn zfs_recursion_may_be_for_pruning_the_children_alone() {
    // Where another machine takes the snapshots.
    let text = "[a]\nrecursive = zfs\nprocess_children_only = yes\nuse_template = x\n\
                [template_x]\nautosnap = no\n";
    let datasets = expand(text, &["a", "a/b"]);
    assert!(datasets[0].children_only && datasets[1].settings.autoprune);
    assert_eq!(summary(&datasets)[1], ("a/b", 48, 90, 6, false));
    // Children-only may come from a template as well.
    assert_error(
        "[a]\nrecursive = zfs\nuse_template = x\n[template_x]\nprocess_children_only = yes\n",
        "1: error: recursive = zfs takes the children with their parent, which \
         process_children_only = yes leaves out: nothing would be taken",
    );
}

#[test]
fn the_default_template_may_be_named_without_being_there() {
    let text = "[a]\nuse_template = default,x\n[template_x]\ndaily = 3\n";
    assert_eq!(summary(&expand(text, &[])), [("a", 48, 3, 6, true)]);
}

#[test]
fn an_earlier_section_of_a_child_keeps_its_children_only() {
    let text = "[a/b]\nrecursive = yes\nprocess_children_only = yes\ndaily = 1\n\
                [a]\nrecursive = yes\ndaily = 2\n";
    let datasets = expand(text, &["a", "a/b", "a/b/c"]);
    let all: Vec<_> = datasets
        .iter()
        .map(|it| {
            (
                it.path.as_str(),
                it.settings.count(Tier::Daily),
                it.children_only,
            )
        })
        .collect();
    assert_eq!(
        all,
        [("a", 2, false), ("a/b", 2, true), ("a/b/c", 2, false)]
    );
}

#[test]
fn settings_that_do_not_go_together_are_told_where_they_stand() {
    assert_warning(
        "[a]\nuse_template = x\n[b]\nuse_template = x\n[template_x]\nhourly_crit = 1h\n",
        "6: warning: hourly_warn is above hourly_crit, so that it never warns",
    );
    assert_warning(
        "[a]\ncapacity_crit = 70\n",
        "2: warning: capacity_warn is above capacity_crit, so that it never warns",
    );
    assert_warning(
        "[a]\nyearly = 1\nyearly_mon = 6\nyearly_mday = 31\n",
        "4: warning: yearly_mday: month 6 does not always have a day 31; its last day is \
         taken, where sanoid would fail",
    );
    for fine in [
        "hourly_crit = 0\ncapacity_crit = 0",
        "hourly_crit = 1h\nmonitor = no",
        "hourly_crit = 1h\nhourly = 0",
        "yearly_mon = 2\nyearly_mday = 29",
        "yearly = 1\nyearly_mon = 2\nyearly_mday = 28",
    ] {
        let conf = read(&format!("[a]\n{fine}\n")).unwrap();
        assert!(conf.warnings().is_empty(), "{fine}: {:?}", conf.warnings());
    }
}

#[test]
fn what_sanoid_lets_pass_is_a_warning() {
    assert_warning(
        "[a]\nhourly = 36 # hours\n",
        "2: warning: hourly: \"# hours\" is read as a comment behind the value",
    );
    assert_warning(
        "[a]\ndaily = 1\ndaily = 1\n",
        "3: warning: daily is set already, at line 2, to the same",
    );
    assert_warning(
        "[a]\nprocess_children_only = yes\n",
        "1: warning: process_children_only without recursive leaves nothing to process",
    );
    assert_warning(
        "[a]\n[template_x]\nrecursive = yes\n",
        "3: warning: recursive means nothing in a template and is ignored",
    );
}

#[test]
fn values_are_whole_or_wrong() {
    assert_error(
        "[a]\nhourly = 12x\n",
        "2: error: hourly: \"12x\" is not a number",
    );
    assert_error("[a]\nhourly =\n", "2: error: hourly: \"\" is not a number");
    assert_error(
        "[a]\npruning_script = <<END\n",
        "2: error: pruning_script begins a text of several lines; write it in one",
    );
    let fine = "[a]\n; hourly = x\n# daily = x\npruning_script = cat <<\nfrequent_period = 20\n";
    assert!(read(fine).unwrap().warnings().is_empty());
}

#[test]
fn days_and_periods_that_do_not_always_fit_are_told() {
    assert_warning(
        "[a]\nfrequent_period = 7\n",
        "2: warning: frequent_period: 7 minutes do not divide an hour, so the gaps will differ",
    );
    assert_warning(
        "[a]\nmonthly_mday = 29\n",
        "2: warning: monthly_mday: not every month has a day 29; its last day is taken, \
         where sanoid would fail",
    );
    let fits = read("[a]\nmonthly_mday = 28\n").unwrap();
    assert!(fits.warnings().is_empty());
}

#[test]
fn what_is_due_is_of_types_that_are_wanted_and_not_there() {
    let now: jiff::Zoned = "2026-04-03T12:34:56+02:00[Europe/Berlin]".parse().unwrap();
    let due = |text: &str, taken: &[Tier]| {
        let settings = expand(text, &[]).remove(0).settings;
        let taken = taken.iter().map(|tier| (*tier, now.timestamp()));
        settings.due(taken, &now)
    };
    let wanted = "[a]\nweekly = 1\nmonthly = 0\n";
    assert_eq!(due(wanted, &[]), [Tier::Weekly, Tier::Daily, Tier::Hourly]);
    assert_eq!(due(wanted, &[Tier::Daily]), [Tier::Weekly, Tier::Hourly]);
    assert_eq!(due("[a]\nautosnap = no\n", &[]), []);
}

#[test]
fn a_defaults_file_changes_the_defaults_and_must_be_new_enough() {
    let conf = Source {
        name: "sanoid.conf",
        text: "[tank]\n",
    };
    let defaults = |text| {
        let name = "sanoid.defaults.conf";
        Conf::read(conf, Some(Source { name, text }))
    };
    // As in sanoid's own file, every key is there, and some make no sense.
    let good = "[version]\nversion = 2\n[template_default]\npath =\nrecursive = yes\n\
                hourly =\npre_snapshot_script =\ndaily = 5\n";
    let datasets = defaults(good).unwrap().expand::<&str>(&[]);
    assert_eq!(summary(&datasets), [("tank", 48, 5, 6, true)]);
    assert_eq!(
        defaults("[template_default]\n").unwrap_err().to_string(),
        "sanoid.defaults.conf:1: error: the defaults must be of version 2 or later"
    );
}

proptest! {
    #[test]
    fn reading_any_text_is_safe(text in "\\PC{0,200}") {
        let _ = read(&text);
    }

    #[test]
    fn reading_anything_like_a_configuration_is_safe(
        lines in prop::collection::vec(
            "(\\[[a-z/_]{0,9}\\]|[a-z_]{0,9} ?= ?[a-z0-9,#]{0,5}|(recursive|skip_children|daily|use_template) = (yes|zfs|3|a))",
            0..20,
        )
    ) {
        if let Ok(conf) = read(&lines.join("\n")) {
            conf.expand(&["a", "a/a", "a/b", "b/a/a"]);
        }
    }
}
