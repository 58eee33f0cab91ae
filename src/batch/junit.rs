//! The report as `JUnit` XML, made from the result of each test, including those that pytest could not report any
//! more.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::format::gist;
use super::record::BatchRecord;
use super::reporter::{FinishedRun, Reporter};
use super::results::Results;
use super::verdict::BatchVerdict;
use crate::text::Print;
use crate::wire::{TestOutcome, TestResult, file_of};

/// Name of the file, in the folder of each batch and in that of the run.
pub const JUNIT_FILE: &str = "junit.xml";

/// Writes a report for each batch into its folder, and one for all batches into the folder of the run.
pub struct JunitReporter;

impl Reporter for JunitReporter {
    fn finish(&mut self, run: &FinishedRun<'_>, _out: &mut dyn Print) -> io::Result<()> {
        write(run.folder, &run.record.batches, run.results)
    }
}

fn write(run: &Path, batches: &[BatchRecord], all: &[Results]) -> io::Result<()> {
    let mut merged = Report::new("livegui");
    let mut total = Duration::ZERO;
    for (record, results) in batches.iter().zip(all) {
        let suite = suite(record, results);
        total += suite.time.unwrap_or_default();
        let folder = run.join(&record.batch.name);
        if folder.is_dir() {
            let mut own = Report::new(record.batch.name.clone());
            own.set_time(suite.time.unwrap_or_default());
            own.add_test_suite(suite.clone());
            fs::write(folder.join(JUNIT_FILE), text(&own)?)?;
        }
        merged.add_test_suite(suite);
    }
    merged.set_time(total);
    fs::write(run.join(JUNIT_FILE), text(&merged)?)
}

fn text(report: &Report) -> io::Result<String> {
    report.to_string().map_err(io::Error::other)
}

fn suite(record: &BatchRecord, results: &Results) -> TestSuite {
    let mut suite = TestSuite::new(record.batch.name.clone());
    suite.set_time(Duration::try_from_secs_f64(record.seconds).unwrap_or_default());
    let word = record.verdict.map_or("did not begin", BatchVerdict::as_str);
    suite.add_property(("verdict", word));
    for (_, result) in results.tests() {
        suite.add_test_cases(result.map(case));
    }
    for lost in results.lost() {
        suite.add_test_case(named(&lost.test, error("lost", &lost.why)));
    }
    for broken in results.broken() {
        let mut status = error("collection", &gist(&broken.message));
        status.set_description(broken.message.as_str());
        suite.add_test_case(named(&broken.node, status));
    }
    // The verdict of the batch must be visible even if no test shows it.
    if let (Some(BatchVerdict::Lost | BatchVerdict::NotRun), Some(why)) = (record.verdict, &record.why) {
        suite.add_test_case(named(&record.batch.name, error(word, why)));
    }
    suite
}

fn case(result: &TestResult) -> TestCase {
    let mut status = match result.outcome {
        TestOutcome::Passed | TestOutcome::Xpassed => TestCaseStatus::success(),
        TestOutcome::Skipped | TestOutcome::Xfailed => TestCaseStatus::skipped(),
        TestOutcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        TestOutcome::Error | TestOutcome::Victim | TestOutcome::Unknown(_) => {
            TestCaseStatus::non_success(NonSuccessKind::Error)
        }
    };
    if !result.message.is_empty() {
        status.set_message(gist(&result.message));
        status.set_type(result.outcome.as_str());
        status.set_description(result.message.as_str());
    }
    let mut case = named(&result.test, status);
    case.set_time(Duration::try_from_secs_f64(result.duration_ms / 1e3).unwrap_or_default());
    if let Some(generation) = result.generation {
        case.add_property(Property::new("live_gui_generation", generation.to_string()));
    }
    if let Some(culprit) = &result.culprit {
        case.add_property(Property::new("live_gui_culprit", culprit.as_str()));
    }
    case
}

fn error(kind: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
    status.set_type(kind);
    status.set_message(message);
    status
}

/// Uses the names that pytest's own report would use.
fn named(test: &str, status: TestCaseStatus) -> TestCase {
    let path = file_of(test);
    let module = path.strip_suffix(".py").unwrap_or(path).replace(['/', '\\'], ".");
    // Brackets hold parameters, which may contain anything.
    let inside = test
        .get(path.len()..)
        .unwrap_or_default()
        .trim_start_matches("::");
    let end = inside.find('[').unwrap_or(inside.len());
    let (classes, name) = match inside[..end].rfind("::") {
        Some(at) => (inside[..at].replace("::", "."), &inside[at + 2..]),
        None => (String::new(), inside),
    };
    let class = if classes.is_empty() {
        module.clone()
    } else {
        format!("{module}.{classes}")
    };
    let mut case = TestCase::new(if name.is_empty() { path } else { name }, status);
    case.set_classname(class);
    case
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_pytest_whatever_the_parameters_hold() {
        let names = |test: &str| {
            let case = named(test, TestCaseStatus::success());
            (case.classname.unwrap().into_string(), case.name.into_string())
        };
        let pair = |class: &str, name: &str| (class.to_owned(), name.to_owned());
        assert_eq!(
            names("tests/a/test_b.py::test_c"),
            pair("tests.a.test_b", "test_c")
        );
        assert_eq!(
            names("test_b.py::TestA::TestB::test_c[x::y]"),
            pair("test_b.TestA.TestB", "test_c[x::y]")
        );
        assert_eq!(names("tests/test_b.py"), pair("tests.test_b", "tests/test_b.py"));
    }
}
