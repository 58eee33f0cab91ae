//! Decides whether an app can be handed to the next test file, by asking its agent whether the main loop runs
//! *now*.
//!
//! The status alone describes the past, because it reports a stall only after seconds. The judgement is pure;
//! [`inspect`] queries the agent.

use std::time::{Duration, Instant};

use super::client::{Client, NoAnswer};
use super::error::{Error, Result};
use super::start::Step;
use crate::wire::{Health, Status};

/// How long the agent may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a wait for a beat continues without a check of the caller's signals.
const STEP: Duration = Duration::from_millis(100);
/// An interpreter in which nothing ran for this many time-outs is held by native code, not merely busy.
const HELD_AFTER: u32 = 4;
/// However busy the app and its machine are, there is an answer after this many time-outs.
const AT_MOST: u32 = 20;

/// The valid time-outs.
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_mins(1);

/// Parses the time-out that a user wrote: seconds, or a number with its unit, for example `500ms`.
///
/// # Errors
/// [`Error::BadValue`] if it is not a duration from 50 ms to a minute.
pub fn parse_timeout(text: &str) -> Result<Duration> {
    let seconds = text
        .trim()
        .parse()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .or_else(|| humantime::parse_duration(text).ok())
        .filter(|timeout| TIMEOUTS.contains(timeout))
        .ok_or_else(|| {
            Error::BadValue(format!(
                "live_gui_handover_timeout = {text}: expected 0.05 to 60 seconds, or a unit: 500ms"
            ))
        })
}

/// The result of an inspection.
#[derive(Debug)]
pub enum Inspection {
    /// The main loop ran; this is the app's health right after.
    Turns(Box<Health>),
    /// It has not run for this long, up to now; `at` is where, if the app's agent knows.
    Stands { age: Duration, at: Option<String> },
    /// The agent itself reports that the app is not fit, or is about to end. The app's watch learns this too.
    Unfit(Box<Health>),
    /// There was no answer.
    Silent(String),
}

/// What one more answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Turns,
    Stands,
    /// Nothing yet; wait for this much longer.
    Wait(Duration),
}

/// Asks the app behind `client` whether its main loop runs, and waits at most `within` for that. Time in which the
/// app could not run does not count.
///
/// # Errors
/// [`Error::Interrupted`] if `step` ends the wait.
pub fn inspect(client: &Client, within: Duration, step: Step<'_>) -> Result<Inspection> {
    let asked = match client.health(ANSWER_WITHIN) {
        Ok(health) => health,
        Err(NoAnswer(why)) => return Ok(Inspection::Silent(why)),
    };
    let deadline = Instant::now() + within * AT_MOST;
    let mut latest = asked.clone();
    loop {
        if latest.status != Status::Ok {
            return Ok(Inspection::Unfit(Box::new(latest)));
        }
        let wait = match judge(&asked, &latest, within) {
            Judgement::Turns => return Ok(Inspection::Turns(Box::new(latest))),
            Judgement::Wait(wait) if Instant::now() < deadline => wait.min(STEP),
            _ => {
                let age = latest.checks.main_loop.age_ms.unwrap_or_default();
                return Ok(Inspection::Stands {
                    age: Duration::from_millis(age),
                    at: latest.checks.main_loop.at,
                });
            }
        };
        latest = match client.health_after_beat(asked.checks.main_loop.beats, wait, ANSWER_WITHIN) {
            Ok(health) => health,
            Err(NoAnswer(why)) => return Ok(Inspection::Silent(why)),
        };
        if !step() {
            return Err(Error::Interrupted);
        }
    }
}

