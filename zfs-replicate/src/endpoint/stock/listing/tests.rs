//! What zfs-list(8) says, and what it would not.

use proptest::prelude::*;

use super::*;
use crate::tree::Partial;

fn all(_: &DatasetName) -> bool {
    true
}

const LISTING: &str = "tank/a\tfilesystem\t11\t5\t-\t-\t-\t-\t1000\t-\n\
    tank/a@one two\tsnapshot\t21\t6\t-\t-\t-\t-\t2000\t77\n\
    tank/a#mark\tbookmark\t21\t6\t-\t-\t-\t-\t2000\t77\n\
    tank/a/v\tvolume\t12\t7\ttank/a@one two\ttank\tunavailable\t1-x\t3000\t-\n";

#[test]
fn a_listing_becomes_datasets() {
    let datasets = parse(LISTING.as_bytes(), all).unwrap();
    let [a, v] = datasets.as_slice() else {
        panic!("{datasets:?}");
    };
    assert_eq!(a.snapshots[0].name.snapshot(), "one two");
    assert_eq!(a.bookmarks[0].guid, Guid(21));
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(2000);
    assert_eq!(a.snapshots[0].creation, Some(made));
    assert_eq!(a.snapshots[0].ivset, Some(Guid(77)));
    assert_eq!(a.bookmarks[0].ivset, Some(Guid(77)));
    assert_eq!(v.kind, Kind::Volume);
    assert_eq!(v.origin, Some(a.snapshots[0].name.clone()));
    assert_eq!(v.encryption.as_ref().unwrap().key, Key::Unavailable);
    assert!(v.partial.is_some());
    assert_eq!(parse(b"", all), Ok(Vec::new()));
}

#[test]
fn snapshots_and_bookmarks_may_come_with_little_and_after_all_datasets() {
    let little = "tank/a\tfilesystem\t11\t5\t-\t-\t-\t-\t1000\t-\t4096\n\
        tank/a/v\tvolume\t12\t7\t-\ttank\tunavailable\t-\t3000\t-\t0\n\
        tank/a@one two\t21\t6\n\
        tank/a#mark\t21\t6\t2000\n\
        tank/a/v@x\t22\t8\t2000\n";
    let mut datasets = parse(little.as_bytes(), all).unwrap();
    let [a, v] = datasets.as_slice() else {
        panic!("{datasets:?}");
    };
    assert_eq!((a.written, v.written), (Some(4096), Some(0)));
    let (one, x) = (&a.snapshots[0], &v.snapshots[0]);
    assert_eq!((one.guid, one.createtxg), (Guid(21), Txg(6)));
    assert_eq!((one.creation, one.ivset), (None, None));
    let made = SystemTime::UNIX_EPOCH + Duration::from_secs(2000);
    assert_eq!((x.guid, x.creation), (Guid(22), Some(made)));
    assert_eq!(a.bookmarks[0].guid, Guid(21));

    let said = "tank/a@one two\t-\ntank/a#mark\t-\ntank/a/v@x\t77\ntank/a/v@new\t78\n";
    ivsets(said.as_bytes(), &mut datasets).unwrap();
    assert_eq!(datasets[0].snapshots[0].ivset, None);
    assert_eq!(datasets[1].snapshots[0].ivset, Some(Guid(77)));
    for wrong in ["tank/a@x", "tank/a@x\tmany", "tank\t7", "tank/a@x\t7\t8"] {
        assert!(ivsets(wrong.as_bytes(), &mut datasets).is_err(), "{wrong}");
    }
}

#[test]
fn what_was_made_or_destroyed_between_the_two_listings_is_left_out() {
    const FIRST: &str = "tank\tfilesystem\t1\t5\t-\t-\t-\t-\t-\t-\n\
        tank/a\tfilesystem\t2\t5\t-\t-\t-\t-\t-\t-\n";
    let names = |second: &str| {
        let datasets = parse(format!("{FIRST}{second}").as_bytes(), all)?;
        let names = datasets.iter().map(|own| {
            let snapshots = own.snapshots.len();
            format!("{} {snapshots}", own.name)
        });
        Ok::<_, Malformed>(names.collect::<Vec<_>>())
    };
    let whole = "tank\t1\t5\ntank@x\t3\t6\ntank/a\t2\t5\ntank/a@x\t4\t6\n";
    assert_eq!(names(whole).unwrap(), ["tank 1", "tank/a 1"]);
    let made = format!("{whole}tank/new\t7\t8\ntank/new@x\t9\t8\n");
    assert_eq!(names(&made).unwrap(), ["tank 1", "tank/a 1"]);
    // Without its snapshots it would seem to be another one.
    assert_eq!(names("tank\t1\t5\n").unwrap(), ["tank 0"]);
    for renamed in [
        "tank\t1\t5\ntank/b\t2\t5\ntank/b@x\t4\t6\n",
        "tank\t1\t5\ntank/a\t9\t9\ntank/a@x\t10\t9\n",
    ] {
        let error = names(renamed).unwrap_err();
        assert!(
            error.meanwhile && error.problem.contains("renamed"),
            "{error}"
        );
    }
    for wrong in [
        "tank\t1\t5\ntank\t1\t5\n",
        "tank\t1\t5\ntank/new@x\t9\t8\n",
        "tank\tone\t5\n",
        "tank\t1\tfive\n",
    ] {
        assert!(!names(wrong).unwrap_err().meanwhile, "{wrong}");
    }
    let outside = format!("{FIRST}other\t1\t5\n");
    let within = |name: &DatasetName| name.as_str().starts_with("tank");
    assert!(parse(outside.as_bytes(), within).is_err());
}

