use zfs_core::{DatasetName, ErrorKind, Zfs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Names are checked before ZFS sees them.
    assert!("tank/home@".parse::<zfs_core::SnapshotName>().is_err());

    let zfs = Zfs::open()?;
    let missing: DatasetName = "tank/missing".parse()?;
    let error = zfs.destroy(&missing).unwrap_err();
    // A program looks at the kind, a person at the text.
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .starts_with("cannot destroy tank/missing: ")
    );
    // The number that ZFS gave is there as well.
    assert_eq!(error.failures()[0].errno.name(), Some("ENOENT"));
    Ok(())
}
