//! What is shown while batches run: a bar where there is a terminal, a line a file where there is none.

use std::io;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::estimate::History;
use super::record::BatchRecord;
use super::tally::{Counts, Lost, Tally, Verdict, is_bad};
use super::words::{count, gist, human};
use crate::text::{Print, line as one_line};
use crate::wire::file_of;
use crate::wire::{Event, EventLine, TestResult};

/// Where there is no bar, something is said at least this often.
const SIGN_OF_LIFE: Duration = Duration::from_mins(1);
/// What stands beside the bar is made anew no more often than this: it takes a look at every test.
const SHOW_EVERY: Duration = Duration::from_millis(100);
const TEMPLATE: &str = "{prefix:.bold} [{bar:20.green}] {pos}/{len} {wide_msg:.dim}";

/// Where progress is shown.
pub struct Console<'a> {
    out: &'a mut dyn Print,
    bar: Option<ProgressBar>,
    history: History,
    batch: String,
    /// The batches that are to run after it.
    after: Vec<String>,
    generation: Option<u32>,
    /// Something happened that the bar does not show yet.
    is_stale: bool,
    shown_at: Instant,
    said_at: Instant,
}

impl<'a> Console<'a> {
    /// Lines go to `out`; `terminal`: the bar goes to the standard error output.
    pub fn new(out: &'a mut dyn Print, terminal: bool, history: History) -> Self {
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> "));
            bar
        });
        Self {
            out,
            bar,
            history,
            batch: String::new(),
            after: Vec::new(),
            generation: None,
            is_stale: false,
            shown_at: Instant::now(),
            said_at: Instant::now(),
        }
    }

    /// Writes a line.
    pub fn say(&mut self, line: &str) {
        let mut write = || -> io::Result<()> {
            writeln!(self.out, "{}", one_line(line))?;
            self.out.flush()
        };
        // Nobody reading it must not keep the batches from running.
        let _ = match &self.bar {
            Some(bar) => bar.suspend(&mut write),
            None => write(),
        };
        self.said_at = Instant::now();
    }

    /// A batch begins, the `number`th of `total`.
    pub fn batch_begins(&mut self, record: &BatchRecord, number: usize, total: usize, after: Vec<String>) {
        let batch = &record.batch;
        self.batch.clone_from(&batch.name);
        self.after = after;
        self.generation = None;
        self.is_stale = false;
        let what = match &record.only {
            Some(only) => format!("{} of its tests", only.len()),
            None => batch.paths.join(" "),
        };
        self.say(&format!("== {} ({number} of {total}): {what}", batch.name));
        if let Some(bar) = &self.bar {
            bar.set_prefix(one_line(&batch.name).into_owned());
            bar.set_length(0);
            bar.set_position(0);
            bar.set_message("collecting");
        }
    }

    /// Something happened in it.
    pub fn saw(&mut self, line: &EventLine, tally: &Tally) {
        if let Event::TestFinished(result) = &line.event {
            self.generation = result.generation.or(self.generation);
            self.finished(result, tally);
        }
        self.is_stale = true;
    }

    fn finished(&mut self, result: &TestResult, tally: &Tally) {
        if is_bad(result) {
            let gist = gist(&result.message);
            self.say(&format!(
                "   {:<7} {}  {gist}",
                result.outcome.to_uppercase(),
                result.test
            ));
        }
        let file = file_of(&result.test);
        if self.bar.is_none() && tally.is_done(file) {
            let counts = tally.counts_of(file).line();
            let (done, all) = tally.progress();
            let batch = &self.batch;
            let left = self.time_left(tally).map(|left| format!(", about {left} left"));
            let line = format!(
                "   {batch}: {file}: {counts} ({done} of {all}{})",
                left.unwrap_or_default()
            );
            self.say(&line);
        }
    }

    /// To be called a few times a second.
    pub fn tick(&mut self, tally: &Tally) {
        let running = tally.running().first();
        if let Some(bar) = &self.bar {
            if let Some(running) = running.filter(|_| self.is_stale && self.shown_at.elapsed() >= SHOW_EVERY)
            {
                let (done, all) = tally.progress();
                bar.set_length(all as u64);
                bar.set_position(done as u64);
                bar.set_message(one_line(&self.message(file_of(&running.test), tally)).into_owned());
                (self.is_stale, self.shown_at) = (false, Instant::now());
            }
            bar.tick();
        } else if self.said_at.elapsed() >= SIGN_OF_LIFE {
            let at = running.map_or("between two tests", |running| running.test.as_str());
            let line = format!("   {}: at {at}", self.batch);
            self.say(&line);
        }
    }

    /// What stands beside the bar: what matters most comes first, the end may not fit.
    fn message(&self, at: &str, tally: &Tally) -> String {
        let bad = Counts {
            passed: 0,
            skipped: 0,
            respawns: 0,
            ..tally.counts()
        };
        let bad = (bad != Counts::default()).then(|| bad.line());
        let left = self.time_left(tally).map(|left| format!("{left} left"));
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

    fn time_left(&self, tally: &Tally) -> Option<String> {
        Some(human(self.history.left(&self.batch, tally, &self.after)?))
    }

    /// Its pytest died, these tests have no result for it, and so many will run in another one.
    pub fn died(&mut self, lost: &[Lost], to_go: usize) {
        for lost in lost.iter().filter(|lost| lost.culprit) {
            self.say(&format!("   LOST    {}  {}", lost.test, lost.why));
        }
        let others = lost.iter().filter(|lost| !lost.culprit).count();
        if others > 0 {
            self.say(&format!("           {} never ran", count(others, "test")));
        }
        if to_go > 0 {
            let what = count(to_go, "test");
            self.say(&format!(
                "           going on in a new pytest with the other files: {what}"
            ));
        }
    }

    /// A batch has ended.
    pub fn batch_ends(&mut self, record: &BatchRecord) {
        let verdict = record.verdict.map_or("interrupted", Verdict::as_str);
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
        self.say(&line);
    }

    /// Takes the bar away; what is written then stays.
    pub fn finish(self) -> &'a mut dyn Print {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.out
    }
}
