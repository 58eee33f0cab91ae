//! The summary at the end: one table, and for each batch that did not pass, what to do about it.

use std::fmt::Write;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table};

use super::command::Pytest;
use super::format::gist;
use super::record::{BatchRecord, BatchesRecord};
use super::reporter::FinishedRun;
use super::results::Results;
use super::verdict::BatchVerdict;
use crate::shell::Shell;
use crate::text::line;
use crate::wire::TestOutcome;

/// How many tests of each kind are named; the record has them all.
const MAX_NAMED: usize = 10;
const HEADER: [&str; 8] = [
    "batch", "verdict", "passed", "failed", "victims", "lost", "respawns", "seconds",
];

/// Details about each batch that did not pass.
#[must_use]
pub fn details(run: &FinishedRun<'_>) -> String {
    let mut text = String::from("\n");
    for (record, results) in run.record.batches.iter().zip(run.results) {
        if record.processes.is_empty() || record.verdict.is_some_and(BatchVerdict::is_good) {
            continue;
        }
        let mut lines = vec![format!("{}: {}", record.batch.name, word(record))];
        lines.extend(of_batch(record, results));
        let output = run.folder.join(&record.batch.name);
        let output = output.strip_prefix(run.root).unwrap_or(&output);
        lines.push(format!("  output:    {}", output.display()));
        if !record.is_open() {
            let pytest = Pytest {
                python: &run.record.python,
                extra: &run.record.extra,
                root: run.root,
            };
            lines.extend(Shell::HERE.iter().map(|shell| {
                // On a system with several common shells, each line names the shell that it is for.
                let whose = match Shell::HERE.len() {
                    1 => String::new(),
                    _ => format!(" ({})", shell.name()),
                };
                format!(
                    "  reproduce{whose}: {}",
                    pytest.reproduce(record, results, *shell)
                )
            }));
        }
        let _ = writeln!(text, "{}\n", lines.join("\n"));
    }
    text
}

fn word(record: &BatchRecord) -> &'static str {
    record.verdict.map_or("did not begin", BatchVerdict::as_str)
}

fn of_batch(record: &BatchRecord, results: &Results) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(why) = &record.why {
        lines.push(format!("  {}", line(why)));
    }
    let said = record.said.iter().flat_map(|said| said.lines());
    lines.extend(said.map(|said| format!("  | {said}")));
    let culprits = record.lost.iter().filter(|lost| lost.culprit);
    name(&mut lines, "culprit", culprits.map(|lost| lost.test.clone()));
    let bad = results
        .failing()
        .filter(|result| result.outcome != TestOutcome::Victim);
    name(
        &mut lines,
        "failed",
        bad.map(|result| format!("{}: {}", result.test, gist(&result.message))),
    );
    let victims = results
        .failing()
        .filter(|result| result.outcome == TestOutcome::Victim);
    name(
        &mut lines,
        "victim",
        victims.map(|result| {
            let culprit = result.culprit.as_deref().unwrap_or("another test");
            format!("{} of {culprit}", result.test)
        }),
    );
    let lost = record.lost.iter().filter(|lost| !lost.culprit);
    name(&mut lines, "lost", lost.map(|lost| lost.test.clone()));
    lines
}

fn name(lines: &mut Vec<String>, what: &str, tests: impl Iterator<Item = String>) {
    let tests: Vec<_> = tests.collect();
    let shown = tests.iter().take(MAX_NAMED);
    lines.extend(shown.map(|test| format!("  {:<10} {}", format!("{what}:"), line(test))));
    if tests.len() > MAX_NAMED {
        lines.push(format!(
            "  {:<10} and {} more, see run.json",
            "",
            tests.len() - MAX_NAMED
        ));
    }
}

/// One row for each batch. `colour`: it is for a terminal.
#[must_use]
pub fn table(run: &BatchesRecord, colour: bool) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_BORDERS_ONLY);
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    table.set_header(HEADER);
    for record in &run.batches {
        table.add_row(row(record));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(record: &BatchRecord) -> Vec<Cell> {
    let counts = &record.counts;
    let colour = match record.verdict {
        Some(BatchVerdict::Passed | BatchVerdict::NoTests) => Color::Green,
        Some(BatchVerdict::Failed | BatchVerdict::Lost) => Color::Red,
        _ => Color::Yellow,
    };
    let mut row = vec![
        Cell::new(&record.batch.name).add_attribute(Attribute::Bold),
        Cell::new(word(record)).fg(colour),
    ];
    let figures = [
        counts.passed,
        counts.failed + counts.errors,
        counts.victims,
        counts.lost,
        counts.respawns,
    ];
    row.extend(figures.map(Cell::new));
    row.push(Cell::new(format!("{:.1}", record.seconds)));
    row
}
