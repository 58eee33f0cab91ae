//! Draws the state: a table for a terminal of any width.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row as TableRow, Table, TableState};

use super::state::{AppStatus, Row, State};
use crate::wire::Status;

const HELP: &str = "↑↓ select   l log   a all   d not ok   t tested   / search   q quit";

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, state: &State) {
    let parts = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(2),
        Constraint::Length(2),
        Constraint::Length(1),
    ]);
    let [head, body, why, foot] = parts.areas(frame.area());
    let shown = state.rows().count();
    let unwell = state.rows().filter(|row| !row.status.is_ok()).count();
    let bad = if unwell > 0 {
        Style::new().fg(Color::Red)
    } else {
        Style::new().fg(Color::Green)
    };
    let mut title = vec![
        Span::styled("livegui top", Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!(
            "  {shown} of {} apps ({})  ",
            state.total(),
            state.filter().as_str()
        )),
        Span::styled(format!("{unwell} not ok"), bad),
    ];
    if let Some(search) = state.search() {
        title.push(Span::raw(format!("  /{search}")));
    }
    frame.render_widget(Line::from(title), head);
    if shown == 0 {
        let text = if state.total() == 0 {
            "no app of this user runs with livegui"
        } else {
            "none of them is shown: a shows all"
        };
        frame.render_widget(Paragraph::new(text), body);
    } else {
        let wide = frame.area().width >= 100;
        table(frame, state, body, wide);
    }
    let selected = state.selected().and_then(|index| state.rows().nth(index));
    let text = selected.map_or_else(String::new, |row| match (&row.why, &row.test) {
        (why, _) if !why.is_empty() => format!("{} (pid {}): {why}", row.app, row.pid),
        (_, test) if !test.is_empty() => format!("{} (pid {}) runs {test}", row.app, row.pid),
        _ => format!("{} (pid {})", row.app, row.pid),
    });
    frame.render_widget(
        Paragraph::new(text).wrap(ratatui::widgets::Wrap { trim: true }),
        why,
    );
    frame.render_widget(Line::styled(HELP, Style::new().add_modifier(Modifier::DIM)), foot);
}

fn table(frame: &mut Frame<'_>, state: &State, area: ratatui::layout::Rect, wide: bool) {
    let rows = state.rows().map(|row| {
        let colour = match row.status {
            AppStatus::Says(Status::Ok) => Color::Green,
            AppStatus::Says(Status::Degraded) | AppStatus::Silent => Color::Red,
            AppStatus::Says(_) => Color::Yellow,
        };
        let mut cells = vec![
            Cell::from(row.pid.to_string()),
            Cell::from(row.app.clone()),
            Cell::from(row.status.to_string()).style(Style::new().fg(colour)),
            Cell::from(number(row.fps)),
            Cell::from(number(row.p99)),
            Cell::from(age(row)),
            Cell::from(
                row.generation
                    .map_or_else(String::new, |generation| generation.to_string()),
            ),
        ];
        if wide {
            cells.push(Cell::from(row.pools.clone()));
        }
        cells.push(Cell::from(row.test.clone()));
        TableRow::new(cells)
    });
    let mut names = vec!["PID", "APP", "STATUS", "FPS", "P99 ms", "BEAT", "GEN"];
    let mut widths = vec![
        Constraint::Length(8),
        Constraint::Length(14),
        Constraint::Length(9),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(7),
        Constraint::Length(3),
    ];
    if wide {
        names.push("POOLS queued/workers");
        widths.push(Constraint::Length(22));
    }
    names.push("TEST");
    widths.push(Constraint::Min(10));
    let table = Table::new(rows, widths)
        .header(TableRow::new(names).style(Style::new().add_modifier(Modifier::DIM)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut selected = TableState::default();
    selected.select(state.selected());
    frame.render_stateful_widget(table, area, &mut selected);
}

fn number(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.1}"))
}

/// The time since the loop last ran.
pub fn age(row: &Row) -> String {
    row.age
        .map_or_else(|| "-".to_owned(), |age| format!("{:.1} s", age.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn it_fits_any_terminal() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (200, 50)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| draw(frame, &State::default())).unwrap();
        }
    }
}
