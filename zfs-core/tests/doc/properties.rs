use zfs_core::{DatasetName, Properties, Source, Zfs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let zfs = Zfs::open()?;
    let home: DatasetName = "tank/home".parse()?;

    let properties = Properties::new()
        .with("compression", "lz4")
        .with("quota", 64 << 20)
        .with("org.example:owner", "ann");
    zfs.set_properties(&home, &properties)?;

    let read = zfs.properties(&home)?;
    assert_eq!(read.number("quota"), Some(64 << 20));
    assert_eq!(read.text("compression"), "lz4");
    let owner = read.get("org.example:owner").expect("it was set");
    assert_eq!(owner.source, Source::Local);

    zfs.inherit_property(&home, "org.example:owner")?;
    assert!(zfs.property(&home, "org.example:owner")?.is_none());
    Ok(())
}
