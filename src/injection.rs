//! Watching an unchanged app: which environment it gets, and what could prevent the watching.
//!
//! The other half is `livegui/_bootstrap.py`, which each Python that finds this environment runs at its start.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::wire::env;

/// The variable with the folders in which Python looks for modules first.
const PYTHONPATH: &str = "PYTHONPATH";
/// How much of a script is read to find its interpreter. Linux reads as much.
const SHEBANG: u64 = 256;
/// How many scripts may run each other as interpreters. Linux allows as many.
const INTERPRETERS: usize = 4;
/// What to do about a Python that leaves out the start-up code.
const REMEDY: &str = "start it without, or call livegui.start() in the app";

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

/// The variables of a `livegui exec` around this one that must not count for the app of this one.
///
/// A variable that the user has set counts: it differs from the one that the other `livegui exec` has set, or
/// there is no other.
#[must_use]
pub fn inherited(variable: impl Fn(&str) -> Option<OsString>) -> Vec<&'static str> {
    let mut names = vec![env::EXEC_PORT, env::EXEC_RUN_DIR];
    for (name, given) in [(env::PORT, env::EXEC_PORT), (env::RUN_DIR, env::EXEC_RUN_DIR)] {
        if variable(given).is_some_and(|given| variable(name) == Some(given)) {
            names.push(name);
        }
    }
    if variable(env::INJECT).is_some_and(|mode| !mode.is_empty()) {
        names.extend([env::INJECT_NAME, env::INJECT_EXPLAIN, env::INJECT_LIBRARY_POOLS]);
    }
    names
}

/// A command line with the interpreter of its script before the script, as the system starts it.
/// `folder` is where it is run.
#[must_use]
pub fn with_interpreter(mut words: Vec<String>, folder: &Path) -> Vec<String> {
    for _ in 0..INTERPRETERS {
        if words.iter().any(|word| is_python(word)) {
            break;
        }
        let found = words.iter().enumerate().find_map(|(at, word)| {
            let script = find_program(word, folder, at == 0)?;
            Some((at, shebang(&script)?))
        });
        let Some((at, interpreter)) = found else { break };
        words.splice(at..at, interpreter);
    }
    words
}

/// The file of a program. Only the first word of a command line is looked for in `PATH`.
fn find_program(word: &str, folder: &Path, is_first: bool) -> Option<PathBuf> {
    if word.contains('/') {
        return Some(folder.join(word));
    }
    let path = std::env::var_os("PATH").filter(|_| is_first && !word.is_empty())?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(word))
        .find(|file| file.is_file())
}

/// The interpreter of a script and its arguments, as far as they concern a Python.
fn shebang(script: &Path) -> Option<Vec<String>> {
    // Opening something else, such as a pipe, could block.
    if !script.is_file() {
        return None;
    }
    let mut start = Vec::new();
    File::open(script)
        .ok()?
        .take(SHEBANG)
        .read_to_end(&mut start)
        .ok()?;
    let line = start.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let line = String::from_utf8_lossy(line);
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    words.iter().any(|word| is_python(word)).then_some(words)
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
    if let Some(cleared) = words
        .iter()
        .take(python)
        .position(|word| file_name(word) == "env")
        && let Some(what) = clears(&words[cleared + 1..python])
    {
        return Some(format!(
            "`env {what}` takes livegui's variables from its Python: start it without, or run livegui behind it: \
             env {what} livegui exec -- ..."
        ));
    }
    let given = switches(words.into_iter().skip(python + 1));
    if given.contains(&'S') {
        return Some(format!(
            "its Python is started with -S, which leaves out all start-up code: {REMEDY}"
        ));
    }
    let ignoring = ['I', 'E'].into_iter().find(|switch| given.contains(switch))?;
    Some(format!(
        "its Python is started with -{ignoring}, which ignores PYTHONPATH, so that it has to have livegui installed: \
         pip install livegui there, {REMEDY}"
    ))
}

/// The option of `env` that removes the variables of a watched app, if one of these does.
fn clears<'a>(options: &[&'a str]) -> Option<&'a str> {
    let mut options = options.iter().copied();
    while let Some(option) = options.next() {
        let unset = match option {
            "-" | "--ignore-environment" => return Some("-i"),
            "-u" | "--unset" => options.next()?,
            "-C" | "--chdir" => {
                options.next()?;
                continue;
            }
            _ => match (option.strip_prefix("--unset="), option.strip_prefix('-')) {
                (Some(name), _) => name,
                (None, Some(long)) if long.starts_with('-') => continue,
                (None, Some(letters)) if letters.starts_with('u') => &letters[1..],
                (None, Some(letters)) if letters.contains('i') => return Some("-i"),
                (None, Some(_)) => continue,
                (None, None) if option.contains('=') => continue,
                (None, None) => return None, // the program
            },
        };
        if unset == env::INJECT {
            return Some("-u LIVEGUI_INJECT");
        }
    }
    None
}

