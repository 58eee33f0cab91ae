//! Short texts for figures and failures.

use std::time::Duration;

use crate::text::line;

/// The longest gist, in characters.
const MAX_GIST: usize = 240;

/// A failure in one line: pytest's first `E`, or the beginning of the text, and what is indented below it.
#[must_use]
pub fn gist(message: &str) -> String {
    let mut marked = message
        .lines()
        .filter_map(|line| line.strip_prefix("E "))
        .peekable();
    let mut plain = message.lines().filter(|line| !line.trim().is_empty());
    let (first, second) = match marked.next() {
        Some(first) => (first, marked.next()),
        None => (plain.next().unwrap_or_default(), plain.next()),
    };
    let depth = |line: &str| line.len() - line.trim_start().len();
    // The first line of a livegui error says it all.
    let ours = first.trim().strip_prefix("livegui.errors.");
    let is_whole = ours.is_some() || first.starts_with("did not run: ");
    let under = second
        .filter(|second| !is_whole && depth(second) > depth(first))
        .map(str::trim);
    let separator = if under.is_some() { ": " } else { "" };
    let first = ours.unwrap_or(first).trim();
    let gist = format!("{first}{separator}{}", under.unwrap_or_default());
    let gist = line(&gist);
    match gist.char_indices().nth(MAX_GIST) {
        Some((end, _)) => format!("{}…", &gist[..end]),
        None => gist.into_owned(),
    }
}

/// `3.2 s`, `4m 05s`, `1h 02m`.
#[must_use]
pub fn human(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_failures_are_told_in_short() {
        assert_eq!(human(Duration::from_millis(3210)), "3.2 s");
        assert_eq!(human(Duration::from_secs(245)), "4m 05s");
        assert_eq!(human(Duration::from_secs(3725)), "1h 02m");
        let failure = "def test():\n>   assert 1 == 2\nE   assert 1 == 2\n\nt.py:2: AssertionError";
        assert_eq!(gist(failure), "assert 1 == 2");
        assert_eq!(gist("\ndid not run: x\n  culprit: y\n  more"), "did not run: x");
        assert_eq!(
            gist("E   livegui.errors.GuiExited: exit status 3\nE     the app"),
            "GuiExited: exit status 3"
        );
        assert_eq!(
            gist("E   GuiDegraded: it did\nE     main_loop_crashed"),
            "GuiDegraded: it did: main_loop_crashed"
        );
        assert_eq!(gist(""), "");
        assert_eq!(gist(&"ä".repeat(1000)).chars().count(), MAX_GIST + 1);
    }
}
