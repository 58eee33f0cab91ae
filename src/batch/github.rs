//! Annotations for GitHub Actions, which shows them at the lines of a change.

use std::io;
use std::path::{Path, PathBuf};

use super::format::gist;
use super::record::BatchRecord;
use super::reporter::{FinishedRun, Reporter};
use super::results::Results;
use super::verdict::BatchVerdict;
use crate::text::{Print, line, printable};
use crate::wire::TestOutcome;

/// GitHub shows only a few for each step; more would only make the log longer.
const MAX: usize = 50;

/// Prints the annotations.
pub struct GithubReporter {
    /// Paths are relative to this.
    pub workspace: PathBuf,
}

impl Reporter for GithubReporter {
    fn finish(&mut self, run: &FinishedRun<'_>, out: &mut dyn Print) -> io::Result<()> {
        for line in annotations(&run.record.batches, run.results, &self.workspace) {
            // This line is meant to be a command.
            let _ = out.raw(&format!("{line}\n"));
        }
        Ok(())
    }
}

/// A line for each test that failed and each batch that was lost. Paths are relative to `workspace`.
fn annotations(batches: &[BatchRecord], all: &[Results], workspace: &Path) -> Vec<String> {
    let batches = batches.iter().zip(all);
    let mut lines: Vec<_> = batches
        .flat_map(|(record, results)| of_batch(record, results, workspace))
        .collect();
    if lines.len() > MAX {
        let more = lines.len() - MAX;
        lines.truncate(MAX);
        lines.push(annotation(&[], &format!("and {more} more, see junit.xml")));
    }
    lines
}

fn of_batch(record: &BatchRecord, results: &Results, workspace: &Path) -> Vec<String> {
    let at = |test: &str| {
        let root = results.root().unwrap_or(workspace);
        let path = root.join(crate::wire::file_of(test));
        let path = path.strip_prefix(workspace).unwrap_or(&path);
        path.display().to_string().replace('\\', "/")
    };
    let mut lines = Vec::new();
    if let (Some(BatchVerdict::Lost | BatchVerdict::NotRun), Some(why)) = (record.verdict, &record.why) {
        let title = format!(
            "batch {} {}",
            record.batch.name,
            record.verdict.map_or("", BatchVerdict::as_str)
        );
        lines.push(annotation(&[("title", &title)], why));
    }
    for lost in record.lost.iter().filter(|lost| lost.culprit) {
        lines.push(annotation(
            &[("file", &at(&lost.test)), ("title", &lost.test)],
            &lost.why,
        ));
    }
    for result in results
        .failing()
        .filter(|result| result.outcome != TestOutcome::Victim)
    {
        let line = result.line.unwrap_or(1).to_string();
        let properties = [
            ("file", at(&result.test)),
            ("line", line),
            ("title", result.test.clone()),
        ];
        let properties = properties.each_ref().map(|(name, value)| (*name, value.as_str()));
        lines.push(annotation(&properties, &gist(&result.message)));
    }
    lines
}

fn annotation(properties: &[(&str, &str)], message: &str) -> String {
    let properties: Vec<_> = properties
        .iter()
        .map(|(name, value)| {
            format!(
                "{name}={}",
                escaped(&line(value)).replace(':', "%3A").replace(',', "%2C")
            )
        })
        .collect();
    let gap = if properties.is_empty() { "" } else { " " };
    format!(
        "::error{gap}{}::{}",
        properties.join(","),
        escaped(&printable(message))
    )
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Event, EventLine, TestResult};

    #[test]
    fn what_has_a_meaning_to_github_is_escaped() {
        let mut results = Results::default();
        let result = TestResult {
            test: "t/test_a.py::test_b[1,2:3]".to_owned(),
            outcome: TestOutcome::Failed,
            message: "E   100 % wrong\nE   more".to_owned(),
            line: Some(7),
            ..TestResult::default()
        };
        for event in [
            Event::SessionStarted {
                schema: String::new(),
                pid: 1,
                root: "/my space/sub".to_owned(),
            },
            Event::TestFinished(Box::new(result)),
        ] {
            results.take(&EventLine {
                at_ms: 0,
                worker: None,
                event,
            });
        }
        let record = BatchRecord {
            verdict: Some(BatchVerdict::Lost),
            why: Some("one\ntwo".to_owned()),
            ..BatchRecord::default()
        };
        assert_eq!(
            annotations(&[record], &[results], Path::new("/my space")),
            [
                "::error title=batch  lost::one%0Atwo",
                "::error file=sub/t/test_a.py,line=7,title=t/test_a.py%3A%3Atest_b[1%2C2%3A3]::100 %25 wrong",
            ]
        );
    }
}
