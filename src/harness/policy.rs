//! Which test is blamed, which are spared, and when a fresh process is due: a pure state machine.
//!
//! Takes events of tests and of the app, and returns decisions. No process, no clock, no I/O: instants are arguments,
//! as durations since the run began.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::ends::{Expected, Progress, Sign};
use crate::wire::{Culprit, Note};

/// How long one process is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// For the whole run, until it fails.
    #[default]
    Session,
    /// For one test file.
    Module,
    /// For one test.
    Function,
}

/// When a process that failed is replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Respawn {
    /// Before the next file. The remaining tests of the culprit's file are victims.
    #[default]
    File,
    /// Before the next test.
    Test,
    /// Never. All tests that follow are victims.
    Never,
}

/// What happens to the running test when a callback of the app raises but the app goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallbackErrors {
    /// The report notes it.
    Note,
    /// The test fails, because what it did in the app did not work.
    #[default]
    Fail,
    /// The app counts as degraded, as its agent reports.
    Degrade,
}

/// What to do about an exception that the app survived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Fail the running test with it.
    Fail,
    /// Note it in the report, with the test that was running, or the last one before.
    Note(Option<String>),
    /// Nothing more, because it degrades the app.
    Degrades,
}

/// What to do if the main loop does not run when a process is to be handed on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Handover {
    /// The process is replaced.
    #[default]
    Respawn,
    /// The process is replaced, and the test before it fails as well.
    Fail,
    /// The app is not asked.
    Off,
}

/// What to do if a file has left something open: a dialog, a grab, a nested loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LeftOpen {
    /// The process is replaced.
    #[default]
    Respawn,
    /// The report notes it.
    Note,
}

/// If the same thing is left open in this many processes in a row, a remark says so, because maybe no test is to
/// blame.
const SUSPICIOUS_STREAK: u32 = 3;

/// The user's choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long one process is used.
    pub scope: Scope,
    /// When a process that failed is replaced.
    pub respawn: Respawn,
    /// After the same failure this many times in a row, no more fresh processes.
    pub max_respawns: u32,
    /// What to do when a callback raises.
    pub callback_errors: CallbackErrors,
    /// Whether a process must prove that it lives before it is handed on.
    pub handover: Handover,
    /// What to do with a process in which something was left open.
    pub left_open: LeftOpen,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            scope: Scope::default(),
            respawn: Respawn::default(),
            max_respawns: 3,
            callback_errors: CallbackErrors::default(),
            handover: Handover::default(),
            left_open: LeftOpen::default(),
        }
    }
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Test {
    /// Its pytest node id.
    pub id: String,
    /// Its file.
    pub file: String,
}

/// How trouble was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Its watch reported it.
    Reported,
    /// Its watch reported, while no test ran, that the main loop does not run. Nothing crashed.
    Froze,
    /// The main loop did not run when the process was to be handed on.
    Standing,
    /// The loop ran, but something else was wrong.
    LeftBehind,
}

impl Found {
    /// Whether the main loop does not run, which may pass.
    #[must_use]
    pub const fn stands(self) -> bool {
        matches!(self, Self::Froze | Self::Standing)
    }
}

/// What is wrong with the current generation, and which test is blamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong, on one line. If it was found at a hand-over, the blamed test is its subject: "left the main
    /// loop standing".
    pub cause: String,
    /// How it was noticed.
    pub found: Found,
    /// The test that is blamed; `None` if no test had run on this generation.
    pub culprit: Option<Culprit>,
    /// What the blamed test had declared, if something else happened instead.
    pub instead_of: Option<Expected>,
    /// The file of the blamed test.
    file: Option<String>,
    /// The blamed test had passed, and this does not change that.
    stays_passed: bool,
}

impl Trouble {
    /// The cause, and how sure the blame is if it was found at a hand-over. The blamed test is its subject.
    #[must_use]
    pub fn told(&self) -> String {
        let sure = match &self.culprit {
            Some(_) if self.found != Found::Reported && self.stays_passed => {
                " (it had passed; blamed by inference)"
            }
            Some(_) if self.found != Found::Reported => " (blamed by inference)",
            _ => "",
        };
        format!("{}{sure}", self.cause)
    }
}

