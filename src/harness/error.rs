//! The errors of the test side, and everything that is known about an app that failed.

use std::fmt;
use std::path::PathBuf;

use crate::io_error::IoError;
use crate::text::printable;
use crate::wire::{Culprit, Reason};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An invalid value, or a call at the wrong time. The text says which, and what is valid.
    #[error("{0}")]
    BadValue(String),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The user ended the wait (Ctrl-C).
    #[error("interrupted")]
    Interrupted,
    /// The app does not fulfil what a test needs.
    #[error(transparent)]
    App(#[from] AppError),
}

/// The result of the test side's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// How an app fails the tests that need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppErrorKind {
    /// It could not be started.
    Start,
    /// It is degraded.
    Degraded,
    /// A callback raised, but the app goes on.
    Callback,
    /// Its process is gone.
    Exited,
    /// Its process lives, but its agent does not answer.
    Unreachable,
    /// An end that the test had declared did not come in time.
    DidNotEnd,
}

/// An app that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct AppError {
    /// How it failed.
    pub kind: AppErrorKind,
    /// Everything that is known.
    pub failure: Box<Failure>,
}

impl AppError {
    /// An app that failed in this way.
    #[must_use]
    pub fn new(kind: AppErrorKind, failure: Failure) -> Self {
        let failure = Box::new(failure);
        Self { kind, failure }
    }

    /// A copy without tracebacks and output.
    #[must_use]
    pub fn in_brief(mut self) -> Self {
        self.failure.stderr_tail.clear();
        self.failure.stacks.clear();
        for reason in &mut self.failure.reasons {
            reason.detail.traceback = None;
        }
        self
    }

    /// Adds advice to the description; nothing if it is empty.
    pub fn advise(&mut self, advice: &str) {
        if !advice.is_empty() {
            self.failure.summary = format!("{}\n  {advice}", self.failure.summary);
        }
    }
}

impl Error {
    /// What went wrong, on one line, for a note.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::App(error) => error.failure.cause(),
            Self::Interrupted => "its start was interrupted".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Everything that is known about a failed app, for people and programs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, on the first line, then what happened and what to do next.
    pub summary: String,
    /// The number of the process; 0 if none was started.
    pub generation: u32,
    /// Its process id, if one was started.
    pub pid: Option<u32>,
    /// Why the app is degraded.
    pub reasons: Vec<Reason>,
    /// `exit status: 1`, `signal: 11 (SIGSEGV)`, …, if it ended.
    pub exit_status: Option<String>,
    /// The test that is blamed.
    pub culprit: Option<Culprit>,
    /// The last lines that the app wrote to its standard error.
    pub stderr_tail: String,
    /// The stacks of its Python threads when it stopped answering, if py-spy could read them.
    pub stacks: String,
    /// The generation's folder: its output, its discovery file, its state.
    pub folder: PathBuf,
}

impl Failure {
    /// The reasons, the exit status or the summary, on one line, for a note.
    #[must_use]
    pub fn cause(&self) -> String {
        if !self.reasons.is_empty() {
            return self
                .reasons
                .iter()
                .map(Reason::line)
                .collect::<Vec<_>>()
                .join("; ");
        }
        let first_line = || self.summary.lines().next().unwrap_or_default().to_owned();
        self.exit_status.clone().unwrap_or_else(first_line)
    }
}

impl fmt::Display for Failure {
    /// Prints safely, whatever text the app provided.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.tell(&mut text)?;
        f.write_str(&printable(&text))
    }
}

impl Failure {
    fn tell(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        f.write_str(&self.summary)?;
        let first_line = self.summary.lines().next();
        let untold = |reason: &&Reason| {
            let line = reason.line();
            let says = |first: &str| first.contains(line.lines().next().unwrap_or_default());
            !first_line.is_some_and(says)
        };
        for reason in self.reasons.iter().filter(untold) {
            write!(
                f,
                "\n  {} [{}]: {}",
                reason.code, reason.component, reason.message
            )?;
        }
        for reason in &self.reasons {
            if let Some(traceback) = &reason.detail.traceback {
                write!(f, "\n{} traceback:\n{}", reason.code, indented(traceback))?;
            }
        }
        let told = |status: &&String| first_line.is_some_and(|line| line.contains(status.as_str()));
        if let Some(status) = self.exit_status.as_ref().filter(|status| !told(status)) {
            write!(f, "\n  ended with {status}")?;
        }
        // The traceback of a crash is usually at the end of stderr too. Show it once.
        let told = self
            .reasons
            .iter()
            .any(|reason| reason.detail.traceback.is_some());
        if !self.stderr_tail.is_empty() && !told {
            write!(f, "\nlast lines of its stderr:\n{}", indented(&self.stderr_tail))?;
        }
        if !self.stacks.is_empty() {
            write!(f, "\nits threads (py-spy):\n{}", indented(&self.stacks))?;
        }
        if !self.folder.as_os_str().is_empty() {
            write!(f, "\nall its output is in {}", self.folder.display())?;
        }
        Ok(())
    }
}

fn indented(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(|line| format!("    {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
