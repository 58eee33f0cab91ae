//! Marks as a patch. Python determines the outline of a file, which shows where they go.

use std::collections::BTreeMap;

use serde::Deserialize;
use similar::TextDiff;

use super::report::Mark;

/// Where marks can go in a Python file. Lines count from 1, columns (in bytes) from 0.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Outline {
    /// Why there is no outline.
    #[serde(default)]
    error: Option<String>,
    /// The last line of the imports, or of the module's docstring; 0 if there is neither.
    #[serde(default)]
    head: usize,
    /// Whether that is the docstring, because there are no imports.
    #[serde(default)]
    docstring: bool,
    /// The name under which the module has pytest.
    #[serde(default)]
    pytest: Option<String>,
    /// The value that it assigns to `pytestmark`.
    #[serde(default)]
    pytestmark: Option<Value>,
    /// The first line of each test, including decorators, by its name with the classes that it is in.
    #[serde(default)]
    tests: BTreeMap<String, Place>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
struct Place {
    line: usize,
    column: usize,
}

#[derive(Debug, Clone, Deserialize)]
struct Value {
    list: bool,
    empty: bool,
    start: (usize, usize),
    /// The end of its last element, if it is a non-empty list.
    end: (usize, usize),
}

/// Text to insert at a position.
struct Insertion {
    at: (usize, usize),
    text: String,
}

/// The patch that adds `marks` to a file, for `git apply` or `patch -p1`.
///
/// # Errors
/// Why it cannot be made, to be printed after the file's name.
pub fn patch(file: &str, source: &str, outline: &Outline, marks: &[&Mark]) -> Result<String, String> {
    if let Some(error) = &outline.error {
        return Err(error.clone());
    }
    let newline = if source.contains("\r\n") { "\r\n" } else { "\n" };
    let pytest = outline.pytest.as_deref().unwrap_or("pytest");
    let mut insertions = Vec::new();
    let mut heading = Vec::new();
    if outline.docstring {
        heading.push(String::new());
    }
    if outline.pytest.is_none() {
        heading.push("import pytest".to_owned());
    }
    for word in marks
        .iter()
        .filter(|mark| mark.whole_file)
        .map(|mark| mark_word(pytest, mark))
    {
        match &outline.pytestmark {
            Some(value) => insertions.extend(extend(value, &word)),
            None => heading.extend([String::new(), format!("pytestmark = {word}")]),
        }
    }
    for mark in marks.iter().filter(|mark| !mark.whole_file) {
        insertions.extend(decorators(outline, pytest, mark, newline)?);
    }
    if !heading.is_empty() {
        let mut text = heading.join(newline) + newline;
        if outline.head == 0 {
            text += newline;
        }
        insertions.push(Insertion {
            at: (outline.head + 1, 0),
            text,
        });
    }
    let marked = insert(source, insertions).ok_or("its outline does not fit it")?;
    let diff = TextDiff::from_lines(source, &marked);
    let mut unified = diff.unified_diff();
    Ok(unified
        .header(&format!("a/{file}"), &format!("b/{file}"))
        .to_string())
}

/// The mark itself; `pytest` is the name under which the module has that.
#[must_use]
pub fn mark_word(pytest: &str, mark: &Mark) -> String {
    let quoted = mark.requires.iter().map(|file| {
        let file = file.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{file}\"")
    });
    let files: Vec<_> = quoted.collect();
    format!("{pytest}.mark.requires_prior_state({})", files.join(", "))
}

fn extend(value: &Value, word: &str) -> Vec<Insertion> {
    let insertion = |at, text| Insertion { at, text };
    if value.list && value.empty {
        let (line, column) = value.end;
        return vec![insertion((line, column.saturating_sub(1)), word.to_owned())];
    }
    if value.list {
        return vec![insertion(value.end, format!(", {word}"))];
    }
    vec![
        insertion(value.start, "[".to_owned()),
        insertion(value.end, format!(", {word}]")),
    ]
}

/// A parametrized test is one function, so it is marked once.
fn decorators(outline: &Outline, pytest: &str, mark: &Mark, newline: &str) -> Result<Vec<Insertion>, String> {
    let mut places = BTreeMap::new();
    for test in &mark.tests {
        let name = test.split_once("::").map_or("", |(_, name)| name);
        let name = name.split_once('[').map_or(name, |(name, _)| name);
        let place = outline.tests.get(name).ok_or_else(|| {
            format!("{name} is not defined in it; add the mark by hand where the test comes from")
        })?;
        places.insert(name, place);
    }
    let word = mark_word(pytest, mark);
    let decorate = |place: &Place| Insertion {
        at: (place.line, 0),
        text: format!("{}@{word}{newline}", " ".repeat(place.column)),
    };
    Ok(places.into_values().map(decorate).collect())
}

