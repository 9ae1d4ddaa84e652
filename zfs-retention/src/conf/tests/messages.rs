//! What a newcomer is told.

use super::*;

#[test]
fn a_file_that_configures_nothing_is_told() {
    for empty in [
        "",
        "# [tank]\n",
        "[template_default]\ndaily = 1\n",
        "\u{feff}",
    ] {
        let text = "1: warning: no dataset is configured: nothing would be taken or pruned";
        assert_warning(empty, text);
    }
}

#[test]
fn a_byte_order_mark_is_no_part_of_the_first_line() {
    assert_eq!(expand("\u{feff}[tank]\n", &[])[0].path, "tank");
}

#[test]
fn names_that_zfs_cannot_have_are_errors() {
    assert_error(
        "[tank/ä]\n",
        "1: error: \"tank/ä\" is not a dataset: ZFS has no 'ä' in names",
    );
    for name in ["tank@a", "1tank", "tank//a", "tank/..", "tank%"] {
        assert!(read(&format!("[{name}]\n")).is_err(), "{name}");
    }
    assert!(read("[tank/a b/c:d.e-f_9]\n").is_ok());
}

#[test]
fn a_template_that_is_not_there_is_told_with_the_one_that_was_meant() {
    let text = "[a]\nuse_template = bakcup\n[template_backup]\n";
    let told = "2: error: there is no [template_bakcup]; did you mean [template_backup]?";
    assert_error(text, told);
    let text = "[a]\nuse_template = x\n[template_production]\n[template_backup]\n";
    let told = "2: error: there is no [template_x], but [template_production], [template_backup]";
    assert_error(text, told);
}

#[test]
fn templates_that_nobody_uses_are_known_and_so_are_scripts() {
    let conf = read(
        "[a]\nuse_template = b\npruning_script = /x y\n[template_b]\npre_snapshot_script = /z\n\
         force_post_snapshot_script = yes\n[template_c]\npruning_script = /c\n[template_default]\n",
    )
    .unwrap();
    assert!(conf.warnings().is_empty());
    let unused: Vec<_> = conf
        .unused_templates()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        unused,
        ["sanoid.conf:7: warning: [template_c] is used by no section"]
    );
    let scripts: Vec<_> = conf
        .scripts()
        .map(|it| (it.line, it.key, it.command))
        .collect();
    let expected = [
        (3, "pruning_script", "/x y"),
        (5, "pre_snapshot_script", "/z"),
    ];
    assert_eq!(scripts, expected);
}

#[test]
fn long_values_are_cut_in_messages() {
    let long = "x".repeat(100_000);
    for line in [
        "daily = ",
        "autosnap = ",
        "use_template = ",
        "daily_warn = ",
        "",
    ] {
        let told = read(&format!("[a]\n{line}{long}\n")).unwrap_err();
        assert!(told.len() < 200 && told.contains('…'), "{told}");
    }
}
