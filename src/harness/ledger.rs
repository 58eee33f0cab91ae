//! What a run knows about its processes. Every watch writes into it; what decides or reports reads it.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::alarm::Alarm;
use super::app::App;
use super::ends::Progress;
use super::error::Error;
use super::policy::{Decision, Found, Heard, Onset, Policy, Rules, Test, Trouble};
use super::run_record::RunFolder;
use super::watch::AppState;
use crate::health::Source;
use crate::process::ProcessId;
use crate::wire::{CaughtException, EndOnPurpose, GenerationState, Health};

/// How far two clocks, one in the app and one here, may differ about when a problem began.
const ONSET_SLACK: Duration = Duration::from_millis(20);
/// If the main loop ran when a file ended, this proves it for the next test too, provided that the test begins
/// within this time and no other test ran in between. (Nobody knows what that one did to the app in its own ways.)
const PROOF_LASTS: Duration = Duration::from_millis(50);

/// The ledger of one run, and the alarm that interrupts its running test.
#[derive(Clone)]
pub struct Ledger {
    state: Arc<Mutex<LedgerState>>,
    alarm: Alarm,
}

/// The contents of the ledger.
pub struct LedgerState {
    /// Who is blamed, and whether a fresh process is due.
    pub policy: Policy,
    /// The files for people and other programs.
    pub run: RunFolder,
    /// When this run began.
    opened: Instant,
    /// When the main loop last proved that it runs, if no test has run since.
    proven_at: Option<Instant>,
    /// Whether the agent reported that all is well when the last test had ended.
    pub answered: bool,
    /// The state of the app at an end that came as a test had declared it.
    pub as_declared: Option<AppState>,
    /// Pids of processes that could not be ended; should be empty.
    pub left: Vec<u32>,
    /// The last number that was given to a process.
    numbered: u32,
    /// Generations that livegui itself has ended.
    retired: HashSet<u32>,
    /// What was wrong with the app during the running test, but no longer is.
    recovered: Vec<String>,
    /// The exception with which the running test must fail, although the app goes on.
    callback_error: Option<CaughtException>,
    /// How often each exception had been raised at the last check, by generation and number.
    heard: BTreeMap<(u32, u64), u64>,
    /// Executors for which queued work was already remarked.
    told_queued: HashSet<(u32, String)>,
    /// Crashes of processes that were replaced because of them.
    crashes: Vec<Trouble>,
}

impl LedgerState {
    /// The current process is being replaced. If it crashed, keep that, and who is blamed.
    pub fn keep_crash(&mut self) {
        let reported = |trouble: &&Trouble| trouble.found == Found::Reported && trouble.culprit.is_some();
        self.crashes
            .extend(self.policy.trouble().filter(reported).cloned());
    }

    /// The crashes of this run, whether a test was failed with them or not.
    pub fn crashes(&self) -> &[Trouble] {
        &self.crashes
    }

    /// A number for another process.
    pub const fn next_generation(&mut self) -> u32 {
        self.numbered += 1;
        self.numbered
    }

    /// Records which files started on a fresh process.
    pub fn write_notes(&mut self) {
        self.run.set_notes(self.policy.notes());
    }

    /// The exception with which the running test must fail, although the app goes on.
    pub const fn callback_error(&self) -> Option<&CaughtException> {
        self.callback_error.as_ref()
    }

    /// The test has ended, so it no longer needs to be failed with an exception.
    pub fn forget_callback_error(&mut self) {
        self.callback_error = None;
    }

    /// Whether something that began this long ago began before the running test, which is then not its cause.
    fn is_before_running(&self, ago: Duration) -> bool {
        let running_for = |began| self.opened.elapsed().saturating_sub(began);
        let running_for = self.policy.running_since().map_or(Duration::MAX, running_for);
        ago > running_for.saturating_add(ONSET_SLACK)
    }

