//! How many viewers a server carries: the search, without a server.
//!
//! Owns which number is tried next, what counts as carried, and when the search ends. Never measures.

use serde::Serialize;

/// How near to the wanted load a number must come to be the answer, and how near two numbers of which one is carried
/// and the other takes more. Smaller takes more steps, and the load of one step varies by as much.
const NEAR: f64 = 0.05;

/// The same where the higher number failed by something else, which no load foretells: each step only halves what is left.
const NEAR_HALVED: f64 = 0.1;

/// How many times as many viewers are tried at the most after a number that was carried: a prediction from few is rough.
const GROWTH: f64 = 4.0;

/// Part of the packets that may be missing after repair. Not zero: one viewer's handshake may cost a packet.
const LOSS: f64 = 0.000_01;

/// Part of the clip's bits that a viewer must get at the least. Servers with too much to do leave pictures out, or put the
/// camera's connection off, and number what they send without a gap: no packet is missing then, and little is sent.
const DELIVERED: f64 = 0.97;

/// What is wanted, and what bounds the search.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bounds {
    /// Cores that the server may use.
    pub load: f64,
    /// Viewers at the most.
    pub most: u32,
    /// Numbers that are tried at the most.
    pub steps: usize,
}

/// How one number of viewers fared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Step {
    /// How many were asked for.
    pub viewers: u32,
    /// Cores that the server used.
    pub cores: f64,
    /// Part of the packets that was missing after repair.
    pub loss: f64,
    /// Part of the clip's bits that a viewer got on average; more than 1, for packets have headers.
    pub delivered: f64,
    /// Viewers that could not join, or were thrown out.
    pub troubled: u64,
    /// Loss and trouble may be the generator's doing, or that of whatever else this machine does.
    pub generator: bool,
}

/// What a step says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Carried,
    Load,
    Loss,
    Trouble,
    Generator,
}

/// Why no more viewers are the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The server's load is the wanted one.
    Load,
    /// With more, packets were lost or pictures left out.
    Loss,
    /// With more, some could not join or stay.
    Trouble,
    /// With more, the generator was full or lost packets, or had no core: the server may carry more.
    Generator,
    /// There are as many as may be: the server may carry more.
    Most,
    /// The steps are used up: the server may carry more.
    Steps,
}

impl Limit {
    /// Whether it is the server's, so that it carries no more than was found.
    pub fn is_the_servers(self) -> bool {
        matches!(self, Limit::Load | Limit::Loss | Limit::Trouble)
    }
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Found {
    /// Most viewers that were carried; none if not one number was.
    pub viewers: u32,
    /// Why not more.
    pub limit: Limit,
}

/// A search under way.
#[derive(Debug, Clone)]
pub struct Search {
    bounds: Bounds,
    first: u32,
    steps: Vec<Step>,
}

impl Step {
    fn verdict(&self, load: f64) -> Verdict {
        let lost = self.loss > LOSS || self.delivered < DELIVERED;
        let troubled = self.troubled > 0;
        if self.cores > load {
            Verdict::Load
        } else if (lost || troubled) && self.generator {
            Verdict::Generator
        } else if troubled {
            Verdict::Trouble
        } else if lost {
            Verdict::Loss
        } else {
            Verdict::Carried
        }
    }
}

impl Search {
    /// A search that tries `first` viewers first.
    pub fn new(bounds: Bounds, first: u32) -> Search {
        Search { bounds, first: first.clamp(1, bounds.most), steps: Vec::new() }
    }

