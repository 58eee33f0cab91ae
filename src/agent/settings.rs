//! The settings of an agent from arguments and the environment, and which values are refused.

use std::path::PathBuf;
use std::time::Duration;

use super::error::{Error, Result};
use crate::health::Config;
use crate::process::Parent;
use crate::runtime_dir::RuntimeDir;
use crate::wire::{JOURNAL_FILE, env};

/// Arguments of `livegui.start()`. Each overrides its environment variable.
#[derive(Debug, Clone, Default)]
pub struct Arguments {
    /// The endpoint's port.
    pub port: Option<u16>,
    /// The endpoint's token.
    pub token: Option<String>,
    /// How long the loop may go without a beat.
    pub stall_after_ms: Option<u64>,
    /// How long the first beat may take.
    pub startup_ms: Option<u64>,
    /// How long queued work may go without any being finished; 0 disables the check.
    pub executor_stall_ms: Option<u64>,
    /// Whether and where a journal is kept: `0`, `1` or a path.
    pub journal: Option<String>,
    /// Where the discovery file goes.
    pub run_dir: Option<PathBuf>,
}

/// The settings that an agent runs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The app's name.
    pub app: String,
    /// Port of the endpoint; 0 for any free one.
    pub port: u16,
    /// Token of the endpoint; a random one if `None`.
    pub token: Option<String>,
    /// Thresholds of the state machine.
    pub thresholds: Config,
    /// Where the discovery file goes; the user's runtime folder if `None`.
    pub run_dir: Option<PathBuf>,
    /// Where the journal goes, if one is kept.
    pub journal: Option<PathBuf>,
    /// The process of a test run with which the app must end.
    pub parent: Option<Parent>,
}

/// The longest name of an app, in characters.
const MAX_APP: usize = 64;
/// One day. A longer threshold is probably a mistake in the unit.
const LONGEST_MS: u64 = 24 * 60 * 60 * 1000;