    fn hear(&mut self, generation: u32, caught: &CaughtException) {
        let before = self.heard.insert((generation, caught.number), caught.count);
        if before.is_some_and(|before| before >= caught.count) {
            return;
        }
        let ago = Duration::from_millis(caught.newest_ms);
        let before_running = self.is_before_running(ago);
        let source = Source::parse(&caught.source);
        let in_callback = source.is_some_and(Source::is_callback);
        match self
            .policy
            .exception_swallowed(generation, in_callback, before_running)
        {
            Heard::Fail => {
                self.callback_error.get_or_insert_with(|| caught.clone());
            }
            Heard::Note(test) if before.is_none() => {
                self.run.remark_exception(remark(generation, test, caught));
            }
            Heard::Note(_) | Heard::Degrades => {}
        }
    }

    /// What was wrong with the app during the test that has just ended, but recovered in time.
    pub fn take_recoveries(&mut self) -> Vec<String> {
        std::mem::take(&mut self.recovered)
    }

    /// A test that does not use the app has ended.
    pub fn other_test_finished(&mut self) {
        self.proven_at = None;
        self.answered = false;
    }

    /// A test is about to run, or to be judged. The proof that the loop runs may have expired.
    pub fn check_proof(&mut self) {
        if self.proven_at.is_none_or(|at| at.elapsed() > PROOF_LASTS) {
            self.policy.proof_lapsed();
        }
    }

    /// A test is about to run.
    pub fn test_starting(&mut self, test: Test) -> Decision {
        self.policy.test_starting(test, self.opened.elapsed())
    }

    /// The main loop of `generation` has just run, and this is open in the app.
    pub fn loop_turned(&mut self, generation: u32, open: Vec<String>, at_border: bool) {
        self.proven_at = Some(Instant::now());
        if let Some(trouble) = self.policy.runs_again(generation) {
            let who = trouble
                .culprit
                .as_ref()
                .map_or("the run", |culprit| &culprit.test);
            self.run
                .remark(format!("{who} {}; the loop runs again", trouble.told()));
            self.run.update(generation, |record| {
                record.state = AppState::Ok.state();
                record.why = None;
                record.culprit = None;
            });
        }
        let remark = self.policy.loop_turned(generation, open, at_border);
        if let Some(remark) = remark {
            self.run.remark(remark);
        }
        self.record_unfit(generation);
    }

    /// The process of `generation` was found unfit to be handed on. If its main loop stands, `last_beat` is the
    /// instant of its last beat, and how long its frames take.
    pub fn app_unfit(
        &mut self,
        generation: u32,
        cause: &str,
        found: Found,
        last_beat: Option<(Instant, Duration)>,
    ) {
        let onset = last_beat.map(|(at, frame)| Onset {
            last_beat: at.saturating_duration_since(self.opened),
            frame: frame.max(ONSET_SLACK),
        });
        self.policy.app_unfit(generation, cause, found, onset);
        self.record_unfit(generation);
    }

    /// Whether `generation` was found unfit when it was to be handed on, and how.
    pub fn unfit(&self, generation: u32) -> Option<&Trouble> {
        let trouble = self.policy.trouble()?;
        (generation == self.policy.generation() && trouble.found != Found::Reported).then_some(trouble)
    }

    /// Remarks on executors whose work has been queued for longer than this, once for each.
    pub fn remark_queued_work(&mut self, generation: u32, health: &Health, longer_than: Duration) {
        for executor in &health.checks.executors {
            let Some(queued_for) = executor.queued_for_ms.map(Duration::from_millis) else {
                continue;
            };
            let is_news =
                queued_for > longer_than && self.told_queued.insert((generation, executor.name.clone()));
            if let (true, Some(test)) = (is_news, self.policy.last_served()) {
                self.run.remark(format!(
                    "{} left work queued in executor {:?} ({} items, for {:.1} s)",
                    test.id,
                    executor.name,
                    executor.queued.unwrap_or_default(),
                    queued_for.as_secs_f64()
                ));
            }
        }
    }

    /// Remarks on a process that was found unfit but was no longer needed, because no note reports it.
    pub fn remark_unfit(&mut self) {
        let trouble = self
            .policy
            .trouble()
            .filter(|trouble| trouble.found != Found::Reported);
        if let Some(trouble) = trouble {
            let culprit = trouble.culprit.as_ref();
            let who = culprit.map_or("the run", |culprit| &culprit.test);
            self.run.remark(format!("{who} {}", trouble.told()));
        }
    }

