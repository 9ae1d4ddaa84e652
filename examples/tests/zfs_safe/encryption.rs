//! What is encrypted goes raw, and in plain only on request.

use zfs_core::{CreateRequest, Encryption, WrappingKey};

use super::{Site, replicate, snapshots};
use crate::fixture::{get, run};

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
