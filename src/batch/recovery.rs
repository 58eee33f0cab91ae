//! What to do when a pytest process ends: which tests are lost, and which ones another process can run.

use super::results::Running;
use super::verdict::{End, Lost};
use crate::wire::file_of;

/// pytest's own exit statuses.
mod pytest {
    pub const PASSED: i32 = 0;
    pub const FAILED: i32 = 1;
    pub const INTERNAL_ERROR: i32 = 3;
    pub const NO_TESTS: i32 = 5;
}

/// A process that has ended, and its progress.
pub(super) struct Ended<'a> {
    pub end: &'a End,
    /// It reported itself that its session was over.
    pub in_order: bool,
    pub running: &'a [Running],
    pub last_finished: Option<&'a str>,
    /// Known tests without a result.
    pub unfinished: &'a [String],
    /// The progress of the batch, in this process or an earlier one.
    pub reached: Reached,
    pub has_failures: bool,
    pub collection: Collection,
}

/// Whether all files could be collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collection {
    /// All could.
    Whole,
    /// One could not. Then pytest runs nothing, unless it is told to.
    Broken,
    /// One could not, but pytest was told to continue without it.
    WithoutBroken,
}

/// The progress of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    /// The plugin has reported nothing.
    Nothing,
    /// A session began.
    Session,
    /// The tests are known.
    Tests,
}

/// What to do.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    /// Tests for another process.
    pub goes_on_with: Vec<String>,
    /// Tests that will never get a result.
    pub lost: Vec<Lost>,
    /// The problem of the batch as a whole.
    pub trouble: Option<String>,
    /// It was stopped on purpose, before its end.
    pub interrupted: bool,
}

/// Decides what to do.
pub(super) fn after(ended: &Ended<'_>) -> Recovery {
    match ended.end {
        End::Interrupted => Recovery {
            // It may have finished all the same.
            interrupted: ended.reached != Reached::Tests || !ended.unfinished.is_empty(),
            ..Recovery::default()
        },
        End::NotStarted { why } => Recovery {
            trouble: Some(format!("pytest was not started: {why}")),
            ..all_lost(ended, "pytest was not started")
        },
        End::Exited { code: Some(code), .. } if ended.in_order && *code != pytest::INTERNAL_ERROR => {
            after_order(ended, *code)
        }
        End::Exited { text, .. } => after_death(ended, &format!("pytest ended with {text}")),
        End::TimedOut { limit } => after_death(ended, &format!("pytest hung: no end within {limit}")),
    }
}

/// pytest ended by itself.
fn after_order(ended: &Ended<'_>, code: i32) -> Recovery {
    let complete = ended.unfinished.is_empty();
    let never_ran = || all_lost(ended, "never ran: pytest ended before it");
    match code {
        // With -x or --maxfail it stops there, as it was told to.
        pytest::FAILED if ended.collection == Collection::Whole => Recovery {
            trouble: (!ended.has_failures)
                .then(|| "pytest ended with exit status 1, though no test failed".to_owned()),
            ..Recovery::default()
        },
        pytest::PASSED | pytest::NO_TESTS if complete => Recovery::default(),
        pytest::PASSED | pytest::NO_TESTS | pytest::FAILED => never_ran(),
        _ if ended.collection == Collection::Whole => Recovery {
            trouble: Some(format!("pytest ended with exit status {code}")),
            ..never_ran()
        },
        // Because of one file pytest runs nothing. When told to, it runs the others.
        _ if ended.collection == Collection::Broken => Recovery {
            goes_on_with: ended.unfinished.to_vec(),
            ..Recovery::default()
        },
        _ => never_ran(),
    }
}

/// It died in the middle: the running tests are to blame, the rest of their files is lost, and another process runs
/// the other files.
fn after_death(ended: &Ended<'_>, how: &str) -> Recovery {
    let running: Vec<_> = ended
        .running
        .iter()
        .map(|running| running.test.as_str())
        .collect();
    let (during, dead): (String, Vec<&str>) = match (running.as_slice(), ended.last_finished) {
        ([], None) => {
            let when = match ended.reached {
                Reached::Nothing => "before its livegui plugin said anything",
                Reached::Session => "before it had collected its tests",
                Reached::Tests => "before the first test",
            };
            return Recovery {
                trouble: Some(format!("{how}, {when}")),
                ..all_lost(ended, &format!("never ran: {how}"))
            };
        }
        ([], Some(last)) => (format!("after {last}"), vec![file_of(last)]),
        (tests, _) => (
            format!("during {}", tests.join(", ")),
            tests.iter().map(|test| file_of(test)).collect(),
        ),
    };
    let mut recovery = Recovery {
        trouble: Some(format!("{how}, {during}")),
        ..Recovery::default()
    };
    recovery.lost.extend(running.iter().map(|test| Lost {
        test: (*test).to_owned(),
        why: format!("{how} while it ran"),
        culprit: true,
    }));
    for test in ended
        .unfinished
        .iter()
        .filter(|test| !running.contains(&test.as_str()))
    {
        if dead.contains(&file_of(test)) {
            let why = format!("never ran: {how}, {during}");
            recovery.lost.push(Lost::victim(test, &why));
        } else {
            recovery.goes_on_with.push(test.clone());
        }
    }
    recovery
}

fn all_lost(ended: &Ended<'_>, why: &str) -> Recovery {
    let lost = ended.unfinished.iter().map(|test| Lost::victim(test, why));
    Recovery {
        lost: lost.collect(),
        ..Recovery::default()
    }
}
