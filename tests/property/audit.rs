//! The audit over random suites with hidden state: every true cause is found, nobody else is accused.
#![allow(clippy::panic, reason = "a test")]

use std::collections::BTreeSet;

use livegui::audit::{
    Crash, Difference, Experiment, ExperimentOutcome, ExperimentResult, Judge, Kind, Knowledge, Observed,
    State, TestFinding, TestId, TestIndex, plan,
};
use livegui::wire::file_of;
use proptest::prelude::*;

const REPEAT: u32 = 2;

/// What a test does with the app's state, which is a set of flags.
#[derive(Debug, Clone, Default)]
struct Behaviour {
    sets: Option<u8>,
    clears: Option<u8>,
    wants: Wants,
    crashes: bool,
}

#[derive(Debug, Clone, Default)]
enum Wants {
    #[default]
    Nothing,
    /// It passes only if all of these are set.
    All(BTreeSet<u8>),
    /// It passes only if this is not set.
    Without(u8),
    /// It passes as it likes, by this seed.
    Luck(u64),
}

#[derive(Debug, Clone)]
struct World {
    /// Node id and behaviour, in the suite's order.
    tests: Vec<(String, Behaviour)>,
    runs: u64,
}

impl World {
    fn new(files: Vec<Vec<Behaviour>>) -> Self {
        let named = |(file, tests): (usize, Vec<Behaviour>)| {
            let tests = tests.into_iter().enumerate();
            tests.map(move |(number, behaviour)| (format!("f{file}.py::t{number}"), behaviour))
        };
        Self {
            tests: files.into_iter().enumerate().flat_map(named).collect(),
            runs: 0,
        }
    }

    fn test_index(&self) -> TestIndex {
        TestIndex::new(self.tests.iter().map(|(name, _)| name.clone()).collect())
    }

    fn make(&mut self, experiment: &Experiment, test_index: &TestIndex) -> ExperimentResult {
        let mut result = ExperimentResult::new(experiment, test_index);
        let chosen: Vec<TestId> = (0..self.tests.len())
            .filter(|test| {
                let name = test_index.test(*test).to_owned();
                let all = result.target.is_empty() && result.files.contains(&file_of(&name).to_owned());
                all || result.target.contains(&name)
                    || result.before.contains(&test_index.test(*test).to_owned())
            })
            .collect();
        result.seconds = chosen.len() as f64 + 2.0;
        let (mut generation, mut flags, mut last_file) = (1, BTreeSet::new(), None);
        for test in chosen {
            self.runs += 1;
            let file = test_index.file_of(test);
            if result.kind == Kind::Fresh && last_file.is_some_and(|last| last != file) {
                generation += 1;
                flags.clear();
            }
            last_file = Some(file);
            let (name, behaviour) = &self.tests[test];
            let passed = passes(behaviour, &flags, self.runs);
            result.tests.push(Observed {
                test: name.clone(),
                outcome: if passed {
                    ExperimentOutcome::Passed
                } else {
                    ExperimentOutcome::Failed
                },
                generation: Some(generation),
                ms: 1000.0 + (self.runs % 7) as f64 * 50.0, // no two runs take the same
                said: String::new(),
            });
            apply(behaviour, &mut flags);
            if behaviour.crashes {
                result.crashes.push(Crash {
                    test: name.clone(),
                    inferred: false,
                    why: "boom".into(),
                });
                generation += 1;
                flags.clear();
            }
        }
        result
    }

    /// Whether a test passes after these tests and the earlier ones of its own file.
    fn fares_after(&self, before: &[TestId], test: TestId, test_index: &TestIndex) -> bool {
        let own = test_index
            .tests_of(test_index.file_of(test))
            .iter()
            .copied()
            .filter(|own| *own < test);
        let own: Vec<_> = own.collect();
        let since_crash = own
            .iter()
            .rposition(|own| self.tests[*own].1.crashes)
            .map_or(0, |at| at + 1);
        let mut flags = BTreeSet::new();
        for test in before.iter().chain(&own[since_crash..]) {
            apply(&self.tests[*test].1, &mut flags);
        }
        passes(&self.tests[test].1, &flags, 0)
    }

