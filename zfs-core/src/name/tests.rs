use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

fn problem<T: FromStr<Err = Error>>(name: &str) -> NameProblem {
    match name.parse::<T>() {
        Err(Error::InvalidName { problem, .. }) => problem,
        Err(other) => panic!("{name:?}: {other}"),
        Ok(_) => panic!("{name:?} was accepted"),
    }
}

fn dataset(name: &str) -> DatasetName {
    name.parse().expect(name)
}

#[test]
fn what_zfs_accepts_is_accepted() {
    for name in [
        "tank",
        "t",
        "Tank-1_2.3:4",
        "tank/with space",
        "tank/ leading",
        "tank/trailing ",
        "tank/-dash/.dot/...",
        "tank/mirror",
        "mirrors",
        "tank/0",
    ] {
        assert_eq!(dataset(name), name);
    }
    SnapshotName::parse("tank@autosnap_2026-11-22_11:50:00_hourly").unwrap();
    BookmarkName::parse("tank/a b#c d").unwrap();
}

#[test]
fn what_zfs_refuses_is_refused_with_the_reason() {
    use NameProblem as P;
    let dataset = problem::<DatasetName>;
    assert_eq!(dataset(""), P::EmptyComponent);
    assert_eq!(dataset("/tank"), P::LeadingSlash);
    assert_eq!(dataset("tank/"), P::TrailingSlash);
    assert_eq!(dataset("tank//a"), P::EmptyComponent);
    assert_eq!(dataset("tank/./a"), P::SelfReference);
    assert_eq!(dataset("tank/.."), P::ParentReference);
    assert_eq!(dataset("tank/a%b"), P::Character('%'));
    assert_eq!(dataset("tank/%recv"), P::Character('%'));
    assert_eq!(dataset("tank/{a}"), P::Character('{'));
    assert_eq!(dataset("tank/a\0b"), P::Character('\0'));
    assert_eq!(dataset("tank/a\tb"), P::Character('\t'));
    assert_eq!(dataset("tank/ä"), P::Character('ä'));
    assert_eq!(dataset("tank/a@b"), P::Delimiter('@'));
    assert_eq!(dataset("tank#b"), P::Delimiter('#'));
    assert_eq!(dataset("1tank"), P::PoolNoLetter);
    assert_eq!(dataset("-tank/a"), P::PoolNoLetter);
    assert_eq!(dataset("raidz/a"), P::Reserved);
    assert_eq!(problem::<PoolName>("tank/a"), P::Character('/'));
    assert_eq!(problem::<PoolName>("draid"), P::Reserved);
    assert_eq!(problem::<PoolName>("/"), P::LeadingSlash);

    let snapshot = problem::<SnapshotName>;
    assert_eq!(snapshot("tank/a"), P::Missing('@'));
    assert_eq!(snapshot("tank/a#b"), P::Missing('@'));
    assert_eq!(snapshot("tank/a@"), P::EmptyComponent);
    assert_eq!(snapshot("tank/a@b@c"), P::Character('@'));
    assert_eq!(snapshot("tank/a@b#c"), P::Character('#'));
    assert_eq!(snapshot("tank/a#c@b"), P::Delimiter('#'));
    assert_eq!(snapshot("tank/a@b/c"), P::Character('/'));
    assert_eq!(snapshot("tank/a@b%c"), P::Character('%'));
    assert_eq!(snapshot("tank/a@.."), P::ParentReference);
    assert_eq!(snapshot("@b"), P::EmptyComponent);
    assert_eq!(snapshot("tank/@b"), P::TrailingSlash);
    assert_eq!(problem::<BookmarkName>("tank/a@b"), P::Missing('#'));
    assert_eq!(problem::<BookmarkName>("tank/a@b#c"), P::Delimiter('@'));
}

#[test]
fn the_longest_names_are_255_bytes_and_pools_239() {
    let pool = "p".repeat(239);
    PoolName::parse(&pool).unwrap();
    assert_eq!(
        problem::<PoolName>(&format!("{pool}p")),
        NameProblem::TooLong {
            bytes: 240,
            max: 239
        }
    );
    let longest = format!("tank/{}", "a".repeat(250));
    assert_eq!(dataset(&longest).as_str().len(), MAX_NAME_BYTES);
    assert_eq!(
        problem::<DatasetName>(&format!("{longest}a")),
        NameProblem::TooLong {
            bytes: 256,
            max: 255
        }
    );
    let snapshot = format!("tank/a@{}", "s".repeat(248));
    SnapshotName::parse(&snapshot).unwrap();
    assert!(SnapshotName::parse(format!("{snapshot}s")).is_err());
    assert!(dataset(&longest).with_snapshot("s").is_err());
    assert!(dataset(&longest).with_bookmark("s").is_err());
    assert!(dataset(&longest).child("s").is_err());
    assert!(dataset(&longest).partial_receive().is_err());
}

#[test]
fn a_pool_that_was_nested_deeper_than_today_can_be_named() {
    let deep = format!("tank{}", "/a".repeat(MAX_NESTING + 10));
    assert_eq!(dataset(&deep).depth(), MAX_NESTING + 10);
}

#[test]
fn what_is_said_about_a_hostile_name_stays_short() {
    let error = DatasetName::parse("x".repeat(1 << 20)).unwrap_err();
    assert!(error.to_string().len() < 500, "{error}");
}

