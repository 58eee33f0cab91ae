//! How tests, processes and batches end, and the figures of that.

use serde::{Deserialize, Serialize};

use crate::text::count;
use crate::wire::{TestOutcome, TestResult};

/// How a pytest process came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum End {
    /// By itself.
    Exited {
        /// Its exit status; null after a signal.
        code: Option<i32>,
        /// The same for a person.
        text: String,
    },
    /// It was ended, having taken too long.
    TimedOut {
        /// How long it was given, for a person.
        limit: String,
    },
    /// Whoever runs the batches wanted their end.
    Interrupted,
    /// It never ran.
    NotStarted {
        /// Why.
        why: String,
    },
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchVerdict {
    /// Every test ran, and none failed.
    Passed,
    /// Every test that was to run ran, and some failed.
    Failed,
    /// Tests did not run, or nobody knows how they ended.
    Lost,
    /// It did not run: a batch that it needs did not pass.
    NotRun,
    /// None of its tests was selected.
    NoTests,
    /// Whoever runs the batches wanted its end.
    Interrupted,
}

impl BatchVerdict {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::NotRun => "not run",
            Self::NoTests => "no tests",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether batches that need this one may run.
    #[must_use]
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Passed | Self::NoTests)
    }
}

/// A test that has no result, and never will have one in this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Its node id.
    pub test: String,
    /// Why.
    pub why: String,
    /// It ran when its pytest died: it is to blame.
    pub culprit: bool,
}

impl Lost {
    /// It did not run, because of this.
    pub(super) fn victim(test: &str, why: &str) -> Self {
        Self {
            test: test.to_owned(),
            why: why.to_owned(),
            culprit: false,
        }
    }
}

/// Figures of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tests that passed, also those that were expected not to.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests of which the set-up or the tear-down failed.
    pub errors: usize,
    /// Tests that could not run because of another one.
    pub victims: usize,
    /// Tests that were skipped, or failed as they were expected to.
    pub skipped: usize,
    /// Tests that have no result.
    pub lost: usize,
    /// App processes after the first.
    pub respawns: usize,
}

impl Counts {
    /// `12 passed, 1 failed`, without what there is none of.
    #[must_use]
    pub fn line(&self) -> String {
        let told = [
            (self.passed, format!("{} passed", self.passed)),
            (self.failed, format!("{} failed", self.failed)),
            (self.errors, count(self.errors, "error")),
            (self.victims, count(self.victims, "victim")),
            (self.skipped, format!("{} skipped", self.skipped)),
            (self.lost, format!("{} lost", self.lost)),
        ];
        let told = told.into_iter().filter(|(count, _)| *count > 0);
        let told: Vec<_> = told.map(|(_, text)| text).collect();
        if told.is_empty() {
            "no tests".to_owned()
        } else {
            told.join(", ")
        }
    }

    pub(super) fn add(&mut self, result: &TestResult) {
        let count = match result.outcome {
            TestOutcome::Passed | TestOutcome::Xpassed => &mut self.passed,
            TestOutcome::Failed => &mut self.failed,
            TestOutcome::Victim => &mut self.victims,
            TestOutcome::Skipped | TestOutcome::Xfailed => &mut self.skipped,
            TestOutcome::Error | TestOutcome::Unknown(_) => &mut self.errors,
        };
        *count += 1;
    }
}
