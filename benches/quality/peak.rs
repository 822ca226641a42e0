//! What happens at the limit: more and more viewers until the server's core is full or something gives way, and then
//! as few as at first.
//!
//! Owns the steps, and what counts as the limit and as recovered. Never starts a server.

use std::time::Duration;

use serde::Serialize;
use serde_json::json;

use super::check::{Check, Verdict, whole_percent};
use super::{Options, reading};
use crate::error::BenchError;
use crate::measured::Measured;
use crate::report::Table;
use crate::rig::{Loading, Rig, Server};
use crate::spread::{number, percent};
use crate::tell;

/// Part of its one core at which the server is at its limit, and of a core at which the generator is.
const FULL: f64 = 0.9;

/// Part of the video missing for good from which on something gave way.
const LOSS: f64 = 0.001;

/// Part of a step that the generator may wait for its core before what goes wrong may be the machine's doing.
const WAITED: f64 = 0.05;

/// Loss, and times to connect, that the few viewers may have after the peak: as before, with room for a busy machine.
const LOSS_AFTER: f64 = 0.000_1;
const JOIN_FACTOR: f64 = 3.0;
const JOIN_MORE: f64 = 0.05;

/// Joining takes so long at each step, between the rates below.
const JOINING_SECONDS: f64 = 4.0;
const RATES: std::ops::RangeInclusive<f64> = 50.0..=500.0;

/// How long each step is measured.
const STEP: Duration = Duration::from_secs(4);
const QUICK_STEP: Duration = Duration::from_secs(2);

/// Why the viewers were not made more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Limit {
    /// The server's core was full.
    Core,
    /// Packets were lost, joins failed, or viewers were thrown out.
    Trouble,
    /// The generator's core was full, so that nothing can be said of the server.
    Generator,
    /// Something gave way while others had the generator's core, so that nothing can be said either.
    Disturbed,
    /// There were as many as asked for.
    Asked,
}

/// So many viewers, and how they fared.
#[derive(Debug, Clone, Serialize)]
struct Step {
    viewers: u32,
    joined: u64,
    attempted: u64,
    cores: f64,
    generator: f64,
    generator_waited: f64,
    video_loss: f64,
    join_p99_seconds: f64,
    gap_max_seconds: f64,
    troubles: Option<String>,
    /// What the generator doubts.
    warnings: Vec<String>,
}

impl Step {
    fn of(viewers: u32, measured: &Measured) -> Step {
        Step {
            viewers,
            joined: measured.joined,
            attempted: measured.attempted,
            cores: measured.server.map_or(0.0, |server| server.cores_user + server.cores_system),
            generator: measured.generator.busiest_thread.max(measured.generator.joining_busiest_thread),
            generator_waited: measured.generator.waited,
            video_loss: measured.totals.video.share_lost(),
            join_p99_seconds: measured.join.p99,
            gap_max_seconds: measured.gap.max,
            troubles: measured.troubles(),
            warnings: measured.warnings.clone(),
        }
    }

    /// What was reached at this step, if anything.
    fn limit(&self) -> Option<Limit> {
        let gave_way = self.video_loss > LOSS || self.troubles.is_some();
        // A full generator loses packets and times itself: that is not held against the server.
        if self.generator >= FULL {
            Some(Limit::Generator)
        } else if self.cores >= FULL {
            Some(Limit::Core)
        } else if gave_way && self.is_disturbed() {
            Some(Limit::Disturbed)
        } else {
            gave_way.then_some(Limit::Trouble)
        }
    }

    fn doubts(&self) -> impl Iterator<Item = String> {
        self.warnings.iter().map(|warning| format!("{} viewers: {warning}", self.viewers))
    }

    fn is_disturbed(&self) -> bool {
        self.generator_waited > WAITED
    }
}

/// Goes up to the limit and back.
pub async fn check(rig: &Rig, server: &Server, options: &Options) -> Result<Check, BenchError> {
    let most = options.peak_viewers();
    let first = options.viewers().min(most);
    let (mut steps, mut viewers) = (Vec::new(), first);
    let limit = loop {
        tell(&format!("the peak: {viewers} viewers"));
        let step = measure(rig, server, options, viewers).await?;
        let limit = step.limit();
        steps.push(step);
        match limit {
            Some(limit) => break limit,
            None if viewers >= most => break Limit::Asked,
            None => viewers = (viewers * 2).min(most),
        }
    };
    let (_, leaving) = reading::until_left(server).await?;
    let after = measure(rig, server, options, first).await?;
    Ok(judge(steps, limit, leaving, after))
}

async fn measure(rig: &Rig, server: &Server, options: &Options, viewers: u32) -> Result<Step, BenchError> {
    let mut loading = Loading::of(&[server.whep("demo")], viewers);
    loading.rate = (f64::from(viewers) / JOINING_SECONDS).clamp(*RATES.start(), *RATES.end());
    loading.duration = if options.common.quick { QUICK_STEP } else { STEP };
    Ok(Step::of(viewers, &rig.load(server, &loading).await?))
}