/// The name of a program's file.
fn file_name(word: &str) -> &str {
    word.rsplit(['/', '\\']).next().unwrap_or(word)
}

/// Whether a word of a command line is a Python by its file's name: `/usr/bin/python3.12`, `python.exe`.
fn is_python(word: &str) -> bool {
    let name = file_name(word).to_ascii_lowercase();
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
    fn what_another_exec_has_set_does_not_count_and_what_the_user_has_set_does() {
        let removed = |pairs: &[(&str, &str)]| {
            let value = |name: &str| {
                pairs
                    .iter()
                    .find(|(known, _)| *known == name)
                    .map(|(_, value)| value.into())
            };
            inherited(value)
        };
        let port = ("LIVEGUI_PORT", "81");
        assert!(!removed(&[port]).contains(&"LIVEGUI_PORT"));
        assert!(!removed(&[port, ("LIVEGUI_EXEC_PORT", "80")]).contains(&"LIVEGUI_PORT"));
        assert!(removed(&[port, ("LIVEGUI_EXEC_PORT", "81")]).contains(&"LIVEGUI_PORT"));
        let folder = [("LIVEGUI_RUN_DIR", "/run"), ("LIVEGUI_EXEC_RUN_DIR", "/run")];
        assert!(removed(&folder).contains(&"LIVEGUI_RUN_DIR"));
        let name = ("LIVEGUI_INJECT_NAME", "outer");
        assert!(!removed(&[name]).contains(&"LIVEGUI_INJECT_NAME"));
        assert!(!removed(&[name, ("LIVEGUI_INJECT", "")]).contains(&"LIVEGUI_INJECT_NAME"));
        assert!(removed(&[name, ("LIVEGUI_INJECT", "auto")]).contains(&"LIVEGUI_INJECT_NAME"));
    }

    #[test]
    fn the_interpreter_that_a_script_names_counts_too() {
        let folder = tempfile::tempdir().unwrap();
        let told = |shebang: &str, words: &[&str]| {
            std::fs::write(folder.path().join("app"), format!("{shebang}\nimport this\n")).unwrap();
            let words = words.iter().map(ToString::to_string).collect();
            obstacle(&with_interpreter(words, folder.path()))
        };
        for shebang in [
            "#!/usr/bin/python3 -S",
            "#! /usr/bin/env -S python3 -uI",
            "#!/usr/bin/env -iS python3",
        ] {
            assert!(told(shebang, &["./app"]).is_some(), "{shebang}");
            assert!(
                told(shebang, &["xvfb-run", "-a", "./app", "file"]).is_some(),
                "{shebang}"
            );
            assert_eq!(
                told(shebang, &["python", "./app"]),
                None,
                "the command's own interpreter"
            );
        }
        for shebang in [
            "#!/usr/bin/python3",
            "#!/usr/bin/env python3",
            "#!/bin/sh -S",
            "",
            "# -S",
        ] {
            assert_eq!(told(shebang, &["./app", "-S"]), None, "{shebang}");
        }
        assert_eq!(told("#!/usr/bin/python3", &["./no_such_app"]), None);
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
            &["env", "-i", "python", "app.py"],
            &["/usr/bin/env", "-", "python", "app.py"],
            &["env", "-vi", "PATH=/bin", "python", "app.py"],
            &["env", "--ignore-environment", "python", "app.py"],
            &["env", "-u", "LIVEGUI_INJECT", "python", "app.py"],
            &["env", "-uLIVEGUI_INJECT", "python", "app.py"],
            &[
                "xvfb-run",
                "-a",
                "env",
                "--unset=LIVEGUI_INJECT",
                "python",
                "app.py",
            ],
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
            &["env", "-u", "DISPLAY", "python", "app.py"],
            &["env", "-u", "-i", "python", "app.py"],
            &["env", "xvfb-run", "-i", "python", "app.py"],
            &["python", "app.py", "env", "-i"],
            &[],
        ] {
            assert_eq!(obstacle(command), None, "{command:?}");
        }
    }
}
