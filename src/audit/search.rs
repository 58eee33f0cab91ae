//! Searches for the smallest part of what ran before that still makes the difference.

/// The search is given up if more than this many causes work only together.
pub const MAX_CAUSES: usize = 4;

/// What is known about a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It makes the difference.
    Yes,
    /// It does not.
    No,
    /// It has not been tried enough times.
    Unknown,
}

/// The progress of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Search {
    /// This must be tried next.
    Ask(Vec<usize>),
    /// These make the difference, and without any one of them the rest does not.
    Found(Vec<usize>),
    /// More than [`MAX_CAUSES`] must come together, or the whole does not make the difference again.
    GivenUp,
}

/// Searches among as many items as there are `costs` (at least one). All together are known to make the difference,
/// and none of them is known not to. `effect` says whether a part makes it, as seen this many times.
#[must_use]
pub fn search(costs: &[f64], overhead: f64, effect: &dyn Fn(&[usize], usize) -> Answer) -> Search {
    match one(costs, overhead, effect) {
        Search::GivenUp => several(costs, overhead, effect),
        found => found,
    }
}

/// Halves the items down to the one that makes the difference alone. Of two halves it tries the later one, because
/// if several items could make it, the latest did.
fn one(costs: &[f64], overhead: f64, effect: &dyn Fn(&[usize], usize) -> Answer) -> Search {
    let (mut first, mut end) = (0, costs.len());
    while end - first > 1 {
        let middle = best_split(&costs[..end], overhead, first, end);
        let later: Vec<_> = (middle..end).collect();
        match effect(&later, 1) {
            Answer::Yes => first = middle,
            Answer::No => end = middle,
            Answer::Unknown => return Search::Ask(later),
        }
    }
    match effect(&[first], 1) {
        Answer::Yes => Search::Found(vec![first]),
        Answer::No => Search::GivenUp,
        Answer::Unknown => Search::Ask(vec![first]),
    }
}

/// Looks for the latest item from which on everything together makes the difference. Then, with that one in place,
/// looks for the next among those after it, until those in place make the difference alone. What happened between a
/// cause and its effect is left out only when it is known not to matter.
fn several(costs: &[f64], overhead: f64, effect: &dyn Fn(&[usize], usize) -> Answer) -> Search {
    let all: Vec<_> = (0..costs.len()).collect();
    // This is worth it only if the whole makes the difference again.
    match effect(&all, 2) {
        Answer::Yes => {}
        Answer::No => return Search::GivenUp,
        Answer::Unknown => return Search::Ask(all),
    }
    let mut found: Vec<usize> = Vec::new();
    let mut first = 0;
    while found.len() < MAX_CAUSES && first < costs.len() {
        let from = |start: usize| -> Vec<usize> { found.iter().copied().chain(start..costs.len()).collect() };
        let fixed = overhead + found.iter().map(|item| costs[*item]).sum::<f64>();
        let (mut yes, mut no) = (first, costs.len());
        while no - yes > 1 {
            let middle = best_split(costs, fixed, yes, no);
            match effect(&from(middle), 1) {
                Answer::Yes => yes = middle,
                Answer::No => no = middle,
                Answer::Unknown => return Search::Ask(from(middle)),
            }
        }
        found.push(yes);
        first = yes + 1;
        match effect(&found, 1) {
            Answer::Yes => return Search::Found(found),
            Answer::No => {}
            Answer::Unknown => return Search::Ask(found),
        }
    }
    Search::GivenUp
}

/// Where to start a part (which goes on to the end of `costs`) so that its result tells most for its cost, if each
/// item from `first` up to `end` is equally likely to be the cause.
fn best_split(costs: &[f64], fixed: f64, first: usize, end: usize) -> usize {
    let mut cost = fixed + costs[end..].iter().sum::<f64>();
    let mut best = (f64::NEG_INFINITY, first + 1);
    for middle in (first + 1..end).rev() {
        cost += costs[middle];
        let share = (end - middle) as f64 / (end - first) as f64;
        let told = -share * share.log2() - (1.0 - share) * (1.0 - share).log2();
        let worth = told / cost.max(f64::EPSILON);
        if worth > best.0 {
            best = (worth, middle);
        }
    }
    best.1
}
