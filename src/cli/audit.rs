//! `livegui audit`: shows hidden state between live test files, as a table, as JSON, and as a patch.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use super::{Exit, Host};
use crate::audit::{
    AUDIT_FILE, Added, Audit, Cost, Found, Mark, Progress, Running, Setup, Store, Watcher, mark_word,
    outlines, patch,
};
use crate::command_error::Result;
use crate::io_error::cannot;
use crate::shell;
use crate::text::{Print, count, line as one_line};
use crate::wire::file_of;

/// The file name of the patch, unless `--fix` names one.
const PATCH_FILE: &str = "requires_prior_state.patch";
/// How many tests a list names before it only counts the rest.
const LISTED: usize = 10;
/// How many characters of a reason the table shows.
const MAX_REASON: usize = 80;

/// What to audit.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// Test files or folders to audit; without any, the ones that pytest collects by default
    paths: Vec<String>,
    /// The folder that has pytest's configuration
    #[arg(short = 'C', long, default_value = ".", value_name = "DIR")]
    root: PathBuf,
    /// How many times to observe a difference, with and without its cause, before it counts
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// Number of ready apps to keep waiting [default: 1 if the app's command has `{hook_port}`, else 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=16))]
    spares: Option<u32>,
    /// Number of experiments to run at the same time [default: 2 if the app's command has `{hook_port}`, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: Option<u16>,
    /// Write the missing marks as a patch [default: into the audit's folder]
    #[arg(long, value_name = "PATCHFILE", num_args = 0..=1, require_equals = true)]
    #[allow(clippy::option_option, reason = "not given, given, given with a value")]
    fix: Option<Option<PathBuf>>,
    /// Print audit.json instead of the table
    #[arg(long)]
    json: bool,
    /// Continue the last audit, if it did not finish and the suite has not changed since
    #[arg(long)]
    resume: bool,
    /// The Python that has pytest [default: the one in which livegui is installed]
    #[arg(long, value_name = "PY")]
    python: Option<PathBuf>,
    /// How long one test may take; after that, its pytest is ended
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    timeout: Duration,
    /// Arguments for pytest
    #[arg(last = true, value_name = "PYTEST ARGS")]
    arguments: Vec<String>,
}

/// Runs the audit and shows what it found.
pub fn run(
    arguments: &AuditArgs,
    out: &mut dyn Print,
    err: &mut dyn Print,
    host: &mut Host<'_>,
) -> Result<Exit> {
    let python = arguments
        .python
        .clone()
        .unwrap_or_else(|| PathBuf::from(&host.python));
    let root = arguments.root.canonicalize();
    let root =
        root.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", arguments.root.display())))?;
    let setup = Setup {
        python: python.clone(),
        root: root.clone(),
        paths: arguments.paths.clone(),
        arguments: arguments.arguments.clone(),
        repeat: arguments.repeat,
        spares: arguments.spares,
        jobs: arguments.jobs.map(usize::from),
        timeout: arguments.timeout,
    };
    let mut audit = Audit::begin(setup, arguments.resume, host.go_on)?;
    let mut watcher = Display::new(err, host.go_on);
    let done = audit.run(&mut watcher);
    watcher.clear();
    let store = audit.store();
    let report = &store.record.report;
    // Write the patch first: printing the result may fail, for example if nobody reads it.
    let written = arguments.fix.as_ref().map_or(Ok(()), |file| {
        let file = file.clone().unwrap_or_else(|| store.path().join(PATCH_FILE));
        write_patch(&file, &python, &root, &report.marks, err)
    });
    if arguments.json {
        out.raw(&format!(
            "{}\n",
            serde_json::to_string_pretty(&store.record).map_err(io::Error::from)?
        ))?;
    } else {
        show(&audit, out)?;
    }
    written?;
    match done? {
        Progress::Finished if report.found.is_empty() => Ok(Exit::Ok),
        Progress::Finished => Ok(Exit::Unwell),
        Progress::Interrupted | Progress::Running => {
            writeln!(
                err,
                "livegui: interrupted; go on with: livegui audit --resume (and the same options)"
            )?;
            Ok(Exit::Interrupted)
        }
    }
}

/// Shows progress: on a terminal a line that is updated, otherwise one line for each experiment.
struct Display<'a> {
    err: &'a mut dyn Print,
    go_on: &'a mut dyn FnMut() -> bool,
    bar: Option<ProgressBar>,
}

impl<'a> Display<'a> {
    fn new(err: &'a mut dyn Print, go_on: &'a mut dyn FnMut() -> bool) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // No thread for the bar, because this thread holds standard error.
            if let Ok(style) = ProgressStyle::with_template("{spinner} [{elapsed_precise}] {wide_msg}") {
                bar.set_style(style);
            }
            bar
        });
        Self { err, go_on, bar }
    }

    fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Watcher for Display<'_> {
    fn tick(&mut self, running: &[Running], left: Duration, at_least: bool) {
        let Some(bar) = &self.bar else { return };
        let each: Vec<_> = running
            .iter()
            .map(|one| format!("{} {}/{}", one.label, one.done, one.total))
            .collect();
        let left = humantime::format_duration(Duration::from_secs(left.as_secs() + 1));
        let about = if at_least { "at least" } else { "about" };
        let message = format!("{about} {left} left · {}", each.join(" · "));
        bar.set_message(one_line(&message).into_owned());
        bar.tick();
    }

    fn ended(&mut self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(one_line(line)),
            // The reader of the log may be gone. That must not stop the audit.
            None => drop(self.err.one_line(line)),
        }
    }

    fn go_on(&mut self) -> bool {
        (self.go_on)()
    }
}

