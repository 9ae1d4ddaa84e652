//! Properties on real ZFS: read as zfs-get(8) reads them, set as zfs-set(8)
//! sets them.

mod fixture;

use fixture::{Pool, get, run, source, version};
use zfs_core::{Error, ErrorKind, Name, Properties, Source};

/// What `zfs get all` shows, and this crate does not read from the kernel:
/// the mount table, and the name itself.
const NOT_READ: &[&str] = &["mounted", "name"];

/// Every line of `zfs get all`, numbers in full.
fn zfs_get_all(name: &str) -> Vec<(String, String, String)> {
    run(&["zfs", "get", "-Hpo", "property,value,source", "all", name])
        .lines()
        .map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            let mut field = || fields.next().expect("three fields");
            (field(), field(), field())
        })
        .collect()
}

/// How each property that differs is read, and how zfs-get(8) reads it; and
/// how many were compared.
fn compare<N: Name>(pool: &Pool, name: &N) -> (Vec<String>, usize) {
    let read = pool.zfs.properties(name).unwrap();
    let mut compared = 0;
    let mut different = Vec::new();
    for (property, value, from) in zfs_get_all(name.as_ref()) {
        if NOT_READ.contains(&property.as_str()) {
            continue;
        }
        compared += 1;
        let text = read.text(&property);
        let origin = read.get(&property).map_or(Source::None, |p| p.source);
        let origin = origin.to_string();
        if text != value || origin != from {
            different.push(format!(
                "{property}: {text} {origin}, and zfs get: {value} {from}"
            ));
        }
    }
    (different, compared)
}

fn assert_as_zfs_get<N: Name>(pool: &Pool, name: &N) {
    // Sizes settle some transaction groups after what changed them.
    for _ in 0..10 {
        if compare(pool, name).0.is_empty() {
            break;
        }
        run(&["zpool", "sync", pool.name().as_str()]);
    }
    let (different, compared) = compare(pool, name);
    assert!(different.is_empty(), "{}: {different:#?}", name.as_ref());
    assert!(
        compared > 20,
        "only {compared} properties of {}",
        name.as_ref()
    );
}

#[test]
fn every_property_is_read_as_zfs_get_reads_it() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    assert_as_zfs_get(&pool, &pool.name().root());
    assert_as_zfs_get(&pool, &a);
    let snapshot = pool.take("a@x");
    assert_as_zfs_get(&pool, &snapshot);
    let clone = pool.dataset("clone");
    run(&["zfs", "clone", snapshot.as_str(), clone.as_str()]);
    run(&["zfs", "hold", "tag", snapshot.as_str()]);
    run(&["zfs", "set", "org.example:note=kept", snapshot.as_str()]);
    assert_as_zfs_get(&pool, &clone);
    assert_as_zfs_get(&pool, &snapshot);
    let volume = pool.dataset("v");
    run(&["zfs", "create", "-sV", "16M", volume.as_str()]);
    assert_as_zfs_get(&pool, &volume);
    assert_as_zfs_get(&pool, &pool.take("v@x"));
}

#[test]
fn set_and_inherited_properties_are_read_as_zfs_get_reads_them() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let below = pool.filesystem("a/b");
    let deeper = pool.filesystem("a/b/c");
    run(&["zfs", "set", "canmount=off", a.as_str()]);
    for name in [&a, &below, &deeper] {
        run(&["zfs", "set", "canmount=noauto", name.as_str()]);
    }
    for setting in [
        "mountpoint=/srv/zfs core",
        "compression=zstd-3",
        "atime=off",
        "org.example:owner=Ann Ö",
        "sharenfs=off",
        "special_small_blocks=4096",
    ] {
        run(&["zfs", "set", setting, a.as_str()]);
    }
    for setting in [
        "recordsize=1M",
        "quota=64M",
        "refreservation=1M",
        "snapshot_limit=7",
    ] {
        run(&["zfs", "set", setting, below.as_str()]);
    }
    for name in [&a, &below, &deeper] {
        assert_as_zfs_get(&pool, name);
    }
    let read = pool.zfs.property(&deeper, "mountpoint").unwrap().unwrap();
    assert_eq!(read.value, "/srv/zfs core/b/c".into());
    assert_eq!(read.source, Source::Inherited(a.to_string()));
    run(&["zfs", "set", "mountpoint=/", a.as_str()]);
    assert_as_zfs_get(&pool, &deeper);
}

