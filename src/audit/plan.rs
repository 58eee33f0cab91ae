//! Decides which experiments to run next: a pure function of what is known.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::Knowledge;
use super::experiment_result::Experiment;
use super::finding::{Judge, State, Wanted};
use super::test_index::{FileId, TestId};

/// The experiments that can run now, most urgent first, without those that already run. If there are none and none
/// is running, the audit is done.
#[must_use]
pub fn plan(knowledge: &Knowledge, repeat: u32, running: &[Experiment]) -> Vec<Experiment> {
    let mut wanted = first_turns(knowledge, running);
    wanted.extend(answers(knowledge, repeat));
    wanted.retain(|experiment| !running.contains(experiment));
    wanted
}

/// Every file in the suite's order, and every file on a process of its own.
fn first_turns(knowledge: &Knowledge, running: &[Experiment]) -> Vec<Experiment> {
    let files = 0..knowledge.test_index().file_count();
    let is_run = |file: FileId, warm: bool| {
        running.iter().any(|experiment| match experiment {
            Experiment::Warm(files) => warm && files.contains(&file),
            Experiment::Fresh(files) => !warm && files.contains(&file),
            Experiment::Together { .. } => false,
        })
    };
    let cold = files
        .clone()
        .filter(|file| !knowledge.has_run_warm(*file) && !is_run(*file, true));
    let stale = files.filter(|file| !knowledge.has_run_fresh(*file) && !is_run(*file, false));
    let turns = [
        Experiment::Warm(cold.collect()),
        Experiment::Fresh(stale.collect()),
    ];
    let any = |turn: &Experiment| !matches!(turn, Experiment::Warm(files) | Experiment::Fresh(files) if files.is_empty());
    turns.into_iter().filter(any).collect()
}

/// Experiments that tell more about the tests that differ.
fn answers(knowledge: &Knowledge, repeat: u32) -> Vec<Experiment> {
    let test_index = knowledge.test_index();
    let judge = Judge::new(knowledge, repeat);
    let mut again = None;
    // One result serves all tests of a file that ask for it, if the experiment runs as far as the last of them.
    let mut together: BTreeMap<(usize, FileId, Vec<TestId>), TestId> = BTreeMap::new();
    let mut of_kind = BTreeMap::new();
    for test in 0..test_index.tests().len() {
        let State::Open { difference, wanted } = judge.state(test) else {
            continue;
        };
        let file = test_index.file_of(test);
        for wanted in wanted {
            let (rank, before) = match wanted {
                Wanted::Respawned => {
                    again = again.max(Some(file));
                    continue;
                }
                // Flaky tests drop out.
                Wanted::Alone => (0, Vec::new()),
                // What is found for one test may also explain similar ones, so these come later.
                Wanted::After(before) => {
                    let same = of_kind.entry(difference).or_insert_with(Vec::new);
                    if !same.contains(&file) {
                        same.push(file);
                    }
                    (same.len(), before)
                }
            };
            together.insert((rank, file, before), test);
        }
    }
    let mut experiments: Vec<_> = again
        .map(|last| Experiment::Fresh((0..=last).collect()))
        .into_iter()
        .collect();
    experiments.extend(together.into_iter().map(|((_, file, before), until)| {
        let tests = test_index.tests_of(file).iter().copied();
        let target = tests.take_while(|test| *test <= until).collect();
        Experiment::Together { before, target }
    }));
    experiments
}

/// How many seconds the rest takes if `jobs` experiments run at a time. This is rough, because the findings decide
/// what else is needed.
#[must_use]
pub fn seconds_left(knowledge: &Knowledge, repeat: u32, jobs: usize) -> f64 {
    let test_index = knowledge.test_index();
    let seconds = |tests: &[TestId]| -> f64 { tests.iter().map(|test| knowledge.seconds(*test)).sum() };
    let of_file = |file: FileId| seconds(test_index.tests_of(file));
    let mut left = 0.0;
    for file in 0..test_index.file_count() {
        let turns = [knowledge.has_run_warm(file), knowledge.has_run_fresh(file)];
        left += of_file(file) * turns.iter().filter(|had| !**had).count() as f64;
    }
    let judge = Judge::new(knowledge, repeat);
    let mut files = BTreeSet::new();
    for test in 0..test_index.tests().len() {
        let State::Open { wanted, .. } = judge.state(test) else {
            continue;
        };
        let file = test_index.file_of(test);
        if !files.insert(file) {
            continue;
        }
        let one = knowledge.overhead() + of_file(file);
        for wanted in wanted {
            left += match wanted {
                Wanted::Alone | Wanted::Respawned => one,
                Wanted::After(before) => {
                    let steps = (before.len() as f64 + 1.0).log2().ceil() + f64::from(repeat) - 1.0;
                    steps * (one + seconds(&before) / 2.0)
                }
            };
        }
    }
    left / jobs.max(1) as f64
}
