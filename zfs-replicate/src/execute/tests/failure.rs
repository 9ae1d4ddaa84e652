//! What fails, is stopped, or is tried again, and what is kept from being done
//! then.

use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use zfs_core::DatasetName;

use super::{Fake, Log, dataset, planned, run};
use crate::endpoint::stock::{Channels, Transport};
use crate::endpoint::{Elevation, Endpoint, Stock};
use crate::error::Error;
use crate::execute::{Cancel, Executor, Retries};
use crate::plan::{Action, Step, Why};

#[test]
fn what_fails_for_one_dataset_does_not_stop_the_others() {
    let source = Fake {
        breaks: Some("tank/a@1"),
        ..Fake::default()
    };
    let target = Fake {
        partial: Some("vault/t/a"),
        ..Fake::default()
    };
    let plan = planned(
        vec![
            dataset("tank", &[9]),
            dataset("tank/a", &[1, 2]),
            dataset("tank/a/below", &[3]),
            dataset("tank/b", &[4]),
        ],
        "vault/t",
        false,
    );
    let (outcome, log) = run(&source, &target, &plan);
    assert_eq!((outcome.streams, outcome.failed), (2, 2));
    assert_eq!(
        log,
        [
            "started tank@9",
            "finished 3145728",
            "started tank/a@1",
            // The sender's error, since the receiver's is only its echo.
            "failed resumable=true cannot replicate tank/a: there is no such dataset on the source",
            "failed resumable=false cannot replicate to vault/t/a/below: vault/t/a, above it, \
             could not be made",
            "started tank/b@4",
            "finished 3145728",
        ]
    );
}

#[test]
fn nothing_is_retired_while_something_that_is_new_did_not_arrive() {
    let mut plan = planned(
        vec![dataset("tank", &[9]), dataset("tank/new", &[1])],
        "vault/t",
        false,
    );
    let retire = |action| Step {
        source: "tank/old".parse().unwrap(),
        target: "vault/t/old".parse().unwrap(),
        action,
        why: Why::Retired,
    };
    let snapshots = vec!["vault/t/old@1".parse().unwrap()];
    plan.steps.push(retire(Action::Abort));
    plan.steps.push(retire(Action::Destroy { snapshots }));
    for (breaks, jobs) in [(None, 1), (Some("tank/new@1"), 1), (Some("tank/new@1"), 4)] {
        let source = Fake {
            breaks,
            ..Fake::default()
        };
        let target = Fake::default();
        let log = Log::default();
        let outcome = Executor::new(&source, &target, &log).jobs(jobs).run(&plan);
        let done = target.done.into_inner().unwrap();
        for what in ["abort vault/t/old", "destroy vault/t/old"] {
            assert_eq!(
                done.contains(&what.to_owned()),
                breaks.is_none(),
                "{done:?}"
            );
        }
        let log = log.0.into_inner().unwrap();
        assert_eq!(
            outcome.failed,
            if breaks.is_none() { 0 } else { 2 },
            "{log:?}"
        );
        let kept = "vault/t/old, which the source no longer has, is kept this time, since \
                    vault/t/new could not be made";
        assert_eq!(
            log.last().unwrap().ends_with(kept),
            breaks.is_some(),
            "{log:?}"
        );
    }
}

#[test]
fn a_clone_is_not_promoted_where_its_origin_would_be_left_without_a_snapshot() {
    let mut plan = planned(vec![dataset("tank", &[1])], "vault/t", false);
    let name = |name: &str| name.parse::<DatasetName>().unwrap();
    plan.steps.push(Step {
        source: name("tank/c"),
        target: name("vault/c"),
        action: Action::Promote {
            from: name("vault/t"),
        },
        why: Why::PromotedOnSource,
    });
    for (breaks, promoted) in [(None, true), (Some("tank@1"), false)] {
        let source = Fake {
            breaks,
            ..Fake::default()
        };
        let target = Fake::default();
        let (outcome, log) = run(&source, &target, &plan);
        let done = target.done.into_inner().unwrap();
        assert_eq!(done.contains(&"promote vault/c".to_owned()), promoted);
        assert_eq!(outcome.failed, if promoted { 0 } else { 2 }, "{log:?}");
    }
}

#[test]
fn where_the_receiver_gives_up_its_error_is_the_one_that_is_told() {
    let target = Fake {
        refuses: Some("vault/t"),
        ..Fake::default()
    };
    let plan = planned(vec![dataset("tank", &[1])], "vault/t", true);
    let source = Fake::default();
    let (outcome, log) = run(&source, &target, &plan);
    assert_eq!(outcome.failed, 1);
    assert!(log[1].ends_with("cannot replicate vault/t: there is no such dataset on the source"));
    let done = source.done.into_inner().unwrap();
    assert_eq!(done.last().unwrap(), "send tank@1");
}

