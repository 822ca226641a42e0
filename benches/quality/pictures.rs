//! Whether a browser shows the pictures that were sent: each of its pictures is looked for in the source and compared.
//!
//! Owns the search and the bounds. Never decodes.
//!
//! What was sent is found by likeness alone, on pictures of a quarter of the size, because nothing in a browser's
//! picture says which it is. Two things keep that honest: the pictures found must lie as far apart in the clip as
//! the RTP timestamps of those shown, and the same measure must tell other pictures apart (the picture that was found
//! for the next one shown, and plain grey).

use serde::Serialize;
use serde_json::json;

use super::browser::MISSING;
use super::check::{Check, Verdict};
use super::chromium::{Seen, Shot};
use super::source;
use super::ssim::Plane;
use crate::error::BenchError;
use crate::report::Table;
use crate::rig::Rig;
use crate::spread::number;

const NAME: &str = "Pictures";

/// SSIM that each picture must have with its source. What is sent is not encoded again, so that only the browser's
/// conversion of colours lies between: 0.9999 with Chromium 156. Raising it to that calls other rounding bad; lowering
/// it below that of other pictures of the demo (up to 0.97, most of them does not move) lets a wrong one pass.
const SSIM: f64 = 0.99;

/// SSIM that grey may have at most, or the measure is broken.
const GREY: f64 = 0.9;

/// Ticks of an RTP timestamp from one picture to the next, and pictures of the clip.
const TICKS: i64 = 3_000;
const CLIP: i64 = 300;

/// By how many pictures one may lie beside its timestamp: what is drawn may be one later than what was announced.
const BESIDE: i64 = 1;

/// A picture shown and what was found for it.
#[derive(Debug, Clone, Serialize)]
struct Found {
    /// Its RTP timestamp.
    timestamp: u32,
    /// Its place in the clip.
    picture: usize,
    /// SSIM with that picture of the source.
    ssim: f64,
    /// SSIM with the source picture that was found for the next one shown.
    other: f64,
    /// SSIM with grey.
    grey: f64,
    /// By how many pictures it lies beside where its timestamp says, counted from the first one.
    beside: i64,
}

/// Compares what a browser saw with the demo clip.
pub fn check(rig: &Rig, seen: Option<&Seen>) -> Result<Check, BenchError> {
    let how = format!(
        "Frames are drawn from the browser's video element at full size, with their RTP timestamps, and are kept in \
         `pictures/`. ffmpeg decodes the source clip and them to luma; each is looked for in the whole clip. Good if \
         SSIM with the picture found is at least {SSIM}, if the pictures found lie as far apart as the timestamps say, \
         and if the same measure is lower for another picture of the clip and below {GREY} for grey."
    );
    let unchecked = |why: &str| Ok(Check::not_checked(NAME, why, &how));
    let Some(seen) = seen else { return unchecked(MISSING) };
    if !source::is_there() {
        return unchecked("ffmpeg is not installed (apt-get install ffmpeg)");
    }
    if seen.shots.len() < 2 {
        return unchecked("the browser sent no pictures; its joins say why");
    }
    let mut search = Search::new(&seen.shots)?;
    source::clip(rig.out(), |index, plane| search.look(index, plane))?;
    let found = search.end();
    let mut check = judge(&found);
    check.how = how;
    Ok(check)
}

fn judge(found: &[Found]) -> Check {
    let least = found.iter().map(|found| found.ssim).fold(1.0, f64::min);
    let other = found.iter().map(|found| found.other).fold(0.0, f64::max);
    let grey = found.iter().map(|found| found.grey).fold(0.0, f64::max);
    let misplaced = found.iter().filter(|found| found.beside.abs() > BESIDE).count();
    let told_apart = found.iter().all(|found| found.other < found.ssim) && grey < GREY;
    let mut table =
        Table::new(&["RTP timestamp", "picture of the clip", "beside", "SSIM", "with another", "with grey"]);
    for found in found {
        table.row([
            found.timestamp.to_string(),
            found.picture.to_string(),
            found.beside.to_string(),
            number(found.ssim, 4),
            number(found.other, 4),
            number(found.grey, 4),
        ]);
    }
    Check {
        name: NAME,
        verdict: Verdict::good_if(!found.is_empty() && least >= SSIM && misplaced == 0 && told_apart),
        measured: format!(
            "{} pictures of a browser's, SSIM with their sources {} or more (with other pictures of the clip up to {}, \
             with grey up to {}); {misplaced} not where their timestamps say",
            found.len(),
            number(least, 4),
            number(other, 4),
            number(grey, 4)
        ),
        how: String::new(),
        figures: json!(found),
        table: Some(table),
        doubts: Vec::new(),
    }
}

/// The best picture of the source so far, for each one shown.
struct Search {
    shots: Vec<Candidate>,
}

struct Candidate {
    timestamp: u32,
    shown: Plane,
    small: Plane,
    best: Option<Best>,
}

struct Best {
    index: usize,
    likeness: f64,
    plane: Plane,
}

