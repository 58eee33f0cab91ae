//! What an exception that the app survives means: the policy, pure.

use std::time::Duration;

use livegui::harness::{CallbackErrors, Decision, Heard, Policy, Rules, Test};

fn test(id: &str) -> Test {
    Test {
        id: format!("test_a.py::{id}"),
        file: "test_a.py".to_owned(),
    }
}

/// A policy with one app, and one test that runs.
fn running(callback_errors: CallbackErrors) -> Policy {
    let mut policy = Policy::new(Rules {
        callback_errors,
        ..Rules::default()
    });
    assert_eq!(
        policy.test_starting(test("first"), Duration::ZERO),
        Decision::Proceed
    );
    policy.app_started(1, None, Vec::new());
    policy
}

fn note(id: &str) -> Heard {
    Heard::Note(Some(format!("test_a.py::{id}")))
}

#[test]
fn a_callback_fails_the_running_test_and_anything_else_is_a_note() {
    let policy = running(CallbackErrors::Fail);
    assert_eq!(policy.exception_swallowed(1, true, false), Heard::Fail);
    assert_eq!(policy.exception_swallowed(1, false, false), note("first"));
    assert_eq!(policy.trouble(), None, "the app goes on");
}

#[test]
fn without_a_running_test_it_is_a_note_that_names_the_one_before() {
    let mut policy = running(CallbackErrors::Fail);
    policy.test_finished(true);
    assert_eq!(policy.exception_swallowed(1, true, false), note("first"));
    let _ = policy.test_starting(test("second"), Duration::from_secs(1));
    assert_eq!(
        policy.exception_swallowed(1, true, true),
        note("first"),
        "older than the second"
    );
}

#[test]
fn what_the_user_chose_is_done() {
    assert_eq!(
        running(CallbackErrors::Note).exception_swallowed(1, true, false),
        note("first")
    );
    let degrade = running(CallbackErrors::Degrade);
    assert_eq!(degrade.exception_swallowed(1, true, false), Heard::Degrades);
    assert_eq!(degrade.exception_swallowed(1, false, false), note("first"));
}

#[test]
fn a_spare_fails_no_test() {
    assert_eq!(
        running(CallbackErrors::Fail).exception_swallowed(2, true, false),
        Heard::Note(None)
    );
}
