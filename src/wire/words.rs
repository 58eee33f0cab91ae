//! The words of the schemas: states and outcomes. Each takes what a newer version may write for `Unknown`.

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
            /// The word as it is written.
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
    /// The agent's word for the whole app.
    Status {
        /// No beat yet.
        Starting = "starting",
        /// Beating, and no reason to think otherwise.
        Ok = "ok",
        /// At least one reason holds.
        Degraded = "degraded",
        /// The app announced its end.
        Stopping = "stopping",
    }

    /// How one part of the app is.
    CheckState {
        /// Nothing is known yet.
        Waiting = "waiting",
        /// Its beats cannot be seen, so that nothing is known of it.
        NotWatched = "not_watched",
        /// As it should be.
        Ok = "ok",
        /// The app said that it waits on purpose.
        Paused = "paused",
        /// The loop gives no beat.
        Stalled = "stalled",
        /// Native code holds the interpreter.
        Held = "held",
        /// The loop died of an exception.
        Crashed = "crashed",
        /// The loop returned, or a thread ended.
        Ended = "ended",
        /// A thread that runs.
        Alive = "alive",
        /// An executor was shut down.
        Shutdown = "shutdown",
        /// An executor broke.
        Broken = "broken",
        /// An executor was garbage-collected.
        Gone = "gone",
    }

    /// How the heartbeat log is.
    JournalState {
        /// None is kept.
        Off = "off",
        /// Lines are written.
        Ok = "ok",
        /// Lines cannot be written.
        Failing = "failing",
    }

    /// How a process behind a `live_gui` handle is, or how it ended.
    #[derive(Default)]
    GenerationState {
        /// It has not been ready yet.
        #[default]
        Starting = "starting",
        /// It is ready, and no test has got it yet.
        Ready = "ready",
        /// It is tested, and fit for that.
        Ok = "ok",
        /// It is not fit, by its agent's own word.
        Degraded = "degraded",
        /// It announced its end.
        Stopping = "stopping",
        /// Its process is gone.
        Exited = "exited",
        /// Its process lives, and its agent gives no answer.
        Unreachable = "unreachable",
        /// It was ended: by us in good health, or on purpose by a test.
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
        /// It failed, as was expected.
        Xfailed = "xfailed",
        /// It passed, which was not expected.
        Xpassed = "xpassed",
    }
}

impl GenerationState {
    /// Whether there is nothing wrong with the process.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Ok | Self::Ready | Self::Ended | Self::Starting)
    }

    /// Whether a test has got the process.
    #[must_use]
    pub const fn was_tested(&self) -> bool {
        !matches!(self, Self::Starting | Self::Ready)
    }
}

impl TestOutcome {
    /// Whether nobody has to look at the test. Not of what only a newer plugin knows.
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
