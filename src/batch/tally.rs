//! What became of the tests of a batch: its events and the ends of its processes, folded into an outcome.
//! Pure: the same events give the same outcome, live or read again later.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::words::{count, gist};
use crate::wire::{Event, EventLine, TestResult, file_of};

/// pytest's own words for how it ended.
mod pytest {
    pub const PASSED: i32 = 0;
    pub const FAILED: i32 = 1;
    pub const INTERNAL_ERROR: i32 = 3;
    pub const NO_TESTS: i32 = 5;
}

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
pub enum Verdict {
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

impl Verdict {
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

    fn add(&mut self, result: &TestResult) {
        let count = match result.outcome.as_str() {
            "passed" | "xpassed" => &mut self.passed,
            "failed" => &mut self.failed,
            "victim" => &mut self.victims,
            "skipped" | "xfailed" => &mut self.skipped,
            _ => &mut self.errors,
        };
        *count += 1;
    }
}

/// A test that runs.
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
    /// What it said.
    pub message: String,
}

/// The tests of one batch, over all of its processes.
#[derive(Debug, Default)]
pub struct Tally {
    /// In the order in which they were collected.
    expected: Vec<String>,
    known: HashSet<String>,
    results: HashMap<String, TestResult>,
    lost: Vec<Lost>,
    broken: Vec<Broken>,
    /// What happened to the batch as a whole, beside the tests.
    trouble: Vec<String>,
    interrupted: bool,
    root: Option<String>,
    /// App processes that tests ran on: pytest process, worker, generation.
    apps: BTreeSet<(usize, Option<String>, u32)>,
    /// Tests without a result, by file.
    open: HashMap<String, usize>,
    processes: usize,
    process: Process,
}

/// The pytest process of the moment.
#[derive(Debug, Default)]
struct Process {
    running: Vec<Running>,
    last_finished: Option<String>,
    run_folders: Vec<String>,
    session_ended: bool,
    /// It was told to go on past files that cannot be collected.
    past_broken: bool,
}

impl Tally {
    /// A process begins.
    pub fn begin(&mut self) {
        self.processes += 1;
        self.process = Process {
            past_broken: self.goes_past_broken(),
            ..Process::default()
        };
        self.interrupted = false;
    }

    /// Whether the next process is to go on past files that cannot be collected: the one before did not.
    #[must_use]
    pub fn goes_past_broken(&self) -> bool {
        !self.broken.is_empty()
    }

