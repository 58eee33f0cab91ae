//! Command lines as text: split as programs of this system do, and quoted for a shell.

use std::fmt::Write as _;

/// A shell that a line can be pasted into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::enum_variant_names, reason = "so it is called")]
pub enum Shell {
    /// sh, bash, zsh.
    Posix,
    /// The command prompt of Windows.
    Cmd,
    /// `PowerShell`; a word with a double quote needs 7.3 or newer, because older versions lose the quote.
    PowerShell,
}

impl Shell {
    /// The shells that people use on this system.
    pub const HERE: &'static [Self] = if cfg!(windows) {
        &[Self::Cmd, Self::PowerShell]
    } else {
        &[Self::Posix]
    };

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Posix => "sh",
            Self::Cmd => "cmd",
            Self::PowerShell => "PowerShell",
        }
    }

    /// Quotes one word of a command line.
    #[must_use]
    pub fn quote(self, word: &str) -> String {
        match self {
            Self::Posix => shlex::try_quote(word).map_or_else(|_| word.to_owned(), Into::into),
            Self::Cmd if is_plain(word) => word.to_owned(),
            Self::Cmd => caret(&as_argument(word)),
            // PowerShell splits `-x.y` and `-x:y`.
            Self::PowerShell if is_plain(word) && !word.starts_with('-') => word.to_owned(),
            Self::PowerShell if is_option(word) => word.to_owned(),
            Self::PowerShell => power_quote(word),
        }
    }

    /// A line that runs a command in a folder, with these variables in its environment.
    #[must_use]
    pub fn line<'a>(
        self,
        folder: &str,
        environment: impl IntoIterator<Item = (&'a str, &'a str)>,
        words: &[String],
    ) -> String {
        let folder = self.quote(folder);
        let command: Vec<_> = words.iter().map(|word| self.quote(word)).collect();
        let command = command.join(" ");
        let mut line = String::new();
        let _ = match self {
            Self::Posix => write!(line, "cd {folder} && "),
            Self::Cmd => write!(line, "cd /d {folder} && "),
            Self::PowerShell => write!(line, "Set-Location -LiteralPath {folder}; "),
        };
        for (name, value) in environment {
            let _ = match self {
                Self::Posix => write!(line, "{name}={} ", self.quote(value)),
                Self::Cmd => write!(line, "set {} && ", caret(&format!("\"{name}={value}\""))),
                Self::PowerShell => write!(line, "${{env:{name}}} = {}; ", power_quote(value)),
            };
        }
        // Without the call operator, a program in quotes would be a string.
        line + if self == Self::PowerShell { "& " } else { "" } + &command
    }
}

/// A command line to paste into the shell that most people use here.
#[must_use]
pub fn join(words: &[String]) -> String {
    let shell = Shell::HERE.first().copied().unwrap_or(Shell::Posix);
    let words: Vec<_> = words.iter().map(|word| shell.quote(word)).collect();
    words.join(" ")
}

/// Splits a command line into words, as a shell does. On Windows each program splits its own line, so this splits
/// as programs written in C do: a backslash is an escape only before a double quote, and a single quote is an
/// ordinary character. `None` if a quote is not closed.
#[must_use]
pub fn split(text: &str) -> Option<Vec<String>> {
    if cfg!(windows) {
        split_for_windows(text)
    } else {
        shlex::split(text)
    }
}

