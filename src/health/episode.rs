//! A reason and the unbroken span in which it holds.

use super::{Awake, Code};

/// Why the app is degraded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What kind of trouble.
    pub code: Code,
    /// Which part of the app: `main_loop`, or the name it was watched under.
    pub component: String,
    /// One line for a person. At most [`Reason::MAX_MESSAGE`] bytes.
    pub message: String,
    /// The traceback, if there is one. At most [`Reason::MAX_TRACEBACK`] bytes, the end kept.
    pub traceback: Option<String>,
    /// Whether it clears itself, or can be cleared, while the process lives.
    pub recoverable: bool,
}

impl Reason {
    /// Bytes of a message that are kept.
    pub const MAX_MESSAGE: usize = 4 * 1024;
    /// Bytes of a traceback that are kept.
    pub const MAX_TRACEBACK: usize = 32 * 1024;

    /// A reason whose texts are cut to their limits.
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

    /// The same, with a traceback.
    #[must_use]
    pub fn with_traceback(mut self, traceback: Option<&str>) -> Self {
        self.traceback = traceback
            .filter(|text| !text.is_empty())
            .map(|text| tail(text, Self::MAX_TRACEBACK));
        self
    }

    /// The same, recoverable or not as the app says.
    #[must_use]
    pub const fn recoverable(mut self, recoverable: bool) -> Self {
        self.recoverable = recoverable;
        self
    }
}

/// One unbroken span in which a reason holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Episode {
    /// Numbered from 1 in the order in which they opened.
    pub number: u64,
    /// What held.
    pub reason: Reason,
    /// When it began to hold.
    pub opened: Awake,
    /// When it ceased to; `None` while it holds.
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

/// The last `limit` bytes of `text`: a traceback says what matters at its end.
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
