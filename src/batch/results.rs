//! The results of a batch: a pure fold of its events and of how its processes ended. The same events give the same
//! results, whether live or read again later.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::format::gist;
use super::recovery::{self, Collection, Ended, Reached};
use super::verdict::{BatchVerdict, Counts, End, Lost};
use crate::file_url::text_path;
use crate::wire::{Event, EventLine, TestResult, file_of};

/// A running test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its node id.
    pub test: String,
    /// The xdist worker it runs on.
    pub worker: Option<String>,
    /// When it began, in milliseconds since the epoch.
    pub since_ms: u64,
}

/// A file that could not be collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// Its node id.
    pub node: String,
    /// The error.
    pub message: String,
}

/// The tests of one batch, over all its processes.
#[derive(Debug, Default)]
pub struct Results {
    /// The tests in the order of collection.
    expected: Vec<String>,
    known: HashSet<String>,
    by_test: HashMap<String, TestResult>,
    lost: Vec<Lost>,
    broken: Vec<Broken>,
    /// Problems of the batch as a whole, apart from the tests.
    trouble: Vec<String>,
    interrupted: bool,
    root: Option<PathBuf>,
    /// App processes that tests ran on: pytest process, worker, generation.
    apps: BTreeSet<(usize, Option<String>, u32)>,
    /// The number of tests without a result, by file.
    open: HashMap<String, usize>,
    processes: usize,
    process: Process,
}

/// The current pytest process.
#[derive(Debug, Default)]
struct Process {
    running: Vec<Running>,
    last_finished: Option<String>,
    run_folders: Vec<PathBuf>,
    session_ended: bool,
    /// It was told to continue despite files that cannot be collected.
    past_broken: bool,
}

impl Results {
    /// A process begins.
    pub fn begin(&mut self) {
        self.processes += 1;
        self.process = Process {
            past_broken: self.goes_past_broken(),
            ..Process::default()
        };
        self.interrupted = false;
    }

    /// Whether the next process must continue despite files that cannot be collected, because the one before did
    /// not.
    #[must_use]
    pub fn goes_past_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Takes in an event.
    pub fn take(&mut self, line: &EventLine) {
        match &line.event {
            Event::SessionStarted { root, .. } => self.root = Some(text_path(root)),
            Event::CollectionFailed { node, message } => {
                if !self.broken.iter().any(|broken| broken.node == *node) {
                    self.broken.push(Broken {
                        node: node.clone(),
                        message: message.clone(),
                    });
                }
            }
            Event::Collected { tests } => {
                for test in tests {
                    self.now_knows(test);
                }
            }
            Event::AppOpened { run_folder } => self.process.run_folders.push(text_path(run_folder)),
            Event::TestStarted { test } => {
                self.now_knows(test);
                self.process
                    .running
                    .retain(|running| running.worker != line.worker);
                self.process.running.push(Running {
                    test: test.clone(),
                    worker: line.worker.clone(),
                    since_ms: line.at_ms,
                });
            }
            Event::TestFinished(result) => self.finished(result, line.worker.as_ref()),
            Event::SessionFinished { .. } => self.process.session_ended = true,
        }
    }

    fn finished(&mut self, result: &TestResult, worker: Option<&String>) {
        self.now_knows(&result.test);
        self.process.running.retain(|running| running.test != result.test);
        self.process.last_finished = Some(result.test.clone());
        // 0 means that the test's app could not be started.
        if let Some(generation) = result.generation.filter(|generation| *generation > 0) {
            self.apps.insert((self.processes, worker.cloned(), generation));
        }
        let open = self.open.entry(file_of(&result.test).to_owned()).or_default();
        if self.by_test.insert(result.test.clone(), result.clone()).is_none() {
            *open = open.saturating_sub(1);
        }
    }

    fn now_knows(&mut self, test: &str) {
        if self.known.insert(test.to_owned()) {
            self.expected.push(test.to_owned());
            *self.open.entry(file_of(test).to_owned()).or_default() += 1;
        }
    }

