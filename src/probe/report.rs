//! What a probe found, judged: whether it plays, what to change, and what to paste.
//!
//! Owns the verdict and the shape of `--json` (docs/CAMERAS.md). Never waits and never measures.

use std::time::Duration;

use serde::Serialize;
use sluice_config::{Fingerprint, RtspUrl, StreamName, Transport};
use sluice_media::{Kind, VideoCodec};
use utoipa::ToSchema;

use super::lines::lines;
use super::measure::{Interval, Measure};
use crate::source::rtsp::{Outcome, SignIn, Stage};
use crate::stream::advice::Advice;
use crate::stream::{AudioFormat, Brand, HIGH, Setting, VideoFormat, fitness};

/// Seconds from one keyframe to the next from which on it is named: who loses a packet sees a still picture for as
/// long. Lower names cameras that are set like this to save bits; higher leaves still pictures unexplained.
const LONG_INTERVAL: f64 = 5.0;

/// What to change where there is no video that browsers take.
fn other_video() -> String {
    format!("set its video to {}", VideoCodec::WANTED)
}

/// All that there is to judge.
pub(super) struct Found<'a> {
    /// Host and port.
    pub(super) address: String,
    pub(super) url: &'a RtspUrl,
    pub(super) name: &'a StreamName,
    /// Of its certificate, if one was given.
    pub(super) fingerprint: Option<Fingerprint>,
    /// There were credentials to sign in with.
    pub(super) credentials: bool,
    pub(super) outcome: &'a Outcome,
    pub(super) measure: &'a Measure,
    /// How long it took.
    pub(super) time: Duration,
    /// How long the camera had been silent by then, if it had.
    pub(super) silence: Option<Duration>,
    /// Somebody ended it.
    pub(super) interrupted: bool,
}

/// Two streams of one camera.
pub(super) struct Two<'a> {
    /// The one that was asked for.
    pub(super) first: &'a RtspUrl,
    pub(super) other: &'a RtspUrl,
    /// Which layer of a pair the other one would be.
    pub(super) layer: u8,
    pub(super) name: &'a StreamName,
    pub(super) fingerprint: Option<Fingerprint>,
}

/// Whether browsers play it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ProbePlays)]
pub(crate) enum Plays {
    Yes,
    /// With a flaw.
    But,
    No,
}

impl Plays {
    /// Whether there is a picture, perhaps with a flaw.
    fn does(self) -> bool {
        self != Plays::No
    }
}

/// The report: the fields of `--json`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeReport)]
pub(crate) struct Report {
    /// Host and port.
    pub(super) camera: String,
    pub(super) plays: Plays,
    /// That and why, in a sentence: `plays in all browsers`, `plays where H.265 is there`, or `no, because` of what.
    pub(super) verdict: String,
    pub(super) exit_code: u8,
    /// What is wrong; empty if nothing is.
    pub(super) reasons: Vec<String>,
    /// What to change on the camera.
    pub(super) changes: Vec<String>,
    /// `tcp` or `udp`; null before a track was set up.
    pub(super) transport: Option<&'static str>,
    pub(super) sign_in: Asked,
    pub(super) tracks: Vec<Track>,
    pub(super) video: Option<Video>,
    pub(super) audio: Option<Audio>,
    pub(super) packets_lost: u64,
    /// How often the camera began anew within the session.
    pub(super) restarts: u64,
    /// What is there and left out.
    pub(super) notes: Vec<String>,
    pub(super) seconds: f64,
    /// The camera's second stream, where the URL tells which it is and the camera let us in.
    pub(super) second: Option<Second>,
    /// Lines for the configuration file, once a track was set up: of a pair, where both streams play.
    pub(super) toml: Option<String>,
    /// How media came.
    #[serde(skip)]
    came_by: Option<Transport>,
}

/// The other one of a camera's two streams.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeSecond)]
pub(crate) struct Second {
    /// Which layer of a pair it would be, `high` or `low`.
    pub(super) layer: &'static str,
    /// Its URL, without secrets.
    pub(super) url: String,
    pub(super) plays: Plays,
    /// As that of the first.
    pub(super) verdict: String,
    pub(super) reasons: Vec<String>,
    pub(super) changes: Vec<String>,
    pub(super) video: Option<Video>,
    pub(super) audio: Option<Audio>,
}

