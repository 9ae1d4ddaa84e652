//! How far the streams are, on a terminal: a bar for each, and one for all.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use zfs_replicate::execute::{Event, Transfer};

/// Draws them.
pub struct Bars {
    all: MultiProgress,
    open: Mutex<Open>,
}

impl Bars {
    /// On that terminal.
    pub fn on(all: MultiProgress) -> Bars {
        Bars {
            all,
            open: Mutex::default(),
        }
    }

    /// Does `print` while no bar is in the way.
    pub fn beside(&self, print: impl FnOnce()) {
        self.all.suspend(print);
    }

    /// Follows what happens.
    pub fn event(&self, event: &Event<'_>) {
        match event {
            Event::Begun { streams, estimate } => self.begun(*streams, *estimate),
            Event::Started(transfer) => self.started(transfer),
            Event::Progress { transfer, bytes } => {
                let open = self.open();
                if let Some(Bar { bar, .. }) = open.each.get(transfer.target.as_str()) {
                    bar.set_length((*bytes).max(bar.length().unwrap_or(0)));
                    bar.set_position(*bytes);
                }
                open.advance();
            }
            Event::Finished {
                transfer, bytes, ..
            } => {
                let mut open = self.open();
                if let Some(total) = &mut open.total {
                    total.through += 1;
                }
                open.close(transfer.target.as_str(), *bytes);
            }
            Event::Failed { step, .. } => self.open().close(step.target.as_str(), 0),
            _ => {}
        }
    }

    /// Leaves the terminal as it was.
    pub fn end(&self) {
        if let Some(total) = self.open().total.take() {
            total.bar.finish_and_clear();
        }
    }

    fn begun(&self, streams: u64, estimate: Option<u64>) {
        let mut open = self.open();
        if let Some(old) = open.total.take() {
            old.bar.finish_and_clear();
        }
        // One stream has a bar of its own.
        open.total = (streams > 1).then(|| Total {
            bar: bar(&self.all, estimate.unwrap_or(0)),
            streams,
            through: 0,
            bytes: 0,
        });
        open.advance();
    }

    fn started(&self, transfer: &Transfer<'_>) {
        let mut open = self.open();
        let target = transfer.target.to_string();
        let before = open.each.remove(&target).map_or(0, |last| {
            let had = last.before + last.bar.position();
            last.bar.finish_and_clear();
            had
        });
        let bar = bar(&self.all, transfer.estimate.unwrap_or(0));
        bar.set_message(target.clone());
        open.each.insert(target, Bar { bar, before });
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bars that are to be seen.
#[derive(Default)]
struct Open {
    each: HashMap<String, Bar>,
    total: Option<Total>,
}

/// The bar of the streams into one dataset.
struct Bar {
    bar: ProgressBar,
    /// What those had before this one of which it is not known yet whether
    /// they arrived.
    before: u64,
}

/// The bar of everything together.
struct Total {
    bar: ProgressBar,
    streams: u64,
    through: u64,
    /// What the streams had that are through.
    bytes: u64,
}

impl Open {
    /// Where everything together is by now.
    fn advance(&self) {
        let Some(total) = &self.total else { return };
        let flowing = self
            .each
            .values()
            .map(|one| one.before + one.bar.position());
        let bytes = flowing.fold(total.bytes, u64::saturating_add);
        total
            .bar
            .set_length(bytes.max(total.bar.length().unwrap_or(0)));
        total.bar.set_position(bytes);
        total
            .bar
            .set_message(format!("{} of {} streams", total.through, total.streams));
    }

    /// A stream has ended, and had so many bytes.
    fn close(&mut self, target: &str, bytes: u64) {
        if let Some(Bar { bar, .. }) = self.each.remove(target) {
            bar.finish_and_clear();
        }
        if let Some(total) = &mut self.total {
            total.bytes = total.bytes.saturating_add(bytes);
        }
        self.advance();
    }
}

/// A bar for so many bytes.
fn bar(bars: &MultiProgress, bytes: u64) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(bytes));
    let style = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

#[cfg(test)]
mod tests {
    use indicatif::{InMemoryTerm, ProgressDrawTarget};
    use zfs_core::{DatasetName, Guid, Txg};
    use zfs_replicate::plan::{Stream, Why};
    use zfs_replicate::tree::{Snapshot, StreamForm};

