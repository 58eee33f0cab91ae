//! The audit over random suites with hidden state: every true cause is found, nobody else is accused.
#![allow(clippy::panic, reason = "a test")]

use std::collections::BTreeSet;

use livegui::audit::{
    Crash, Difference, Experiment, Judge, Kind, Knowledge, Outcome, Roster, Seen, State, TestId, Trial,
    Verdict, plan,
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

    fn roster(&self) -> Roster {
        Roster::new(self.tests.iter().map(|(name, _)| name.clone()).collect())
    }

    fn make(&mut self, experiment: &Experiment, roster: &Roster) -> Trial {
        let mut trial = Trial::new(experiment, roster);
        let chosen: Vec<TestId> = (0..self.tests.len())
            .filter(|test| {
                let name = roster.test(*test).to_owned();
                let all = trial.target.is_empty() && trial.files.contains(&file_of(&name).to_owned());
                all || trial.target.contains(&name) || trial.before.contains(&roster.test(*test).to_owned())
            })
            .collect();
        trial.seconds = chosen.len() as f64 + 2.0;
        let (mut generation, mut flags, mut last_file) = (1, BTreeSet::new(), None);
        for test in chosen {
            self.runs += 1;
            let file = roster.file_of(test);
            if trial.kind == Kind::Fresh && last_file.is_some_and(|last| last != file) {
                generation += 1;
                flags.clear();
            }
            last_file = Some(file);
            let (name, behaviour) = &self.tests[test];
            let passed = passes(behaviour, &flags, self.runs);
            trial.tests.push(Seen {
                test: name.clone(),
                outcome: if passed { Outcome::Passed } else { Outcome::Failed },
                generation: Some(generation),
                ms: 1000.0 + (self.runs % 7) as f64 * 50.0, // no two runs take the same
                said: String::new(),
            });
            apply(behaviour, &mut flags);
            if behaviour.crashes {
                trial.crashes.push(Crash {
                    test: name.clone(),
                    inferred: false,
                    why: "boom".into(),
                });
                generation += 1;
                flags.clear();
            }
        }
        trial
    }

    /// Whether a test passes after these tests and the earlier ones of its own file.
    fn fares_after(&self, before: &[TestId], test: TestId, roster: &Roster) -> bool {
        let own = roster
            .tests_of(roster.file_of(test))
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
    fn truth(&self, test: TestId, roster: &Roster) -> (bool, bool, Vec<TestId>) {
        let behaviour = &self.tests[test].1;
        let own_file = roster.file_of(test);
        let since_crash = (0..test)
            .rev()
            .take_while(|earlier| !self.tests[*earlier].1.crashes);
        let before: Vec<_> = since_crash.collect::<Vec<_>>().into_iter().rev().collect();
        let (others, own): (Vec<_>, Vec<_>) = before
            .iter()
            .partition(|earlier| roster.file_of(**earlier) != own_file);
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
    let roster = world.roster();
    let mut knowledge = Knowledge::new(roster.clone());
    for _ in 0..10_000 {
        let wanted = plan(&knowledge, REPEAT, &[]);
        let Some(experiment) = wanted.first() else {
            return knowledge;
        };
        let trial = world.make(experiment, &roster);
        knowledge.add(trial);
    }
    panic!("the audit never ends: {:?}", plan(&knowledge, REPEAT, &[]));
}

fn settled(knowledge: &Knowledge, test: TestId) -> Verdict {
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
        let roster = world.roster();
        let knowledge = audit(&mut world);
        let differs = |test: &TestId| matches!(settled(&knowledge, *test), Verdict::Differs { .. });
        let differing: Vec<_> = (0..roster.tests().len()).filter(differs).collect();
        for test in 0..roster.tests().len() {
            let verdict = settled(&knowledge, test);
            let (warm, alone, true_causes) = world.truth(test, &roster);
            let setters = world.setters(test);
            let knows_others = differing.iter().any(|other| *other != test) || setters.len() > 1 && true_causes.len() > 1;
            match (&verdict, &world.tests[test].1.wants) {
                // Luck may look like anything; it takes as many agreeing runs as were asked for to do so.
                (Verdict::Differs { alone, together, .. }, Wants::Luck(_)) => prop_assert!(*alone >= 2 && *together >= 2),
                (_, Wants::Luck(_)) => {}
                (Verdict::Clean, _) => prop_assert!(warm && alone),
                (Verdict::Fails, _) => prop_assert!(!warm && !alone),
                (Verdict::Differs { difference, causes, alone: times_alone, together }, _) => {
                    prop_assert_ne!(warm, alone);
                    prop_assert_eq!(*difference == Difference::Dependent, warm);
                    // Who makes the difference by itself to one test is asked first of the next, so it need
                    // not be the last who set the flag; but it did, and it takes all who are accused.
                    let of_it = causes.iter().all(|cause| setters.contains(cause));
                    prop_assert!(of_it, "{:?} of {:?}", causes, setters);
                    prop_assert_eq!(world.fares_after(causes, test, &roster), warm);
                    for left_out in causes {
                        let less: Vec<_> = causes.iter().copied().filter(|cause| cause != left_out).collect();
                        prop_assert_eq!(world.fares_after(&less, test, &roster), alone, "too many: {:?}", causes);
                    }
                    if !knows_others {
                        prop_assert_eq!(causes, &true_causes);
                    }
                    prop_assert!(*times_alone >= 2 && *together >= 2);
                }
                _ => prop_assert!(false, "{} is {verdict:?}", roster.test(test)),
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
        let found = matches!(&verdict, Verdict::Differs { causes, .. } if *causes == [cause]);
        prop_assert!(found, "{verdict:?}");
        let together = knowledge.trials().iter().filter(|trial| trial.kind == Kind::Together);
        let seconds: f64 = together.map(|trial| trial.seconds).sum();
        let files = files as f64;
        prop_assert!(seconds < 2.5 * (files + 3.0 * files.log2()), "{} s", seconds);
    }
}

#[test]
fn a_test_that_changes_its_mind_is_flaky_and_blames_nobody() {
    let mut world = World::new(vec![vec![Behaviour::default()]; 3]);
    let roster = world.roster();
    let mut knowledge = Knowledge::new(roster.clone());
    let mut run = 0;
    while let Some(experiment) = plan(&knowledge, REPEAT, &[]).first() {
        let mut trial = world.make(experiment, &roster);
        run += 1;
        // It fails once, and never again.
        if run == 1 {
            trial.tests[2].outcome = Outcome::Failed;
        }
        knowledge.add(trial);
        assert!(run < 20);
    }
    assert!(matches!(settled(&knowledge, 2), Verdict::Flaky { .. }));
    assert_eq!(settled(&knowledge, 0), Verdict::Clean);
}

#[test]
fn what_fails_on_every_process_but_the_first_is_laid_on_no_other_test() {
    let mut world = World::new(vec![vec![Behaviour::default()]; 4]);
    let roster = world.roster();
    let mut knowledge = Knowledge::new(roster.clone());
    let mut trials = 0;
    while let Some(experiment) = plan(&knowledge, REPEAT, &[]).first() {
        let mut trial = world.make(experiment, &roster);
        for seen in &mut trial.tests {
            let keeps = roster.find(&seen.test) > Some(1);
            if keeps && seen.generation > Some(1) {
                seen.outcome = Outcome::Failed;
            }
        }
        knowledge.add(trial);
        trials += 1;
        assert!(trials < 20);
    }
    assert_eq!(settled(&knowledge, 1), Verdict::Clean);
    for test in [2, 3] {
        assert_eq!(
            settled(&knowledge, test),
            Verdict::KeepsOldProcess { passes_first: true }
        );
    }
}

#[test]
fn what_crashed_in_between_and_what_never_ran_is_no_evidence() {
    let mut world = World::new(vec![vec![Behaviour::default()]; 3]);
    let roster = world.roster();
    let mut knowledge = Knowledge::new(roster.clone());
    for experiment in [Experiment::Warm(vec![0, 1, 2]), Experiment::Fresh(vec![0, 1, 2])] {
        let mut trial = world.make(&experiment, &roster);
        trial.tests[1].outcome = if trial.kind == Kind::Warm {
            Outcome::Victim
        } else {
            Outcome::Failed
        };
        trial.tests[2].outcome = if trial.kind == Kind::Warm {
            Outcome::Passed
        } else {
            Outcome::Skipped
        };
        knowledge.add(trial);
    }
    assert_eq!(settled(&knowledge, 1), Verdict::NotJudged);
    assert_eq!(settled(&knowledge, 2), Verdict::NotJudged);
    assert_eq!(plan(&knowledge, REPEAT, &[]), []);
}

#[test]
fn a_test_that_lost_its_own_file_s_earlier_tests_is_not_judged() {
    let mut world = World::new(vec![vec![Behaviour::default()], vec![Behaviour::default(); 2]]);
    let roster = world.roster();
    let mut knowledge = Knowledge::new(roster.clone());
    for experiment in [Experiment::Warm(vec![0, 1]), Experiment::Fresh(vec![0, 1])] {
        let mut trial = world.make(&experiment, &roster);
        if trial.kind == Kind::Warm {
            // The first of the second file crashed the app, so the next got another one.
            trial.tests[1].outcome = Outcome::Failed;
            trial.tests[2].outcome = Outcome::Failed;
            trial.tests[2].generation = Some(2);
        }
        knowledge.add(trial);
    }
    assert_eq!(settled(&knowledge, 2), Verdict::NotJudged);
    assert!(matches!(
        Judge::new(&knowledge, REPEAT).state(1),
        State::Open { .. }
    ));
}

#[test]
fn what_runs_is_not_started_again() {
    let world = World::new(vec![vec![Behaviour::default()]; 3]);
    let knowledge = Knowledge::new(world.roster());
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
    let roster = world.roster();
    let mut knowledge = Knowledge::new(roster.clone());
    for experiment in &wanted {
        knowledge.add(world.make(experiment, &roster));
    }
    let wanted = plan(&knowledge, REPEAT, &[]);
    assert_eq!(wanted.len(), 2, "alone, and after a part of what ran before");
    assert_eq!(plan(&knowledge, REPEAT, &wanted[..1]), wanted[1..]);
    assert_eq!(plan(&knowledge, REPEAT, &wanted), []);
}
