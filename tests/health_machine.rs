//! What the health state machine says of a scenario. Time is simulated: an hour takes no time.

use std::time::Duration;

use livegui::health::{
    Awake, CheckState, Code, Config, Event, ExecutorEnd, Machine, Snapshot, Status, Transition,
};

const FRAME: Duration = Duration::from_millis(16);

/// An app, its agent and a clock that jumps.
struct Sim {
    machine: Machine,
    now: Awake,
    opened: Vec<Code>,
    closed: Vec<Code>,
    canary: bool,
}

impl Sim {
    fn new() -> Self {
        let machine = Machine::new(Config::default());
        Self {
            machine,
            now: Awake::default(),
            opened: vec![],
            closed: vec![],
            canary: true,
        }
    }

    fn running() -> Self {
        let mut sim = Self::new();
        sim.beat();
        sim
    }

    fn tell(&mut self, event: Event) {
        for transition in self.machine.handle(event, self.now) {
            match transition {
                Transition::Opened(episode) => self.opened.push(episode.reason.code),
                Transition::Closed(episode) => self.closed.push(episode.reason.code),
                Transition::StatusChanged { .. } | Transition::ExceptionCaught(_) => {}
            }
        }
    }

    fn beat(&mut self) {
        self.tell(Event::BeatReceived(self.now));
    }

    /// Frames for `span`, with a canary if it lives.
    fn beat_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + FRAME;
            if self.canary {
                self.tell(Event::CanaryTicked(self.now));
            }
            self.beat();
        }
    }

    /// No frames for `span`: only what the machine itself asks to be woken for, and the canary.
    fn silent_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            let next = self.now + Duration::from_millis(250);
            let wake = self
                .machine
                .next_deadline()
                .map_or(next, |due| due.min(next))
                .min(end);
            self.now = wake.max(self.now);
            if self.canary && self.now == next {
                self.tell(Event::CanaryTicked(self.now));
            }
            self.tell(Event::TimePassed);
            if wake == self.now && self.now < end && self.machine.next_deadline() == Some(self.now) {
                self.now = self.now + Duration::from_nanos(1);
            }
        }
    }

    fn snapshot(&self) -> Snapshot {
        self.machine.snapshot()
    }

    fn reasons(&self) -> Vec<Code> {
        self.snapshot()
            .open
            .into_iter()
            .map(|episode| episode.reason.code)
            .collect()
    }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn an_app_is_starting_until_its_first_beat_and_then_ok() {
    let mut sim = Sim::new();
    assert_eq!(sim.machine.status(), Status::Starting);
    assert!(sim.machine.wants_beat(sim.now));
    sim.beat();
    assert_eq!(sim.machine.status(), Status::Ok);
    assert!(
        !sim.machine.wants_beat(sim.now),
        "a healthy loop's beats must wake nobody"
    );
}

#[test]
fn an_app_that_never_beats_times_out_and_the_first_beat_clears_that() {
    let mut sim = Sim::new();
    sim.silent_for(s(59));
    assert_eq!(sim.machine.status(), Status::Starting);
    sim.silent_for(s(2));
    assert_eq!(sim.reasons(), [Code::StartupTimeout]);
    assert!(sim.snapshot().open[0].reason.recoverable);
    sim.beat();
    assert_eq!(sim.machine.status(), Status::Ok);
    assert_eq!(sim.closed, [Code::StartupTimeout]);
}

#[test]
fn an_exception_out_of_the_loop_is_a_crash_for_good() {
    let mut sim = Sim::running();
    sim.tell(Event::MainLoopCrashed {
        message: "RuntimeError: IM_ASSERT".into(),
        traceback: Some("here".into()),
    });
    let snapshot = sim.snapshot();
    assert_eq!(snapshot.status, Status::Degraded);
    assert_eq!(snapshot.open[0].reason.message, "RuntimeError: IM_ASSERT");
    assert_eq!(snapshot.open[0].reason.traceback.as_deref(), Some("here"));
    sim.beat_for(s(10));
    sim.silent_for(s(600));
    assert_eq!(
        sim.reasons(),
        [Code::MainLoopCrashed],
        "a dead loop is not stalled as well"
    );
    assert_eq!(sim.machine.next_deadline(), None, "nothing is left to wait for");
}

#[test]
fn a_loop_that_returns_unannounced_is_a_reason_and_announced_is_none() {
    let mut sim = Sim::running();
    sim.tell(Event::MainLoopExited { how: None });
    assert_eq!(sim.reasons(), [Code::MainLoopExited]);

    let mut sim = Sim::running();
    sim.tell(Event::StopAnnounced);
    sim.tell(Event::MainLoopExited { how: None });
    sim.silent_for(s(600));
    assert_eq!(sim.machine.status(), Status::Stopping);
}

