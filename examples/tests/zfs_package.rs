//! `zfs send -R | zfs-replicate receive`, beside `zfs receive`: the same
//! datasets, snapshots, origins, properties and holds.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;

use std::process::{Command, Stdio};

use fixture::{Pool, get, noise, run};

fn program() -> String {
    let folder = std::env::var("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    format!("{folder}/zfs-replicate")
}

/// A tree with a clone, a volume, properties and holds.
fn fill(pool: &Pool) {
    let src = pool.filesystem("src");
    pool.write(&src, "a", &noise(1, 200_000));
    let child = pool.filesystem("src/child");
    pool.write(&child, "b", b"child");
    let volume = pool.dataset("src/volume");
    run(&["zfs", "create", "-V", "1M", volume.as_str()]);
    let note = "org.example:note=it's 5 %";
    run(&["zfs", "set", note, "compression=zle", child.as_str()]);
    run(&["zfs", "snapshot", "-r", pool.snapshot("src@one").as_str()]);
    let one = pool.snapshot("src/child@one");
    run(&["zfs", "set", "org.example:snap=yes", one.as_str()]);
    run(&["zfs", "hold", "keep", one.as_str()]);
    let clone = pool.dataset("src/clone");
    run(&["zfs", "clone", one.as_str(), clone.as_str()]);
    run(&["zfs", "snapshot", "-r", pool.snapshot("src@two").as_str()]);
}

/// Sends with these words to both receivers, and returns what ours said.
#[track_caller]
fn both(from: &Pool, to: &Pool, send: &str, force: &str) -> String {
    let send = send.replace("SRC", from.dataset("src").as_str());
    let (theirs, ours) = (to.dataset("theirs"), to.dataset("ours"));
    let program = program();
    run(&[
        "sh",
        "-c",
        &format!("{send} | zfs receive -u {force} {theirs}"),
    ]);
    let said = run(&[
        "sh",
        "-c",
        &format!("{send} | {program} receive {force} {ours}"),
    ]);
    assert_eq!(all(to, "ours"), all(to, "theirs"), "{send}");
    said
}

/// Everything below a dataset that a receiver makes.
fn all(pool: &Pool, name: &str) -> Vec<String> {
    let root = pool.dataset(name);
    let columns = "name,type,guid,origin,userrefs,org.example:note,org.example:snap,compression,\
                   encryptionroot,keylocation,keystatus";
    let list = [
        "zfs",
        "list",
        "-Hrpo",
        columns,
        "-t",
        "filesystem,volume,snapshot",
    ];
    let text = run(&[&list[..], &[root.as_str()]].concat());
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            let mut columns: Vec<&str> = line.split('\t').collect();
            // Only that of a snapshot is the same everywhere.
            if columns[1] != "snapshot" {
                columns[2] = "";
            }
            columns.join(" ").replace(root.as_str(), "TARGET")
        })
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_tree_arrives_as_with_zfs_receive() {
    let (from, to) = (Pool::new(), Pool::new());
    fill(&from);
    both(&from, &to, "zfs send -Rh SRC@one", "");
    // An increment of everything.
    both(&from, &to, "zfs send -Rh -I @one SRC@two", "");
    let arrived = all(&to, "ours");
    assert!(
        arrived.iter().any(|line| line.contains("TARGET/clone@two")),
        "{arrived:?}"
    );
    // What is there already is passed over.
    let again = format!(
        "zfs send -Rh -I @one {}@two | {} receive {}",
        from.dataset("src"),
        program(),
        to.dataset("ours")
    );
    assert!(run(&["sh", "-c", &again]).contains("was there already"));
}

