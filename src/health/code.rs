//! Why an app is not fit to be tested: the reason codes of the wire format.

use std::fmt;

/// A reason code. The set is closed but for [`Code::App`], the app's own word.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Code {
    /// An exception left the main loop.
    MainLoopCrashed,
    /// The main loop returned and nobody had announced it.
    MainLoopExited,
    /// No beat for `stall_after`, while the interpreter was free.
    MainLoopStalled,
    /// Neither the canary nor the loop ran: native code holds the GIL.
    InterpreterHeld,
    /// No first beat within `startup`.
    StartupTimeout,
    /// An executor refuses new work because somebody shut it down.
    ExecutorShutdown,
    /// An executor refuses new work because an initializer or a worker died.
    ExecutorBroken,
    /// An executor refused work that somebody gave it: it was shut down, or it is broken.
    ExecutorRefused,
    /// A watched executor was garbage-collected.
    ExecutorGone,
    /// Work is queued and nothing finished for `executor_stall`.
    ExecutorStalled,
    /// A watched thread ended.
    ThreadDied,
    /// A toolkit caught an exception of a callback, and the app is told to be degraded by that.
    CallbackException,
    /// The main thread ended, other threads keep the process alive.
    AppExiting,
    /// A thread of the agent itself died.
    AgentFault,
    /// The app said so, by a code of its own (`app_reported` unless it chose one).
    App(String),
}

impl Code {
    /// What an app's report is called if it gives no code of its own.
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

    /// The code as it stands on the wire.
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

    /// Whether livegui itself uses `name`, so that an app must not report it as its own.
    #[must_use]
    pub fn is_reserved(name: &str) -> bool {
        Self::FIXED.iter().any(|(_, fixed)| *fixed == name)
    }

    /// Whether the reason clears itself when its cause goes.
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
