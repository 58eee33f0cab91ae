//! The page: one file that contains everything, loads nothing, and keeps its contents from loading anything.

use super::model::Report;
use crate::text::hex;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = concat!(
    include_str!("page/data.js"),
    include_str!("page/timeline.js"),
    include_str!("page/details.js"),
    include_str!("page/page.js"),
);

/// Where a page is shown.
#[derive(Debug)]
pub enum Setting<'a> {
    /// As a file.
    File,
    /// From our own server, which reports what is new. The page asks at this path.
    Live {
        /// The path and the query, to which `&after=` is added.
        ask: &'a str,
    },
}

/// The page for a report.
#[must_use]
pub fn page(report: &Report, setting: &Setting<'_>) -> String {
    let nonce = nonce();
    let (connect, ask) = match setting {
        Setting::File => ("'none'", ""),
        Setting::Live { ask } => ("'self'", *ask),
    };
    let title = format!("{} · livegui", report.run);
    let values = [
        ("nonce", nonce.as_str()),
        ("connect", connect),
        ("title", &escape(&title)),
        ("ask", &escape(ask)),
        ("style", STYLE),
        ("sentence", &escape(&report.sentence)),
        ("fallback", &fallback(report)),
        ("data", &json(report)),
        ("script", SCRIPT),
    ];
    fill(PAGE, &values)
}

/// A report as JSON that is safe in a script element: nothing in it begins a tag or a comment.
#[must_use]
pub fn json(report: &Report) -> String {
    let text = serde_json::to_string(report).unwrap_or_default();
    let mut safe = String::with_capacity(text.len() + text.len() / 32);
    for c in text.chars() {
        match c {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            c => safe.push(c),
        }
    }
    safe
}

/// What to show where no script runs: the tests that did not pass.
fn fallback(report: &Report) -> String {
    let bad = report.tests.iter().filter(|test| !test.outcome.is_quiet());
    let rows = bad.map(|test| {
        let file = report.files.get(test.file).map_or("", |file| file.name.as_str());
        let name = format!("{file}::{}", test.name);
        let said = escape(&test.message);
        format!(
            "<tr><td>{}</td><td>{}</td><td><pre>{said}</pre></td></tr>\n",
            escape(&name),
            escape(test.outcome.as_str())
        )
    });
    rows.collect()
}

/// Fills in a template with `{{name}}`. Values are not searched for more places.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let mut text =
        String::with_capacity(template.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        text.push_str(before);
        text.push_str(
            values
                .iter()
                .find(|(known, _)| *known == name)
                .map_or("", |(_, value)| value),
        );
        rest = after;
    }
    text.push_str(rest);
    text
}

fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '&' => safe.push_str("&amp;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Identifies our own script and style. Nobody whose text is in the page can know it.
fn nonce() -> String {
    let mut bytes = [0; 16];
    // Without it no script runs, and the table for that case is shown.
    if getrandom::fill(&mut bytes).is_err() {
        return String::new();
    }
    hex(&bytes)
}