#[test]
fn what_was_renamed_and_what_is_gone_is_followed() {
    let (from, to) = (Pool::new(), Pool::new());
    fill(&from);
    both(&from, &to, "zfs send -R SRC@two", "");
    let at = |name: &str| from.dataset("src").to_string() + name;
    run(&["zfs", "rename", &at("/volume"), &at("/disk")]);
    run(&["zfs", "rename", "-r", &at("@one"), &at("@first")]);
    run(&["zfs", "destroy", "-r", &at("/clone")]);
    from.filesystem("src/new");
    run(&["zfs", "snapshot", "-r", &at("@three")]);
    let said = both(&from, &to, "zfs send -R -I @two SRC@three", "-F");
    let arrived = all(&to, "ours").join("\n");
    assert!(arrived.contains("TARGET/disk@three") && !arrived.contains("TARGET/clone"));
    let clone = to.dataset("ours/clone");
    let lost = format!("destroying {clone}\ndestroying {clone}@two\n");
    assert!(said.contains(&lost), "{said}");
    // What is in the way of one snapshot's stream.
    for name in ["ours", "theirs"] {
        to.take(&format!("{name}@own"));
    }
    run(&["zfs", "snapshot", &at("@four")]);
    let said = both(&from, &to, "zfs send -i @three SRC@four", "-F");
    let lost = format!("destroying {}\n", to.snapshot("ours@own"));
    assert_eq!(said.lines().next(), Some(lost.trim_end()), "{said}");
}

#[test]
fn promotions_and_swapped_names_are_followed() {
    let (from, to) = (Pool::new(), Pool::new());
    fill(&from);
    from.filesystem("src/a");
    from.filesystem("src/b");
    let at = |name: &str| from.dataset("src").to_string() + name;
    run(&["zfs", "destroy", "-r", &at("@two")]);
    run(&["zfs", "snapshot", "-r", &at("@two")]);
    both(&from, &to, "zfs send -R SRC@two", "");
    run(&["zfs", "promote", &at("/clone")]);
    for (old, new) in [("/a", "/c"), ("/b", "/a"), ("/c", "/b")] {
        run(&["zfs", "rename", &at(old), &at(new)]);
    }
    run(&["zfs", "snapshot", "-r", &at("@three")]);
    both(&from, &to, "zfs send -R -I @two SRC@three", "-F");
    let origin = get(to.dataset("ours/child"), "origin");
    assert_eq!(origin, to.snapshot("ours/clone@one").as_str());
    assert_eq!(get(to.dataset("ours/clone"), "origin"), "-");
}

#[test]
fn the_keys_of_a_raw_tree_are_as_they_were() {
    let (from, to) = (Pool::new(), Pool::new());
    let src = from.filesystem("src");
    from.encrypted("src/secret", &[]);
    from.filesystem("src/secret/uses");
    from.encrypted("src/secret/own", &[]);
    from.filesystem("src/secret/own/uses");
    let at = |name: &str| src.to_string() + name;
    run(&["zfs", "snapshot", "-r", &at("@one")]);
    let clone = at("/secret/clone");
    run(&["zfs", "clone", &at("/secret/uses@one"), &clone]);
    run(&["zfs", "snapshot", "-r", &at("@two")]);
    both(&from, &to, "zfs send -Rw SRC/secret@two", "");
    let root = |name: &str| get(to.dataset(name), "encryptionroot");
    assert_eq!(root("ours/uses"), to.dataset("ours").as_str());
    assert_eq!(root("ours/own/uses"), to.dataset("ours/own").as_str());
    // What changes its key root, or leaves it.
    run(&["zfs", "change-key", "-i", &at("/secret/own")]);
    run(&["zfs", "promote", &clone]);
    run(&[
        "zfs",
        "rename",
        &at("/secret/own/uses"),
        &at("/secret/moved"),
    ]);
    run(&["zfs", "snapshot", "-r", &at("/secret@three")]);
    both(&from, &to, "zfs send -Rw -I @two SRC/secret@three", "-F");
    for name in ["ours/own", "ours/moved", "ours/clone"] {
        assert_eq!(root(name), to.dataset("ours").as_str(), "{name}");
    }
    run(&["zfs", "load-key", to.dataset("ours").as_str()]);
    assert_eq!(get(to.dataset("ours/moved"), "keystatus"), "available");
}

#[test]
fn names_go_below_the_target_as_with_d_and_e() {
    let (from, to) = (Pool::new(), Pool::new());
    fill(&from);
    for name in ["ours", "theirs"] {
        to.filesystem(name);
    }
    both(&from, &to, "zfs send -R SRC/child@one", "-d");
    to.zfs
        .dataset(&to.dataset("ours/src/child"))
        .expect("below what was made for it");
    both(&from, &to, "zfs send -R SRC/child@one", "-e");
    both(&from, &to, "zfs send -R -I @one SRC/child@two", "-eF");
    to.zfs
        .dataset(&to.dataset("ours/child"))
        .expect("directly below");
}

