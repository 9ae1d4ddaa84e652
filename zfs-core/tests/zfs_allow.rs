//! Reading what is delegated on real pools.

mod fixture;

use fixture::{Pool, run, zfs};
use zfs_core::{DatasetName, Delegation, Grantee, Scope};

fn delegated(dataset: &DatasetName) -> Vec<Delegation> {
    zfs().delegations(dataset).unwrap()
}

/// Each grant of a dataset as a line.
fn lines(delegation: &Delegation) -> Vec<String> {
    delegation
        .grants
        .iter()
        .map(|grant| {
            let permissions: Vec<&str> = grant.permissions.iter().map(String::as_str).collect();
            format!(
                "{} {:?} {}",
                grant.grantee,
                grant.scope,
                permissions.join(",")
            )
        })
        .collect()
}

fn allow(arguments: &[&str]) {
    run(&[&["zfs", "allow"], arguments].concat());
}

#[test]
fn nothing_is_delegated_at_first() {
    let pool = Pool::new();
    assert_eq!(delegated(&pool.filesystem("a")), []);
}

#[test]
fn a_user_s_permissions_hold_on_the_dataset_and_below_it() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    allow(&["-u", "1000", "snapshot,send,compression", a.as_str()]);
    let delegated = delegated(&a);
    assert_eq!(delegated.len(), 1);
    assert_eq!(delegated[0].dataset, a);
    let [grant] = delegated[0].grants.as_slice() else {
        panic!("{delegated:?}");
    };
    assert_eq!(grant.grantee, Grantee::User(1000));
    assert_eq!(grant.scope, Scope::LocalAndDescendants);
    let permissions: Vec<&str> = grant.permissions.iter().map(String::as_str).collect();
    assert_eq!(permissions, ["compression", "send", "snapshot"]);
}

#[test]
fn local_and_descendant_permissions_are_told_apart() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    allow(&["-l", "-u", "1000", "snapshot", a.as_str()]);
    allow(&["-d", "-u", "1000", "destroy", a.as_str()]);
    allow(&["-u", "1000", "mount", a.as_str()]);
    assert_eq!(
        lines(&delegated(&a)[0]),
        [
            "user 1000 Local snapshot",
            "user 1000 Descendants destroy",
            "user 1000 LocalAndDescendants mount",
        ]
    );
}

#[test]
fn groups_everyone_and_creators_are_grantees() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    allow(&["-g", "4", "hold", a.as_str()]);
    allow(&["-e", "release", a.as_str()]);
    allow(&["-c", "destroy", a.as_str()]);
    assert_eq!(
        lines(&delegated(&a)[0]),
        [
            "creator Local destroy",
            "group 4 LocalAndDescendants hold",
            "everyone LocalAndDescendants release",
        ]
    );
}

#[test]
fn permission_sets_are_defined_and_granted() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    allow(&["-s", "@backup", "snapshot,send,hold", a.as_str()]);
    allow(&["-s", "@all", "@backup,mount", a.as_str()]);
    allow(&["-u", "7", "@all", a.as_str()]);
    assert_eq!(
        lines(&delegated(&a)[0]),
        [
            "@all Local @backup,mount",
            "@backup Local hold,send,snapshot",
            "user 7 LocalAndDescendants @all",
        ]
    );
}

#[test]
fn what_is_delegated_above_is_listed_after_what_is_nearer() {
    let pool = Pool::new();
    pool.filesystem("a");
    let b = pool.filesystem("a/b");
    allow(&["-u", "1", "snapshot", pool.name().as_str()]);
    allow(&["-u", "1", "hold", b.as_str()]);
    let names: Vec<DatasetName> = delegated(&b).into_iter().map(|on| on.dataset).collect();
    assert_eq!(names, [b, pool.name().root()]);
}

#[test]
fn what_is_taken_back_is_gone() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    allow(&["-u", "1", "snapshot,hold", a.as_str()]);
    run(&["zfs", "unallow", "-u", "1", "snapshot", a.as_str()]);
    assert_eq!(
        lines(&delegated(&a)[0]),
        ["user 1 LocalAndDescendants hold"]
    );
    run(&["zfs", "unallow", "-u", "1", a.as_str()]);
    assert_eq!(delegated(&a), []);
}

#[test]
fn a_dataset_that_is_not_there_is_not_found() {
    let pool = Pool::new();
    let error = zfs().delegations(&pool.dataset("missing")).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}

#[test]
fn ordinary_users_may_look() {
    if let Some(name) = fixture::argument_as_user() {
        let of_everyone = delegated(&name.parse().unwrap());
        assert_eq!(of_everyone[0].grants[0].grantee, Grantee::Everyone);
        return;
    }
    let pool = Pool::new();
    let a = pool.filesystem("a");
    allow(&["-e", "snapshot", a.as_str()]);
    fixture::again_as_user(&pool, "ordinary_users_may_look", a.as_str());
}
