//! What the searches of a clip say: numbers, costs, and the ratio that is published.
//!
//! Owns the arithmetic over rounds and the tables. Never measures.

use serde::Serialize;

use super::search::{Bounds, Limit, Step};
use super::{Contender, Round};
use crate::measured::{Measured, Server};
use crate::report::{Report, Table};
use crate::spread::{Spread, number, text};

/// One clip.
#[derive(Debug, Serialize)]
pub struct Clip {
    pub megabits: u32,
    pub servers: Vec<Figures>,
}

/// One server with one clip.
#[derive(Debug, Serialize)]
pub struct Figures {
    name: String,
    /// Why there are none.
    not_measured: Option<String>,
    /// Most viewers that it carried.
    viewers: Option<Spread>,
    /// How many times as many Sluice carried in the same round; only of rounds that found this server's limit.
    sluice_carries: Option<Spread>,
    /// Sluice's own limit was not found in one of these rounds: it carries at least as many times as many.
    at_least: bool,
    /// Why not more, of each round.
    limits: Vec<Limit>,
    /// With that many viewers.
    cores: Option<Spread>,
    packets_per_second: Option<Spread>,
    bits_per_second: Option<Spread>,
    ns_per_packet: Option<Spread>,
    us_per_viewer_second: Option<Spread>,
    rss_bytes: Option<Spread>,
    /// What was tried, of each round.
    steps: Vec<Vec<Step>>,
}

/// Of one server, against our own rounds.
pub fn figures(contender: &Contender<'_>, ours: &Contender<'_>) -> Figures {
    let rounds = || contender.rounds.iter();
    let of = |figure: &dyn Fn(&Measured) -> f64| {
        Spread::of(rounds().filter_map(|round| round.carried.as_ref()).map(figure))
    };
    let of_server = |figure: &dyn Fn(&Server) -> f64| {
        let carried = rounds().filter_map(|round| round.carried.as_ref()?.server);
        Spread::of(carried.map(|server| figure(&server)))
    };
    let viewers = |round: &Round| f64::from(round.found.viewers);
    let is_found = |round: &Round| round.found.limit.is_the_servers();
    // Of nobody there is no multiple: such a round is no number and left out.
    let pairs = || rounds().zip(&ours.rounds).filter(|(theirs, _)| is_found(theirs));
    Figures {
        name: contender.name.to_owned(),
        not_measured: contender.not_measured.clone(),
        viewers: Spread::of(rounds().map(viewers)),
        sluice_carries: Spread::of(pairs().map(|(theirs, ours)| viewers(ours) / viewers(theirs))),
        at_least: pairs().any(|(_, ours)| !is_found(ours)),
        limits: rounds().map(|round| round.found.limit).collect(),
        cores: of_server(&|server| server.cores()),
        packets_per_second: of(&|measured| measured.packets_per_second),
        bits_per_second: of(&|measured| measured.bits_per_second),
        ns_per_packet: of_server(&|server| server.cpu_per_packet * 1e9),
        us_per_viewer_second: Spread::of(rounds().filter_map(|round| {
            let measured = round.carried.as_ref()?;
            Some(measured.server?.cores() / measured.joined as f64 * 1e6)
        })),
        rss_bytes: of_server(&|server| server.rss_bytes as f64),
        steps: rounds().map(|round| round.steps.clone()).collect(),
    }
}

/// A limit in a table.
fn limit_text(limit: Limit) -> &'static str {
    match limit {
        Limit::Load => "load",
        Limit::Loss => "loss",
        Limit::Trouble => "joins",
        Limit::Generator => "**generator**",
        Limit::Most => "**--most**",
        Limit::Steps => "**steps**",
    }
}

