//! What the test side cannot do, and everything that is known of an app that failed.

use std::fmt;

use crate::io_error::IoError;
use crate::text::printable;
use crate::wire::{Culprit, Reason};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value, or a call at the wrong time; says which, and what would do.
    #[error("{0}")]
    BadValue(String),
    /// The operating system refused something.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Whoever asked for it ceased to wait (Ctrl-C).
    #[error("interrupted")]
    Interrupted,
    /// The app is not what a test needs.
    #[error(transparent)]
    App(#[from] AppError),
}

/// The result of what the test side does.
pub type Result<T> = std::result::Result<T, Error>;

/// What an app does to the tests that need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppErrorKind {
    /// It could not be started.
    Start,
    /// It is degraded.
    Degraded,
    /// A callback of it raised, and it goes on.
    Callback,
    /// Its process is gone.
    Exited,
    /// Its process lives, and its agent does not answer.
    Unreachable,
    /// The end that a test had declared did not come in time.
    DidNotEnd,
}

/// An app that failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct AppError {
    /// How.
    pub kind: AppErrorKind,
    /// Everything that is known.
    pub failure: Box<Failure>,
}

impl AppError {
    /// An app that failed so.
    #[must_use]
    pub fn new(kind: AppErrorKind, failure: Failure) -> Self {
        let failure = Box::new(failure);
        Self { kind, failure }
    }

    /// The same without tracebacks and output.
    #[must_use]
    pub fn in_brief(mut self) -> Self {
        self.failure.stderr_tail.clear();
        self.failure.stacks.clear();
        for reason in &mut self.failure.reasons {
            reason.detail.traceback = None;
        }
        self
    }

    /// Adds lines to what happened; none if they are empty.
    pub fn advise(&mut self, advice: &str) {
        if !advice.is_empty() {
            self.failure.summary = format!("{}\n  {advice}", self.failure.summary);
        }
    }
}

impl Error {
    /// What went wrong as one line: what a note quotes.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::App(error) => error.failure.cause(),
            Self::Interrupted => "its start was interrupted".to_owned(),
            other => other.to_string(),
        }
    }
}

/// Everything that is known of a failed app, for a person to read and a program to use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong on the first line; then what happened, and what to do next.
    pub summary: String,
    /// Which process it was; 0 if it never got that far.
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
    /// What its Python threads were at when it fell silent, if py-spy could tell.
    pub stacks: String,
    /// The generation's folder: its output, its discovery file, its state.
    pub folder: String,
}

impl Failure {
    /// The reasons, the exit status or the summary as one line: what a note quotes.
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
    /// Printable, whatever the app said.
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
        // The traceback of a crash is as a rule the end of stderr too; once is enough.
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
        if !self.folder.is_empty() {
            write!(f, "\nall its output is in {}", self.folder)?;
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
