//! What is sent of a dataset, and what is said of it before.

use super::Run;
use super::dataset::Pair;
use super::transfer::{Ended, Source};
use crate::replicate::messages::readable;

impl Run {
    pub(super) fn send_full(&mut self, pair: &Pair, snapshot: &str) -> Ended {
        let what = Source::Full(format!("{}@{snapshot}", pair.source));
        let size = self.size(&what);
        let name = self.source.show(format_args!("{}@{snapshot}", pair.source));
        let target = self.target.show(&pair.target);
        let size_shown = shown(size);
        self.messages.info(if self.arguments.no_stream {
            format!(
                "--no-stream selected; sending newest full snapshot {name} to new target \
                 filesystem {target}: (~ {size_shown})"
            )
        } else {
            format!(
                "Sending oldest full snapshot {name} to new target filesystem {target} \
                 (~ {size_shown}):"
            )
        });
        self.transfer(&pair.source, &pair.target, &what, size)
    }

    pub(super) fn send_clone(&mut self, pair: &Pair, origin: &str, snapshot: &str) -> Ended {
        let what = Source::Increment {
            through: false,
            from: origin.to_owned(),
            to: format!("{}@{snapshot}", pair.source),
        };
        let size = self.size(&what);
        self.messages.info(format!(
            "Clone is recreated on target {} based on {} (~ {}):",
            self.target.show(&pair.target),
            self.source.show(origin),
            shown(size)
        ));
        self.transfer(&pair.source, &pair.target, &what, size)
    }

    pub(super) fn send_bookmark(&mut self, pair: &Pair, bookmark: &str, to: &str) -> Ended {
        self.messages.info(format!(
            "Sending incremental {} ... {to} to {}:",
            self.source.show(format_args!("{}#{bookmark}", pair.source)),
            self.target.show(&pair.target)
        ));
        let what = Source::Bookmark {
            from: format!("{}#{bookmark}", pair.source),
            to: format!("{}@{to}", pair.source),
        };
        self.transfer(&pair.source, &pair.target, &what, 0)
    }

    pub(super) fn send_increment(
        &mut self,
        pair: &Pair,
        from: &str,
        to: &str,
        alone: bool,
    ) -> Ended {
        let filtered =
            !self.arguments.exclude_snaps.is_empty() || !self.arguments.include_snaps.is_empty();
        if !alone && filtered {
            self.messages.info(
                "--no-stream is omitted but snaps are filtered. Simulating -I with filtered snaps",
            );
            let mut names: Vec<&str> = pair
                .on_source
                .iter()
                .map(|point| point.name.as_str())
                .skip_while(|name| *name != from)
                .collect();
            if let Some(last) = names.iter().position(|name| *name == to) {
                names.truncate(last + 1);
            } else {
                // A new sync snapshot is not in the listing.
                names.push(to);
            }
            for step in names.windows(2) {
                let [from, to] = step else { continue };
                match self.send_increment(pair, from, to, true) {
                    Ended::Well => {}
                    other => return other,
                }
            }
            return Ended::Well;
        }
        let what = Source::Increment {
            through: !alone,
            from: format!("{}@{from}", pair.source),
            to: format!("{}@{to}", pair.source),
        };
        let size = self.size(&what);
        self.messages.info(format!(
            "Sending incremental {} ... {to} to {} (~ {}):",
            self.source.show(format_args!("{}@{from}", pair.source)),
            self.target.show(&pair.target),
            shown(size)
        ));
        self.transfer(&pair.source, &pair.target, &what, size)
    }
}

/// A size as it is told.
pub(super) fn shown(size: u64) -> String {
    if size == 0 {
        "UNKNOWN".to_owned()
    } else {
        readable(size)
    }
}