impl Search {
    fn new(shots: &[Shot]) -> Result<Search, BenchError> {
        let candidate = |shot: &Shot| {
            let shown = source::png(&shot.file)?;
            let small = shown.quarter();
            Ok(Candidate { timestamp: shot.timestamp, shown, small, best: None })
        };
        Ok(Search { shots: shots.iter().map(candidate).collect::<Result<_, BenchError>>()? })
    }

    /// Compares one picture of the source with all that were shown.
    fn look(&mut self, index: usize, plane: Plane) {
        let small = plane.quarter();
        for shot in &mut self.shots {
            let likeness = shot.small.ssim(&small).unwrap_or(0.0);
            if shot.best.as_ref().is_none_or(|best| best.likeness < likeness) {
                shot.best = Some(Best { index, likeness, plane: plane.clone() });
            }
        }
    }

    /// What was found; nothing if the source had no pictures.
    fn end(self) -> Vec<Found> {
        let best: Option<Vec<(Candidate, Best)>> =
            self.shots.into_iter().map(|mut shot| shot.best.take().map(|best| (shot, best))).collect();
        let best = best.unwrap_or_default();
        let Some((first, origin)) = best.first() else { return Vec::new() };
        let (first, origin) = (first.timestamp, origin.index);
        let found = |(place, (shot, own)): (usize, &(Candidate, Best))| {
            let (_, other) = &best[(place + 1) % best.len()];
            let ssim = |plane: &Plane| shot.shown.ssim(plane).unwrap_or(0.0);
            Found {
                timestamp: shot.timestamp,
                picture: own.index,
                ssim: ssim(&own.plane),
                other: ssim(&other.plane),
                grey: ssim(&shot.shown.grey_like(128)),
                beside: beside((first, origin), (shot.timestamp, own.index)),
            }
        };
        best.iter().enumerate().map(found).collect()
    }
}

/// By how many pictures `place` lies beside where its timestamp puts it, seen from `origin`. The clip is a ring.
fn beside(origin: (u32, usize), place: (u32, usize)) -> i64 {
    let ticks = i64::from(place.0.wrapping_sub(origin.0).cast_signed());
    let expected = (ticks + TICKS / 2).div_euclid(TICKS);
    let steps = place.1 as i64 - origin.1 as i64;
    (steps - expected + CLIP / 2).rem_euclid(CLIP) - CLIP / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_compared_with_its_timestamp_on_a_ring() {
        assert_eq!(beside((0, 10), (30_000, 20)), 0);
        assert_eq!(beside((0, 10), (30_000, 21)), 1);
        assert_eq!(beside((0, 295), (30_000, 5)), 0, "over the end of the clip");
        assert_eq!(beside((u32::MAX - 2_999, 0), (0, 1)), 0, "over the end of 32 bits");
        assert_eq!(beside((0, 0), (300 * 3_000, 0)), 0, "once around");
        assert_eq!(beside((0, 0), (30_010, 10)), 0, "rounded");
        assert_eq!(beside((0, 0), (30_000, 250)), -60);
    }

    fn found(ssim: f64, other: f64, grey: f64, beside: i64) -> Found {
        Found { timestamp: 0, picture: 0, ssim, other, grey, beside }
    }

    #[test]
    fn a_wrong_picture_a_misplaced_one_and_a_blind_measure_are_bad() {
        let good = found(0.999, 0.9, 0.3, 1);
        let verdict = |others: &[Found]| judge(&[std::slice::from_ref(&good), others].concat()).verdict;
        assert_eq!(verdict(&[]), Verdict::Good);
        assert_eq!(verdict(&[found(0.97, 0.9, 0.3, 0)]), Verdict::Bad, "about as alike as its neighbour");
        assert_eq!(verdict(&[found(0.6, 0.5, 0.3, 0)]), Verdict::Bad, "no such picture in the clip");
        assert_eq!(verdict(&[found(0.999, 0.9, 0.3, 7)]), Verdict::Bad, "it does not go on as it should");
        assert_eq!(verdict(&[found(0.999, 0.999, 0.3, 0)]), Verdict::Bad, "others look the same");
        assert_eq!(verdict(&[found(0.999, 0.9, 0.95, 0)]), Verdict::Bad, "grey looks the same");
        assert_eq!(judge(&[]).verdict, Verdict::Bad);
    }

    #[test]
    fn the_most_alike_picture_is_found_among_many() {
        let picture = |shift: usize| {
            let pixel = |at: usize| ((at % 64 + shift * 7) / 12 % 2 * 150 + at / 64) as u8;
            Plane::new(64, 64, (0..64 * 64).map(pixel).collect()).expect("a plane")
        };
        let shot = |timestamp, shown: Plane| {
            let small = shown.quarter();
            Candidate { timestamp, shown, small, best: None }
        };
        let mut search = Search { shots: vec![shot(9_000, picture(2)), shot(12_000, picture(3))] };
        (0..5).for_each(|index| search.look(index, picture(index)));
        let found = search.end();
        assert_eq!(
            found.iter().map(|found| (found.picture, found.beside)).collect::<Vec<_>>(),
            [(2, 0), (3, 0)]
        );
        assert!(
            found.iter().all(|found| found.ssim > 0.999 && found.other < 0.9 && found.grey < 0.9),
            "{found:?}"
        );
    }
}
