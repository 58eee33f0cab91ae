//! `livegui top`: a view in a terminal, or plain lines without one.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use super::{Exit, Host, LogArgs, log};
use crate::text::Print;
use crate::top::{Finder, Key, Next, Row, State, draw};

/// How often to redraw; news of an app comes once a second.
const DRAW_EVERY: Duration = Duration::from_secs(1);
/// How long to wait for a key before checking whether the command is to end.
const STEP: Duration = Duration::from_millis(200);

/// How to watch.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Print plain lines, one a second for each app; this is the default without a terminal
    #[arg(long)]
    plain: bool,
    /// Print plain lines once, and exit
    #[arg(long)]
    once: bool,
}

/// Watches until the user ends it.
pub fn run(arguments: &TopArgs, out: &mut dyn Print, host: &mut Host<'_>) -> io::Result<Exit> {
    let finder = Finder::start()?;
    if arguments.plain || arguments.once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return lines(&finder, arguments.once, out, host.go_on);
    }
    let mut state = State::default();
    let began = Instant::now();
    loop {
        let mut terminal = ratatui::try_init()?;
        let next = watch(&mut terminal, &finder, &mut state, began, host.go_on);
        ratatui::try_restore()?;
        match next? {
            Next::Log(journal) => follow(&journal, out, host.go_on)?,
            _ => return Ok(Exit::Ok),
        }
    }
}

fn watch(
    terminal: &mut DefaultTerminal,
    finder: &Finder,
    state: &mut State,
    began: Instant,
    go_on: &mut dyn FnMut() -> bool,
) -> io::Result<Next> {
    let mut due = Instant::now();
    loop {
        if Instant::now() >= due {
            finder
                .sightings
                .try_iter()
                .for_each(|sighting| state.take(sighting));
            state.tick(began.elapsed());
            terminal.draw(|frame| draw(frame, state))?;
            // Show the first apps at once, not a second later.
            due = Instant::now() + if state.total() == 0 { STEP } else { DRAW_EVERY };
        }
        if !go_on() {
            return Ok(Next::Quit);
        }
        if !event::poll(STEP.min(due.saturating_duration_since(Instant::now())))? {
            continue;
        }
        let pressed = event::read()?;
        due = Instant::now();
        let Event::Key(pressed) = pressed else { continue };
        if pressed.kind == KeyEventKind::Release {
            continue;
        }
        let ends = pressed.modifiers.contains(KeyModifiers::CONTROL) && pressed.code == KeyCode::Char('c');
        let next = match pressed.code {
            _ if ends => Next::Quit,
            KeyCode::Char(letter) => state.press(Key::Letter(letter)),
            KeyCode::Up => state.press(Key::Up),
            KeyCode::Down => state.press(Key::Down),
            KeyCode::Enter => state.press(Key::Enter),
            KeyCode::Esc => state.press(Key::Escape),
            KeyCode::Backspace => state.press(Key::Backspace),
            _ => Next::Stay,
        };
        if next != Next::Stay {
            return Ok(next);
        }
    }
}

/// Follows the log until Ctrl-C returns to the view.
fn follow(journal: &Path, out: &mut dyn Print, go_on: &mut dyn FnMut() -> bool) -> io::Result<()> {
    writeln!(out, "{}: Ctrl-C leads back", journal.display())?;
    let arguments = LogArgs {
        path: journal.to_owned(),
        follow: true,
        svg: None,
    };
    match log::run(&arguments, out, go_on) {
        Ok(_) => Ok(()),
        // The log of an app that ended may be gone.
        Err(error) => writeln!(out, "{error}"),
    }
}

fn lines(
    finder: &Finder,
    once: bool,
    out: &mut dyn Print,
    go_on: &mut dyn FnMut() -> bool,
) -> io::Result<Exit> {
    let mut state = State::default();
    let began = Instant::now();
    let mut due = began + DRAW_EVERY + STEP; // by then each app has answered
    while go_on() && !out.is_broken() {
        std::thread::sleep(STEP.min(due.saturating_duration_since(Instant::now())));
        finder
            .sightings
            .try_iter()
            .for_each(|sighting| state.take(sighting));
        if Instant::now() < due {
            continue;
        }
        due += DRAW_EVERY;
        state.tick(began.elapsed());
        if state.rows().next().is_none() {
            writeln!(out, "no app of this user runs with livegui")?;
        }
        for row in state.rows() {
            show(row, out)?;
        }
        out.flush()?;
        if once {
            return Ok(Exit::Ok);
        }
    }
    Ok(Exit::Interrupted)
}

fn show(row: &Row, out: &mut dyn Print) -> io::Result<()> {
    write!(out, "{:>8}  {:<14} {:<9}", row.pid, row.app, row.status)?;
    if let Some(fps) = row.fps {
        write!(out, " {fps:6.1} fps")?;
    }
    if let Some(p99) = row.p99 {
        write!(out, "  p99 {p99:.1} ms")?;
    }
    if let Some(age) = row.age {
        write!(out, "  beat {:.1} s ago", age.as_secs_f64())?;
    }
    if !row.pools.is_empty() {
        write!(out, "  {}", row.pools)?;
    }
    if let Some(generation) = row.generation {
        write!(out, "  generation {generation}")?;
    }
    for text in [&row.test, &row.why] {
        if !text.is_empty() {
            write!(out, "  {text}")?;
        }
    }
    writeln!(out)
}
