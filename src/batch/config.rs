//! Reads and validates `[tool.livegui.batches.*]` of `pyproject.toml`: text in, batches out.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::plan::{self, Batch};
use super::suggest::nearest;
use crate::wire::file_of;

/// How long a pytest may take by default.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_hours(1);
/// Names in a run's folder, besides the folders of batches, that livegui uses itself.
const OURS: [&str; 5] = [
    "run.json",
    "run.json.tmp",
    "junit.xml",
    "junit.xml.tmp",
    ".gitignore",
];
/// The keys of a batch.
const KEYS: [&str; 6] = ["paths", "timeout", "args", "env", "needs", "workers"];

/// What is wrong with the configuration, one line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused(pub Vec<String>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// Reads the batches, in the order of the file. `file` is its name in messages; `exists` tells whether a path
/// exists.
///
/// # Errors
/// Everything that is wrong, with line, key and the nearest valid name.
pub fn parse(text: &str, file: &str, exists: &dyn Fn(&str) -> bool) -> Result<Vec<Batch>, Refused> {
    let mut reader = Reader {
        text,
        file,
        exists,
        wrong: Vec::new(),
    };
    let batches = match DeTable::parse(text) {
        Ok(document) => reader.document(document.get_ref()),
        Err(error) => {
            reader.refuse(error.span().unwrap_or(0..0), error.message());
            Vec::new()
        }
    };
    if reader.wrong.is_empty() {
        Ok(batches)
    } else {
        Err(Refused(reader.wrong))
    }
}

struct Reader<'a> {
    text: &'a str,
    file: &'a str,
    exists: &'a dyn Fn(&str) -> bool,
    wrong: Vec<String>,
}

/// A table's entries in the order of the file: name, position of the name, value.
fn entries<'t>(table: &'t DeTable<'t>) -> Vec<(&'t str, Range<usize>, &'t Spanned<DeValue<'t>>)> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| (&**key.get_ref(), key.span(), value))
        .collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries
}