impl Settings {
    /// Combines arguments and environment; `None` if `LIVEGUI=0` asks for an inert agent.
    ///
    /// # Errors
    /// [`Error::BadValue`] names the variable or argument, its value, and what is valid.
    pub fn resolve(
        app: &str,
        given: Arguments,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>> {
        let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
        match variable(env::SWITCH).as_deref() {
            Some("0") => return Ok(None),
            None | Some("1") => {}
            Some(other) => return Err(bad(env::SWITCH, other, "0 (inert) or 1")),
        }
        if app.is_empty() || app.chars().count() > MAX_APP || app.chars().any(char::is_control) {
            return Err(bad("app", app, "a name of 1 to 64 printable characters"));
        }
        let millis = |argument: Option<u64>, name: &str, default: Duration| {
            let wanted = format!("milliseconds, a whole number from 10 to {LONGEST_MS}");
            let value = match (argument, variable(name)) {
                (Some(value), _) => value,
                (None, Some(text)) => text.trim().parse().map_err(|_| bad(name, &text, &wanted))?,
                (None, None) => return Ok(default),
            };
            if !(10..=LONGEST_MS).contains(&value) {
                return Err(bad(name, &value.to_string(), &wanted));
            }
            Ok(Duration::from_millis(value))
        };
        let default = Config::default();
        let callback_errors_degrade = match variable(env::CALLBACK_ERRORS).as_deref() {
            None | Some("note" | "fail") => false,
            Some("degrade") => true,
            Some(other) => return Err(bad(env::CALLBACK_ERRORS, other, "note, fail or degrade")),
        };
        let thresholds = Config {
            callback_errors_degrade,
            stall_after: millis(given.stall_after_ms, env::STALL_AFTER_MS, default.stall_after)?,
            startup: millis(given.startup_ms, env::STARTUP_MS, default.startup)?,
            executor_stall: match (
                given.executor_stall_ms,
                variable(env::EXECUTOR_STALL_MS).as_deref(),
            ) {
                (Some(0), _) | (None, None | Some("0")) => None,
                _ => Some(millis(
                    given.executor_stall_ms,
                    env::EXECUTOR_STALL_MS,
                    Duration::ZERO,
                )?),
            },
        };
        let port = match (given.port, variable(env::PORT)) {
            (Some(port), _) => port,
            (None, Some(text)) => text
                .trim()
                .parse()
                .map_err(|_| bad(env::PORT, &text, "a port, a whole number from 0 to 65535"))?,
            (None, None) => 0,
        };
        let token = given.token.or_else(|| variable(env::TOKEN));
        if let Some(token) = &token {
            // Allow only characters that need no escaping in a URL or a header. The error does not show the value.
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
            if !(8..=128).contains(&token.len()) || !token.chars().all(plain) {
                return Err(bad(
                    env::TOKEN,
                    "(not shown)",
                    "8 to 128 characters out of A-Z a-z 0-9 - . _ ~",
                ));
            }
        }
        let run_dir = given
            .run_dir
            .or_else(|| variable(env::RUN_DIR).map(PathBuf::from));
        // Make paths absolute now, because an app may change its folder later.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let run_dir = run_dir.map(absolute);
        let parent = variable(env::PARENT)
            .map(|text| {
                let id = serde_json::from_str(&text);
                id.map(Parent::new).map_err(|_| {
                    bad(
                        env::PARENT,
                        &text,
                        "what a test run of this version of livegui hands over",
                    )
                })
            })
            .transpose()?;
        let in_run_dir = run_dir.as_ref().map(|folder| folder.join(JOURNAL_FILE));
        let journal = match given.journal.or_else(|| variable(env::JOURNAL)).as_deref() {
            Some("0") => None,
            None => in_run_dir,
            Some("1") => Some(in_run_dir.unwrap_or_else(|| {
                RuntimeDir::path_of_user().join(format!("{}.{JOURNAL_FILE}", std::process::id()))
            })),
            Some(path) => Some(absolute(PathBuf::from(path))),
        };
        Ok(Some(Self {
            app: app.to_owned(),
            port,
            token,
            thresholds,
            run_dir,
            journal,
            parent,
        }))
    }
}

/// A valid app name, made from the name of its script.
#[must_use]
pub fn name_of_script(script: &str) -> String {
    let plain = script.chars().filter(|c| !c.is_control());
    let name: String = plain.take(MAX_APP).collect();
    if name.is_empty() { "app".to_owned() } else { name }
}

fn bad(name: &str, value: &str, wanted: &str) -> Error {
    Error::BadValue(format!("{name}={value}: expected {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(pairs: &[(&str, &str)], given: Arguments) -> Result<Option<Settings>> {
        let pairs: Vec<_> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Settings::resolve("app", given, move |name| {
            pairs.iter().find(|(k, _)| k == name).map(|(_, v)| v.clone())
        })
    }

    #[test]
    fn an_argument_beats_the_environment_and_the_environment_the_default() {
        let pairs = [("LIVEGUI_PORT", "81"), ("LIVEGUI_STALL_AFTER_MS", "700")];
        let given = Arguments {
            port: Some(82),
            ..Arguments::default()
        };
        let settings = resolve(&pairs, given).unwrap().unwrap();
        assert_eq!(settings.port, 82);
        assert_eq!(settings.thresholds.stall_after, Duration::from_millis(700));
        assert_eq!(settings.thresholds.startup, Duration::from_mins(1));
    }

    #[test]
    fn a_name_counts_characters_and_one_of_a_script_always_will_do() {
        let resolved = |app: &str| Settings::resolve(app, Arguments::default(), |_| None);
        assert!(resolved(&"界".repeat(64)).is_ok());
        assert!(resolved(&"界".repeat(65)).is_err());
        for script in ["", "\r\n", "a\u{7}b.py", &"x".repeat(300)] {
            assert!(resolved(&name_of_script(script)).is_ok(), "{script:?}");
        }
    }

    #[test]
    fn zero_asks_for_an_inert_agent() {
        assert_eq!(resolve(&[("LIVEGUI", "0")], Arguments::default()).unwrap(), None);
    }

    #[test]
    fn a_bad_value_is_refused_by_name_and_value_and_a_token_is_never_shown() {
        let refused = |pair: (&str, &str)| resolve(&[pair], Arguments::default()).unwrap_err().to_string();
        for pair in [
            ("LIVEGUI", "yes"),
            ("LIVEGUI_PORT", "70000"),
            ("LIVEGUI_PORT", "-1"),
            ("LIVEGUI_STALL_AFTER_MS", "5s"),
            ("LIVEGUI_STALL_AFTER_MS", "0"),
            ("LIVEGUI_STARTUP_MS", "99999999999"),
        ] {
            let message = refused(pair);
            assert!(message.contains(&format!("{}={}", pair.0, pair.1)), "{message}");
        }
        let message = refused(("LIVEGUI_TOKEN", "secret\r\nX: y"));
        assert!(
            message.contains("LIVEGUI_TOKEN") && !message.contains("secret"),
            "{message}"
        );
    }
}
