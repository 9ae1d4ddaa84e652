//! syncoid 2.3 and zfs-replicate side by side: the same starting pools, the
//! same command line, the same snapshots, bookmarks, holds and properties
//! afterwards, and the same exit code.
//!
//! The cases are a table: every option alone, against a target that is new,
//! incremental, resumable or diverged, and against a tree; and those that
//! matter for what is rarer. A few of them run always, all of them with
//! `cargo xtask test --zfs-only --long --target zfs_syncoid PART`, where each
//! runs twice, with a new snapshot in between: what a run cleans up is what an
//! earlier one left. A part is the name of a test, which takes some ten
//! minutes, or `rare`, which takes as long for all of these.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;
#[path = "../../zfs-replicate/tests/sshd/mod.rs"]
mod sshd;

mod syncoid;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use Before::{
    Bookmarked, ChosenTree, Diverged, Encrypted, Everything, Incremental, IncrementalTree,
    Mountpoint, New, NewTree, Resumable, Spaces, Synced, TokenStale, Unrelated, Volume,
};
use Times::{Once, Twice};
use fixture::Pool;
use sshd::Sshd;
use syncoid::prepare::prepare;
use syncoid::{Before, Place, Route, Times, compare, objects, ours};

/// The one to be compared with.
pub const SYNCOID: &str = "/usr/sbin/syncoid";

/// Every option that changes anything, alone, and what goes together.
const OPTIONS: &[&[&str]] = &[
    &[],
    &["--no-sync-snap"],
    &["--keep-sync-snap"],
    &["--no-sync-snap", "--create-bookmark"],
    &["--use-hold"],
    &["--no-sync-snap", "--use-hold"],
    &["--identifier=third"],
    &["--no-stream"],
    &["--no-sync-snap", "--no-stream"],
    &["--no-resume"],
    &["--no-rollback"],
    &["--force-delete"],
    &["--no-sync-snap", "--force-delete"],
    &["--delete-target-snapshots"],
    &["--no-sync-snap", "--delete-target-snapshots"],
    &["--exclude-datasets=child"],
    &["--exclude=child"],
    &["--exclude-snaps=two"],
    &["--no-sync-snap", "--include-snaps=^(one|three)$"],
    &["--skip-parent"],
    &["--preserve-properties"],
    &["--preserve-recordsize"],
    &["--sendoptions=Lc"],
    &["--sendoptions=p"],
    &["--recvoptions=u o compression=gzip"],
    &["--compress=none"],
    &["--source-bwlimit=50m"],
    &["--target-bwlimit=50m"],
    &["--mbuffer-size=32M"],
    &["--pv-options=-b"],
    &["--no-privilege-elevation"],
    &["--no-clone-handling"],
    &["--no-command-checks"],
    &["--monitor-version"],
    &["--dumpsnaps"],
    &["--debug"],
    &["--quiet"],
];

/// For what is rarer: the options that matter there.
const RARE: &[(Before, &[&[&str]])] = &[
    (
        Synced,
        &[
            &[],
            &["--no-sync-snap"],
            &["--keep-sync-snap"],
            &["--use-hold"],
            &["--identifier=third"],
            &["--delete-target-snapshots"],
            &["--exclude-snaps=^syncoid"],
        ],
    ),
    (TokenStale, &[&[], &["--no-sync-snap"], &["--no-resume"]]),
    (
        Encrypted,
        &[
            &["--no-sync-snap"],
            &["--no-sync-snap", "--sendoptions=w"],
            &["--sendoptions=w", "--use-hold"],
            &["--sendoptions=p", "--preserve-properties"],
        ],
    ),
    (
        Volume,
        &[
            &["--no-sync-snap"],
            &["--preserve-recordsize"],
            &["--preserve-properties", "--sendoptions=c"],
        ],
    ),
    (
        Spaces,
        &[
            &[],
            &["--use-hold"],
            &["--no-sync-snap", "--create-bookmark"],
        ],
    ),
    (
        Mountpoint,
        &[
            &["--no-sync-snap"],
            &["--no-sync-snap", "--preserve-properties"],
            &["--no-sync-snap", "--sendoptions=p"],
            &[
                "--no-sync-snap",
                "--sendoptions=p",
                "--recvoptions=u x mountpoint",
            ],
            &[
                "--no-sync-snap",
                "--recvoptions=u o mountpoint=/srv/another",
            ],
        ],
    ),
    (
        ChosenTree,
        &[
            &[],
            &["--no-sync-snap", "--skip-parent"],
            &["--exclude-datasets=mine"],
        ],
    ),
];