    /// Who sets a flag that a test wants, or does not want.
    fn setters(&self, test: TestId) -> Vec<TestId> {
        let wanted = match &self.tests[test].1.wants {
            Wants::All(flags) => flags.clone(),
            Wants::Without(flag) => BTreeSet::from([*flag]),
            _ => BTreeSet::new(),
        };
        let sets = |test: &TestId| {
            self.tests[*test]
                .1
                .sets
                .is_some_and(|flag| wanted.contains(&flag))
        };
        (0..test).filter(sets).collect()
    }

    /// What is true of a test: how it fares in the suite's order and alone, and who makes the difference.
    fn truth(&self, test: TestId, test_index: &TestIndex) -> (bool, bool, Vec<TestId>) {
        let behaviour = &self.tests[test].1;
        let own_file = test_index.file_of(test);
        let since_crash = (0..test)
            .rev()
            .take_while(|earlier| !self.tests[*earlier].1.crashes);
        let before: Vec<_> = since_crash.collect::<Vec<_>>().into_iter().rev().collect();
        let (others, own): (Vec<_>, Vec<_>) = before
            .iter()
            .partition(|earlier| test_index.file_of(**earlier) != own_file);
        let state = |tests: &[TestId]| {
            let mut flags = BTreeSet::new();
            for test in tests {
                apply(&self.tests[*test].1, &mut flags);
            }
            flags
        };
        let alone = state(&own);
        let wanted = match &behaviour.wants {
            Wants::All(flags) => flags.clone(),
            Wants::Without(flag) => BTreeSet::from([*flag]),
            _ => BTreeSet::new(),
        };
        let missing = wanted.into_iter().filter(|flag| !alone.contains(flag));
        let setter = |flag: u8| {
            others
                .iter()
                .rev()
                .find(|test| self.tests[**test].1.sets == Some(flag))
                .copied()
        };
        let causes: BTreeSet<_> = missing.filter_map(setter).collect();
        let warm = state(&before);
        (
            passes(behaviour, &warm, 0),
            passes(behaviour, &alone, 0),
            causes.into_iter().collect(),
        )
    }
}

fn passes(behaviour: &Behaviour, flags: &BTreeSet<u8>, run: u64) -> bool {
    let wants = match &behaviour.wants {
        Wants::Nothing => true,
        Wants::All(wanted) => wanted.is_subset(flags),
        Wants::Without(flag) => !flags.contains(flag),
        Wants::Luck(seed) => (seed ^ run).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0,
    };
    wants && !behaviour.crashes
}

fn apply(behaviour: &Behaviour, flags: &mut BTreeSet<u8>) {
    if let Some(flag) = behaviour.clears {
        flags.remove(&flag);
    }
    flags.extend(behaviour.sets);
}

fn audit(world: &mut World) -> Knowledge {
    let test_index = world.test_index();
    let mut knowledge = Knowledge::new(test_index.clone());
    for _ in 0..10_000 {
        let wanted = plan(&knowledge, REPEAT, &[]);
        let Some(experiment) = wanted.first() else {
            return knowledge;
        };
        let result = world.make(experiment, &test_index);
        knowledge.add(result);
    }
    panic!("the audit never ends: {:?}", plan(&knowledge, REPEAT, &[]));
}

fn settled(knowledge: &Knowledge, test: TestId) -> TestFinding {
    match Judge::new(knowledge, REPEAT).state(test) {
        State::Settled(verdict) => verdict,
        open => panic!("nothing is planned, and this is open: {open:?}"),
    }
}

fn behaviour() -> impl Strategy<Value = Behaviour> {
    let flag = || 0_u8..3;
    let wants = prop_oneof![
        6 => Just(Wants::Nothing),
        2 => proptest::collection::btree_set(flag(), 1..3).prop_map(Wants::All),
        2 => flag().prop_map(Wants::Without),
        1 => any::<u64>().prop_map(Wants::Luck),
    ];
    let some = |share| proptest::option::weighted(share, 0_u8..3);
    (some(0.25), some(0.15), wants, proptest::bool::weighted(0.04)).prop_map(
        |(sets, clears, wants, crashes)| Behaviour {
            sets,
            clears,
            wants,
            crashes,
        },
    )
}

fn worlds() -> impl Strategy<Value = World> {
    let file = proptest::collection::vec(behaviour(), 1..5);
    proptest::collection::vec(file, 1..12).prop_map(World::new)
}

