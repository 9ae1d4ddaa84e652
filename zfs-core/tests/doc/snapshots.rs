use zfs_core::{DatasetName, Defer, Zfs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zfs = Zfs::open()?;
    let home: DatasetName = "tank/home".parse()?;
    let mail: DatasetName = "tank/mail".parse()?;

    // Both at the same moment, or none.
    let tonight = [
        home.with_snapshot("tonight")?,
        mail.with_snapshot("tonight")?,
    ];
    zfs.snapshot(&tonight)?;
    assert_eq!(zfs.newest_snapshot(&home)?.as_ref(), tonight.first());

    // A second time is an error that says which of them are there already.
    let error = zfs.snapshot(&tonight).unwrap_err();
    assert!(error.is_exists());
    assert_eq!(error.failures().len(), 2);

    zfs.destroy_snapshots(&tonight, Defer::No)?;
    assert!(!zfs.exists(&tonight[0])?);
    Ok(())
}