#[test]
fn an_encrypted_dataset_is_read_with_and_without_its_key() {
    let pool = Pool::new();
    let key = pool.path().join("key");
    std::fs::write(&key, [7; 32]).unwrap();
    let location = format!("keylocation=file://{}", key.display());
    let secret = pool.dataset("secret");
    run(&[
        "zfs",
        "create",
        "-o",
        "encryption=aes-192-ccm",
        "-o",
        "keyformat=raw",
        "-o",
        &location,
        "-o",
        "utf8only=on",
        secret.as_str(),
    ]);
    assert_as_zfs_get(&pool, &secret);
    run(&["zfs", "unload-key", secret.as_str()]);
    assert_as_zfs_get(&pool, &secret);
}

#[test]
fn every_word_that_is_set_is_the_word_that_zfs_get_shows() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let mut words = vec![
        (
            "compression",
            "off on lzjb gzip-1 gzip-9 zle lz4 zstd zstd-1 zstd-19 zstd-fast-10 \
                         zstd-fast-20 zstd-fast-1000",
        ),
        (
            "checksum",
            "off on fletcher2 fletcher4 sha256 sha512 skein edonr",
        ),
        (
            "dedup",
            "off on verify sha256 sha256,verify sha512 sha512,verify skein skein,verify edonr,verify",
        ),
        ("copies", "1 2 3"),
        ("sync", "always disabled standard"),
        ("redundant_metadata", "most some none all"),
        ("snapdir", "visible hidden"),
        ("snapdev", "visible hidden"),
        ("aclmode", "groupmask passthrough restricted discard"),
        ("acltype", "posix off"),
        (
            "aclinherit",
            "noallow restricted passthrough passthrough-x discard",
        ),
        ("primarycache", "none metadata all"),
        ("secondarycache", "none metadata all"),
        ("logbias", "throughput latency"),
        ("dnodesize", "auto 1k 2k 4k 8k 16k legacy"),
        ("volmode", "full dev none default"),
        ("canmount", "off noauto on"),
        ("readonly", "on off"),
        ("atime", "off on"),
        ("relatime", "on off"),
        ("devices", "off on"),
        ("exec", "off on"),
        ("setuid", "off on"),
        ("overlay", "off on"),
        ("xattr", "off dir sa"),
    ];
    if version() >= (2, 2) {
        words.push(("checksum", "blake3"));
        words.push(("dedup", "blake3 blake3,verify"));
    }
    if version() >= (2, 3) {
        words.push(("prefetch", "none metadata all"));
        words.push(("direct", "disabled always standard"));
        words.push(("longname", "on off"));
        words.push(("snapdir", "disabled"));
    }
    for (property, words) in words {
        for word in words.split_whitespace() {
            pool.zfs
                .set_properties(&a, &Properties::new().with(property, word))
                .unwrap_or_else(|error| panic!("{property}={word}: {error}"));
            let shown = get(&a, property);
            // Two words for one number: ZFS shows the first that it knows.
            let expected = match (property, word) {
                ("xattr", "dir") if version() < (2, 3) => "on",
                ("xattr", "sa") if version() == (2, 3) => "on",
                ("compression", "gzip-6") => "gzip",
                _ => word,
            };
            assert_eq!(shown, expected, "{property}");
            let read = pool.zfs.property(&a, property).unwrap().unwrap();
            assert_eq!(read.value, shown.as_str().into(), "{property}");
            assert_eq!(read.source, Source::Local);
        }
    }
}

#[test]
fn on_means_for_xattr_what_it_means_in_this_version() {
    let pool = Pool::new();
    let (ours, theirs) = (pool.filesystem("ours"), pool.filesystem("theirs"));
    pool.zfs
        .set_properties(&ours, &Properties::new().with("xattr", "on"))
        .unwrap();
    run(&["zfs", "set", "xattr=on", theirs.as_str()]);
    let number = |name| pool.zfs.properties(name).unwrap().number("xattr");
    assert_eq!(number(&ours), number(&theirs));
    assert_eq!(get(&ours, "xattr"), get(&theirs, "xattr"));
}

#[test]
fn sizes_and_counts_are_set_with_units_and_without() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let set = |property: &str, value: &str| {
        pool.zfs
            .set_properties(&a, &Properties::new().with(property, value))
            .unwrap();
        get(&a, property)
    };
    assert_eq!(set("quota", "100M"), "104857600");
    assert_eq!(set("quota", "none"), "0");
    assert_eq!(set("recordsize", "1MiB"), "1048576");
    assert_eq!(set("recsize", "4096"), "4096");
    assert_eq!(set("snapshot_limit", "5"), "5");
    set("snapshot_limit", "none");
    let limit = pool.zfs.properties(&a).unwrap().number("snapshot_limit");
    assert_eq!(limit, Some(u64::MAX));
    assert_eq!(set("refreservation", "1.5M"), "1572864");
    let properties = Properties::new().with("refquota", 64_u64 << 20);
    pool.zfs.set_properties(&a, &properties).unwrap();
    assert_eq!(get(&a, "refquota"), "67108864");
}