#[test]
fn a_request_to_stop_ends_a_stream_that_has_no_end() {
    let source = Fake {
        endless: Some("tank@1"),
        ..Fake::default()
    };
    let target = Fake::default();
    let plan = planned(
        vec![dataset("tank", &[1]), dataset("tank/a", &[2])],
        "vault/t",
        true,
    );
    let cancel = Cancel::new();
    let log = Log::default();
    let outcome = thread::scope(|scope| {
        let running = scope.spawn(|| {
            Executor::new(&source, &target, &log)
                .cancel(cancel.clone())
                .run(&plan)
        });
        let started = Instant::now();
        while log.0.lock().unwrap().is_empty() && started.elapsed().as_secs() < 60 {
            thread::sleep(Duration::from_millis(5));
        }
        // In its middle.
        thread::sleep(Duration::from_millis(100));
        cancel.cancel();
        running.join().unwrap()
    });
    assert!(outcome.cancelled && outcome.failed == 0 && !outcome.is_ok());
    let log = log.0.into_inner().unwrap();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[1].contains("was stopped on request"), "{log:?}");
}

/// The way to a system that does not answer any more.
#[derive(Debug)]
struct Dead(Channels);

impl Transport for Dead {
    fn host(&self) -> &'static str {
        "far"
    }

    fn command(&self, _: &str) -> Command {
        let mut command = Command::new("sleep");
        command.arg("600");
        command
    }

    fn channels(&self) -> &Channels {
        &self.0
    }
}

#[test]
fn a_request_to_stop_ends_what_waits_for_a_dead_connection() {
    let far = Stock::new(Arc::new(Dead(Channels::new(8))), Elevation::None);
    let target = Fake::default();
    let tank: DatasetName = "tank".parse().unwrap();
    let datasets = vec![dataset("tank", &[1])];
    let transfer = planned(datasets, "vault/t", false);
    for is_planned in [false, true] {
        let (cancel, log) = (Cancel::new(), Log::default());
        let executor = Executor::new(&far, &target, &log).cancel(cancel.clone());
        let outcome = thread::scope(|scope| {
            let running = scope.spawn(|| {
                executor.run_with_retries(Retries::default(), || {
                    if is_planned {
                        return Ok(transfer.clone());
                    }
                    far.tree(&tank).map(|_| unreachable!())
                })
            });
            thread::sleep(Duration::from_millis(100));
            cancel.cancel();
            running.join().unwrap()
        });
        assert!(outcome.unwrap().cancelled, "{:?}", log.0);
    }
}

#[test]
fn what_may_pass_is_tried_again_and_what_will_not_is_not() {
    let (source, target) = (Fake::default(), Fake::default());
    let (log, mut rounds) = (Log::default(), 0);
    let retries = Retries {
        times: 3,
        first: Duration::from_millis(1),
        longest: Duration::from_millis(1),
    };
    let lost = || Error::Lost {
        host: "far".to_owned(),
        command: "zfs list".to_owned(),
        problem: "it ended".to_owned(),
    };
    let executor = Executor::new(&source, &target, &log);
    let outcome = executor.run_with_retries(retries, || {
        rounds += 1;
        if rounds < 3 {
            return Err(lost());
        }
        Ok(planned(vec![dataset("tank", &[1])], "vault/t", false))
    });
    assert_eq!((outcome.unwrap().streams, rounds), (1, 3));

    rounds = 0;
    let outcome = executor.run_with_retries(retries, || {
        rounds += 1;
        Err(lost())
    });
    assert!(matches!(outcome, Err(Error::Lost { .. })) && rounds == 4);

    // sanoid prunes while a long plan is carried out: the next plan knows.
    let pruned: Vec<Error> = vec![
        Error::Destroyed {
            snapshot: "tank@1".parse().unwrap(),
        },
        Error::Changed {
            dataset: "vault/t".parse().unwrap(),
        },
        Error::NothingPartial {
            dataset: "vault/t".parse().unwrap(),
        },
        Error::Zfs(zfs_core::Error::Zfs(zfs_core::Failure {
            operation: zfs_core::Operation::Send,
            name: "tank@1".to_owned(),
            errno: zfs_core::Errno::ENOENT,
            detail: None,
        })),
        Error::Remote {
            host: "far".to_owned(),
            command: "zfs send".to_owned(),
            problem: "cannot open 'tank@1': dataset does not exist".to_owned(),
        },
    ];
    for error in pruned {
        let (gone, mut rounds) = (Fake::default(), 0);
        *gone.fails_once.lock().unwrap() = Some(error);
        let outcome = Executor::new(&gone, &target, &log).run_with_retries(retries, || {
            rounds += 1;
            Ok(planned(vec![dataset("tank", &[1])], "vault/t", false))
        });
        let outcome = outcome.unwrap();
        assert_eq!((outcome.streams, outcome.failed, rounds), (1, 0, 2));
    }

    rounds = 0;
    let stopped = Fake {
        refuses: Some("vault/t"),
        ..Fake::default()
    };
    let outcome = Executor::new(&source, &stopped, &log).run_with_retries(retries, || {
        rounds += 1;
        Ok(planned(vec![dataset("tank", &[1])], "vault/t", false))
    });
    assert_eq!((outcome.unwrap().failed, rounds), (1, 1));
}
