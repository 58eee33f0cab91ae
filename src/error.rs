//! Every error of the crate. The Python face maps them in one place (`python::raise`).

use std::fmt;
use std::io;

use crate::text::printable;
use crate::wire::{Culprit, Reason};

/// What went wrong.
#[derive(Debug)]
pub enum Error {
    /// A value from outside is not usable; says which, what it was and what would do.
    BadValue(String),
    /// The operating system refused something; says what was being done.
    Io {
        /// What was being done, to read as "cannot …".
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// The app could not be started.
    Start(Box<Failure>),
    /// Whoever asked for it ceased to wait (Ctrl-C).
    Interrupted,
    /// The app is degraded.
    Degraded(Box<Failure>),
    /// A callback of the app raised, and the app goes on.
    Callback(Box<Failure>),
    /// The app's process is gone.
    Exited(Box<Failure>),
    /// The app's process lives, and its agent does not answer.
    Unreachable(Box<Failure>),
    /// The end that a test had declared did not come in time.
    DidNotEnd(Box<Failure>),
}

/// The result of anything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

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

impl Error {
    /// What went wrong as one line: what a note quotes.
    #[must_use]
    pub fn cause(&self) -> String {
        match self {
            Self::Start(failure)
            | Self::Degraded(failure)
            | Self::Callback(failure)
            | Self::Exited(failure)
            | Self::DidNotEnd(failure)
            | Self::Unreachable(failure) => failure.cause(),
            Self::Interrupted => "its start was interrupted".to_owned(),
            other => other.to_string(),
        }
    }

    /// The same without tracebacks and output.
    pub(crate) fn in_brief(mut self) -> Self {
        if let Some(failure) = self.failure() {
            failure.stderr_tail.clear();
            failure.stacks.clear();
            for reason in &mut failure.reasons {
                reason.detail.traceback = None;
            }
        }
        self
    }

    /// Adds lines to what happened; none if they are empty.
    pub(crate) fn advise(&mut self, advice: &str) {
        if let (Some(failure), false) = (self.failure(), advice.is_empty()) {
            failure.summary = format!("{}\n  {advice}", failure.summary);
        }
    }

    const fn failure(&mut self) -> Option<&mut Failure> {
        match self {
            Self::Start(failure)
            | Self::Degraded(failure)
            | Self::Callback(failure)
            | Self::Exited(failure)
            | Self::DidNotEnd(failure)
            | Self::Unreachable(failure) => Some(failure),
            Self::BadValue(_) | Self::Io { .. } | Self::Interrupted => None,
        }
    }

    /// Turns an I/O error into one that says what was being done ("cannot …").
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadValue(what) => f.write_str(what),
            Self::Interrupted => f.write_str("interrupted"),
            Self::Io { doing, source } => write!(f, "cannot {doing}: {source}"),
            Self::Start(failure)
            | Self::Degraded(failure)
            | Self::Callback(failure)
            | Self::Exited(failure)
            | Self::DidNotEnd(failure)
            | Self::Unreachable(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
