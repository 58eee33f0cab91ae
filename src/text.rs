//! Text of an app is only data. What a terminal or a CI log would take for a command is shown, not executed.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

/// Text of several lines, made printable. Shows as escapes: control characters, characters that change the
/// direction of writing, and what a log of GitHub Actions, Azure Pipelines or `TeamCity` would take for a command.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_command) && !has_log_command(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for (number, part) in text.split('\n').enumerate() {
        if number > 0 {
            shown.push('\n');
        }
        show_line(part, &mut shown);
    }
    Cow::Owned(shown)
}

/// `1 test`, `2 tests`, `2 processes`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    let ending = match what {
        _ if number == 1 => "",
        _ if what.ends_with('s') => "es",
        _ => "s",
    };
    format!("{number} {what}{ending}")
}

/// Text for a page, where nothing can be a command. Drops the colours of a terminal, and shows other control
/// characters and characters that change the direction of writing as escapes.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_command) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '\x1b'
            && let Some(after) = rest.strip_prefix('[')
            && let Some(end) = after.find(|c: char| !c.is_ascii_digit() && c != ';')
            && after[end..].starts_with('m')
        {
            rest = &after[end + 1..];
        } else if c == '\r' && rest.starts_with('\n') {
            // The line's end.
        } else if is_command(c) {
            escape(c, &mut shown);
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Does the same on one line.
#[must_use]
pub fn line(text: &str) -> Cow<'_, str> {
    match printable(text) {
        shown if !shown.contains('\n') => shown,
        shown => Cow::Owned(shown.trim_end_matches('\n').replace('\n', "\\n")),
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn show_line(line: &str, shown: &mut String) {
    let command = command_at(line);
    let mut before = '\0';
    for (at, c) in line.char_indices() {
        let opens_bracket = c == '#' && before == '#' && is_word_and_bracket(&line[at + 1..]);
        if is_command(c) {
            escape(c, shown);
        } else if command == Some(at) || opens_bracket {
            let _ = write!(shown, "\\x{:02x}", u32::from(c));
        } else {
            shown.push(c);
        }
        before = c;
    }
}

/// The position of `::` if it begins the line. White space before it does not count.
fn command_at(line: &str) -> Option<usize> {
    let invisible = |c: char| c.is_whitespace() || is_command(c);
    let text = line.trim_start_matches(invisible);
    text.starts_with("::").then(|| line.len() - text.len())
}

fn has_log_command(text: &str) -> bool {
    let mut after_hashes = text
        .match_indices("##")
        .map(|(at, _)| text[at + 1..].trim_start_matches('#'));
    after_hashes.any(is_word_and_bracket) || text.split('\n').any(|line| command_at(line).is_some())
}

/// Whether this makes a command of two `#` before it: `##[group]`, `##vso[task.complete]`, `##teamcity[message]`.
fn is_word_and_bracket(text: &str) -> bool {
    text.trim_start_matches(|c: char| c.is_ascii_alphabetic())
        .starts_with('[')
}

/// C0 except for the line feed and the tab, DEL, C1, line separators, and characters that change the direction of
/// writing.
const fn is_command(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0b'..='\x1f' | '\x7f'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(c: char, shown: &mut String) {
    let _ = match c {
        '\r' => write!(shown, "\\r"),
        '\0'..='\u{ff}' => write!(shown, "\\x{:02x}", u32::from(c)),
        _ => write!(shown, "\\u{:04x}", u32::from(c)),
    };
}

/// The output of a command. It makes everything printable, line by line. If nobody reads it any more, that does not
/// change what the command does or how it ends.
pub struct Screen<'a> {
    out: &'a mut dyn Write,
    line: Vec<u8>,
    broken: bool,
}

/// What a command prints on.
pub trait Print: Write {
    /// Prints text that is entirely ours, or JSON, as it is.
    ///
    /// # Errors
    /// What the operating system reports, except for a broken pipe.
    fn raw(&mut self, text: &str) -> io::Result<()>;

    /// Prints one line, whatever the text contains.
    ///
    /// # Errors
    /// As [`Print::raw`].
    fn one_line(&mut self, text: &str) -> io::Result<()> {
        writeln!(self, "{}", line(text))
    }

    /// Whether nobody reads the output any more.
    fn is_broken(&self) -> bool;
}

impl<'a> Screen<'a> {
    /// Prints on `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            line: Vec::new(),
            broken: false,
        }
    }

    fn end_line(&mut self) -> io::Result<()> {
        let line = std::mem::take(&mut self.line);
        self.put(printable(&String::from_utf8_lossy(&line)).as_bytes())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.broken {
            return Ok(());
        }
        let done = self.out.write_all(bytes);
        self.settle(done)
    }

    fn settle(&mut self, done: io::Result<()>) -> io::Result<()> {
        match done {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.broken = true;
                Ok(())
            }
            done => done,
        }
    }
}

impl Print for Screen<'_> {
    fn raw(&mut self, text: &str) -> io::Result<()> {
        self.end_line()?;
        self.put(text.as_bytes())
    }

    fn is_broken(&self) -> bool {
        self.broken
    }
}

impl Write for Screen<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.line.extend_from_slice(bytes);
        if bytes.contains(&b'\n') {
            self.end_line()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.end_line()?;
        let done = self.out.flush();
        self.settle(done)
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_a_command_is_shown() {
        assert_eq!(
            printable("a\x1b[2Jb\x1b]0;t\x07\r\u{9b}1m\u{202e}x"),
            "a\\x1b[2Jb\\x1b]0;t\\x07\\r\\x9b1m\\u202ex"
        );
        assert_eq!(
            printable("  ::error::x\n\u{1}::warning::y\na::b"),
            "  \\x3a:error::x\n\\x01\\x3a:warning::y\na::b"
        );
        for (command, shown) in [
            ("x ##[add-mask]y", "x #\\x23[add-mask]y"),
            (
                "##vso[task.setvariable variable=a]b",
                "#\\x23vso[task.setvariable variable=a]b",
            ),
            ("x\n####teamcity[buildStop]", "x\n###\\x23teamcity[buildStop]"),
        ] {
            assert_eq!(printable(command), shown);
        }
        assert_eq!(line("a\nb\n"), "a\\nb");
    }

    #[test]
    fn what_is_text_stays_as_it_is() {
        for text in [
            "",
            "a\tb\nc",
            "IM_ASSERT( x > 0 ) --- 日本語 é",
            "tests/t.py::test_a[::x]",
            "a # [b] ## heading [c] #x[d]",
        ] {
            assert!(
                matches!(printable(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn a_screen_shows_what_is_written_in_pieces() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out);
        for piece in [":", ":", "error\n", "\x1b[0m"] {
            screen.write_all(piece.as_bytes()).unwrap();
        }
        drop(screen);
        assert_eq!(String::from_utf8(out).unwrap(), "\\x3a:error\n\\x1b[0m");
    }

    #[test]
    fn a_broken_pipe_is_told_and_ends_nothing() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
        }
        let mut gone = Gone;
        let mut screen = Screen::new(&mut gone);
        writeln!(screen, "x").unwrap();
        assert!(screen.is_broken());
        writeln!(screen, "y").unwrap();
    }
}
