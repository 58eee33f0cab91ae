//! Shows progress while batches run: on a terminal a bar, otherwise one line for each file.

use std::io;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::RunOutcome;
use super::estimate::History;
use super::format::{gist, human};
use super::record::BatchRecord;
use super::reporter::{FinishedRun, Reporter, RunEvent};
use super::request::OutputMode;
use super::results::Results;
use super::summary;
use super::verdict::{BatchVerdict, Counts, Lost};
use crate::text::{Print, count, line as one_line};
use crate::wire::file_of;
use crate::wire::{Event, TestResult};

/// Without a bar, print something at least this often.
const SIGN_OF_LIFE: Duration = Duration::from_mins(1);
/// Update the text beside the bar at most this often, because that looks at every test.
const SHOW_EVERY: Duration = Duration::from_millis(100);
const TEMPLATE: &str = "{prefix:.bold} [{bar:20.green}] {pos}/{len} {wide_msg:.dim}";

/// Reports to people.
pub struct TerminalReporter {
    bar: Option<ProgressBar>,
    /// Whether standard output supports colours.
    colour: bool,
    history: History,
    batch: String,
    /// The batches that run after it.
    after: Vec<String>,
    generation: Option<u32>,
    /// Something happened that the bar does not show yet.
    is_stale: bool,
    shown_at: Instant,
    said_at: Instant,
}

impl Reporter for TerminalReporter {
    fn event(&mut self, event: &RunEvent<'_>, out: &mut dyn Print) {
        match event {
            RunEvent::BatchStarted {
                record,
                number,
                total,
                after,
            } => self.batch_started(record, *number, *total, after, out),
            RunEvent::TestEvent { line, results } => {
                if let Event::TestFinished(result) = &line.event {
                    self.generation = result.generation.or(self.generation);
                    self.test_finished(result, results, out);
                }
                self.is_stale = true;
            }
            RunEvent::TimePassed { results } => self.time_passed(results, out),
            RunEvent::StopRequested => {
                self.say(
                    "   stopping after the running test; Ctrl-C once more ends it at once",
                    out,
                );
            }
            RunEvent::ProcessDied { lost, goes_on_with } => self.process_died(lost, *goes_on_with, out),
            RunEvent::Warned(text) => self.say(&format!("[BATCH-WARN] {text}"), out),
            RunEvent::BatchFinished { record } => self.batch_finished(record, out),
        }
    }

    fn finish(&mut self, run: &FinishedRun<'_>, out: &mut dyn Print) -> io::Result<()> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        // Whether anybody reads this must not change how the run ended.
        let _ = self.summarize(run, out);
        Ok(())
    }
}

impl TerminalReporter {
    /// `mode` says what the terminal supports.
    pub fn new(mode: OutputMode, history: History) -> Self {
        let bar = mode.bar.then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        Self {
            bar,
            colour: mode.colour,
            history,
            batch: String::new(),
            after: Vec::new(),
            generation: None,
            is_stale: false,
            shown_at: Instant::now(),
            said_at: Instant::now(),
        }
    }

    fn summarize(&self, run: &FinishedRun<'_>, out: &mut dyn Print) -> io::Result<()> {
        write!(out, "{}", summary::details(run))?;
        // It contains only names of batches, words and figures, in colours.
        out.raw(&format!("{}\n", summary::table(run.record, self.colour)))?;
        let shown = run.folder.strip_prefix(run.root).unwrap_or(run.folder);
        writeln!(out, "records: {}", shown.display())?;
        match run.record.outcome() {
            RunOutcome::Interrupted => writeln!(out, "to go on: livegui run --resume"),
            RunOutcome::NothingRan => writeln!(out, "no test was selected"),
            _ => Ok(()),
        }
    }

    /// Writes a line.
    fn say(&mut self, line: &str, out: &mut dyn Print) {
        let mut write = || -> io::Result<()> {
            writeln!(out, "{}", one_line(line))?;
            out.flush()
        };
        // The batches run even if nobody reads the output.
        let _ = match &self.bar {
            Some(bar) => bar.suspend(&mut write),
            None => write(),
        };
        self.said_at = Instant::now();
    }

