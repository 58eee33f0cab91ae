//! How figures and failures are put in a few words.

use std::time::Duration;

/// What a failure says in one line: pytest's first `E`, or how the text begins.
#[must_use]
pub fn gist(message: &str) -> String {
    let marked = message.lines().find_map(|line| line.strip_prefix("E "));
    let first = || message.lines().find(|line| !line.trim().is_empty());
    marked.or_else(first).unwrap_or_default().trim().to_owned()
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

/// `1 test`, `2 tests`.
#[must_use]
pub fn tests(count: usize) -> String {
    format!("{count} {}", if count == 1 { "test" } else { "tests" })
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
        assert_eq!(gist("\ndid not run: x\n  more"), "did not run: x");
    }
}
