//! What a run knows of its processes: every watch writes into it, whoever decides or tells reads it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::app::App;
use super::policy::{Policy, Rules, Trouble};
use super::runs::RunFolder;
use super::watch::Verdict;
use crate::process::ProcessId;

/// Two clocks, one in the app and one here, tell when trouble began to about this.
const ONSET_SLACK: Duration = Duration::from_millis(20);
/// The state of a process that is up and that no test has got yet.
const READY: &str = "ready";
/// The state of a process that we ended in good health.
const ENDED: &str = "ended";

/// The books of one run, and the alarm that reaches into its running test.
#[derive(Clone)]
pub struct Books {
    kept: Arc<Mutex<Kept>>,
    alarm: Alarm,
}

/// What they keep.
pub struct Kept {
    /// Who is blamed, and what is due.
    pub policy: Policy,
    /// What is on disk for whoever looks from outside.
    pub run: RunFolder,
    /// When the running test began, or the last one did.
    pub running_since: Instant,
    /// Pids that could not be ended; should be none.
    pub left: Vec<u32>,
    /// The last number that was given to a process.
    numbered: u32,
    /// Generations whose end is our own doing.
    retired: HashSet<u32>,
    /// What was wrong with the app during the running test, and no longer is.
    recovered: Vec<String>,
}

impl Kept {
    /// A number for another process.
    pub const fn next_generation(&mut self) -> u32 {
        self.numbered += 1;
        self.numbered
    }

    /// Has the record say which files started on a process they did not inherit.
    pub fn write_notes(&mut self) {
        self.run.set_notes(self.policy.notes());
    }

    /// What was wrong with the app during the test that has just ended, and recovered in time.
    pub fn take_recoveries(&mut self) -> Vec<String> {
        std::mem::take(&mut self.recovered)
    }

    fn note_recovery(&mut self, trouble: Trouble) {
        let whose = trouble
            .culprit
            .map_or_else(String::new, |culprit| format!("{}: ", culprit.test));
        self.run.remark(format!(
            "{whose}the app degraded and recovered by itself: {}",
            trouble.cause
        ));
        self.recovered.push(trouble.cause);
    }
}

impl Books {
    /// The books of a run that begins.
    pub fn open(run: RunFolder, rules: Rules, alarm: Alarm) -> Self {
        let kept = Kept {
            policy: Policy::new(rules),
            run,
            running_since: Instant::now(),
            left: Vec::new(),
            numbered: 0,
            retired: HashSet::new(),
            recovered: Vec::new(),
        };
        Self {
            kept: Arc::new(Mutex::new(kept)),
            alarm,
        }
    }

    /// What they keep, for a moment.
    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        lock(&self.kept)
    }

    /// On a watch's thread: writes down a new verdict, which began to hold so long ago, and reaches into
    /// the running test if it concerns that.
    pub fn record(&self, generation: u32, verdict: &Verdict, ago: Duration) {
        let mut kept = self.kept();
        if kept.retired.contains(&generation) {
            return;
        }
        let cause = verdict.cause();
        let in_use = generation == kept.policy.generation();
        // What began before the running test did is none of its doing.
        let before_running = ago > kept.running_since.elapsed() + ONSET_SLACK;
        let culprit = cause
            .as_ref()
            .and_then(|cause| kept.policy.app_troubled(generation, cause, before_running));
        kept.run.update(generation, |record| {
            let waits = *verdict == Verdict::Ok && !in_use;
            if waits { READY } else { verdict.word() }.clone_into(&mut record.state);
            record.why.clone_from(&cause);
            record.culprit = culprit.or_else(|| record.culprit.take());
        });
        if !in_use {
            return;
        }
        if cause.is_none() {
            if let Some(trouble) = kept.policy.app_recovered(generation) {
                kept.note_recovery(trouble);
            }
            self.alarm.quiet();
        }
        self.ring_if_due(&kept);
    }

    /// The app began anew, as `process`, with nothing in its memory.
    pub fn began_anew(&self, generation: u32, process: &ProcessId) {
        let mut kept = self.kept();
        kept.policy.app_began_anew(generation);
        kept.run.update(generation, |record| {
            record.pid = process.pid;
            record.process = Some(process.clone());
        });
        kept.run
            .remark(format!("the app re-executed itself (generation {generation})"));
    }

    /// An app that is ready is the one that is tested from here on.
    pub fn adopt(&self, app: &App, because: Option<String>) {
        let mut kept = self.kept();
        self.alarm.quiet();
        kept.policy.app_started(app.generation, because);
        let verdict = app.watch.verdict();
        // It may have degraded since, and its watch have found no generation to blame it on.
        let culprit = verdict
            .cause()
            .and_then(|cause| kept.policy.app_troubled(app.generation, &cause, false));
        kept.run.update(app.generation, |record| {
            verdict.word().clone_into(&mut record.state);
            record.culprit = culprit;
        });
        kept.write_notes();
        self.ring_if_due(&kept);
    }

    /// What becomes of an app from here on is our own doing. Returns whether it was fit until now.
    pub fn retire(&self, app: &App) -> bool {
        let mut kept = self.kept();
        let fit = app.watch.is_fit();
        if kept.retired.insert(app.generation) {
            let verdict = app.watch.verdict();
            let why = verdict.cause();
            kept.run.update(app.generation, |record| {
                if fit { ENDED } else { verdict.word() }.clone_into(&mut record.state);
                record.why = why;
            });
        }
        fit
    }

    fn ring_if_due(&self, kept: &Kept) {
        if kept.policy.concerns_running() {
            self.alarm.ring();
        }
    }
}

/// A poisoned lock means that a thread of ours panicked; what it guards is still worth more than a
/// second panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