#[test]
fn a_listing_is_written_as_it_is_read() {
    let mut datasets = parse(LISTING.as_bytes(), all).unwrap();
    let written = write(&datasets);
    let read = parse(written.as_bytes(), all).unwrap();
    // Of a token nothing is left but that it was.
    assert!(matches!(read[1].partial, Some(Partial::Unreadable { .. })));
    datasets[1].partial.clone_from(&read[1].partial);
    assert_eq!(read, datasets);
}

#[test]
fn properties_may_have_tabs_and_line_breaks_in_their_values() {
    let listing = "tank\tcompression\tlz4\n\
        tank/a b\torg.example:note\tone\ttwo\nthree\n\
        tank/a b\tatime\toff\n";
    let all = properties(listing.as_bytes(), all).unwrap();
    let own = &all[&"tank/a b".parse::<DatasetName>().unwrap()];
    assert_eq!(own["org.example:note"], "one\ttwo\nthree");
    assert_eq!(own["atime"], "off");
    assert!(properties(b"Welcome!\n", |_| true).is_err());
    assert!(properties(b"other\tatime\toff\n", |_| false).is_err());
}

#[test]
fn what_zfs_would_not_write_is_refused() {
    for (listing, problem) in [
        ("garbage", "columns"),
        ("tank/a\tfilesystem\t11\t5\t-\t-\t-\t-\t-", "columns"),
        (
            "tank/a\tfilesystem\t1\t5\t-\t-\t-\t-\t-\t-\t-\t-",
            "columns",
        ),
        ("tank/a@x\t1\t5\t6\t7", "columns"),
        ("tank/a@x\t1", "columns"),
        ("tank/a@x\tone\t5", "no number"),
        ("tank/a\tfilesystem\t-1\t5\t-\t-\t-\t-\t-\t-", "no number"),
        (
            "tank/a\tfilesystem\t18446744073709551616\t5\t-\t-\t-\t-\t-\t-",
            "no number",
        ),
        ("tank/a\tfilesystem\t+1\t5\t-\t-\t-\t-\t-\t-", "no number"),
        ("tank//a\tfilesystem\t1\t5\t-\t-\t-\t-\t-\t-", "tank//a"),
        ("tank/a@x\tfilesystem\t1\t5\t-\t-\t-\t-\t-\t-", "tank/a@x"),
        ("tank/a\tfloppy\t1\t5\t-\t-\t-\t-\t-\t-", "kind"),
        (
            "tank/a@x\tsnapshot\t1\t5\t-\t-\t-\t-\t-\t-",
            "belongs to no dataset",
        ),
        (
            "tank\tfilesystem\t1\t5\t-\t-\t-\t-\t1\t-\n\
             tank@x\tsnapshot\t1\t5\t-\t-\t-\t-\tnow\t-",
            "no number",
        ),
        (
            "tank/a\tfilesystem\t1\t5\t-\ttank\tmaybe\t-\t-\t-",
            "status of a key",
        ),
        ("\u{0}\tfilesystem\t1\t5\t-\t-\t-\t-\t-\t-", "\\0"),
    ] {
        let error = parse(listing.as_bytes(), all).unwrap_err();
        assert_eq!(error.line, listing.lines().count(), "{listing}");
        assert!(error.problem.contains(problem), "{listing}: {error}");
    }
    let twice = "tank\tfilesystem\t1\t5\t-\t-\t-\t-\t-\t-\n".repeat(2);
    assert_eq!(parse(twice.as_bytes(), all).unwrap_err().line, 2);
    let twice = "tank@x\tsnapshot\t1\t5\t-\t-\t-\t-\t-\t-\n".repeat(2);
    let twice = format!("tank\tfilesystem\t1\t5\t-\t-\t-\t-\t-\t-\n{twice}");
    assert_eq!(parse(twice.as_bytes(), all).unwrap_err().line, 3);
    let outside = parse(LISTING.as_bytes(), |name| name.as_str() == "tank/a");
    assert_eq!(outside.unwrap_err().line, 4);
    assert!(parse(&vec![0xff; 100_000], all).is_err());
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(output in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&output, all);
    }

    #[test]
    fn nothing_that_looks_like_a_listing_makes_it_panic(
        output in "([a-z/@#0-9 ]{0,9}[\t\n]|filesystem\t|snapshot\t|1\t|-\t){0,60}"
    ) {
        let _ = parse(output.as_bytes(), all);
    }
}
