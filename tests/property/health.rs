//! The health state machine against what must always hold, and against a naive model of stalls.

use std::collections::HashSet;
use std::time::Duration;

use livegui::health::{
    Awake, Code, Config, Event, ExecutorEnd, Machine, Snapshot, Source, Status, Transition,
};
use proptest::prelude::*;

fn events() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let name = || prop_oneof![Just("a".to_owned()), Just("b".to_owned())];
    let event = prop_oneof![
        6 => Just(Event::TimePassed),
        12 => Just(Event::BeatReceived(Awake::at(Duration::MAX))), // "just now"
        8 => Just(Event::CanaryTicked(Awake::at(Duration::MAX))),
        1 => Just(Event::MainLoopEntered),
        1 => Just(Event::MainLoopCrashed { message: "x".into(), traceback: None }),
        1 => Just(Event::MainLoopExited { how: None }),
        2 => (0_u64..3, 0_u64..20_000)
            .prop_map(|(id, max)| Event::PauseBegan { id, what: "w".into(), max: Duration::from_millis(max), usable: false }),
        2 => (0_u64..3).prop_map(|id| Event::PauseEnded { id }),
        1 => name().prop_map(|name| Event::ExecutorWatched { name, kind: "T".into() }),
        1 => name().prop_map(|name| Event::ExecutorEndExpected { name }),
        1 => name().prop_map(|name| Event::ExecutorEnded { name, end: ExecutorEnd::Collected }),
        1 => name().prop_map(|name| Event::ThreadWatched { name }),
        1 => name().prop_map(|name| Event::ThreadEnded { name, why: None, traceback: None }),
        2 => (name(), any::<bool>()).prop_map(|(code, recoverable)| Event::Reported {
            code: Code::App(code),
            message: "m".into(),
            traceback: None,
            recoverable,
        }),
        2 => name().prop_map(|code| Event::Cleared { code: Code::App(code) }),
        2 => (name(), 0_u8..3).prop_map(|(message, place)| Event::ExceptionSwallowed {
            source: Source::Gui,
            place: format!("app.py:{place} in f"),
            message,
            traceback: None,
        }),
        1 => Just(Event::StopAnnounced),
    ];
    proptest::collection::vec((prop_oneof![0_u64..100, 0_u64..8_000], event), 0..120)
}

proptest! {
    #[test]
    fn degraded_if_and_only_if_there_is_a_reason(events in events()) {
        let mut machine = Machine::new(Config::default());
        let mut now = Awake::default();
        for (millis, event) in events {
            now = now + Duration::from_millis(millis);
            machine.handle(event, now);
            let snapshot = machine.snapshot();
            prop_assert_eq!(snapshot.status == Status::Degraded, !snapshot.open.is_empty());
        }
    }

    #[test]
    fn every_episode_opens_once_closes_at_most_once_and_is_announced(events in events()) {
        let mut machine = Machine::new(Config::default());
        let mut now = Awake::default();
        let (mut opened, mut closed) = (HashSet::new(), HashSet::new());
        for (millis, event) in events {
            now = now + Duration::from_millis(millis);
            let before = machine.snapshot();
            let transitions = machine.handle(event, now);
            for transition in &transitions {
                match transition {
                    Transition::Opened(episode) => prop_assert!(opened.insert(episode.number)),
                    Transition::Closed(episode) => {
                        prop_assert!(opened.contains(&episode.number));
                        prop_assert!(closed.insert(episode.number));
                        prop_assert!(episode.closed >= Some(episode.opened));
                    }
                    Transition::StatusChanged { from, to } => prop_assert_ne!(from, to),
                    Transition::ExceptionCaught(caught) => {
                        prop_assert!(machine.snapshot().exceptions.contains(caught));
                    }
                }
            }
            let after = machine.snapshot();
            let open: HashSet<u64> = after.open.iter().map(|episode| episode.number).collect();
            prop_assert_eq!(open, opened.difference(&closed).copied().collect::<HashSet<_>>());
            // But for how often an exception came, which would be news in every frame.
            let uncounted = |shown: &Snapshot| Snapshot { exceptions: Vec::new(), ..shown.clone() };
            let same = if after.seq == before.seq { uncounted(&after) == uncounted(&before) } else { after == before };
            prop_assert_eq!(after.seq == before.seq, same, "what is shown changes with its seq");
        }
    }

    #[test]
    fn a_code_holds_at_most_once_for_a_component(events in events()) {
        let mut machine = Machine::new(Config::default());
        let mut now = Awake::default();
        for (millis, event) in events {
            now = now + Duration::from_millis(millis);
            machine.handle(event, now);
            let open = machine.snapshot().open;
            let distinct: HashSet<_> = open.iter().map(|e| (e.reason.code.clone(), e.reason.component.clone())).collect();
            prop_assert_eq!(distinct.len(), open.len());
        }
    }

    /// Waking exactly at each deadline must find the same as looking all the time would: every threshold is
    /// a multiple of 10 ms, and so is every step here.
    #[test]
    fn sleeping_to_the_deadline_misses_nothing(gaps in proptest::collection::vec((1_u64..1_200).prop_map(|n| n * 10), 1..20)) {
        let config = Config { stall_after: Duration::from_secs(2), startup: Duration::from_secs(8), ..Config::default() };
        let (mut sleeper, mut poller) = (Machine::new(config), Machine::new(config));
        let mut now = Awake::default();
        for gap in gaps {
            let beat = now + Duration::from_millis(gap);
            let mut opened = Vec::new();
            while let Some(due) = sleeper.next_deadline().filter(|due| *due < beat) {
                opened.extend(sleeper.handle(Event::TimePassed, due));
                prop_assert!(sleeper.next_deadline() > Some(due) || sleeper.next_deadline().is_none(), "no spinning");
            }
            let mut polled = Vec::new();
            for milli in (10..gap).step_by(10) {
                polled.extend(poller.handle(Event::TimePassed, now + Duration::from_millis(milli)));
            }
            prop_assert_eq!(opened, polled);
            now = beat;
            prop_assert_eq!(
                sleeper.handle(Event::BeatReceived(now), now),
                poller.handle(Event::BeatReceived(now), now)
            );
        }
    }
}