/// When the main loop came to stand, as far as its beats tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Onset {
    /// The last beat.
    pub last_beat: Duration,
    /// How much later the next beat would have come. Until then the loop may have run.
    pub frame: Duration,
}

/// A test that used the current generation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    test: Test,
    began: Duration,
    /// It has ended, and has passed.
    passed: bool,
}

/// An end that a test has declared.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Declared {
    /// The test; `None` between two tests.
    by: Option<Test>,
    expected: Expected,
    progress: Progress,
}

/// What to do before a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Ask the app whether its main loop runs, report the answer, and decide again. The test has not begun yet.
    Ask,
    /// Run it.
    Proceed,
    /// Start a fresh process first; the text says why.
    Respawn(String),
    /// Fail it at once: it is a victim of this trouble.
    Refuse(Trouble),
    /// Fail it at once: the same failure happened too many times in a row.
    GiveUp(Trouble),
}

/// The state machine.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Rules,
    /// The current process; 0 before the first.
    generation: u32,
    running: Option<Test>,
    running_began: Duration,
    last: Option<Test>,
    /// The tests that ran on this generation, in order.
    served: Vec<Use>,
    /// How many of these had ended when the main loop last proved that it runs. None of them can have stopped it.
    cleared: usize,
    trouble: Option<Trouble>,
    /// The main loop has run since the last test ended.
    proven: bool,
    /// What is open in the app, but not because of the tests that ran on it since it was last handed on.
    open_before: Vec<String>,
    /// A file with a test that ended well on this generation.
    clean_file: Option<String>,
    /// The failure that ended the previous generation, and how many times in a row it did so.
    streak: Option<(String, u32)>,
    /// What was left open in the previous process, and in how many in a row.
    left_open_streak: Option<(String, u32)>,
    given_up: Option<Trouble>,
    /// The app has been asked before the test that is about to run.
    asked: bool,
    /// What a test has declared, until that is over.
    declared: Option<Declared>,
    /// There is no process, because this test ended the last one on purpose.
    ended_by: Option<String>,
    /// Why the current generation was started, until the test that it was started for is known.
    because: Option<String>,
    notes: Vec<Note>,
}

