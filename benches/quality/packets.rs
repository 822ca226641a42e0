//! What plain viewers get: packets, on a clean line and on a bad one, and their joins. All of `sluice load whep`.
//!
//! Owns the bounds. Never starts a server.

use serde_json::json;

use super::Options;
use super::check::{Check, Verdict};
use crate::error::BenchError;
use crate::measured::{Measured, share};
use crate::rig::{Loading, Rig, Server};
use crate::spread::{number, percent};

/// Part of the video that may be missing for good on a clean line. Sockets of a busy machine drop now and then.
const CLEAN_LOSS: f64 = 0.000_1;

/// Loss that the bad line has, and the part of the video that may then be missing for good.
const LINE_LOSS: &str = "5%";
const REPAIRED_LOSS: f64 = 0.001;

/// One viewer in so many decrypts everything and puts frames together.
const VERIFY: u32 = 10;

/// Runs both load tests.
pub async fn check(rig: &Rig, server: &Server, options: &Options) -> Result<[Check; 3], BenchError> {
    let mut loading = Loading::of(&[server.whep("demo")], options.viewers());
    loading.duration = options.measuring();
    loading.more = vec![format!("--verify={VERIFY}")];
    let clean = rig.load(server, &loading).await?;
    loading.more.extend([format!("--loss={LINE_LOSS}"), "--seed=1".to_owned()]);
    let lossy = rig.load(server, &loading).await?;
    Ok([joins(&clean), loss(&clean), repair(&lossy)])
}

fn joins(clean: &Measured) -> Check {
    let (joined, attempted) = (clean.joined, clean.attempted);
    let mut measured = format!(
        "{joined} of {attempted} viewers connected, half within {} ms, the last in {} ms",
        number(clean.join.p50 * 1e3, 1),
        number(clean.join.max * 1e3, 1)
    );
    if let Some(troubles) = clean.troubles() {
        measured += &format!("; {troubles}");
    }
    Check {
        name: "Joins of plain viewers",
        verdict: Verdict::good_if(joined == attempted && clean.ended.is_empty()),
        measured,
        how: "`sluice load whep`: POST, ICE as a full agent with one host candidate, DTLS, then packets. Good if all \
              connect and none ends before its time."
            .to_owned(),
        figures: json!({ "joined": joined, "attempted": attempted, "p50_seconds": clean.join.p50, "max_seconds": clean.join.max }),
        table: None,
        doubts: clean.warnings.clone(),
    }
}

fn loss(clean: &Measured) -> Check {
    let video = clean.totals.video;
    let verified = clean.verified;
    Check {
        name: "Packet loss",
        verdict: Verdict::good_if(
            video.expected > 0
                && video.share_lost() <= CLEAN_LOSS
                && share(clean.lost, clean.totals.counts.expected) <= CLEAN_LOSS
                && verified.frames > 0
                && verified.incomplete == 0,
        ),
        measured: format!(
            "{} of {} packets did not come, {} of the video after repair; {} of {} frames that were put together were \
             incomplete",
            number(clean.lost as f64, 0),
            number(clean.totals.counts.expected as f64, 0),
            percent(video.share_lost()),
            verified.incomplete,
            number((verified.frames + verified.incomplete) as f64, 0)
        ),
        how: format!(
            "The same viewers, counted by RTP sequence numbers; one in {VERIFY} decrypts and puts frames together. Good if \
             at most {} is missing and no frame is incomplete.",
            percent(CLEAN_LOSS)
        ),
        figures: json!({
            "expected": clean.totals.counts.expected, "lost": clean.lost,
            "video_loss": video.share_lost(), "frames": verified.frames, "incomplete_frames": verified.incomplete,
        }),
        table: None,
        doubts: Vec::new(),
    }
}

fn repair(lossy: &Measured) -> Check {
    let video = lossy.totals.video;
    let before = video.share_lost_before_repair();
    Check {
        name: "Repair of loss",
        // Without loss there is nothing to judge.
        verdict: Verdict::good_if(before > 0.0 && video.share_lost() <= REPAIRED_LOSS),
        measured: format!(
            "of the video {} was lost on the way, {} after repair",
            percent(before),
            percent(video.share_lost())
        ),
        how: format!(
            "The same with {LINE_LOSS} of all packets discarded on arrival, retransmissions too, and NACK as browsers do it. \
             Good if at most {} of the video is missing in the end. Sound is not asked for again, as in browsers.",
            percent(REPAIRED_LOSS)
        ),
        figures: json!({ "video_loss_before_repair": before, "video_loss": video.share_lost() }),
        table: None,
        doubts: lossy.warnings.clone(),
    }
}