/// Those that run always: what differs most.
const SHORT: &[(Before, Times, &[&str])] = &[
    (New, Once, &[]),
    (Incremental, Once, &[]),
    (Incremental, Twice, &["--use-hold"]),
    (
        Incremental,
        Once,
        &[
            "--no-sync-snap",
            "--create-bookmark",
            "--preserve-properties",
        ],
    ),
    (Resumable, Once, &["--no-sync-snap"]),
    (Resumable, Once, &["--no-resume", "--no-sync-snap"]),
    (Diverged, Once, &["--no-sync-snap"]),
    (Unrelated, Once, &["--no-sync-snap"]),
    (Unrelated, Once, &["--no-sync-snap", "--force-delete"]),
    (Bookmarked, Once, &["--no-sync-snap"]),
    (
        Everything,
        Once,
        &["--no-sync-snap", "--delete-target-snapshots"],
    ),
    (NewTree, Once, &["--no-sync-snap"]),
    (
        IncrementalTree,
        Once,
        &["--no-sync-snap", "--exclude-snaps=two"],
    ),
    (Synced, Twice, &[]),
    (TokenStale, Once, &["--no-sync-snap"]),
    (
        Mountpoint,
        Once,
        &["--no-sync-snap", "--preserve-properties"],
    ),
    (
        Mountpoint,
        Once,
        &[
            "--no-sync-snap",
            "--sendoptions=p",
            "--recvoptions=u x mountpoint",
        ],
    ),
    (Encrypted, Once, &["--no-sync-snap"]),
    (Encrypted, Once, &["--no-sync-snap", "--sendoptions=w"]),
];

#[test]
fn syncoid_is_there_to_be_compared_with() {
    assert!(Path::new(SYNCOID).exists());
    let text = fs::read_to_string(SYNCOID).unwrap();
    assert!(text.contains("VERSION = '2.3.0'"));
}

/// Every option against one kind of target, or those that differ most.
#[track_caller]
fn side_by_side(before: Before) {
    let cases = if is_long() {
        let rare = RARE.iter().find(|(when, _)| *when == before);
        let options = rare.map_or(OPTIONS, |(_, options)| options);
        options.iter().map(|options| (Twice, *options)).collect()
    } else {
        short(before)
    };
    assert!(!cases.is_empty());
    let pools = (Pool::new(), Pool::new());
    let mut differ = 0;
    for (number, (times, options)) in cases.iter().enumerate() {
        if let Err(text) = compare(&pools, number, before, *times, options, Route::Here) {
            println!("{text}");
            differ += 1;
        }
    }
    assert_eq!(differ, 0, "of {} cases", cases.len());
}

fn short(before: Before) -> Vec<(Times, &'static [&'static str])> {
    let these = SHORT.iter().filter(|(when, ..)| *when == before);
    these
        .map(|(_, times, options)| (*times, *options))
        .collect()
}

fn is_long() -> bool {
    std::env::var_os("ZFS_TEST_LONG").is_some()
}

#[test]
fn a_new_target() {
    side_by_side(New);
}

#[test]
fn an_incremental_target() {
    side_by_side(Incremental);
}

#[test]
fn a_resumable_target() {
    side_by_side(Resumable);
}