#[test]
fn a_crash_on_the_way_out_is_still_a_crash() {
    let mut sim = Sim::running();
    sim.tell(Event::StopAnnounced);
    sim.tell(Event::MainLoopCrashed {
        message: "late".into(),
        traceback: None,
    });
    assert_eq!(sim.reasons(), [Code::MainLoopCrashed]);
}

#[test]
fn a_silent_loop_is_stalled_after_exactly_stall_after() {
    let mut sim = Sim::running();
    sim.beat_for(s(60));
    let last = sim.now;
    sim.silent_for(Duration::from_millis(4999));
    assert_eq!(sim.machine.status(), Status::Ok);
    assert_eq!(sim.machine.next_deadline(), Some(last + s(5)));
    sim.silent_for(Duration::from_millis(1));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
}

#[test]
fn a_stall_ends_only_once_beats_go_on() {
    let mut sim = Sim::running();
    sim.silent_for(s(6));
    sim.beat();
    assert_eq!(
        sim.reasons(),
        [Code::MainLoopStalled],
        "one stray frame ends no stall"
    );
    sim.silent_for(s(4));
    sim.beat_for(Duration::from_millis(400));
    assert_eq!(
        sim.reasons(),
        [],
        "the first frame and these are further apart than the recovery takes"
    );
    sim.silent_for(s(6));
    sim.beat_for(Duration::from_millis(400));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
    sim.beat_for(Duration::from_millis(200));
    assert_eq!(sim.machine.status(), Status::Ok);
}

#[test]
fn a_stray_frame_in_a_frozen_app_keeps_it_one_episode() {
    let mut sim = Sim::running();
    sim.silent_for(s(6));
    sim.beat();
    sim.silent_for(s(20));
    assert_eq!(sim.opened, [Code::MainLoopStalled]);
    assert_eq!(sim.closed, []);
}

#[test]
fn a_stall_that_is_over_stays_in_the_history() {
    let mut sim = Sim::running();
    for _ in 0..40 {
        sim.silent_for(s(6));
        sim.beat_for(s(1));
    }
    let history = sim.snapshot().history;
    assert_eq!(history.len(), 32, "bounded");
    assert_eq!(
        history.last().map(|episode| episode.number),
        Some(40),
        "the latest is kept"
    );
    assert!(
        history
            .iter()
            .all(|episode| episode.closed > Some(episode.opened))
    );
}

#[test]
fn a_held_interpreter_is_told_from_a_hung_loop() {
    let mut sim = Sim::running();
    sim.beat_for(s(1));
    sim.silent_for(s(6));
    assert_eq!(
        sim.reasons(),
        [Code::MainLoopStalled],
        "the canary runs: the loop hangs"
    );

    let mut sim = Sim::running();
    sim.beat_for(s(1));
    sim.canary = false;
    sim.silent_for(s(6));
    assert_eq!(sim.reasons(), [Code::InterpreterHeld]);
    assert!(sim.machine.wants_tick());
    sim.canary = true;
    sim.beat_for(s(1));
    assert_eq!(sim.machine.status(), Status::Ok);
    assert_eq!(sim.opened, [Code::InterpreterHeld], "and recovers as one episode");
}

#[test]
fn a_hung_loop_in_which_the_interpreter_is_then_held_changes_its_reason() {
    let mut sim = Sim::running();
    sim.beat_for(s(1));
    sim.silent_for(s(10));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
    sim.canary = false;
    sim.silent_for(s(10));
    assert_eq!(sim.reasons(), [Code::InterpreterHeld]);
    sim.canary = true;
    sim.silent_for(s(4));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
}

#[test]
fn a_declared_pause_is_no_stall_until_it_is_overdue() {
    let mut sim = Sim::running();
    sim.beat_for(s(1));
    sim.tell(Event::PauseBegan {
        id: 1,
        what: "file dialog".into(),
        max: s(300),
        usable: false,
    });
    sim.silent_for(s(299));
    assert_eq!(sim.machine.status(), Status::Ok);
    sim.silent_for(s(2));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
    assert!(sim.snapshot().open[0].reason.message.contains("file dialog"));
}

#[test]
fn after_a_pause_the_loop_has_a_whole_stall_after_again() {
    let mut sim = Sim::running();
    sim.tell(Event::PauseBegan {
        id: 1,
        what: "dialog".into(),
        max: s(300),
        usable: false,
    });
    sim.silent_for(s(100));
    sim.tell(Event::PauseEnded { id: 1 });
    sim.silent_for(s(4));
    assert_eq!(sim.machine.status(), Status::Ok);
    sim.silent_for(s(2));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
}

