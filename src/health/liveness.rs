//! Whether the main loop runs, judged from its beats, the canary and the clock, as one explicit state.

use std::time::Duration;

use super::pauses::{Pause, Pauses};
use super::snapshot::Paused;
use super::timers::{Timer, Timers};
use super::{Awake, Code, Config};

/// Beats must continue for this long before a stall counts as over, so that one stray frame in a frozen app does
/// not close its episode.
const RECOVERY: Duration = Duration::from_millis(500);
/// Three ticks. So even with a short `stall_after`, a canary that is merely due does not count as held.
const CANARY_FRESH: Duration = Duration::from_millis(750);
/// The timers that belong to the main loop.
const TIMERS: [Timer; 5] = [
    Timer::Startup,
    Timer::Stall,
    Timer::Hold,
    Timer::Release,
    Timer::Recovery,
];

/// The state of the main loop, as far as time tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No beat yet.
    Starting,
    /// No beat yet, although one was due.
    Overdue,
    /// Beats cannot be seen, so only the canary tells something.
    Unseen { is_held: bool },
    /// Beats come.
    Turning,
    /// No beat for too long.
    Silent(Silence),
    /// Beats come again since `first`, but not yet for long enough.
    Recovering { from: Silence, first: Awake },
}

/// The silence of a loop that does not beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Silence {
    /// When it was noticed.
    since: Awake,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Python code runs elsewhere: the loop hangs.
    Stalled,
    /// No Python code runs at all: native code holds the interpreter.
    Held,
    /// Python code runs again. The loop has until then to beat; otherwise it counts as stalled.
    Released { until: Awake },
}

impl Silence {
    const fn code(self) -> Code {
        match self.cause {
            Cause::Stalled => Code::MainLoopStalled,
            Cause::Held | Cause::Released { .. } => Code::InterpreterHeld,
        }
    }
}

/// The liveness of one main loop.
#[derive(Debug)]
pub(super) struct Liveness {
    state: State,
    last_beat: Option<Awake>,
    last_tick: Option<Awake>,
    /// The instant from which the next beat is due: the last beat, the end of a pause, or a new entry into the
    /// loop.
    expected_from: Option<Awake>,
    pauses: Pauses,
}

impl Liveness {
    pub(super) const fn new() -> Self {
        Self {
            state: State::Starting,
            last_beat: None,
            last_tick: None,
            expected_from: None,
            pauses: Pauses::new(),
        }
    }

    /// Records a beat. Returns whether it is the first.
    pub(super) fn beat(&mut self, at: Awake) -> bool {
        let first = self.last_beat.is_none();
        if matches!(self.state, State::Unseen { .. }) {
            self.state = State::Turning;
        }
        self.last_beat = self.last_beat.max(Some(at));
        self.expect_beat_from(at);
        first
    }

    /// Expects no beats until the first one comes. Returns whether this changed anything.
    pub(super) fn go_unseen(&mut self) -> bool {
        let news = self.last_beat.is_none() && !self.is_unseen();
        if news {
            self.state = State::Unseen { is_held: false };
        }
        news
    }

    pub(super) const fn is_unseen(&self) -> bool {
        matches!(self.state, State::Unseen { .. })
    }

    /// Records a tick of the canary. Returns whether it is the first.
    pub(super) fn tick(&mut self, at: Awake) -> bool {
        let first = self.last_tick.is_none();
        self.last_tick = self.last_tick.max(Some(at));
        first
    }

    /// Begins a pause. Returns whether it is accepted.
    pub(super) fn begin_pause(&mut self, pause: Pause, now: Awake) -> bool {
        self.pauses.begin(pause, now)
    }

    /// Ends a pause. Returns whether there was one.
    pub(super) fn end_pause(&mut self, id: u64, now: Awake) -> bool {
        let ended = self.pauses.end(id);
        if ended {
            self.expect_beat_from(now);
        }
        ended
    }

    /// The loop is entered again. It gets as much time as after any beat.
    pub(super) fn begin_anew(&mut self, now: Awake) {
        self.expect_beat_from(now);
    }

    /// The loop was left, or is about to be left, so time says nothing more about it.
    pub(super) fn cease(&mut self, timers: &mut Timers) {
        timers.stop_all(&TIMERS);
        self.state = match self.last_beat {
            None if self.is_unseen() => State::Unseen { is_held: false },
            None => State::Starting,
            Some(_) => State::Turning,
        };
    }

    /// Moves on to `now`, and sets the timers to when the state may change next. Returns the reason that holds.
    pub(super) fn judge(&mut self, now: Awake, config: &Config, timers: &mut Timers) -> Option<Code> {
        timers.stop_all(&TIMERS);
        match self.last_beat {
            None if self.is_unseen() => self.judge_canary(now, config, timers),
            None => self.judge_start(now, config, timers),
            Some(last_beat) => self.judge_beats(last_beat, now, config, timers),
        }
        self.reason()
    }

    /// Whether the very next beat would change something.
    pub(super) fn wants_beat(&self, now: Awake, config: &Config) -> bool {
        match self.state {
            State::Starting | State::Overdue | State::Unseen { .. } | State::Silent(_) => true,
            State::Recovering { first, .. } => now >= first + recovery(config),
            State::Turning => false,
        }
    }

    pub(super) const fn has_beaten(&self) -> bool {
        self.last_beat.is_some()
    }

    pub(super) const fn has_ticked(&self) -> bool {
        self.last_tick.is_some()
    }

    pub(super) const fn is_paused(&self) -> bool {
        !self.pauses.is_empty()
    }

    pub(super) fn paused(&self) -> Option<Paused> {
        self.pauses.shown()
    }

