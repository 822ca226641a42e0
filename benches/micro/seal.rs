//! What sealing one packet costs, by profile and size: it owns the comparison of our sealer, with each library for
//! AES-GCM, with the media path of the engine, for the same packets under the same keys.
//!
//! `cargo bench --bench seal [-- --quick]` prints a Markdown table of nanoseconds per packet.
//!
//! All sides do pictures of a few packets for many viewers in turn, so that keys and state come from the
//! second-level cache at best, and all end in one arena, where a datagram is sent from. The engine does
//! more than sealing: it keeps every packet for retransmission. Rounds are interleaved (A B C, A B C, ...) and
//! medians are printed: compare columns, not runs.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod stats;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_harness::oracle::{MEDIA, Oracle, Packet, is_rtp};
use sluice_media::srtp::{Header, Keying, Library, PacketIndex, Sealer, SendKeys};
use str0m::crypto::dtls::SrtpProfile;
use str0m::crypto::from_feature_flags;
use str0m::rtp::{Extension, ExtensionMap};
use zeroize::Zeroizing;

use self::stats::{Arguments, median};

const SIZES: [usize; 3] = [100, 500, 1_200];
const VIEWERS: usize = 1_000;

/// Packets of a picture.
const PACKETS: u64 = 6;

/// As the worker's batch has it.
const ARENA: usize = 512 * 1024;

/// `abs-send-time` under id 3, as the engine writes it: one element and its block header.
const EXTENSION: [u8; 8] = [0xbe, 0xde, 0, 1, 3 << 4 | 2, 1, 2, 3];

fn main() {
    let quick = Arguments::parse().quick;
    let rounds = if quick { 3 } else { 41 };
    println!("\nNanoseconds per packet, {VIEWERS} viewers, medians of {rounds} interleaved rounds.\n");
    println!(
        "| profile | payload bytes | sealer, aws-lc | sealer, ring | engine | engine / faster sealer |\n\
         |---|---:|---:|---:|---:|---:|"
    );
    for profile in
        [SrtpProfile::AEAD_AES_128_GCM, SrtpProfile::AEAD_AES_256_GCM, SrtpProfile::AES128_CM_SHA1_80]
    {
        let mut viewers: Vec<Viewer> = (0..VIEWERS).map(|number| Viewer::new(profile, number)).collect();
        let mut arena = vec![0; ARENA];
        let mut samples = [const { [const { Vec::new() }; 3] }; SIZES.len()];
        for _ in 0..=rounds {
            for (size, [aws_lc, ring, engine]) in SIZES.into_iter().zip(&mut samples) {
                let payload: Arc<[u8]> = vec![0x55; size].into();
                aws_lc.push(round(&mut viewers, &payload, &mut arena, Viewer::seal::<0>));
                ring.push(round(&mut viewers, &payload, &mut arena, Viewer::seal::<1>));
                engine.push(round(&mut viewers, &payload, &mut arena, Viewer::engine));
            }
        }
        for (size, samples) in SIZES.into_iter().zip(&samples) {
            // The first round warms up.
            let [aws_lc, ring, engine] = samples.each_ref().map(|samples| median(&samples[1..]));
            let times = engine / aws_lc.min(ring);
            println!("| {profile} | {size} | {aws_lc:.0} | {ring:.0} | {engine:.0} | {times:.1} x |");
        }
    }
}

/// One picture for every viewer. Returns nanoseconds per packet.
fn round(
    viewers: &mut [Viewer],
    payload: &Arc<[u8]>,
    arena: &mut [u8],
    send: impl Fn(&mut Viewer, &Arc<[u8]>, &mut [u8]) -> usize,
) -> f64 {
    let began = Instant::now();
    let mut used = 0;
    for viewer in &mut *viewers {
        if arena.len() - used < PACKETS as usize * 1_500 {
            used = 0;
        }
        used += send(viewer, payload, &mut arena[used..]);
    }
    let elapsed = began.elapsed();
    black_box(arena);
    elapsed.as_nanos() as f64 / (viewers.len() as u64 * PACKETS) as f64
}

/// One viewer, as all sides see it.
struct Viewer {
    /// By [`Library::ALL`].
    sealers: [Sealer; 2],
    oracle: Oracle,
    sequence: u64,
}

impl Viewer {
    fn new(profile: SrtpProfile, number: usize) -> Viewer {
        let material: Vec<u8> =
            (0..profile.keying_material_len()).map(|byte| (byte * 31 + number) as u8).collect();
        let keying = Keying { material: Zeroizing::new(material.clone()), profile, active: false };
        let keys = SendKeys::derive(&keying, &from_feature_flags()).expect("a known profile");
        let mut extensions = ExtensionMap::empty();
        extensions.set(3, Extension::AbsoluteSendTime);
        Viewer {
            sealers: Library::ALL.map(|library| Sealer::new(&keys, library).expect("derived keys")),
            oracle: Oracle::new(Instant::now(), profile, &material, false, &extensions),
            sequence: 1,
        }
    }

    /// Seals a picture into `out` by one of the libraries. Returns its bytes.
    fn seal<const LIBRARY: usize>(&mut self, payload: &Arc<[u8]>, out: &mut [u8]) -> usize {
        let mut used = 0;
        for number in 0..PACKETS {
            let header = Header {
                payload_type: MEDIA.1.into(),
                marker: number + 1 == PACKETS,
                index: PacketIndex(self.sequence + number),
                timestamp: 1,
                ssrc: MEDIA.0.into(),
                extension: &EXTENSION,
                padding: 0,
            };
            used +=
                self.sealers[LIBRARY].rtp(header, &[], payload, &mut out[used..]).expect("room enough").len();
        }
        used
    }

    /// Lets the engine send the same picture, and copies it into `out`.
    fn engine(&mut self, payload: &Arc<[u8]>, out: &mut [u8]) -> usize {
        for number in 0..PACKETS {
            let (sequence, marker) = (self.sequence + number, number + 1 == PACKETS);
            self.oracle.write(&Packet { sequence, timestamp: 1, marker, payload: payload.clone() });
        }
        self.sequence += PACKETS;
        let (mut used, mut packets) = (0, 0);
        self.oracle.flush(Duration::from_millis(33), |datagram| {
            packets += u64::from(is_rtp(datagram, MEDIA.1));
            out[used..used + datagram.len()].copy_from_slice(datagram);
            used += datagram.len();
        });
        assert_eq!(packets, PACKETS, "the engine sends all at once");
        used
    }
}
