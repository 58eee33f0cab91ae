//! The executors and threads that the app depends on.

use super::snapshot::CheckState;
use super::{Awake, Load};

/// How many executors, and how many threads, are watched at once.
const MAX_WATCHED: usize = 256;

/// A watched executor or thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// The name it is watched under.
    pub name: String,
    /// The Python type of an executor.
    pub kind: String,
    /// How it is.
    pub state: CheckState,
    /// How busy an executor was at the last check.
    pub load: Option<Load>,
    /// Its owner announced that it will end.
    pub(super) end_expected: bool,
    /// When an executor last had nothing queued or finished something.
    pub progress: Awake,
}

impl Watched {
    pub(super) const fn new(name: String, kind: String, now: Awake) -> Self {
        Self {
            name,
            kind,
            state: CheckState::Ok,
            load: None,
            end_expected: false,
            progress: now,
        }
    }

    pub(super) fn observe(&mut self, load: Load, now: Awake) {
        let idle = load.queued == 0 || self.load.is_none_or(|before| before.queued == 0);
        if idle || self.load.is_some_and(|before| before.finished != load.finished) {
            self.progress = now;
        }
        self.load = Some(load);
    }
}

/// What is watched, in the order in which it was named.
#[derive(Debug, Default)]
pub(super) struct WatchList(Vec<Watched>);

impl WatchList {
    /// Watches one more. Returns whether this changes a snapshot.
    pub(super) fn watch(&mut self, name: String, kind: String, now: Awake) -> bool {
        let fresh = Watched::new(name, kind, now);
        // A new one of the same name replaces the old one, for example a pool that was rebuilt.
        if let Some(old) = self.find(&fresh.name) {
            *old = fresh;
            return true;
        }
        // The oldest that have ended make room. The reasons that they caused are kept elsewhere.
        if self.0.len() >= MAX_WATCHED
            && let Some(ended) = self.0.iter().position(|watched| !watched.state.is_ok())
        {
            self.0.remove(ended);
        }
        if self.0.len() < MAX_WATCHED {
            self.0.push(fresh);
        }
        true
    }

    /// The one with this name.
    pub(super) fn find(&mut self, name: &str) -> Option<&mut Watched> {
        self.0.iter_mut().find(|watched| watched.name == name)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Watched> {
        self.0.iter()
    }

    pub(super) fn to_vec(&self) -> Vec<Watched> {
        self.0.clone()
    }
}