fn judge(steps: Vec<Step>, limit: Limit, leaving: Duration, after: Step) -> Check {
    let [first, ..] = &steps[..] else { return Check::not_checked(NAME, "no step was measured", "") };
    let peak = steps.last().unwrap_or(first);
    let recovered = after.joined == after.attempted
        && after.troubles.is_none()
        && after.video_loss <= LOSS_AFTER
        && after.join_p99_seconds <= first.join_p99_seconds * JOIN_FACTOR + JOIN_MORE;
    // Giving way with room on the core is a fault; giving way when it is full is what a limit means.
    let verdict = match (limit, recovered) {
        (Limit::Trouble, _) => Verdict::Bad,
        (_, false) if !after.is_disturbed() => Verdict::Bad,
        (Limit::Disturbed, _) | (_, false) => Verdict::NotChecked,
        (_, true) => Verdict::Good,
    };
    let reached = match limit {
        Limit::Core => format!("the server's core was full ({} cores)", number(peak.cores, 2)),
        Limit::Trouble => format!("something gave way with the server at {} cores", number(peak.cores, 2)),
        Limit::Generator => format!(
            "the generator was full first, the server at {} cores: its limit was not found",
            number(peak.cores, 2)
        ),
        Limit::Disturbed => format!(
            "something gave way with the server at {} cores, but the generator was without its core for {} of the time: \
             the machine does something else, and the limit was not found",
            number(peak.cores, 2),
            whole_percent(peak.generator_waited)
        ),
        Limit::Asked => format!(
            "that is as many as were asked for, the server at {} cores: its limit was not found",
            number(peak.cores, 2)
        ),
    };
    Check {
        name: NAME,
        verdict,
        measured: format!(
            "{} viewers: {reached}; {} of {} connected there, 99 % of these within {} ms, and {} of their video was lost; \
             the last was gone {} s after it left, and then {} viewers were served {}",
            peak.viewers,
            peak.joined,
            peak.attempted,
            number(peak.join_p99_seconds * 1e3, 0),
            percent(peak.video_loss),
            number(leaving.as_secs_f64(), 1),
            after.viewers,
            if recovered { "as at first" } else { "WORSE than at first" }
        ),
        how: format!(
            "Twice as many viewers in each step, until the server uses {} of its one core, or loses more than {} of the \
             video, or joins fail. When all have left, as few as in the first step. Good if nothing gives way before the core is full, \
             and if the few are served afterwards as at first. A peak that was not reached is said, and is not bad; what goes wrong while the generator \
             is kept from its core ({} of the time or more) counts as not checked.",
            whole_percent(FULL),
            percent(LOSS),
            whole_percent(WAITED)
        ),
        table: Some(table(&steps, &after)),
        doubts: steps.iter().chain([&after]).flat_map(Step::doubts).collect(),
        figures: json!({ "limit": limit, "steps": steps, "leaving_seconds": leaving.as_secs_f64(), "after": after }),
    }
}

const NAME: &str = "Behaviour at the peak";

fn table(steps: &[Step], after: &Step) -> Table {
    let mut table = Table::new(&[
        "viewers",
        "connected",
        "server",
        "generator's busiest thread",
        "it waited",
        "video lost",
        "time to connect, p99",
        "longest gap",
        "troubles",
    ]);
    let last = ("then ", after);
    for (prefix, step) in steps.iter().map(|step| ("", step)).chain([last]) {
        table.row([
            format!("{prefix}{}", step.viewers),
            format!("{} of {}", step.joined, step.attempted),
            format!("{} cores", number(step.cores, 2)),
            format!("{} cores", number(step.generator, 2)),
            whole_percent(step.generator_waited),
            percent(step.video_loss),
            format!("{} ms", number(step.join_p99_seconds * 1e3, 1)),
            format!("{} ms", number(step.gap_max_seconds * 1e3, 0)),
            step.troubles.clone().unwrap_or_default(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(cores: f64, generator: f64, video_loss: f64) -> Step {
        Step {
            viewers: 10,
            joined: 10,
            attempted: 10,
            cores,
            generator,
            generator_waited: 0.0,
            video_loss,
            join_p99_seconds: 0.01,
            gap_max_seconds: 0.05,
            troubles: None,
            warnings: Vec::new(),
        }
    }

    #[test]
    fn the_limit_is_that_of_whoever_is_full_first() {
        assert_eq!(step(0.5, 0.5, 0.0).limit(), None);
        assert_eq!(step(0.95, 0.5, 0.2).limit(), Some(Limit::Core));
        assert_eq!(step(0.95, 0.95, 0.2).limit(), Some(Limit::Generator));
        assert_eq!(step(0.5, 0.5, 0.002).limit(), Some(Limit::Trouble));
        let thrown_out = Step { troubles: Some("1 x consent".to_owned()), ..step(0.5, 0.5, 0.0) };
        assert_eq!(thrown_out.limit(), Some(Limit::Trouble));
        assert_eq!(Step { generator_waited: 0.3, ..thrown_out }.limit(), Some(Limit::Disturbed));
        assert_eq!(Step { generator_waited: 0.3, ..step(0.5, 0.5, 0.0) }.limit(), None);
    }

    #[test]
    fn giving_way_early_and_not_recovering_are_bad() {
        let good = || step(0.2, 0.2, 0.0);
        let verdict =
            |peak: Step, limit, after: Step| judge(vec![good(), peak], limit, Duration::ZERO, after).verdict;
        assert_eq!(verdict(step(0.95, 0.5, 0.3), Limit::Core, good()), Verdict::Good);
        assert_eq!(verdict(good(), Limit::Asked, good()), Verdict::Good);
        assert_eq!(verdict(step(0.5, 0.5, 0.3), Limit::Trouble, good()), Verdict::Bad);
        assert_eq!(verdict(good(), Limit::Asked, step(0.2, 0.2, 0.01)), Verdict::Bad);
        assert_eq!(verdict(good(), Limit::Core, Step { join_p99_seconds: 1.0, ..good() }), Verdict::Bad);
        assert_eq!(verdict(good(), Limit::Core, Step { joined: 9, ..good() }), Verdict::Bad);
        let disturbed = Step { joined: 9, generator_waited: 0.3, ..good() };
        assert_eq!(verdict(good(), Limit::Core, disturbed.clone()), Verdict::NotChecked);
        assert_eq!(verdict(disturbed, Limit::Disturbed, good()), Verdict::NotChecked);
    }
}