impl Policy {
    /// A policy for a new run.
    #[must_use]
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            generation: 0,
            running: None,
            running_began: Duration::ZERO,
            last: None,
            served: Vec::new(),
            cleared: 0,
            trouble: None,
            proven: false,
            open_before: Vec::new(),
            clean_file: None,
            streak: None,
            left_open_streak: None,
            given_up: None,
            asked: false,
            declared: None,
            ended_by: None,
            because: None,
            notes: Vec::new(),
        }
    }

    /// A test is about to run. From `now` on it is the one to blame.
    pub fn test_starting(&mut self, test: Test, now: Duration) -> Decision {
        let decision = self.decide(&test);
        self.asked = decision == Decision::Ask;
        if self.asked {
            return decision;
        }
        self.running = Some(test);
        self.running_began = now;
        if decision == Decision::Proceed {
            self.record_use();
        }
        decision
    }

    /// Whether the app must be asked before this test whether its main loop runs.
    #[must_use]
    pub fn asks_before(&self, test: &Test) -> bool {
        self.clone().decide(test) == Decision::Ask
    }

    /// The running test has ended, including its tear-down; `passed` says whether it passed.
    pub fn test_finished(&mut self, passed: bool) {
        if let (Some(used), Some(test)) = (self.served.last_mut(), &self.running)
            && used.test == *test
        {
            used.passed = passed;
        }
        if let (None, Some(test)) = (&self.trouble, &self.running) {
            self.clean_file.get_or_insert_with(|| test.file.clone());
        }
        self.last = self.running.take().or_else(|| self.last.take());
    }

    /// Whether the app must be asked, after a test has ended, whether its main loop runs. Then the test that froze
    /// it is known while that test is still being reported. `used` says whether that test used the app.
    #[must_use]
    pub fn asks_after_test(&self, used: bool, last_of_file: bool) -> bool {
        let wanted = match self.rules.handover {
            // A process for one test only is not handed on.
            Handover::Respawn => last_of_file && self.rules.scope != Scope::Function,
            // The test that froze it must fail, and that may be any test.
            Handover::Fail => last_of_file || used,
            Handover::Off => false,
        };
        let in_question =
            !self.proven && self.trouble.is_none() && self.ended_by.is_none() && !self.served.is_empty();
        wanted && in_question && self.running.is_none() && self.given_up.is_none()
    }

    /// Whether to judge, after a test, what is open in the app: at the end of a file, and with
    /// [`Respawn::Test`] after each. Otherwise a dialog may stay open for the next test of the same file.
    #[must_use]
    pub fn is_border(&self, last_of_file: bool) -> bool {
        last_of_file || self.rules.respawn == Respawn::Test
    }

    /// The main loop of `generation` has just run, and this is open in the app. Returns a remark, if there is one
    /// to make. If it had stood, take that back before, with [`Policy::runs_again`]. Away from a border, this clears the tests so far, and the app is asked again at the border.
    pub fn loop_turned(&mut self, generation: u32, open: Vec<String>, at_border: bool) -> Option<String> {
        if generation != self.generation || self.trouble.is_some() {
            return None;
        }
        self.cleared = self.served.len();
        if !at_border {
            return None;
        }
        self.proven = true;
        let mut before = self.open_before.clone();
        let mut left = open.clone();
        left.retain(|thing| {
            let known = before.iter().position(|other| other == thing);
            known.map(|at| before.swap_remove(at)).is_none()
        });
        if self.served.is_empty() || left.is_empty() {
            self.open_before = open;
            if !self.served.is_empty() {
                self.left_open_streak = None;
            }
            return None;
        }
        let cause = format!("left open: {}", left.join(", "));
        match self.rules.left_open {
            LeftOpen::Respawn if self.rules.respawn != Respawn::Never => {
                self.app_unfit(generation, &cause, Found::LeftBehind, None);
                let before = self.left_open_streak.take().filter(|(thing, _)| *thing == cause);
                let count = before.map_or(1, |(_, count)| count + 1);
                self.left_open_streak = Some((cause.clone(), count));
                (count == SUSPICIOUS_STREAK).then(|| {
                    format!(
                        "{count} files in a row {cause}; if the app opens that by itself, no test is to \
                         blame: have it not do so under test, or set live_gui_left_open = note"
                    )
                })
            }
            // Without a fresh process, it is better to go on than to refuse all that follows.
            LeftOpen::Respawn | LeftOpen::Note => {
                self.open_before = open;
                let last = self.last_served().map_or("", |test| test.id.as_str());
                Some(format!("{last} {cause}"))
            }
        }
    }

    /// The main loop of `generation` has just run. Returns what was wrong with it, if that was found at a hand-over
    /// and was only that the loop stood.
    pub fn runs_again(&mut self, generation: u32) -> Option<Trouble> {
        let stood = self.trouble.as_ref()?.found == Found::Standing && generation == self.generation;
        stood.then(|| self.trouble.take()).flatten()
    }

    /// A test is about to begin. That the loop ran before does not prove that it runs now.
    pub const fn proof_lapsed(&mut self) {
        self.proven = false;
    }

    /// The process of `generation` was found unfit to be handed on. Returns the test to blame: the one that ran when
    /// the loop came to stand, if that is known, or else the last one.
    pub fn app_unfit(
        &mut self,
        generation: u32,
        cause: &str,
        found: Found,
        onset: Option<Onset>,
    ) -> Option<Culprit> {
        if generation != self.generation {
            return None;
        }
        if let Some(known) = &self.trouble {
            return known.culprit.clone();
        }
        let used = self.suspect(onset);
        let culprit = used.map(|used| Culprit {
            test: used.test.id.clone(),
            inferred: true,
        });
        // With this rule, a test that left the loop standing fails in its tear-down.
        let fails = self.rules.handover == Handover::Fail && found.stands();
        self.trouble = Some(Trouble {
            cause: cause.to_owned(),
            found,
            culprit: culprit.clone(),
            instead_of: None,
            file: used.map(|used| used.test.file.clone()),
            stays_passed: used.is_some_and(|used| used.passed) && !fails,
        });
        culprit
    }

    /// The test to blame. A loop that stands began to after its last beat, so this is the last test that had begun
    /// when the next beat was due.
    fn suspect(&self, onset: Option<Onset>) -> Option<&Use> {
        let suspects = self.served.get(self.cleared..).unwrap_or_default();
        let by_onset = onset.and_then(|onset| {
            let until = onset.last_beat.saturating_add(onset.frame);
            let begun = suspects.iter().rfind(|used| used.began <= until);
            begun.or_else(|| suspects.first())
        });
        // If all are cleared, one of them left work behind that the loop began only later.
        by_onset.or_else(|| self.served.last())
    }

    /// A process is ready (its main loop has just run, which proves it), and this is open in it. `because` says why
    /// it was started, unless it was the first.
    pub fn app_started(&mut self, generation: u32, because: Option<String>, open: Vec<String>) {
        self.generation = generation;
        self.proven = true;
        self.open_before = open;
        self.trouble = None;
        self.declared = None;
        self.ended_by = None;
        self.served.clear();
        self.cleared = 0;
        self.clean_file = None;
        self.because = because;
        self.last = None;
        self.record_use();
    }

    /// The app of `generation` re-executed itself, so what tests had built up in its memory is gone.
    pub fn app_began_anew(&mut self, generation: u32) {
        if generation == self.generation {
            self.served.clear();
            self.cleared = 0;
            self.because = Some("the app re-executed itself: nothing of its memory survived".to_owned());
        }
    }

    /// The process for `generation` could not be started. The rest of the file that it was started for does not try
    /// again.
    pub fn app_failed_to_start(&mut self, generation: u32, cause: &str) {
        self.app_started(generation, None, Vec::new());
        let file = self.running.as_ref().map(|test| test.file.clone());
        self.trouble = Some(Trouble {
            cause: cause.to_owned(),
            found: Found::Reported,
            culprit: None,
            instead_of: None,
            file,
            stays_passed: false,
        });
    }

    /// The process of `generation` is no longer fit to be tested. Returns the test to blame. Later news of the same
    /// generation changes neither the blame nor the cause. With `before_running`, the trouble is older than the
    /// running test.
    pub fn app_troubled(&mut self, generation: u32, cause: &str, before_running: bool) -> Option<Culprit> {
        if generation != self.generation {
            return None;
        }
        if let Some(known) = &mut self.trouble {
            if known.found == Found::Standing {
                known.found = Found::Froze; // its watch will report if it recovers
            }
            return known.culprit.clone();
        }
        // The app proved that it is well after the last test had ended, and only the running one has used it since.
        let only_running = self.served.len() == self.cleared + 1;
        let (test, inferred) = match (&self.running, &self.last) {
            (Some(test), _) if !before_running || only_running => (Some(test), false),
            (running, last) => (last.as_ref().or(running.as_ref()), true),
        };
        let culprit = test.map(|test| Culprit {
            test: test.id.clone(),
            inferred,
        });
        let file = test.map(|test| test.file.clone());
        self.trouble = Some(Trouble {
            cause: cause.to_owned(),
            found: Found::Reported,
            culprit: culprit.clone(),
            instead_of: self.declared.as_ref().map(|declared| declared.expected.clone()),
            file,
            stays_passed: false,
        });
        culprit
    }

    /// The process of `generation` recovered by itself. Returns what was wrong with it.
    pub fn app_recovered(&mut self, generation: u32) -> Option<Trouble> {
        // The watch never reported what was found at a hand-over, so it cannot take it back.
        let is_reported = matches!(self.trouble.as_ref()?.found, Found::Reported | Found::Froze);
        (is_reported && generation == self.generation)
            .then(|| self.trouble.take())
            .flatten()
    }

    /// The app of `generation` survived an exception, in a callback or anywhere else. With `before_running` the
    /// exception is older than the running test. The app goes on whoever is to blame, so no fresh process is due.
    #[must_use]
    pub fn exception_swallowed(&self, generation: u32, in_callback: bool, before_running: bool) -> Heard {
        if in_callback && self.rules.callback_errors == CallbackErrors::Degrade {
            return Heard::Degrades;
        }
        if generation != self.generation {
            return Heard::Note(None); // a spare, or one that is just starting
        }
        let running = self.running.as_ref().filter(|_| !before_running);
        let fails = in_callback && self.rules.callback_errors == CallbackErrors::Fail;
        match running {
            Some(_) if fails => Heard::Fail,
            running => Heard::Note(running.or(self.last.as_ref()).map(|test| test.id.clone())),
        }
    }

    /// The running test, or code that uses the app between two tests, declares an end. Returns what was declared
    /// before, if that is not over.
    pub fn end_declared(&mut self, expected: Expected) -> Option<&Expected> {
        if self.declared.is_some() {
            return self.declared.as_ref().map(|declared| &declared.expected);
        }
        self.declared = Some(Declared {
            by: self.running.clone(),
            expected,
            progress: Progress::Waits,
        });
        None
    }

    /// The running test is over, so what it declared but did not conclude must not affect the next test. Returns
    /// that.
    pub fn declaration_lapsed(&mut self) -> Option<Expected> {
        Some(self.declared.take()?.expected)
    }

    /// What has been declared, and its progress.
    #[must_use]
    pub fn declared(&self) -> Option<(&Expected, Progress)> {
        self.declared
            .as_ref()
            .map(|declared| (&declared.expected, declared.progress))
    }

    /// Takes news of the app of `generation`. Returns whether it is part of what was declared. Then no test is to
    /// blame for it, and [`Policy::app_troubled`] must not be called.
    pub fn is_as_declared(&mut self, generation: u32, sign: &Sign) -> bool {
        let Some(declared) = self.declared.as_mut() else {
            return false;
        };
        if generation != self.generation || self.trouble.is_some() {
            return false;
        }
        let progress = declared.progress.after(&declared.expected, sign);
        declared.progress = progress.unwrap_or(declared.progress);
        progress.is_some()
    }

    /// What was declared is over. If the app is `put_away`, the next use gets a fresh process; this end is not bad,
    /// and does not count as a failure. Returns the test that ended the app.
    pub fn declaration_over(&mut self, put_away: bool) -> Option<String> {
        let declared = self.declared.take()?;
        if self.trouble.is_some() || !put_away {
            return None;
        }
        let by = declared
            .by
            .map_or_else(|| "no test in particular".to_owned(), |test| test.id);
        self.streak = None;
        self.ended_by = Some(by.clone());
        Some(by)
    }

    /// The running test uses the app again after it was ended on purpose. Returns why there is a fresh process.
    #[must_use]
    pub fn used_after_end(&self) -> Option<String> {
        self.ended_by.as_deref().map(on_purpose)
    }

    /// The app is used while no test runs. Returns why it must be replaced first, if it must.
    pub fn used_between_tests(&mut self) -> Option<String> {
        self.proven = false;
        // What this does to the app counts as the last test's.
        self.cleared = self.cleared.min(self.served.len().saturating_sub(1));
        if self.ended_by.is_some() {
            return self.used_after_end();
        }
        let trouble = self.trouble.clone()?;
        let stays = self.running.is_some() || self.given_up.is_some() || self.rules.respawn == Respawn::Never;
        match (!stays).then(|| self.replace(trouble)) {
            Some(Decision::Respawn(because)) => Some(because),
            _ => None,
        }
    }

    /// Why a test that is about to run cannot build on what earlier tests left in the app: the tests of the file
    /// (or the test) that `prior` names, or those of any other file. `None` if it can.
    #[must_use]
    pub fn lacks_prior_state(&self, test: &Test, prior: Option<&str>) -> Option<String> {
        let of = prior.map_or_else(|| "of an earlier file".to_owned(), |prior| format!("of {prior}"));
        if let Decision::Respawn(because) = self.clone().decide(test) {
            return Some(format!(
                "requires prior state {of}, and would get a fresh process: {because}"
            ));
        }
        let is_it = |earlier: &Test| match prior {
            Some(prior) => earlier.file == prior || is_part_of(&earlier.id, prior),
            None => earlier.file != test.file,
        };
        let carried = self.served.iter().any(|used| is_it(&used.test));
        (!carried).then(|| {
            let generation = self.generation;
            format!("requires prior state {of}, and none of its tests ran on this process (generation {generation})")
        })
    }

    /// The number of the current generation; 0 before the first.
    #[must_use]
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The running test.
    #[must_use]
    pub const fn running(&self) -> Option<&Test> {
        self.running.as_ref()
    }

    /// When the running test began.
    #[must_use]
    pub fn running_since(&self) -> Option<Duration> {
        self.running.as_ref().map(|_| self.running_began)
    }

    /// The last test that used the current generation.
    #[must_use]
    pub fn last_served(&self) -> Option<&Test> {
        self.served.last().map(|used| &used.test)
    }

    /// What is wrong with the current generation.
    #[must_use]
    pub const fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// Whether the test that ended last is to blame.
    #[must_use]
    pub fn is_last_to_blame(&self) -> bool {
        let blamed = self.trouble.as_ref().and_then(|trouble| trouble.culprit.as_ref());
        matches!((blamed, &self.last), (Some(culprit), Some(test)) if culprit.test == test.id)
    }

    /// Whether the trouble concerns a running test, whichever test is blamed.
    #[must_use]
    pub const fn concerns_running(&self) -> bool {
        self.trouble.is_some() && self.running.is_some()
    }

    /// Whether the running test is to blame.
    #[must_use]
    pub fn is_running_to_blame(&self) -> bool {
        let blamed = self.trouble.as_ref().and_then(|trouble| trouble.culprit.as_ref());
        matches!((blamed, &self.running), (Some(culprit), Some(test)) if !culprit.inferred && culprit.test == test.id)
    }

    /// Which files started on a fresh process.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Whether the running test got a fresh process.
    #[must_use]
    pub fn note_of_running(&self) -> Option<&Note> {
        let test = self.running.as_ref()?;
        self.notes.last().filter(|note| note.test == test.id)
    }

    fn decide(&mut self, test: &Test) -> Decision {
        if let Some(trouble) = &self.given_up {
            return Decision::GiveUp(trouble.clone());
        }
        if self.generation == 0 {
            return Decision::Proceed; // the fixture starts the first one
        }
        if let Some(because) = self.used_after_end() {
            return Decision::Respawn(because);
        }
        let Some(trouble) = self.trouble.clone() else {
            return self.decide_healthy(test);
        };
        // If the culprit itself runs again, this is a rerun, which would be pointless on what it left.
        let again = trouble
            .culprit
            .as_ref()
            .is_some_and(|culprit| culprit.test == test.id);
        let same_file = trouble.file.as_ref() == Some(&test.file) && !again;
        match self.rules.respawn {
            Respawn::Never => return self.refuse(trouble),
            Respawn::File if same_file && self.rules.scope != Scope::Function => {
                return self.refuse(trouble);
            }
            Respawn::File | Respawn::Test => {}
        }
        self.replace(trouble)
    }

    /// A test would have to run on this process, whose loop may have recovered meanwhile.
    fn refuse(&self, trouble: Trouble) -> Decision {
        if trouble.found == Found::Standing && !self.asked {
            return Decision::Ask;
        }
        Decision::Refuse(trouble)
    }

    /// A fresh process is due because of this, unless that happened too many times in a row.
    fn replace(&mut self, trouble: Trouble) -> Decision {
        // A generation breaks the streak if it served another file well, or if it served its own file well and was
        // found unfit only afterwards.
        let served = self.clean_file.is_some()
            && (self.clean_file != trouble.file || trouble.found != Found::Reported);
        let cause = without_numbers(&trouble.cause);
        let streak = match self.streak.take().filter(|_| !served) {
            Some((before, count)) if before == cause => (cause, count + 1),
            _ => (cause, 1),
        };
        let spent = streak.1 > self.rules.max_respawns;
        self.streak = Some(streak);
        if spent {
            self.given_up = Some(trouble.clone());
            return Decision::GiveUp(trouble);
        }
        Decision::Respawn(because_of(&trouble, self.generation))
    }

    fn decide_healthy(&mut self, test: &Test) -> Decision {
        // Not only the last test counts: it may be of the same file and not have run.
        let mut used_by = self.served.iter().map(|used| &used.test).chain(&self.last);
        let used_by_another_file = used_by.any(|earlier| earlier.file != test.file);
        let due = match self.rules.scope {
            Scope::Session => None,
            Scope::Module => used_by_another_file.then_some("live_gui_scope = module"),
            Scope::Function => (!self.served.is_empty()).then_some("live_gui_scope = function"),
        };
        let Some(because) = due else {
            let at_border = match self.rules.respawn {
                // A rerun must get what the first attempt got.
                Respawn::File | Respawn::Never => {
                    (self.last.as_ref()).is_none_or(|last| last.file != test.file || last.id == test.id)
                }
                Respawn::Test => true,
            };
            let asks = at_border && self.rules.handover != Handover::Off && !self.proven;
            return if asks { Decision::Ask } else { Decision::Proceed };
        };
        self.streak = None; // this generation ended well
        Decision::Respawn(because.to_owned())
    }

    /// The running test uses the current generation.
    fn record_use(&mut self) {
        let Some(test) = &self.running else { return };
        self.proven = false;
        self.served.push(Use {
            test: test.clone(),
            began: self.running_began,
            passed: false,
        });
        if let Some(because) = self.because.take() {
            let note = Note {
                file: test.file.clone(),
                test: test.id.clone(),
                generation: self.generation,
                because,
            };
            self.notes.push(note);
        }
    }
}

