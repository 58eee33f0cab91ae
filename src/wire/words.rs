//! The words of the schemas: states and outcomes. A word that only a newer version knows becomes `Unknown`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$about])* #[serde(rename = $word)] $variant,)+
            /// A word of a newer version.
            #[serde(untagged)]
            Unknown(String),
        }

        impl $name {
            /// The word as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Unknown(word) => word,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.pad(self.as_str())
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Unknown(word),
                }
            }
        }
    )+};
}

words! {
    /// The status of the whole app.
    Status {
        /// No beat yet.
        Starting = "starting",
        /// It beats, and no reason holds.
        Ok = "ok",
        /// At least one reason holds.
        Degraded = "degraded",
        /// The app announced its end.
        Stopping = "stopping",
    }

    /// The state of one part of the app.
    CheckState {
        /// Nothing is known yet.
        Waiting = "waiting",
        /// Its beats cannot be seen, so nothing is known about it.
        NotWatched = "not_watched",
        /// All is well.
        Ok = "ok",
        /// The app declared that it waits on purpose.
        Paused = "paused",
        /// The loop does not beat.
        Stalled = "stalled",
        /// Native code holds the interpreter.
        Held = "held",
        /// An exception ended the loop.
        Crashed = "crashed",
        /// The loop returned, or a thread ended.
        Ended = "ended",
        /// The thread runs.
        Alive = "alive",
        /// An executor was shut down.
        Shutdown = "shutdown",
        /// An executor broke.
        Broken = "broken",
        /// An executor was garbage-collected.
        Gone = "gone",
    }

    /// The state of the heartbeat log.
    JournalState {
        /// It is turned off.
        Off = "off",
        /// Lines are written.
        Ok = "ok",
        /// Lines cannot be written.
        Failing = "failing",
    }

    /// The state of a process behind a `live_gui` handle, or how it ended.
    #[derive(Default)]
    GenerationState {
        /// It is not ready yet.
        #[default]
        Starting = "starting",
        /// It is ready, but no test has used it yet.
        Ready = "ready",
        /// It is in use, and fit to be tested.
        Ok = "ok",
        /// Its agent reports that it is not fit to be tested.
        Degraded = "degraded",
        /// It announced its end.
        Stopping = "stopping",
        /// Its process is gone.
        Exited = "exited",
        /// Its process lives, but its agent does not answer.
        Unreachable = "unreachable",
        /// It was ended: by livegui in good health, or on purpose by a test.
        Ended = "ended",
    }

    /// How a test ended.
    #[derive(Default)]
    TestOutcome {
        /// It passed.
        #[default]
        Passed = "passed",
        /// Its call failed.
        Failed = "failed",
        /// Its set-up or its tear-down failed.
        Error = "error",
        /// It did not run, because another test had broken the app.
        Victim = "victim",
        /// It was skipped.
        Skipped = "skipped",
        /// It failed, as expected.
        Xfailed = "xfailed",
        /// It passed, although it was expected to fail.
        Xpassed = "xpassed",
    }
}

impl GenerationState {
    /// Whether all is well with the process.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Ok | Self::Ready | Self::Ended | Self::Starting)
    }

    /// Whether a test has used the process.
    #[must_use]
    pub const fn was_tested(&self) -> bool {
        !matches!(self, Self::Starting | Self::Ready)
    }
}

impl TestOutcome {
    /// Whether the test needs nobody's attention. False for an outcome that only a newer plugin knows.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Passed | Self::Xpassed | Self::Skipped | Self::Xfailed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_was_written_also_one_of_a_newer_version() {
        for (state, word) in [
            (GenerationState::Unreachable, "\"unreachable\""),
            (GenerationState::Unknown("asleep".to_owned()), "\"asleep\""),
        ] {
            assert_eq!(serde_json::to_string(&state).unwrap(), word);
            assert_eq!(serde_json::from_str::<GenerationState>(word).unwrap(), state);
            assert_eq!(GenerationState::from(state.as_str().to_owned()), state);
        }
    }
}