    fn batch_started(
        &mut self,
        record: &BatchRecord,
        number: usize,
        total: usize,
        after: &[String],
        out: &mut dyn Print,
    ) {
        let batch = &record.batch;
        self.batch.clone_from(&batch.name);
        self.after = after.to_vec();
        self.generation = None;
        self.is_stale = false;
        let what = match &record.only {
            Some(only) => format!("{} of its tests", only.len()),
            None => batch.paths.join(" "),
        };
        self.say(&format!("== {} ({number} of {total}): {what}", batch.name), out);
        if let Some(bar) = &self.bar {
            bar.set_prefix(one_line(&batch.name).into_owned());
            bar.set_length(0);
            bar.set_position(0);
            bar.set_message("collecting");
        }
    }

    fn test_finished(&mut self, result: &TestResult, results: &Results, out: &mut dyn Print) {
        if !result.outcome.is_good() {
            let gist = gist(&result.message);
            let outcome = result.outcome.as_str().to_uppercase();
            self.say(&format!("   {outcome:<7} {}  {gist}", result.test), out);
        }
        let file = file_of(&result.test);
        if self.bar.is_none() && results.is_done(file) {
            let counts = results.counts_of(file).line();
            let (done, all) = results.progress();
            let batch = &self.batch;
            let left = self.time_left(results).map(|left| format!(", about {left} left"));
            let line = format!(
                "   {batch}: {file}: {counts} ({done} of {all}{})",
                left.unwrap_or_default()
            );
            self.say(&line, out);
        }
    }

    fn time_passed(&mut self, results: &Results, out: &mut dyn Print) {
        let running = results.running().first();
        if let Some(bar) = &self.bar {
            if let Some(running) = running.filter(|_| self.is_stale && self.shown_at.elapsed() >= SHOW_EVERY)
            {
                let (done, all) = results.progress();
                bar.set_length(all as u64);
                bar.set_position(done as u64);
                bar.set_message(one_line(&self.message(file_of(&running.test), results)).into_owned());
                (self.is_stale, self.shown_at) = (false, Instant::now());
            }
            bar.tick();
        } else if self.said_at.elapsed() >= SIGN_OF_LIFE {
            let at = running.map_or("between two tests", |running| running.test.as_str());
            let line = format!("   {}: at {at}", self.batch);
            self.say(&line, out);
        }
    }

    /// The text beside the bar, most important first, because the end may not fit.
    fn message(&self, at: &str, results: &Results) -> String {
        let bad = Counts {
            passed: 0,
            skipped: 0,
            respawns: 0,
            ..results.counts()
        };
        let bad = (bad != Counts::default()).then(|| bad.line());
        let left = self.time_left(results).map(|left| format!("{left} left"));
        let generation = self
            .generation
            .map(|generation| format!("generation {generation}"));
        let parts: Vec<_> = bad
            .into_iter()
            .chain(left)
            .chain(generation)
            .chain([at.to_owned()])
            .collect();
        parts.join(", ")
    }

    fn time_left(&self, results: &Results) -> Option<String> {
        Some(human(self.history.left(&self.batch, results, &self.after)?))
    }

    fn process_died(&mut self, lost: &[Lost], goes_on_with: usize, out: &mut dyn Print) {
        for lost in lost.iter().filter(|lost| lost.culprit) {
            self.say(&format!("   LOST    {}  {}", lost.test, lost.why), out);
        }
        let others = lost.iter().filter(|lost| !lost.culprit).count();
        if others > 0 {
            self.say(&format!("           {} never ran", count(others, "test")), out);
        }
        if goes_on_with > 0 {
            let what = count(goes_on_with, "test");
            let line = format!("           going on in a new pytest with the other files: {what}");
            self.say(&line, out);
        }
    }

    fn batch_finished(&mut self, record: &BatchRecord, out: &mut dyn Print) {
        let verdict = record.verdict.map_or("interrupted", BatchVerdict::as_str);
        let seconds = human(Duration::try_from_secs_f64(record.seconds).unwrap_or_default());
        let name = &record.batch.name;
        let mut line = if record.processes.is_empty() {
            format!("   {name}: {verdict}")
        } else {
            format!("   {name}: {verdict} in {seconds} ({})", record.counts.line())
        };
        if let Some(why) = &record.why {
            line = format!("{line}: {why}");
        }
        self.say(&line, out);
    }
}