    /// Takes in what it did.
    pub fn take(&mut self, line: &EventLine) {
        match &line.event {
            Event::SessionStarted { root, .. } => self.root = Some(root.clone()),
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
            Event::AppOpened { run_folder } => self.process.run_folders.push(run_folder.clone()),
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
        // 0: its app could not be started.
        if let Some(generation) = result.generation.filter(|generation| *generation > 0) {
            self.apps.insert((self.processes, worker.cloned(), generation));
        }
        let open = self.open.entry(file_of(&result.test).to_owned()).or_default();
        if self.results.insert(result.test.clone(), result.clone()).is_none() {
            *open = open.saturating_sub(1);
        }
    }

    fn now_knows(&mut self, test: &str) {
        if self.known.insert(test.to_owned()) {
            self.expected.push(test.to_owned());
            *self.open.entry(file_of(test).to_owned()).or_default() += 1;
        }
    }

    /// The process has ended. Returns the tests that another one can go on with, which are those of the
    /// files after the one in which it died; if none does, [`Tally::give_up`] is to be told of them.
    #[must_use]
    pub fn end(&mut self, end: &End) -> Vec<String> {
        let orderly = self.process.session_ended;
        match end {
            End::Interrupted => {
                // It may have come to its end all the same.
                self.interrupted = self.expected.is_empty() || !self.unfinished().is_empty();
                Vec::new()
            }
            End::NotStarted { why } => {
                self.trouble.push(format!("pytest was not started: {why}"));
                self.lose_all("pytest was not started")
            }
            End::Exited { code: Some(code), .. } if orderly && *code != pytest::INTERNAL_ERROR => {
                self.ended_in_order(*code)
            }
            End::Exited { text, .. } => self.died(&format!("pytest ended with {text}")),
            End::TimedOut { limit } => self.died(&format!("pytest hung: no end within {limit}")),
        }
    }

    fn ended_in_order(&mut self, code: i32) -> Vec<String> {
        let unfinished = !self.unfinished().is_empty();
        match code {
            pytest::FAILED if self.broken.is_empty() => {
                // With -x or --maxfail it stops there, as it was told to.
                if self.failing().next().is_none() {
                    let what = "pytest ended with exit status 1, though no test failed";
                    self.trouble.push(what.to_owned());
                }
                return Vec::new();
            }
            pytest::PASSED | pytest::NO_TESTS if !unfinished => return Vec::new(),
            pytest::PASSED | pytest::NO_TESTS | pytest::FAILED => {}
            _ if self.broken.is_empty() => self.trouble.push(format!("pytest ended with exit status {code}")),
            // It runs nothing because of one file; asked to, it runs the others.
            _ if !self.process.past_broken => return self.unfinished(),
            _ => {}
        }
        self.lose_all("never ran: pytest ended before it")
    }

    /// In the middle of something.
    fn died(&mut self, how: &str) -> Vec<String> {
        let running = std::mem::take(&mut self.process.running);
        let last = self.process.last_finished.clone();
        let (during, dead): (String, Vec<String>) = if !running.is_empty() {
            for running in &running {
                self.lose(&running.test, &format!("{how} while it ran"), true);
            }
            let tests: Vec<_> = running.iter().map(|running| running.test.as_str()).collect();
            let files = tests.iter().map(|test| file_of(test).to_owned()).collect();
            (format!("during {}", tests.join(", ")), files)
        } else if let Some(last) = last {
            (format!("after {last}"), vec![file_of(&last).to_owned()])
        } else {
            let when = if self.root.is_none() {
                "before its livegui plugin said anything"
            } else if self.expected.is_empty() {
                "before it had collected its tests"
            } else {
                "before the first test"
            };
            self.trouble.push(format!("{how}, {when}"));
            return self.lose_all(&format!("never ran: {how}"));
        };
        self.trouble.push(format!("{how}, {during}"));
        let (with_it, after): (Vec<_>, Vec<_>) = self
            .unfinished()
            .into_iter()
            .partition(|test| dead.iter().any(|dead| dead == file_of(test)));
        for test in with_it {
            self.lose(&test, &format!("never ran: {how}, {during}"), false);
        }
        after
    }

    fn lose_all(&mut self, why: &str) -> Vec<String> {
        for test in self.unfinished() {
            self.lose(&test, why, false);
        }
        Vec::new()
    }

    fn lose(&mut self, test: &str, why: &str, culprit: bool) {
        self.lost.push(Lost {
            test: test.to_owned(),
            why: why.to_owned(),
            culprit,
        });
    }

    /// Whoever runs the batches wanted their end, and the process has come to another one meanwhile.
    pub fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// No process goes on with these tests.
    pub fn give_up(&mut self, tests: &[String]) {
        let why = match self.trouble.last() {
            Some(trouble) => format!("never ran: {trouble}"),
            None => "never ran".to_owned(),
        };
        for test in tests {
            self.lose(test, &why, false);
        }
    }

    /// Tests that are known and have no result yet, and may still get one.
    #[must_use]
    pub fn unfinished(&self) -> Vec<String> {
        let lost: HashSet<_> = self.lost.iter().map(|lost| lost.test.as_str()).collect();
        let open = |test: &&String| !self.results.contains_key(*test) && !lost.contains(test.as_str());
        self.expected.iter().filter(open).cloned().collect()
    }

    /// How the batch ended, and what else there is to say. `narrowed`: it was asked for a part of its
    /// tests only, which may be none.
    #[must_use]
    pub fn verdict(&self, narrowed: bool) -> (Verdict, Option<String>) {
        let broken = self.broken.iter().map(|broken| {
            format!(
                "{} could not be collected: {}",
                broken.node,
                gist(&broken.message)
            )
        });
        let mut told: Vec<_> = broken.chain(self.trouble.iter().cloned()).collect();
        let verdict = if self.interrupted {
            Verdict::Interrupted
        } else if !told.is_empty() || !self.lost.is_empty() {
            Verdict::Lost
        } else if self.failing().next().is_some() {
            Verdict::Failed
        } else if !self.results.is_empty() {
            Verdict::Passed
        } else if narrowed {
            Verdict::NoTests
        } else {
            told.push("pytest found no tests".to_owned());
            Verdict::Lost
        };
        if told.is_empty() && !self.lost.is_empty() {
            told.push("pytest ended before all tests had run".to_owned());
        }
        (verdict, (!told.is_empty()).then(|| told.join("; ")))
    }

    /// Its figures.
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
        for result in self.results.values() {
            counts.add(result);
        }
        counts
    }

    /// The figures of one file.
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
            .results
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

    /// Known tests, and those of them that have a result or never will have.
    #[must_use]
    pub fn progress(&self) -> (usize, usize) {
        (self.results.len() + self.lost.len(), self.expected.len())
    }

    /// Every known test, in the order in which it was collected, with its result.
    pub fn tests(&self) -> impl Iterator<Item = (&str, Option<&TestResult>)> {
        self.expected
            .iter()
            .map(|test| (test.as_str(), self.results.get(test)))
    }