    /// The reason that holds because of time alone.
    pub(super) const fn reason(&self) -> Option<Code> {
        match self.state {
            State::Starting | State::Turning | State::Unseen { is_held: false } => None,
            State::Unseen { is_held: true } => Some(Code::InterpreterHeld),
            State::Overdue => Some(Code::StartupTimeout),
            State::Silent(silence) | State::Recovering { from: silence, .. } => Some(silence.code()),
        }
    }

    /// The reason in words.
    pub(super) fn message(&self, code: &Code, now: Awake, config: &Config) -> String {
        let sign = self.last_beat.or(self.last_tick).unwrap_or_default();
        let silent = seconds(now.since(sign));
        match (code, self.pauses.overdue(now)) {
            (Code::StartupTimeout, _) => format!("no first beat within {}", seconds(config.startup)),
            (Code::InterpreterHeld, _) => {
                format!("no Python code has run for about {silent}: native code holds the interpreter lock")
            }
            (_, Some(pause)) => {
                format!(
                    "no beat for {silent}, and the declared pause {:?} is overdue",
                    pause.what
                )
            }
            _ => format!("no beat for {silent}"),
        }
    }

    fn expect_beat_from(&mut self, at: Awake) {
        self.expected_from = self.expected_from.max(Some(at));
    }

    fn judge_start(&mut self, now: Awake, config: &Config, timers: &mut Timers) {
        let resumed = self.expected_from.map(|from| from + config.stall_after);
        let due = Awake::at(config.startup)
            .max(resumed.unwrap_or_default())
            .max(self.pauses.until().unwrap_or_default());
        timers.set(Timer::Startup, due);
        self.state = State::Starting;
        if timers.is_expired(Timer::Startup, now) {
            timers.stop(Timer::Startup);
            self.state = State::Overdue;
        }
    }

    /// Without beats, only one thing can be told: whether the interpreter is held.
    fn judge_canary(&mut self, now: Awake, config: &Config, timers: &mut Timers) {
        let Some(tick) = self.last_tick else { return };
        timers.set(Timer::Hold, tick + canary_fresh(config).max(config.stall_after));
        let is_held = timers.is_expired(Timer::Hold, now);
        if is_held {
            timers.stop(Timer::Hold);
        }
        self.state = State::Unseen { is_held };
    }

    fn judge_beats(&mut self, last_beat: Awake, now: Awake, config: &Config, timers: &mut Timers) {
        let due = self.expected_from.unwrap_or(last_beat) + config.stall_after;
        timers.set(Timer::Stall, due.max(self.pauses.until().unwrap_or_default()));
        if timers.is_expired(Timer::Stall, now) {
            timers.stop(Timer::Stall);
            self.judge_silence(now, config, timers);
        } else {
            self.judge_recovery(last_beat, now, config, timers);
        }
    }

    /// Beats come, or none is due yet.
    fn judge_recovery(&mut self, last_beat: Awake, now: Awake, config: &Config, timers: &mut Timers) {
        let (from, first) = match self.state {
            State::Starting | State::Overdue | State::Unseen { .. } | State::Turning => {
                self.state = State::Turning;
                return;
            }
            // A pause moved the deadline, not a beat. What has stalled stays so until it beats.
            State::Silent(silence) if last_beat <= silence.since => return,
            State::Silent(silence) => (silence, last_beat),
            State::Recovering { from, first } => (from, first),
        };
        let over = first + recovery(config);
        if last_beat >= over {
            self.state = State::Turning;
            return;
        }
        self.state = State::Recovering { from, first };
        // The first beat after that instant ends the stall, and must wake the machine.
        timers.set(Timer::Recovery, over);
        if timers.is_expired(Timer::Recovery, now) {
            timers.stop(Timer::Recovery);
        }
    }

    /// No beat came in time.
    fn judge_silence(&mut self, now: Awake, config: &Config, timers: &mut Timers) {
        let before = match self.state {
            State::Silent(silence) | State::Recovering { from: silence, .. } => Some(silence),
            State::Starting | State::Overdue | State::Unseen { .. } | State::Turning => None,
        };
        let cause = self.cause_of_silence(before, now, config, timers);
        let goes_on = before.filter(|before| before.code() == Silence { since: now, cause }.code());
        let since = goes_on.map_or(now, |before| before.since);
        self.state = State::Silent(Silence { since, cause });
    }

    fn cause_of_silence(
        &self,
        before: Option<Silence>,
        now: Awake,
        config: &Config,
        timers: &mut Timers,
    ) -> Cause {
        let Some(tick) = self.last_tick else {
            return Cause::Stalled;
        };
        timers.set(Timer::Hold, tick + canary_fresh(config));
        if timers.is_expired(Timer::Hold, now) {
            timers.stop(Timer::Hold);
            return Cause::Held;
        }
        let until = match before.map(|before| before.cause) {
            Some(Cause::Held) => now + canary_fresh(config),
            Some(Cause::Released { until }) => until,
            Some(Cause::Stalled) | None => return Cause::Stalled,
        };
        timers.set(Timer::Release, until);
        if timers.is_expired(Timer::Release, now) {
            timers.stop(Timer::Release);
            return Cause::Stalled;
        }
        Cause::Released { until }
    }
}

/// A canary that ran this recently proves that the interpreter is free. This is well above the delay that busy
/// Python threads cause (0.4 s at p99 beside sixteen), and well below `stall_after`, so that a GIL taken just after
/// a tick is still distinguished from a hung loop.
fn canary_fresh(config: &Config) -> Duration {
    CANARY_FRESH.max(config.stall_after / 2)
}

fn recovery(config: &Config) -> Duration {
    RECOVERY.min(config.stall_after / 2)
}

/// A duration as messages show it.
pub(super) fn seconds(span: Duration) -> String {
    format!("{:.1} s", span.as_secs_f64())
}
