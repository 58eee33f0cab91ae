//! Watching an unchanged app: which environment it gets, and what could prevent the watching.
//!
//! The other half is `livegui/_bootstrap.py`, which each Python that finds this environment runs at its start.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::wire::env;

/// The variable with the folders in which Python looks for modules first.
const PYTHONPATH: &str = "PYTHONPATH";

/// Which unchanged apps are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Those that do not start the agent themselves.
    Auto,
    /// All.
    True,
    /// None.
    False,
}

impl Mode {
    /// The mode with this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Auto, Self::True, Self::False]
            .into_iter()
            .find(|mode| mode.as_str() == text.to_ascii_lowercase())
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::True => "true",
            Self::False => "false",
        }
    }
}

/// How to watch an app.
#[derive(Debug, Clone, Copy)]
pub struct Injection<'a> {
    /// Which apps to watch.
    pub mode: Mode,
    /// The name for the app.
    pub name: Option<&'a str>,
    /// Whether to print on its standard error what is patched.
    pub explain: bool,
    /// Whether the work that packages give to pools counts too, not only that of the app's own code.
    pub library_pools: bool,
    /// The process that becomes the app, or starts it, if that is known: it also looks for a loop that cannot be
    /// patched.
    pub pid: Option<u32>,
    /// The folder that makes a Python run the bootstrap even if livegui is not installed in it.
    pub carrier: &'a Path,
}

impl Injection<'_> {
    /// The variables to set for an app whose `PYTHONPATH` is `pythonpath`.
    #[must_use]
    pub fn environment(&self, pythonpath: Option<&OsStr>) -> Vec<(OsString, OsString)> {
        if self.mode == Mode::False {
            return vec![(env::INJECT.into(), OsString::new())];
        }
        let mut path = self.carrier.as_os_str().to_owned();
        if let Some(rest) = pythonpath.filter(|rest| !rest.is_empty()) {
            path.push(if cfg!(windows) { ";" } else { ":" });
            path.push(rest);
        }
        let mut variables = vec![
            (env::INJECT.into(), self.mode.as_str().into()),
            (env::INJECT_PATH.into(), self.carrier.as_os_str().to_owned()),
            (PYTHONPATH.into(), path),
        ];
        if let Some(name) = self.name {
            variables.push((env::INJECT_NAME.into(), name.into()));
        }
        if self.explain {
            variables.push((env::INJECT_EXPLAIN.into(), "1".into()));
        }
        if self.library_pools {
            variables.push((env::INJECT_LIBRARY_POOLS.into(), "1".into()));
        }
        if let Some(pid) = self.pid {
            variables.push((env::INJECT_PID.into(), pid.to_string().into()));
        }
        variables
    }
}

/// The `PYTHONPATH` of an app that gets these variables in addition to those of this process.
#[must_use]
pub fn pythonpath(given: &[(OsString, OsString)]) -> Option<OsString> {
    let named = |(name, _): &&(OsString, OsString)| name == PYTHONPATH;
    let given = given.iter().rev().find(named).map(|(_, value)| value.clone());
    given.or_else(|| std::env::var_os(PYTHONPATH))
}

/// Why the Python of this command line cannot run the bootstrap, or can do so only if livegui is installed in it,
/// as far as the command line tells. A launcher may come before the Python.
#[must_use]
pub fn obstacle<S: AsRef<str>>(command: &[S]) -> Option<String> {
    let words: Vec<_> = command.iter().map(AsRef::as_ref).collect();
    let mut python = words.iter().position(|word| is_python(word))?;
    // A launcher may be told which Python to use, as in `uv run --python python3.12 python app.py`.
    while python > 0 && words.get(python + 1).is_some_and(|word| is_python(word)) {
        python += 1;
    }
    let given = switches(words.into_iter().skip(python + 1));
    let remedy = "start it without, or call livegui.start() in the app";
    if given.contains(&'S') {
        return Some(format!(
            "its Python is started with -S, which leaves out all start-up code: {remedy}"
        ));
    }
    let ignoring = ['I', 'E'].into_iter().find(|switch| given.contains(switch))?;
    Some(format!(
        "its Python is started with -{ignoring}, which ignores PYTHONPATH, so that it has to have livegui installed: \
         pip install livegui there, {remedy}"
    ))
}

