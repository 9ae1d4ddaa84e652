//! What is no stream, names that would pass for something else, and what is
//! told beside the verdict.

use serde_json::Value;
use zfs_stream::record::{FreeObjects, Redact};

use super::*;

/// The small stream with another BEGIN, and records before its END.
fn changed(begin: impl Fn(&mut Begin), more: &[Record]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), ByteOrder::Little);
    for record in SliceReader::new(&stream(0, 7, ByteOrder::Little)) {
        let record = record.unwrap();
        match record.parse() {
            Record::Begin(mut fields) => {
                begin(&mut fields);
                writer.write(&Record::Begin(fields), &[]).unwrap();
            }
            Record::End(end) => {
                for record in more {
                    writer.write(record, &[]).unwrap();
                }
                writer.write(&Record::End(end), &[]).unwrap();
            }
            _ => writer.rewrite(&record).unwrap(),
        }
    }
    writer.into_inner()
}

#[test]
fn no_name_forges_a_line() {
    let name = b"tank/a@b\nunbroken: 9 streams\x1b[8m\xc2\x9b";
    let forged = changed(|begin| begin.to_name = name.to_vec(), &[]);
    let folder = Folder::new("forged");
    let file = folder.file("a\n\x1b[2J.zfs", &forged);
    for args in [
        &["dump", &file][..],
        &["verify", &file],
        &["verify", &file[1..]],
        &["chain", &file],
    ] {
        let output = run(args);
        let said = String::from_utf8([&output.stdout[..], &output.stderr].concat()).unwrap();
        let forges = |line: &str| line.starts_with("unbroken: 9") || line.starts_with('\u{1b}');
        assert!(!said.lines().any(forges), "{args:?}: {said}");
        assert!(!said.contains(['\u{1b}', '\u{9b}']), "{args:?}: {said}");
    }
    let text = stdout(&run(&["chain", &file])).to_owned();
    let shown = "0 -> 7 tank/a@b\\nunbroken: 9 streams\\u{1b}[8m\\u{9b}\n";
    assert!(text.contains(shown), "{text}");
    // For machines it is what it is.
    let output = run(&["dump", "--json", &file]);
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        value["streams"][0]["to_name"].as_str().unwrap().as_bytes(),
        name
    );
}

#[test]
fn what_is_no_stream_has_no_summary() {
    let folder = Folder::new("nothing");
    let plain = stream(0, 7, ByteOrder::Little);
    for (bytes, code) in [
        (&[][..], 2),
        (&[0; 400], 2),
        (&[0; 100], 2),
        (&plain[..200], 1),
    ] {
        let file = folder.file("nothing", bytes);
        for args in [
            &["dump", &file][..],
            &["dump", "--json", &file],
            &["verify", &file],
        ] {
            let output = run(args);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
            assert!(!stdout(&output).contains("Total"), "{args:?}: {output:?}");
            let said = [&output.stdout[..], &output.stderr].concat();
            assert!(!said.is_empty(), "{args:?}");
        }
        let output = run(&["dump", "-C", &file]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    }
}

#[test]
fn lines_that_zstream_lacks_stand_after_its_own() {
    let redact = Record::Redact(Redact {
        object: 8,
        length: 4096,
        to_guid: 7,
        ..Redact::default()
    });
    let output = filter(&["dump", "-C"], &changed(|_| {}, &[redact]));
    let text = stdout(&output);
    let at = |line: &str| text.find(line).unwrap();
    assert!(at("DRR_REDACT") > at("Total stream length"), "{text}");
    let types = &text[at("DRR_SPILL")..at("Total records")];
    assert_eq!(types.lines().count(), 2, "{text}");
}

#[test]
fn an_object_that_is_left_out_leaves_what_frees_others() {
    let free = Record::FreeObjects(FreeObjects {
        first_object: 9,
        count: 100,
        to_guid: 7,
    });
    let with = changed(|_| {}, &[free]);
    let output = filter(&["drop", "-v", "9"], &with);
    assert!(output.stdout == with, "{output:?}");
    let output = filter(&["drop", "8"], &with);
    let left = SliceReader::new(&output.stdout).map(|one| one.unwrap().record_type().name());
    assert_eq!(left.collect::<Vec<_>>(), ["BEGIN", "FREEOBJECTS", "END"]);
}

#[test]
fn chain_tells_of_warnings_and_speaks_json() {
    let folder = Folder::new("chain-json");
    let (full, next) = (
        stream(0, 1, ByteOrder::Little),
        stream(1, 2, ByteOrder::Little),
    );
    let both = folder.file("both.zfs", &[&full[..], &next].concat());
    let output = run(&["chain", &both]);
    assert_eq!(output.status.code(), Some(0));
    let text = stdout(&output);
    assert!(
        text.contains("warning: ") && text.contains("reads only the first"),
        "{text}"
    );
    let output = run(&["chain", "--json", &both]);
    assert_eq!(output.status.code(), Some(0));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["unbroken"], true);
    assert_eq!(value["findings"][0]["severity"], "warning");
    assert_eq!(value["findings"][0]["file"], both);
    assert_eq!(value["streams"][1]["from_guid"], "1");
    let later = folder.file("later.zfs", &stream(5, 6, ByteOrder::Little));
    let output = run(&["chain", "--json", &both, &later]);
    assert_eq!(output.status.code(), Some(1));
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["unbroken"], false);
    assert_eq!(value["breaks"][0]["stream"], 2);
    assert_eq!(value["streams"][2]["file"], later);
}

#[test]
fn a_token_is_read_from_standard_input() {
    let token = ResumeToken {
        to_guid: 42,
        to_name: "tank/data@monday".to_owned(),
        ..ResumeToken::default()
    };
    let text = token.encode().unwrap() + "\n";
    let output = filter(&["token", "-"], text.as_bytes());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(stdout(&output).contains("tank/data@monday (GUID 42)"));
    let output = filter(&["token", "-"], &vec![b'0'; 1 << 20]);
    assert_eq!(output.status.code(), Some(1));
}
