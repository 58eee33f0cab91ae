//! Decides whether an app can be handed to the next test file, by asking its agent whether the main loop runs
//! *now*.
//!
//! The status alone describes the past, because it reports a stall only after seconds. The judgement is pure;
//! [`inspect`] queries the agent.

use std::time::{Duration, Instant};

use super::client::{Client, NoAnswer, Proof};
use super::error::{Error, Result};
use super::start::Step;
use super::starvation::Starvation;
use crate::wire::{Health, Status};

/// How long the agent may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// An agent that is late is asked again until this much time has passed, because its process may have been stopped
/// for a moment. Its watch is about as patient.
const SILENT_AFTER: Duration = Duration::from_secs(5);
/// How long a wait for proof continues without a check of the caller's signals.
const STEP: Duration = Duration::from_millis(100);
/// An interpreter in which nothing ran for this many time-outs is held by native code, not merely busy.
const HELD_AFTER: u32 = 4;
/// However busy the app and its machine are, there is an answer after this many time-outs.
const AT_MOST: u32 = 20;
/// A canary that had to wait for this long checks nothing soon enough.
const STARVED_AFTER: Duration = Duration::from_millis(200);
/// A frame usually takes at most this many times as long as the median. The slowest of few frames says little.
const SLOW_FRAME: f64 = 4.0;
/// An app whose frames usually take long gets up to this many time-outs.
const SLOWEST_APP: u32 = 4;

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
    /// It has not run since then, up to now; `place` is where it stands, if the app's agent knows.
    Stands {
        last_beat: LastBeat,
        place: Option<String>,
    },
    /// The agent itself reports that the app is not fit, or is about to end. The app's watch learns this too.
    Unfit(Box<Health>),
    /// There was no answer.
    Silent(String),
}

/// The last beat of a loop that stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastBeat {
    /// When it came.
    pub at: Instant,
    /// How long ago that was, in time in which the app could run.
    pub age: Duration,
    /// How long a frame of this app usually takes at most.
    pub frame: Duration,
}

/// What one more answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    Turns,
    Stands,
    /// Nothing yet; wait for this much longer.
    Wait(Duration),
}

/// Asks the app behind `client` whether its main loop runs, and has its canary check what is watched. Waits at most
/// `within` for that. Time in which the app could not run does not count. An agent that is late is asked again as
/// long as `is_fit` says that nothing is known to be wrong with the app.
///
/// # Errors
/// [`Error::Interrupted`] if `step` ends the wait.
pub fn inspect(
    client: &Client,
    within: Duration,
    is_fit: &dyn Fn() -> bool,
    step: Step<'_>,
) -> Result<Inspection> {
    let first = ask(is_fit, step, || client.health(ANSWER_WITHIN))?;
    let asked = match first {
        Ok(health) => health,
        Err(why) => return Ok(Inspection::Silent(why)),
    };
    let asked_at = Instant::now();
    let mut deadline = asked_at + patience(&asked, within) * AT_MOST;
    let mut question = Question::new(&asked, within);
    let mut starvation = Starvation::new(client.pid());
    let mut latest = asked.clone();
    loop {
        if latest.status != Status::Ok {
            return Ok(Inspection::Unfit(Box::new(latest)));
        }
        // A look takes a while, and nearly every app answers before the first.
        let starved = if asked_at.elapsed() < STEP {
            Duration::ZERO
        } else {
            starvation.look()
        };
        let wait = match question.judge(&latest, starved) {
            Judgement::Turns => return Ok(Inspection::Turns(Box::new(latest))),
            Judgement::Wait(wait) if Instant::now() < deadline => wait.min(STEP),
            _ => {
                return Ok(Inspection::Stands {
                    last_beat: last_beat(&asked, asked_at, &latest),
                    place: question.place,
                });
            }
        };
        let began = Instant::now();
        let answer = ask(is_fit, step, || {
            client.health_after(question.wanted(&latest), wait, ANSWER_WITHIN)
        })?;
        // A process that is stopped cannot answer, and its time is not up because of that.
        deadline += began.elapsed().saturating_sub(wait);
        latest = match answer {
            Ok(health) => health,
            Err(why) => return Ok(Inspection::Silent(why)),
        };
        if !step() {
            return Err(Error::Interrupted);
        }
    }
}