    /// Takes how the number fared that was to be tried.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// What has been tried, in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many viewers to try next; none once there is an answer.
    pub fn next(&self) -> Option<u32> {
        let (low, high) = (self.low(), self.high());
        let Some(last) = self.steps.last() else { return Some(self.first) };
        if self.steps.len() >= self.bounds.steps || self.limit() != Limit::Steps {
            return None;
        }
        let floor = low.map_or(0, |low| low.viewers);
        // A server costs as much as its viewers, so the load foretells the number. Aimed is at the middle of what is near.
        let nearest = low.filter(|low| low.cores > 0.0).or(Some(*last).filter(|last| last.cores > 0.0));
        let aim = self.bounds.load * (1.0 - NEAR / 2.0);
        let foretold = nearest.map_or(f64::INFINITY, |step| f64::from(step.viewers) * aim / step.cores);
        let most = match high {
            Some(high) => high.viewers.saturating_sub(1),
            None => (f64::from(floor) * GROWTH).min(f64::from(self.bounds.most)) as u32,
        };
        let tried = match high {
            // A line through the two sides, unless the upper one tells nothing of the load.
            Some(high) if self.verdict(&high) == Verdict::Load => match low {
                Some(low) if high.cores > low.cores => {
                    let slope = f64::from(high.viewers - low.viewers) / (high.cores - low.cores);
                    f64::from(low.viewers) + (aim - low.cores) * slope
                }
                _ => foretold,
            },
            Some(high) => foretold.min(f64::from(floor + high.viewers) / 2.0),
            None => foretold,
        };
        Some((tried as u32).clamp(floor + 1, most.max(floor + 1)))
    }

    /// The answer as far as it is known.
    pub fn found(&self) -> Found {
        Found { viewers: self.low().map_or(0, |low| low.viewers), limit: self.limit() }
    }

    /// Why no more; that the steps are used up if it is nothing else.
    fn limit(&self) -> Limit {
        let (low, high) = (self.low(), self.high());
        let floor = low.map_or(0, |low| low.viewers);
        if low.is_some_and(|low| low.cores >= self.bounds.load * (1.0 - NEAR)) {
            return Limit::Load;
        }
        if floor == self.bounds.most {
            return Limit::Most;
        }
        let Some(high) = high else { return Limit::Steps };
        let verdict = self.verdict(&high);
        let near = if verdict == Verdict::Load { NEAR } else { NEAR_HALVED };
        if f64::from(high.viewers - floor) > (f64::from(floor) * near).max(1.0) {
            return Limit::Steps;
        }
        match verdict {
            Verdict::Carried | Verdict::Load => Limit::Load,
            Verdict::Loss => Limit::Loss,
            Verdict::Trouble => Limit::Trouble,
            Verdict::Generator => Limit::Generator,
        }
    }

    fn verdict(&self, step: &Step) -> Verdict {
        step.verdict(self.bounds.load)
    }

    /// The most that were carried, below all that were not.
    fn low(&self) -> Option<Step> {
        let high = self.high().map_or(u32::MAX, |high| high.viewers);
        let carried = self.steps.iter().filter(|step| self.verdict(step) == Verdict::Carried);
        carried.filter(|step| step.viewers < high).max_by_key(|step| step.viewers).copied()
    }