#[test]
fn what_fails_is_named_and_the_rest_is_set() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let properties = Properties::new()
        .with("compression", "lz4")
        // More than the pool has, and no such number of copies.
        .with("reservation", "10T")
        .with("copies", 9_u64)
        .with("org.example:a", "set");
    let error = pool.zfs.set_properties(&a, &properties).unwrap_err();
    let Error::Properties { name, errors } = &error else {
        panic!("{error}");
    };
    assert_eq!(name, a.as_str());
    let mut failed: Vec<&str> = errors.iter().map(|error| error.property.as_str()).collect();
    failed.sort_unstable();
    assert_eq!(failed, ["copies", "reservation"]);
    assert!(error.to_string().contains("reservation"), "{error}");
    assert_eq!(get(&a, "compression"), "lz4");
    assert_eq!(get(&a, "org.example:a"), "set");
    assert_eq!(get(&a, "reservation"), "0");
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_set() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    for (property, value) in [
        ("canmount", "perhaps"),
        ("used", "1"),
        ("casesensitivity", "mixed"),
        ("quota", "lots"),
        ("recordsize", "100K"),
        ("mountpoint", "here"),
    ] {
        let properties = Properties::new().with("atime", "off").with(property, value);
        let error = pool.zfs.set_properties(&a, &properties).unwrap_err();
        assert!(matches!(error, Error::InvalidRequest { .. }), "{error}");
        assert!(error.to_string().contains(property), "{error}");
        assert_eq!(source(&a, "atime"), "default");
    }
    pool.zfs.set_properties(&a, &Properties::new()).unwrap();
}

#[test]
fn user_properties_keep_their_text() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let snapshot = pool.take("a@x");
    let longest = "x".repeat(8191);
    let properties = Properties::new()
        .with("org.example:empty", "")
        .with("org.example:word", "ünïcode and spaces")
        .with("org.example:longest", longest.as_str());
    pool.zfs.set_properties(&a, &properties).unwrap();
    pool.zfs.set_properties(&snapshot, &properties).unwrap();
    for read in [
        pool.zfs.properties(&a).unwrap(),
        pool.zfs.properties(&snapshot).unwrap(),
    ] {
        assert_eq!(read.str("org.example:empty"), Some(""));
        assert_eq!(read.str("org.example:word"), Some("ünïcode and spaces"));
        assert_eq!(read.str("org.example:longest"), Some(longest.as_str()));
    }
    assert_eq!(get(&a, "org.example:word"), "ünïcode and spaces");
    let read = pool.zfs.properties(&snapshot).unwrap();
    let own = read.get("org.example:word").unwrap();
    assert_eq!(own.source, Source::Local);
    let too_long = Properties::new().with("org.example:long", "x".repeat(8192));
    assert!(pool.zfs.set_properties(&a, &too_long).is_err());
}

#[test]
fn inheriting_and_reverting_go_back_as_far_as_they_say() {
    let pool = Pool::new();
    let sent = pool.filesystem("sent");
    run(&[
        "zfs",
        "set",
        "compression=gzip-2",
        "quota=32M",
        sent.as_str(),
    ]);
    pool.take("sent@x");
    let below = pool.filesystem("below");
    run(&["zfs", "set", "compression=lz4", below.as_str()]);
    let received = pool.dataset("below/received");
    let command = format!("zfs send -p {sent}@x | zfs receive -u {received}");
    run(&["sh", "-c", &command]);
    assert_eq!(source(&received, "compression"), "received");
    let set = Properties::new()
        .with("compression", "zle")
        .with("quota", "16M");
    pool.zfs.set_properties(&received, &set).unwrap();
    let now = |property: &str| {
        let read = pool.zfs.property(&received, property).unwrap().unwrap();
        assert_eq!(read.source.to_string(), source(&received, property));
        assert_eq!(
            pool.zfs.properties(&received).unwrap().text(property),
            get(&received, property)
        );
        read.source
    };
    assert_eq!(now("compression"), Source::Local);

    pool.zfs.inherit_property(&received, "compression").unwrap();
    assert_eq!(now("compression"), Source::Inherited(below.to_string()));
    pool.zfs.revert_property(&received, "compress").unwrap();
    assert_eq!(now("compression"), Source::Received);
    assert_eq!(get(&received, "compression"), "gzip-2");

    // A quota is a dataset's own: there is nothing to inherit.
    let error = pool.zfs.inherit_property(&received, "quota").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("quota"), "{error}");
    pool.zfs.revert_property(&received, "quota").unwrap();
    assert_eq!(get(&received, "quota"), (32 << 20).to_string());
    let error = pool
        .zfs
        .inherit_property(&received, "nonsense")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
}

