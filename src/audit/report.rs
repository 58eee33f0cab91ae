//! The result of an audit: findings, marks and costs, for people and programs.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::evidence::Knowledge;
use super::experiment_result::Kind;
use super::finding::{Difference, Judge, State, TestFinding};
use super::test_index::{FileId, TestId};
use crate::wire::file_of;

/// The kind of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// Passes in the suite's order, fails alone.
    DependsOnPriorState,
    /// Passes alone, fails in the suite's order.
    Polluted,
    /// Alone, it does one thing on the first process of a run and another on a later one.
    KeepsOldProcess,
    /// The app fails during it.
    Crashes,
    /// Its result varies under identical conditions.
    Flaky,
}

impl Finding {
    /// The text for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DependsOnPriorState => "depends on prior state",
            Self::Polluted => "polluted",
            Self::KeepsOldProcess => "keeps the old process",
            Self::Crashes => "crashes the app",
            Self::Flaky => "flaky",
        }
    }
}

/// A finding for one or more tests of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The kind.
    pub finding: Finding,
    /// The file.
    pub file: String,
    /// The node ids of the tests.
    pub tests: Vec<String>,
    /// Whether these are all live tests of the file.
    pub whole_file: bool,
    /// The tests that left what makes the difference; empty if these were not found, or do not matter.
    pub causes: Vec<String>,
    /// What was observed, in numbers.
    pub seen: String,
    /// The text of the failure, or what is wrong with the app.
    pub said: String,
}

/// A mark to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The file.
    pub file: String,
    /// The node ids of the tests that get it.
    pub tests: Vec<String>,
    /// Whether these are all live tests of the file.
    pub whole_file: bool,
    /// The files that are required.
    pub requires: Vec<String>,
}

/// The measured cost of `live_gui_scope = module`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// The duration of the tests in the suite's order, on one process, in seconds.
    pub warm_s: f64,
    /// The additional cost of one process per file, with this many spares.
    pub with_spares: Option<Added>,
    /// The same without spares.
    pub without_spares: Option<Added>,
}

/// An additional cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Added {
    /// How many ready apps were kept waiting.
    pub spares: u32,
    /// In seconds.
    pub seconds: f64,
    /// Starts of an app beyond the first.
    pub starts: usize,
}

/// The findings so far, whether the audit is complete or not.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The findings, in the suite's order.
    pub found: Vec<Found>,
    /// The marks to add.
    pub marks: Vec<Mark>,
    /// Tests that fail both ways, independent of state.
    pub fails: Vec<String>,
    /// Tests that were skipped, or did not run one of the two ways.
    pub not_judged: Vec<String>,
    /// Tests that are not known yet; empty unless the audit was interrupted.
    pub pending: Vec<String>,
    /// The cost, once every file has had both turns.
    pub cost: Option<Cost>,
}

/// What tests of one file may have in common.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shared {
    file: FileId,
    finding: Finding,
    causes: Vec<TestId>,
    seen: String,
}

/// Makes the report.
#[must_use]
pub fn report(knowledge: &Knowledge, repeat: u32, spares: u32) -> Report {
    let test_index = knowledge.test_index();
    let mut report = Report::default();
    let judge = Judge::new(knowledge, repeat);
    let mut groups: BTreeMap<Shared, Vec<TestId>> = BTreeMap::new();
    for test in 0..test_index.tests().len() {
        let name = test_index.test(test);
        let verdict = match judge.state(test) {
            State::Settled(verdict) => verdict,
            State::Pending | State::Open { .. } => {
                report.pending.push(name.to_owned());
                continue;
            }
        };
        let file = test_index.file_of(test);
        let crash = crash(knowledge, name);
        match (describe(file, &verdict), crash, verdict) {
            (Some(shared), ..) => groups.entry(shared).or_default().push(test),
            (None, Some((_, seen)), _) => {
                let shared = Shared {
                    file,
                    finding: Finding::Crashes,
                    causes: Vec::new(),
                    seen,
                };
                groups.entry(shared).or_default().push(test);
            }
            (None, None, TestFinding::Fails) => report.fails.push(name.to_owned()),
            (None, None, TestFinding::NotJudged) => report.not_judged.push(name.to_owned()),
            (None, None, _) => {}
        }
    }
    report.found = groups
        .into_iter()
        .map(|(shared, tests)| found(knowledge, shared, &tests))
        .collect();
    report.marks = marks(knowledge, &report.found);
    report.cost = cost(knowledge, &judge, spares);
    report
}

