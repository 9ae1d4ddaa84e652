use zfs_core::{Details, EntryKinds, ListRequest, Zfs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zfs = Zfs::open()?;
    for name in ["autosnap_monday", "autosnap_tuesday", "by_hand"] {
        zfs.snapshot([&format!("tank/home@{name}").parse()?])?;
    }

    // Snapshots of a tree that somebody else's policy made, the oldest of each
    // dataset first.
    let request = ListRequest::new()
        .root("tank".parse()?)
        .kinds(EntryKinds::SNAPSHOT)
        .members_matching("autosnap_*".parse()?)
        .details(Details::Creation)
        .threads(2);
    let mut names = Vec::new();
    for entry in zfs.list(request) {
        let entry = entry?;
        assert!(entry.creation().is_some());
        names.push(entry.name().to_owned());
    }
    assert_eq!(
        names,
        ["tank/home@autosnap_monday", "tank/home@autosnap_tuesday"]
    );
    Ok(())
}
