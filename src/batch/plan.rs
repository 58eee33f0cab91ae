//! What a batch is, which batches run, and in which order.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Tests that run in their own pytest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Its name, which is also the name of its folder.
    pub name: String,
    /// What pytest runs.
    pub paths: Vec<String>,
    /// How long one pytest of the batch may take.
    pub timeout: Duration,
    /// Arguments for pytest.
    pub args: Vec<String>,
    /// Variables to add to the environment.
    pub env: BTreeMap<String, String>,
    /// Batches that must pass before.
    pub needs: Vec<String>,
    /// The number of pytest-xdist workers, or `auto`.
    pub workers: Option<String>,
}

impl Batch {
    /// The variables of its environment, as a process takes them.
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let variables = self.env.iter();
        variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect()
    }
}

/// The wanted batches and those that they need, in the order of the configuration, except that a needed batch comes
/// first. Unknown names and circles have been rejected before.
#[must_use]
pub fn order(batches: &[Batch], wanted: &[String]) -> Vec<Batch> {
    let mut placed = HashSet::new();
    let mut order = Vec::new();
    for batch in batches.iter().filter(|batch| wanted.contains(&batch.name)) {
        place(batches, batch, &mut placed, &mut order);
    }
    order
}

fn place<'a>(batches: &'a [Batch], batch: &'a Batch, placed: &mut HashSet<&'a str>, order: &mut Vec<Batch>) {
    if !placed.insert(&batch.name) {
        return;
    }
    for needed in batches.iter().filter(|other| batch.needs.contains(&other.name)) {
        place(batches, needed, placed, order);
    }
    order.push(batch.clone());
}

/// A circle of batches that need each other, if there is one. The first is repeated at the end.
#[must_use]
pub fn cycle(batches: &[Batch]) -> Option<Vec<String>> {
    let mut innocent = HashSet::new();
    batches
        .iter()
        .find_map(|batch| follow(batches, batch, &mut Vec::new(), &mut innocent))
}

fn follow<'a>(
    batches: &'a [Batch],
    batch: &'a Batch,
    path: &mut Vec<&'a str>,
    innocent: &mut HashSet<&'a str>,
) -> Option<Vec<String>> {
    if innocent.contains(batch.name.as_str()) {
        return None;
    }
    if let Some(start) = path.iter().position(|name| *name == batch.name) {
        let round = path[start..].iter().copied().chain([batch.name.as_str()]);
        return Some(round.map(str::to_owned).collect());
    }
    path.push(&batch.name);
    let mut needed = batches.iter().filter(|other| batch.needs.contains(&other.name));
    let found = needed.find_map(|needed| follow(batches, needed, path, innocent));
    path.pop();
    innocent.insert(&batch.name);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(name: &str, needs: &[&str]) -> Batch {
        Batch {
            name: name.to_owned(),
            needs: needs.iter().map(ToString::to_string).collect(),
            ..Batch::default()
        }
    }

    fn names(batches: &[Batch], wanted: &[&str]) -> Vec<String> {
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        order(batches, &wanted)
            .into_iter()
            .map(|batch| batch.name)
            .collect()
    }

    #[test]
    fn what_is_needed_comes_first_and_comes_along() {
        let batches = [
            batch("live", &["unit", "build"]),
            batch("build", &[]),
            batch("unit", &["build"]),
            batch("lint", &[]),
        ];
        assert_eq!(
            names(&batches, &["live", "build", "unit", "lint"]),
            ["build", "unit", "live", "lint"]
        );
        assert_eq!(names(&batches, &["unit"]), ["build", "unit"]);
        assert_eq!(names(&batches, &["lint", "build"]), ["build", "lint"]);
    }

    #[test]
    fn a_circle_is_found_wherever_it_is() {
        let round = [
            batch("a", &["b"]),
            batch("b", &["c"]),
            batch("c", &["d"]),
            batch("d", &["b"]),
        ];
        assert_eq!(cycle(&round).unwrap(), ["b", "c", "d", "b"]);
        assert_eq!(cycle(&[batch("a", &["a"])]).unwrap(), ["a", "a"]);
        let diamond = [
            batch("a", &["b", "c"]),
            batch("b", &["d"]),
            batch("c", &["d"]),
            batch("d", &[]),
        ];
        assert_eq!(cycle(&diamond), None);
    }
}