proptest! {
    #[test]
    fn every_true_cause_is_found_and_nobody_else_accused(mut world in worlds()) {
        let test_index = world.test_index();
        let knowledge = audit(&mut world);
        let differs = |test: &TestId| matches!(settled(&knowledge, *test), TestFinding::Differs { .. });
        let differing: Vec<_> = (0..test_index.tests().len()).filter(differs).collect();
        for test in 0..test_index.tests().len() {
            let verdict = settled(&knowledge, test);
            let (warm, alone, true_causes) = world.truth(test, &test_index);
            let setters = world.setters(test);
            let knows_others = differing.iter().any(|other| *other != test) || setters.len() > 1 && true_causes.len() > 1;
            match (&verdict, &world.tests[test].1.wants) {
                // Luck may look like anything; it takes as many agreeing runs as were asked for to do so.
                (TestFinding::Differs { alone, together, .. }, Wants::Luck(_)) => prop_assert!(*alone >= 2 && *together >= 2),
                (_, Wants::Luck(_)) => {}
                (TestFinding::Clean, _) => prop_assert!(warm && alone),
                (TestFinding::Fails, _) => prop_assert!(!warm && !alone),
                (TestFinding::Differs { difference, causes, alone: times_alone, together }, _) => {
                    prop_assert_ne!(warm, alone);
                    prop_assert_eq!(*difference == Difference::Dependent, warm);
                    // Who makes the difference by itself to one test is asked first of the next, so it need
                    // not be the last who set the flag; but it did, and it takes all who are accused.
                    let of_it = causes.iter().all(|cause| setters.contains(cause));
                    prop_assert!(of_it, "{:?} of {:?}", causes, setters);
                    prop_assert_eq!(world.fares_after(causes, test, &test_index), warm);
                    for left_out in causes {
                        let less: Vec<_> = causes.iter().copied().filter(|cause| cause != left_out).collect();
                        prop_assert_eq!(world.fares_after(&less, test, &test_index), alone, "too many: {:?}", causes);
                    }
                    if !knows_others {
                        prop_assert_eq!(causes, &true_causes);
                    }
                    prop_assert!(*times_alone >= 2 && *together >= 2);
                }
                _ => prop_assert!(false, "{} is {verdict:?}", test_index.test(test)),
            }
        }
    }

    #[test]
    fn one_cause_costs_a_few_runs_of_the_suite_at_most(files in 2_usize..60, cause in 0_usize..59) {
        let cause = cause % (files - 1);
        let mut suite = vec![vec![Behaviour::default()]; files];
        suite[cause][0].sets = Some(0);
        suite[files - 1][0].wants = Wants::All(BTreeSet::from([0]));
        let knowledge = audit(&mut World::new(suite));
        let verdict = settled(&knowledge, files - 1);
        let found = matches!(&verdict, TestFinding::Differs { causes, .. } if *causes == [cause]);
        prop_assert!(found, "{verdict:?}");
        let together = knowledge.results().iter().filter(|result| result.kind == Kind::Together);
        let seconds: f64 = together.map(|result| result.seconds).sum();
        let files = files as f64;
        prop_assert!(seconds < 2.5 * (files + 3.0 * files.log2()), "{} s", seconds);
    }
}

#[test]
fn a_test_that_changes_its_mind_is_flaky_and_blames_nobody() {
    let mut world = World::new(vec![vec![Behaviour::default()]; 3]);
    let test_index = world.test_index();
    let mut knowledge = Knowledge::new(test_index.clone());
    let mut run = 0;
    while let Some(experiment) = plan(&knowledge, REPEAT, &[]).first() {
        let mut result = world.make(experiment, &test_index);
        run += 1;
        // It fails once, and never again.
        if run == 1 {
            result.tests[2].outcome = ExperimentOutcome::Failed;
        }
        knowledge.add(result);
        assert!(run < 20);
    }
    assert!(matches!(settled(&knowledge, 2), TestFinding::Flaky { .. }));
    assert_eq!(settled(&knowledge, 0), TestFinding::Clean);
}