    /// The process has ended. Returns the tests for another process. If none runs them, call [`Results::give_up`]
    /// with them.
    #[must_use]
    pub fn end(&mut self, end: &End) -> Vec<String> {
        let unfinished = self.unfinished();
        let recovery = recovery::after(&Ended {
            end,
            in_order: self.process.session_ended,
            running: &self.process.running,
            last_finished: self.process.last_finished.as_deref(),
            unfinished: &unfinished,
            reached: match (&self.root, self.expected.is_empty()) {
                (_, false) => Reached::Tests,
                (Some(_), true) => Reached::Session,
                (None, true) => Reached::Nothing,
            },
            has_failures: self.failing().next().is_some(),
            collection: match (self.broken.is_empty(), self.process.past_broken) {
                (true, _) => Collection::Whole,
                (false, false) => Collection::Broken,
                (false, true) => Collection::WithoutBroken,
            },
        });
        self.process.running.clear();
        self.interrupted |= recovery.interrupted;
        self.trouble.extend(recovery.trouble);
        self.lost.extend(recovery.lost);
        recovery.goes_on_with
    }

    /// The user stopped the run, but meanwhile the process has ended in another way.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// No process will run these tests.
    pub fn give_up(&mut self, tests: &[String]) {
        let why = match self.trouble.last() {
            Some(trouble) => format!("never ran: {trouble}"),
            None => "never ran".to_owned(),
        };
        self.lost
            .extend(tests.iter().map(|test| Lost::victim(test, &why)));
    }

    /// Known tests without a result that may still get one.
    #[must_use]
    pub fn unfinished(&self) -> Vec<String> {
        let lost: HashSet<_> = self.lost.iter().map(|lost| lost.test.as_str()).collect();
        let open = |test: &&String| !self.by_test.contains_key(*test) && !lost.contains(test.as_str());
        self.expected.iter().filter(open).cloned().collect()
    }

    /// How the batch ended, and details. `narrowed`: the arguments may have deselected all of its tests.
    #[must_use]
    pub fn verdict(&self, narrowed: bool) -> (BatchVerdict, Option<String>) {
        let broken = self.broken.iter().map(|broken| {
            format!(
                "{} could not be collected: {}",
                broken.node,
                gist(&broken.message)
            )
        });
        let mut told: Vec<_> = broken.chain(self.trouble.iter().cloned()).collect();
        let verdict = if self.interrupted {
            BatchVerdict::Interrupted
        } else if !told.is_empty() || !self.lost.is_empty() {
            BatchVerdict::Lost
        } else if self.failing().next().is_some() {
            BatchVerdict::Failed
        } else if !self.by_test.is_empty() {
            BatchVerdict::Passed
        } else if narrowed {
            BatchVerdict::NoTests
        } else {
            told.push("pytest found no tests".to_owned());
            BatchVerdict::Lost
        };
        if told.is_empty() && !self.lost.is_empty() {
            told.push("pytest ended before all tests had run".to_owned());
        }
        (verdict, (!told.is_empty()).then(|| told.join("; ")))
    }

