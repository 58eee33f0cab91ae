//! The policy under any order of tests and troubles.

use livegui::harness::{Decision, Policy, Respawn, Rules, Scope, Test};
use livegui::wire::Culprit;
use proptest::prelude::*;

/// One test of a run: its file, and when the app fails in it, if it does.
#[derive(Debug, Clone)]
struct Step {
    file: u8,
    trouble: Option<(When, u8)>,
    /// Somebody uses the app after it.
    used_afterwards: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    During,
    After,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let when = prop_oneof![Just(When::During), Just(When::After)];
    let trouble = proptest::option::weighted(0.3, (when, 0_u8..2));
    let step = (0_u8..4, trouble, proptest::bool::ANY).prop_map(|(file, trouble, used_afterwards)| Step {
        file,
        trouble,
        used_afterwards,
    });
    proptest::collection::vec(step, 1..60).prop_map(|mut steps| {
        steps.sort_by_key(|step| step.file); // pytest runs a file's tests together
        steps
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let scope = prop_oneof![Just(Scope::Session), Just(Scope::Module), Just(Scope::Function)];
    let respawn = prop_oneof![Just(Respawn::File), Just(Respawn::Test), Just(Respawn::Never)];
    (scope, respawn, 0_u32..5).prop_map(|(scope, respawn, max_respawns)| Rules {
        scope,
        respawn,
        max_respawns,
        ..Rules::default()
    })
}

/// What the reference model remembers.
#[derive(Default)]
struct Model {
    generation: u32,
    /// File and blame of what is wrong with the running generation.
    trouble: Option<(String, Culprit)>,
    /// Files that ran on this generation.
    inherited: Vec<String>,
    respawns: u32,
    /// No test has run yet on the process that was put up between tests.
    unnoted: bool,
}

proptest! {
    #[test]
    fn blame_and_respawn_hold_for_every_run(rules in rules(), steps in steps()) {
        let mut policy = Policy::new(rules);
        let mut model = Model::default();
        let mut given_up = false;
        for (number, step) in steps.iter().enumerate() {
            let test = Test { id: format!("f{}::t{number}", step.file), file: format!("f{}", step.file) };
            let lacks_prior = policy.lacks_prior_state(&test, None).is_some();
            let lacks_first = policy.lacks_prior_state(&test, Some("f0")).is_some();
            let decision = policy.test_starting(test.clone());
            let stays = !matches!(decision, Decision::Respawn(_));
            prop_assert_eq!(lacks_prior, !(stays && model.inherited.iter().any(|file| *file != test.file)));
            prop_assert_eq!(lacks_first, !(stays && model.inherited.iter().any(|file| file == "f0")));
            prop_assert!(!given_up || matches!(decision, Decision::GiveUp(_)), "giving up is for good");
            let runs = match decision {
                Decision::Proceed => {
                    prop_assert!(model.trouble.is_none(), "no test runs on an app that is known to be in trouble");
                    if model.generation == 0 {
                        model.generation = 1;
                        policy.app_started(1, None);
                    }
                    if rules.scope == Scope::Module {
                        prop_assert!(model.inherited.iter().all(|file| *file == test.file));
                    }
                    if rules.scope == Scope::Function {
                        prop_assert!(model.inherited.is_empty());
                    }
                    true
                }
                Decision::Respawn(because) => {
                    if let Some((file, culprit)) = &model.trouble {
                        prop_assert!(because.contains(&culprit.test), "{because}");
                        prop_assert_ne!(rules.respawn, Respawn::Never);
                        if rules.respawn == Respawn::File && rules.scope != Scope::Function {
                            prop_assert_ne!(file, &test.file, "the rest of the culprit's file is spared");
                        }
                    } else {
                        prop_assert_ne!(rules.scope, Scope::Session, "a healthy app is kept");
                    }
                    model.generation += 1;
                    model.respawns += 1;
                    model.trouble = None;
                    model.inherited.clear();
                    policy.app_started(model.generation, Some(because));
                    let note = policy.note_of_running().cloned();
                    prop_assert_eq!(note.map(|note| (note.test, note.generation)), Some((test.id.clone(), model.generation)));
                    true
                }
                Decision::Refuse(trouble) => {
                    let Some((_, culprit)) = &model.trouble else {
                        return Err(TestCaseError::fail("a victim without a culprit"));
                    };
                    prop_assert_eq!(trouble.culprit.as_ref(), Some(culprit));
                    false
                }
                Decision::GiveUp(_) => {
                    prop_assert!(model.trouble.is_some() || given_up);
                    prop_assert!(model.respawns >= rules.max_respawns, "the budget is used before it is given up");
                    given_up = true;
                    false
                }
            };
            if runs {
                model.unnoted = false;
                model.inherited.push(test.file.clone());
            }
            let fails = step.trouble.filter(|_| runs);
            if let Some((When::During, kind)) = fails {
                let blamed = policy.app_troubled(model.generation, &format!("kind {kind}"), false);
                let culprit = Culprit { test: test.id.clone(), inferred: false };
                prop_assert_eq!(blamed.as_ref(), Some(&culprit));
                prop_assert!(policy.is_running_to_blame());
                // What is heard later of the same generation blames nobody else.
                model.trouble = Some((test.file.clone(), culprit));
            }
            policy.test_finished();
            if let Some((When::After, kind)) = fails {
                let blamed = policy.app_troubled(model.generation, &format!("kind {kind}"), false);
                let culprit = Culprit { test: test.id.clone(), inferred: true };
                prop_assert_eq!(blamed.as_ref(), Some(&culprit));
                model.trouble = Some((test.file.clone(), culprit));
            }
            if let Some((_, culprit)) = &model.trouble {
                if step.used_afterwards && policy.clone().used_between_tests().is_some() {
                    prop_assert_ne!(rules.respawn, Respawn::Never);
                    prop_assert!(!given_up);
                    let because = policy.used_between_tests().unwrap_or_default();
                    prop_assert!(because.contains(&culprit.test), "{because}");
                    model.generation += 1;
                    model.respawns += 1;
                    model.trouble = None;
                    model.inherited.clear();
                    policy.app_started(model.generation, Some(because));
                    model.unnoted = true;
                    continue;
                }
                let again = policy.app_troubled(model.generation, "and the pool is shut down", false);
                prop_assert_eq!(again.as_ref(), Some(culprit), "blamed once");
            }
            prop_assert_eq!(policy.app_troubled(model.generation + 1, "not ours", false), None);
        }
        let noted = model.respawns - u32::from(model.unnoted);
        prop_assert_eq!(policy.notes().len(), usize::try_from(noted).unwrap());
    }

    #[test]
    fn the_same_failure_in_a_row_is_replaced_so_often_and_no_more(max_respawns in 0_u32..6) {
        let mut policy = Policy::new(Rules { respawn: Respawn::Test, max_respawns, ..Rules::default() });
        let mut respawns = 0;
        for number in 0..20 {
            let test = Test { id: format!("f::t{number}"), file: "f".into() };
            match policy.test_starting(test) {
                Decision::Proceed => policy.app_started(1, None),
                Decision::Respawn(because) => {
                    respawns += 1;
                    policy.app_started(respawns + 1, Some(because));
                }
                Decision::GiveUp(_) => {}
                Decision::Refuse(trouble) => return Err(TestCaseError::fail(format!("{trouble:?}"))),
            }
            policy.app_troubled(respawns + 1, "the same", false);
            policy.test_finished();
        }
        prop_assert_eq!(respawns, max_respawns);
    }
}

#[test]
fn a_re_run_of_the_culprit_gets_a_fresh_process_and_its_victims_none() {
    let mut policy = Policy::new(Rules::default());
    let test = |id: &str| Test {
        id: id.into(),
        file: "f".into(),
    };
    assert_eq!(policy.test_starting(test("f::culprit")), Decision::Proceed);
    policy.app_started(1, None);
    policy.app_troubled(1, "crashed", false);
    policy.test_finished();
    assert!(matches!(
        policy.test_starting(test("f::culprit")),
        Decision::Respawn(_)
    ));
    policy.app_started(2, Some("again".into()));
    policy.app_troubled(2, "crashed", false);
    policy.test_finished();
    assert!(matches!(
        policy.test_starting(test("f::victim")),
        Decision::Refuse(_)
    ));
}