fn split_for_windows(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' if !quoted => words.extend(word.take()),
            '"' if quoted && rest.next_if_eq(&'"').is_some() => word.get_or_insert_default().push('"'),
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => {
                let mut backslashes = 1;
                while rest.next_if_eq(&'\\').is_some() {
                    backslashes += 1;
                }
                let word = word.get_or_insert_default();
                if rest.peek() == Some(&'"') {
                    word.extend(std::iter::repeat_n('\\', backslashes / 2));
                    if backslashes % 2 == 1 {
                        word.extend(rest.next());
                    }
                } else {
                    word.extend(std::iter::repeat_n('\\', backslashes));
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

/// Quotes one word of a Windows command line, before any shell sees it.
fn as_argument(word: &str) -> String {
    let mut argument = String::from("\"");
    let mut backslashes = 0;
    for c in word.chars() {
        match c {
            '\\' => backslashes += 1,
            '"' => {
                argument.extend(std::iter::repeat_n('\\', backslashes + 1));
                backslashes = 0;
            }
            _ => backslashes = 0,
        }
        argument.push(c);
    }
    // Double the backslashes, so that the closing quote is not escaped.
    argument.extend(std::iter::repeat_n('\\', backslashes));
    argument.push('"');
    argument
}

/// Quotes for cmd. Inside its quotes everything is text except `%` and `"`; a text with these gets carets instead.
fn caret(text: &str) -> String {
    let inner = text.trim_start_matches('"').trim_end_matches('"');
    if !inner.contains(['"', '%']) {
        return text.to_owned();
    }
    let mut line = String::with_capacity(2 * text.len());
    for c in text.chars() {
        if matches!(c, '"' | '%' | '!' | '^' | '&' | '|' | '<' | '>' | '(' | ')') {
            line.push('^');
        }
        line.push(c);
    }
    line
}

/// Inside single quotes nothing has a meaning except single quotes, straight or curly.
fn power_quote(word: &str) -> String {
    let mut quoted = String::from("'");
    for c in word.chars() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// Whether a word needs no quotes, in cmd and in `PowerShell`.
fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '\\' | ':' | '+');
    !word.is_empty() && word.chars().all(plain)
}

fn is_option(word: &str) -> bool {
    word.starts_with('-') && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_words_are_split_as_its_programs_do() {
        let split = |text| split_for_windows(text).unwrap();
        assert_eq!(split(r"C:\new\app.exe  --x"), [r"C:\new\app.exe", "--x"]);
        assert_eq!(
            split(r#""C:\my app\x.exe" "" it's"#),
            [r"C:\my app\x.exe", "", "it's"]
        );
        assert_eq!(split(r#"a\"b "c\\" d\\\"e"#), [r#"a"b"#, r"c\", r#"d\"e"#]);
        assert_eq!(split(r#""she said ""no""""#), [r#"she said "no""#]);
        assert_eq!(split("\r\n a\tb \n"), ["a", "b"]);
        assert!(split("").is_empty());
        assert_eq!(split_for_windows(r#"a "b"#), None);
    }

    #[test]
    fn what_is_quoted_for_windows_is_split_to_the_same() {
        for word in [
            "",
            "a b",
            r"C:\my app\",
            r#"say "no""#,
            r#"\" \\" \\"#,
            "ü % $x",
            "a\tb",
        ] {
            let argument = as_argument(word);
            assert_eq!(split_for_windows(&argument).unwrap(), [word], "{argument}");
        }
    }

    #[test]
    fn a_line_for_each_shell_means_the_same() {
        let words = [
            r"C:\Program Files\python.exe",
            "-m",
            "pytest",
            "t.py::test[it's $x]",
        ];
        let words = words.map(str::to_owned);
        let line = |shell: Shell| shell.line(r"D:\my suite", [("A", "50% & more")], &words);
        assert_eq!(
            line(Shell::Posix),
            r#"cd "D:\\my suite" && A='50% & more' "C:\\Program Files\\python.exe" -m pytest "t.py::test[it's "'$x]'"#
        );
        assert_eq!(
            line(Shell::Cmd),
            r#"cd /d "D:\my suite" && set ^"A=50^% ^& more^" && "C:\Program Files\python.exe" -m pytest "t.py::test[it's $x]""#
        );
        assert_eq!(
            line(Shell::PowerShell),
            r"Set-Location -LiteralPath 'D:\my suite'; ${env:A} = '50% & more'; & 'C:\Program Files\python.exe' -m pytest 't.py::test[it''s $x]'"
        );
    }

    #[test]
    fn what_a_shell_would_take_for_its_own_is_text() {
        assert_eq!(Shell::Cmd.quote("a&b"), r#""a&b""#);
        assert_eq!(Shell::Cmd.quote(r#"t["x"]&"#), r#"^"t[\^"x\^"]^&^""#);
        assert_eq!(Shell::Cmd.quote("%PATH%"), r#"^"^%PATH^%^""#);
        assert_eq!(Shell::PowerShell.quote("a;b"), "'a;b'");
        assert_eq!(Shell::PowerShell.quote("--timeout=1.5"), "'--timeout=1.5'");
        assert_eq!(Shell::PowerShell.quote("-k"), "-k");
        assert_eq!(Shell::PowerShell.quote("\u{2019}"), "'\u{2019}\u{2019}'");
        assert_eq!(Shell::PowerShell.quote(""), "''");
        assert_eq!(Shell::Cmd.quote(""), r#""""#);
    }
}