#[test]
fn what_is_not_there_has_no_properties() {
    let pool = Pool::new();
    let missing = pool.dataset("missing");
    assert!(pool.zfs.properties(&missing).unwrap_err().is_not_found());
    let set = Properties::new().with("atime", "off");
    let error = pool.zfs.set_properties(&missing, &set).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let bookmark = pool.name().root().with_bookmark("b").unwrap();
    let error = pool.zfs.properties(&bookmark).unwrap_err();
    assert!(matches!(error, Error::InvalidRequest { .. }), "{error}");
    let a = pool.filesystem("a");
    assert_eq!(pool.zfs.property(&a, "org.example:none").unwrap(), None);
    assert_eq!(pool.zfs.property(&a, "volsize").unwrap(), None);
}

#[test]
fn words_are_understood_where_datasets_are_created() {
    let pool = Pool::new();
    let name = pool.dataset("a");
    let request = zfs_core::CreateRequest::filesystem(name.clone())
        .property("compression", "zstd-9")
        .property("recordsize", "16K")
        .property("casesensitivity", "insensitive")
        .property("readonly", "on");
    pool.zfs.create(&request).unwrap();
    assert_eq!(get(&name, "compression"), "zstd-9");
    assert_eq!(get(&name, "recordsize"), "16384");
    assert_eq!(get(&name, "casesensitivity"), "insensitive");
    assert_eq!(get(&name, "readonly"), "on");
}

#[test]
fn what_came_with_a_stream_is_kept_under_what_was_set_since() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let name = a.as_str();
    run(&[
        "zfs",
        "set",
        "compression=gzip-3",
        "quota=20M",
        "org.example:x=y",
        name,
    ]);
    pool.take("a@x");
    let b = pool.dataset("b");
    let line = format!("zfs send -p {name}@x | zfs receive -u {b}");
    run(&["sh", "-c", &line]);
    run(&["zfs", "set", "compression=lz4", b.as_str()]);
    let received = pool.zfs.received_properties(&b).unwrap();
    assert_eq!(received.text("compression"), "gzip-3");
    assert_eq!(received.number("quota"), Some(20 << 20));
    assert_eq!(received.text("org.example:x"), "y");
    assert_eq!(pool.zfs.properties(&b).unwrap().text("compression"), "lz4");
    let none = pool.zfs.received_properties(&a).unwrap();
    assert_eq!(none.iter().count(), 0);
    let missing = pool.dataset("missing");
    assert!(
        pool.zfs
            .received_properties(&missing)
            .unwrap_err()
            .is_not_found()
    );
}

#[test]
fn a_quota_of_somebody_is_set_and_read_by_name_or_number() {
    let pool = Pool::new();
    let a = pool.filesystem("a");
    let quotas = Properties::new()
        .with("userquota@root", "10M")
        .with("groupquota@1234", 4096)
        .with("projectobjquota@7", "9");
    pool.zfs.set_properties(&a, &quotas).unwrap();
    assert_eq!(get(&a, "userquota@root"), (10 << 20).to_string());
    assert_eq!(get(&a, "groupquota@1234"), "4096");
    assert_eq!(get(&a, "projectobjquota@7"), "9");
    let read = |property| pool.zfs.property(&a, property).unwrap().unwrap();
    assert_eq!(read("userquota@0").value, (10_u64 << 20).into());
    assert_eq!(read("userquota@0").source, Source::Local);
    assert_eq!(read("projectobjquota@7").value, 9.into());
    let used: u64 = get(&a, "userused@root").parse().unwrap();
    assert_eq!(read("userused@root").value, used.into());
    let none = Properties::new().with("userquota@root", "none");
    pool.zfs.set_properties(&a, &none).unwrap();
    assert_eq!(get(&a, "userquota@root"), "0");

    // An error is told by the name that was given, not by the kernel's.
    let volume = pool.dataset("v");
    // Nobody opens it meanwhile.
    run(&[
        "zfs",
        "create",
        "-o",
        "volmode=none",
        "-sV",
        "16M",
        volume.as_str(),
    ]);
    let error = pool.zfs.set_properties(&volume, &quotas).unwrap_err();
    let Error::Properties { errors, .. } = &error else {
        panic!("{error}");
    };
    let named: Vec<&str> = errors.iter().map(|error| error.property.as_str()).collect();
    assert!(named.contains(&"userquota@root"), "{named:?}");
    assert_eq!(pool.zfs.property(&volume, "userused@root").unwrap(), None);
    let nobody = Properties::new().with("userquota@nosuchuser", "1M");
    let error = pool.zfs.set_properties(&a, &nobody).unwrap_err();
    assert!(error.to_string().contains("no user"), "{error}");
}
