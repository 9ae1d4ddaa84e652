use zfs_core::{DatasetName, Defer, ErrorKind, Zfs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zfs = Zfs::open()?;
    let home: DatasetName = "tank/home".parse()?;
    let base = home.with_snapshot("base")?;
    zfs.snapshot([&base])?;

    // Held while this program needs it, and released however it ends.
    let hold = zfs.hold_temporarily([&base], "sending")?;
    let error = zfs.destroy_snapshots([&base], Defer::No).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Held);
    println!("{error}");

    drop(hold);
    zfs.destroy_snapshots([&base], Defer::No)?;
    Ok(())
}
