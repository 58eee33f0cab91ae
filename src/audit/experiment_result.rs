//! Experiments, and what comes of them.

use serde::{Deserialize, Serialize};

use super::test_index::{FileId, TestId, TestIndex};
use crate::wire::{TestOutcome, file_of};

/// One run of pytest that is to tell something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Experiment {
    /// These files in the suite's order, all on one process.
    Warm(Vec<FileId>),
    /// Each of these files on a process of its own.
    Fresh(Vec<FileId>),
    /// These tests, and after them those of another file, on one process.
    Together {
        /// What runs first.
        before: Vec<TestId>,
        /// What it is about: a file's tests from its first on.
        target: Vec<TestId>,
    },
}

/// What kind of [`Experiment`] it was.
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

/// How a test ended, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExperimentOutcome {
    /// Also an expected failure.
    Passed,
    /// Also an error of its fixtures.
    Failed,
    /// It says nothing about the app.
    Skipped,
    /// It did not run, because another test had broken the app.
    Victim,
    /// It ran when its pytest was killed, died or had to be ended.
    Lost,
}

impl ExperimentOutcome {
    /// From what a pytest's events have for it.
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

/// One test in one experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Its node id.
    pub test: String,
    /// How it ended.
    pub outcome: ExperimentOutcome,
    /// The process that it ran on; null if it never asked for one.
    pub generation: Option<u32>,
    /// Set-up and tear-down included.
    pub ms: f64,
    /// The line that says why it failed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub said: String,
}

/// A process that failed under a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crash {
    /// The test that is blamed.
    pub test: String,
    /// It had ended by then: the blame is an inference.
    pub inferred: bool,
    /// What is wrong with the app.
    pub why: String,
}

/// An experiment that was made, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExperimentResult {
    /// What kind of experiment.
    pub kind: Kind,
    /// The files that it was about.
    pub files: Vec<String>,
    /// What was to run before them on the same process, for [`Kind::Together`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// The tests that it was about, for [`Kind::Together`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub target: Vec<String>,
    /// Its folder.
    pub folder: String,
    /// From its start to its end.
    pub seconds: f64,
    /// In the order in which they ran.
    pub tests: Vec<Observed>,
    /// Processes that failed.
    pub crashes: Vec<Crash>,
    /// How long each start of an app took that a test had to wait for.
    pub starts_ms: Vec<u64>,
}

impl ExperimentResult {
    /// A result of which nothing has come yet.
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

    /// How many of the files it was about it got to.
    #[must_use]
    pub fn reached(&self) -> usize {
        let reached = |file: &&String| self.tests.iter().any(|seen| file_of(&seen.test) == **file);
        self.files.iter().filter(reached).count()
    }

    /// Leaves out the file that it was in the middle of.
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
