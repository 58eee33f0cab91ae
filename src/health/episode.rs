//! A reason and the unbroken span in which it holds.

use super::{Awake, Code};

/// Why the app is degraded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The kind of problem.
    pub code: Code,
    /// The part of the app: `main_loop`, or the name of something watched.
    pub component: String,
    /// One line for people. At most [`Reason::MAX_MESSAGE`] bytes.
    pub message: String,
    /// The traceback, if there is one. At most [`Reason::MAX_TRACEBACK`] bytes; the end is kept.
    pub traceback: Option<String>,
    /// Whether it clears itself, or can be cleared, while the process lives.
    pub recoverable: bool,
}

impl Reason {
    /// The longest message that is kept, in bytes.
    pub const MAX_MESSAGE: usize = 4 * 1024;
    /// The longest traceback that is kept, in bytes.
    pub const MAX_TRACEBACK: usize = 32 * 1024;

    /// A reason with its texts cut to their limits.
    #[must_use]
    pub fn new(code: Code, component: &str, message: &str) -> Self {
        let recoverable = code.is_recoverable();
        Self {
            code,
            component: head(component, 256),
            message: head(message, Self::MAX_MESSAGE),
            traceback: None,
            recoverable,
        }
    }

    /// Adds a traceback.
    #[must_use]
    pub fn with_traceback(mut self, traceback: Option<&str>) -> Self {
        self.traceback = traceback
            .filter(|text| !text.is_empty())
            .map(|text| tail(text, Self::MAX_TRACEBACK));
        self
    }

    /// Sets whether it is recoverable, as the app reports it.
    #[must_use]
    pub const fn recoverable(mut self, recoverable: bool) -> Self {
        self.recoverable = recoverable;
        self
    }
}

/// One unbroken span in which a reason holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Numbered from 1 in the order of opening.
    pub number: u64,
    /// The reason that held.
    pub reason: Reason,
    /// When it began to hold.
    pub opened: Awake,
    /// When it stopped holding; `None` while it holds.
    pub closed: Option<Awake>,
}

/// The first `limit` bytes of `text`, cut at a character.
pub(super) fn head(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", &text[..end])
}

/// The last `limit` bytes of `text`, because the end of a traceback matters most.
pub(super) fn tail(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mut start = text.len() - limit;
    while !text.is_char_boundary(start) {
        start += 1;
    }
    format!("…{}", &text[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_at_a_character_and_keep_the_end_that_matters() {
        let long = "é".repeat(Reason::MAX_TRACEBACK);
        let reason = Reason::new(Code::MainLoopCrashed, "main_loop", &long)
            .with_traceback(Some(&format!("{long}END")));
        assert!(reason.message.len() <= Reason::MAX_MESSAGE + "…".len());
        assert!(
            reason
                .traceback
                .is_some_and(|t| t.ends_with("END") && t.len() <= Reason::MAX_TRACEBACK + "…".len())
        );
    }
}
