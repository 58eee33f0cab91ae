//! Ends that a test declares: what it expects, and what news of the app means for that. Pure.

use std::fmt;

use crate::health::Code;

/// What a test expects of the app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// Its process ends with one of these statuses, as in `subprocess.Popen.returncode`; with any, if `None`.
    Exit(Option<Vec<i64>>),
    /// Its agent reports it as degraded for the reason with this code.
    Degraded(String),
}

impl fmt::Display for Expected {
    /// As a test writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(None) => f.write_str("expect_exit(status=None)"),
            Self::Exit(Some(statuses)) => write!(f, "expect_exit(status={})", listed(statuses, ", ")),
            Self::Degraded(code) => write!(f, "expect_degraded({code:?})"),
        }
    }
}

impl Expected {
    /// What to say if it did not happen: "the app did not …".
    #[must_use]
    pub fn to_do(&self) -> String {
        match self {
            Self::Exit(_) => "end".to_owned(),
            Self::Degraded(code) => format!("degrade with {code}"),
        }
    }

    /// What is wrong with this exit status, if anything; `None` stands for an unknown status.
    #[must_use]
    pub fn objection(&self, status: Option<i64>) -> Option<String> {
        let Self::Exit(Some(wanted)) = self else {
            return None;
        };
        match status {
            Some(status) if wanted.contains(&status) => None,
            Some(_) => Some(format!("expected {}", listed(wanted, " or "))),
            None => Some(format!(
                "so it cannot be compared with {}; status=None takes any",
                listed(wanted, " or ")
            )),
        }
    }
}

fn listed(statuses: &[i64], separator: &str) -> String {
    let statuses: Vec<_> = statuses.iter().map(i64::to_string).collect();
    statuses.join(separator)
}

/// A reason that an agent reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Symptom {
    /// Its code.
    pub code: String,
    /// It is caused by an exception.
    pub raised: bool,
}

impl Symptom {
    fn is_one(&self, of: &[Code]) -> bool {
        of.iter().any(|code| code.as_str() == self.code)
    }

    /// Whether this reason means that the app is exiting.
    fn ends(&self) -> bool {
        self.is_one(&[Code::MainLoopExited, Code::AppExiting])
    }

    /// Whether this reason is normal for an app that is exiting, although others can have it too.
    fn closes(&self) -> bool {
        self.is_one(&[Code::ExecutorShutdown, Code::ExecutorGone, Code::ThreadDied]) && !self.raised
    }
}

/// News of an app, as far as its end is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// Nothing is wrong with it, or no longer.
    Well,
    /// It announced its end.
    Stopping,
    /// Its agent reports it as degraded for these reasons.
    Degraded(Vec<Symptom>),
    /// Its process is gone. Before that, its agent reported these reasons.
    Gone(Vec<Symptom>),
    /// Its agent does not answer.
    Silent,
}

/// The progress of a declared end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Progress {
    /// The app is as before.
    #[default]
    Waits,
    /// The end has begun.
    Begun,
    /// The app has ended.
    Done,
}

impl Progress {
    /// The progress after this news; `None` if it is not part of what was declared.
    #[must_use]
    pub fn after(self, expected: &Expected, sign: &Sign) -> Option<Self> {
        if self == Self::Done {
            return Some(Self::Done); // whatever follows
        }
        match (expected, sign) {
            (_, Sign::Well) => Some(self),
            (Expected::Exit(_), Sign::Stopping) => Some(Self::Begun),
            (Expected::Exit(_), Sign::Degraded(reasons)) => is_on_its_way_out(reasons).then_some(Self::Begun),
            // A crash that takes the process down is a crash, whenever it is noticed.
            (Expected::Exit(_), Sign::Gone(reasons)) => is_on_its_way_out(reasons).then_some(Self::Done),
            (Expected::Exit(_), Sign::Silent) => (self == Self::Begun).then_some(self),
            (Expected::Degraded(code), Sign::Degraded(reasons) | Sign::Gone(reasons)) => {
                let has_come = reasons.iter().any(|reason| reason.code == *code);
                has_come.then_some(Self::Done)
            }
            (Expected::Degraded(_), Sign::Stopping | Sign::Silent) => None,
        }
    }
}

