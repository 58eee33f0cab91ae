//! How tests, processes and batches end, and the numbers of each.

use serde::{Deserialize, Serialize};

use crate::text::count;
use crate::wire::{TestOutcome, TestResult};

/// How a pytest process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum End {
    /// By itself.
    Exited {
        /// Its exit status; null after a signal.
        code: Option<i32>,
        /// The same as text.
        text: String,
    },
    /// It took too long and was killed.
    TimedOut {
        /// The time limit, as text.
        limit: String,
    },
    /// The user stopped the run.
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
    /// Every selected test ran, and some failed.
    Failed,
    /// Tests did not run, or their outcome is unknown.
    Lost,
    /// It did not run, because a batch that it needs did not pass.
    NotRun,
    /// None of its tests was selected.
    NoTests,
    /// The user stopped it.
    Interrupted,
}

impl BatchVerdict {
    /// The text for people.
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

/// A test without a result that will never get one in this run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Its node id.
    pub test: String,
    /// Why.
    pub why: String,
    /// It ran when its pytest died, so it is to blame.
    pub culprit: bool,
}

impl Lost {
    /// A test that did not run because of this.
    pub(super) fn victim(test: &str, why: &str) -> Self {
        Self {
            test: test.to_owned(),
            why: why.to_owned(),
            culprit: false,
        }
    }
}

/// The numbers of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tests that passed, including those that were expected to fail.
    pub passed: usize,
    /// Tests that failed.
    pub failed: usize,
    /// Tests whose set-up or tear-down failed.
    pub errors: usize,
    /// Tests that could not run because another test broke the app.
    pub victims: usize,
    /// Tests that were skipped, or failed as expected.
    pub skipped: usize,
    /// Tests without a result.
    pub lost: usize,
    /// App processes after the first.
    pub respawns: usize,
}

impl Counts {
    /// `12 passed, 1 failed`, without zeros.
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
