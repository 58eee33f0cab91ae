//! The thread that owns the state machine.
//!
//! Messages arrive in a bounded inbox, and snapshots leave through [`Published`]. In between, the thread sleeps
//! until the machine's next deadline, in steps so short that a late step shows that the observer itself did not
//! run. It never polls the app.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::clock::{AwakeClock, Raw};
use super::journal::Journal;
use super::published::{Published, TimedSnapshot};
use super::report;
use crate::health::{Awake, Config, Event, Machine, Transition};
use crate::process::{Parent, end_after_family};
use crate::wire::{JournalTransition, env};

/// How many messages may wait for the monitor. Only its own sleep ever blocks it.
const INBOX: usize = 1024;
/// The longest step of a sleep; a fraction of `stall_after` if that is short.
const LONGEST_STEP: Duration = Duration::from_secs(1);

/// How often to check for the test run that the app must end with; sleeps are usually longer.
const LOOK_AFTER_PARENT_EVERY: Duration = Duration::from_millis(200);

/// A message to the monitor.
#[derive(Debug)]
pub enum Message {
    /// Something happened in the app.
    Happened(Event),
    /// A beat or tick came that the monitor had asked for.
    Wake,
    /// The canary has completed the check with this number. What it found was sent before this.
    Looked(u64),
    /// Answer when everything sent before this has been judged.
    Sync(Sender<()>),
    /// End the thread.
    Stop,
}

/// The inbox of a monitor that is about to run.
pub fn inbox() -> (Sender<Message>, Receiver<Message>) {
    crossbeam_channel::bounded(INBOX)
}

/// The body of the monitor thread. Calls `changed` after each change that is shown. When `parent` is gone, this
/// process ends within a few seconds.
pub fn run(
    published: &Published,
    inbox: &Receiver<Message>,
    thresholds: Config,
    journal: Option<&Journal>,
    parent: Option<&Parent>,
    changed: impl Fn(),
) {
    let mut monitor = Monitor {
        published,
        machine: Machine::new(thresholds),
        awake: AwakeClock::default(),
        step: LONGEST_STEP.min(thresholds.stall_after / 4),
        seen_beat: None,
        seen_tick: None,
        looked: 0,
        journal,
    };
    monitor.arm();
    let mut began = published.clock().raw();
    let mut looked = Raw::default();
    loop {
        let start = published.clock().raw();
        let due = monitor.wake_at(start);
        let message = match inbox.recv_timeout(due.since(start)) {
            Ok(message) => Some(message),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let now = published.clock().raw();
        published.note_progress(now);
        if let Some(parent) = parent
            && now.since(looked) >= LOOK_AFTER_PARENT_EVERY
        {
            looked = now;
            if parent.is_gone() {
                let why = parent.gone();
                if let Some(journal) = journal {
                    journal.last_words(&why);
                }
                end_after_family(env::RUN_DIR, &why);
            }
        }
        let gapped = monitor.awake.waited(began, due, now, monitor.step / 2);
        // The next wait begins here, so that no time between two waits is unobserved.
        began = now;
        // One clock reading serves all waiting messages. The inbox bounds how many there are.
        let mut stop = false;
        let mut synced = Vec::new();
        // A gauge that changed is shown, but no long poll waits for it.
        let mut gauges = gapped;
        let mut changes = monitor.look(now);
        for message in message.into_iter().chain(inbox.try_iter().take(INBOX)) {
            match message {
                Message::Happened(event) => {
                    gauges |= matches!(
                        event,
                        Event::ExecutorObserved { .. }
                            | Event::OpenChanged { .. }
                            | Event::MainThreadSeen { .. }
                            | Event::ExceptionSwallowed { .. }
                    );
                    changes |= monitor.handle(event, now);
                }
                Message::Wake => {}
                Message::Looked(number) => {
                    monitor.looked = number;
                    gauges = true;
                }
                Message::Sync(done) => synced.push(done),
                Message::Stop => stop = true,
            }
        }
        changes |= monitor.handle(Event::TimePassed, now);
        if changes || gauges {
            monitor.show();
        }
        if changes || published.is_proof_awaited() {
            changed();
        }
        for done in synced {
            // The one who asked may have stopped waiting; ignore that.
            let _ = done.try_send(());
        }
        if stop {
            return;
        }
        monitor.arm();
    }
}

struct Monitor<'a> {
    published: &'a Published,
    machine: Machine,
    awake: AwakeClock,
    step: Duration,
    seen_beat: Option<(Raw, Awake)>,
    seen_tick: Option<(Raw, Awake)>,
    looked: u64,
    journal: Option<&'a Journal>,
}