impl Reader<'_> {
    fn document(&mut self, document: &DeTable<'_>) -> Vec<Batch> {
        let tool = document.get("tool").and_then(|tool| tool.get_ref().as_table());
        let Some(ours) = tool.and_then(|tool| tool.get("livegui")) else {
            return Vec::new();
        };
        let Some(ours) = self.table(ours, "tool.livegui") else {
            return Vec::new();
        };
        let mut read = Vec::new();
        for (key, span, value) in entries(ours) {
            if key != "batches" {
                self.unknown(span, "[tool.livegui]", "key", key, &["batches"]);
            } else if let Some(batches) = self.table(value, "tool.livegui.batches") {
                for (name, span, value) in entries(batches) {
                    let batch = self.batch(name, span.clone(), value);
                    let same = |(other, _): &&(Batch, _)| other.name.eq_ignore_ascii_case(name);
                    if let Some((other, _)) = read.iter().find(same) {
                        let what = format!(
                            "batches {:?} and {name:?} differ in case only: their folders are the same on some systems",
                            other.name
                        );
                        self.refuse(span.clone(), &what);
                    }
                    read.push((batch, span));
                }
            }
        }
        self.check_needs(&read, ours);
        read.into_iter().map(|(batch, _)| batch).collect()
    }

    fn batch(&mut self, name: &str, span: Range<usize>, value: &Spanned<DeValue<'_>>) -> Batch {
        let mut batch = Batch {
            name: name.to_owned(),
            timeout: DEFAULT_TIMEOUT,
            ..Batch::default()
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if !name.chars().all(plain) || name.trim_matches('.').is_empty() {
            self.refuse(
                span.clone(),
                &format!("a batch cannot be called {name:?}: its name is letters, digits, '.', '_' and '-'"),
            );
        }
        if OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            let what = format!(
                "a batch cannot be called {name:?}: that is a file of livegui's own in the run's folder"
            );
            self.refuse(span.clone(), &what);
        }
        let place = format!("tool.livegui.batches.{name}");
        let Some(table) = self.table(value, &place) else {
            return batch;
        };
        for (key, span, value) in entries(table) {
            let place = format!("{place}.{key}");
            match key {
                "paths" => batch.paths = self.paths(value, &place),
                "timeout" => batch.timeout = self.timeout(value, &place),
                "args" => batch.args = self.strings(value, &place),
                "env" => batch.env = self.environment(value, &place),
                "needs" => batch.needs = self.strings(value, &place),
                "workers" => batch.workers = self.workers(value, &place),
                _ => self.unknown(span, &format!("[tool.livegui.batches.{name}]"), "key", key, &KEYS),
            }
        }
        if table.get("paths").is_none() {
            let what =
                format!("[{place}] has no paths: say what pytest is to run, as in paths = [\"tests\"]");
            self.refuse(span, &what);
        }
        batch
    }

    fn paths(&mut self, value: &Spanned<DeValue<'_>>, place: &str) -> Vec<String> {
        let paths = self.strings(value, place);
        if paths.is_empty() {
            self.refuse(
                value.span(),
                &format!("{place} is empty: say what pytest is to run"),
            );
        }
        for path in &paths {
            if !(self.exists)(file_of(path)) {
                let at = self.within(value.span(), path);
                self.refuse(at, &format!("{place} has {path:?}: there is no such path"));
            }
        }
        paths
    }

    fn timeout(&mut self, value: &Spanned<DeValue<'_>>, place: &str) -> Duration {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(value, place, "a duration in quotes, such as \"20m\"");
            return DEFAULT_TIMEOUT;
        };
        match parse_timeout(text) {
            Ok(timeout) => timeout,
            Err(why) => {
                self.refuse(value.span(), &format!("{place} = {text:?}: {why}"));
                DEFAULT_TIMEOUT
            }
        }
    }

    fn environment(&mut self, value: &Spanned<DeValue<'_>>, place: &str) -> BTreeMap<String, String> {
        let mut read = BTreeMap::new();
        for (name, _, value) in self.table(value, place).map(entries).unwrap_or_default() {
            let place = format!("{place}.{name}");
            match value.get_ref().as_str() {
                Some(text) => drop(read.insert(name.to_owned(), text.to_owned())),
                None => self.wrong_type(value, &place, "text in quotes"),
            }
        }
        read
    }

    fn workers(&mut self, value: &Spanned<DeValue<'_>>, place: &str) -> Option<String> {
        let number = value.get_ref().as_integer().map(DeInteger::as_str);
        let number = number.filter(|number| number.parse::<u16>().is_ok_and(|number| number > 0));
        let word = value.get_ref().as_str().filter(|word| *word == "auto");
        let workers = number.or(word).map(str::to_owned);
        if workers.is_none() {
            self.wrong_type(value, place, "a number from 1 on, or \"auto\"");
        }
        workers
    }

    fn strings(&mut self, value: &Spanned<DeValue<'_>>, place: &str) -> Vec<String> {
        let expected = "a list of texts, such as [\"a\", \"b\"]";
        let Some(list) = value.get_ref().as_array() else {
            self.wrong_type(value, place, expected);
            return Vec::new();
        };
        let texts: Vec<_> = list
            .iter()
            .filter_map(|one| one.get_ref().as_str())
            .map(str::to_owned)
            .collect();
        if let Some(other) = list.iter().find(|one| one.get_ref().as_str().is_none()) {
            self.wrong_type(other, place, expected);
        }
        texts
    }

    fn table<'t>(&mut self, value: &'t Spanned<DeValue<'t>>, place: &str) -> Option<&'t DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, place, "a table");
        }
        table
    }

    /// Every batch that is needed must exist, and none may need itself.
    fn check_needs(&mut self, read: &[(Batch, Range<usize>)], ours: &DeTable<'_>) {
        let names: Vec<_> = read.iter().map(|(batch, _)| batch.name.as_str()).collect();
        let span_of = |name: &str| {
            let batches = ours.get("batches")?.get_ref().as_table()?;
            Some(batches.get(name)?.get_ref().as_table()?.get("needs")?.span())
        };
        for (batch, _) in read {
            let place = format!("tool.livegui.batches.{}.needs", batch.name);
            let span = span_of(&batch.name).unwrap_or(0..0);
            for need in batch.needs.iter().filter(|need| !names.contains(&need.as_str())) {
                let at = self.within(span.clone(), need);
                self.unknown(at, &place, "batch", need, &names);
            }
        }
        let batches: Vec<_> = read.iter().map(|(batch, _)| batch.clone()).collect();
        if let Some(cycle) = plan::cycle(&batches) {
            let first = cycle.first().map_or("", String::as_str);
            let span = span_of(first).unwrap_or(0..0);
            let round = cycle.join(" needs ");
            let what = format!("tool.livegui.batches.{first}.needs goes round in a circle: {round}");
            self.refuse(span, &what);
        }
    }

    /// The position of the text within `span`, for a list of many lines.
    fn within(&self, span: Range<usize>, text: &str) -> Range<usize> {
        let found = self.text.get(span.clone()).and_then(|list| list.find(text));
        let start = span.start + found.unwrap_or(0);
        start..start
    }

    fn wrong_type(&mut self, value: &Spanned<DeValue<'_>>, place: &str, expected: &str) {
        let what = value.get_ref().type_str();
        let article = if what.starts_with(['a', 'i', 'o']) {
            "an"
        } else {
            "a"
        };
        self.refuse(
            value.span(),
            &format!("{place} is {article} {what}: expected {expected}"),
        );
    }

    fn unknown(&mut self, at: Range<usize>, place: &str, kind: &str, name: &str, known: &[&str]) {
        self.refuse(at, &format!("{place}: {}", no_such(kind, name, known)));
    }

    fn refuse(&mut self, at: Range<usize>, what: &str) {
        let before = self.text.get(..at.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        self.wrong.push(format!("{}:{line}: {what}", self.file));
    }
}

