//! What to show, and what a key does. Pure: no clock, no terminal, no app.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::find::Sighting;
use crate::text::line;
use crate::wire::{CheckState, Status};

/// An app without news for this long is gone.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(10);

/// Which apps to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Filter {
    /// All of them.
    #[default]
    All,
    /// Those that are not `ok`.
    Unwell,
    /// Those of test runs.
    Tested,
}

impl Filter {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Unwell => "not ok",
            Self::Tested => "of a test run",
        }
    }
}

/// A key, independent of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A letter.
    Letter(char),
    /// Select the app above.
    Up,
    /// Select the app below.
    Down,
    /// Open the selected app.
    Enter,
    /// Back.
    Escape,
    /// Delete a letter.
    Backspace,
}

/// What to do after a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Stay,
    /// Quit.
    Quit,
    /// Show this journal until the user returns.
    Log(PathBuf),
}

/// The state of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AppStatus {
    /// Its agent does not answer.
    #[default]
    Silent,
    /// The status that its agent reports.
    Says(Status),
}

impl AppStatus {
    /// Whether all is well.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        matches!(self, Self::Says(Status::Ok))
    }
}

impl fmt::Display for AppStatus {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => to.pad("silent"),
            Self::Says(status) => status.fmt(to),
        }
    }
}

/// One app, as a row shows it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub app: String,
    /// Its state.
    pub status: AppStatus,
    /// Beats a second; `None` before the second answer.
    pub fps: Option<f64>,
    /// The 99th percentile of frame times, in milliseconds.
    pub p99: Option<f64>,
    /// The time since the last beat.
    pub age: Option<Duration>,
    /// `name 3/4`: waiting work and workers; or a state that is not `ok`.
    pub pools: String,
    /// The number of its generation, if it belongs to a test run.
    pub generation: Option<u32>,
    /// The running test.
    pub test: String,
    /// What is wrong with it.
    pub why: String,
    /// Its heartbeat log.
    pub journal: Option<PathBuf>,
}

#[derive(Debug)]
struct Known {
    row: Row,
    heard: Duration,
    /// The number of beats, and when they were counted.
    beats: Option<(u64, u64)>,
}

/// Everything that is shown.
#[derive(Debug, Default)]
pub struct State {
    apps: BTreeMap<u32, Known>,
    now: Duration,
    filter: Filter,
    search: String,
    typing: bool,
    /// The selected app.
    selected: Option<u32>,
}

impl State {
    /// Time passes; `now` counts from the start.
    pub fn tick(&mut self, now: Duration) {
        self.now = now;
        self.apps
            .retain(|_, known| now.saturating_sub(known.heard) < FORGOTTEN_AFTER);
    }

    /// Takes in news of an app.
    pub fn take(&mut self, sighting: Sighting) {
        match sighting {
            Sighting::Answered {
                health,
                generation,
                test,
                journal,
            } => {
                let before = self.apps.get(&health.pid).and_then(|known| known.beats);
                let loop_check = &health.checks.main_loop;
                let beats = (loop_check.beats, health.uptime_ms);
                let fps = before.and_then(|(count, at)| {
                    let passed = beats.1.checked_sub(at).filter(|passed| *passed > 0)?;
                    Some(beats.0.checked_sub(count)? as f64 * 1000.0 / passed as f64)
                });
                let pools = health.checks.executors.iter().map(|executor| {
                    let workers = executor.workers.unwrap_or_default();
                    match (&executor.state, executor.queued) {
                        (CheckState::Ok, queued) => {
                            format!("{} {}/{workers}", executor.name, queued.unwrap_or_default())
                        }
                        (state, _) => format!("{} {state}", executor.name),
                    }
                });
                let row = Row {
                    pid: health.pid,
                    app: line(&health.app).into_owned(),
                    status: AppStatus::Says(health.status.clone()),
                    fps,
                    p99: (loop_check.beats > 0).then_some(loop_check.frame_ms.p99),
                    age: loop_check.age_ms.map(Duration::from_millis),
                    pools: line(&pools.collect::<Vec<_>>().join(" ")).into_owned(),
                    generation,
                    test: line(&test.unwrap_or_default()).into_owned(),
                    why: health
                        .reasons
                        .first()
                        .map_or_else(String::new, |reason| line(&reason.line()).into_owned()),
                    journal,
                };
                let known = Known {
                    row,
                    heard: self.now,
                    beats: Some(beats),
                };
                self.apps.insert(health.pid, known);
            }
            Sighting::Silent { pid, why } => {
                if let Some(known) = self.apps.get_mut(&pid) {
                    known.row.status = AppStatus::Silent;
                    known.row.why = line(&why).into_owned();
                    known.row.fps = None;
                    known.heard = self.now;
                }
            }
            Sighting::Gone { pid } => {
                self.apps.remove(&pid);
            }
        }
    }

