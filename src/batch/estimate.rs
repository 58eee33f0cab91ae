//! Estimates the remaining time from the last run.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use super::record::{self, BATCHES_SCHEMA};
use super::results::Results;
use crate::harness::run_folders;
use crate::wire::RUN_FILE;

/// How long batches and their tests took in the last run.
#[derive(Debug, Default)]
pub struct History {
    batches: HashMap<String, Past>,
}

/// The last run of one batch.
#[derive(Debug, Default)]
struct Past {
    seconds: f64,
    /// In milliseconds.
    tests: HashMap<String, f64>,
}

impl History {
    /// Takes, for each batch, the last of the runs in `parent` in which all of it ran.
    #[must_use]
    pub fn read(parent: &Path) -> Self {
        let mut history = Self::default();
        for folder in run_folders(parent, RUN_FILE, BATCHES_SCHEMA) {
            let Ok(run) = record::read(&folder) else { continue };
            for batch in run.batches {
                let whole =
                    batch.only.is_none() && !batch.is_open() && batch.counts.passed > 0 && !run.narrowed;
                if whole && !history.batches.contains_key(&batch.batch.name) {
                    let results = batch.replay(&folder);
                    let tests = results
                        .tests()
                        .filter_map(|(test, result)| Some((test.to_owned(), result?.duration_ms)));
                    let past = Past {
                        seconds: batch.seconds,
                        tests: tests.collect(),
                    };
                    history.batches.insert(batch.batch.name, past);
                }
            }
        }
        history
    }

    /// How long the running batch and those after it will still take; `None` if that is not known.
    #[must_use]
    pub fn left(&self, running: &str, results: &Results, after: &[String]) -> Option<Duration> {
        let now = self.batches.get(running)?.left(results);
        let later = after.iter().map(|batch| Some(self.batches.get(batch)?.seconds));
        let later: Option<f64> = later.sum();
        Duration::try_from_secs_f64(now + later?).ok()
    }
}

impl Past {
    /// Based on the times of tests and of the whole batch, so that workers and starts are included.
    fn left(&self, results: &Results) -> f64 {
        let mean = self.tests.values().sum::<f64>() / self.tests.len().max(1) as f64;
        // A test that takes no time still gets its share of everything else.
        let weight = |test: &str| self.tests.get(test).copied().unwrap_or(mean) + 1.0;
        let (mut all, mut open) = (0.0, 0.0);
        for (test, result) in results.tests() {
            all += weight(test);
            if result.is_none() {
                open += weight(test);
            }
        }
        if all > 0.0 {
            self.seconds * open / all
        } else {
            self.seconds
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Event, EventLine, TestResult};

    fn take(results: &mut Results, event: Event) {
        results.take(&EventLine {
            at_ms: 0,
            worker: None,
            event,
        });
    }

    #[test]
    fn what_is_left_goes_by_the_tests_that_have_no_result_and_the_batches_after() {
        let past = |seconds, tests: &[(&str, f64)]| Past {
            seconds,
            tests: tests.iter().map(|(test, ms)| ((*test).to_owned(), *ms)).collect(),
        };
        let history = History {
            batches: HashMap::from([
                (
                    "a".to_owned(),
                    past(100.0, &[("f::slow", 89.0), ("f::fast", 9.0)]),
                ),
                ("b".to_owned(), past(7.0, &[])),
            ]),
        };
        let mut results = Results::default();
        let left = |results: &Results| history.left("a", results, &["b".to_owned()]).unwrap().as_secs();
        assert_eq!(left(&results), 107, "nothing is known of it yet");
        let tests = vec!["f::slow".to_owned(), "f::fast".to_owned()];
        take(&mut results, Event::Collected { tests });
        let result = TestResult {
            test: "f::slow".to_owned(),
            ..TestResult::default()
        };
        take(&mut results, Event::TestFinished(Box::new(result)));
        assert_eq!(left(&results), 17);
        assert_eq!(history.left("a", &results, &["never seen".to_owned()]), None);
    }
}