#[test]
fn a_diverged_target() {
    side_by_side(Diverged);
}

#[test]
fn an_unrelated_target() {
    side_by_side(Unrelated);
}

#[test]
fn a_target_whose_base_is_a_bookmark() {
    side_by_side(Bookmarked);
}

#[test]
fn a_target_that_has_everything() {
    side_by_side(Everything);
}

#[test]
fn a_new_tree() {
    side_by_side(NewTree);
}

#[test]
fn an_incremental_tree() {
    side_by_side(IncrementalTree);
}

#[test]
fn rare_a_target_that_was_synced_before() {
    side_by_side(Synced);
}

#[test]
fn rare_a_target_whose_token_is_stale() {
    side_by_side(TokenStale);
}

#[test]
fn rare_an_encrypted_source() {
    side_by_side(Encrypted);
}

#[test]
fn rare_a_mountpoint_of_its_own() {
    side_by_side(Mountpoint);
}

/// What takes longest, or differs least, runs only where there is time.
#[test]
fn rare_a_tree_of_which_some_are_meant() {
    if is_long() {
        side_by_side(ChosenTree);
    }
}

#[test]
fn rare_a_volume_and_names_with_spaces() {
    if is_long() {
        side_by_side(Volume);
        side_by_side(Spaces);
    }
}

#[test]
fn to_and_from_another_system() {
    let sshd = Sshd::start();
    let pools = (Pool::new(), Pool::new());
    let (push, pull) = (Route::Push(&sshd), Route::Pull(&sshd));
    let mut cases: Vec<(Before, &[&str], Route<'_>)> = vec![
        (New, &["--no-sync-snap", "--compress=zstd-fast"], push),
        (
            Incremental,
            &["--compress=none", "--sshcipher=aes128-gcm@openssh.com"],
            pull,
        ),
    ];
    if is_long() {
        for route in [push, pull] {
            for before in [Resumable, Diverged, Bookmarked, NewTree] {
                cases.push((before, &["--no-sync-snap"], route));
            }
            cases.push((Incremental, &["--use-hold"], route));
            cases.push((Synced, &[], route));
            cases.push((Spaces, &["--no-sync-snap"], route));
        }
    }
    let times = if is_long() { Twice } else { Once };
    for (number, (before, options, route)) in cases.into_iter().enumerate() {
        if let Err(text) = compare(&pools, number, before, times, options, route) {
            panic!("{text}");
        }
    }
}