/// How long to wait for a frame of this app: `within`, or longer if its frames usually take that long, or if it has
/// not shown yet how long they take.
fn patience(health: &Health, within: Duration) -> Duration {
    let main_loop = &health.checks.main_loop;
    if main_loop.beats == 1 {
        return within * 2;
    }
    let usual = Duration::try_from_secs_f64(main_loop.frame_ms.p50 / 1e3).unwrap_or_default();
    within.max(usual.saturating_mul(2).min(within * SLOWEST_APP))
}

/// The agent's answer, or why there is none.
fn ask(
    is_fit: &dyn Fn() -> bool,
    step: Step<'_>,
    query: impl Fn() -> std::result::Result<Health, NoAnswer>,
) -> Result<std::result::Result<Health, String>> {
    let began = Instant::now();
    loop {
        let NoAnswer { why, is_late } = match query() {
            Ok(health) => return Ok(Ok(health)),
            Err(no_answer) => no_answer,
        };
        if !is_late || began.elapsed() >= SILENT_AFTER || !is_fit() {
            return Ok(Err(why));
        }
        if !step() {
            return Err(Error::Interrupted);
        }
    }
}

/// When the loop last beat, if it has not beaten since the first answer, and has not up to the latest.
fn last_beat(asked: &Health, asked_at: Instant, latest: &Health) -> LastBeat {
    let age = |health: &Health| Duration::from_millis(health.checks.main_loop.age_ms.unwrap_or_default());
    let frame = latest.checks.main_loop.frame_ms;
    let frame = frame.p99.min(SLOW_FRAME * frame.p50) / 1e3;
    LastBeat {
        // From the first answer, because the app may have been stopped since.
        at: asked_at.checked_sub(age(asked)).unwrap_or(asked_at),
        age: age(latest),
        frame: Duration::try_from_secs_f64(frame).unwrap_or_default(),
    }
}

/// What was asked for, and what the answers have shown so far.
struct Question {
    within: Duration,
    /// How long to wait for a frame, which may be longer.
    patience: Duration,
    /// The state before.
    asked: Health,
    /// The last answer looked as if native code held the interpreter.
    seemed_held: bool,
    /// Where the loop stands. The agent forgets that soon after each request, but the loop has not moved since.
    place: Option<String>,
}

impl Question {
    fn new(asked: &Health, within: Duration) -> Self {
        Self {
            within,
            patience: patience(asked, within),
            asked: asked.clone(),
            seemed_held: false,
            place: asked.checks.main_loop.at.clone(),
        }
    }

    /// What to wait for.
    fn wanted(&self, latest: &Health) -> Proof {
        let interpreter = &self.asked.checks.interpreter;
        Proof {
            // An earlier beat may tell of what was open before the question.
            next_beat: !Self::turns_unseen(latest),
            look_after: (interpreter.looks > 0).then_some(interpreter.looks),
        }
    }

    /// Whether the loop need not beat: the app declared that it waits and can be used meanwhile, or its beats cannot
    /// be seen. These prove nothing, so the app's status is trusted.
    fn turns_unseen(health: &Health) -> bool {
        let main_loop = &health.checks.main_loop;
        let paused = main_loop.paused.as_ref();
        paused.is_some_and(|paused| paused.usable) || !main_loop.is_watched()
    }

    /// What `latest` means, if the machine has starved the whole process for `starved_process` since the question.
    fn judge(&mut self, latest: &Health, starved_process: Duration) -> Judgement {
        if let Some(at) = &latest.checks.main_loop.at {
            self.place = Some(at.clone());
        }
        let asked = &self.asked;
        let since = |of: fn(&Health) -> u64| Duration::from_millis(of(latest).saturating_sub(of(asked)));
        let passed = since(|health| health.uptime_ms);
        let starved = since(|health| health.checks.interpreter.starved_ms);
        let turns =
            latest.checks.main_loop.beats > asked.checks.main_loop.beats || Self::turns_unseen(latest);
        if turns {
            let looks = asked.checks.interpreter.looks;
            let has_looked = looks == 0 || latest.checks.interpreter.looked > looks;
            // What the canary would find is worth a wait, but no false alarm.
            let gives_up = starved >= STARVED_AFTER || passed >= self.within;
            return if has_looked || gives_up {
                Judgement::Turns
            } else {
                Judgement::Wait(self.within.saturating_sub(passed))
            };
        }
        // The loop gets no more of the interpreter, or of the machine, than the canary does.
        let left = self.patience.saturating_sub(passed.saturating_sub(starved));
        if left.is_zero() {
            return Judgement::Stands;
        }
        let silent = Duration::from_millis(latest.checks.interpreter.canary_age_ms.unwrap_or_default());
        let silent = silent.min(passed).saturating_sub(starved_process);
        let seems_held = silent >= self.within * HELD_AFTER;
        let is_held = seems_held && self.seemed_held;
        // A process that was stopped looks the same until its agent has found out.
        self.seemed_held = seems_held;
        if is_held {
            return Judgement::Stands;
        }
        // Answers are in whole milliseconds.
        Judgement::Wait(left.max(Duration::from_millis(1)))
    }
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