/// Reasons are in order, oldest first. What an app reports after its loop has ended does not count, but what it
/// reported before does, whether the reasons arrive one by one or all at once.
fn is_on_its_way_out(reasons: &[Symptom]) -> bool {
    let before = reasons.iter().take_while(|reason| !reason.ends());
    before.into_iter().all(Symptom::closes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reasons(codes: &[&str]) -> Vec<Symptom> {
        let symptom = |code: &&str| Symptom {
            code: (*code).to_owned(),
            raised: false,
        };
        codes.iter().map(symptom).collect()
    }

    fn after(expected: &Expected, signs: &[Sign]) -> Option<Progress> {
        let step = |so_far: Progress, sign| so_far.after(expected, sign);
        signs.iter().try_fold(Progress::Waits, step)
    }

    #[test]
    fn what_an_app_does_on_its_way_out_is_part_of_a_declared_exit_and_a_crash_is_not() {
        let exit = Expected::Exit(Some(vec![0]));
        let well = [Sign::Well, Sign::Stopping, Sign::Silent, Sign::Gone(vec![])];
        assert_eq!(after(&exit, &well), Some(Progress::Done));
        let closing = Sign::Degraded(reasons(&["executor_shutdown", "thread_died"]));
        assert_eq!(
            after(&exit, std::slice::from_ref(&closing)),
            Some(Progress::Begun)
        );
        let left = Sign::Degraded(reasons(&["executor_shutdown", "main_loop_exited"]));
        assert_eq!(after(&exit, &[closing, left.clone()]), Some(Progress::Begun));
        assert_eq!(
            after(&exit, &[left, Sign::Gone(reasons(&["main_loop_exited"]))]),
            Some(Progress::Done)
        );
        for crash in ["main_loop_crashed", "main_loop_stalled", "app_reported"] {
            assert_eq!(after(&exit, &[Sign::Degraded(reasons(&[crash]))]), None);
            assert_eq!(after(&exit, &[Sign::Gone(reasons(&[crash]))]), None);
        }
        assert_eq!(after(&exit, &[Sign::Silent]), None);
        let raised = Symptom {
            code: "thread_died".to_owned(),
            raised: true,
        };
        assert_eq!(after(&exit, &[Sign::Degraded(vec![raised.clone()])]), None);
        let left = || reasons(&["main_loop_exited"]).remove(0);
        let first_it_raised = Sign::Degraded(vec![raised.clone(), left()]);
        assert_eq!(
            after(&exit, &[first_it_raised]),
            None,
            "also if both are heard at once"
        );
        let first_it_left = Sign::Degraded(vec![left(), raised]);
        assert_eq!(after(&exit, &[first_it_left]), Some(Progress::Begun));
    }

    #[test]
    fn a_declared_degradation_is_that_one_and_whatever_comes_of_it() {
        let crash = Expected::Degraded("main_loop_crashed".to_owned());
        let crashed = Sign::Degraded(reasons(&["executor_shutdown", "main_loop_crashed"]));
        assert_eq!(
            after(&crash, &[crashed, Sign::Silent, Sign::Gone(vec![])]),
            Some(Progress::Done)
        );
        assert_eq!(
            after(&crash, &[Sign::Gone(reasons(&["main_loop_crashed"]))]),
            Some(Progress::Done)
        );
        for other in [
            Sign::Degraded(reasons(&["app_reported"])),
            Sign::Stopping,
            Sign::Gone(vec![]),
        ] {
            assert_eq!(after(&crash, &[other]), None);
        }
    }

    #[test]
    fn an_exit_status_that_nobody_knows_is_as_declared_only_if_any_is() {
        assert_eq!(Expected::Exit(None).objection(None), None);
        assert_eq!(Expected::Exit(Some(vec![0, -15])).objection(Some(-15)), None);
        let objection = Expected::Exit(Some(vec![0, -15])).objection(Some(3));
        assert_eq!(objection.as_deref(), Some("expected 0 or -15"));
        assert!(
            Expected::Exit(Some(vec![0]))
                .objection(None)
                .unwrap()
                .contains("status=None")
        );
    }
}