/// How the camera asked who is there.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeAsked)]
pub(crate) struct Asked {
    /// `none`, `basic`, `digest` or `unknown`.
    pub(super) scheme: &'static str,
    /// The hash of Digest.
    pub(super) algorithm: Option<&'static str>,
    pub(super) refused: bool,
    /// There were credentials to answer with.
    pub(super) credentials: bool,
}

/// One thing that the camera offers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeTrack)]
pub(crate) struct Track {
    pub(super) kind: &'static str,
    pub(super) name: String,
    /// Whether it was set up.
    pub(super) carried: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeVideo)]
pub(crate) struct Video {
    pub(super) codec: &'static str,
    pub(super) profile: Option<String>,
    pub(super) level: Option<String>,
    /// Six hexadecimal digits (RFC 6184 §8.1).
    pub(super) profile_level_id: Option<String>,
    pub(super) width: Option<u16>,
    pub(super) height: Option<u16>,
    /// Pictures that came.
    pub(super) pictures: u64,
    pub(super) pictures_per_second: Option<f64>,
    /// What the camera says of itself.
    pub(super) announced_pictures_per_second: Option<f32>,
    pub(super) bits_per_second: Option<f64>,
    /// Keyframes that players can begin with.
    pub(super) keyframes: u64,
    /// Null if fewer than two came.
    pub(super) keyframe_interval_seconds: Option<Interval>,
    /// Seconds with pictures behind the last keyframe.
    pub(super) seconds_since_keyframe: Option<f64>,
    pub(super) b_frames: bool,
    pub(super) interlaced: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProbeAudio)]
pub(crate) struct Audio {
    pub(super) codec: &'static str,
    pub(super) channels: u8,
    /// Packets that came.
    pub(super) packets: u64,
    pub(super) bits_per_second: Option<f64>,
}

impl Report {
    pub(super) fn new(found: &Found<'_>) -> Report {
        let Found { outcome, measure, .. } = found;
        let formats = measure.formats();
        let all = advice(found);
        let stage = match (&outcome.failed, formats) {
            (Some(failed), _) => failed.stage,
            (None, None) => Stage::Unreached,
            (None, Some(_)) => Stage::Reached,
        };
        let plays = match &all[..] {
            [] => Plays::Yes,
            all if all.iter().any(|advice| advice.stops) => Plays::No,
            _ => Plays::But,
        };
        let exit_code = match (plays, stage) {
            (Plays::Yes | Plays::But, _) => 0,
            (Plays::No, Stage::Reached) => 1,
            (Plays::No, Stage::Unreached | Stage::SignIn) => 3,
        };
        let mut changes: Vec<String> = all.iter().filter_map(|advice| advice.remedy.clone()).collect();
        if outcome.sign_in == SignIn::Basic {
            changes.push(
                "set its RTSP authentication to Digest: with Basic the password goes over the line in clear"
                    .to_owned(),
            );
        }
        changes.dedup();
        Report {
            camera: found.address.clone(),
            plays,
            verdict: verdict(plays, &all),
            exit_code,
            reasons: all.into_iter().map(|advice| advice.what).collect(),
            changes,
            transport: outcome.transport.map(Transport::name),
            sign_in: asked(outcome, stage, found.credentials),
            tracks: tracks(outcome),
            video: formats.and_then(|formats| formats.video.as_ref()).map(|video| Video::new(video, measure)),
            audio: formats.and_then(|formats| formats.audio.as_ref()).map(|audio| Audio::new(audio, measure)),
            packets_lost: measure.packets_lost(),
            restarts: measure.restarts(),
            notes: formats.map(|formats| formats.notes.clone()).unwrap_or_default(),
            seconds: rounded(found.time.as_secs_f64()),
            second: None,
            toml: outcome
                .transport
                .map(|transport| lines(&[found.url], found.name, transport, found.fingerprint)),
            came_by: outcome.transport,
        }
    }

    /// Whether the camera was reached and let us in.
    pub(super) fn is_reached(&self) -> bool {
        self.exit_code <= 1
    }

    pub(super) fn found_transport(&self) -> Option<Transport> {
        self.came_by
    }

    /// How long all of it took.
    pub(super) fn took(&mut self, time: Duration) {
        self.seconds = rounded(time.as_secs_f64());
    }

