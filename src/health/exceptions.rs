//! Exceptions that a toolkit caught while the app went on. They are not reasons: what one means is decided
//! elsewhere.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Awake, Reason};

/// How many distinct exceptions are kept (the latest).
const KEPT: usize = 32;
/// How often the same exception is reported, however fast it follows itself. After that, it is reported when it comes
/// again after [`RARE`], and when its count doubles.
const ALWAYS: u64 = 16;
/// What comes once in this time at most may be reported each time.
const RARE: Duration = Duration::from_secs(1);

/// What caught an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A GUI toolkit, in a callback.
    Gui,
    /// An asyncio event loop, in a callback.
    Asyncio,
    /// `threading`: the exception ended a thread.
    Thread,
    /// asyncio: a task raised, and nothing retrieved its result.
    Task,
    /// The interpreter, where it cannot be raised: in `__del__` or in the callback of a weak reference.
    Unraisable,
    /// Nothing: a toolkit reported an error of its own.
    Toolkit,
    /// The agent, when it woke the main loop with the app's function for that.
    Wake,
}

impl Source {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Gui, "gui"),
        (Self::Asyncio, "asyncio"),
        (Self::Thread, "thread"),
        (Self::Task, "task"),
        (Self::Unraisable, "unraisable"),
        (Self::Toolkit, "toolkit"),
        (Self::Wake, "wake"),
    ];

    /// The source with this name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(_, known)| *known == name);
        found.map(|(source, _)| *source)
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gui => "gui",
            Self::Asyncio => "asyncio",
            Self::Thread => "thread",
            Self::Task => "task",
            Self::Unraisable => "unraisable",
            Self::Toolkit => "toolkit",
            Self::Wake => "wake",
        }
    }

    /// Whether the exception stopped a callback, so that a user's action did not do its work.
    #[must_use]
    pub const fn is_callback(self) -> bool {
        matches!(self, Self::Gui | Self::Asyncio)
    }
}

/// One exception, however often it was raised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    /// Numbered from 1 in the order in which they were first raised.
    pub number: u64,
    /// What caught it.
    pub source: Source,
    /// `file:line in function` of the innermost frame of the app's own code.
    pub place: String,
    /// `Type: text` of the latest.
    pub message: String,
    /// The traceback of the first.
    pub traceback: Option<String>,
    /// How often it was raised.
    pub count: u64,
    /// When it was first raised.
    pub first: Awake,
    /// When it was last raised.
    pub newest: Awake,
}

/// The latest exceptions.
#[derive(Debug, Default)]
pub struct Exceptions {
    kept: VecDeque<Caught>,
    numbered: u64,
}

impl Exceptions {
    /// Records an exception. Returns it if it should be reported, which is bounded however often it is raised.
    pub fn hear(
        &mut self,
        source: Source,
        place: &str,
        message: &str,
        traceback: Option<&str>,
        now: Awake,
    ) -> Option<&Caught> {
        // The texts are cut like those of a reason.
        let place = super::episode::head(place, 512);
        let message = super::episode::head(message, Reason::MAX_MESSAGE);
        // The message of an unraisable exception contains an object's address, which differs each time. So compare
        // only the place.
        let same = |known: &Caught| {
            known.source == source
                && known.place == place
                && (source == Source::Unraisable || known.message == message)
        };
        if let Some(index) = self.kept.iter().position(same) {
            let known = &mut self.kept[index];
            let is_rare = now.since(known.newest) >= RARE;
            known.count = known.count.saturating_add(1);
            known.newest = now;
            let is_due = known.count <= ALWAYS || is_rare || known.count.is_power_of_two();
            return (source != Source::Unraisable && is_due).then_some(known);
        }
        self.numbered += 1;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Caught {
            number: self.numbered,
            source,
            place,
            message,
            traceback: traceback
                .filter(|text| !text.is_empty())
                .map(|text| super::episode::tail(text, Reason::MAX_TRACEBACK / 4)),
            count: 1,
            first: now,
            newest: now,
        });
        // A loop that raises something new each time is reported in full only so often.
        let news = self.numbered <= KEPT as u64 || self.numbered.is_power_of_two();
        self.kept.back().filter(|_| news)
    }

    /// The exceptions that are kept, latest last.
    #[must_use]
    pub fn kept(&self) -> Vec<Caught> {
        self.kept.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hear(exceptions: &mut Exceptions, source: Source, place: &str, message: &str) -> bool {
        exceptions
            .hear(source, place, message, Some("traceback"), Awake::default())
            .is_some()
    }

    #[test]
    fn one_that_comes_in_every_frame_is_news_a_few_times_and_counted_each_time() {
        let mut exceptions = Exceptions::default();
        let news = (0..100_000)
            .filter(|_| hear(&mut exceptions, Source::Gui, "app.py:1 in draw", "ValueError: x"))
            .count();
        assert_eq!(news, 28); // the first 16, and at 32, 64 and so on
        assert_eq!(exceptions.kept().len(), 1);
        assert_eq!(exceptions.kept()[0].count, 100_000);
    }

    #[test]
    fn one_that_each_test_causes_again_is_news_each_time() {
        let mut exceptions = Exceptions::default();
        let mut hear_at = |ms| {
            let now = Awake::at(Duration::from_millis(ms));
            exceptions
                .hear(Source::Gui, "app.py:1 in on_click", "ValueError: x", None, now)
                .is_some()
        };
        assert!((0..16).all(|n| hear_at(n * 10))); // quick tests
        assert!(!hear_at(170));
        assert!((1..100).all(|n| hear_at(n * 1200))); // slow ones
    }

    #[test]
    fn what_says_something_else_each_time_is_bounded_too() {
        let mut exceptions = Exceptions::default();
        let news = (0..10_000)
            .filter(|n| {
                hear(
                    &mut exceptions,
                    Source::Thread,
                    "app.py:1",
                    &format!("ValueError: {n}"),
                )
            })
            .count();
        assert!(news < 50, "{news}");
        let kept = exceptions.kept();
        assert_eq!(kept.len(), KEPT);
        assert_eq!(kept[KEPT - 1].number, 10_000);
    }

    #[test]
    fn what_cannot_be_raised_is_told_once_a_place() {
        let mut exceptions = Exceptions::default();
        assert!(hear(
            &mut exceptions,
            Source::Unraisable,
            "app.py:1",
            "ValueError: 0x1"
        ));
        assert!(!hear(
            &mut exceptions,
            Source::Unraisable,
            "app.py:1",
            "ValueError: 0x2"
        ));
        assert!(hear(
            &mut exceptions,
            Source::Unraisable,
            "app.py:2",
            "ValueError: 0x2"
        ));
    }
}