fn on_purpose(by: &str) -> String {
    format!("ended on purpose by {by}")
}

fn because_of(trouble: &Trouble, generation: u32) -> String {
    let cause = &trouble.cause;
    if trouble.found != Found::Reported {
        let culprit = trouble.culprit.as_ref().map(|culprit| culprit.test.clone());
        return format!(
            "{} {}",
            culprit.unwrap_or_else(|| format!("generation {generation}")),
            trouble.told()
        );
    }
    match &trouble.culprit {
        Some(Culprit {
            test,
            inferred: false,
        }) => format!("{test} left generation {generation} degraded: {cause}"),
        Some(Culprit { test, inferred: true }) => {
            format!("generation {generation} was degraded after {test} had ended (inferred blame): {cause}")
        }
        None => format!("generation {generation} degraded before any test ran on it: {cause}"),
    }
}

/// Whether a node id belongs to a node: the node itself, something in it, or one of its parameters.
fn is_part_of(id: &str, node: &str) -> bool {
    id.strip_prefix(node)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::") || rest.starts_with('['))
}

/// The same failure contains different numbers each time: seconds, addresses, pids.
fn without_numbers(cause: &str) -> String {
    cause.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// A word that is not valid for an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseOptionError {
    /// The words that are valid.
    pub wanted: &'static str,
}