#[test]
fn of_nested_pauses_the_shortest_still_trips() {
    let mut sim = Sim::running();
    sim.tell(Event::PauseBegan {
        id: 1,
        what: "outer".into(),
        max: s(300),
        usable: false,
    });
    sim.tell(Event::PauseBegan {
        id: 2,
        what: "inner".into(),
        max: s(10),
        usable: false,
    });
    sim.silent_for(s(11));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
    assert!(sim.snapshot().open[0].reason.message.contains("inner"));
}

#[test]
fn an_executor_that_is_shut_down_names_who_did_it_and_an_expected_end_is_none() {
    let mut sim = Sim::running();
    for name in ["a", "b"] {
        sim.tell(Event::ExecutorWatched {
            name: name.into(),
            kind: "ThreadPoolExecutor".into(),
        });
    }
    sim.tell(Event::ExecutorEndExpected { name: "b".into() });
    let end = ExecutorEnd::ShutDown {
        by: Some("close() at app.py:7".into()),
    };
    sim.tell(Event::ExecutorEnded {
        name: "b".into(),
        end: end.clone(),
    });
    assert_eq!(sim.machine.status(), Status::Ok);
    sim.tell(Event::ExecutorEnded {
        name: "a".into(),
        end: end.clone(),
    });
    sim.tell(Event::ExecutorEnded {
        name: "a".into(),
        end,
    });
    let snapshot = sim.snapshot();
    assert_eq!(sim.opened, [Code::ExecutorShutdown], "told twice is one reason");
    assert_eq!(snapshot.open[0].reason.component, "a");
    assert!(snapshot.open[0].reason.message.contains("close() at app.py:7"));
}

#[test]
fn several_reasons_hold_at_once_and_the_first_stays_first() {
    let mut sim = Sim::running();
    sim.tell(Event::ThreadWatched { name: "hooks".into() });
    sim.tell(Event::Reported {
        code: Code::App("disk_full".into()),
        message: "no room".into(),
        traceback: None,
        recoverable: true,
    });
    sim.tell(Event::ThreadEnded {
        name: "hooks".into(),
        why: Some("OSError: x".into()),
        traceback: None,
    });
    assert_eq!(sim.reasons(), [Code::App("disk_full".into()), Code::ThreadDied]);
    sim.tell(Event::Cleared {
        code: Code::App("disk_full".into()),
    });
    assert_eq!(sim.reasons(), [Code::ThreadDied]);
}

#[test]
fn what_ends_after_the_app_announced_its_end_is_no_reason() {
    let mut sim = Sim::running();
    sim.tell(Event::ExecutorWatched {
        name: "a".into(),
        kind: "ThreadPoolExecutor".into(),
    });
    sim.tell(Event::ThreadWatched { name: "t".into() });
    sim.tell(Event::StopAnnounced);
    sim.tell(Event::ExecutorEnded {
        name: "a".into(),
        end: ExecutorEnd::ShutDown { by: None },
    });
    sim.tell(Event::ThreadEnded {
        name: "t".into(),
        why: None,
        traceback: None,
    });
    assert_eq!(sim.machine.status(), Status::Stopping);
}

#[test]
fn a_pause_that_begins_in_a_stall_does_not_end_it() {
    let mut sim = Sim::running();
    sim.silent_for(s(6));
    sim.tell(Event::PauseBegan {
        id: 1,
        what: "a debugger".into(),
        max: s(300),
        usable: false,
    });
    sim.silent_for(s(20));
    sim.tell(Event::PauseEnded { id: 1 });
    sim.silent_for(s(1));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled], "no beat has come");
    assert_eq!(sim.opened.len(), 1);
    sim.beat_for(s(1));
    assert_eq!(sim.machine.status(), Status::Ok);
}

#[test]
fn after_a_pause_before_the_first_beat_it_gets_as_long_as_any_other() {
    let mut sim = Sim::new();
    sim.tell(Event::PauseBegan {
        id: 1,
        what: "licence dialog".into(),
        max: s(300),
        usable: false,
    });
    sim.silent_for(s(100));
    sim.tell(Event::PauseEnded { id: 1 });
    sim.silent_for(s(4));
    assert_eq!(sim.machine.status(), Status::Starting);
    sim.silent_for(s(2));
    assert_eq!(sim.reasons(), [Code::StartupTimeout]);
}

#[test]
fn a_second_loop_after_one_that_was_left_on_purpose_is_watched_anew() {
    let mut sim = Sim::running();
    sim.tell(Event::MainLoopEntered);
    sim.tell(Event::StopAnnounced);
    sim.tell(Event::MainLoopExited { how: None });
    assert_eq!(sim.machine.status(), Status::Stopping);
    sim.tell(Event::MainLoopEntered);
    sim.beat();
    assert_eq!(sim.machine.status(), Status::Ok);
    sim.silent_for(s(6));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
}

