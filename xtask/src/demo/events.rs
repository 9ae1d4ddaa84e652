//! What `zfs-pipeline run --json` says, as far as the demo listens:
//! one JSON object per line, described in the README of the binaries.

use serde::Deserialize;

/// One line. Kinds and keys that are not here are passed over.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    Started {
        dataset: String,
        resumed_at: u64,
    },
    Progress(Progress),
    Sent(Sent),
    Failed {
        stage: String,
        dataset: Option<String>,
        error: String,
    },
    Done {
        ok: bool,
        snapshots: u64,
        destroyed: u64,
    },
    #[serde(other)]
    Other,
}

/// How far a stream is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Progress {
    pub dataset: String,
    pub bytes: u64,
    /// 0 where ZFS could not tell.
    pub estimate: u64,
}

/// A stream that arrived.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Sent {
    pub dataset: String,
    pub kind: StreamKind,
    /// The incremental source; of a resumed stream that of the one it goes
    /// on with.
    pub from: Option<String>,
    pub raw: bool,
    pub bytes: u64,
    pub seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    Full,
    Incremental,
    Resume,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sent_stream_is_read_with_keys_that_nobody_asked_for() {
        let line = r#"{"event":"sent","time":"2026-11-22T12:00:00.000Z","job":"office",
            "dataset":"site-a/office/vault","target":"site-b/office/vault","kind":"resume",
            "from":null,"from_guid":null,"to":"site-a/office/vault@x","to_guid":"17",
            "raw":true,"bytes":5,"seconds":0.25,"stream":null,"later":[1]}"#;
        let event: Event = serde_json::from_str(line).unwrap();
        let Event::Sent(sent) = event else {
            panic!("{event:?}")
        };
        assert_eq!(sent.kind, StreamKind::Resume);
        assert_eq!((sent.from, sent.raw, sent.bytes), (None, true, 5));
    }

    #[test]
    fn an_unknown_event_is_passed_over() {
        let event: Event = serde_json::from_str(r#"{"event":"plan","step":"full"}"#).unwrap();
        assert_eq!(event, Event::Other);
    }
}