/// Parses a duration as people write it.
///
/// # Errors
/// What is valid.
pub fn parse_timeout(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(timeout) if timeout.is_zero() => {
            Err("timeout must be greater than zero; omit it for the default".to_owned())
        }
        Ok(timeout) => Ok(timeout),
        Err(error) => Err(format!(
            "{error}; expected a duration such as \"90s\", \"20m\" or \"1h 30m\""
        )),
    }
}

/// `there is no batch "unti": did you mean "unit"?`
#[must_use]
pub fn no_such(kind: &str, name: &str, known: &[&str]) -> String {
    let hint = match nearest(name, known) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "there is none at all".to_owned(),
        None => format!("there are: {}", known.join(", ")),
    };
    format!("there is no {kind} {name:?}: {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Batch>, Refused> {
        parse(text, "pyproject.toml", &|path| !path.contains("missing"))
    }

    fn refused(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn batches_come_in_the_order_of_the_file_and_with_all_they_say() {
        let batches = read(
            r#"
            [project]
            name = "x"
            [tool.livegui.batches.unit]
            paths = ["tests/unit"]
            [tool.livegui.batches.a-live]
            paths = ["tests/live", "tests/more.py::test_a"]
            timeout = "1h 30m"
            args = ["-x"]
            env = { SLOPPY = "1" }
            needs = ["unit"]
            workers = 2
            "#,
        );
        let batches = batches.unwrap();
        assert_eq!(batches[0].name, "unit");
        assert_eq!(batches[0].timeout, DEFAULT_TIMEOUT);
        let expected = Batch {
            name: "a-live".to_owned(),
            paths: vec!["tests/live".to_owned(), "tests/more.py::test_a".to_owned()],
            timeout: Duration::from_mins(90),
            args: vec!["-x".to_owned()],
            env: BTreeMap::from([("SLOPPY".to_owned(), "1".to_owned())]),
            needs: vec!["unit".to_owned()],
            workers: Some("2".to_owned()),
        };
        assert_eq!(batches[1], expected);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest_one() {
        assert_eq!(
            refused("[tool.livegui.batches.unit]\npaths = [\"tests\"]\ntimeuot = \"1m\"\n"),
            "pyproject.toml:3: [tool.livegui.batches.unit]: there is no key \"timeuot\": did you mean \"timeout\"?"
        );
        assert_eq!(
            refused("[tool.livegui.batchs.unit]\npaths = [\"tests\"]\n"),
            "pyproject.toml:1: [tool.livegui]: there is no key \"batchs\": did you mean \"batches\"?"
        );
        assert!(
            refused("[tool.livegui.batches.a]\npaths = [\"t\"]\nxyz = 1")
                .contains("there are: paths, timeout")
        );
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let text = r#"
[tool.livegui.batches.unit]
paths = [
    "tests",
    "missing",
]
timeout = "20 minuets"
needs = ["live"]
[tool.livegui.batches.live]
paths = "tests"
timeout = 20
args = [1]
env = { A = 1 }
workers = "many"
needs = ["unti", "unit"]
[tool.livegui.batches."a/b"]
"#;
        insta::assert_snapshot!(refused(text));
    }

    #[test]
    fn names_that_would_share_a_folder_or_be_a_file_of_ours_are_refused() {
        let text = "[tool.livegui.batches.Unit]\npaths = [\"tests\"]\n[tool.livegui.batches.unit]\npaths = [\"tests\"]\n\
                    [tool.livegui.batches.\"Run.json\"]\npaths = [\"tests\"]\n";
        let refused = parse(text, "pyproject.toml", &|_| true).unwrap_err().to_string();
        assert!(
            refused.contains("\"Unit\" and \"unit\" differ in case only"),
            "{refused}"
        );
        assert!(
            refused.contains("\"Run.json\": that is a file of livegui's own"),
            "{refused}"
        );
    }

    #[test]
    fn a_time_out_of_nothing_and_a_file_that_is_no_toml_are_refused() {
        assert!(refused("[tool.livegui.batches.a]\npaths = [\"t\"]\ntimeout = \"0s\"").contains(":3: "));
        assert!(refused("[tool.livegui\n").starts_with("pyproject.toml:1: "));
        assert_eq!(read("[project]\nname = \"x\"\n").unwrap(), []);
    }
}
