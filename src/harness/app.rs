//! One running generation, and how to describe its failure.

use std::sync::Arc;

use super::error::{AppError, AppErrorKind, Failure};
use super::hook_port::HookPort;
use super::process::ProcessTree;
use super::silence;
use super::stacks;
use super::watch::{AppState, Watch};
use crate::health::Code;
use crate::process::Exit;
use crate::wire::{CaughtException, Culprit, Reason};

/// A process that is, or was, ready.
pub struct App {
    /// Its name among several apps of the same tests; empty if it is the only one.
    pub name: String,
    /// Its number.
    pub generation: u32,
    /// The process itself.
    pub process: Arc<ProcessTree>,
    /// The watch of this process.
    pub watch: Watch,
    /// The port that its hook server should listen on.
    pub hook_port: Arc<HookPort>,
}

impl App {
    /// Whether it announced its end, or ended with status 0 and nothing wrong.
    pub fn has_ended_in_order(&self) -> bool {
        match self.watch.verdict() {
            AppState::Stopping => true,
            AppState::Exited { reasons, .. } => {
                reasons.is_empty() && self.process.exit().and_then(Exit::code) == Some(0)
            }
            _ => false,
        }
    }

    /// Everything that is known about it.
    pub fn describe(&self, culprit: Option<Culprit>) -> Failure {
        let (reasons, exit_status) = match self.watch.verdict() {
            AppState::Degraded(reasons) => (reasons, None),
            AppState::Exited { how, reasons } => (reasons, Some(how)),
            _ => (Vec::new(), None),
        };
        Failure {
            summary: String::new(),
            generation: self.generation,
            pid: Some(self.process.pid()),
            reasons,
            exit_status,
            culprit,
            stderr_tail: self.process.stderr_tail(),
            stacks: stacks::taken(self.process.folder()),
            folder: self.process.folder().to_owned(),
        }
    }

    /// Everything about a callback that raised while the app itself goes on.
    pub fn callback_failure(&self, caught: CaughtException) -> Failure {
        let source = if caught.source == "asyncio" {
            "an asyncio callback"
        } else {
            "a callback"
        };
        let place = if caught.place.is_empty() {
            String::new()
        } else {
            format!(" at {}", caught.place)
        };
        let reason = Reason {
            code: Code::CallbackException.to_string(),
            component: "app".to_owned(),
            recoverable: true,
            episode: 0,
            since_ms: caught.newest_ms,
            lasted_ms: None,
            message: caught.message,
            detail: caught.detail,
        };
        Failure {
            summary: format!(
                "{}\n  {source} of the app raised{place} during this test; the app goes on ({})",
                reason.line(),
                self.which()
            ),
            generation: self.generation,
            pid: Some(self.process.pid()),
            reasons: vec![reason],
            folder: self.process.folder().to_owned(),
            ..Failure::default()
        }
    }

    /// The error for its state. The first line says what is wrong with the app; `what` says what happened.
    pub fn failure(&self, what: &str, culprit: Option<Culprit>) -> AppError {
        let verdict = self.watch.verdict();
        let is = || format!("the app is {}", verdict.state());
        let (first, more) = match &verdict {
            AppState::Unreachable(why) => {
                let (first, more) = why.split_once('\n').unwrap_or((why, ""));
                (first.to_owned(), more.trim_start().to_owned())
            }
            _ => (verdict.gist().unwrap_or_else(is), String::new()),
        };
        let mut error = self.failure_with(self.kind(), &first, what, culprit);
        error.advise(&more);
        if verdict.is_silence() && matches!(verdict, AppState::Degraded(_)) {
            error.advise(&silence::of_a_loop(&self.process).unwrap_or_default());
        }
        error
    }

    /// The kind of error for its state.
    pub fn kind(&self) -> AppErrorKind {
        match self.watch.verdict() {
            AppState::Exited { .. } => AppErrorKind::Exited,
            AppState::Unreachable(_) | AppState::Starting => AppErrorKind::Unreachable,
            // Its agent answers, but the app was found unfit, for example because something was left open.
            AppState::Ok | AppState::Degraded(_) | AppState::Stopping => AppErrorKind::Degraded,
        }
    }

    /// An error of this kind, which says first what is wrong and then what happened.
    pub fn failure_with(
        &self,
        kind: AppErrorKind,
        first: &str,
        what: &str,
        culprit: Option<Culprit>,
    ) -> AppError {
        let summary = format!("{first}\n  {what} ({})", self.which());
        self.failure_of(kind, summary, culprit)
    }

    /// Names the process for people.
    fn which(&self) -> String {
        let name = if self.name.is_empty() { "" } else { ", " };
        format!(
            "{}{name}generation {}, pid {}",
            self.name,
            self.generation,
            self.process.pid()
        )
    }

    /// An error of this kind.
    pub fn failure_of(&self, kind: AppErrorKind, summary: String, culprit: Option<Culprit>) -> AppError {
        let mut failure = self.describe(culprit);
        failure.summary = summary;
        AppError::new(kind, failure)
    }
}
