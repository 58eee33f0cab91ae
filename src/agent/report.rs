//! Converts a snapshot to what the wire shows. Pure, except that it reads the latest beat.

use std::time::Duration;

use super::clock::Raw;
use super::heartbeat::FrameTimes;
use super::published::{Published, TimedSnapshot};
use crate::health::{Awake, Caught, CheckState, Code, Episode, Status};
use crate::wire::{
    self, CaughtException, Checks, Detail, ExecutorCheck, FrameMs, HEALTH_SCHEMA, Health, InterpreterCheck,
    JournalCheck, MainLoopCheck, Observer, Paused, Reason, ThreadCheck,
};

/// The identity of the agent.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The app's name.
    pub app: String,
    /// The app's process.
    pub pid: u32,
    /// Random, new for every agent.
    pub instance: String,
    /// How the agent watches the test run that this app must end with.
    pub parent: String,
    /// As in [`Observer::runtime_dir`](crate::wire::Observer::runtime_dir).
    pub runtime_dir: String,
}

impl From<Status> for wire::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Starting => Self::Starting,
            Status::Ok => Self::Ok,
            Status::Degraded => Self::Degraded,
            Status::Stopping => Self::Stopping,
        }
    }
}

impl From<CheckState> for wire::CheckState {
    fn from(state: CheckState) -> Self {
        match state {
            CheckState::Waiting => Self::Waiting,
            CheckState::NotWatched => Self::NotWatched,
            CheckState::Ok => Self::Ok,
            CheckState::Paused => Self::Paused,
            CheckState::Stalled => Self::Stalled,
            CheckState::Held => Self::Held,
            CheckState::Crashed => Self::Crashed,
            CheckState::Ended => Self::Ended,
            CheckState::Shutdown => Self::Shutdown,
            CheckState::Broken => Self::Broken,
            CheckState::Gone => Self::Gone,
        }
    }
}

/// The status of the whole app; it includes the death of the monitor itself.
pub fn status(published: &Published) -> Status {
    if published.is_dead() {
        Status::Degraded
    } else {
        published.shown().health.status
    }
}

/// The answer of `/health`.
pub fn health(identity: &Identity, published: &Published) -> Health {
    let now = published.clock().raw();
    let dead = published.is_dead();
    let shown = published.shown();
    let snapshot = &shown.health;
    let awake = shown.awake.awake(now);
    let age = |sign: Option<Raw>, seen: Option<(Raw, Awake)>| {
        // A beat that the monitor has seen keeps the instant that it was given then, whatever gaps came since.
        let at = |raw| {
            seen.filter(|(known, _)| *known == raw)
                .map_or_else(|| shown.awake.awake(raw), |(_, at)| at)
        };
        sign.map(|raw| millis(awake.since(at(raw))))
    };
    let (executors, threads) = parts_of(&shown, now);
    let mut reasons: Vec<_> = snapshot
        .open
        .iter()
        .map(|episode| reason(episode, awake))
        .collect();
    if dead {
        reasons.push(monitor_dead(
            snapshot.history.len() as u64 + reasons.len() as u64 + 1,
        ));
    }
    Health {
        schema: HEALTH_SCHEMA.to_owned(),
        status: if dead { Status::Degraded } else { snapshot.status }.into(),
        // This must match the content below: a client that sends it back must not miss anything that it has not
        // seen.
        seq: if dead { published.seq() } else { snapshot.seq },
        instance: identity.instance.clone(),
        pid: identity.pid,
        app: identity.app.clone(),
        started_at: started_at(published),
        uptime_ms: millis(awake.since_start()),
        since_ms: millis(awake.since(snapshot.since)),
        reasons,
        checks: Checks {
            main_loop: MainLoopCheck {
                state: snapshot.main_loop.into(),
                beats: published.heart.beats(),
                age_ms: age(published.heart.last_sign().newest(), shown.beat),
                paused: snapshot.paused.as_ref().map(|paused| Paused {
                    what: paused.what.clone(),
                    usable: paused.usable,
                }),
                left_open: snapshot.left_open.clone(),
                at: snapshot.stands_at.clone(),
                frame_ms: frame_ms(&published.heart.histogram().times()),
            },
            interpreter: InterpreterCheck {
                state: snapshot.interpreter.into(),
                canary_age_ms: age(published.canary.last_sign().newest(), shown.tick),
                starved_ms: millis(published.canary.starved(now)),
                looks: published.canary.looks(),
                looked: shown.looked,
            },
            executors,
            threads,
            journal: JournalCheck {
                state: published.journal.state(),
                dropped: published.journal.dropped(),
            },
        },
        observer: Observer {
            gaps: shown.awake.gaps,
            last_gap_ms: millis(shown.awake.last_gap()),
            dropped: published.dropped(),
            parent: identity.parent.clone(),
            runtime_dir: identity.runtime_dir.clone(),
        },
        history: snapshot
            .history
            .iter()
            .map(|episode| reason(episode, awake))
            .collect(),
        exceptions: snapshot
            .exceptions
            .iter()
            .map(|caught| exception(caught, awake))
            .collect(),
    }
}