impl Monitor<'_> {
    fn wake_at(&self, now: Raw) -> Raw {
        let step = Raw(now.0 + u64::try_from(self.step.as_nanos()).unwrap_or(u64::MAX));
        // Check at once for a beat or tick that came before this was armed.
        if self.has_news() {
            return now;
        }
        self.machine
            .next_deadline()
            .map_or(step, |deadline| self.awake.raw(deadline).min(step))
    }

    fn has_news(&self) -> bool {
        let now = self.awake.awake(self.published.clock().raw());
        (self.machine.wants_beat(now)
            && self.published.heart.last_sign().newest() != self.seen_beat.map(|(raw, _)| raw))
            || (self.machine.wants_tick()
                && self.published.canary.last_sign().newest() != self.seen_tick.map(|(raw, _)| raw))
    }

    /// Takes in the latest beat and tick.
    fn look(&mut self, now: Raw) -> bool {
        let mut changes = false;
        let beat = self.published.heart.last_sign().newest();
        if let Some(raw) = beat.filter(|_| beat != self.seen_beat.map(|(raw, _)| raw)) {
            let at = self.awake.awake(raw);
            self.seen_beat = Some((raw, at));
            changes |= self.handle(Event::BeatReceived(at), now);
        }
        let tick = self.published.canary.last_sign().newest();
        if let Some(raw) = tick.filter(|_| tick != self.seen_tick.map(|(raw, _)| raw)) {
            let at = self.awake.awake(raw);
            self.seen_tick = Some((raw, at));
            changes |= self.handle(Event::CanaryTicked(at), now);
        }
        changes
    }

    fn handle(&mut self, event: Event, now: Raw) -> bool {
        let before = self.machine.seq();
        let transitions = self.machine.handle(event, self.awake.awake(now));
        for transition in transitions {
            self.write_down(&transition, now);
        }
        self.machine.seq() != before
    }

    fn write_down(&self, transition: &Transition, now: Raw) {
        let Some(journal) = self.journal else { return };
        let (event, episode, caught) = match transition {
            Transition::Opened(episode) => ("opened", Some(episode), None),
            Transition::Closed(episode) => ("closed", Some(episode), None),
            Transition::StatusChanged { .. } => ("status", None, None),
            Transition::ExceptionCaught(caught) => ("exception", None, Some(caught)),
        };
        let entry = JournalTransition {
            t_ms: report::millis(now.since(Raw::default())),
            event: event.to_owned(),
            status: self.machine.status().into(),
            reason: episode.map(|episode| report::reason(episode, self.awake.awake(now))),
            exception: caught.map(|caught| report::exception(caught, self.awake.awake(now))),
        };
        journal.add(entry, &self.published.journal);
    }

    fn show(&self) {
        self.published.show(TimedSnapshot {
            health: self.machine.snapshot(),
            awake: self.awake,
            beat: self.seen_beat,
            tick: self.seen_tick,
            looked: self.looked,
        });
    }

    /// Asks the heartbeat and the canary for the wake-ups that the machine wants.
    fn arm(&self) {
        let now = self.awake.awake(self.published.clock().raw());
        let wants_beat = self.machine.wants_beat(now) || self.published.is_proof_awaited();
        self.published.heart.last_sign().arm(wants_beat);
        self.published.canary.last_sign().arm(self.machine.wants_tick());
    }
}
