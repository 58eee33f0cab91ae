//! What the agent's threads share: beats and ticks come in here, and the latest snapshot is shown here.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use super::canary::Canary;
use super::clock::{AwakeClock, Clock, Raw};
use super::heartbeat::Heartbeat;
use super::latest::Latest;
use crate::health::{Awake, Config, Machine, Snapshot};
use crate::wire::JournalState;

/// `/livez` answers as long as the monitor's last step is no older than this.
const ALIVE_WITHIN: Duration = Duration::from_secs(10);

/// What the monitor last published, and what it shares with the threads that push.
#[derive(Debug)]
pub struct Published {
    clock: Clock,
    /// The main loop's beats.
    pub heart: Heartbeat,
    /// The Python canary's ticks.
    pub canary: Canary,
    /// The state of the journal.
    pub journal: JournalStats,
    shown: Latest<TimedSnapshot>,
    progress: AtomicU64,
    dead: AtomicBool,
    dropped: AtomicU64,
    /// Somebody waits for the next beat, or for the next check by the canary.
    awaited: AtomicBool,
    /// How often somebody began to wait.
    questions: AtomicU64,
}

/// A snapshot and the clock that it was made with.
#[derive(Debug, Clone)]
pub struct TimedSnapshot {
    /// What the machine knew.
    pub health: Snapshot,
    /// Turns raw instants into the ones in `health`.
    pub awake: AwakeClock,
    /// The newest beat that the monitor has taken in, and its instant.
    pub beat: Option<(Raw, Awake)>,
    /// The same for the canary.
    pub tick: Option<(Raw, Awake)>,
    /// The number of the last check by the canary whose findings are all in here.
    pub looked: u64,
}

impl Published {
    /// For an agent that starts now.
    pub fn new(thresholds: Config) -> Self {
        let shown = TimedSnapshot {
            health: Machine::new(thresholds).snapshot(),
            awake: AwakeClock::default(),
            beat: None,
            tick: None,
            looked: 0,
        };
        let seq = shown.health.seq;
        Self {
            clock: Clock::start(),
            heart: Heartbeat::default(),
            canary: Canary::default(),
            journal: JournalStats::default(),
            shown: Latest::new(shown, seq),
            progress: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            dropped: AtomicU64::new(0),
            awaited: AtomicBool::new(false),
            questions: AtomicU64::new(0),
        }
    }

    /// Records whether somebody waits for the next beat, or for the next check by the canary. Returns whether that
    /// is new.
    pub fn await_proof(&self, awaited: bool) -> bool {
        let is_new = self.awaited.swap(awaited, Ordering::SeqCst) != awaited;
        if is_new && awaited {
            self.questions.fetch_add(1, Ordering::SeqCst);
        }
        is_new
    }

    /// The number of the question that waits for this, if there is one; the first is 1.
    pub fn question(&self) -> Option<u64> {
        self.is_proof_awaited()
            .then(|| self.questions.load(Ordering::SeqCst))
    }

    /// Whether somebody waits for this.
    pub fn is_proof_awaited(&self) -> bool {
        self.awaited.load(Ordering::SeqCst)
    }

    /// The agent's clock.
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What the monitor last published.
    pub fn shown(&self) -> Arc<TimedSnapshot> {
        self.shown.value()
    }

    /// The `seq` of the latest snapshot, without fetching the snapshot.
    pub fn seq(&self) -> u64 {
        self.shown.seq()
    }

    /// Whether the monitor makes progress.
    pub fn is_alive(&self) -> bool {
        !self.is_dead() && self.clock.raw().since(Raw(self.progress.load(Ordering::Relaxed))) < ALIVE_WITHIN
    }

    /// Records that the monitor took a step.
    pub fn note_progress(&self, now: Raw) {
        self.progress.store(now.0, Ordering::Relaxed);
    }

    /// Whether the monitor thread died.
    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// How many messages found the inbox full.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts a message that found the inbox full.
    pub fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Reports that the monitor thread died, because it can no longer do so itself.
    pub fn report_monitor_dead(&self) {
        self.dead.store(true, Ordering::Release);
        self.shown.touch();
    }

    /// Publishes a snapshot.
    pub fn show(&self, shown: TimedSnapshot) {
        let seq = shown.health.seq;
        self.shown.set(shown, seq);
    }
}

/// The state of the journal, for all threads.
#[derive(Debug, Default)]
pub struct JournalStats {
    state: AtomicU8,
    dropped: AtomicU64,
}

impl JournalStats {
    /// Its state.
    pub fn state(&self) -> JournalState {
        match self.state.load(Ordering::Relaxed) {
            0 => JournalState::Off,
            1 => JournalState::Ok,
            _ => JournalState::Failing,
        }
    }

    /// Lines that could not be written.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Records that this many lines were written, or could not be.
    pub fn wrote(&self, lines: u64, done: &io::Result<()>) {
        if done.is_err() {
            self.drop(lines);
        }
        self.state
            .store(if done.is_ok() { 1 } else { 2 }, Ordering::Relaxed);
    }

    /// Records that this many lines are lost.
    pub fn drop(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }
}
