//! Why an app is not fit to be tested: the reason codes of the wire format.

use std::fmt;

/// A reason code. The set is closed except for [`Code::App`], which holds a code of the app's choice.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Code {
    /// An exception left the main loop.
    MainLoopCrashed,
    /// The main loop returned, and the app had not announced it.
    MainLoopExited,
    /// No beat for `stall_after`, while the interpreter was free.
    MainLoopStalled,
    /// Neither the canary nor the loop ran: native code holds the GIL.
    InterpreterHeld,
    /// No first beat within `startup`.
    StartupTimeout,
    /// An executor refuses new work because it was shut down.
    ExecutorShutdown,
    /// An executor refuses new work because an initializer or a worker died.
    ExecutorBroken,
    /// An executor refused work that it was given, because it was shut down or is broken.
    ExecutorRefused,
    /// A watched executor was garbage-collected.
    ExecutorGone,
    /// Work is queued and nothing finished for `executor_stall`.
    ExecutorStalled,
    /// A watched thread ended.
    ThreadDied,
    /// A toolkit caught an exception of a callback, and the configuration makes that degrade the app.
    CallbackException,
    /// The main thread ended, but other threads keep the process alive.
    AppExiting,
    /// A thread of the agent itself died.
    AgentFault,
    /// The app reported it, with a code of its choice (`app_reported` by default).
    App(String),
}

impl Code {
    /// The code of an app's report that names none.
    pub const APP_REPORTED: &'static str = "app_reported";

    const FIXED: [(Self, &'static str); 14] = [
        (Self::MainLoopCrashed, "main_loop_crashed"),
        (Self::MainLoopExited, "main_loop_exited"),
        (Self::MainLoopStalled, "main_loop_stalled"),
        (Self::InterpreterHeld, "interpreter_held"),
        (Self::StartupTimeout, "startup_timeout"),
        (Self::ExecutorShutdown, "executor_shutdown"),
        (Self::ExecutorBroken, "executor_broken"),
        (Self::ExecutorRefused, "executor_refused"),
        (Self::ExecutorGone, "executor_gone"),
        (Self::ExecutorStalled, "executor_stalled"),
        (Self::ThreadDied, "thread_died"),
        (Self::CallbackException, "callback_exception"),
        (Self::AppExiting, "app_exiting"),
        (Self::AgentFault, "agent_fault"),
    ];

    /// The code as text on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if let Self::App(own) = self {
            return own;
        }
        Self::FIXED
            .iter()
            .find(|(code, _)| code == self)
            .map_or(Self::APP_REPORTED, |(_, name)| name)
    }

    /// Whether livegui itself uses `name`. An app must not report such a code as its own.
    #[must_use]
    pub fn is_reserved(name: &str) -> bool {
        Self::FIXED.iter().any(|(_, fixed)| *fixed == name)
    }

    /// Whether the reason clears itself when its cause is gone.
    #[must_use]
    pub const fn is_recoverable(&self) -> bool {
        matches!(
            self,
            Self::MainLoopStalled
                | Self::InterpreterHeld
                | Self::StartupTimeout
                | Self::ExecutorStalled
                | Self::CallbackException
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
