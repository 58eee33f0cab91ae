//! An end that a test declares: declaring it, waiting for it, and what follows.

use std::sync::{Arc, TryLockError};
use std::thread;
use std::time::{Duration, Instant};

use super::{ANSWER_WITHIN, Live, VERDICT_WITHIN, never_started};
use crate::harness::app::App;
use crate::harness::ends::{Expected, Progress};
use crate::harness::error::{AppError, AppErrorKind, Error, Result};
use crate::harness::process::ProcessTree;
use crate::harness::stacks;
use crate::harness::start::Step;
use crate::harness::watch::AppState;
use crate::process::Exit;
use crate::wire::{Reason, Status};

/// How often to check during the wait for an end.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// An end that came as declared.
#[derive(Debug, Clone)]
pub struct End {
    /// The process that ended, or that livegui ended because of it.
    pub process: Arc<ProcessTree>,
    /// Its number.
    pub generation: u32,
    /// How it ended, for people.
    pub how: String,
    /// Why the app was degraded before that, if it was.
    pub reasons: Vec<Reason>,
}

impl Live {
    /// The running test declares that the app will end. From here on, what is part of that end is not blamed on
    /// anybody, until [`Live::await_end`] or [`Live::withdraw_end`].
    ///
    /// # Errors
    /// [`Error::BadValue`] inside another declaration; [`AppErrorKind::Degraded`] and the like if something is
    /// wrong with the app already.
    pub fn declare_end(&self, expected: Expected) -> Result<()> {
        self.concluded().take();
        let mut state = self.ledger.state();
        state.as_declared = None;
        if state.policy.trouble().is_some() {
            drop(state);
            return Err(self.broken("before this was declared").into());
        }
        let refused = format!("{expected} inside of");
        if let Some(before) = state.policy.end_declared(expected) {
            return Err(Error::BadValue(format!(
                "{refused} {before}: leave that one first"
            )));
        }
        Ok(())
    }