    /// What the answers mean, one after the other.
    fn judge(asked: &Health, answers: &[Health]) -> Vec<Judgement> {
        let mut question = Question::new(asked, WITHIN);
        let judged = answers
            .iter()
            .map(|answer| question.judge(answer, Duration::ZERO));
        judged.collect()
    }

    const fn wait(ms: u64) -> Judgement {
        Judgement::Wait(Duration::from_millis(ms))
    }

    #[test]
    fn an_app_whose_frames_take_long_gets_more_time() {
        let patience_of = |beats: u64, p50: f64| {
            let mut health = answer(beats, 0, 0, 3);
            health.checks.main_loop.frame_ms.p50 = p50;
            patience(&health, WITHIN).as_millis()
        };
        assert_eq!(patience_of(900, 16.6), 500);
        assert_eq!(patience_of(900, 800.0), 1_600);
        assert_eq!(patience_of(900, 60_000.0), 2_000, "however long");
        assert_eq!(patience_of(1, 0.0), 1_000, "nothing is known yet");
    }

    #[test]
    fn a_beat_after_the_question_is_proof_and_an_earlier_one_is_none() {
        let asked = answer(7, 0, 0, 3);
        assert_eq!(judge(&asked, &[answer(8, 490, 0, 3)]), [Judgement::Turns]);
        assert_eq!(
            judge(&asked, &[answer(8, 900, 0, 3)]),
            [Judgement::Turns],
            "better late"
        );
        assert_eq!(judge(&asked, std::slice::from_ref(&asked)), [wait(500)]);
        assert_eq!(judge(&asked, &[answer(7, 500, 0, 3)]), [Judgement::Stands]);
    }

    #[test]
    fn where_a_loop_stands_is_kept_until_it_is_told_again() {
        let asked = answer(7, 0, 0, 3);
        let mut question = Question::new(&asked, WITHIN);
        for (ms, at) in [(100, None), (400, Some("spin (app.py:4)")), (500, None)] {
            let mut latest = answer(7, ms, 0, 3);
            latest.checks.main_loop.at = at.map(str::to_owned);
            question.judge(&latest, Duration::ZERO);
        }
        assert_eq!(question.place.as_deref(), Some("spin (app.py:4)"));
    }

    #[test]
    fn what_is_waited_for_comes_after_the_request_however_many_beats_came_before_it() {
        let mut asked = answer(7, 0, 0, 3);
        asked.checks.interpreter.looks = 40;
        let question = Question::new(&asked, WITHIN);
        let both = Proof {
            next_beat: true,
            look_after: Some(40),
        };
        assert_eq!(question.wanted(&answer(8, 5, 0, 3)), both);
        let mut unseen = answer(8, 5, 0, 3);
        unseen.checks.main_loop.state = crate::wire::CheckState::NotWatched;
        assert_eq!(
            question.wanted(&unseen),
            Proof {
                next_beat: false,
                ..both
            }
        );
    }

    #[test]
    fn time_in_which_the_app_could_not_run_does_not_count() {
        let asked = answer(7, 0, 0, 3);
        assert_eq!(judge(&asked, &[answer(7, 1800, 1500, 3)]), [wait(200)]);
        assert_eq!(judge(&asked, &[answer(7, 2100, 1600, 3)]), [Judgement::Stands]);
    }

    #[test]
    fn an_interpreter_in_which_nothing_runs_at_all_is_held_and_not_busy() {
        let asked = answer(7, 0, 0, 3);
        assert_eq!(judge(&asked, &[answer(7, 1900, 1900, 1900)]), [wait(500)]);
        let held = [answer(7, 2000, 2000, 2000), answer(7, 2100, 2100, 2100)];
        assert_eq!(judge(&asked, &held), [wait(500), Judgement::Stands]);
        let stopped_before = answer(7, 10, 10, 60_000);
        assert_eq!(judge(&asked, &[stopped_before]), [wait(500)]);
    }