impl fmt::Display for ParseOptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.wanted)
    }
}

impl FromStr for Scope {
    type Err = ParseOptionError;

    fn from_str(word: &str) -> Result<Self, ParseOptionError> {
        match word {
            "session" => Ok(Self::Session),
            "module" => Ok(Self::Module),
            "function" => Ok(Self::Function),
            _ => Err(ParseOptionError {
                wanted: "session, module or function",
            }),
        }
    }
}

impl FromStr for CallbackErrors {
    type Err = ParseOptionError;

    fn from_str(word: &str) -> Result<Self, ParseOptionError> {
        match word {
            "note" => Ok(Self::Note),
            "fail" => Ok(Self::Fail),
            "degrade" => Ok(Self::Degrade),
            _ => Err(ParseOptionError {
                wanted: "note, fail or degrade",
            }),
        }
    }
}

impl FromStr for Handover {
    type Err = ParseOptionError;

    fn from_str(word: &str) -> Result<Self, ParseOptionError> {
        match word {
            "respawn" => Ok(Self::Respawn),
            "fail" => Ok(Self::Fail),
            "off" => Ok(Self::Off),
            _ => Err(ParseOptionError {
                wanted: "respawn, fail or off",
            }),
        }
    }
}

impl FromStr for LeftOpen {
    type Err = ParseOptionError;

    fn from_str(word: &str) -> Result<Self, ParseOptionError> {
        match word {
            "respawn" => Ok(Self::Respawn),
            "note" => Ok(Self::Note),
            _ => Err(ParseOptionError {
                wanted: "note or respawn",
            }),
        }
    }
}

impl FromStr for Respawn {
    type Err = ParseOptionError;

    fn from_str(word: &str) -> Result<Self, ParseOptionError> {
        match word {
            "file" => Ok(Self::File),
            "test" => Ok(Self::Test),
            "never" => Ok(Self::Never),
            _ => Err(ParseOptionError {
                wanted: "file, test or never",
            }),
        }
    }
}