    /// The apps that are shown, in the order of their process ids.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        let search = self.search.to_lowercase();
        let rows = self.apps.values().map(|known| &known.row);
        rows.filter(move |row| {
            let kept = match self.filter {
                Filter::All => true,
                Filter::Unwell => !row.status.is_ok(),
                Filter::Tested => row.generation.is_some(),
            };
            let text = || format!("{} {} {} {}", row.app, row.pid, row.status, row.test).to_lowercase();
            kept && (search.is_empty() || text().contains(&search))
        })
    }

    /// The position of the selected row.
    #[must_use]
    pub fn selected(&self) -> Option<usize> {
        let of = |pid| self.rows().position(|row| row.pid == pid);
        self.selected
            .and_then(of)
            .or_else(|| self.rows().next().map(|_| 0))
    }

    /// Which apps are shown.
    #[must_use]
    pub const fn filter(&self) -> Filter {
        self.filter
    }

    /// The search text; `None` if there is none, and the user is not typing one.
    #[must_use]
    pub fn search(&self) -> Option<&str> {
        (self.typing || !self.search.is_empty()).then_some(&self.search)
    }

    /// How many apps there are, shown or not.
    #[must_use]
    pub fn total(&self) -> usize {
        self.apps.len()
    }

    /// The user pressed a key.
    pub fn press(&mut self, key: Key) -> Next {
        if self.typing {
            match key {
                Key::Letter(letter) => self.search.push(letter),
                Key::Backspace => drop(self.search.pop()),
                Key::Escape => {
                    self.typing = false;
                    self.search.clear();
                }
                _ => self.typing = false,
            }
            return Next::Stay;
        }
        match key {
            Key::Letter('q') | Key::Escape if self.search.is_empty() => return Next::Quit,
            Key::Letter('q') => return Next::Quit,
            Key::Escape => self.search.clear(),
            Key::Letter('/') => self.typing = true,
            Key::Letter('a') => self.filter = Filter::All,
            Key::Letter('d') => self.filter = Filter::Unwell,
            Key::Letter('t') => self.filter = Filter::Tested,
            Key::Up | Key::Letter('k') => self.step(-1),
            Key::Down | Key::Letter('j') => self.step(1),
            Key::Enter | Key::Letter('l') => {
                let journal = self
                    .selected()
                    .and_then(|index| self.rows().nth(index)?.journal.clone());
                return journal.map_or(Next::Stay, Next::Log);
            }
            Key::Letter(_) | Key::Backspace => {}
        }
        Next::Stay
    }

    fn step(&mut self, by: isize) {
        let now = self.selected().unwrap_or_default();
        let last = self.rows().count().saturating_sub(1);
        let next = now.saturating_add_signed(by).min(last);
        let selected = self.rows().nth(next).map(|row| row.pid);
        self.selected = selected;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Health;

    fn health(pid: u32, status: &str, beats: u64, uptime_ms: u64) -> Health {
        let text = format!(
            r#"{{"schema": "livegui/health/1", "status": "{status}", "seq": 1, "instance": "i", "pid": {pid}, "app": "app{pid}",
            "started_at": "", "uptime_ms": {uptime_ms}, "since_ms": 0, "reasons": [], "checks": {{"main_loop": {{"state": "ok",
            "beats": {beats}, "age_ms": 5, "frame_ms": {{"p50": 1.0, "p99": 2.0, "max": 3.0}}}}, "interpreter": {{"state": "ok",
            "canary_age_ms": 1}}, "executors": [{{"name": "io", "kind": "T", "state": "ok", "queued": 3, "workers": 4}}],
            "threads": [], "journal": {{"state": "off", "dropped": 0}}}}, "observer": {{"gaps": 0, "last_gap_ms": 0}}, "history": []}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    fn answered(pid: u32, status: &str, beats: u64, uptime_ms: u64) -> Sighting {
        let tested = pid > 1;
        Sighting::Answered {
            health: Box::new(health(pid, status, beats, uptime_ms)),
            generation: tested.then_some(pid),
            test: tested.then(|| format!("test_{pid}.py::test\x1b[2J")),
            journal: tested.then(|| PathBuf::from(format!("journal-{pid}"))),
        }
    }

    fn three() -> State {
        let mut state = State::default();
        state.take(answered(1, "ok", 10, 1000));
        state.take(answered(2, "degraded", 10, 1000));
        state.take(answered(3, "ok", 10, 1000));
        state
    }

    fn pids(state: &State) -> Vec<u32> {
        state.rows().map(|row| row.pid).collect()
    }

    #[test]
    fn frames_are_counted_between_two_answers() {
        let mut state = three();
        assert_eq!(state.rows().next().unwrap().fps, None);
        state.take(answered(1, "ok", 70, 2000));
        assert_eq!(state.rows().next().unwrap().fps, Some(60.0));
        state.take(answered(1, "ok", 1, 10));
        assert_eq!(state.rows().next().unwrap().fps, None, "it began anew");
    }

    #[test]
    fn keys_filter_search_and_open_the_log() {
        let mut state = three();
        state.press(Key::Letter('d'));
        assert_eq!(pids(&state), [2]);
        state.press(Key::Letter('t'));
        assert_eq!(pids(&state), [2, 3]);
        state.press(Key::Down);
        assert_eq!(state.press(Key::Enter), Next::Log("journal-3".into()));
        state.press(Key::Letter('a'));
        for letter in "/app2".chars() {
            assert_eq!(state.press(Key::Letter(letter)), Next::Stay);
        }
        assert_eq!(pids(&state), [2]);
        state.press(Key::Enter);
        state.press(Key::Escape);
        assert_eq!(pids(&state), [1, 2, 3]);
        assert_eq!(state.press(Key::Letter('q')), Next::Quit);
    }

    #[test]
    fn a_silent_app_says_so_and_one_that_nobody_hears_of_is_gone() {
        let mut state = three();
        state.tick(Duration::from_secs(9));
        state.take(Sighting::Silent {
            pid: 2,
            why: "timed out".to_owned(),
        });
        state.tick(Duration::from_secs(11));
        assert_eq!(pids(&state), [2]);
        assert_eq!(state.rows().next().unwrap().status, AppStatus::Silent);
        assert_eq!(state.rows().next().unwrap().test, "test_2.py::test\\x1b[2J");
        state.take(Sighting::Gone { pid: 2 });
        assert_eq!((pids(&state), state.selected()), (vec![], None));
    }
}