/// The watched executors and threads.
pub fn parts(published: &Published) -> (Vec<ExecutorCheck>, Vec<ThreadCheck>) {
    parts_of(&published.shown(), published.clock().raw())
}

fn parts_of(shown: &TimedSnapshot, now: Raw) -> (Vec<ExecutorCheck>, Vec<ThreadCheck>) {
    let (snapshot, awake) = (&shown.health, shown.awake.awake(now));
    let executors = snapshot
        .executors
        .iter()
        .map(|executor| ExecutorCheck {
            name: executor.name.clone(),
            kind: executor.kind.clone(),
            state: executor.state.into(),
            queued: executor.load.map(|load| load.queued),
            workers: executor.load.map(|load| load.workers),
            queued_for_ms: executor
                .load
                .filter(|load| load.queued > 0)
                .map(|_| millis(awake.since(executor.progress))),
        })
        .collect();
    let threads = snapshot
        .threads
        .iter()
        .map(|thread| ThreadCheck {
            name: thread.name.clone(),
            state: if thread.state.is_ok() {
                wire::CheckState::Alive
            } else {
                wire::CheckState::Ended
            },
        })
        .collect();
    (executors, threads)
}

/// An exception that was caught.
pub fn exception(caught: &Caught, now: Awake) -> CaughtException {
    CaughtException {
        number: caught.number,
        source: caught.source.as_str().to_owned(),
        place: caught.place.clone(),
        message: caught.message.clone(),
        count: caught.count,
        since_ms: millis(now.since(caught.first)),
        newest_ms: millis(now.since(caught.newest)),
        detail: Detail {
            traceback: caught.traceback.clone(),
        },
    }
}

/// Wall time of the agent's start, RFC 3339 in UTC.
pub fn started_at(published: &Published) -> String {
    format!("{:.3}", published.clock().started_at())
}

/// A reason that holds, or held.
pub fn reason(episode: &Episode, now: Awake) -> Reason {
    Reason {
        code: episode.reason.code.to_string(),
        component: episode.reason.component.clone(),
        recoverable: episode.reason.recoverable,
        episode: episode.number,
        since_ms: millis(now.since(episode.opened)),
        lasted_ms: episode.closed.map(|closed| millis(closed.since(episode.opened))),
        message: episode.reason.message.clone(),
        detail: Detail {
            traceback: episode.reason.traceback.clone(),
        },
    }
}

fn monitor_dead(episode: u64) -> Reason {
    Reason {
        code: Code::AgentFault.to_string(),
        component: super::MONITOR_THREAD.to_owned(),
        recoverable: false,
        episode,
        since_ms: 0,
        lasted_ms: None,
        message: "the monitor thread died: nothing below is kept up to date (please report this as a bug)"
            .to_owned(),
        detail: Detail::default(),
    }
}

/// Whole milliseconds.
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Frame times in milliseconds.
pub fn frame_ms(times: &FrameTimes) -> FrameMs {
    FrameMs {
        p50: fraction(times.p50),
        p99: fraction(times.p99),
        max: fraction(times.max),
    }
}

/// Milliseconds to the microsecond.
fn fraction(span: Duration) -> f64 {
    span.as_micros() as f64 / 1000.0
}
