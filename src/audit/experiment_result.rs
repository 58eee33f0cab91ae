//! Experiments and their results.

use serde::{Deserialize, Serialize};

use super::test_index::{FileId, TestId, TestIndex};
use crate::wire::{TestOutcome, file_of};

/// One run of pytest that should find something out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Experiment {
    /// These files in the suite's order, all on one process.
    Warm(Vec<FileId>),
    /// Each of these files on its own process.
    Fresh(Vec<FileId>),
    /// These tests, followed by tests of another file, on one process.
    Together {
        /// What runs first.
        before: Vec<TestId>,
        /// The tests in question: those of a file, from its first on.
        target: Vec<TestId>,
    },
}

/// The kind of an [`Experiment`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// [`Experiment::Warm`].
    Warm,
    /// [`Experiment::Fresh`].
    Fresh,
    /// [`Experiment::Together`].
    Together,
}

/// How a test ended, as far as it matters for the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentOutcome {
    /// It passed, or failed as expected.
    Passed,
    /// It failed, or its fixtures did.
    Failed,
    /// It was skipped, which says nothing about the app.
    Skipped,
    /// It did not run, because another test had broken the app.
    Victim,
    /// It was running when its pytest died or was killed.
    Lost,
}

impl ExperimentOutcome {
    /// From the outcome in a pytest's events.
    #[must_use]
    pub const fn of(outcome: &TestOutcome) -> Self {
        match outcome {
            TestOutcome::Passed | TestOutcome::Xfailed | TestOutcome::Xpassed => Self::Passed,
            TestOutcome::Skipped => Self::Skipped,
            TestOutcome::Victim => Self::Victim,
            TestOutcome::Failed | TestOutcome::Error | TestOutcome::Unknown(_) => Self::Failed,
        }
    }

    /// Whether it passed; `None` if that cannot be told.
    #[must_use]
    pub const fn passed(self) -> Option<bool> {
        match self {
            Self::Passed => Some(true),
            Self::Failed | Self::Lost => Some(false),
            Self::Skipped | Self::Victim => None,
        }
    }
}

/// One test in an experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Its node id.
    pub test: String,
    /// How it ended.
    pub outcome: ExperimentOutcome,
    /// The process that it ran on; null if it never used one.
    pub generation: Option<u32>,
    /// The duration, including set-up and tear-down.
    pub ms: f64,
    /// The line that says why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

/// A process that failed during a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// The test that is blamed.
    pub test: String,
    /// The test had already ended, so the blame is inferred.
    pub inferred: bool,
    /// What is wrong with the app.
    pub why: String,
}

/// A finished experiment and its result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentResult {
    /// What kind of experiment.
    pub kind: Kind,
    /// The files in question.
    pub files: Vec<String>,
    /// The tests to run before them on the same process, for [`Kind::Together`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The tests in question, for [`Kind::Together`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
    /// Its folder.
    pub folder: String,
    /// The duration of the experiment.
    pub seconds: f64,
    /// The tests, in the order in which they ran.
    pub tests: Vec<Observed>,
    /// Processes that failed.
    pub crashes: Vec<Crash>,
    /// The duration of each start of an app that a test had to wait for.
    pub starts_ms: Vec<u64>,
}

impl ExperimentResult {
    /// An empty result.
    #[must_use]
    pub fn new(experiment: &Experiment, test_index: &TestIndex) -> Self {
        let files = |files: &[FileId]| {
            files
                .iter()
                .map(|file| test_index.file(*file).to_owned())
                .collect()
        };
        let tests = |tests: &[TestId]| {
            tests
                .iter()
                .map(|test| test_index.test(*test).to_owned())
                .collect()
        };
        let (kind, files, before, target) = match experiment {
            Experiment::Warm(of) => (Kind::Warm, files(of), Vec::new(), Vec::new()),
            Experiment::Fresh(of) => (Kind::Fresh, files(of), Vec::new(), Vec::new()),
            Experiment::Together { before, target } => {
                let file: Vec<_> = target
                    .first()
                    .map(|test| test_index.file_of(*test))
                    .into_iter()
                    .collect();
                (Kind::Together, files(&file), tests(before), tests(target))
            }
        };
        Self {
            kind,
            files,
            before,
            target,
            folder: String::new(),
            seconds: 0.0,
            tests: Vec::new(),
            crashes: Vec::new(),
            starts_ms: Vec::new(),
        }
    }

    /// How many of the files in question it has reached.
    #[must_use]
    pub fn reached(&self) -> usize {
        let reached = |file: &&String| self.tests.iter().any(|seen| file_of(&seen.test) == **file);
        self.files.iter().filter(reached).count()
    }

    /// Drops the file that it was in the middle of.
    pub fn keep_whole_files(&mut self, test_index: &TestIndex) {
        let Some(last) = self.tests.last().map(|seen| file_of(&seen.test).to_owned()) else {
            return;
        };
        let there = self
            .tests
            .iter()
            .filter(|seen| file_of(&seen.test) == last)
            .count();
        let whole = test_index
            .find_file(&last)
            .map_or(0, |file| test_index.tests_of(file).len());
        if there < whole {
            self.tests.retain(|seen| file_of(&seen.test) != last);
        }
    }
}
