//! `zfs-replicate --safe` and `zfs-replicate restore` on real pools: our own
//! defaults, from the command line.

#[path = "../../zfs-core/tests/fixture/mod.rs"]
mod fixture;
#[path = "../../zfs-replicate/tests/sshd/mod.rs"]
mod sshd;

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use fixture::{Pool, get, noise, run};
use serde_json::Value;
use sshd::Sshd;
use zfs_core::{CreateRequest, DatasetName, Encryption, WrappingKey};
use zfs_stream::nvlist::ByteOrder;
use zfs_stream::record::{Record, SliceReader, Writer};

/// What a run said, and how it ended.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    #[track_caller]
    fn well(self) -> Ran {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The lines of `--json`.
    #[track_caller]
    fn events(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The words of the steps of a plan.
    #[track_caller]
    fn steps(&self) -> Vec<String> {
        let events = self.events();
        let plan = events.iter().filter(|event| event["event"] == "plan");
        plan.map(|event| event["step"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn replicate(arguments: &[&str]) -> Ran {
    let folder = std::env::var("ZFS_TEST_BIN_DIR").expect("cargo xtask test sets it");
    let output = Command::new(format!("{folder}/zfs-replicate"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A pool with a tree to replicate, and one to replicate to.
struct Site {
    a: Pool,
    b: Pool,
}

impl Site {
    fn new() -> Site {
        let site = Site {
            a: Pool::new(),
            b: Pool::new(),
        };
        let src = site.a.filesystem("src");
        let child = site.a.filesystem("src/child");
        site.a.write(&src, "a", &noise(1, 300_000));
        site.a.write(&child, "b", b"child");
        site.take("one");
        site
    }

    fn take(&self, name: &str) {
        let snapshot = self.a.snapshot(&format!("src@{name}"));
        run(&["zfs", "snapshot", "-r", snapshot.as_str()]);
    }

    fn source(&self) -> DatasetName {
        self.a.dataset("src")
    }

    fn target(&self) -> DatasetName {
        self.b.dataset("dst")
    }

    fn safe(&self, options: &[&str]) -> Ran {
        let (source, target) = (self.source(), self.target());
        let head = ["--safe", "-r", "--identifier=vault"];
        replicate(&[&head[..], options, &[source.as_str(), target.as_str()]].concat())
    }

    /// Everything on both pools.
    fn everything(&self) -> String {
        let list = ["zfs", "list", "-Hrpo", "name,guid,createtxg", "-t", "all"];
        run(&[&list[..], &[self.a.name().as_str(), self.b.name().as_str()]].concat())
    }
}

/// The snapshots of a dataset, the oldest first.
fn snapshots(dataset: &DatasetName) -> Vec<String> {
    points(dataset, "snapshot", '@')
}

fn bookmarks(dataset: &DatasetName) -> Vec<String> {
    points(dataset, "bookmark", '#')
}

fn points(dataset: &DatasetName, kind: &str, separator: char) -> Vec<String> {
    let list = ["zfs", "list", "-Hd1", "-s", "createtxg", "-o", "name", "-t"];
    let text = run(&[&list[..], &[kind, dataset.as_str()]].concat());
    text.lines()
        .map(|line| line.split_once(separator).unwrap().1.to_owned())
        .collect()
}

fn guid(pool: &Pool, snapshot: &str) -> u64 {
    get(pool.snapshot(snapshot), "guid").parse().unwrap()
}

#[test]
fn a_tree_is_replicated_marked_and_read_only_and_then_there_is_nothing_to_do() {
    let site = Site::new();
    let first = site.safe(&["--json"]).well();
    assert_eq!(first.steps(), ["full", "full"]);
    let last = first.events().pop().unwrap();
    assert_eq!(
        (&last["event"], &last["streams"]),
        (&"done".into(), &2.into())
    );
    site.take("two");
    site.take("three");
    let second = site.safe(&["--json"]).well();
    assert_eq!(second.steps(), ["incremental", "incremental"]);
    for name in ["", "/child"] {
        let (source, target) = (
            site.a.dataset(&format!("src{name}")),
            site.b.dataset(&format!("dst{name}")),
        );
        assert_eq!(snapshots(&target), ["one", "two", "three"]);
        assert_eq!(get(&target, "readonly"), "on");
        assert_eq!(get(&target, "mounted"), "no");
        // No sync snapshot, and one marker.
        assert_eq!(snapshots(&source), ["one", "two", "three"]);
        let newest = guid(&site.a, &format!("src{name}@three"));
        assert_eq!(bookmarks(&source), [format!("replica-vault-{newest:016x}")]);
    }
    let was = site.everything();
    let third = site.safe(&[]).well();
    assert_eq!(third.stdout, "nothing to do\n");
    assert_eq!(site.everything(), was);
}

#[test]
fn a_dry_run_tells_the_plan_and_changes_nothing() {
    let site = Site::new();
    let was = site.everything();
    let text = site.safe(&["--dry-run"]).well().stdout;
    let line = format!("send {}@one to {} in full", site.source(), site.target());
    assert!(text.contains(&line), "{text}");
    let json = site.safe(&["--dry-run", "--json"]).well();
    assert_eq!(json.steps(), ["full", "full"]);
    let first = json.events().remove(0);
    assert_eq!(first["target"], site.target().as_str());
    assert_eq!(first["to"], format!("{}@one", site.source()));
    assert!(!first["why"].as_str().unwrap().is_empty());
    assert_eq!(site.everything(), was);
}

#[test]
fn a_diverged_target_is_refused_and_rolled_back_only_on_request() {
    let site = Site::new();
    site.safe(&[]).well();
    site.b.take("dst@own");
    site.take("two");
    let was = snapshots(&site.target());
    let refused = site.safe(&[]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("own"), "{refused:#?}");
    assert_eq!(snapshots(&site.target()), was);
    // The other dataset went on.
    assert_eq!(snapshots(&site.b.dataset("dst/child")), ["one", "two"]);
    let plan = site.safe(&["--rollback", "--dry-run"]).well().stdout;
    assert!(plan.contains("own"), "{plan}");
    assert_eq!(snapshots(&site.target()), was);
    let told = site.safe(&["--rollback"]).well().stdout;
    assert_eq!(snapshots(&site.target()), ["one", "two"]);
    // What goes is said before it goes.
    let lost = told.find("destroying").unwrap();
    assert!(lost < told.find("rollback of").unwrap(), "{told}");
}

#[test]
fn a_target_that_was_only_written_to_is_taken_back_on_request() {
    let site = Site::new();
    site.safe(&[]).well();
    let target = site.target();
    site.a.write(&site.source(), "new", &noise(2, 300_000));
    site.take("two");
    // It goes on after that.
    let two = site.a.snapshot("src@two");
    let cut = format!("zfs send -i @one {two} | head -c 200000 | zfs receive -s -u {target}");
    assert!(!fixture::attempt(&["sh", "-c", &cut]).status.success());
    run(&["zfs", "set", "readonly=off", target.as_str()]);
    site.b.write(&target, "own", &noise(3, 100_000));
    let refused = site.safe(&["--retries=0"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--rollback"), "{refused:#?}");
    let plan = site.safe(&["--rollback", "--dry-run"]).well().stdout;
    assert!(plan.contains("were written to it since"), "{plan}");
    site.safe(&["--rollback"]).well();
    assert_eq!(snapshots(&target), ["one", "two"]);
    let sshd = Sshd::start();
    let ssh = sshd.options_of_syncoid();
    let ssh: Vec<&str> = ssh.iter().map(String::as_str).collect();
    site.b.write(&target, "own", &noise(4, 100_000));
    site.take("three");
    let (from, to) = (site.source(), format!("root@127.0.0.1:{target}"));
    let push = |options: &[&str]| {
        let head = ["--safe", "-r", "--identifier=vault"];
        replicate(&[&head[..], &ssh, options, &[from.as_str(), &to]].concat())
    };
    let refused = push(&["--retries=0"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("--rollback"), "{refused:#?}");
    push(&["--rollback"]).well();
    assert_eq!(snapshots(&target), ["one", "two", "three"]);
}

#[test]
fn what_the_source_no_longer_has_is_kept_until_it_is_to_be_retired() {
    let site = Site::new();
    site.safe(&[]).well();
    let child = site.a.dataset("src/child");
    run(&["zfs", "destroy", "-r", child.as_str()]);
    let kept = site.safe(&[]).well();
    assert!(kept.stdout.contains("dst/child"), "{kept:#?}");
    let copy = site.b.dataset("dst/child");
    assert_eq!(snapshots(&copy), ["one"]);
    let top = get(site.source(), "guid");
    assert_eq!(get(&copy, "zfs-replicate:target"), format!("vault {top}"));
    // The target's own, below what inherits the property to it.
    let (own, scratch) = (
        site.b.dataset("dst/own"),
        site.b.dataset("dst/child/scratch"),
    );
    for dataset in [&own, &scratch] {
        run(&["zfs", "create", "-u", dataset.as_str()]);
    }
    site.b.take("dst/own@daily");
    let plan = site.safe(&["--retire", "--dry-run", "--json"]);
    assert!(!plan.steps().contains(&"destroy".to_owned()), "{plan:#?}");
    run(&["zfs", "destroy", scratch.as_str()]);
    let plan = site.safe(&["--retire", "--dry-run", "--json"]).well();
    let plan = plan.events();
    let gone = plan.iter().find(|step| step["step"] == "destroy").unwrap();
    assert_eq!(
        gone["destroys"],
        serde_json::json!([copy.as_str(), format!("{copy}@one")])
    );
    assert_eq!(snapshots(&copy), ["one"]);
    let told = site.safe(&["--retire"]).well();
    assert!(
        told.stdout.contains("dst/own: the source has no such"),
        "{told:#?}"
    );
    assert_eq!(snapshots(&own), ["daily"]);
    assert!(
        !fixture::attempt(&["zfs", "list", copy.as_str()])
            .status
            .success()
    );
    assert_eq!(snapshots(&site.target()), ["one"]);
}

#[test]
fn encrypted_data_goes_raw_unless_plaintext_is_asked_for() {
    let site = Site::new();
    let secret = site.a.dataset("src/secret");
    let key = WrappingKey::from_slice(&[7; 32]).unwrap();
    site.a
        .zfs
        .create(&CreateRequest::filesystem(secret.clone()).encryption(Encryption::raw(key)))
        .unwrap();
    site.a.take("src/secret@now");
    site.safe(&[]).well();
    assert_ne!(get(site.b.dataset("dst/secret"), "encryption"), "off");
    assert_eq!(
        get(site.b.dataset("dst/secret"), "keystatus"),
        "unavailable"
    );
    let (from, to) = (site.source(), site.b.dataset("plain"));
    replicate(&["--safe", "-r", "--plaintext", from.as_str(), to.as_str()]).well();
    assert_eq!(get(site.b.dataset("plain/secret"), "encryption"), "off");
}

#[test]
fn what_is_restored_is_the_newest_or_a_named_snapshot_or_a_tree() {
    let site = Site::new();
    let content = noise(9, 50_000);
    site.a.write(&site.source(), "a", &content);
    site.take("two");
    site.safe(&[]).well();
    let backup = site.target();
    let restore = |options: &[&str], to: &DatasetName| {
        let (from, to) = (backup.as_str(), to.as_str());
        replicate(&[&["restore"], options, &[from, to]].concat())
    };

    let newest = site.a.dataset("newest");
    restore(&[], &newest).well();
    assert_eq!(snapshots(&newest), ["two"]);
    assert_eq!(get(&newest, "readonly"), "off");
    assert_eq!(site.a.read(&newest, "a"), content);
    assert_eq!(
        guid(&site.a, "newest@two"),
        guid(&site.a, "src@two"),
        "it is the same snapshot"
    );

    let named = site.a.dataset("named");
    restore(&["--snapshot=one"], &named).well();
    assert_eq!(snapshots(&named), ["one"]);
    assert_eq!(site.a.read(&named, "a"), noise(1, 300_000));

    let tree = site.a.dataset("tree");
    restore(&["-r"], &tree).well();
    assert_eq!(snapshots(&tree), ["two"]);
    assert_eq!(site.a.read(&site.a.dataset("tree/child"), "b"), b"child");
    // Nobody's base: no marker on the backup.
    assert!(bookmarks(&backup).is_empty());

    // What is there already is complete, and what is something else is not
    // touched.
    let other = site.a.filesystem("other");
    let was = site.everything();
    assert_eq!(restore(&[], &newest).well().stdout, "nothing to do\n");
    let other = restore(&[], &other);
    assert_eq!(other.code, Some(1));
    assert!(other.stderr.contains("exists"), "{other:#?}");
    let itself = restore(&[], &site.b.dataset("dst/child"));
    assert_eq!(itself.code, Some(1));
    assert!(itself.stderr.contains("lies in it"), "{itself:#?}");
    // Nor is one that only goes further: the backup may have been made of it.
    let further = restore(&[], &named);
    assert_eq!(further.code, Some(1));
    assert!(further.stderr.contains("--safe"), "{further:#?}");
    let missing = restore(&["--snapshot=never"], &site.a.dataset("never"));
    assert_eq!(missing.code, Some(1), "{missing:#?}");
    assert_eq!(site.everything(), was);
}

#[test]
fn a_restore_that_was_cut_off_is_completed_by_the_same_command() {
    let site = Site::new();
    let (backup, back) = (site.source(), site.b.dataset("back"));
    let cut = format!("zfs send {backup}@one | head -c 150000 | zfs receive -s -u {back}");
    let output = fixture::attempt(&["sh", "-c", &cut]);
    assert!(!output.status.success());
    assert_ne!(get(&back, "receive_resume_token"), "-");
    // What comes to the backup meanwhile does not matter.
    site.take("two");
    let restore = || replicate(&["restore", "-r", "--json", backup.as_str(), back.as_str()]);
    assert_eq!(restore().well().steps(), ["resume", "full"]);
    assert_eq!(snapshots(&back), ["one"]);
    // Nor does it matter where in the tree it was cut off.
    run(&["zfs", "destroy", "-r", &format!("{back}/child")]);
    assert_eq!(restore().well().steps(), ["nothing", "full"]);
    assert_eq!(site.b.read(&site.b.dataset("back/child"), "b"), b"child");
    // It is whole now, and not what would be restored by now.
    let whole = restore();
    assert_eq!(whole.code, Some(1));
    assert!(whole.stderr.contains("--safe"), "{whole:#?}");
}

#[test]
fn push_and_restore_go_over_ssh() {
    let site = Site::new();
    let sshd = Sshd::start();
    let ssh = sshd.options_of_syncoid();
    let ssh: Vec<&str> = ssh.iter().map(String::as_str).collect();
    let far = |dataset: &DatasetName| format!("root@127.0.0.1:{dataset}");
    let push = |options: &[&str]| {
        let (from, to) = (site.source(), far(&site.target()));
        let head = ["--safe", "-r"];
        replicate(&[&head[..], &ssh, options, &[from.as_str(), &to]].concat())
    };
    push(&[]).well();
    site.take("two");
    run(&[
        "zfs",
        "set",
        "org.example:note=it's 5 %",
        site.source().as_str(),
    ]);
    let options = [
        "--compress=zstd-fast",
        "--use-hold",
        "--preserve-properties",
        "--mbuffer-size=2m",
    ];
    push(&options).well();
    assert_eq!(get(site.target(), "org.example:note"), "it's 5 %");
    let two = site.b.snapshot("dst/child@two");
    assert!(run(&["zfs", "holds", "-H", two.as_str()]).contains("replica-"));
    assert_eq!(push(&[]).well().stdout, "nothing to do\n");
    assert_eq!(snapshots(&site.b.dataset("dst/child")), ["one", "two"]);
    let back = site.a.dataset("back");
    let (from, to) = (far(&site.target()), back.as_str());
    replicate(
        &[
            &["restore"],
            &ssh[..],
            &["--compress=lz4", "--no-verify", &from, to],
        ]
        .concat(),
    )
    .well();
    assert_eq!(site.a.read(&back, "a"), noise(1, 300_000));
}

#[test]
fn properties_are_preserved_set_and_left_out_as_asked() {
    let site = Site::new();
    let (source, child) = (site.source(), site.a.dataset("src/child"));
    let note = "org.example:note=it's 5 % of \"two words\"";
    for property in [note, "compression=zle", "atime=off", "reservation=1M"] {
        run(&["zfs", "set", property, source.as_str()]);
    }
    run(&["zfs", "set", "recordsize=16K", child.as_str()]);
    let options = [
        "--preserve-properties",
        "--exclude-properties=^atime$",
        "--recvoptions=o compression=gzip",
    ];
    site.safe(&options).well();
    let (target, copy) = (site.target(), site.b.dataset("dst/child"));
    assert_eq!(
        get(&target, "org.example:note"),
        "it's 5 % of \"two words\""
    );
    assert_eq!(get(&target, "compression"), "gzip");
    assert_eq!(fixture::source(&copy, "compression"), "local");
    assert_eq!(get(&target, "atime"), "on");
    assert_eq!(get(&target, "reservation"), "0");
    assert_eq!(get(&copy, "recordsize"), "16384");
    assert_eq!(
        fixture::source(&target, "mountpoint"),
        "inherited from ".to_owned() + site.b.name().as_str()
    );
    // By name also what is dangerous; and without a word nothing.
    let asked = site.b.dataset("asked");
    let arguments = ["--safe", "--include-properties=reservation|atime"];
    replicate(&[&arguments[..], &[source.as_str(), asked.as_str()]].concat()).well();
    assert_eq!(get(&asked, "reservation"), "1048576");
    assert_eq!(fixture::source(&asked, "compression"), "default");
    let plain = site.b.dataset("plain");
    replicate(&["--safe", source.as_str(), plain.as_str()]).well();
    assert_eq!(fixture::source(&plain, "atime"), "default");
}

#[test]
fn one_hold_follows_the_newest_common_snapshot_on_both_sides() {
    let site = Site::new();
    let held = |pool: &Pool, dataset: &str| -> Vec<String> {
        let names = snapshots(&pool.dataset(dataset));
        let names = names.into_iter().filter(|name| {
            let snapshot = pool.snapshot(&format!("{dataset}@{name}"));
            let holds = run(&["zfs", "holds", "-H", snapshot.as_str()]);
            holds.contains("\treplica-vault\t")
        });
        names.collect()
    };
    site.safe(&["--use-hold"]).well();
    site.take("two");
    // As a run leaves it that was killed between its two holds.
    let two = site.a.snapshot("src@two");
    run(&["zfs", "hold", "replica-vault", two.as_str()]);
    site.take("three");
    site.safe(&["--use-hold"]).well();
    for name in ["", "/child"] {
        assert_eq!(held(&site.a, &format!("src{name}")), ["three"]);
        assert_eq!(held(&site.b, &format!("dst{name}")), ["three"]);
    }
}

/// A dataset with snapshots that are as old as that: a received snapshot says
/// when its original was made, and that stands where its stream begins.
fn aged(site: &Site, names: &[(&str, u64)]) {
    let young = site.a.filesystem("young");
    let old = site.a.dataset("src/old");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut base: Option<String> = None;
    for (name, hours) in names {
        let snapshot = site.a.take(&format!("young@{name}")).to_string();
        let mut send = vec!["send"];
        send.extend(base.iter().flat_map(|base| ["-i", base]));
        send.push(&snapshot);
        let sent = Command::new("zfs").args(&send).output().unwrap();
        assert!(sent.status.success());
        let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
        for record in SliceReader::new(&sent.stdout) {
            let record = record.unwrap();
            match record.parse() {
                Record::Begin(mut begin) => {
                    begin.creation_time = now.as_secs() - hours * 3600;
                    writer.write(&Record::Begin(begin), record.payload).unwrap();
                }
                _ => writer.rewrite(&record).unwrap(),
            }
        }
        let mut receive = Command::new("zfs")
            .args(["receive", "-u", old.as_str()])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = receive.stdin.take().unwrap();
        stdin.write_all(&writer.into_inner()).unwrap();
        drop(stdin);
        assert!(receive.wait().unwrap().success());
        base = Some(snapshot);
    }
    run(&["zfs", "destroy", "-r", young.as_str()]);
}

#[test]
fn snapshots_are_chosen_by_age_and_by_what_the_target_keeps() {
    let site = Site::new();
    let times = [
        ("h90", 90),
        ("h50", 50),
        ("h30", 30),
        ("h28", 28),
        ("h2", 2),
    ];
    aged(&site, &times);
    let source = site.a.dataset("src/old");
    let chosen = |options: &[&str], name: &str| {
        let to = site.b.dataset(name);
        let ends = [source.as_str(), to.as_str()];
        replicate(&[&["--safe"], options, &ends].concat()).well();
        snapshots(&to)
    };
    assert_eq!(chosen(&["--newer-than=40h"], "a"), ["h30", "h28", "h2"]);
    assert_eq!(chosen(&["--older-than=2d"], "b"), ["h90", "h50"]);
    assert_eq!(chosen(&["--target-retention=last=2"], "c"), ["h28", "h2"]);
    // The base stands, and what comes later goes onto it.
    run(&["zfs", "destroy", &format!("{source}@h28")]);
    run(&["zfs", "snapshot", &format!("{source}@now")]);
    assert_eq!(
        chosen(&["--target-retention=last=1"], "c"),
        ["h28", "h2", "now"]
    );
    let again = ["--safe", "--target-retention=last=1", source.as_str()];
    let to = site.b.dataset("c");
    let ran = replicate(&[&again[..], &[to.as_str()]].concat()).well();
    assert_eq!(ran.stdout, "nothing to do\n");
    let wrong = replicate(&["--safe", "--newer-than=soon", source.as_str(), to.as_str()]);
    assert_eq!(wrong.code, Some(64), "{wrong:#?}");
}

#[test]
fn a_target_that_encrypted_what_it_received_is_told_before_anything_raw_is_sent() {
    let site = Site::new();
    let key = || Encryption::raw(WrappingKey::from_slice(&[7; 32]).unwrap());
    let secret = site.a.dataset("secret");
    let vault = site.b.dataset("vault");
    for (pool, dataset) in [(&site.a, &secret), (&site.b, &vault)] {
        let request = CreateRequest::filesystem(dataset.clone()).encryption(key());
        pool.zfs.create(&request).unwrap();
    }
    let one = site.a.take("secret@one");
    let copy = site.b.dataset("vault/copy");
    // In plain, and encrypted there.
    run(&[
        "sh",
        "-c",
        &format!("zfs send {one} | zfs receive -u {copy}"),
    ]);
    site.a.take("secret@two");
    let was = site.everything();
    let ran = replicate(&["--safe", secret.as_str(), copy.as_str()]);
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(
        ran.stderr.contains("did not arrive raw") && ran.stderr.contains("--plaintext"),
        "{ran:#?}"
    );
    assert_eq!(site.everything(), was);
    // The word goes, and what was received raw takes raw increments.
    replicate(&["--safe", "--plaintext", secret.as_str(), copy.as_str()]).well();
    assert_eq!(snapshots(&copy), ["one", "two"]);
    let raw = site.b.dataset("raw");
    for name in ["", "three"] {
        if !name.is_empty() {
            site.a.take(&format!("secret@{name}"));
            // The marker is the base then.
            run(&["zfs", "destroy", &format!("{secret}@two")]);
        }
        replicate(&["--safe", secret.as_str(), raw.as_str()]).well();
    }
    assert_eq!(snapshots(&raw), ["one", "two", "three"]);
    // Onto what is not encrypted at all.
    let plain = site.b.dataset("plain");
    replicate(&["--safe", "--plaintext", secret.as_str(), plain.as_str()]).well();
    site.a.take("secret@four");
    let ran = replicate(&["--safe", secret.as_str(), plain.as_str()]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("once received in plain"), "{ran:#?}");
}

#[test]
fn a_push_goes_through_the_forced_command_of_the_guides() {
    let site = Site::new();
    let target = site.target();
    let sshd = Sshd::with(&format!("command=\"zfs receive -F {target}\""));
    let ssh = sshd.options_of_syncoid();
    let ssh: Vec<&str> = ssh.iter().map(String::as_str).collect();
    let source = site.source();
    let far = format!("root@127.0.0.1:{target}");
    let push = || {
        let head = [
            "--safe",
            "--forced-command",
            "--identifier=far",
            "--retries=0",
        ];
        replicate(&[&head[..], &ssh, &[source.as_str(), &far]].concat())
    };
    push().well();
    assert_eq!(snapshots(&target), ["one"]);
    site.take("two");
    site.take("three");
    push().well();
    assert_eq!(snapshots(&target), ["one", "two", "three"]);
    assert_eq!(
        bookmarks(&source),
        [format!("replica-far-{:016x}", guid(&site.a, "src@three"))]
    );
    assert_eq!(push().well().stdout, "nothing to do\n");
    // What it no longer has is told in words that say what to do.
    run(&["zfs", "destroy", &format!("{target}@three")]);
    site.take("four");
    let ran = push();
    assert_eq!(ran.code, Some(1), "{ran:#?}");
    assert!(ran.stderr.contains("marker"), "{ran:#?}");
    assert_eq!(snapshots(&target), ["one", "two"]);
    // It cannot be asked, so some words do not go with it.
    let ran = replicate(&["--safe", "-r", "--forced-command", source.as_str(), &far]);
    assert_eq!(ran.code, Some(64), "{ran:#?}");
}