    /// Waits for the declared end, for at most `within`, and puts the app away. Afterwards there is no process
    /// until [`Live::use_after_end`], or the next test.
    ///
    /// # Errors
    /// The error with which to fail the test: the app did not end in time, ended in another way, or degraded first.
    /// [`Error::Interrupted`] if `step` ended the wait.
    pub fn await_end(&self, within: Duration, step: Step<'_>) -> Result<End> {
        let deadline = Instant::now() + within;
        loop {
            let state = self.ledger.state();
            let Some((expected, progress)) = state.policy.declared() else {
                drop(state);
                let lapsed =
                    || Error::BadValue("no end is declared any more: the test that did has ended".to_owned());
                return self.concluded().take().ok_or_else(lapsed);
            };
            let (expected, progress) = (expected.clone(), progress);
            let is_broken = state.policy.trouble().is_some();
            if let Some(error) = self.callback_error(state) {
                let _ = self.withdraw_end(); // the first error matters more
                return Err(error.into());
            }
            if is_broken {
                let error = self.broken("first");
                self.ledger.state().policy.declaration_over(false);
                return Err(error.into());
            }
            if progress == Progress::Done {
                return self.conclude(&expected);
            }
            if Instant::now() >= deadline {
                return Err(self.too_late(&expected, within).into());
            }
            if !step() {
                let _ = self.withdraw_end();
                return Err(Error::Interrupted);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Stops waiting for the declared end, because the test has failed for another reason. If the end has begun, it
    /// still counts as declared.
    ///
    /// # Errors
    /// If the app has ended already, but not as declared.
    pub fn withdraw_end(&self) -> Result<()> {
        if self.ledger.state().policy.declared().is_none() {
            return Ok(());
        }
        self.await_first_sign();
        let mut state = self.ledger.state();
        let Some((expected, progress)) = state.policy.declared() else {
            return Ok(());
        };
        let expected = expected.clone();
        // An app that crashed on its way out stays where it is, because the verdict reports it.
        if progress == Progress::Waits || state.policy.trouble().is_some() {
            state.policy.declaration_over(false);
            return Ok(());
        }
        drop(state);
        self.conclude(&expected).map(drop)
    }

    /// The declared end has come already, and the test itself asks for a fresh process.
    pub(super) fn conclude_if_done(&self) -> Result<()> {
        if self.ledger.state().policy.declared().is_none() {
            return Ok(());
        }
        self.await_exit_to_show();
        let state = self.ledger.state();
        let Some((expected, progress)) = state.policy.declared() else {
            return Ok(());
        };
        let expected = expected.clone();
        drop(state);
        if progress != Progress::Done {
            let why =
                format!("a fresh process was asked for inside of {expected}, and the app has not ended yet");
            return Err(Error::BadValue(why));
        }
        let end = self.conclude(&expected)?;
        *self.concluded() = Some(end);
        Ok(())
    }

    /// The running test uses the app. If a test had ended it on purpose, a fresh process is started.
    ///
    /// # Errors
    /// As [`Live::start`].
    pub fn use_after_end(&self, step: Step<'_>) -> Result<()> {
        // If two threads use the app, the second finds what the first has started.
        let _turn = loop {
            match self.bringing_up.try_lock() {
                Ok(turn) => break turn,
                Err(TryLockError::Poisoned(turn)) => break turn.into_inner(),
                Err(TryLockError::WouldBlock) if !step() => return Err(Error::Interrupted),
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK_EVERY),
            }
        };
        let due = self.ledger.state().policy.used_after_end();
        due.map_or(Ok(()), |because| self.install(Some(because), step))
    }

    /// Whether there is no process because a test ended it on purpose.
    #[must_use]
    pub fn was_ended_on_purpose(&self) -> bool {
        self.ledger.state().policy.used_after_end().is_some()
    }

    fn conclude(&self, expected: &Expected) -> Result<End> {
        let Some(app) = self.current().take() else {
            return Err(never_started().into());
        };
        let mut state = app.watch.verdict();
        if !matches!(state, AppState::Exited { .. } | AppState::Degraded(_)) {
            // The app has recovered from the declared reason, or stopped answering since.
            state = self.ledger.state().as_declared.take().unwrap_or(state);
        }
        let (mut how, reasons) = match state {
            AppState::Exited { how, reasons } => (how, reasons),
            AppState::Degraded(reasons) => {
                let why = reasons.iter().map(Reason::line).collect::<Vec<_>>().join("; ");
                (why, reasons)
            }
            state => (state.cause().unwrap_or_default(), Vec::new()),
        };
        // While the app is still exiting, its exit status cannot be wrong yet.
        let exit = app.process.exit();
        let objection = exit.and_then(|exit| expected.objection(exit.status()));
        let error = objection.map(|objection| {
            how = format!("{how}, {objection}");
            app.failure_with(
                AppErrorKind::Exited,
                &how,
                &format!("the app did not end as {expected} says"),
                None,
            )
        });
        let end = End {
            process: Arc::clone(&app.process),
            generation: app.generation,
            how: how.clone(),
            reasons,
        };
        self.put_away(app, &how);
        error.map_or(Ok(end), |error| Err(error.into()))
    }

    fn too_late(&self, expected: &Expected, within: Duration) -> AppError {
        let Some(app) = self.current().take() else {
            return never_started();
        };
        stacks::take(&self.python, &app.process);
        let how = format!(
            "did not {} within {:.1} s",
            expected.to_do(),
            within.as_secs_f64()
        );
        let so_far = app.watch.verdict().cause();
        let so_far = so_far.map_or_else(String::new, |cause| format!("; so far: {cause}"));
        let what = format!(
            "the app still runs, and {expected} says that it is to {}{so_far}",
            expected.to_do()
        );
        let error = app.failure_with(AppErrorKind::DidNotEnd, &how, &what, None);
        self.put_away(app, &how);
        error
    }

    fn put_away(&self, app: App, how: &str) {
        let by = self.ledger.state().policy.declaration_over(true);
        if let Some(by) = by {
            self.ledger.ended_on_purpose(&app, &by, how);
        }
        self.retire(app);
    }

    fn broken(&self, when: &str) -> AppError {
        self.verdict_on_running().unwrap_or_else(|| {
            let current = self.current();
            current.as_ref().map_or_else(never_started, |app| {
                app.failure(&format!("the app degraded {when}"), None)
            })
        })
    }

    /// The end of the app may be what ended the test. Its watch learns of that in a moment.
    fn await_first_sign(&self) {
        let client = self.current().as_ref().and_then(|app| app.watch.client());
        let answer = client.and_then(|client| client.health(ANSWER_WITHIN).ok());
        if answer.is_some_and(|health| health.status == Status::Ok) {
            return;
        }
        self.wait_while(|progress| progress == Progress::Waits);
    }

    /// A process is gone a moment before its watch reports it.
    fn await_exit_to_show(&self) {
        let is_gone = self
            .current()
            .as_ref()
            .is_some_and(|app| app.process.exit().is_some());
        if is_gone {
            self.wait_while(|progress| progress != Progress::Done);
        }
    }

    fn wait_while(&self, not_yet: impl Fn(Progress) -> bool) {
        let deadline = Instant::now() + VERDICT_WITHIN;
        let waits = || {
            let state = self.ledger.state();
            state.policy.trouble().is_none()
                && state
                    .policy
                    .declared()
                    .is_some_and(|(_, progress)| not_yet(progress))
        };
        while waits() && Instant::now() < deadline {
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// How a test declares that the app ends, if it looks as if the test meant that.
pub(super) fn advice(app: &App) -> Option<String> {
    let asked = app.process.was_asked_to_end();
    if !asked && !app.watch.verdict().is_ending() && !app.has_ended_in_order() {
        return None;
    }
    let status = match app.process.exit().and_then(Exit::status) {
        Some(0) | None => String::new(),
        Some(status) => format!("status={status}"),
    };
    let who = if asked {
        "the test ended it by itself"
    } else {
        "if the app is to end here"
    };
    Some(format!(
        "{who}: declare it, `with live_gui.expect_exit({status}):` around what ends it, or \
         @pytest.mark.live_gui_ends_app"
    ))
}
