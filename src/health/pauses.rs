//! The waits that the app declared.

use super::Awake;
use super::snapshot::Paused;

/// How many pauses can be open at once.
const MAX_PAUSES: usize = 256;
/// The longest description of a pause, in characters.
const MAX_WHAT: usize = 256;

/// One declared wait.
#[derive(Debug)]
pub(super) struct Pause {
    /// Chosen by the app.
    pub id: u64,
    /// What the app waits for.
    pub what: String,
    /// Whether users can use the app meanwhile.
    pub usable: bool,
    /// When it is overdue.
    pub until: Awake,
}

/// The pauses that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Pauses(Vec<Pause>);

impl Pauses {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Begins a pause. Returns false if too many are open.
    pub(super) fn begin(&mut self, mut pause: Pause, now: Awake) -> bool {
        if self.0.len() >= MAX_PAUSES {
            self.0.retain(|pause| pause.until > now);
        }
        if self.0.len() >= MAX_PAUSES {
            return false;
        }
        pause.what = pause.what.chars().take(MAX_WHAT).collect();
        self.0.push(pause);
        true
    }

    /// Ends a pause. Returns false if there is no such pause.
    pub(super) fn end(&mut self, id: u64) -> bool {
        let before = self.0.len();
        self.0.retain(|pause| pause.id != id);
        self.0.len() != before
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Until when no beat is expected. If several pauses are open, the shortest counts.
    pub(super) fn until(&self) -> Option<Awake> {
        self.0.iter().map(|pause| pause.until).min()
    }

    /// A pause that should have ended.
    pub(super) fn overdue(&self, now: Awake) -> Option<&Pause> {
        self.0.iter().find(|pause| now >= pause.until)
    }

    /// The pause to show: the first during which the app cannot be used, or else the first.
    pub(super) fn shown(&self) -> Option<Paused> {
        let unusable = self.0.iter().find(|pause| !pause.usable);
        unusable.or_else(|| self.0.first()).map(|pause| Paused {
            what: pause.what.clone(),
            usable: pause.usable,
        })
    }
}