    /// The numbers of its tests.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let lines: BTreeSet<_> = self
            .apps
            .iter()
            .map(|(process, worker, _)| (process, worker))
            .collect();
        let mut counts = Counts {
            lost: self.lost.len(),
            respawns: self.apps.len() - lines.len(),
            ..Counts::default()
        };
        for result in self.by_test.values() {
            counts.add(result);
        }
        counts
    }

    /// The numbers of the tests of one file.
    #[must_use]
    pub fn counts_of(&self, wanted: &str) -> Counts {
        let mut counts = Counts {
            lost: self
                .lost
                .iter()
                .filter(|lost| file_of(&lost.test) == wanted)
                .count(),
            ..Counts::default()
        };
        for result in self
            .by_test
            .values()
            .filter(|result| file_of(&result.test) == wanted)
        {
            counts.add(result);
        }
        counts
    }

    /// Whether every known test of a file has a result.
    #[must_use]
    pub fn is_done(&self, wanted: &str) -> bool {
        self.open.get(wanted).is_none_or(|open| *open == 0)
    }

    /// The number of known tests, and of those that have a result or will never get one.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.by_test.len() + self.lost.len(), self.expected.len())
    }

    /// Every known test in the order of collection, with its result.
    pub fn tests(&self) -> impl Iterator<Item = (&str, Option<&TestResult>)> {
        self.expected
            .iter()
            .map(|test| (test.as_str(), self.by_test.get(test)))
    }

    /// Results that are not good.
    pub fn failing(&self) -> impl Iterator<Item = &TestResult> {
        self.tests()
            .filter_map(|(_, result)| result)
            .filter(|result| !result.outcome.is_good())
    }

    /// Tests without a result.
    #[must_use]
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// Files that could not be collected.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// The running tests.
    #[must_use]
    pub fn running(&self) -> &[Running] {
        &self.process.running
    }

    /// Run folders of the `live_gui` handles of the current process.
    #[must_use]
    pub fn run_folders(&self) -> &[PathBuf] {
        &self.process.run_folders
    }

    /// pytest's root folder, which node ids are relative to; `None` if the plugin reported nothing at all.
    #[must_use]
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TestOutcome;

    fn line(worker: Option<&str>, event: Event) -> EventLine {
        EventLine {
            at_ms: 0,
            worker: worker.map(str::to_owned),
            event,
        }
    }

    fn result(test: &str, outcome: &str) -> Event {
        Event::TestFinished(Box::new(TestResult {
            test: test.to_owned(),
            outcome: outcome.to_owned().into(),
            ..TestResult::default()
        }))
    }

    fn started(test: &str) -> Event {
        Event::TestStarted {
            test: test.to_owned(),
        }
    }

    /// A process that has collected these tests.
    fn begun(tests: &[&str]) -> Results {
        let mut results = Results::default();
        results.begin();
        let tests = tests.iter().map(ToString::to_string).collect();
        results.take(&line(None, Event::Collected { tests }));
        results
    }

    fn run(results: &mut Results, test: &str, outcome: &str) {
        results.take(&line(None, started(test)));
        results.take(&line(None, result(test, outcome)));
    }

    fn finish(results: &mut Results, status: i32) -> Vec<String> {
        let exit_status = status;
        results.take(&line(None, Event::SessionFinished { exit_status }));
        results.end(&exited(status))
    }

    fn exited(code: i32) -> End {
        End::Exited {
            code: Some(code),
            text: format!("exit status {code}"),
        }
    }

    fn killed() -> End {
        End::Exited {
            code: None,
            text: "signal 9 (SIGKILL)".to_owned(),
        }
    }

    fn lost(results: &Results) -> Vec<(&str, bool)> {
        results
            .lost()
            .iter()
            .map(|lost| (lost.test.as_str(), lost.culprit))
            .collect()
    }

    const THREE_FILES: [&str; 5] = ["a.py::1", "a.py::2", "a.py::3", "b.py::1", "c.py::1"];

    #[test]
    fn when_pytest_dies_the_running_test_is_blamed_its_file_is_lost_and_the_next_files_go_on() {
        let mut results = begun(&THREE_FILES);
        run(&mut results, "a.py::1", "passed");
        results.take(&line(None, started("a.py::2")));
        assert_eq!(results.end(&killed()), ["b.py::1", "c.py::1"]);
        assert_eq!(lost(&results), [("a.py::2", true), ("a.py::3", false)]);
        results.begin();
        run(&mut results, "b.py::1", "passed");
        run(&mut results, "c.py::1", "passed");
        assert!(finish(&mut results, 0).is_empty());
        let (verdict, why) = results.verdict(false);
        assert_eq!(verdict, BatchVerdict::Lost, "what was lost stays lost");
        assert_eq!(
            why.unwrap(),
            "pytest ended with signal 9 (SIGKILL), during a.py::2"
        );
        assert_eq!(results.counts().line(), "3 passed, 2 lost");
        assert_eq!(results.progress(), (5, 5));
    }

    #[test]
    fn between_two_tests_the_file_of_the_last_one_is_what_it_died_in() {
        let mut results = begun(&THREE_FILES);
        run(&mut results, "a.py::1", "passed");
        assert_eq!(results.end(&killed()), ["b.py::1", "c.py::1"]);
        assert_eq!(lost(&results), [("a.py::2", false), ("a.py::3", false)]);
        assert!(results.verdict(false).1.unwrap().ends_with("after a.py::1"));
    }

    #[test]
    fn before_the_first_test_nothing_says_what_to_leave_out_so_nothing_goes_on() {
        let mut results = begun(&THREE_FILES);
        assert!(results.end(&killed()).is_empty());
        assert_eq!(results.lost().len(), 5);
        let mut silent = Results::default();
        silent.begin();
        assert!(silent.end(&exited(4)).is_empty());
        let (verdict, why) = silent.verdict(true);
        assert_eq!(verdict, BatchVerdict::Lost);
        assert_eq!(
            why.unwrap(),
            "pytest ended with exit status 4, before its livegui plugin said anything"
        );
    }

    #[test]
    fn under_xdist_every_running_test_is_blamed() {
        let mut results = begun(&THREE_FILES);
        results.take(&line(Some("gw0"), started("a.py::1")));
        results.take(&line(Some("gw1"), started("b.py::1")));
        assert_eq!(results.end(&killed()), ["c.py::1"]);
        let culprits: Vec<_> = results.lost().iter().filter(|lost| lost.culprit).collect();
        assert_eq!(culprits.len(), 2);
    }

    #[test]
    fn verdicts_follow_from_results_and_the_exit_status() {
        let judged = |told: &[(&str, &str)], status: i32, narrowed: bool| {
            let names: Vec<_> = told.iter().map(|(test, _)| *test).collect();
            let mut results = begun(&names);
            for (test, outcome) in told.iter().filter(|(_, outcome)| !outcome.is_empty()) {
                run(&mut results, test, outcome);
            }
            assert!(finish(&mut results, status).is_empty());
            results.verdict(narrowed).0
        };
        assert_eq!(
            judged(&[("a", "passed"), ("b", "xfailed")], 0, false),
            BatchVerdict::Passed
        );
        assert_eq!(
            judged(&[("a", "passed"), ("b", "victim")], 1, false),
            BatchVerdict::Failed
        );
        assert_eq!(
            judged(&[("a", "failed"), ("b", "")], 1, false),
            BatchVerdict::Failed,
            "-x"
        );
        assert_eq!(
            judged(&[("a", "passed")], 1, false),
            BatchVerdict::Lost,
            "who says so?"
        );
        assert_eq!(
            judged(&[("a", "passed"), ("b", "")], 0, false),
            BatchVerdict::Lost
        );
        assert_eq!(
            judged(&[("a", "passed"), ("b", "")], 2, false),
            BatchVerdict::Lost
        );
        assert_eq!(judged(&[], 5, true), BatchVerdict::NoTests);
        assert_eq!(judged(&[], 5, false), BatchVerdict::Lost);
    }

    #[test]
    fn a_file_that_cannot_be_collected_loses_the_batch_and_is_named() {
        let mut results = begun(&["b.py::1"]);
        let failed = Event::CollectionFailed {
            node: "a.py".to_owned(),
            message: "ImportError while importing\nE   ModuleNotFoundError: x".to_owned(),
        };
        results.take(&line(Some("gw0"), failed.clone()));
        results.take(&line(Some("gw1"), failed));
        assert_eq!(
            finish(&mut results, 2),
            ["b.py::1"],
            "asked to, pytest runs the others"
        );
        assert!(results.goes_past_broken());
        results.begin();
        assert!(
            finish(&mut results, 2).is_empty(),
            "it did not, and is not asked for ever"
        );
        let (verdict, why) = results.verdict(false);
        assert_eq!(verdict, BatchVerdict::Lost);
        assert_eq!(
            why.unwrap(),
            "a.py could not be collected: ModuleNotFoundError: x"
        );
        assert_eq!(lost(&results), [("b.py::1", false)]);
    }

    #[test]
    fn an_interrupted_batch_blames_nobody_and_can_go_on() {
        let mut results = begun(&["a.py::1", "a.py::2", "b.py::1"]);
        run(&mut results, "a.py::1", "passed");
        results.take(&line(None, started("a.py::2")));
        assert!(results.end(&End::Interrupted).is_empty());
        assert_eq!(results.verdict(false).0, BatchVerdict::Interrupted);
        assert_eq!(results.unfinished(), ["a.py::2", "b.py::1"]);
        results.begin();
        run(&mut results, "a.py::2", "passed");
        run(&mut results, "b.py::1", "passed");
        assert!(finish(&mut results, 0).is_empty());
        assert_eq!(results.verdict(false).0, BatchVerdict::Passed);
    }

    #[test]
    fn a_batch_that_is_interrupted_after_its_last_test_is_at_its_end() {
        let mut results = begun(&["a.py::1"]);
        run(&mut results, "a.py::1", "failed");
        assert!(results.end(&End::Interrupted).is_empty());
        assert_eq!(results.verdict(false).0, BatchVerdict::Failed);
        let mut early = Results::default();
        early.begin();
        assert!(early.end(&End::Interrupted).is_empty());
        assert_eq!(
            early.verdict(false).0,
            BatchVerdict::Interrupted,
            "it had not collected yet"
        );
    }

    #[test]
    fn respawns_are_counted_for_each_handle() {
        let mut results = begun(&[]);
        let on = |test: &str, generation| {
            Event::TestFinished(Box::new(TestResult {
                test: test.to_owned(),
                outcome: TestOutcome::Passed,
                generation: Some(generation),
                ..TestResult::default()
            }))
        };
        for (worker, test, generation) in [("gw0", "1", 1), ("gw0", "2", 1), ("gw0", "3", 3), ("gw1", "4", 1)]
        {
            results.take(&line(Some(worker), on(test, generation)));
        }
        assert_eq!(results.counts().respawns, 1);
    }
}