#[test]
fn what_scripts_look_for_is_said_by_both() {
    let pools = (Pool::new(), Pool::new());
    for (number, (before, options, line)) in [
        (
            Incremental,
            &["--no-sync-snap", "--debug"],
            "NEWEST SNAPSHOT: three",
        ),
        (
            TokenStale,
            &["--no-sync-snap", "--debug"],
            "reset partial receive state of T/dst",
        ),
        (
            Incremental,
            &["--no-sync-snap", "--no-stream"],
            "Sending incremental",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        match compare(&pools, number, before, Once, options, Route::Here) {
            Ok(said) => assert!(said.iter().any(|s| s.contains(line)), "{line}: {said:#?}"),
            Err(text) => panic!("{text}"),
        }
    }
}

/// All that syncoid knows; the lists of cases have zstd-fast and none.
const COMPRESSIONS: &[&str] = &[
    "lz4",
    "pigz-fast",
    "gzip",
    "pigz-slow",
    "zstd-slow",
    "zstdmt-fast",
    "zstdmt-slow",
    "xz",
    "lzo",
];

/// The first ones always, both ways; all of them where there is time.
#[test]
fn rare_whatever_compresses() {
    let sshd = Sshd::start();
    let pools = (Pool::new(), Pool::new());
    let some = if is_long() {
        COMPRESSIONS
    } else {
        &COMPRESSIONS[..2]
    };
    for (number, format) in some.iter().enumerate() {
        let compress = format!("--compress={format}");
        let route = if number % 2 == 0 {
            Route::Push(&sshd)
        } else {
            Route::Pull(&sshd)
        };
        let options = ["--no-sync-snap", &compress];
        match compare(&pools, number, Incremental, Once, &options, route) {
            // Without its program, either would go on without it.
            Ok(said) => assert!(
                !said.iter().any(|s| s.contains("not available")),
                "{said:?}"
            ),
            Err(text) => panic!("{text}"),
        }
    }
}

/// What syncoid calls for a direct connection is in no image: these do as much
/// of it as it asks for.
const STAND_INS: [(&str, &str); 2] = [
    (
        // socat - TCP:HOST:PORT,retry=TIMES,interval=1
        "socat",
        "#!/bin/sh
address=${2#TCP:}
address=${address%%,*}
for try in $(seq 30); do
    nc -N ${address%:*} ${address#*:} && exit 0
    sleep 1
done
exit 1
",
    ),
    (
        // busybox nc -l HOST:PORT -w SECONDS
        "busybox",
        "#!/bin/sh
exec nc -d -l ${3%:*} ${3#*:}
",
    ),
];

#[test]
fn past_ssh_by_a_direct_connection() {
    for (name, script) in STAND_INS {
        let path = Path::new("/usr/local/bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let sshd = Sshd::start();
    let pools = (Pool::new(), Pool::new());
    let routes = [Route::Push(&sshd), Route::Pull(&sshd)];
    for (number, route) in routes.into_iter().enumerate() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let direct = format!("--insecure-direct-connection=127.0.0.1:{port}");
        let options = ["--no-sync-snap", &direct];
        match compare(&pools, number, Incremental, Once, &options, route) {
            Ok(said) => assert!(said.iter().any(|s| s.contains("Sending")), "{said:?}"),
            Err(text) => panic!("{text}"),
        }
    }
}

#[test]
fn wrong_command_lines_end_with_the_same_code() {
    for arguments in [
        &["--frobnicate", "a", "b"][..],
        &["a"],
        &["--identifier=a/b", "a", "b"],
        &["--recursive", "--sendoptions=R", "a", "b"],
        &["--recvoptions=ox y", "a", "b"],
        &["--insecure-direct-connection=a:1,b:2,3,mbuffer,x", "a", "b"],
    ] {
        let code = |program: &str| {
            let mut command = Command::new(program);
            command.args(arguments).output().unwrap().status.code()
        };
        assert_eq!(code(&ours()), code(SYNCOID), "{arguments:?}");
    }
}

#[test]
fn what_is_not_there_ends_with_the_same_code() {
    let pool = Pool::new();
    let name = pool.name().as_str().to_owned();
    pool.filesystem("empty");
    let missing = [format!("{name}/none"), format!("{name}/dst")];
    let empty = [format!("{name}/empty"), format!("{name}/dst")];
    for (arguments, places) in [
        (&[][..], &missing),
        (&["--recursive"], &missing),
        (&["--no-sync-snap"], &empty),
        (&["--no-sync-snap", "--recursive"], &empty),
    ] {
        let code = |program: &str| {
            let mut command = Command::new(program);
            let output = command.args(arguments).args(places).output().unwrap();
            output.status.code()
        };
        assert_eq!(code(&ours()), code(SYNCOID), "{arguments:?} {places:?}");
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    let pools = (Pool::new(), Pool::new());
    for (number, before) in [Incremental, Unrelated].into_iter().enumerate() {
        let place = Place::new(&pools, format!("d{number}"), before);
        prepare(&place, before);
        let was = objects(&place);
        let output = Command::new(ours())
            .args(["--dry-run", "--force-delete", "--use-hold"])
            .args([place.source().as_str(), place.target().as_str()])
            .output()
            .unwrap();
        assert!(!output.stdout.is_empty());
        assert_eq!(objects(&place), was, "{before:?}");
    }
}