fn show(audit: &Audit, out: &mut dyn Print) -> io::Result<()> {
    let Store { record, .. } = audit.store();
    let report = &record.report;
    writeln!(
        out,
        "{} in {}, {} in {:.1} s",
        count(record.tests.len(), "live test"),
        count(audit.knowledge().test_index().file_count(), "file"),
        count(record.results.len(), "experiment"),
        record.seconds
    )?;
    if !report.found.is_empty() {
        writeln!(out, "\n{}", table(&report.found))?;
    }
    list(out, "Failed alone and in the suite's order", &report.fails)?;
    list(out, "Not judged, since skipped or never run", &report.not_judged)?;
    list(out, "Not known yet", &report.pending)?;
    if report.found.is_empty() && report.pending.is_empty() {
        writeln!(out, "\nNo test depends on what an earlier file left in the app.")?;
    }
    if !report.marks.is_empty() {
        writeln!(out, "\nMarks to add (--fix writes them as a patch):")?;
        for mark in &report.marks {
            show_mark(mark, out)?;
        }
    }
    if let Some(cost) = &report.cost {
        writeln!(out, "\n{}", costs(cost))?;
    }
    writeln!(
        out,
        "\nAll of it is in {}",
        audit.store().path().join(AUDIT_FILE).display()
    )
}

fn table(found: &[Found]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["test", "finding", "because of", "seen"]);
    for one in found {
        let tests = if one.whole_file {
            one.file.clone()
        } else {
            broken(&one.tests)
        };
        let because = if one.causes.is_empty() {
            first_reason(&one.said)
        } else {
            broken(&one.causes)
        };
        table.add_row([tests.as_str(), one.finding.as_str(), &because, &one.seen]);
    }
    table
}

/// Node ids, each below the name of its file.
fn broken(tests: &[String]) -> String {
    let mut lines = Vec::new();
    for group in tests.chunk_by(|a, b| file_of(a) == file_of(b)) {
        let file = file_of(&group[0]);
        lines.push(file.to_owned());
        lines.extend(group.iter().map(|test| format!("  {}", &test[file.len()..])));
    }
    lines.join("\n")
}

/// The first of several reasons, shortened.
fn first_reason(said: &str) -> String {
    let first = said.split("; ").next().unwrap_or_default();
    let mut shown: String = first.chars().take(MAX_REASON).collect();
    if shown.len() < first.len() {
        shown.push('…');
    }
    shown
}

fn list(out: &mut dyn Print, what: &str, tests: &[String]) -> io::Result<()> {
    if tests.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{what} ({}):", tests.len())?;
    for test in tests.iter().take(LISTED) {
        writeln!(out, "  {test}")?;
    }
    if tests.len() > LISTED {
        writeln!(out, "  … and {} more, see {AUDIT_FILE}", tests.len() - LISTED)?;
    }
    Ok(())
}

fn show_mark(mark: &Mark, out: &mut dyn Print) -> io::Result<()> {
    let word = mark_word("pytest", mark);
    if mark.whole_file {
        return writeln!(out, "  {}: pytestmark = {word}", mark.file);
    }
    // A parametrized test counts as one function.
    let functions = mark
        .tests
        .iter()
        .map(|test| test.split('[').next().unwrap_or(test));
    for test in functions.collect::<BTreeSet<_>>() {
        writeln!(out, "  {test}: @{word}")?;
    }
    Ok(())
}

fn costs(cost: &Cost) -> String {
    let line = |added: &Added| {
        let with = match usize::try_from(added.spares) {
            Ok(0) | Err(_) => "without spares".to_owned(),
            Ok(spares) => format!("with {}", count(spares, "spare")),
        };
        let share = added.seconds / cost.warm_s.max(f64::EPSILON) * 100.0;
        format!(
            "  {with}: {:.1} s more, {share:.0} % ({})",
            added.seconds,
            count(added.starts, "start")
        )
    };
    let lines = cost.with_spares.iter().chain(&cost.without_spares).map(line);
    let lines: Vec<_> = lines.collect();
    format!(
        "live_gui_scope = module, for the {:.1} s of these tests, as measured:\n{}",
        cost.warm_s,
        lines.join("\n")
    )
}

fn quoted(path: &Path) -> String {
    shell::join(&[path.display().to_string()])
}

fn write_patch(file: &Path, python: &Path, root: &Path, marks: &[Mark], err: &mut dyn Print) -> Result<()> {
    let mut by_file: BTreeMap<&str, Vec<&Mark>> = BTreeMap::new();
    for mark in marks {
        by_file.entry(&mark.file).or_default().push(mark);
    }
    if by_file.is_empty() {
        writeln!(err, "livegui: no mark is to be added, so there is no patch")?;
        return Ok(());
    }
    let files: Vec<_> = by_file.keys().copied().collect();
    let outlines = outlines(python, root, &files)?;
    let mut patches = String::new();
    for (name, marks) in by_file {
        let source = fs::read_to_string(root.join(name));
        let made = source.map_err(|error| error.to_string()).and_then(|source| {
            let outline = outlines.get(name).ok_or("it has no outline")?;
            patch(name, &source, outline, &marks)
        });
        match made {
            Ok(made) => patches += &made,
            Err(why) => writeln!(err, "livegui: {name} is not in the patch: {why}")?,
        }
    }
    if patches.is_empty() {
        return Ok(());
    }
    fs::write(file, patches).map_err(cannot(format!("write {}", file.display())))?;
    writeln!(
        err,
        "livegui: the marks are in {}; add them with: git -C {} apply {}",
        file.display(),
        quoted(root),
        // `git apply` runs in another folder.
        quoted(&std::path::absolute(file)?)
    )?;
    Ok(())
}