#[test]
fn what_fails_on_every_process_but_the_first_is_laid_on_no_other_test() {
    let mut world = World::new(vec![vec![Behaviour::default()]; 4]);
    let test_index = world.test_index();
    let mut knowledge = Knowledge::new(test_index.clone());
    let mut results = 0;
    while let Some(experiment) = plan(&knowledge, REPEAT, &[]).first() {
        let mut result = world.make(experiment, &test_index);
        for seen in &mut result.tests {
            let keeps = test_index.find(&seen.test) > Some(1);
            if keeps && seen.generation > Some(1) {
                seen.outcome = ExperimentOutcome::Failed;
            }
        }
        knowledge.add(result);
        results += 1;
        assert!(results < 20);
    }
    assert_eq!(settled(&knowledge, 1), TestFinding::Clean);
    for test in [2, 3] {
        assert_eq!(
            settled(&knowledge, test),
            TestFinding::KeepsOldProcess { passes_first: true }
        );
    }
}

#[test]
fn what_crashed_in_between_and_what_never_ran_is_no_evidence() {
    let mut world = World::new(vec![vec![Behaviour::default()]; 3]);
    let test_index = world.test_index();
    let mut knowledge = Knowledge::new(test_index.clone());
    for experiment in [Experiment::Warm(vec![0, 1, 2]), Experiment::Fresh(vec![0, 1, 2])] {
        let mut result = world.make(&experiment, &test_index);
        result.tests[1].outcome = if result.kind == Kind::Warm {
            ExperimentOutcome::Victim
        } else {
            ExperimentOutcome::Failed
        };
        result.tests[2].outcome = if result.kind == Kind::Warm {
            ExperimentOutcome::Passed
        } else {
            ExperimentOutcome::Skipped
        };
        knowledge.add(result);
    }
    assert_eq!(settled(&knowledge, 1), TestFinding::NotJudged);
    assert_eq!(settled(&knowledge, 2), TestFinding::NotJudged);
    assert_eq!(plan(&knowledge, REPEAT, &[]), []);
}

#[test]
fn a_test_that_lost_its_own_file_s_earlier_tests_is_not_judged() {
    let mut world = World::new(vec![vec![Behaviour::default()], vec![Behaviour::default(); 2]]);
    let test_index = world.test_index();
    let mut knowledge = Knowledge::new(test_index.clone());
    for experiment in [Experiment::Warm(vec![0, 1]), Experiment::Fresh(vec![0, 1])] {
        let mut result = world.make(&experiment, &test_index);
        if result.kind == Kind::Warm {
            // The first of the second file crashed the app, so the next got another one.
            result.tests[1].outcome = ExperimentOutcome::Failed;
            result.tests[2].outcome = ExperimentOutcome::Failed;
            result.tests[2].generation = Some(2);
        }
        knowledge.add(result);
    }
    assert_eq!(settled(&knowledge, 2), TestFinding::NotJudged);
    assert!(matches!(
        Judge::new(&knowledge, REPEAT).state(1),
        State::Open { .. }
    ));
}

#[test]
fn what_runs_is_not_started_again() {
    let world = World::new(vec![vec![Behaviour::default()]; 3]);
    let knowledge = Knowledge::new(world.test_index());
    let wanted = plan(&knowledge, REPEAT, &[]);
    assert_eq!(
        wanted,
        [Experiment::Warm(vec![0, 1, 2]), Experiment::Fresh(vec![0, 1, 2])]
    );
    assert_eq!(plan(&knowledge, REPEAT, &wanted), []);
    assert_eq!(plan(&knowledge, REPEAT, &wanted[..1]), [wanted[1].clone()]);

    let mut files = vec![vec![Behaviour::default()]; 3];
    files[0][0].sets = Some(0);
    files[2][0].wants = Wants::All(BTreeSet::from([0]));
    let mut world = World::new(files);
    let test_index = world.test_index();
    let mut knowledge = Knowledge::new(test_index.clone());
    for experiment in &wanted {
        knowledge.add(world.make(experiment, &test_index));
    }
    let wanted = plan(&knowledge, REPEAT, &[]);
    assert_eq!(wanted.len(), 2, "alone, and after a part of what ran before");
    assert_eq!(plan(&knowledge, REPEAT, &wanted[..1]), wanted[1..]);
    assert_eq!(plan(&knowledge, REPEAT, &wanted), []);
}
