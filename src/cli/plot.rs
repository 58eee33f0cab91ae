//! A picture of a journal: frame times over time, and the spans in which reasons held.

use std::io;

use plotters::prelude::*;
use plotters::style::FontFamily;

use crate::wire::JournalLine;

const SIZE: (u32, u32) = (960, 420);
const LEFT: RGBColor = RGBColor(31, 119, 180);
const HIGH: RGBColor = RGBColor(214, 39, 40);
/// The lower end of the axis for frame times, which is logarithmic.
const SHORTEST_MS: f64 = 0.5;

/// A span in which a reason held, in seconds.
struct Episode {
    from: f64,
    to: f64,
    code: String,
}

/// Draws the journal as SVG.
///
/// # Errors
/// If the journal has nothing to draw.
pub fn draw(lines: &[JournalLine]) -> io::Result<String> {
    let mut median = Vec::new();
    let mut high = Vec::new();
    let mut episodes: Vec<Episode> = Vec::new();
    let mut open: Vec<(u64, usize)> = Vec::new();
    let mut title = String::from("livegui");
    let mut last = 0.0_f64;
    for line in lines {
        match line {
            JournalLine::Header(header) => {
                title = format!(
                    "{} (pid {}), started {}",
                    header.app, header.pid, header.started_at
                );
            }
            JournalLine::Beats(beats) => {
                last = last.max(seconds(beats.t_ms));
                if let Some(frames) = &beats.frame_ms {
                    median.push((seconds(beats.t_ms), frames.p50.max(SHORTEST_MS)));
                    high.push((seconds(beats.t_ms), frames.p99.max(SHORTEST_MS)));
                }
            }
            JournalLine::Transition(transition) => {
                let at = seconds(transition.t_ms);
                last = last.max(at);
                let Some(reason) = &transition.reason else {
                    continue;
                };
                if transition.event == "opened" {
                    open.push((reason.episode, episodes.len()));
                    episodes.push(Episode {
                        from: at,
                        to: f64::INFINITY,
                        code: reason.code.clone(),
                    });
                } else if let Some(found) = open.iter().position(|(number, _)| *number == reason.episode) {
                    episodes[open.swap_remove(found).1].to = at;
                }
            }
            JournalLine::End(end) => last = last.max(seconds(end.t_ms)),
        }
    }
    if median.is_empty() && episodes.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the journal has no beats and no episodes to draw",
        ));
    }
    for episode in &mut episodes {
        episode.to = episode.to.min(last).max(episode.from);
    }
    let top = high.iter().map(|(_, ms)| *ms).fold(100.0, f64::max) * 1.5;
    let mut svg = String::new();
    paint(&mut svg, &title, last.max(1.0), top, &median, &high, &episodes)
        .map_err(|error| io::Error::other(format!("cannot draw: {error}")))?;
    Ok(svg)
}

fn paint(
    svg: &mut String,
    title: &str,
    last: f64,
    top: f64,
    median: &[(f64, f64)],
    high: &[(f64, f64)],
    episodes: &[Episode],
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, (FontFamily::SansSerif, 16))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..last, (SHORTEST_MS..top).log_scale())?;
    chart
        .configure_mesh()
        .x_desc("seconds since the agent started")
        .y_desc("time between beats, ms")
        .light_line_style(WHITE)
        .draw()?;
    for episode in episodes {
        // Keep an episode visible that opened at the very end.
        let to = episode.to.max(episode.from + last / 300.0);
        let span = [(episode.from, SHORTEST_MS), (to, top)];
        chart.draw_series([Rectangle::new(span, HIGH.mix(0.15).filled())])?;
    }
    // One line for each label, so that labels of episodes close together stay readable.
    for (number, episode) in episodes.iter().enumerate().take(12) {
        let height = top / 1.25_f64.powi(i32::try_from(number).unwrap_or(0) + 1);
        let left = episode.from > last * 0.7;
        let anchor = plotters::style::text_anchor::Pos::new(
            if left {
                plotters::style::text_anchor::HPos::Right
            } else {
                plotters::style::text_anchor::HPos::Left
            },
            plotters::style::text_anchor::VPos::Center,
        );
        let style = (FontFamily::SansSerif, 12)
            .into_text_style(&area)
            .color(&HIGH)
            .pos(anchor);
        chart.draw_series([Text::new(episode.code.clone(), (episode.from, height), style)])?;
    }
    chart
        .draw_series(LineSeries::new(median.iter().copied(), LEFT.stroke_width(2)))?
        .label("median")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], LEFT.stroke_width(2)));
    chart
        .draw_series(LineSeries::new(high.iter().copied(), HIGH.stroke_width(1)))?
        .label("p99")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], HIGH.stroke_width(1)));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

fn seconds(t_ms: u64) -> f64 {
    t_ms as f64 / 1000.0
}
