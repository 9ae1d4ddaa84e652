//! Any text as a resume token, and any list in one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use zfs_stream::nvlist::NvList;
use zfs_stream::token::ResumeToken;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(token) = ResumeToken::decode(text) {
            again(&token);
        }
    }
    if let Ok(list) = NvList::decode(bytes) {
        if let Ok(token) = ResumeToken::from_nvlist(&list) {
            again(&token);
        }
    }
});

fn again(token: &ResumeToken) {
    let _ = token.to_string();
    // A token with thousands of redaction snapshots may be too long.
    if let Ok(text) = token.encode() {
        let read = ResumeToken::decode(&text).expect("what was encoded can be decoded");
        assert_eq!(&read, token);
    }
}