fn judge(asked: &Health, latest: &Health, within: Duration) -> Judgement {
    let usable_pause = latest
        .checks
        .main_loop
        .paused
        .as_ref()
        .is_some_and(|paused| paused.usable);
    // Beats that cannot be seen prove nothing, so the app's status is trusted.
    let is_unseen = !latest.checks.main_loop.is_watched();
    if latest.checks.main_loop.beats > asked.checks.main_loop.beats || usable_pause || is_unseen {
        return Judgement::Turns;
    }
    let millis = |of: fn(&Health) -> u64| Duration::from_millis(of(latest).saturating_sub(of(asked)));
    let passed = millis(|health| health.uptime_ms);
    // The loop gets no more of the interpreter, or of the machine, than the canary does.
    let starved = millis(|health| health.checks.interpreter.starved_ms);
    let left = within.saturating_sub(passed.saturating_sub(starved));
    if left.is_zero() {
        return Judgement::Stands;
    }
    let silent = Duration::from_millis(latest.checks.interpreter.canary_age_ms.unwrap_or_default());
    if silent.min(passed) >= within * HELD_AFTER {
        return Judgement::Stands;
    }
    // Answers are in whole milliseconds.
    Judgement::Wait(left.max(Duration::from_millis(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Paused;

    const WITHIN: Duration = Duration::from_millis(500);

    /// An answer that came this long after the question, and for this much of that time the canary waited to run.
    fn answer(beats: u64, uptime_ms: u64, starved_ms: u64, canary_age_ms: u64) -> Health {
        let document = serde_json::json!({
            "schema": "livegui/health/1", "status": "ok", "seq": 2, "instance": "i", "pid": 1, "app": "a",
            "started_at": "", "uptime_ms": 10_000 + uptime_ms, "since_ms": 0, "reasons": [], "history": [],
            "checks": {
                "main_loop": {"state": "ok", "beats": beats, "age_ms": uptime_ms,
                              "frame_ms": {"p50": 0.0, "p99": 0.0, "max": 0.0}},
                "interpreter": {"state": "ok", "canary_age_ms": canary_age_ms, "starved_ms": 70 + starved_ms},
                "executors": [], "threads": [], "journal": {"state": "off", "dropped": 0},
            },
            "observer": {"gaps": 0, "last_gap_ms": 0},
        });
        serde_json::from_value(document).unwrap()
    }

    #[test]
    fn a_timeout_is_in_seconds_unless_it_has_a_unit() {
        for text in ["0.5", "500ms", "500 ms", " 0.5 "] {
            assert_eq!(parse_timeout(text).ok(), Some(WITHIN), "{text}");
        }
        for text in ["", "500", "-1", "soon", "10ms", "1h", "nan", "inf"] {
            let refused = parse_timeout(text).unwrap_err().to_string();
            assert!(
                refused.contains(&format!("live_gui_handover_timeout = {text}: expected")),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_beat_after_the_question_is_proof_and_an_earlier_one_is_none() {
        let asked = answer(7, 0, 0, 3);
        assert_eq!(judge(&asked, &answer(8, 490, 0, 3), WITHIN), Judgement::Turns);
        assert_eq!(
            judge(&asked, &answer(8, 900, 0, 3), WITHIN),
            Judgement::Turns,
            "better late"
        );
        assert_eq!(judge(&asked, &asked, WITHIN), Judgement::Wait(WITHIN));
        assert_eq!(judge(&asked, &answer(7, 500, 0, 3), WITHIN), Judgement::Stands);
    }

    #[test]
    fn time_in_which_the_app_could_not_run_does_not_count() {
        let asked = answer(7, 0, 0, 3);
        let busy = answer(7, 1800, 1500, 3);
        assert_eq!(
            judge(&asked, &busy, WITHIN),
            Judgement::Wait(Duration::from_millis(200))
        );
        assert_eq!(
            judge(&asked, &answer(7, 2100, 1600, 3), WITHIN),
            Judgement::Stands
        );
    }

    #[test]
    fn an_interpreter_in_which_nothing_runs_at_all_is_held_and_not_busy() {
        let asked = answer(7, 0, 0, 3);
        assert!(matches!(
            judge(&asked, &answer(7, 1900, 1900, 1900), WITHIN),
            Judgement::Wait(_)
        ));
        assert_eq!(
            judge(&asked, &answer(7, 2000, 2000, 2000), WITHIN),
            Judgement::Stands
        );
        let stopped_before = answer(7, 10, 10, 60_000);
        assert!(matches!(
            judge(&asked, &stopped_before, WITHIN),
            Judgement::Wait(_)
        ));
    }

    #[test]
    fn an_app_whose_loop_cannot_be_seen_is_taken_at_its_word() {
        let asked = answer(0, 0, 0, 3);
        let mut unseen = answer(0, 600, 0, 3);
        assert_eq!(judge(&asked, &unseen, WITHIN), Judgement::Stands);
        unseen.checks.main_loop.state = crate::wire::CheckState::NotWatched;
        assert_eq!(judge(&asked, &unseen, WITHIN), Judgement::Turns);
    }

    #[test]
    fn a_declared_wait_is_life_only_if_the_app_serves_its_users_meanwhile() {
        let asked = answer(7, 0, 0, 3);
        for (usable, expected) in [(true, Judgement::Turns), (false, Judgement::Stands)] {
            let mut paused = answer(7, 600, 0, 3);
            let what = "file dialog".to_owned();
            paused.checks.main_loop.paused = Some(Paused { what, usable });
            assert_eq!(judge(&asked, &paused, WITHIN), expected);
        }
    }
}