#[test]
fn trouble_that_is_reported_in_other_words_stays_one_episode() {
    let mut sim = Sim::running();
    for left in ["9 MB", "8 MB", "7 MB"] {
        let message = format!("low memory: {left}");
        sim.tell(Event::Reported {
            code: Code::App("memory".into()),
            message,
            traceback: None,
            recoverable: true,
        });
    }
    assert_eq!(sim.opened.len(), 1);
    assert_eq!(sim.snapshot().open[0].reason.message, "low memory: 7 MB");
    assert_eq!(sim.snapshot().history, []);
}

#[test]
fn the_end_of_a_pause_that_there_was_not_moves_nothing() {
    let mut sim = Sim::running();
    sim.silent_for(s(4));
    sim.tell(Event::PauseEnded { id: 99 });
    sim.silent_for(s(2));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
}

#[test]
fn pauses_are_bounded_and_those_that_are_overdue_make_room() {
    let mut sim = Sim::running();
    for id in 0..10_000 {
        sim.tell(Event::PauseBegan {
            id,
            what: "x".repeat(10_000),
            max: s(300),
            usable: false,
        });
    }
    sim.silent_for(s(299));
    assert_eq!(sim.machine.status(), Status::Ok);
    sim.silent_for(s(2));
    assert_eq!(sim.reasons(), [Code::MainLoopStalled]);
    assert!(sim.snapshot().open[0].reason.message.len() < 1000);
}

#[test]
fn a_loop_that_cannot_be_seen_is_not_watched_and_never_called_stalled() {
    let mut sim = Sim::new();
    sim.tell(Event::MainLoopUnseen);
    assert_eq!(sim.machine.snapshot().main_loop, CheckState::NotWatched);
    assert_eq!(sim.machine.status(), Status::Ok);
    sim.silent_for(Duration::from_mins(10));
    assert_eq!(sim.opened, []);
    sim.tell(Event::MainLoopCrashed {
        message: "RuntimeError: boom".to_owned(),
        traceback: None,
    });
    assert_eq!(sim.opened, [Code::MainLoopCrashed]);
}

#[test]
fn an_interpreter_that_is_held_is_told_of_a_loop_that_cannot_be_seen_too() {
    let mut sim = Sim::new();
    sim.tell(Event::CanaryTicked(sim.now));
    sim.tell(Event::MainLoopUnseen);
    sim.canary = false;
    sim.silent_for(Duration::from_secs(6));
    assert_eq!(sim.opened, [Code::InterpreterHeld]);
    let episode = &sim.machine.snapshot().open[0];
    assert!(
        episode.reason.message.contains("for about 5.0 s"),
        "{}",
        episode.reason.message
    );
    assert!(sim.machine.wants_tick());
    sim.tell(Event::CanaryTicked(sim.now));
    assert_eq!(sim.closed, [Code::InterpreterHeld]);
    assert_eq!(sim.machine.status(), Status::Ok);
}

#[test]
fn a_loop_that_beats_after_all_is_watched_from_then_on() {
    let mut sim = Sim::new();
    sim.tell(Event::MainLoopUnseen);
    sim.beat();
    assert_eq!(sim.machine.snapshot().main_loop, CheckState::Ok);
    sim.tell(Event::MainLoopUnseen);
    assert_eq!(
        sim.machine.snapshot().main_loop,
        CheckState::Ok,
        "what beats is seen"
    );
    sim.silent_for(Duration::from_secs(6));
    assert_eq!(sim.opened, [Code::MainLoopStalled]);
}

#[test]
fn refused_work_is_a_reason_whether_or_not_the_pool_was_watched() {
    let refused = |end, ago| Event::ExecutorRefused {
        name: "io".to_owned(),
        kind: "ThreadPoolExecutor".to_owned(),
        by: "click() at app.py:3".to_owned(),
        end,
        ago,
    };
    let ended = ExecutorEnd::ShutDown {
        by: Some("close() at app.py:9".to_owned()),
    };
    let mut sim = Sim::running();
    sim.tell(refused(ended.clone(), Some(Duration::from_millis(1500))));
    sim.tell(refused(ended.clone(), None));
    assert_eq!(sim.opened, [Code::ExecutorRefused], "once");
    let message = sim.machine.snapshot().open[0].reason.message.clone();
    let expected = "ThreadPoolExecutor \"io\" refused the work of click() at app.py:3: it was shut down by close() at app.py:9 1.5 s before";
    assert_eq!(message, expected);
    let mut stopping = Sim::running();
    stopping.tell(Event::StopAnnounced);
    stopping.tell(refused(ended, None));
    assert_eq!(stopping.opened, [], "an app that ends refuses work");
}