    /// Takes what was found at the camera's other stream.
    pub(super) fn join(&mut self, two: &Two<'_>, second: Report) {
        let Two { first, other, layer, name, fingerprint } = *two;
        let both = if layer == HIGH { [other, first] } else { [first, other] };
        if let Some(transport) = self.came_by.filter(|_| self.plays.does() && second.plays.does()) {
            self.toml = Some(lines(&both, name, transport, fingerprint));
        }
        let Report { plays, verdict, reasons, changes, video, audio, .. } = second;
        self.second = Some(Second {
            layer: if layer == HIGH { "high" } else { "low" },
            url: other.to_string(),
            plays,
            verdict,
            reasons,
            changes,
            video,
            audio,
        });
    }

    /// As JSON, with a line end.
    pub(super) fn json(&self) -> String {
        // Strings and finite numbers only, so it cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }
}

/// Whether browsers play it, and what is wrong, in a sentence.
fn verdict(plays: Plays, all: &[Advice]) -> String {
    if plays == Plays::No {
        let reasons: Vec<&str> = all.iter().map(|advice| advice.what.as_str()).collect();
        return format!("no, because {}", reasons.join("; "));
    }
    // That its codec is not everywhere is the verdict itself.
    let (codec, flaws): (Vec<&Advice>, Vec<&Advice>) =
        all.iter().partition(|advice| advice.setting == Some(Setting::Codec));
    let words = if codec.is_empty() { "plays in all browsers" } else { "plays where H.265 is there" };
    let flaws: Vec<&str> = flaws.iter().map(|advice| advice.what.as_str()).collect();
    if flaws.is_empty() { words.to_owned() } else { format!("{words}, but {}", flaws.join("; ")) }
}

/// What is wrong, the worst first.
fn advice(found: &Found<'_>) -> Vec<Advice> {
    let Found { outcome, measure, .. } = found;
    let stops = |what: String| Advice { what, remedy: None, stops: true, setting: None };
    let flaw = |what: String, remedy: Option<&str>| Advice {
        what,
        remedy: remedy.map(str::to_owned),
        stops: false,
        setting: None,
    };
    let mut all = Vec::new();
    if let Some(failed) = &outcome.failed {
        let when = if measure.pictures() + measure.sounds() > 0 {
            format!("after {:.1} s ", found.time.as_secs_f64())
        } else {
            String::new()
        };
        let unfit = !outcome.offered.is_empty() && !outcome.offered.iter().any(|offered| offered.fit);
        all.push(Advice {
            what: format!("{when}camera {} {}", found.address, failed.words),
            remedy: unfit.then(other_video),
            stops: true,
            setting: None,
        });
    }
    let Some(formats) = measure.formats() else {
        if all.is_empty() {
            all.push(stops(if found.interrupted {
                "it was ended before a session was established".to_owned()
            } else {
                format!(
                    "{:.1} s did not suffice to establish a session: give it more by --timeout",
                    found.time.as_secs_f64()
                )
            }));
        }
        return all;
    };
    if let (Some(silence), None) = (found.silence, &outcome.failed) {
        let before = found.time.saturating_sub(silence);
        all.push(Advice {
            what: format!(
                "it went silent: media came in the first {:.1} s, and none in the {:.1} s behind them",
                before.as_secs_f64(),
                silence.as_secs_f64()
            ),
            remedy: Some("look whether its encoder runs, on its own page, or restart it".to_owned()),
            stops: true,
            setting: None,
        });
    }
    let brand = formats.brand;
    if formats.video.is_some() {
        if measure.pictures() == 0 && outcome.failed.is_none() {
            all.push(stops(format!("no whole picture came within {:.1} s", found.time.as_secs_f64())));
        } else if measure.pictures() > 0 {
            all.extend(measure.watch().trouble().map(|trouble| trouble.for_brand(brand)));
        }
        all.extend(
            formats.video.iter().flat_map(|video| fitness::advice(video.codec, &measure.facts(), brand)),
        );
        let second = measure.interval().map(|interval| interval.longest);
        let longest = second.into_iter().chain(measure.since_keyframe()).fold(0.0, f64::max);
        if longest >= LONG_INTERVAL {
            let what = match second {
                Some(_) => format!("keyframes are up to {longest:.1} s apart"),
                None => format!("no second keyframe within {longest:.1} s"),
            };
            let remedy = "set its keyframe interval (I-frame interval, GOP) to 2 s";
            let advice =
                flaw(format!("{what}: who loses a packet sees a still picture until the next"), Some(remedy));
            all.push(Advice { setting: Some(Setting::Keyframes), ..advice }.for_brand(brand));
        }
    } else if measure.sounds() > 0 {
        all.push(flaw("sound only: no video that is carried".to_owned(), Some(&other_video())));
    } else if outcome.failed.is_none() {
        all.push(stops("no sound came, and there is no video that is carried".to_owned()));
    }
    let remarks = measure.remarks();
    // What the session says of its packets is truer than their bare number.
    if !remarks.is_empty() {
        all.extend(remarks.into_iter().map(|remark| flaw(remark, None)));
    } else if measure.restarts() > 0 {
        let restarts = measure.restarts();
        all.push(flaw(
            format!("it began its stream anew {restarts} times: each time the picture may stand until the next keyframe"),
            None,
        ));
    } else if measure.packets_lost() > 0 {
        let hint = match outcome.transport {
            Some(Transport::Udp) => ": try --transport tcp",
            _ => " by the camera: is its network, or the camera itself, too slow for its bitrate?",
        };
        all.push(flaw(format!("{} packets were lost{hint}", measure.packets_lost()), None));
    }
    if formats.audio.is_none() {
        let left_out = outcome.offered.iter().find(|offered| offered.kind == Some(Kind::Audio));
        let entry = Brand::entry(brand, Setting::Sound);
        let remedy =
            format!("set its sound to G.711 (PCMU or PCMA, 8 kHz, mono), to Opus or to AAC-LC{entry}");
        all.extend(left_out.map(|sound| {
            flaw(format!("without its sound ({})", sound.name), (!sound.fit).then_some(remedy.as_str()))
        }));
    } else if measure.sounds() == 0 && measure.pictures() > 0 {
        all.push(flaw("no sound came, though it is announced".to_owned(), None));
    }
    all.sort_by_key(|advice| !advice.stops);
    all
}

impl Video {
    fn new(format: &VideoFormat, measure: &Measure) -> Video {
        let facts = measure.facts();
        let (width, height) = facts.size.unzip();
        let announced = format.frame_rate.or(facts.frame_rate);
        let (profile, level) = facts.profile_level_id.map(|id| format.codec.nal().profile_name(id)).unzip();
        Video {
            codec: format.codec.encoding_name(),
            profile,
            level,
            profile_level_id: facts.profile_level_id.map(|[a, b, c]| format!("{a:02x}{b:02x}{c:02x}")),
            width,
            height,
            pictures: measure.pictures(),
            pictures_per_second: measure.rate().map(rounded),
            announced_pictures_per_second: announced.filter(|rate| rate.is_finite()),
            bits_per_second: measure.bits_per_second().map(f64::round),
            keyframes: measure.keyframes(),
            keyframe_interval_seconds: measure.interval().map(|interval| Interval {
                mean: rounded(interval.mean),
                shortest: rounded(interval.shortest),
                longest: rounded(interval.longest),
            }),
            seconds_since_keyframe: measure.since_keyframe().map(rounded),
            b_frames: facts.b_pictures,
            interlaced: facts.interlaced,
        }
    }
}

impl Audio {
    fn new(format: &AudioFormat, measure: &Measure) -> Audio {
        Audio {
            codec: format.codec.encoding_name(),
            channels: format.channels,
            packets: measure.sounds(),
            bits_per_second: measure.sound_bits_per_second().map(f64::round),
        }
    }
}

fn asked(outcome: &Outcome, stage: Stage, credentials: bool) -> Asked {
    let (scheme, algorithm) = match outcome.sign_in {
        SignIn::None => ("none", None),
        SignIn::Basic => ("basic", None),
        SignIn::Digest(algorithm) => ("digest", Some(algorithm)),
        SignIn::Unknown => ("unknown", None),
    };
    Asked { scheme, algorithm, refused: stage == Stage::SignIn, credentials }
}

fn tracks(outcome: &Outcome) -> Vec<Track> {
    let kind = |kind| match kind {
        Some(Kind::Video) => "video",
        Some(Kind::Audio) => "audio",
        None => "other",
    };
    let track = |offered: &crate::source::rtsp::Offered| Track {
        kind: kind(offered.kind),
        name: offered.name.clone(),
        carried: offered.carried,
    };
    outcome.offered.iter().map(track).collect()
}

/// To a thousandth.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