#[test]
fn one_snapshot_and_ranges_are_received_too() {
    let (from, to) = (Pool::new(), Pool::new());
    fill(&from);
    both(&from, &to, "zfs send -p SRC/child@one", "");
    both(&from, &to, "zfs send -I @one SRC/child@two", "");
    assert_eq!(get(to.dataset("ours"), "org.example:note"), "it's 5 %");
}

#[test]
fn a_package_that_was_cut_off_is_completed_by_the_same_command() {
    let (from, to) = (Pool::new(), Pool::new());
    fill(&from);
    let source = from.dataset("src");
    from.write(&from.dataset("src/child"), "c", &noise(2, 500_000));
    run(&["zfs", "snapshot", "-r", &format!("{source}@three")]);
    let send = format!("zfs send -Rh {source}@three");
    run(&[
        "sh",
        "-c",
        &format!("{send} | zfs receive -u {}", to.dataset("theirs")),
    ]);
    let token = |name: &str| get(to.dataset(&format!("{name}/child")), "receive_resume_token");
    for (options, keeps) in [("", false), ("-s", true)] {
        let name = format!("ours{options}");
        let ours = to.dataset(&name);
        // In the middle of the second dataset.
        let cut = format!(
            "{send} | head -c 500000 | {} receive {options} {ours}",
            program()
        );
        assert!(!fixture::attempt(&["sh", "-c", &cut]).status.success());
        assert_eq!(token(&name) != "-", keeps, "{options}");
        let whole = format!("{send} | {} receive {options} {ours}", program());
        run(&["sh", "-c", &whole]);
        assert_eq!(all(&to, &name), all(&to, "theirs"), "{options}");
    }
}

#[test]
fn properties_are_set_and_left_out_and_a_dry_run_receives_nothing() {
    let (from, to) = (Pool::new(), Pool::new());
    fill(&from);
    let (source, ours) = (from.dataset("src"), to.dataset("ours"));
    let receive = |options: &str| {
        let program = program();
        run(&[
            "sh",
            "-c",
            &format!("zfs send -R {source}@two | {program} receive {options} {ours}"),
        ])
    };
    let told = receive("-nv");
    assert!(
        told.contains(&format!("would receive {ours}/child@two")),
        "{told}"
    );
    assert!(to.zfs.dataset(&ours).is_err());
    let told = receive("-v -o atime=off -o compression=gzip -x org.example:note");
    assert!(
        told.contains(&format!("received {ours}/child@two")),
        "{told}"
    );
    assert_eq!(get(&ours, "atime"), "off");
    let child = to.dataset("ours/child");
    assert_eq!(get(&child, "org.example:note"), "-");
    // Set on top, and inherited from there.
    assert_eq!(get(&child, "compression"), "gzip");
    let above = format!("inherited from {ours}");
    assert_eq!(fixture::source(&child, "compression"), above);
    // Also where it was received with something else before.
    let (plain, child) = (to.dataset("plain"), to.dataset("plain/child"));
    for (send, options) in [("SRC@one", ""), ("-I @one SRC@two", "-o compression=gzip")] {
        let send = send.replace("SRC", source.as_str());
        let line = format!(
            "zfs send -R {send} | {} receive {options} {plain}",
            program()
        );
        run(&["sh", "-c", &line]);
        let is_first = options.is_empty();
        assert_eq!(
            get(&child, "compression"),
            if is_first { "zle" } else { "gzip" }
        );
    }
}

#[test]
fn what_is_no_stream_or_is_cut_off_is_told_and_changes_nothing() {
    let (from, to) = (Pool::new(), Pool::new());
    fill(&from);
    let list = || {
        run(&[
            "zfs",
            "list",
            "-Hro",
            "name",
            "-t",
            "all",
            to.name().as_str(),
        ])
    };
    let was = list();
    let source = from.dataset("src");
    for stream in [
        "echo garbage".to_owned(),
        "true".to_owned(),
        format!("zfs send -R {source}@one | head -c 400"),
        format!("zfs send -R {source}@one | tail -c +600"),
    ] {
        let target = to.dataset("ours");
        let line = format!("{stream} | {} receive {target}", program());
        let output = Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stream}: {said}");
        assert!(said.contains("stream"), "{stream}: {said}");
        assert_eq!(list(), was, "{stream}");
    }
}
