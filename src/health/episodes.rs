//! The reasons that hold, and a bounded history of those that held.

use std::collections::VecDeque;

use super::machine::Transition;
use super::{Awake, Code, Episode, Reason};

/// How many closed episodes are kept.
const HISTORY: usize = 32;
/// How many reasons can hold at once; far above what the watch limits allow.
const MAX_OPEN: usize = 1024;

/// All episodes, numbered in the order of opening.
#[derive(Debug, Default)]
pub(super) struct Episodes {
    open: Vec<Episode>,
    history: VecDeque<Episode>,
    count: u64,
}

impl Episodes {
    /// The reasons that hold, oldest first.
    pub(super) fn open_now(&self) -> &[Episode] {
        &self.open
    }

    /// The reasons that held, latest last.
    pub(super) fn history(&self) -> Vec<Episode> {
        self.history.iter().cloned().collect()
    }

    pub(super) fn is_open(&self, code: &Code) -> bool {
        self.open.iter().any(|episode| episode.reason.code == *code)
    }

    /// Opens an episode, unless this code already holds for this component.
    pub(super) fn open(&mut self, reason: Reason, now: Awake, transitions: &mut Vec<Transition>) {
        let known = self.find(&reason.code, &reason.component).is_some();
        if known || self.open.len() >= MAX_OPEN {
            return;
        }
        self.count += 1;
        let episode = Episode {
            number: self.count,
            reason,
            opened: now,
            closed: None,
        };
        transitions.push(Transition::Opened(episode.clone()));
        self.open.push(episode);
    }

    /// The open episode of this code and component.
    pub(super) fn find(&mut self, code: &Code, component: &str) -> Option<&mut Episode> {
        self.open
            .iter_mut()
            .find(|episode| is_of(episode, code, component))
    }

    /// Closes the open episode of this code and component, if there is one.
    pub(super) fn close(&mut self, code: &Code, component: &str, now: Awake, out: &mut Vec<Transition>) {
        let holds = |episode: &Episode| is_of(episode, code, component);
        let Some(index) = self.open.iter().position(holds) else {
            return;
        };
        let mut episode = self.open.remove(index);
        episode.closed = Some(now);
        out.push(Transition::Closed(episode.clone()));
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(episode);
    }
}

fn is_of(episode: &Episode, code: &Code, component: &str) -> bool {
    episode.reason.code == *code && episode.reason.component == component
}