    #[test]
    fn a_process_that_the_machine_starves_is_not_held() {
        let mut question = Question::new(&answer(7, 0, 0, 3), WITHIN);
        let mut judge = |ms: u64, starved_process: u64| {
            question.judge(&answer(7, ms, ms, ms), Duration::from_millis(starved_process))
        };
        assert_eq!(judge(4000, 2100), wait(500));
        assert_eq!(judge(4100, 2110), wait(500));
        assert_eq!(judge(4200, 2200), wait(500), "only now it seems held");
        assert_eq!(judge(4300, 2300), Judgement::Stands);
    }

    #[test]
    fn a_process_that_was_stopped_meanwhile_is_not_held() {
        let asked = answer(7, 0, 0, 3);
        // The endpoint answers before the monitor has found that nothing ran.
        let just_continued = answer(7, 2050, 2040, 2053);
        let found_out = answer(7, 60, 2040, 5);
        let turns = answer(8, 70, 2040, 5);
        assert_eq!(
            judge(&asked, &[just_continued.clone(), found_out, turns]),
            [wait(490), wait(500), Judgement::Turns]
        );
        let another_stop = [just_continued.clone(), answer(7, 60, 2040, 5), just_continued];
        assert!(!judge(&asked, &another_stop).contains(&Judgement::Stands));
    }

    #[test]
    fn an_app_whose_loop_cannot_be_seen_is_taken_at_its_word() {
        let asked = answer(0, 0, 0, 3);
        let mut unseen = answer(0, 600, 0, 3);
        assert_eq!(judge(&asked, std::slice::from_ref(&unseen)), [Judgement::Stands]);
        unseen.checks.main_loop.state = crate::wire::CheckState::NotWatched;
        assert_eq!(judge(&asked, &[unseen]), [Judgement::Turns]);
    }

    #[test]
    fn a_declared_wait_is_life_only_if_the_app_serves_its_users_meanwhile() {
        let asked = answer(7, 0, 0, 3);
        for (usable, expected) in [(true, Judgement::Turns), (false, Judgement::Stands)] {
            let mut paused = answer(7, 600, 0, 3);
            let what = "file dialog".to_owned();
            paused.checks.main_loop.paused = Some(Paused { what, usable });
            assert_eq!(judge(&asked, &[paused]), [expected]);
        }
    }

    #[test]
    fn the_canary_must_have_checked_after_the_question_unless_it_cannot() {
        let looks = |mut answer: Health, looks: u64, looked: u64| {
            (answer.checks.interpreter.looks, answer.checks.interpreter.looked) = (looks, looked);
            answer
        };
        let asked = looks(answer(7, 0, 0, 3), 40, 12);
        let begun_before = looks(answer(8, 20, 0, 3), 40, 40);
        assert_eq!(judge(&asked, &[begun_before]), [wait(480)]);
        assert_eq!(
            judge(&asked, &[looks(answer(8, 20, 0, 3), 41, 41)]),
            [Judgement::Turns]
        );
        assert_eq!(
            judge(&asked, &[looks(answer(7, 500, 0, 3), 60, 60)]),
            [Judgement::Stands]
        );
        let starved = looks(answer(8, 210, 200, 3), 40, 12);
        assert_eq!(judge(&asked, &[starved]), [Judgement::Turns]);
        let late = looks(answer(8, 500, 0, 3), 41, 12);
        assert_eq!(judge(&asked, &[late]), [Judgement::Turns]);
        assert_eq!(
            judge(&answer(7, 0, 0, 3), &[answer(8, 20, 0, 3)]),
            [Judgement::Turns],
            "it has no canary"
        );
    }

    #[test]
    fn the_next_beat_was_due_within_a_usual_frame() {
        let mut asked = answer(7, 0, 0, 3);
        asked.checks.main_loop.age_ms = Some(300);
        let asked_at = Instant::now();
        let frame = |p50: f64, p99: f64| {
            let mut latest = answer(7, 500, 0, 3);
            latest.checks.main_loop.frame_ms = crate::wire::FrameMs { p50, p99, max: 900.0 };
            last_beat(&asked, asked_at, &latest)
        };
        assert_eq!(
            frame(20.0, 31.0),
            LastBeat {
                at: asked_at.checked_sub(Duration::from_millis(300)).unwrap(),
                age: Duration::from_millis(500),
                frame: Duration::from_millis(31),
            }
        );
        assert_eq!(
            frame(5.0, 700.0).frame,
            Duration::from_millis(20),
            "that was the first frame"
        );
    }
}
