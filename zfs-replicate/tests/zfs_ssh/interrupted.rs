//! What is cut off over ssh, and goes on.

use super::*;

/// Stops when a snapshot begins.
struct Stopping<'a> {
    at: &'a str,
    cancel: Cancel,
    log: Log,
}

impl Observer for Stopping<'_> {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Progress { transfer, bytes }
                if transfer.stream.to.name.snapshot() == self.at && *bytes > 1 << 20 =>
            {
                self.cancel.cancel();
            }
            _ => self.log.event(event),
        }
    }
}

#[test]
fn what_arrived_of_an_interrupted_range_stays_and_the_rest_goes_on() {
    for way in [Way::Push, Way::Pull, Way::Relay] {
        let site = Site::new();
        let source = site.pool.filesystem("src");
        for (number, bytes) in [(1, 50_000), (2, 50_000), (3, 24 << 20), (4, 50_000)] {
            site.pool.write(&source, "a", &noise(number, bytes));
            site.pool.take(&format!("src@{number}"));
        }
        let cancel = Cancel::new();
        let stopping = Stopping {
            at: "3",
            cancel: cancel.clone(),
            log: Log::default(),
        };
        let (from, to) = site.ends(way);
        let outcome = Executor::new(from, to, &stopping)
            .cancel(cancel)
            .verify()
            .run(&site.plan(way, &site.options()));
        let lines = stopping.log.lines.into_inner().unwrap();
        assert!(outcome.streams >= 2, "{outcome:?} {lines:?}");
        let there = site.local.tree(&site.pool.dataset("dst")).unwrap();
        let there = &there.datasets[0];
        assert_eq!(there.snapshots.len() as u64, outcome.streams);
        // The marker has followed what arrived.
        let marks = site.local.tree(&source).unwrap();
        let marks = marks.datasets[0].bookmarks.iter();
        let marks = marks.filter(|mark| Marker::parse(mark.name.bookmark()).is_some());
        let marks: Vec<Guid> = marks.map(|mark| mark.guid).collect();
        let newest = there.newest().map(|newest| newest.guid);
        assert_eq!(marks, newest.into_iter().collect::<Vec<_>>());
        let log = site.replicate(way);
        let marks = site.local.tree(&source).unwrap();
        assert_eq!(marks.datasets[0].bookmarks.len(), 1, "{marks:?}");
        if outcome.streams == 2 && there.partial.is_some() {
            assert_eq!(words(&log), ["resume", "incremental"], "{log:?}");
        }
        assert_eq!(
            site.pool.read(&site.pool.dataset("dst"), "a"),
            noise(4, 50_000)
        );
    }
}

#[test]
fn an_interrupted_transfer_goes_on_in_either_direction() {
    for way in [Way::Push, Way::Pull] {
        let site = Site::new();
        let source = site.pool.filesystem("src");
        site.pool.write(&source, "a", &noise(1, 24 << 20));
        site.pool.take("src@1");
        let cancel = Cancel::new();
        let log = Log {
            cancel: Some(cancel.clone()),
            ..Log::default()
        };
        let (from, to) = site.ends(way);
        let outcome = Executor::new(from, to, &log)
            .cancel(cancel)
            .run(&site.plan(way, &site.options()));
        let lines = log.lines.into_inner().unwrap();
        if outcome.streams == 1 {
            // It was through before anybody looked.
            continue;
        }
        assert!(outcome.cancelled, "{outcome:?} {lines:?}");
        site.replicate(way);
        assert!(site.pool.read(&site.pool.dataset("dst"), "a") == noise(1, 24 << 20));
    }
}

#[test]
fn a_connection_that_ends_in_the_middle_is_an_error_and_the_next_goes_on() {
    let site = Site::new();
    let source = site.pool.filesystem("src");
    site.pool.write(&source, "a", &noise(1, 32 << 20));
    site.pool.take("src@1");
    let planned = site.plan(Way::Push, &site.options());
    let log = Killing {
        log: Log::default(),
        sshd: site.sshd.child.id(),
    };
    let outcome = Executor::new(&site.local, &site.remote, &log).run(&planned);
    let lines = log.log.lines.into_inner().unwrap();
    assert_eq!((outcome.failed, outcome.streams), (1, 0), "{lines:?}");
    // The master has gone with its connection; a new one goes on.
    let again = Stock::new(Arc::new(site.sshd.connect()), Elevation::None);
    let target = again.tree(&site.pool.dataset("dst")).unwrap();
    let plan = plan(&site.local.tree(&source).unwrap(), &target, &site.options()).unwrap();
    let outcome = Executor::new(&site.local, &again, &()).run(&plan);
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(site.pool.read(&site.pool.dataset("dst"), "a") == noise(1, 32 << 20));
}

/// Kills the processes that serve connections when a stream is received.
struct Killing {
    log: Log,
    sshd: u32,
}

impl Observer for Killing {
    fn event(&self, event: &Event<'_>) {
        if let Event::Started(_) = event {
            let sshd = self.sshd;
            thread::spawn(move || {
                let receives = |pid: &u32| {
                    let line = fs::read_to_string(format!("/proc/{pid}/cmdline"));
                    line.is_ok_and(|line| line.starts_with("zfs\0receive"))
                };
                let started = Instant::now();
                while !children(sshd).iter().any(receives) && started.elapsed() < PATIENCE {
                    thread::sleep(Duration::from_millis(5));
                }
                // In its middle, and not at once.
                thread::sleep(Duration::from_millis(100));
                for child in children(sshd) {
                    let _ = Command::new("kill")
                        .args(["-9", &child.to_string()])
                        .status();
                }
            });
        }
        self.log.event(event);
    }
}

/// All processes below one.
fn children(of: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut waiting = vec![of];
    while let Some(parent) = waiting.pop() {
        let path = format!("/proc/{parent}/task/{parent}/children");
        let text = fs::read_to_string(Path::new(&path)).unwrap_or_default();
        for child in text
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
        {
            found.push(child);
            waiting.push(child);
        }
    }
    found
}