/// Writes all clips.
pub fn write(report: &mut Report, bounds: Bounds, clips: &[Clip]) {
    report.text(format!(
        "The most viewers that were measured to leave a server at {} of its core or less, all of them joined, with the whole \
         clip, and at most one packet in 100,000 missing after repair. Each number has a fresh server; servers are searched in turn, and \
         ratios are of one round. Medians of the rounds, with the smallest and the largest. The answer is at most a \
         twentieth below the true one, a tenth where something else than load is the bound.",
        number(bounds.load, 2)
    ));
    let whole = |value| number(value, 0);
    for clip in clips {
        report.heading(format!("{} Mb/s: 1080p25 with a keyframe every 2 s, and Opus", clip.megabits));
        let mut table = Table::new(&[
            "server",
            "viewers",
            "Sluice carries",
            "not more because of",
            "cores",
            "Mbit/s",
            "packets/s",
            "ns per packet",
            "µs per viewer and second",
            "memory",
        ]);
        for server in &clip.servers {
            if let Some(why) = &server.not_measured {
                // Only the first line: errors quote logs.
                let why = why.lines().next().unwrap_or_default();
                table.row([server.name.clone(), format!("not measured: {why}")]);
                if server.viewers.is_none() {
                    continue;
                }
            }
            let limits: Vec<&str> = server.limits.iter().map(|&limit| limit_text(limit)).collect();
            table.row([
                server.name.clone(),
                text(server.viewers, whole),
                format!(
                    "{}{}",
                    if server.at_least { "at least " } else { "" },
                    text(server.sluice_carries, |ratio| format!("{} x", number(ratio, 1)))
                ),
                limits.join(", "),
                text(server.cores, |cores| number(cores, 2)),
                text(server.bits_per_second, |bits| number(bits / 1e6, 0)),
                text(server.packets_per_second, whole),
                text(server.ns_per_packet, whole),
                text(server.us_per_viewer_second, whole),
                text(server.rss_bytes, |bytes| format!("{} MiB", number(bytes / f64::from(1 << 20), 0))),
            ]);
        }
        report.table(table);
    }
    report.text(
        "*Not more because of*, round by round: **generator**, **--most** and **steps** are bounds of this bench, and the \
         server carries at least so many. *Generator* means that with more viewers packets were missing while the generator \
         had less than a tenth of its time left or waited for its core, or that this machine's kernel had dropped them on the \
         receiving side.",
    );
    report.set_figures(&serde_json::json!({ "bounds": bounds, "clips": clips }));
}

#[cfg(test)]
mod tests {
    use super::super::search::Found;
    use super::*;
    use crate::measured::tests::TEXT;

    fn round(viewers: u32) -> Round {
        let found = Found { viewers, limit: Limit::Load };
        let carried = (viewers > 0).then(|| serde_json::from_str(TEXT).expect("a report"));
        Round { found, steps: Vec::new(), carried }
    }

    fn contender(name: &str, viewers: impl IntoIterator<Item = u32>) -> Contender<'_> {
        let rounds = viewers.into_iter().map(round).collect();
        Contender { name, peer: None, rounds, not_measured: None }
    }

    #[test]
    fn ratios_are_of_one_round_and_their_median_is_told() {
        // The machine was half as fast in the second round, for both.
        let (ours, theirs) = (contender("sluice", [1_000, 500, 900]), contender("other", [100, 50, 75]));
        let ratio = figures(&theirs, &ours).sluice_carries.expect("three rounds");
        assert_eq!((ratio.median, ratio.min, ratio.max), (10.0, 10.0, 12.0));
        assert_eq!(figures(&ours, &ours).sluice_carries.map(|ratio| ratio.max), Some(1.0));
    }

    #[test]
    fn a_server_that_carries_nobody_has_no_ratio_and_no_cost() {
        let (ours, theirs) = (contender("sluice", [1_000]), contender("other", [0]));
        let figures = figures(&theirs, &ours);
        assert_eq!((figures.sluice_carries, figures.ns_per_packet), (None, None));
        assert_eq!(figures.viewers.map(|viewers| viewers.median), Some(0.0));
    }

    #[test]
    fn what_the_bench_bounded_is_no_ratio_or_a_smallest_one() {
        let bounded = |mut contender: Contender<'static>| {
            contender.rounds[0].found.limit = Limit::Most;
            contender
        };
        let (ours, theirs) = (contender("sluice", [1_000]), contender("other", [100]));
        let least = figures(&theirs, &bounded(contender("sluice", [1_000])));
        assert_eq!((least.sluice_carries.map(|ratio| ratio.median), least.at_least), (Some(10.0), true));
        assert_eq!(figures(&bounded(contender("other", [100])), &ours).sluice_carries, None);
        assert!(!figures(&theirs, &ours).at_least);
    }
}
