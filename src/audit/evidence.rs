//! The evidence so far: how each test ended, and what its process had served before.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};

use super::experiment_result::{ExperimentResult, Kind};
use super::test_index::{FileId, TestId, TestIndex};
use crate::wire::file_of;

/// How a test ended, and what its process had served before.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Tests of other files, in the suite's order.
    pub context: Vec<TestId>,
    /// Tests of its own file. Not all earlier ones, if one of them broke the process.
    pub own: Vec<TestId>,
    /// A digest of what its pytest had run on older processes, because a fixture may have kept something of them.
    /// `None` on the first process.
    pub past: Option<u64>,
    /// Whether it passed.
    pub passed: bool,
    /// How long it took.
    pub ms: f64,
}

/// A running record of what a pytest has run on older processes.
#[derive(Debug, Default)]
struct Past {
    generation: Option<u32>,
    run: DefaultHasher,
    digest: Option<u64>,
}

impl Past {
    fn turn(&mut self, generation: u32, test: TestId) {
        if self.generation.is_some_and(|before| before != generation) {
            self.digest = Some(self.run.finish());
        }
        self.generation = Some(generation);
        self.run.write_usize(test);
    }
}

/// All results of the experiments.
#[derive(Debug, Clone, Default)]
pub struct Knowledge {
    test_index: TestIndex,
    observations: Vec<Vec<Observation>>,
    /// The first observation of each test in the suite's order.
    warm: Vec<Option<Observation>>,
    /// The first observation of each test on a separate process.
    fresh: Vec<Option<Observation>>,
    /// By file, how many turns it has had.
    times_warm: Vec<usize>,
    times_fresh: Vec<usize>,
    /// What was tried: which tests ran before which.
    together: Vec<(Vec<TestId>, Vec<TestId>)>,
    results: Vec<ExperimentResult>,
    /// How many seconds a test is assumed to take if nothing is known about it.
    guess: f64,
}

impl Knowledge {
    /// No evidence about these tests yet.
    #[must_use]
    pub fn new(test_index: TestIndex) -> Self {
        Self {
            observations: vec![Vec::new(); test_index.tests().len()],
            warm: vec![None; test_index.tests().len()],
            fresh: vec![None; test_index.tests().len()],
            times_warm: vec![0; test_index.file_count()],
            times_fresh: vec![0; test_index.file_count()],
            test_index,
            ..Self::default()
        }
    }

    /// The tests of the suite.
    #[must_use]
    pub const fn test_index(&self) -> &TestIndex {
        &self.test_index
    }

    /// Every result, in the order in which the experiments ended.
    #[must_use]
    pub fn results(&self) -> &[ExperimentResult] {
        &self.results
    }

    /// Takes in the result of an experiment. Ignores tests that are not in this suite.
    pub fn add(&mut self, result: ExperimentResult) {
        let mut served: HashMap<u32, Vec<TestId>> = HashMap::new();
        let mut past = Past::default();
        for seen in &result.tests {
            let Some(test) = self.test_index.find(&seen.test) else {
                continue;
            };
            let file = self.test_index.file_of(test);
            let Some(generation) = seen.generation else {
                continue;
            };
            past.turn(generation, test);
            let on_it = served.entry(generation).or_default();
            // What runs before the target is not all of its file, and so says nothing about itself.
            let asked = result.kind != Kind::Together
                || result
                    .files
                    .first()
                    .is_some_and(|target| target == self.test_index.file(file));
            if let Some(passed) = seen.outcome.passed().filter(|_| asked) {
                let of_others = |other: &TestId| self.test_index.file_of(*other) != file;
                let (mut context, mut own): (Vec<_>, Vec<_>) = on_it.iter().copied().partition(of_others);
                context.sort_unstable();
                own.sort_unstable();
                let observation = Observation {
                    context,
                    own,
                    past: past.digest,
                    passed,
                    ms: seen.ms,
                };
                match result.kind {
                    Kind::Warm => self.warm[test] = Some(observation.clone()),
                    Kind::Fresh if self.fresh[test].is_none() => self.fresh[test] = Some(observation.clone()),
                    Kind::Fresh | Kind::Together => {}
                }
                self.observations[test].push(observation);
            }
            on_it.push(test);
        }
        for file in 0..self.test_index.file_count() {
            let name = self.test_index.file(file);
            let reached = result.tests.iter().any(|seen| file_of(&seen.test) == name);
            match result.kind {
                Kind::Warm => self.times_warm[file] += usize::from(reached),
                Kind::Fresh => self.times_fresh[file] += usize::from(reached),
                Kind::Together => {}
            }
        }
        if result.kind == Kind::Together {
            let found = |tests: &[String]| {
                tests
                    .iter()
                    .filter_map(|test| self.test_index.find(test))
                    .collect()
            };
            self.together.push((found(&result.before), found(&result.target)));
        }
        self.results.push(result);
    }

    /// All observations of a test.
    #[must_use]
    pub fn observations(&self, test: TestId) -> &[Observation] {
        &self.observations[test]
    }

    /// How a test ended in the suite's order.
    #[must_use]
    pub fn warm(&self, test: TestId) -> Option<&Observation> {
        self.warm[test].as_ref()
    }

    /// How a test ended on its file's own process, the first time.
    #[must_use]
    pub fn fresh(&self, test: TestId) -> Option<&Observation> {
        self.fresh[test].as_ref()
    }

    /// Whether a file has had its turn in the suite's order.
    #[must_use]
    pub fn has_run_warm(&self, file: FileId) -> bool {
        self.times_warm[file] > 0
    }

    /// Whether a file has had its turn on its own process.
    #[must_use]
    pub fn has_run_fresh(&self, file: FileId) -> bool {
        self.times_fresh[file] > 0
    }

    /// Whether every file has had both turns.
    #[must_use]
    pub fn has_run_all(&self) -> bool {
        let mut files = 0..self.test_index.file_count();
        files.all(|file| self.has_run_warm(file) && self.has_run_fresh(file))
    }

    /// How many turns a file has had on its own process.
    #[must_use]
    pub fn times_fresh(&self, file: FileId) -> usize {
        self.times_fresh[file]
    }

    /// How many times a test was tried after these.
    #[must_use]
    pub fn times_tried(&self, before: &[TestId], test: TestId) -> usize {
        let same = |tried: &&(Vec<TestId>, Vec<TestId>)| tried.0 == before && tried.1.contains(&test);
        self.together.iter().filter(same).count()
    }

    /// How long a test takes, in seconds: as first observed, or guessed. The figure does not change later, so
    /// conclusions from it do not change either.
    #[must_use]
    pub fn seconds(&self, test: TestId) -> f64 {
        let seen = self.warm[test].as_ref().or(self.fresh[test].as_ref());
        seen.map_or(self.guess, |seen| seen.ms / 1e3)
    }

    /// Sets how many seconds a test is assumed to take until it has been observed.
    pub const fn guess(&mut self, seconds: f64) {
        self.guess = seconds;
    }

    /// What a pytest costs in addition to its tests, in seconds: as first observed.
    #[must_use]
    pub fn overhead(&self) -> f64 {
        let Some(warm) = self.results.iter().find(|result| result.kind == Kind::Warm) else {
            return self.guess;
        };
        let tests: f64 = warm.tests.iter().map(|seen| seen.ms / 1e3).sum();
        (warm.seconds - tests).max(0.0)
    }
}
