//! The results of a batch under any order of tests, deaths and workers.

use livegui::batch::{BatchVerdict, End, Results};
use livegui::wire::{Event, EventLine, TestResult};
use proptest::prelude::*;

/// What a process does, one after the other; then it ends.
#[derive(Debug, Clone)]
struct Process {
    /// Which test, and whether it gets a result.
    steps: Vec<(u8, Option<&'static str>)>,
    worker: bool,
    finishes: bool,
    end: End,
}

const TESTS: u8 = 12;

fn name(test: u8) -> String {
    format!("test_{}.py::test_{test}", test / 3)
}

fn processes() -> impl Strategy<Value = Vec<Process>> {
    let outcome = prop_oneof![
        Just("passed"),
        Just("failed"),
        Just("error"),
        Just("victim"),
        Just("skipped"),
        Just("of a newer plugin")
    ];
    let step = (0..TESTS, proptest::option::weighted(0.8, outcome));
    let end = prop_oneof![
        (0_i32..6).prop_map(|code| End::Exited {
            code: Some(code),
            text: format!("exit status {code}")
        }),
        Just(End::Exited {
            code: None,
            text: "signal 11 (SIGSEGV)".to_owned()
        }),
        Just(End::TimedOut {
            limit: "2s".to_owned()
        }),
        Just(End::Interrupted),
        Just(End::NotStarted {
            why: "no such file".to_owned()
        }),
    ];
    let process = (
        proptest::collection::vec(step, 0..10),
        any::<bool>(),
        any::<bool>(),
        end,
    );
    let process = process.prop_map(|(steps, worker, finishes, end)| Process {
        steps,
        worker,
        finishes,
        end,
    });
    proptest::collection::vec(process, 1..4)
}

fn events(process: &Process, collected: bool) -> Vec<EventLine> {
    let mut events = Vec::new();
    if collected {
        events.push(Event::Collected {
            tests: (0..TESTS).map(name).collect(),
        });
    }
    for (test, outcome) in &process.steps {
        events.push(Event::TestStarted { test: name(*test) });
        if let Some(outcome) = outcome {
            let result = TestResult {
                test: name(*test),
                outcome: (*outcome).to_owned().into(),
                ..TestResult::default()
            };
            events.push(Event::TestFinished(Box::new(result)));
        }
    }
    if process.finishes {
        events.push(Event::SessionFinished { exit_status: 0 });
    }
    let worker = process.worker.then(|| "gw0".to_owned());
    let line = |event| EventLine {
        at_ms: 0,
        worker: worker.clone(),
        event,
    };
    events.into_iter().map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_test_is_in_one_place_and_a_loss_is_never_a_success(
        processes in processes(),
        collected in any::<bool>(),
        narrowed in any::<bool>(),
    ) {
        let mut results = Results::default();
        let mut rest = Vec::new();
        for process in &processes {
            results.begin();
            for line in events(process, collected) {
                results.take(&line);
            }
            let before = results.unfinished();
            rest = results.end(&process.end);
            prop_assert!(rest.iter().all(|test| before.contains(test)), "only what is open can go on");
            if process.end == End::Interrupted {
                prop_assert!(rest.is_empty());
            }
        }
        results.give_up(&rest);

        let reported = results.tests().filter(|(_, result)| result.is_some()).count();
        let known = results.tests().count();
        let unfinished = results.unfinished();
        for lost in results.lost() {
            prop_assert!(!unfinished.contains(&lost.test));
        }
        let counts = results.counts();
        let counted = counts.passed + counts.failed + counts.errors + counts.victims + counts.skipped;
        prop_assert_eq!(counted, reported);
        prop_assert_eq!(counts.lost, results.lost().len());
        prop_assert!(known <= reported + counts.lost + unfinished.len());

        let (verdict, why) = results.verdict(narrowed);
        if counts.lost > 0 || why.is_some() {
            prop_assert!(matches!(verdict, BatchVerdict::Lost | BatchVerdict::Interrupted));
        }
        if verdict == BatchVerdict::Passed {
            prop_assert_eq!(counts.failed + counts.errors + counts.victims, 0);
            prop_assert!(unfinished.is_empty(), "{unfinished:?}");
        }
        if processes.iter().any(|process| matches!(&process.end, End::Exited { code: None, .. } | End::TimedOut { .. })) {
            prop_assert!(!verdict.is_good());
        }
    }
}
