//! The health state machine against a reference model that keeps no episodes and knows no time: which
//! reasons must hold after any sequence of events that do not depend on time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use livegui::health::{Awake, Code, Config, Event, ExecutorEnd, Machine, Status};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// What somebody would write down on paper.
#[derive(Debug, Clone, Default)]
struct Paper {
    loop_over: bool,
    stopping: bool,
    /// Watched executors: whether the end is expected, whether it came.
    executors: BTreeMap<String, (bool, bool)>,
    threads: BTreeMap<String, bool>,
    reasons: BTreeSet<(String, String)>,
}

impl Paper {
    fn reason(&mut self, code: &Code, component: &str) {
        self.reasons.insert((code.to_string(), component.to_owned()));
    }
}

struct Reference;

impl ReferenceStateMachine for Reference {
    type State = Paper;
    type Transition = Event;

    fn init_state() -> BoxedStrategy<Paper> {
        Just(Paper::default()).boxed()
    }

    fn transitions(_: &Paper) -> BoxedStrategy<Event> {
        let name = || prop_oneof![Just("a".to_owned()), Just("b".to_owned())];
        let end = prop_oneof![
            Just(ExecutorEnd::ShutDown { by: None }),
            Just(ExecutorEnd::Broken { why: "x".into() }),
            Just(ExecutorEnd::Collected),
        ];
        prop_oneof![
            1 => Just(Event::MainLoopCrashed { message: "x".into(), traceback: None }),
            1 => Just(Event::MainLoopExited { how: None }),
            4 => name().prop_map(|name| Event::ExecutorWatched { name, kind: "T".into() }),
            2 => name().prop_map(|name| Event::ExecutorEndExpected { name }),
            4 => (name(), end).prop_map(|(name, end)| Event::ExecutorEnded { name, end }),
            4 => name().prop_map(|name| Event::ThreadWatched { name }),
            4 => name().prop_map(|name| Event::ThreadEnded { name, why: None, traceback: None }),
            4 => name().prop_map(|code| Event::Reported {
                code: Code::App(code), message: "m".into(), traceback: None, recoverable: true,
            }),
            4 => name().prop_map(|code| Event::Cleared { code: Code::App(code) }),
            1 => Just(Event::StopAnnounced),
            1 => Just(Event::AgentThreadDied { thread: "t".into(), message: "m".into() }),
        ]
        .boxed()
    }

    fn apply(mut paper: Paper, event: &Event) -> Paper {
        match event {
            Event::MainLoopCrashed { .. } => {
                paper.loop_over = true;
                paper.reason(&Code::MainLoopCrashed, "main_loop");
            }
            Event::MainLoopExited { .. } if !paper.loop_over => {
                paper.loop_over = true;
                if !paper.stopping {
                    paper.reason(&Code::MainLoopExited, "main_loop");
                }
            }
            Event::ExecutorWatched { name, .. } => {
                paper.executors.insert(name.clone(), (false, false));
            }
            Event::ExecutorEndExpected { name } => {
                if let Some((expected, _)) = paper.executors.get_mut(name) {
                    *expected = true;
                }
            }
            Event::ExecutorEnded { name, end } => {
                if let Some((expected, ended @ false)) = paper.executors.get_mut(name) {
                    *ended = true;
                    if !*expected && !paper.stopping {
                        let code = match end {
                            ExecutorEnd::ShutDown { .. } => Code::ExecutorShutdown,
                            ExecutorEnd::Broken { .. } => Code::ExecutorBroken,
                            ExecutorEnd::Collected => Code::ExecutorGone,
                        };
                        paper.reason(&code, name);
                    }
                }
            }
            Event::ThreadWatched { name } => {
                paper.threads.insert(name.clone(), false);
            }
            Event::ThreadEnded { name, .. } => {
                if let Some(ended @ false) = paper.threads.get_mut(name) {
                    *ended = true;
                    if !paper.stopping {
                        paper.reason(&Code::ThreadDied, name);
                    }
                }
            }
            Event::Reported { code, .. } => paper.reason(code, "app"),
            Event::Cleared { code } => {
                paper.reasons.remove(&(code.to_string(), "app".to_owned()));
            }
            Event::StopAnnounced => paper.stopping = true,
            Event::AgentThreadDied { thread, .. } => paper.reason(&Code::AgentFault, thread),
            _ => {}
        }
        paper
    }
}

struct Real {
    machine: Machine,
    now: Awake,
}

impl StateMachineTest for Real {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(_: &Paper) -> Self {
        let mut machine = Machine::new(Config::default());
        machine.handle(Event::BeatReceived(Awake::default()), Awake::default());
        Self {
            machine,
            now: Awake::default(),
        }
    }

    fn apply(mut real: Self, paper: &Paper, event: Event) -> Self {
        // Too little time for anything that time alone decides.
        real.now = real.now + Duration::from_millis(1);
        real.machine.handle(event, real.now);
        let snapshot = real.machine.snapshot();
        let open: BTreeSet<_> = snapshot
            .open
            .iter()
            .map(|episode| (episode.reason.code.to_string(), episode.reason.component.clone()))
            .collect();
        assert_eq!(open, paper.reasons);
        let word = match (paper.reasons.is_empty(), paper.stopping) {
            (false, _) => Status::Degraded,
            (true, true) => Status::Stopping,
            (true, false) => Status::Ok,
        };
        assert_eq!(snapshot.status, word);
        real
    }
}

prop_state_machine! {
    #[test]
    fn the_reasons_are_those_on_paper(sequential 1..80 => Real);
}
