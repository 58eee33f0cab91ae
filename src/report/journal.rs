//! Folds a journal into what a report shows about a process. Pure.

use std::collections::BTreeMap;

use super::model::{Episode, Frames, Part};
use crate::text::visible;
use crate::wire::{JournalBeats, JournalLine, JournalTransition};

/// How many exceptions of one process are shown.
const MAX_EXCEPTIONS: usize = 200;

/// The contents of a journal, with times in milliseconds since the epoch.
#[derive(Debug, Default)]
pub struct Story {
    /// As [`Process::frames`](super::model::Process::frames).
    pub frames: Vec<Frames>,
    /// What was wrong.
    pub episodes: Vec<Episode>,
    /// What was watched.
    pub parts: Vec<Part>,
    /// How the app ended, if the journal says so.
    pub last_words: Option<String>,
    /// When the last line was written.
    pub until: Option<f64>,
}

/// Folds the lines of a journal. Without a header it is unknown when they were written, so the result is empty.
pub fn fold(lines: &[JournalLine]) -> Story {
    let mut story = Story::default();
    let mut zero = None;
    let mut open = BTreeMap::new();
    for line in lines {
        if let JournalLine::Header(header) = line {
            // The app started again, or the file did. Its episodes are not those from before.
            let started: Option<jiff::Timestamp> = header.started_at.parse().ok();
            let started = started.map(|started| started.as_millisecond() as f64);
            if started != zero {
                open.clear();
            }
            zero = started;
        }
        let Some(zero) = zero else { continue };
        match line {
            JournalLine::Header(_) => {}
            JournalLine::Beats(beats) => story.take_beats(beats, zero),
            JournalLine::Transition(transition) => story.take_transition(transition, zero, &mut open),
            JournalLine::End(end) => {
                story.last_words = Some(visible(&end.end).into_owned());
                story.until = Some(zero + end.t_ms as f64);
            }
        }
    }
    story
}

impl Story {
    fn take_beats(&mut self, beats: &JournalBeats, zero: f64) {
        let at = zero + beats.t_ms as f64;
        let frame = |of: fn(&crate::wire::FrameMs) -> f64| beats.frame_ms.as_ref().map(of);
        self.frames.push((
            at,
            frame(|frame| frame.p50),
            frame(|frame| frame.p99),
            frame(|frame| frame.max),
            beats.beats,
        ));
        self.until = Some(at);
        for executor in beats.executors.iter().flatten() {
            self.take_part(
                &executor.name,
                &executor.kind,
                (at, executor.state.as_str(), executor.queued),
            );
        }
        for thread in beats.threads.iter().flatten() {
            self.take_part(&thread.name, "thread", (at, thread.state.as_str(), None));
        }
    }

    fn take_part(&mut self, name: &str, kind: &str, (at, state, queued): (f64, &str, Option<u64>)) {
        let name = visible(name);
        let known = self
            .parts
            .iter()
            .position(|part| part.name == name && part.kind == kind);
        let index = known.unwrap_or_else(|| {
            self.parts.push(Part {
                name: name.into_owned(),
                kind: visible(kind).into_owned(),
                states: Vec::new(),
            });
            self.parts.len() - 1
        });
        let states = &mut self.parts[index].states;
        let same = |last: &(f64, String, Option<u64>)| last.1 == state && last.2 == queued;
        if !states.last().is_some_and(same) {
            states.push((at, state.to_owned(), queued));
        }
    }

    fn take_transition(
        &mut self,
        transition: &JournalTransition,
        zero: f64,
        open: &mut BTreeMap<u64, usize>,
    ) {
        let at = zero + transition.t_ms as f64;
        if let Some(reason) = &transition.reason {
            if transition.event == "closed" {
                if let Some(index) = open.remove(&reason.episode) {
                    self.episodes[index].end = Some(at);
                }
            } else if let std::collections::btree_map::Entry::Vacant(entry) = open.entry(reason.episode) {
                entry.insert(self.episodes.len());
                self.episodes.push(Episode {
                    at: at - reason.since_ms as f64,
                    end: None,
                    code: reason.code.clone(),
                    component: visible(&reason.component).into_owned(),
                    message: visible(&reason.message).into_owned(),
                    traceback: reason
                        .detail
                        .traceback
                        .as_deref()
                        .map(|text| visible(text).into_owned()),
                });
            }
        }
        if let Some(caught) = transition
            .exception
            .as_ref()
            .filter(|_| self.episodes.len() < MAX_EXCEPTIONS)
        {
            let at = at - caught.newest_ms as f64;
            self.episodes.push(Episode {
                at,
                end: Some(at),
                code: "callback_exception".to_owned(),
                component: visible(&caught.source).into_owned(),
                message: visible(&format!("{} at {}", caught.message, caught.place)).into_owned(),
                traceback: caught
                    .detail
                    .traceback
                    .as_deref()
                    .map(|text| visible(text).into_owned()),
            });
        }
        self.until = Some(at);
    }
}

/// Combines the frames of several seconds, so that there are about `at_most` entries. Each entry shows the slowest
/// second of its span, and a span without frames stays visible.
pub fn thin_out(frames: Vec<Frames>, at_most: usize) -> Vec<Frames> {
    if frames.len() <= at_most {
        return frames;
    }
    let size = frames.len().div_ceil(at_most.max(1));
    let slower = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        _ => None,
    };
    let merged = frames.chunks(size).filter_map(|span| {
        let last = span.last()?;
        let worst = span.iter().copied().reduce(|a, b| {
            (
                a.0,
                slower(a.1, b.1),
                slower(a.2, b.2),
                slower(a.3, b.3),
                a.4 + b.4,
            )
        })?;
        Some((last.0, worst.1, worst.2, worst.3, worst.4 / span.len() as u64))
    });
    merged.collect()
}
