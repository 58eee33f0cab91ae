//! Exceptions that a toolkit caught while the app went on. No reasons: what one means is for others to say.

use std::collections::VecDeque;

use super::{Awake, Reason};

/// Distinct exceptions that are kept, the newest.
const KEPT: usize = 32;

/// Who caught an exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A GUI toolkit, in a callback.
    Gui,
    /// An asyncio event loop, in a callback.
    Asyncio,
    /// `threading`: it ended a thread.
    Thread,
    /// asyncio: a task raised, and nobody asked for its result.
    Task,
    /// The interpreter, where nothing can be raised: `__del__`, a weak reference's callback.
    Unraisable,
}

impl Source {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Gui, "gui"),
        (Self::Asyncio, "asyncio"),
        (Self::Thread, "thread"),
        (Self::Task, "task"),
        (Self::Unraisable, "unraisable"),
    ];

    /// The source of that name on the wire.
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
        }
    }

    /// Whether what the user did in the app did not do its work.
    #[must_use]
    pub const fn is_callback(self) -> bool {
        matches!(self, Self::Gui | Self::Asyncio)
    }
}

/// One exception, however often it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    /// Numbered from 1 in the order in which they first came.
    pub number: u64,
    /// Who caught it.
    pub source: Source,
    /// `file:line in function` of the innermost frame of the app's own code.
    pub place: String,
    /// `Type: text` of the newest.
    pub message: String,
    /// The traceback of the first.
    pub traceback: Option<String>,
    /// How often it came.
    pub count: u64,
    /// When it first came.
    pub first: Awake,
    /// When it last came.
    pub newest: Awake,
}

/// The newest exceptions.
#[derive(Debug, Default)]
pub struct Exceptions {
    kept: VecDeque<Caught>,
    numbered: u64,
}

impl Exceptions {
    /// Takes one in. Returns it if that is news: bounded, however often the same one comes.
    pub fn hear(
        &mut self,
        source: Source,
        place: &str,
        message: &str,
        traceback: Option<&str>,
        now: Awake,
    ) -> Option<&Caught> {
        // The texts are cut as those of a reason are.
        let place = super::episode::head(place, 512);
        let message = super::episode::head(message, Reason::MAX_MESSAGE);
        // An object that cannot be cleared up says another address each time: its place is enough.
        let same = |known: &Caught| {
            known.source == source
                && known.place == place
                && (source == Source::Unraisable || known.message == message)
        };
        if let Some(index) = self.kept.iter().position(same) {
            let known = &mut self.kept[index];
            known.count = known.count.saturating_add(1);
            known.newest = now;
            let news = source != Source::Unraisable && known.count.is_power_of_two();
            return news.then_some(known);
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
        // A loop that raises something new each time is told in full only so often.
        let news = self.numbered <= KEPT as u64 || self.numbered.is_power_of_two();
        self.kept.back().filter(|_| news)
    }

    /// Those that are kept, the newest last.
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
        assert_eq!(news, 17);
        assert_eq!(exceptions.kept().len(), 1);
        assert_eq!(exceptions.kept()[0].count, 100_000);
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
