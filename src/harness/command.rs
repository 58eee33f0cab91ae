//! The app's command line: split as on this system, with placeholders that a run fills in.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use super::error::{Error, Result};
use crate::shell;

/// The names of the placeholders in braces.
pub const PLACEHOLDERS: [&str; 3] = ["hook_port", "python", "state_dir"];

/// A command line whose placeholders are not filled in yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    words: Vec<OsString>,
}

impl CommandLine {
    /// Splits `text` as a shell would; on Windows, as its programs do.
    ///
    /// # Errors
    /// [`Error::BadValue`] if it is empty, or has an unclosed quote or an unknown placeholder.
    pub fn parse(text: &str) -> Result<Self> {
        let Some(words) = shell::split(text) else {
            return Err(Error::BadValue(format!(
                "live_gui_command = {text}: a quote is not closed"
            )));
        };
        Self::from_words(words.into_iter().map(OsString::from).collect())
    }

    /// A command line that is already split.
    ///
    /// # Errors
    /// [`Error::BadValue`] if it is empty or has an unknown placeholder.
    pub fn from_words(words: Vec<OsString>) -> Result<Self> {
        if words.first().is_none_or(|word| word.is_empty()) {
            let hint = "set it in pytest.ini or pyproject.toml, for example\n    \
                        live_gui_command = {python} app.py --hook-port {hook_port}";
            return Err(Error::BadValue(format!(
                "live_gui_command is not set: which app is to be tested? {hint}"
            )));
        }
        let command = Self { words };
        for name in command.placeholders() {
            if !PLACEHOLDERS.contains(&name.as_str()) {
                let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(", ");
                return Err(Error::BadValue(format!(
                    "live_gui_command has {{{name}}}: known are {known}"
                )));
            }
        }
        Ok(command)
    }

    /// Whether it contains `{name}`.
    #[must_use]
    pub fn uses(&self, name: &str) -> bool {
        self.placeholders().any(|found| found == name)
    }

    /// The command line with every placeholder filled in.
    #[must_use]
    pub fn fill(&self, values: &BTreeMap<&str, OsString>) -> Vec<OsString> {
        let filled = |piece: Piece<'_>| match piece {
            Piece::Text(text) => text,
            Piece::Placeholder(name) => values.get(name).cloned().unwrap_or_default(),
        };
        self.words
            .iter()
            .map(|word| pieces(word).map(filled).collect())
            .collect()
    }

    fn placeholders(&self) -> impl Iterator<Item = String> {
        self.words
            .iter()
            .flat_map(|word| pieces(word))
            .filter_map(|piece| match piece {
                Piece::Placeholder(name) => Some(name.to_owned()),
                Piece::Text(_) => None,
            })
    }
}

enum Piece<'a> {
    Text(OsString),
    Placeholder(&'a str),
}

/// Cuts a word at its placeholders: plain words in braces. Other braces, as in JSON, are text. A word that is not
/// UTF-8 is all text.
fn pieces(word: &OsStr) -> impl Iterator<Item = Piece<'_>> {
    let mut opaque = word.to_str().is_none().then(|| word.to_owned());
    let mut rest = word.to_str().unwrap_or_default();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return opaque.take().map(Piece::Text);
        }
        let placeholder = |at: usize| {
            let (name, _) = rest[at + 1..].split_once('}')?;
            let plain = |c: char| c.is_ascii_lowercase() || c == '_';
            (!name.is_empty() && name.chars().all(plain)).then_some(name)
        };
        let next = rest
            .match_indices('{')
            .find_map(|(at, _)| Some((at, placeholder(at)?)));
        let (piece, used) = match next {
            Some((0, name)) => (Piece::Placeholder(name), name.len() + 2),
            Some((at, _)) => (Piece::Text(rest[..at].into()), at),
            None => (Piece::Text(rest.into()), rest.len()),
        };
        rest = &rest[used..];
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Vec<OsString> {
        let values = BTreeMap::from([
            ("hook_port", "81".into()),
            ("python", "/opt/a b/python".into()),
            ("state_dir", "/s".into()),
        ]);
        CommandLine::parse(text).unwrap().fill(&values)
    }

    #[test]
    fn words_are_split_and_filled_in_afterwards() {
        assert_eq!(
            fill(r#"{python} "my app.py" --port={hook_port}"#),
            ["/opt/a b/python", "my app.py", "--port=81"]
        );
    }

    #[cfg(windows)]
    #[test]
    fn a_backslash_is_no_escape_and_a_single_quote_a_letter() {
        assert_eq!(
            fill(r#"{python} C:\new\app.py "C:\my app" it's"#),
            ["/opt/a b/python", r"C:\new\app.py", r"C:\my app", "it's"]
        );
    }

    #[test]
    fn braces_that_hold_no_plain_word_are_text() {
        assert_eq!(
            fill(r#"app "{\"a\": 1}" {} {A}"#),
            ["app", r#"{"a": 1}"#, "{}", "{A}"]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_would_do() {
        let refused = |text: &str| CommandLine::parse(text).unwrap_err().to_string();
        assert!(refused("").contains("live_gui_command is not set"));
        assert!(refused("app \"x").contains("a quote is not closed"));
        assert!(
            refused("app {hookport}").contains("{hookport}: known are {hook_port}, {python}, {state_dir}")
        );
    }
}