/// Inserts the texts, last first, so that the positions of the others stay valid.
fn insert(source: &str, mut insertions: Vec<Insertion>) -> Option<String> {
    let mut lines = vec![0];
    lines.extend(source.match_indices('\n').map(|(at, _)| at + 1));
    let mut text = source.to_owned();
    insertions.sort_by_key(|insertion| std::cmp::Reverse(insertion.at));
    for insertion in insertions {
        let (line, column) = insertion.at;
        let past_the_end = line == lines.len() + 1 && column == 0;
        let at = match lines.get(line.checked_sub(1)?) {
            Some(start) => start + column,
            None if past_the_end => source.len(),
            None => return None,
        };
        if !text.is_char_boundary(at) {
            return None;
        }
        // If the last line has no line end, add one before what follows.
        let gap = if at == source.len() && column == 0 && !source.is_empty() && !source.ends_with('\n') {
            "\n"
        } else {
            ""
        };
        text.insert_str(at, &(gap.to_owned() + &insertion.text));
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(tests: &[&str], whole_file: bool, requires: &[&str]) -> Mark {
        let own = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Mark {
            file: "t.py".to_owned(),
            tests: own(tests),
            whole_file,
            requires: own(requires),
        }
    }

    fn outline(json: &str) -> Outline {
        serde_json::from_str(json).unwrap()
    }

    /// The lines that a patch adds and removes.
    fn changes(source: &str, outline_json: &str, marks: &[&Mark]) -> Vec<String> {
        let patch = patch("t.py", source, &outline(outline_json), marks).unwrap();
        assert!(patch.starts_with("--- a/t.py\n+++ b/t.py\n@@ "), "{patch}");
        let lines = patch.split_inclusive('\n').skip(2);
        lines
            .filter(|line| line.starts_with(['+', '-', '\\']))
            .map(|line| line.trim_end_matches('\n').to_owned())
            .collect()
    }

    #[test]
    fn a_file_gets_a_mark_after_its_imports_and_one_more_import() {
        let file = mark(&["t.py::test_x"], true, &["a.py"]);
        let source = "import os\n\ndef test_x(): ...\n";
        assert_eq!(
            changes(source, r#"{"head": 1}"#, &[&file]),
            [
                "+import pytest",
                "+",
                "+pytestmark = pytest.mark.requires_prior_state(\"a.py\")"
            ]
        );
        let two = mark(&["t.py::test_x"], true, &["a.py", "b \"c\".py"]);
        assert_eq!(
            changes("import pytest as pt\n", r#"{"head": 1, "pytest": "pt"}"#, &[&two]),
            [
                "+",
                "+pytestmark = pt.mark.requires_prior_state(\"a.py\", \"b \\\"c\\\".py\")"
            ]
        );
    }

    #[test]
    fn a_file_without_imports_and_without_a_last_newline_is_marked_too() {
        let file = mark(&["t.py::test_x"], true, &["a.py"]);
        let patch = patch("t.py", "def test_x(): ...", &outline("{}"), &[&file]).unwrap();
        assert!(patch.contains("+import pytest\n+\n+pytestmark"), "{patch}");
        assert!(patch.contains("\\ No newline at end of file"), "{patch}");
        let only_a_docstring = changes("\"\"\"Doc.\"\"\"", r#"{"head": 1}"#, &[&file]);
        assert!(
            only_a_docstring.contains(&"+import pytest".to_owned()),
            "{only_a_docstring:?}"
        );
    }

    #[test]
    fn a_pytestmark_that_is_there_is_extended() {
        let file = mark(&["t.py::test_x"], true, &["a.py"]);
        let word = "p.mark.requires_prior_state(\"a.py\")";
        let with = |value: &str| format!(r#"{{"head": 1, "pytest": "p", "pytestmark": {value}}}"#);
        let source = "import pytest as p\npytestmark = [p.mark.é, p.mark.y]\n";
        let value = with(r#"{"list": true, "empty": false, "start": [2, 13], "end": [2, 33]}"#);
        assert_eq!(
            changes(source, &value, &[&file])[1],
            format!("+pytestmark = [p.mark.é, p.mark.y, {word}]")
        );
        let source = "import pytest as p\npytestmark = p.mark.x\n";
        let value = with(r#"{"list": false, "empty": false, "start": [2, 13], "end": [2, 21]}"#);
        assert_eq!(
            changes(source, &value, &[&file])[1],
            format!("+pytestmark = [p.mark.x, {word}]")
        );
        let source = "import pytest as p\npytestmark = []\n";
        let value = with(r#"{"list": true, "empty": true, "start": [2, 13], "end": [2, 15]}"#);
        assert_eq!(
            changes(source, &value, &[&file])[1],
            format!("+pytestmark = [{word}]")
        );
    }

    #[test]
    fn a_test_is_marked_once_whatever_its_parameters_and_lines_end_as_they_did() {
        let some = mark(&["t.py::A::test_x[1]", "t.py::A::test_x[b::c]"], false, &["a.py"]);
        let source = "import pytest\r\nclass A:\r\n    def test_x(self): ...\r\n";
        let place = r#"{"head": 1, "pytest": "pytest", "tests": {"A::test_x": {"line": 3, "column": 4}}}"#;
        assert_eq!(
            changes(source, place, &[&some]),
            ["+    @pytest.mark.requires_prior_state(\"a.py\")\r"]
        );
    }

    #[test]
    fn what_cannot_be_marked_says_why() {
        let some = mark(&["t.py::test_x"], false, &["a.py"]);
        let why = patch("t.py", "from base import *\n", &outline("{}"), &[&some]).unwrap_err();
        assert!(why.contains("test_x is not defined in it"), "{why}");
        let why = patch("t.py", "", &outline(r#"{"error": "not UTF-8"}"#), &[&some]).unwrap_err();
        assert_eq!(why, "not UTF-8");
        let elsewhere = outline(r#"{"pytest": "pytest", "tests": {"test_x": {"line": 9, "column": 0}}}"#);
        let why = patch("t.py", "x\n", &elsewhere, &[&some]).unwrap_err();
        assert_eq!(why, "its outline does not fit it");
    }
}