    fn record_unfit(&mut self, generation: u32) {
        let Some(trouble) = self.unfit(generation).cloned() else {
            return;
        };
        self.run.update(generation, |record| {
            record.state = GenerationState::Degraded;
            record.why = Some(trouble.told());
            record.culprit = trouble.culprit;
        });
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

impl Ledger {
    /// The ledger of a new run.
    pub fn open(run: RunFolder, rules: Rules, alarm: Alarm) -> Self {
        let state = LedgerState {
            policy: Policy::new(rules),
            run,
            opened: Instant::now(),
            proven_at: None,
            answered: false,
            as_declared: None,
            left: Vec::new(),
            numbered: 0,
            retired: HashSet::new(),
            recovered: Vec::new(),
            callback_error: None,
            heard: BTreeMap::new(),
            told_queued: HashSet::new(),
            crashes: Vec::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            alarm,
        }
    }

    /// Locks the contents for a moment.
    pub fn state(&self) -> MutexGuard<'_, LedgerState> {
        lock(&self.state)
    }

    /// On a watch's thread: records a new verdict, which began to hold this long ago, and interrupts the running
    /// test if the verdict concerns it.
    pub fn record(&self, generation: u32, verdict: &AppState, ago: Duration) {
        let mut state = self.state();
        if state.retired.contains(&generation) {
            return;
        }
        let cause = verdict.cause();
        let in_use = generation == state.policy.generation();
        // Silence is dated back to the last answer that the watch received. By the next answer, the test before had
        // ended.
        let silent = matches!(verdict, AppState::Unreachable(_));
        let before_running = state.is_before_running(ago) && !(silent && state.answered);
        let declared = state.policy.is_as_declared(generation, &verdict.sign());
        let is_done = matches!(state.policy.declared(), Some((_, Progress::Done)));
        if declared && is_done && state.as_declared.is_none() {
            state.as_declared = Some(verdict.clone());
        }
        let culprit = (cause.as_ref().filter(|_| !declared)).and_then(|cause| {
            let is_idle = state.policy.trouble().is_none() && state.policy.running().is_none();
            match verdict.freeze().filter(|_| in_use && is_idle) {
                // Said as the hand-over says it, which would have found it next.
                Some(left) => {
                    let cause = format!("{left}: {cause}");
                    state.policy.app_unfit(generation, &cause, Found::Froze, None)
                }
                None => state.policy.app_troubled(generation, cause, before_running),
            }
        });
        state.run.update(generation, |record| {
            let waits = *verdict == AppState::Ok && !in_use;
            record.state = if waits {
                GenerationState::Ready
            } else {
                verdict.state()
            };
            record.why.clone_from(&cause);
            record.culprit = culprit.or_else(|| record.culprit.take());
        });
        state.record_unfit(generation);
        if !in_use {
            return;
        }
        if cause.is_none() {
            if let Some(trouble) = state.policy.app_recovered(generation) {
                state.note_recovery(trouble);
            }
            self.alarm.quiet();
        }
        self.ring_if_due(&state);
    }

    /// The agent of `generation` answered at the end of a test, and reported whether all is well.
    pub fn answered(&self, generation: u32, well: bool) {
        let mut state = self.state();
        if generation == state.policy.generation() {
            state.answered = well;
        }
    }

    /// Records the exceptions that an app has survived so far, each once, and interrupts the running test if it
    /// must fail because of one.
    pub fn record_exceptions(&self, generation: u32, caught: &[CaughtException]) {
        if caught.is_empty() {
            return;
        }
        let mut state = self.state();
        if !state.retired.contains(&generation) {
            for caught in caught {
                state.hear(generation, caught);
            }
            self.ring_if_due(&state);
        }
    }

    /// The app started again, as `process`, with nothing in its memory.
    pub fn began_anew(&self, generation: u32, process: &ProcessId) {
        let mut state = self.state();
        state.policy.app_began_anew(generation);
        state.run.update(generation, |record| {
            record.pid = process.pid;
            record.process = Some(process.clone());
        });
        state
            .run
            .remark(format!("the app re-executed itself (generation {generation})"));
    }

    /// From now on, this app, which is ready, is the one under test.
    pub fn adopt(&self, app: &App, because: Option<String>, open: Vec<String>) {
        let mut state = self.state();
        self.alarm.quiet();
        state.policy.app_started(app.generation, because, open);
        state.answered = false;
        let verdict = app.watch.verdict();
        // It may have degraded since, when its watch found no generation to blame it on.
        let culprit = verdict
            .cause()
            .and_then(|cause| state.policy.app_troubled(app.generation, &cause, false));
        state.run.update(app.generation, |record| {
            record.state = verdict.state();
            record.culprit = culprit;
        });
        state.write_notes();
        self.ring_if_due(&state);
    }

    /// From now on, livegui itself ends this app. Returns whether the app may be asked to end by itself, because it
    /// was fit until now, or at least its main loop ran.
    pub fn retire(&self, app: &App) -> bool {
        let mut state = self.state();
        let fit = app.watch.is_fit();
        if let Some(trouble) = state.unfit(app.generation) {
            let stands = trouble.found.stands();
            state.retired.insert(app.generation);
            return fit && !stands;
        }
        if state.retired.insert(app.generation) {
            let verdict = app.watch.verdict();
            let why = verdict.cause();
            state.run.update(app.generation, |record| {
                record.state = if fit {
                    GenerationState::Ended
                } else {
                    verdict.state()
                };
                record.why = why;
            });
        }
        fit
    }

    /// This spare was found unfit when it was to be used. livegui ends it.
    pub fn spare_rejected(&self, app: &App, why: &str) {
        let mut state = self.state();
        state.retired.insert(app.generation);
        state.run.update(app.generation, |record| {
            record.state = GenerationState::Degraded;
            record.why = Some(why.to_owned());
        });
        let generation = app.generation;
        state
            .run
            .remark(format!("a spare was not used (generation {generation}): {why}"));
    }

    /// The spare of `generation` could not be started. If there was a process, its record says why.
    pub fn spare_not_started(&self, generation: u32, error: &Error) {
        let mut state = self.state();
        if !state.run.has(generation) {
            let why = error.to_string();
            let first = why.lines().next().unwrap_or_default();
            state.run.remark(format!(
                "a spare was not started (generation {generation}): {first}"
            ));
        }
    }

    /// The test `by` ended an app on purpose; `how` describes it.
    pub fn ended_on_purpose(&self, app: &App, by: &str, how: &str) {
        let mut state = self.state();
        self.alarm.quiet();
        state.retired.insert(app.generation);
        state.run.update(app.generation, |record| {
            record.state = GenerationState::Ended;
            record.why = None;
            record.ended_by = Some(EndOnPurpose {
                test: by.to_owned(),
                how: how.to_owned(),
            });
        });
    }

    fn ring_if_due(&self, state: &LedgerState) {
        if state.policy.concerns_running() || state.callback_error.is_some() {
            self.alarm.ring();
        }
    }
}

/// The report's remark on an exception that failed no test.
fn remark(generation: u32, test: Option<String>, caught: &CaughtException) -> String {
    let whose = test.unwrap_or_else(|| format!("generation {generation}, before any test"));
    let what = match Source::parse(&caught.source) {
        Some(Source::Thread) => "a thread of the app ended",
        Some(Source::Task) => "an asyncio task raised and its result was never asked for",
        Some(Source::Unraisable) => "the interpreter ignored an exception",
        Some(Source::Asyncio) => "an asyncio callback raised",
        Some(Source::Toolkit) => "the toolkit reported an error",
        Some(Source::Wake) => "the function that wakes the main loop raised",
        Some(Source::Gui) | None => "a callback raised",
    };
    let place = match (caught.place.as_str(), Source::parse(&caught.source)) {
        ("", Some(Source::Toolkit)) => String::new(),
        ("", _) => " at an unknown place".to_owned(),
        (place, _) => format!(" at {place}"),
    };
    format!("{whose}: {what}: {}{place}", caught.message)
}

/// A poisoned lock means that a thread of ours panicked. What it guards is still worth more than a second panic.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