    /// The fewest that were not carried.
    fn high(&self) -> Option<Step> {
        let not = self.steps.iter().filter(|step| self.verdict(step) != Verdict::Carried);
        not.min_by_key(|step| step.viewers).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { load: 0.7, most: 10_000, steps: 8 };

    /// Searches where `measure` says how so many viewers fare.
    fn search(bounds: Bounds, first: u32, measure: impl Fn(u32) -> Step) -> Search {
        let mut search = Search::new(bounds, first);
        while let Some(viewers) = search.next() {
            assert!((1..=bounds.most).contains(&viewers), "{viewers}");
            assert!(search.steps().iter().all(|step| step.viewers != viewers), "{viewers} twice: {search:?}");
            search.push(measure(viewers));
        }
        assert!(search.steps().len() <= bounds.steps);
        search
    }

    fn step(viewers: u32, cores: f64) -> Step {
        Step { viewers, cores, loss: 0.0, delivered: 1.0, troubled: 0, generator: false }
    }

    #[test]
    fn a_server_of_even_cost_is_found_within_a_twentieth() {
        for (each, idle) in [(0.000_7, 0.0), (0.007, 0.02), (0.05, 0.1), (0.000_1, 0.0)] {
            let search = search(BOUNDS, 50, |viewers| step(viewers, idle + each * f64::from(viewers)));
            let found = search.found();
            let carried = (0.7 - idle) / each;
            assert_eq!(found.limit, Limit::Load, "{search:?}");
            let part = f64::from(found.viewers) / carried;
            assert!((0.9..=1.0).contains(&part), "{} of {carried}: {search:?}", found.viewers);
        }
    }

    #[test]
    fn a_guess_that_is_right_takes_one_step_and_one_that_is_far_too_high_a_few() {
        let measure = |viewers| step(viewers, 0.001 * f64::from(viewers));
        assert_eq!(search(BOUNDS, 690, measure).steps().len(), 1);
        assert!(search(BOUNDS, 7_000, measure).steps().len() <= 3);
    }

    #[test]
    fn a_server_that_loses_packets_before_its_core_is_full_is_bounded_by_that() {
        let lossy = |viewers| Step {
            loss: if viewers > 300 { 0.01 } else { 0.0 },
            ..step(viewers, 0.001 * f64::from(viewers))
        };
        let found = search(BOUNDS, 50, lossy).found();
        assert_eq!(found.limit, Limit::Loss);
        assert!((270..=300).contains(&found.viewers), "{found:?}");
        // Nothing is missing of what is sent, and too little is sent.
        let lazy = |viewers| Step {
            delivered: if viewers > 300 { 0.5 } else { 1.05 },
            ..step(viewers, (0.001 * f64::from(viewers)).min(0.3))
        };
        let found = search(BOUNDS, 50, lazy).found();
        assert_eq!(found.limit, Limit::Loss);
        assert!((270..=300).contains(&found.viewers), "{found:?}");
        let refusing = |viewers| Step { troubled: 1, ..lossy(viewers) };
        assert_eq!(search(BOUNDS, 50, refusing).found(), Found { viewers: 0, limit: Limit::Trouble });
    }

    #[test]
    fn what_the_generator_lost_is_not_held_against_the_server() {
        let full = |viewers| Step {
            loss: if viewers > 500 { 0.2 } else { 0.0 },
            generator: viewers > 500,
            ..step(viewers, 0.000_1 * f64::from(viewers))
        };
        let found = search(BOUNDS, 100, full).found();
        assert_eq!(found.limit, Limit::Generator);
        assert!((450..=500).contains(&found.viewers), "{found:?}");
        // A generator that is busy and loses nothing has shown that the server sent everything.
        let busy = |viewers| Step { generator: true, ..step(viewers, 0.001 * f64::from(viewers)) };
        assert_eq!(search(BOUNDS, 100, busy).found().limit, Limit::Load);
    }

    #[test]
    fn a_search_is_bounded_and_says_so() {
        let free = |viewers| step(viewers, 0.0);
        assert_eq!(
            search(BOUNDS, 100, free).found(),
            Found { viewers: 10_000, limit: Limit::Most },
            "a server whose work cannot be seen"
        );
        let short = Bounds { steps: 2, ..BOUNDS };
        let found = search(short, 10, |viewers| step(viewers, 0.000_1 * f64::from(viewers))).found();
        assert_eq!(found, Found { viewers: 40, limit: Limit::Steps });
    }

    #[test]
    fn one_bad_step_below_good_ones_lowers_the_answer() {
        let mut search = Search::new(BOUNDS, 100);
        search.push(step(400, 0.4));
        search.push(Step { loss: 0.1, ..step(300, 0.3) });
        assert_eq!(search.low(), None);
        assert!(search.next().is_some_and(|viewers| viewers < 300), "{search:?}");
    }

    /// Whatever a server does, the search ends, tries no number twice, and its answer was carried.
    #[test]
    fn any_server_is_searched() {
        let seed: u64 = rand::random();
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        for _ in 0..2_000 {
            let bounds = Bounds { load: 0.7, most: 1 + random() % 5_000, steps: 1 + random() as usize % 10 };
            let each = f64::from(random() % 1_000) / 100_000.0;
            let (loses, generator) = (1 + random() % 5_000, random().is_multiple_of(2));
            let done = search(bounds, random() % 6_000, |viewers| Step {
                loss: if viewers > loses { 0.1 } else { 0.0 },
                generator,
                ..step(viewers, each * f64::from(viewers))
            });
            let Found { viewers, .. } = done.found();
            let is_carried = viewers == 0 || (viewers <= loses && each * f64::from(viewers) <= 0.7);
            assert!(is_carried, "seed {seed}: {done:?}");
        }
    }
}
