//! The policy under any order of tests and troubles.

use std::time::Duration;

use livegui::harness::{
    Decision, Expected, Found, Handover, LeftOpen, Onset, Policy, Respawn, Rules, Scope, Sign, Symptom, Test,
};
use livegui::wire::Culprit;
use proptest::prelude::*;

/// One test of a run: its file, and when the app fails in it, if it does.
#[derive(Debug, Clone)]
struct Step {
    file: u8,
    /// It uses the app.
    uses: bool,
    /// It is the test before it once more.
    is_rerun: bool,
    trouble: Option<(When, u8)>,
    /// It declares an end, if it does: what becomes of that, and whether it uses the app again.
    declares: Option<(Declares, bool)>,
    /// Somebody uses the app after it.
    used_afterwards: bool,
    /// What the app answers before the test, and after it, if it is asked whether its main loop turns.
    answers: [Answer; 2],
    /// What happens before it, after which an earlier answer proves nothing any more.
    lapse: Lapse,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Answer {
    Turns,
    Stands(Freeze),
    LeftOpen,
}

/// How the loop came to stand. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Freeze {
    /// So many tests ago, as far as any of them can have done it.
    tests_ago: usize,
    /// How long that test had run by then.
    into: u64,
    /// The age of the last beat then.
    beat_age: u64,
    /// How long a frame usually takes.
    frame: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Lapse {
    No,
    /// Time passes.
    Time,
    /// Somebody uses the app, which counts as done by the last test.
    Use,
}

/// One test begins so many milliseconds after the other.
const PACE: u64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Declares {
    /// The app ends, as declared.
    Met,
    /// The app still runs when the time is over, and is put away.
    TooLate,
    /// The test fails of itself first, and the app goes on.
    Withdrawn,
    /// The app crashes instead.
    Crashed,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    During {
        /// The news of it seem older than the test.
        seems_older: bool,
    },
    After,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let when = prop_oneof![
        proptest::bool::ANY.prop_map(|seems_older| When::During { seems_older }),
        Just(When::After)
    ];
    let trouble = proptest::option::weighted(0.3, (when, 0_u8..2));
    // No frame is so long that another test could begin before the next beat is due.
    let stands = || {
        (0_usize..4, 0..PACE / 2, 0..3 * PACE, -200..200_i64).prop_map(|(tests_ago, into, beat_age, late)| {
            let frame = beat_age.saturating_add_signed(late);
            Answer::Stands(Freeze {
                tests_ago,
                into,
                beat_age,
                frame,
            })
        })
    };
    let answer = || prop_oneof![4 => Just(Answer::Turns), 1 => stands(), 1 => Just(Answer::LeftOpen)];
    let answers = (answer(), answer()).prop_map(|(before, after)| [before, after]);
    let uses = proptest::bool::weighted(0.85);
    let is_rerun = proptest::bool::weighted(0.1);
    let what = prop_oneof![
        Just(Declares::Met),
        Just(Declares::TooLate),
        Just(Declares::Withdrawn),
        Just(Declares::Crashed)
    ];
    let declares = proptest::option::weighted(0.2, (what, proptest::bool::ANY));
    let step = (
        0_u8..4,
        uses,
        is_rerun,
        trouble,
        declares,
        proptest::bool::ANY,
        answers,
        prop_oneof![Just(Lapse::No), Just(Lapse::Time), Just(Lapse::Use)],
    )
        .prop_map(
            |(file, uses, is_rerun, trouble, declares, used_afterwards, answers, lapse)| Step {
                file,
                uses,
                is_rerun,
                trouble: trouble.filter(|_| declares.is_none()),
                declares,
                used_afterwards,
                answers,
                lapse,
            },
        );
    proptest::collection::vec(step, 1..60).prop_map(|mut steps| {
        steps.sort_by_key(|step| step.file); // pytest runs a file's tests together
        steps
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let scope = prop_oneof![Just(Scope::Session), Just(Scope::Module), Just(Scope::Function)];
    let respawn = prop_oneof![Just(Respawn::File), Just(Respawn::Test), Just(Respawn::Never)];
    let handover = prop_oneof![Just(Handover::Respawn), Just(Handover::Fail), Just(Handover::Off)];
    let left_open = prop_oneof![Just(LeftOpen::Respawn), Just(LeftOpen::Note)];
    (scope, respawn, 0_u32..5, handover, left_open).prop_map(
        |(scope, respawn, max_respawns, handover, left_open)| Rules {
            scope,
            respawn,
            max_respawns,
            handover,
            left_open,
            ..Rules::default()
        },
    )
}

/// Whose doing it is: a file and a test, unless no test had run yet.
type Blame = Option<(String, Culprit)>;

/// What the reference model remembers.
#[derive(Default)]
struct Model {
    generation: u32,
    /// What is wrong with the running generation.
    trouble: Option<Blame>,
    /// That is, its loop stood at a hand-over, and may run again.
    stands: bool,
    /// Files that ran on this generation.
    inherited: Vec<String>,
    respawns: u32,
    /// No test has run yet on the process that was put up between tests.
    unnoted: bool,
    /// Such processes that were replaced before a test ran on them.
    never_noted: u32,
    /// The main loop turned since the last test ended.
    proven: bool,
    /// There is no process: this test ended it on purpose.
    ended_by: Option<String>,
    /// Dialogs that were left open so far.
    opened: u32,
    /// The last test that used the running generation.
    last: Option<Test>,
    /// Those that used it since it last proved that it lives, and when each began.
    suspects: Vec<(Test, u64)>,
}

impl Model {
    /// There is a fresh process.
    fn bring_up(&mut self) {
        self.generation += 1;
        self.respawns += 1;
        self.stands = false;
        self.inherited.clear();
        self.suspects.clear();
    }

    /// Whoever may have stopped the loop, and the one who did.
    fn froze(&self, freeze: Freeze) -> Option<(Onset, &Test, bool)> {
        let ago = freeze.tests_ago.min(self.suspects.len().checked_sub(1)?);
        let number = self.suspects.len() - 1 - ago;
        let (test, began) = &self.suspects[number];
        let onset = Onset {
            last_beat: Duration::from_millis((began + freeze.into).saturating_sub(freeze.beat_age)),
            frame: Duration::from_millis(freeze.frame),
        };
        // Nobody else can have done it, or the next beat was due after it had begun.
        let is_certain = number == 0 || freeze.frame + freeze.into >= freeze.beat_age;
        Some((onset, test, is_certain))
    }
}

/// The loop stands. Whoever stopped it is blamed, if that can be known.
fn stand(policy: &mut Policy, model: &Model, freeze: Freeze) -> Result<Blame, TestCaseError> {
    let froze = model.froze(freeze);
    let onset = froze.map(|(onset, ..)| onset);
    let cause = "left the main loop standing";
    let blamed = policy.app_unfit(model.generation, cause, Found::Standing, onset);
    let Some(Culprit { test, inferred }) = blamed.clone() else {
        prop_assert_eq!(&model.last, &None);
        return Ok(None);
    };
    prop_assert!(inferred);
    match froze {
        None => prop_assert_eq!(Some(&test), model.last.as_ref().map(|last| &last.id)),
        Some((_, froze, true)) => prop_assert_eq!(&test, &froze.id),
        Some(_) => prop_assert!(
            model.suspects.iter().any(|(suspect, _)| suspect.id == test),
            "{test} had ended when the loop proved that it runs"
        ),
    }
    let (file, _) = test.split_once("::").unwrap_or_default();
    Ok(blamed.map(|blamed| (file.to_owned(), blamed)))
}

/// Has the app give this answer. What it finds left behind is blamed on the last test.
fn answer(
    policy: &mut Policy,
    model: &mut Model,
    rules: Rules,
    at_border: bool,
    answer: Answer,
) -> Result<(), TestCaseError> {
    prop_assert_ne!(rules.handover, Handover::Off);
    prop_assert!(model.ended_by.is_none(), "asked in vain");
    prop_assert!(!model.proven, "asked twice");
    if let Some(blame) = model.trouble.clone() {
        prop_assert!(model.stands, "asked in vain");
        let culprit = blame.map(|(_, culprit)| culprit);
        if let Answer::Stands(_) = answer {
            let again = policy.app_unfit(model.generation, "still stands", Found::Standing, None);
            prop_assert_eq!(again, culprit, "blamed once");
            return Ok(());
        }
        let was = policy.runs_again(model.generation);
        prop_assert_eq!(was.map(|was| was.culprit), Some(culprit));
        model.trouble = None;
        model.stands = false;
    }
    let blame = model.last.clone().map(|test| {
        (
            test.file,
            Culprit {
                test: test.id,
                inferred: true,
            },
        )
    });
    match answer {
        Answer::Stands(freeze) => {
            model.trouble = Some(stand(policy, model, freeze)?);
            model.stands = true;
            return Ok(());
        }
        Answer::LeftOpen | Answer::Turns if !at_border => {
            let open = vec!["a dialog that the next test of the file closes".to_owned()];
            prop_assert_eq!(policy.loop_turned(model.generation, open, false), None);
        }
        Answer::LeftOpen if model.last.is_none() => {
            let remark = policy.loop_turned(model.generation, vec!["a splash screen".to_owned()], true);
            prop_assert_eq!(remark, None, "nobody left it open");
            model.proven = true;
        }
        Answer::LeftOpen => {
            model.opened += 1;
            let remark = policy.loop_turned(model.generation, vec![format!("dialog {}", model.opened)], true);
            let is_noted = rules.left_open == LeftOpen::Note || rules.respawn == Respawn::Never;
            prop_assert_eq!(remark.is_some(), is_noted);
            model.proven = true;
            if !is_noted {
                model.trouble = Some(blame);
            }
        }
        Answer::Turns => {
            prop_assert_eq!(policy.loop_turned(model.generation, Vec::new(), true), None);
            model.proven = true;
        }
    }
    model.suspects.clear();
    Ok(())
}

/// Something happens before a test, after which an earlier answer proves nothing any more.
fn lapse(policy: &mut Policy, model: &mut Model, lapse: Lapse) -> Result<(), TestCaseError> {
    match lapse {
        Lapse::No => return Ok(()),
        Lapse::Time => policy.proof_lapsed(),
        Lapse::Use if model.trouble.is_some() || model.ended_by.is_some() => return Ok(()),
        Lapse::Use => {
            prop_assert_eq!(policy.used_between_tests(), None);
            if model.suspects.is_empty() {
                model.suspects.extend(model.last.clone().map(|last| (last, 0)));
            }
        }
    }
    model.proven = false;
    Ok(())
}

/// The running test declares an end, and this becomes of it.
fn declare(
    policy: &mut Policy,
    model: &mut Model,
    (test, began): (&Test, u64),
    (what, goes_on): (Declares, bool),
) -> Result<(), TestCaseError> {
    let generation = model.generation;
    let crash = Symptom {
        code: "main_loop_crashed".to_owned(),
        raised: true,
    };
    let exit = Expected::Exit(None);
    prop_assert_eq!(policy.end_declared(exit.clone()), None);
    let before = policy.end_declared(Expected::Degraded("x".to_owned())).cloned();
    prop_assert_eq!(before, Some(exit), "one at a time");
    prop_assert!(!policy.is_as_declared(generation + 1, &Sign::Stopping), "a spare");
    let put_away = match what {
        Declares::Met => {
            prop_assert!(policy.is_as_declared(generation, &Sign::Stopping));
            prop_assert!(policy.is_as_declared(generation, &Sign::Gone(Vec::new())));
            true
        }
        Declares::TooLate => true,
        Declares::Withdrawn => false,
        Declares::Crashed => {
            prop_assert!(!policy.is_as_declared(generation, &Sign::Degraded(vec![crash])));
            policy.app_troubled(generation, "crashed", false);
            prop_assert!(
                policy
                    .trouble()
                    .is_some_and(|trouble| trouble.instead_of.is_some())
            );
            let culprit = Culprit {
                test: test.id.clone(),
                inferred: false,
            };
            model.trouble = Some(Some((test.file.clone(), culprit)));
            true
        }
    };
    let by = policy.declaration_over(put_away);
    let is_gone = matches!(what, Declares::Met | Declares::TooLate);
    prop_assert_eq!(by.as_ref(), is_gone.then_some(&test.id));
    if !is_gone {
        return Ok(());
    }
    prop_assert!(policy.trouble().is_none(), "nobody's fault");
    model.ended_by = by;
    if goes_on {
        bring_up_after_end(policy, model, Some((test, began)))?;
    }
    Ok(())
}

/// Whoever uses the app next gets a fresh process, and is told whose doing that is.
fn bring_up_after_end(
    policy: &mut Policy,
    model: &mut Model,
    test: Option<(&Test, u64)>,
) -> Result<(), TestCaseError> {
    let by = model.ended_by.take().unwrap_or_default();
    let because = policy.used_after_end();
    prop_assert_eq!(because.clone(), Some(format!("ended on purpose by {by}")));
    model.bring_up();
    policy.app_started(model.generation, because, Vec::new());
    prop_assert_eq!(policy.used_after_end(), None);
    if let Some((test, began)) = test {
        prop_assert!(policy.note_of_running().is_some_and(|note| note.test == test.id));
        model.inherited.push(test.file.clone());
        model.suspects.push((test.clone(), began));
    }
    Ok(())
}

proptest! {
    #[test]
    fn blame_and_respawn_hold_for_every_run(rules in rules(), steps in steps()) {
        let mut policy = Policy::new(rules);
        let mut model = Model::default();
        let mut given_up = false;
        let mut named = 0;
        for (number, step) in steps.iter().enumerate() {
            let last_of_file = steps.get(number + 1).is_none_or(|next| next.file != step.file);
            let at_border = policy.is_border(last_of_file);
            if !step.uses {
                if policy.asks_after_test(false, last_of_file) {
                    prop_assert!(last_of_file, "nobody asks for a test that does not use the app");
                    answer(&mut policy, &mut model, rules, at_border, step.answers[1])?;
                }
                continue;
            }
            let is_rerun = step.is_rerun && number > 0 && steps[number - 1].file == step.file;
            named = if is_rerun { named } else { number };
            let test = Test { id: format!("f{}::t{named}", step.file), file: format!("f{}", step.file) };
            lapse(&mut policy, &mut model, step.lapse)?;
            let began = 4 * PACE + PACE * u64::try_from(number).unwrap(); // no beat is older than the run
            let now = Duration::from_millis(began);
            if policy.asks_before(&test) {
                prop_assert_eq!(policy.test_starting(test.clone(), now), Decision::Ask);
                answer(&mut policy, &mut model, rules, true, step.answers[0])?;
            }
            let lacks_prior = policy.lacks_prior_state(&test, None).is_some();
            let lacks_first = policy.lacks_prior_state(&test, Some("f0")).is_some();
            let decision = policy.test_starting(test.clone(), now);
            prop_assert_ne!(&decision, &Decision::Ask, "an answer is an answer");
            let stays = !matches!(decision, Decision::Respawn(_));
            prop_assert_eq!(lacks_prior, !(stays && model.inherited.iter().any(|file| *file != test.file)));
            prop_assert_eq!(lacks_first, !(stays && model.inherited.iter().any(|file| file == "f0")));
            prop_assert!(!given_up || matches!(decision, Decision::GiveUp(_)), "giving up is for good");
            let runs = match decision {
                Decision::Ask => unreachable!(),
                Decision::Proceed => {
                    prop_assert!(model.ended_by.is_none(), "there is no process to proceed on");
                    let handed_on = (model.last.as_ref())
                        .is_some_and(|last| last.file != test.file || last.id == test.id);
                    if handed_on && rules.handover != Handover::Off {
                        prop_assert!(model.proven, "no file, and no re-run, begins without proof of life");
                    }
                    if model.last.is_some() && rules.handover != Handover::Off && rules.respawn == Respawn::Test {
                        prop_assert!(model.proven, "no test does");
                    }
                    prop_assert!(model.trouble.is_none(), "no test runs on an app that is known to be in trouble");
                    if model.generation == 0 {
                        model.generation = 1;
                        policy.app_started(1, None, Vec::new());
                    }
                    if rules.scope == Scope::Module {
                        prop_assert!(model.inherited.iter().all(|file| *file == test.file));
                    }
                    if rules.scope == Scope::Function {
                        prop_assert!(model.inherited.is_empty());
                    }
                    true
                }
                Decision::Respawn(because) if model.ended_by.is_some() => {
                    let by = model.ended_by.take().unwrap_or_default();
                    prop_assert_eq!(&because, &format!("ended on purpose by {by}"));
                    model.bring_up();
                    policy.app_started(model.generation, Some(because), Vec::new());
                    true
                }
                Decision::Respawn(because) => {
                    if let Some(Some((file, culprit))) = &model.trouble {
                        let again = culprit.test == test.id;
                        prop_assert!(because.contains(&culprit.test), "{because}");
                        prop_assert_ne!(rules.respawn, Respawn::Never);
                        if rules.respawn == Respawn::File && rules.scope != Scope::Function && !again {
                            prop_assert_ne!(file, &test.file, "the rest of the culprit's file is spared");
                        }
                    } else if model.trouble.is_none() {
                        prop_assert_ne!(rules.scope, Scope::Session, "a healthy app is kept");
                    }
                    model.bring_up();
                    model.never_noted += u32::from(model.unnoted);
                    model.trouble = None;
                    policy.app_started(model.generation, Some(because), Vec::new());
                    let note = policy.note_of_running().cloned();
                    prop_assert_eq!(note.map(|note| (note.test, note.generation)), Some((test.id.clone(), model.generation)));
                    true
                }
                Decision::Refuse(trouble) => {
                    let Some(blame) = &model.trouble else {
                        return Err(TestCaseError::fail("a victim without a cause"));
                    };
                    prop_assert_eq!(trouble.culprit.as_ref(), blame.as_ref().map(|(_, culprit)| culprit));
                    false
                }
                Decision::GiveUp(_) => {
                    prop_assert!(model.trouble.is_some() || given_up);
                    prop_assert!(model.respawns >= rules.max_respawns, "the budget is used before it is given up");
                    prop_assert!(model.ended_by.is_none(), "an end on purpose uses none of it");
                    given_up = true;
                    false
                }
            };
            if runs {
                model.unnoted = false;
                model.inherited.push(test.file.clone());
                model.last = Some(test.clone());
                model.suspects.push((test.clone(), began));
                model.proven = false;
            }
            let fails = step.trouble.filter(|_| runs);
            if let Some((When::During { seems_older }, kind)) = fails {
                let blamed = policy.app_troubled(model.generation, &format!("kind {kind}"), seems_older);
                // Nobody who ended before the app proved that it is well.
                let earlier = model.suspects.iter().rev().nth(1).filter(|_| seems_older);
                let (blames, _) = earlier.cloned().unwrap_or((test.clone(), began));
                let culprit = Culprit { test: blames.id, inferred: earlier.is_some() };
                prop_assert_eq!(blamed.as_ref(), Some(&culprit));
                prop_assert_eq!(policy.is_running_to_blame(), earlier.is_none());
                // What is heard later of the same generation blames nobody else.
                model.trouble = Some(Some((blames.file, culprit)));
            }
            if let Some(declares) = step.declares.filter(|_| runs) {
                declare(&mut policy, &mut model, (&test, began), declares)?;
            }
            policy.test_finished(true);
            if let Some((When::After, kind)) = fails {
                let blamed = policy.app_troubled(model.generation, &format!("kind {kind}"), false);
                let culprit = Culprit { test: test.id.clone(), inferred: true };
                prop_assert_eq!(blamed.as_ref(), Some(&culprit));
                model.trouble = Some(Some((test.file.clone(), culprit)));
            }
            if policy.asks_after_test(true, last_of_file) {
                prop_assert!(last_of_file || rules.handover == Handover::Fail, "one question a file");
                answer(&mut policy, &mut model, rules, at_border, step.answers[1])?;
                let asks_again = policy.asks_after_test(true, last_of_file);
                prop_assert!(!(at_border && asks_again), "an answer is an answer");
            } else if runs && model.trouble.is_none() && model.ended_by.is_none() && rules.handover == Handover::Fail {
                prop_assert!(given_up || model.proven, "whoever freezes the app is asked about");
            }
            if model.ended_by.is_some() {
                prop_assert!(policy.trouble().is_none());
                if step.used_afterwards {
                    prop_assert!(policy.clone().used_between_tests().is_some(), "in whatever setting");
                    bring_up_after_end(&mut policy, &mut model, None)?;
                    model.last = None;
                    model.proven = true;
                    model.unnoted = true;
                }
            }
            if let Some(Some((_, culprit))) = &model.trouble {
                if step.used_afterwards && policy.clone().used_between_tests().is_some() {
                    prop_assert_ne!(rules.respawn, Respawn::Never);
                    prop_assert!(!given_up);
                    let because = policy.used_between_tests().unwrap_or_default();
                    prop_assert!(because.contains(&culprit.test), "{because}");
                    model.bring_up();
                    model.trouble = None;
                    policy.app_started(model.generation, Some(because), Vec::new());
                    model.last = None;
                    model.proven = true;
                    model.unnoted = true;
                    continue;
                }
                let mut other = policy.clone();
                let heard = if step.used_afterwards { &mut policy } else { &mut other };
                let again = heard.app_troubled(model.generation, "and the pool is shut down", false);
                prop_assert_eq!(again.as_ref(), Some(culprit), "blamed once");
                // From then on its watch says whether it runs.
                prop_assert_eq!(heard.clone().runs_again(model.generation), None);
                prop_assert!(heard.clone().app_recovered(model.generation).is_some() || !model.stands);
                model.stands &= !step.used_afterwards;
            }
            prop_assert_eq!(policy.app_troubled(model.generation + 1, "not ours", false), None);
        }
        let noted = model.respawns - u32::from(model.unnoted) - model.never_noted;
        prop_assert_eq!(policy.notes().len(), usize::try_from(noted).unwrap());
    }

    #[test]
    fn the_same_failure_in_a_row_is_replaced_so_often_and_no_more(max_respawns in 0_u32..6) {
        let mut policy = Policy::new(Rules { respawn: Respawn::Test, max_respawns, ..Rules::default() });
        let mut respawns = 0;
        for number in 0..20 {
            let test = Test { id: format!("f::t{number}"), file: "f".into() };
            match policy.test_starting(test, Duration::ZERO) {
                Decision::Ask => policy.proof_lapsed(),
                Decision::Proceed => policy.app_started(1, None, Vec::new()),
                Decision::Respawn(because) => {
                    respawns += 1;
                    policy.app_started(respawns + 1, Some(because), Vec::new());
                }
                Decision::GiveUp(_) => {}
                Decision::Refuse(trouble) => return Err(TestCaseError::fail(format!("{trouble:?}"))),
            }
            policy.app_troubled(respawns + 1, "the same", false);
            policy.test_finished(true);
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
    assert_eq!(
        policy.test_starting(test("f::culprit"), Duration::ZERO),
        Decision::Proceed
    );
    policy.app_started(1, None, Vec::new());
    policy.app_troubled(1, "crashed", false);
    policy.test_finished(true);
    assert!(matches!(
        policy.test_starting(test("f::culprit"), Duration::ZERO),
        Decision::Respawn(_)
    ));
    policy.app_started(2, Some("again".into()), Vec::new());
    policy.app_troubled(2, "crashed", false);
    policy.test_finished(true);
    assert!(matches!(
        policy.test_starting(test("f::victim"), Duration::ZERO),
        Decision::Refuse(_)
    ));
}

#[test]
fn with_a_process_for_each_file_a_file_whose_first_test_was_refused_gets_its_own() {
    let mut policy = Policy::new(Rules {
        scope: Scope::Module,
        respawn: Respawn::Never,
        ..Rules::default()
    });
    let test = |file: &str, name: &str| Test {
        id: format!("{file}::{name}"),
        file: file.into(),
    };
    let start = |policy: &mut Policy, test| policy.test_starting(test, Duration::ZERO);
    assert_eq!(start(&mut policy, test("f", "freezes")), Decision::Proceed);
    policy.app_started(1, None, Vec::new());
    policy.test_finished(true);
    policy.app_unfit(1, "left the main loop standing", Found::Standing, None);
    assert_eq!(start(&mut policy, test("g", "first")), Decision::Ask);
    assert!(matches!(
        start(&mut policy, test("g", "first")),
        Decision::Refuse(_)
    ));
    policy.test_finished(false);
    assert_eq!(start(&mut policy, test("g", "second")), Decision::Ask);
    assert!(policy.runs_again(1).is_some());
    assert_eq!(policy.loop_turned(1, Vec::new(), true), None);
    assert!(matches!(
        start(&mut policy, test("g", "second")),
        Decision::Respawn(_)
    ));
}