/// Whether a word of a command line is a Python by its file's name: `/usr/bin/python3.12`, `python.exe`.
fn is_python(word: &str) -> bool {
    let name = word.rsplit(['/', '\\']).next().unwrap_or(word);
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".exe").unwrap_or(&name);
    let version = ["python", "pypy"]
        .iter()
        .find_map(|known| name.strip_prefix(known));
    version.is_some_and(|version| {
        version
            .chars()
            .all(|one| one.is_ascii_digit() || matches!(one, '.' | 'd' | 't' | 'w'))
    })
}

/// The one-letter switches before the script, as `CPython` parses them: several may share a word, `-c` and `-m` end
/// them, and `-W` and `-X` take the rest of their word, or the next one.
fn switches<'a>(mut words: impl Iterator<Item = &'a str>) -> Vec<char> {
    let mut given = Vec::new();
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            None | Some("" | "-") => break,
            Some("-check-hash-based-pycs") => drop(words.next()),
            Some(long) if long.starts_with('-') => {}
            Some(letters) => {
                for (at, letter) in letters.char_indices() {
                    match letter {
                        'c' | 'm' => return given,
                        'W' | 'X' if at + 1 == letters.len() => drop(words.next()),
                        'W' | 'X' => break,
                        _ => given.push(letter),
                    }
                }
            }
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    fn injection(mode: Mode) -> Injection<'static> {
        Injection {
            mode,
            name: Some("app"),
            explain: false,
            library_pools: false,
            pid: None,
            carrier: Path::new("/carrier"),
        }
    }

    #[test]
    fn the_carrier_comes_first_and_what_was_there_stays() {
        let variables = injection(Mode::Auto).environment(Some(OsStr::new("mine")));
        let separator = if cfg!(windows) { ";" } else { ":" };
        assert!(variables.contains(&("PYTHONPATH".into(), format!("/carrier{separator}mine").into())));
        assert!(variables.contains(&("LIVEGUI_INJECT".into(), "auto".into())));
        assert!(variables.contains(&("LIVEGUI_INJECT_NAME".into(), "app".into())));
        let alone = injection(Mode::True).environment(Some(OsStr::new("")));
        assert!(alone.contains(&("PYTHONPATH".into(), "/carrier".into())));
    }

    #[test]
    fn nothing_is_injected_if_it_is_turned_off() {
        let off = injection(Mode::False).environment(None);
        assert_eq!(off, [("LIVEGUI_INJECT".into(), "".into())]);
    }

    #[test]
    fn a_variable_of_the_app_beats_that_of_this_process() {
        let given = [
            ("PYTHONPATH".into(), "a".into()),
            ("PYTHONPATH".into(), "b".into()),
        ];
        assert_eq!(pythonpath(&given), Some("b".into()));
    }

    #[test]
    fn switches_that_keep_the_bootstrap_out_are_named_and_arguments_of_the_app_are_not() {
        for command in [
            &["/usr/bin/python3.12", "-I", "app.py"][..],
            &["python", "-u", "-E", "app.py"],
            &["python.exe", "-Sm", "app"],
            &["python", "-W", "ignore", "-S", "app.py"],
            &["python", "-Wignore", "-uS", "app.py"],
            &["python", "-X", "importtime", "-I", "app.py"],
            &["python", "-Xdev", "-bI", "app.py"],
            &["python", "--check-hash-based-pycs", "always", "-E", "app.py"],
            &["env", "python", "-S", "app.py"],
            &["env", "PYTHONPATH=x", "python", "-S", "app.py"],
            &["xvfb-run", "-a", "python3", "-S", "app.py"],
            &["uv", "run", "--python", "3.12", "python", "-S", "app.py"],
            &["uv", "run", "--python", "python3.12", "python", "-S", "app.py"],
        ] {
            assert!(obstacle(command).is_some(), "{command:?}");
        }
        for command in [
            &["python3", "app.py", "-I"][..],
            &["python3", "-m", "app", "-S"],
            &["python3", "-c", "pass", "-E"],
            &["app", "-S"],
            &["python", "-mIPython"],
            &["python", "-umSEI"],
            &["python", "-cimport SEI"],
            &["python", "-W", "-S", "app.py"],
            &["python", "-Wignore::ImportWarning", "app.py"],
            &["python", "-XSEI", "app.py"],
            &["python", "-X", "-I", "app.py"],
            &["python", "--", "-S"],
            &["python", "-", "-S"],
            &["python3-config", "-S"],
            &["env", "-S", "python", "app.py", "-I"],
            &["env", "PYTHON=python", "app", "-S"],
            &["xvfb-run", "-s", "-screen 0", "python", "app.py", "-E"],
            &[],
        ] {
            assert_eq!(obstacle(command), None, "{command:?}");
        }
    }
}
