//! The result of a run, in one sentence.

use std::collections::HashSet;

use super::model::{Report, RunState, TestState};
use crate::text::count;
use crate::wire::TestOutcome;

/// The sentence, and whether the run needs attention.
pub fn sentence(report: &Report) -> (String, bool) {
    let with = |wanted: &TestState| report.tests.iter().filter(|test| test.outcome == *wanted).count();
    let culprits = report.tests.iter().filter(|test| !test.took_down.is_empty());
    let culprits = culprits.count();
    let processes: usize = report.groups.iter().flat_map(|group| &group.processes).count();
    let brought_down = report.groups.iter().flat_map(|group| &group.processes);
    let brought_down = brought_down
        .filter(|process| process.culprit_name.is_some())
        .count();
    let victims = with(&TestState::Ended(TestOutcome::Victim));
    let (lost, not_run) = (with(&TestState::Lost), with(&TestState::NotRun));
    let failed = report.tests.iter().filter(|test| {
        let failed = matches!(
            test.outcome,
            TestState::Ended(TestOutcome::Failed | TestOutcome::Error)
        );
        failed && test.took_down.is_empty()
    });
    let failed = failed.count();
    let mut parts = Vec::new();
    match (culprits, brought_down) {
        (0, 0) => {}
        (0, down) => parts.push(format!("{} went down", count(down, "process"))),
        (culprits, down) => parts.push(format!(
            "{} took down {}",
            count(culprits, "culprit"),
            count(down, "process")
        )),
    }
    if failed > 0 {
        let other = if culprits > 0 { "other " } else { "" };
        parts.push(format!("{} failed", count(failed, &format!("{other}test"))));
    }
    if victims > 0 {
        parts.push(format!("{} did not run because of that", count(victims, "test")));
    }
    match report.state {
        RunState::Killed if lost > 0 => {
            parts.push(format!("pytest was killed during {}", count(lost, "test")));
        }
        RunState::Killed => parts.push("pytest was killed".to_owned()),
        _ if lost > 0 => parts.push(format!("pytest ended during {}", count(lost, "test"))),
        _ => {}
    }
    if not_run > 0 && report.state != RunState::Running {
        parts.push(format!("{} never began", count(not_run, "test")));
    }
    let bad = !parts.is_empty();
    if parts.is_empty() {
        let done = report.tests.len() - not_run;
        parts.push(match report.state {
            RunState::Running => format!("{} so far, and nothing is wrong", count(done, "test")),
            _ if done == 0 => "No test ran".to_owned(),
            _ => format!("All {done} tests ran, and no process went down"),
        });
    }
    if processes > 0
        && let Some(trusted) = trusted(report)
    {
        parts.push(trusted);
    }
    (format!("{}.", parts.join("; ")), bad)
}

/// `48 of 49 files ran on a process they could trust`: none of their tests was kept from running, or was cut off.
fn trusted(report: &Report) -> Option<String> {
    let began = report.tests.iter().filter(|test| test.at.is_some());
    let files: HashSet<_> = began.map(|test| test.file).collect();
    let spoilt = report.tests.iter();
    let spoilt = spoilt.filter(|test| {
        matches!(
            test.outcome,
            TestState::Lost | TestState::Ended(TestOutcome::Victim)
        )
    });
    let spoilt: HashSet<_> = spoilt.map(|test| test.file).collect();
    let total = files.union(&spoilt).count();
    (total > 0).then(|| {
        let good = total - spoilt.len();
        let files = if total == 1 { "file" } else { "files" };
        format!("{good} of {total} {files} ran on a process they could trust")
    })
}