/// `None` if the state of the app makes no difference to it.
fn describe(file: FileId, verdict: &TestFinding) -> Option<Shared> {
    let of = |difference: &Difference| match difference {
        Difference::Dependent => (Finding::DependsOnPriorState, "fails", "passes"),
        Difference::Polluted => (Finding::Polluted, "passes", "fails"),
    };
    let (finding, causes, seen) = match verdict {
        TestFinding::Differs {
            difference,
            causes,
            alone,
            together,
        } => {
            let (finding, by_itself, after) = of(difference);
            let seen = format!("{by_itself} alone {alone}x, {after} after it {together}x");
            (finding, causes.clone(), seen)
        }
        TestFinding::Unexplained(difference) => {
            let (finding, by_itself, after) = of(difference);
            let seen = format!("{by_itself} alone, {after} in order; no small part of the order does it");
            (finding, Vec::new(), seen)
        }
        TestFinding::KeepsOldProcess { passes_first } => {
            let (first, later) = if *passes_first {
                ("passes", "fails")
            } else {
                ("fails", "passes")
            };
            let seen = format!("{first} on the first process of a run, {later} on a later one");
            (Finding::KeepsOldProcess, Vec::new(), seen)
        }
        TestFinding::Flaky {
            passed,
            failed,
            context,
        } => {
            let when = if context.is_empty() {
                "alone"
            } else {
                "after the same"
            };
            let seen = format!("{when}: passed {passed}x, failed {failed}x");
            (Finding::Flaky, Vec::new(), seen)
        }
        TestFinding::Clean | TestFinding::Fails | TestFinding::NotJudged => return None,
    };
    Some(Shared {
        file,
        finding,
        causes,
        seen,
    })
}

fn found(knowledge: &Knowledge, shared: Shared, tests: &[TestId]) -> Found {
    let test_index = knowledge.test_index();
    let names = |tests: &[TestId]| {
        tests
            .iter()
            .map(|test| test_index.test(*test).to_owned())
            .collect()
    };
    let first = tests.first().map_or("", |test| test_index.test(*test));
    let why = crash(knowledge, first).map(|(why, _)| why);
    Found {
        finding: shared.finding,
        file: test_index.file(shared.file).to_owned(),
        whole_file: tests.len() == test_index.tests_of(shared.file).len(),
        tests: names(tests),
        causes: names(&shared.causes),
        seen: shared.seen,
        said: why.unwrap_or_else(|| said(knowledge, first)),
    }
}

fn said(knowledge: &Knowledge, test: &str) -> String {
    let all = knowledge.results().iter().flat_map(|result| &result.tests);
    let mut of_test = all.filter(|seen| seen.test == test && !seen.said.is_empty());
    of_test.next().map_or_else(String::new, |seen| seen.said.clone())
}

/// What is wrong with the app during this test, and when.
fn crash(knowledge: &Knowledge, test: &str) -> Option<(String, String)> {
    let in_results = |kind| {
        let results = knowledge
            .results()
            .iter()
            .filter(move |result| result.kind == kind);
        results
            .flat_map(|result| &result.crashes)
            .find(|crash| crash.test == test)
    };
    let (warm, fresh) = (in_results(Kind::Warm), in_results(Kind::Fresh));
    let when = match (warm, fresh) {
        (Some(_), None) => "in order only",
        (None, Some(_)) => "alone only",
        _ => "alone and in order",
    };
    let crash = warm.or(fresh)?;
    let after = if crash.inferred {
        "after it had ended: "
    } else {
        ""
    };
    Some((format!("{after}{}", crash.why), when.to_owned()))
}

fn marks(knowledge: &Knowledge, found: &[Found]) -> Vec<Mark> {
    let test_index = knowledge.test_index();
    let mut tests: BTreeMap<(&str, BTreeSet<&str>), Vec<String>> = BTreeMap::new();
    for one in found
        .iter()
        .filter(|one| one.finding == Finding::DependsOnPriorState)
    {
        let requires: BTreeSet<_> = one.causes.iter().map(|test| file_of(test)).collect();
        if !requires.is_empty() {
            let same = tests.entry((&one.file, requires)).or_default();
            same.extend(one.tests.iter().cloned());
        }
    }
    let marks = tests.into_iter().map(|((file, requires), tests)| Mark {
        file: file.to_owned(),
        whole_file: test_index
            .tests()
            .iter()
            .filter(|test| file_of(test) == file)
            .count()
            == tests.len(),
        tests,
        requires: requires.into_iter().map(str::to_owned).collect(),
    });
    marks.collect()
}

/// Compares the tests that passed both ways, because a test with different results also does different things in
/// the app.
fn cost(knowledge: &Knowledge, judge: &Judge<'_>, spares: u32) -> Option<Cost> {
    let test_index = knowledge.test_index();
    let files = test_index.file_count();
    if !knowledge.has_run_all() {
        return None;
    }
    let (mut warm_s, mut added_s) = (0.0, 0.0);
    for test in 0..test_index.tests().len() {
        let (Some(warm), Some(fresh)) = (knowledge.warm(test), knowledge.fresh(test)) else {
            continue;
        };
        warm_s += warm.ms / 1e3;
        if judge.state(test) == State::Settled(TestFinding::Clean) {
            added_s += (fresh.ms - warm.ms) / 1e3;
        }
    }
    let starts = files.saturating_sub(1);
    let measured = Added {
        spares,
        seconds: f64::max(added_s, 0.0),
        starts,
    };
    let waits: Vec<_> = knowledge
        .results()
        .iter()
        .flat_map(|result| &result.starts_ms)
        .collect();
    let mean_s = waits.iter().map(|ms| **ms as f64 / 1e3).sum::<f64>() / waits.len() as f64;
    let by_starts = Added {
        spares: 0,
        seconds: mean_s * starts as f64,
        starts,
    };
    Some(Cost {
        warm_s,
        with_spares: (spares > 0).then_some(measured),
        without_spares: if spares == 0 {
            Some(measured)
        } else {
            (!waits.is_empty()).then_some(by_starts)
        },
    })
}