    /// Results that are not good.
    pub fn failing(&self) -> impl Iterator<Item = &TestResult> {
        self.tests()
            .filter_map(|(_, result)| result)
            .filter(|result| is_bad(result))
    }

    /// Tests that have no result.
    #[must_use]
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// Files that could not be collected.
    #[must_use]
    pub fn broken(&self) -> &[Broken] {
        &self.broken
    }

    /// What runs at the moment.
    #[must_use]
    pub fn running(&self) -> &[Running] {
        &self.process.running
    }

    /// Run folders of the `live_gui` handles of the process of the moment.
    #[must_use]
    pub fn run_folders(&self) -> &[String] {
        &self.process.run_folders
    }

    /// pytest's root folder, which node ids begin at; `None` if its plugin said nothing at all.
    #[must_use]
    pub fn root(&self) -> Option<&str> {
        self.root.as_deref()
    }
}

/// Whether a result is not good: also one of a kind that only a newer plugin knows.
#[must_use]
pub fn is_bad(result: &TestResult) -> bool {
    !matches!(
        result.outcome.as_str(),
        "passed" | "xpassed" | "skipped" | "xfailed"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
            outcome: outcome.to_owned(),
            ..TestResult::default()
        }))
    }

    fn started(test: &str) -> Event {
        Event::TestStarted {
            test: test.to_owned(),
        }
    }

    /// A process that has collected these.
    fn begun(tests: &[&str]) -> Tally {
        let mut tally = Tally::default();
        tally.begin();
        let tests = tests.iter().map(ToString::to_string).collect();
        tally.take(&line(None, Event::Collected { tests }));
        tally
    }

    fn run(tally: &mut Tally, test: &str, outcome: &str) {
        tally.take(&line(None, started(test)));
        tally.take(&line(None, result(test, outcome)));
    }

    fn finish(tally: &mut Tally, status: i32) -> Vec<String> {
        let exit_status = status;
        tally.take(&line(None, Event::SessionFinished { exit_status }));
        tally.end(&exited(status))
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

    fn lost(tally: &Tally) -> Vec<(&str, bool)> {
        tally
            .lost()
            .iter()
            .map(|lost| (lost.test.as_str(), lost.culprit))
            .collect()
    }

    const THREE_FILES: [&str; 5] = ["a.py::1", "a.py::2", "a.py::3", "b.py::1", "c.py::1"];

    #[test]
    fn when_pytest_dies_the_running_test_is_blamed_its_file_is_lost_and_the_next_files_go_on() {
        let mut tally = begun(&THREE_FILES);
        run(&mut tally, "a.py::1", "passed");
        tally.take(&line(None, started("a.py::2")));
        assert_eq!(tally.end(&killed()), ["b.py::1", "c.py::1"]);
        assert_eq!(lost(&tally), [("a.py::2", true), ("a.py::3", false)]);
        tally.begin();
        run(&mut tally, "b.py::1", "passed");
        run(&mut tally, "c.py::1", "passed");
        assert!(finish(&mut tally, 0).is_empty());
        let (verdict, why) = tally.verdict(false);
        assert_eq!(verdict, Verdict::Lost, "what was lost stays lost");
        assert_eq!(
            why.unwrap(),
            "pytest ended with signal 9 (SIGKILL), during a.py::2"
        );
        assert_eq!(tally.counts().line(), "3 passed, 2 lost");
        assert_eq!(tally.progress(), (5, 5));
    }

    #[test]
    fn between_two_tests_the_file_of_the_last_one_is_what_it_died_in() {
        let mut tally = begun(&THREE_FILES);
        run(&mut tally, "a.py::1", "passed");
        assert_eq!(tally.end(&killed()), ["b.py::1", "c.py::1"]);
        assert_eq!(lost(&tally), [("a.py::2", false), ("a.py::3", false)]);
        assert!(tally.verdict(false).1.unwrap().ends_with("after a.py::1"));
    }

    #[test]
    fn before_the_first_test_nothing_says_what_to_leave_out_so_nothing_goes_on() {
        let mut tally = begun(&THREE_FILES);
        assert!(tally.end(&killed()).is_empty());
        assert_eq!(tally.lost().len(), 5);
        let mut silent = Tally::default();
        silent.begin();
        assert!(silent.end(&exited(4)).is_empty());
        let (verdict, why) = silent.verdict(true);
        assert_eq!(verdict, Verdict::Lost);
        assert_eq!(
            why.unwrap(),
            "pytest ended with exit status 4, before its livegui plugin said anything"
        );
    }

    #[test]
    fn under_xdist_every_running_test_is_blamed() {
        let mut tally = begun(&THREE_FILES);
        tally.take(&line(Some("gw0"), started("a.py::1")));
        tally.take(&line(Some("gw1"), started("b.py::1")));
        assert_eq!(tally.end(&killed()), ["c.py::1"]);
        let culprits: Vec<_> = tally.lost().iter().filter(|lost| lost.culprit).collect();
        assert_eq!(culprits.len(), 2);
    }

    #[test]
    fn verdicts_follow_from_results_and_the_exit_status() {
        let judged = |results: &[(&str, &str)], status: i32, narrowed: bool| {
            let names: Vec<_> = results.iter().map(|(test, _)| *test).collect();
            let mut tally = begun(&names);
            for (test, outcome) in results.iter().filter(|(_, outcome)| !outcome.is_empty()) {
                run(&mut tally, test, outcome);
            }
            assert!(finish(&mut tally, status).is_empty());
            tally.verdict(narrowed).0
        };
        assert_eq!(
            judged(&[("a", "passed"), ("b", "xfailed")], 0, false),
            Verdict::Passed
        );
        assert_eq!(
            judged(&[("a", "passed"), ("b", "victim")], 1, false),
            Verdict::Failed
        );
        assert_eq!(
            judged(&[("a", "failed"), ("b", "")], 1, false),
            Verdict::Failed,
            "-x"
        );
        assert_eq!(
            judged(&[("a", "passed")], 1, false),
            Verdict::Lost,
            "who says so?"
        );
        assert_eq!(judged(&[("a", "passed"), ("b", "")], 0, false), Verdict::Lost);
        assert_eq!(judged(&[("a", "passed"), ("b", "")], 2, false), Verdict::Lost);
        assert_eq!(judged(&[], 5, true), Verdict::NoTests);
        assert_eq!(judged(&[], 5, false), Verdict::Lost);
    }

    #[test]
    fn a_file_that_cannot_be_collected_loses_the_batch_and_is_named() {
        let mut tally = begun(&["b.py::1"]);
        let failed = Event::CollectionFailed {
            node: "a.py".to_owned(),
            message: "ImportError while importing\nE   ModuleNotFoundError: x".to_owned(),
        };
        tally.take(&line(Some("gw0"), failed.clone()));
        tally.take(&line(Some("gw1"), failed));
        assert_eq!(
            finish(&mut tally, 2),
            ["b.py::1"],
            "asked to, pytest runs the others"
        );
        assert!(tally.goes_past_broken());
        tally.begin();
        assert!(
            finish(&mut tally, 2).is_empty(),
            "it did not, and is not asked for ever"
        );
        let (verdict, why) = tally.verdict(false);
        assert_eq!(verdict, Verdict::Lost);
        assert_eq!(
            why.unwrap(),
            "a.py could not be collected: ModuleNotFoundError: x"
        );
        assert_eq!(lost(&tally), [("b.py::1", false)]);
    }

    #[test]
    fn an_interrupted_batch_blames_nobody_and_can_go_on() {
        let mut tally = begun(&["a.py::1", "a.py::2", "b.py::1"]);
        run(&mut tally, "a.py::1", "passed");
        tally.take(&line(None, started("a.py::2")));
        assert!(tally.end(&End::Interrupted).is_empty());
        assert_eq!(tally.verdict(false).0, Verdict::Interrupted);
        assert_eq!(tally.unfinished(), ["a.py::2", "b.py::1"]);
        tally.begin();
        run(&mut tally, "a.py::2", "passed");
        run(&mut tally, "b.py::1", "passed");
        assert!(finish(&mut tally, 0).is_empty());
        assert_eq!(tally.verdict(false).0, Verdict::Passed);
    }

    #[test]
    fn a_batch_that_is_interrupted_after_its_last_test_is_at_its_end() {
        let mut tally = begun(&["a.py::1"]);
        run(&mut tally, "a.py::1", "failed");
        assert!(tally.end(&End::Interrupted).is_empty());
        assert_eq!(tally.verdict(false).0, Verdict::Failed);
        let mut early = Tally::default();
        early.begin();
        assert!(early.end(&End::Interrupted).is_empty());
        assert_eq!(
            early.verdict(false).0,
            Verdict::Interrupted,
            "it had not collected yet"
        );
    }

    #[test]
    fn respawns_are_counted_for_each_handle() {
        let mut tally = begun(&[]);
        let on = |test: &str, generation| {
            Event::TestFinished(Box::new(TestResult {
                test: test.to_owned(),
                outcome: "passed".to_owned(),
                generation: Some(generation),
                ..TestResult::default()
            }))
        };
        for (worker, test, generation) in [("gw0", "1", 1), ("gw0", "2", 1), ("gw0", "3", 3), ("gw1", "4", 1)]
        {
            tally.take(&line(Some(worker), on(test, generation)));
        }
        assert_eq!(tally.counts().respawns, 1);
    }
}
