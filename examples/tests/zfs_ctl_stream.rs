//! zfs-ctl against zfs(8): sending and receiving.

mod ctl;

use std::fs;
use std::process::Command;

use ctl::{Pool, binary, same, zfs_versions};

#[test]
fn sending_and_receiving() {
    same(&[
        "create POOL/a",
        "snapshot POOL/a@1",
        "snapshot POOL/a@2",
        "send POOL/a@1 > DIR/full",
        "send -i @1 POOL/a@2 > DIR/incremental",
        "receive POOL/copy < DIR/full",
        "receive POOL/copy < DIR/incremental",
        "receive POOL/copy < DIR/incremental",
        "receive -u -o compression=zstd -x atime POOL/other@named < DIR/full",
        "create POOL/into",
        "receive -d POOL/into < DIR/full",
        "receive -d POOL/nonexistent < DIR/full",
        "create -p POOL/deep/er/est",
        "snapshot POOL/deep/er/est@1",
        "send POOL/deep/er/est@1 > DIR/deep",
        "receive -d POOL/into < DIR/deep",
        "receive -d POOL/nonexistent < DIR/deep",
        "receive -A POOL/copy",
        "send POOL/a@nonexistent > DIR/none",
        "receive POOL/broken < DIR/raw.key",
        "send --raw --large-block --embed --compressed --verbose POOL/a@1 > DIR/long",
        "receive POOL/long < DIR/long",
        "send -S POOL/a@1 > DIR/none",
    ]);
}

#[test]
fn what_has_snapshots_or_an_origin_is_not_replaced() {
    same(&[
        "create POOL/a",
        "snapshot POOL/a@1",
        "clone POOL/a@1 POOL/clone",
        "snapshot POOL/clone@2",
        "send POOL/a@1 > DIR/full",
        "send -i POOL/a@1 POOL/clone@2 > DIR/clone",
        "destroy POOL/clone@2",
        "create POOL/plain",
        "receive POOL/plain < DIR/full",
        "receive -F POOL/plain < DIR/full",
        "receive -F POOL/plain < DIR/full",
        "receive -F POOL/plain < DIR/clone",
        "receive -F POOL/clone < DIR/full",
    ]);
}

#[test]
fn a_snapshot_of_everything_leaves_out_what_has_not_arrived_whole() {
    let pool = Pool::new();
    let run = |program: &mut Command, line: &str| pool.run(program, line).status.success();
    let zfs = |line: &str| run(&mut Command::new("zfs"), line);
    assert!(zfs("create POOL/a"));
    let [file, full, part] =
        ["mnt/a/file", "full", "part"].map(|path| pool.folder.path().join(path));
    fs::write(file, vec![7; 1 << 20]).unwrap();
    assert!(zfs("snapshot POOL/a@1"));
    assert!(zfs("send POOL/a@1 > DIR/full"));
    let stream = fs::read(full).unwrap();
    fs::write(part, &stream[..stream.len() / 2]).unwrap();
    assert!(!zfs("receive -s POOL/part < DIR/part"));
    assert!(run(&mut Command::new(binary()), "snapshot -r POOL@all"));
    let state = pool.state();
    assert!(
        state.contains("POOL/a@all") && !state.contains("POOL/part@all"),
        "{state}"
    );
    assert!(state.contains("POOL/part\t"), "{state}");
    // What goes on with it is no stream for a new dataset.
    let token = pool.run(
        &mut Command::new("zfs"),
        "get -Hpo value receive_resume_token POOL/part",
    );
    let token = String::from_utf8(token.stdout).unwrap();
    assert!(zfs(&format!("send -t {} > DIR/rest", token.trim())));
    assert!(run(
        &mut Command::new(binary()),
        "receive -s POOL/part < DIR/rest"
    ));
    assert!(pool.state().contains("POOL/part@1"));
}

#[test]
fn what_is_received_is_encrypted() {
    same(&[
        "create POOL/a",
        "snapshot POOL/a@1",
        "send POOL/a@1 > DIR/full",
        "receive -o encryption=on -o keyformat=raw -o keylocation=file://DIR/raw.key POOL/raw < DIR/full",
        "receive -o encryption=aes-128-gcm -o keyformat=passphrase -o pbkdf2iters=100000 -o keylocation=file://DIR/phrase.key POOL/phrase < DIR/full",
        "receive -o encryption=on -o keyformat=raw POOL/asked < DIR/full",
        "receive -o encryption=on -o keyformat=raw -o keylocation=file://DIR/missing.key POOL/missing < DIR/full",
        "receive POOL/raw/inherits < DIR/full",
        "unmount POOL/phrase",
        "unload-key POOL/phrase",
        "load-key POOL/phrase",
    ]);
}

#[test]
fn exclusions_keep_what_is_set_on_the_target() {
    same(&[
        "create POOL/a",
        "snapshot POOL/a@1",
        "snapshot POOL/a@2",
        "send POOL/a@1 > DIR/full",
        "send -i @1 POOL/a@2 > DIR/incremental",
        "receive POOL/copy < DIR/full",
        "set compression=off atime=off POOL/copy",
        "receive -x compression -x exec POOL/copy < DIR/incremental",
    ]);
}

#[test]
fn corrective_receives() {
    let lines = [
        "create POOL/a",
        "snapshot POOL/a@1",
        "snapshot POOL/a@2",
        "send POOL/a@1 > DIR/full",
        "send -i @1 POOL/a@2 > DIR/incremental",
        "receive -c POOL/a@1 < DIR/full",
        "receive -c POOL/a@2 < DIR/incremental",
        // Another snapshot's stream, one that is not there, and no stream.
        "receive -c POOL/a@1 < DIR/incremental",
        "receive -c POOL/a@3 < DIR/full",
        "receive -c POOL/a@1 < DIR/raw.key",
    ];
    let [_, kernel] = zfs_versions();
    if kernel.starts_with("zfs-kmod-2.1.") {
        let pool = Pool::new();
        for line in &lines[..4] {
            assert!(pool.run(&mut Command::new(binary()), line).status.success());
        }
        let output = pool.run(&mut Command::new(binary()), lines[5]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("2.2"), "{said}");
        return;
    }
    same(&lines);
}

#[test]
fn redaction() {
    same(&[
        "create POOL/a",
        "create POOL/other",
        "snapshot POOL/a@1",
        "snapshot POOL/other@1",
        "clone POOL/a@1 POOL/clone",
        "snapshot POOL/clone@r",
        "redact POOL/a@1 book POOL/clone@r",
        "redact POOL/a@1 book POOL/clone@r",
        "redact POOL/a@1 second POOL/other@1",
        "redact POOL/a@1 third POOL/clone@nonexistent",
        "send --redact book POOL/a@1 > DIR/redacted",
        "receive POOL/redacted < DIR/redacted",
        "mount -f POOL/redacted",
        "send --redact nonexistent POOL/a@1 > DIR/none",
    ]);
}