    use super::*;

    fn stream() -> Stream {
        Stream {
            from: None,
            origin: None,
            to: Snapshot {
                name: "tank/a@x".parse().unwrap(),
                guid: Guid(1),
                createtxg: Txg(1),
                creation: None,
                ivset: None,
            },
            form: StreamForm::default(),
            resume: None,
        }
    }

    fn transfer<'a>(stream: &'a Stream, target: &'a DatasetName) -> Transfer<'a> {
        Transfer {
            source: target,
            target,
            stream,
            why: &Why::NotOnTarget,
            estimate: Some(4 << 20),
        }
    }

    /// Bars, and what is to be seen of them.
    fn seen() -> (Bars, InMemoryTerm) {
        let screen = InMemoryTerm::new(10, 100);
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(screen.clone()), 255);
        (Bars::on(MultiProgress::with_draw_target(target)), screen)
    }

    /// The next look draws for sure.
    fn later() {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }

    #[test]
    fn each_dataset_and_all_together_have_a_bar_that_moves_and_goes() {
        let (bars, screen) = seen();
        let stream = stream();
        let (a, b): (DatasetName, DatasetName) =
            ("vault/a".parse().unwrap(), "vault/b".parse().unwrap());
        let (a, b) = (transfer(&stream, &a), transfer(&stream, &b));
        bars.event(&Event::Begun {
            streams: 2,
            estimate: Some(8 << 20),
        });
        let progress = |transfer, bytes| {
            later();
            bars.event(&Event::Progress { transfer, bytes });
            screen.contents()
        };
        let finished = |transfer| {
            later();
            bars.event(&Event::Finished {
                transfer,
                bytes: 4 << 20,
                elapsed: std::time::Duration::from_secs(1),
            });
            screen.contents()
        };
        bars.event(&Event::Started(a));
        bars.event(&Event::Started(b));
        let first = progress(a, 1 << 20);
        assert!(first.contains("0 of 2 streams"), "{first}");
        assert!(first.contains("1.00 MiB/8.00 MiB"), "{first}");
        assert!(first.contains("vault/a") && first.contains("1.00 MiB/4.00 MiB"));
        let second = progress(b, 3 << 20);
        assert!(second.contains("4.00 MiB/8.00 MiB"), "{second}");
        assert!(second.contains("vault/b") && second.contains("3.00 MiB/4.00 MiB"));
        let third = finished(a);
        assert!(!third.contains("vault/a"), "{third}");
        assert!(third.contains("1 of 2 streams") && third.contains("7.00 MiB/8.00 MiB"));
        finished(b);
        bars.end();
        assert_eq!(screen.contents(), "");
    }

    #[test]
    fn a_stream_alone_has_one_bar_that_grows_with_it_and_goes_when_it_fails() {
        let (bars, screen) = seen();
        let stream = stream();
        let target: DatasetName = "vault/a".parse().unwrap();
        let one = transfer(&stream, &target);
        bars.event(&Event::Begun {
            streams: 1,
            estimate: one.estimate,
        });
        bars.event(&Event::Started(one));
        later();
        // ZFS estimated too little.
        bars.event(&Event::Progress {
            transfer: one,
            bytes: 6 << 20,
        });
        let text = screen.contents();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("6.00 MiB/6.00 MiB"), "{text}");
        let step = zfs_replicate::plan::Step {
            source: target.clone(),
            target: target.clone(),
            action: zfs_replicate::plan::Action::Nothing,
            why: Why::NotOnTarget,
        };
        bars.event(&Event::Failed {
            step: &step,
            error: &zfs_replicate::Error::SourceMissing {
                dataset: target.clone(),
            },
            resumable: true,
        });
        assert_eq!(screen.contents(), "");
        bars.end();
    }
}
