//! What Python's fault handler wrote before a signal ended the process, in the most helpful order.

/// How many bytes are shown.
const SHOWN: usize = 2048;
/// How many bytes are shown of what the app itself wrote before.
const BEFORE: usize = 512;

/// What to show of the end of an app's standard error if it contains a report of the fault handler: first the
/// thread that failed, then the threads that were in the app's code. Threads that were only in libraries are left
/// out.
#[must_use]
pub fn in_order(stderr: &str) -> Option<String> {
    let begins = ["Fatal Python error: ", "Windows fatal exception: "];
    let mut lines = stderr.split_inclusive('\n').rev();
    let mut start = stderr.len();
    let found = lines.any(|line| {
        start -= line.len();
        begins.iter().any(|begin| line.starts_with(begin))
    });
    if !found {
        return None;
    }
    let report = stderr[start..].replace("\r\n", "\n");
    let mut blocks = report.split("\n\n").map(str::trim_end);
    let mut text = last_lines(&stderr[..start]);
    text.push_str(blocks.next().unwrap_or_default());
    let mut current = Vec::new();
    let mut others = Vec::new();
    let mut left_out = 0_usize;
    for block in blocks {
        if is_of_the_failed_thread(block) {
            current.push(block);
        } else if !block.starts_with("Thread ") {
            // the list of extension modules, the C stack
        } else if block.lines().skip(1).any(is_of_the_app) {
            others.push(block);
        } else {
            left_out += 1;
        }
    }
    for block in current.into_iter().chain(others) {
        text.push_str("\n\n");
        text.push_str(block);
    }
    let mut text = head(text);
    if left_out > 0 {
        let note = format!("\n\n(threads left out, in library code only: {left_out}; stderr.log has them)");
        text.push_str(&note);
    }
    Some(text)
}

/// Whether a block is the stack of the thread that failed. A Python without the interpreter lock shows no other
/// thread, so the block has no number.
fn is_of_the_failed_thread(block: &str) -> bool {
    let begins = [
        "Current thread ",
        "Stack (most recent call first)",
        "<Cannot show all threads ",
    ];
    begins.iter().any(|begin| block.starts_with(begin))
}

/// What the app wrote before that, as far as it fits.
fn last_lines(before: &str) -> String {
    let mut start = before.len().saturating_sub(BEFORE);
    while !before.is_char_boundary(start) {
        start += 1;
    }
    let lines = &before[start..];
    let whole = if start == 0 {
        lines
    } else {
        lines.split_once('\n').map_or("", |(_, whole)| whole)
    };
    whole.to_owned()
}

/// Whether a line names a frame of the app's own code.
fn is_of_the_app(line: &str) -> bool {
    let Some(file) = line.trim_start().strip_prefix("File \"") else {
        return false;
    };
    let file = file.split('"').next().unwrap_or_default().replace('\\', "/");
    let lower = file.to_ascii_lowercase();
    let library = [
        "/site-packages/",
        "/dist-packages/",
        "/lib/python3",
        "/livegui/_canary.py",
    ];
    let of_windows = lower.contains(":/") && lower.contains("/lib/");
    !(file.starts_with('<') || of_windows || library.iter().any(|part| lower.contains(part)))
}

fn head(mut text: String) -> String {
    if text.len() > SHOWN {
        let mut end = SHOWN;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        end = text[..end].rfind('\n').unwrap_or(end);
        text.truncate(end);
        text.push_str("\n  …");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "loading\nFatal Python error: Segmentation fault\n\n\
        Thread 0x1 (most recent call first):\n  File \"/usr/lib/python3.11/threading.py\", line 982 in run\n\n\
        Thread 0x2 (most recent call first):\n  File \"/usr/lib/python3.11/queue.py\", line 1 in get\n  \
        File \"/home/me/app/worker.py\", line 7 in work\n\n\
        Current thread 0x3 (most recent call first):\n  File \"/home/me/app/draw.py\", line 4 in draw\n\n\
        Extension modules: numpy.core (total: 1)\n";

    #[test]
    fn the_thread_that_failed_comes_first_and_those_of_libraries_are_left_out() {
        let shown = in_order(REPORT).unwrap();
        let place = |text| shown.find(text).unwrap_or_else(|| panic!("{text} in {shown}"));
        assert!(shown.starts_with("loading\nFatal Python error: Segmentation fault\n"));
        assert!(place("Current thread 0x3") < place("Thread 0x2"));
        assert!(!shown.contains("Thread 0x1") && !shown.contains("numpy"));
        assert!(shown.ends_with("(threads left out, in library code only: 1; stderr.log has them)"));
    }

    /// As free-threaded `CPython` 3.13 and 3.14 print it.
    const FREE_THREADED: &str = "Fatal Python error: Segmentation fault\n\n\
        <Cannot show all threads while the GIL is disabled>\nStack (most recent call first):\n  \
        File \"/home/me/app/draw.py\", line 4 in draw\n  File \"/home/me/app/main.py\", line 9 in <module>\n\n\
        Current thread's C stack trace (most recent call first):\n  \
        Binary file \"/lib/libpython3.14t.so\", at _Py_DumpStack+0x44 [0x101144a6c]\n\n\
        Extension modules: _app (total: 1)\n";

    #[test]
    fn a_python_without_the_interpreter_lock_shows_only_the_thread_that_failed() {
        let shown = in_order(FREE_THREADED).unwrap();
        assert_eq!(
            shown,
            "Fatal Python error: Segmentation fault\n\n\
             <Cannot show all threads while the GIL is disabled>\nStack (most recent call first):\n  \
             File \"/home/me/app/draw.py\", line 4 in draw\n  \
             File \"/home/me/app/main.py\", line 9 in <module>"
        );
        let of_one_thread =
            FREE_THREADED.replace("<Cannot show all threads while the GIL is disabled>\n", "");
        assert!(in_order(&of_one_thread).unwrap().contains("line 4 in draw"));
    }

    #[test]
    fn a_long_report_is_shown_from_its_head_on() {
        let deep = "  File \"/app/é.py\", line 4 in draw\n".repeat(500);
        let report =
            format!("Fatal Python error: Aborted\n\nCurrent thread 0x3 (most recent call first):\n{deep}");
        let shown = in_order(&report.replace('\n', "\r\n")).unwrap();
        assert!(shown.starts_with("Fatal Python error: Aborted\n\nCurrent thread 0x3"));
        assert!(shown.len() < SHOWN + 20);
    }

    #[test]
    fn other_output_is_none_of_its_business() {
        assert_eq!(in_order("ValueError: Fatal Python error: no\n"), None);
        assert_eq!(in_order(""), None);
    }
}