#[test]
fn relatives_are_found_by_whole_components() {
    let home = dataset("tank/home");
    let mail = dataset("tank/home/ann/mail");
    assert!(mail.is_descendant_of(&home) && mail.is_within(&home));
    assert!(!home.is_descendant_of(&home) && home.is_within(&home));
    assert!(!dataset("tank/home2").is_within(&home));
    assert_eq!(mail.strip_prefix(&home), Some("ann/mail"));
    assert_eq!(home.strip_prefix(&home), Some(""));
    assert_eq!(dataset("tank/home2").strip_prefix(&home), None);
    assert_eq!(mail.parent().unwrap(), "tank/home/ann");
    assert_eq!(mail.pool(), "tank");
    assert_eq!(mail.pool().root().parent(), None);
    assert!(mail.pool().root().is_pool_root());
    assert_eq!(mail.last_component(), "mail");
    let above: Vec<_> = mail.ancestors().map(String::from).collect();
    assert_eq!(above, ["tank/home/ann", "tank/home", "tank"]);
}

#[test]
fn joining_and_adding_children_cannot_leave_the_dataset() {
    let home = dataset("tank/home");
    assert_eq!(home.join("").unwrap(), home);
    assert_eq!(home.join("a/b").unwrap(), "tank/home/a/b");
    for path in ["/a", "a/", "../x", ".", "a//b", "a@b", "a#b"] {
        assert!(home.join(path).is_err(), "{path}");
    }
    for component in ["", "a/b", "..", "a@b"] {
        assert!(home.child(component).is_err(), "{component}");
        assert!(home.with_snapshot(component).is_err(), "{component}");
        assert!(home.with_bookmark(component).is_err(), "{component}");
    }
}

#[test]
fn members_know_their_dataset() {
    let snapshot = SnapshotName::parse("tank/home@monday").unwrap();
    assert_eq!(snapshot.dataset(), &dataset("tank/home"));
    assert_eq!(snapshot.snapshot(), "monday");
    assert_eq!(snapshot.pool(), "tank");
    assert_eq!(snapshot.on(&dataset("vault")).unwrap(), "vault@monday");
    assert_eq!(
        snapshot,
        dataset("tank/home").with_snapshot("monday").unwrap()
    );
    let bookmark = BookmarkName::parse("tank/home#monday").unwrap();
    assert_eq!(bookmark.bookmark(), "monday");
    assert_eq!(bookmark.dataset(), snapshot.dataset());
    let partial = dataset("tank/home").partial_receive().unwrap();
    assert_eq!(partial, "tank/home/%recv");
}

#[test]
fn maps_can_be_asked_by_text() {
    let map = HashMap::from([(dataset("tank/a"), 1)]);
    assert_eq!(map.get("tank/a"), Some(&1));
}

#[test]
fn numbers_are_shown_in_decimal_and_read_back() {
    let guid = Guid(0xdead_beef_0000_0001);
    assert_eq!(guid.to_string().parse(), Ok(guid));
    assert_eq!(format!("{guid:016x}"), "deadbeef00000001");
    assert!("-1".parse::<Txg>().is_err());
}

const COMPONENT: &str = "[A-Za-z0-9_:-][A-Za-z0-9 _.:-]{0,20}";

fn valid_dataset() -> impl Strategy<Value = String> {
    ("p[a-z0-9]{0,8}", prop::collection::vec(COMPONENT, 0..8)).prop_map(|(pool, rest)| {
        let mut name = pool;
        for component in rest {
            name.push('/');
            name.push_str(&component);
        }
        name
    })
}

proptest! {
    #[test]
    fn every_valid_name_comes_back_as_it_was(name in valid_dataset(), member in COMPONENT) {
        let parsed = dataset(&name);
        prop_assert_eq!(parsed.to_string(), name.clone());
        let snapshot = parsed.with_snapshot(&member).unwrap();
        prop_assert_eq!(&snapshot, &SnapshotName::parse(format!("{name}@{member}")).unwrap());
        prop_assert_eq!(snapshot.snapshot(), member.as_str());
        let bookmark = parsed.with_bookmark(&member).unwrap();
        prop_assert_eq!(bookmark.as_str(), format!("{name}#{member}"));
        prop_assert_eq!(parsed.components().count(), parsed.depth() + 1);
    }

    #[test]
    fn join_undoes_strip_prefix(name in valid_dataset(), cut in 0usize..8) {
        let name = dataset(&name);
        let base = name.ancestors().nth(cut).unwrap_or_else(|| name.clone());
        let relative = name.strip_prefix(&base).unwrap();
        prop_assert_eq!(base.join(relative).unwrap(), name);
    }

    #[test]
    fn any_text_is_judged_without_a_panic(text in "\\PC{0,300}") {
        if let Ok(name) = DatasetName::parse(&text) {
            prop_assert!(text.len() <= MAX_NAME_BYTES);
            prop_assert!(text.chars().all(|c| valid_char(c) || c == '/'));
            prop_assert_eq!(name.as_str(), text.as_str());
        }
        let _ = SnapshotName::parse(&text);
        let _ = BookmarkName::parse(&text);
        let _ = PoolName::parse(&text);
    }

    #[test]
    fn names_close_to_valid_ones_never_slip_through(
        name in valid_dataset(), at in any::<prop::sample::Index>(), bad in "[%{}@#\\x00\n\\\\*?ä]"
    ) {
        let at = at.index(name.len() + 1);
        let (head, tail) = name.split_at(at);
        let broken = format!("{head}{bad}{tail}");
        prop_assert!(DatasetName::parse(broken).is_err());
    }

    #[test]
    fn order_is_the_order_of_the_text(names in prop::collection::vec(valid_dataset(), 0..20)) {
        let typed: BTreeSet<_> = names.iter().map(|n| dataset(n)).collect();
        let text: BTreeSet<_> = names.iter().cloned().collect();
        prop_assert!(typed.iter().map(DatasetName::as_str).eq(text.iter().map(String::as_str)));
    }
}
