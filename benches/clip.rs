//! Clips of a given bitrate: 1080p25 H.264 with pictures of the sizes that a camera sends, made without an encoder.
//!
//! Owns the syntax of such a stream (ITU-T H.264 §7.3, constrained baseline, CAVLC). Every picture is decodable and of
//! its size because so many of its macroblocks are noise that stands there uncompressed (`I_PCM`); the others are
//! grey in a keyframe (DC prediction without a residual) and unchanged (skipped) in the pictures between. What a server
//! does with a picture depends on its size and its NAL units and not on what is seen. Never reads a clock or draws lots:
//! the same bitrate gives the same bytes.

/// Pictures a second.
pub const FPS: u32 = 25;

/// Pictures from one keyframe to the next: two seconds, as cameras are delivered.
const GROUP: u32 = FPS * 2;

/// Groups in a clip.
const GROUPS: u32 = 5;

/// A keyframe's size over that of the other pictures on average.
const KEYFRAME: f64 = 8.0;

/// Macroblocks in a row, and rows: 1920 x 1088, of which the last 8 lines are cropped.
const WIDTH: u32 = 120;
const HEIGHT: u32 = 68;
const MACROBLOCKS: u32 = WIDTH * HEIGHT;

/// Bytes of a macroblock that stands there as it is (4:2:0 of 8 bits), and about those around it.
const SAMPLES: u32 = 384;
const NOISE: f64 = SAMPLES as f64 + 3.0;

/// A byte stream (Annex B) of ten seconds with so many bits a second, to be repeated.
pub fn byte_stream(bits_per_second: u32) -> Vec<u8> {
    let group = f64::from(bits_per_second) / 8.0 * f64::from(GROUP) / f64::from(FPS);
    let mean = group / (KEYFRAME + f64::from(GROUP - 1));
    let mut stream = Vec::new();
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for number in 0..GROUPS {
        append(&mut stream, 0x67, sequence_set());
        append(&mut stream, 0x68, picture_set());
        append(&mut stream, 0x65, keyframe(number, mean * KEYFRAME, &mut noise));
        // What the sizes of a group leave over goes into its next picture, so that the sum is what was asked for.
        let mut left = 0.0;
        for index in 1..GROUP {
            let size = mean * noise.around_one() + left;
            let picture = difference(index, size, &mut noise);
            left = (size - picture.len() as f64).clamp(-mean, mean);
            append(&mut stream, 0x41, picture);
        }
    }
    stream
}

/// Appends a NAL unit with its start code; zeros that would look like one are broken up (§7.4.1).
fn append(stream: &mut Vec<u8>, header: u8, payload: Vec<u8>) {
    stream.extend([0, 0, 0, 1, header]);
    let mut zeros = 0;
    for byte in payload {
        if zeros >= 2 && byte <= 3 {
            stream.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        stream.push(byte);
    }
}

fn sequence_set() -> Vec<u8> {
    let mut bits = Bits::default();
    // Baseline that keeps the rules of Main as well, level 4.
    bits.bits(66, 8).bits(0b1100_0000, 8).bits(40, 8);
    // Its number; frame numbers of 8 bits; shown in the order of decoding; one reference; no gaps.
    bits.unsigned(0).unsigned(4).unsigned(2).unsigned(1).bits(0, 1);
    bits.unsigned(WIDTH - 1).unsigned(HEIGHT - 1);
    // Frames only; 8x8 inference; cropped below by 4 times two lines; no VUI.
    bits.bits(0b11, 2).bits(1, 1).unsigned(0).unsigned(0).unsigned(0).unsigned(4).bits(0, 1);
    bits.ended()
}

fn picture_set() -> Vec<u8> {
    let mut bits = Bits::default();
    // Its number and that of its sequence; CAVLC; one slice group, one reference; no weights.
    bits.unsigned(0).unsigned(0).bits(0, 2).unsigned(0).unsigned(0).unsigned(0).bits(0, 3);
    // Quantizers as they are; slices say whether they are deblocked.
    bits.unsigned(0).unsigned(0).unsigned(0).bits(0b100, 3);
    bits.ended()
}

/// An IDR picture of about `size` bytes.
fn keyframe(number: u32, size: f64, noise: &mut Noise) -> Vec<u8> {
    let mut bits = Bits::default();
    // First macroblock, I slice, its set; frame number; number of this IDR picture; no marking; quantizer; no deblocking.
    bits.unsigned(0).unsigned(7).unsigned(0).bits(0, 8).unsigned(number).bits(0, 2).unsigned(0).unsigned(1);
    let grey = f64::from(MACROBLOCKS);
    let places = places(((size - grey) / NOISE) as u32, number);
    let mut is_noise = vec![false; MACROBLOCKS as usize];
    places.iter().for_each(|&place| is_noise[place as usize] = true);
    for place in 0..MACROBLOCKS {
        if is_noise[place as usize] {
            bits.unsigned(25).samples(noise);
            continue;
        }
        // Intra 16x16 by DC prediction, nothing coded; chroma by DC; quantizer as before.
        bits.unsigned(3).unsigned(0).unsigned(0);
        let left = (place % WIDTH > 0).then(|| is_noise[place as usize - 1]);
        let above = (place >= WIDTH).then(|| is_noise[(place - WIDTH) as usize]);
        // No coefficient. How that is written depends on how many the neighbours have, of which noise has all 16 (§9.2.1).
        match left.unwrap_or(false) || above.unwrap_or(false) {
            true => bits.bits(0b00_0011, 6),
            false => bits.bits(1, 1),
        };
    }
    bits.ended()
}

/// A P picture of about `size` bytes.
fn difference(index: u32, size: f64, noise: &mut Noise) -> Vec<u8> {
    let mut bits = Bits::default();
    // First macroblock, P slice, its set; frame number; references as they are; no marking; quantizer; no deblocking.
    bits.unsigned(0).unsigned(5).unsigned(0).bits(index, 8).bits(0, 3).unsigned(0).unsigned(1);
    let mut next = 0;
    for place in places((size / NOISE).round() as u32, index) {
        bits.unsigned(place - next).unsigned(5 + 25).samples(noise);
        next = place + 1;
    }
    if next < MACROBLOCKS {
        bits.unsigned(MACROBLOCKS - next);
    }
    bits.ended()
}

/// Places of `count` macroblocks, one at the least, spread evenly, and elsewhere in each picture.
fn places(count: u32, picture: u32) -> Vec<u32> {
    let count = count.clamp(1, MACROBLOCKS);
    let step = MACROBLOCKS / count;
    let shift = picture * 7 % step;
    (0..count).map(|index| index * step + shift).collect()
}

/// A payload that is written bit by bit.
#[derive(Debug, Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are taken; 0 if it is full.
    taken: u32,
}

impl Bits {
    /// The lowest `count` bits of `value`, highest first.
    fn bits(&mut self, value: u32, count: u32) -> &mut Bits {
        for at in (0..count).rev() {
            if self.taken == 0 {
                self.bytes.push(0);
            }
            let last = self.bytes.len() - 1;
            self.bytes[last] |= ((value >> at & 1) as u8) << (7 - self.taken);
            self.taken = (self.taken + 1) % 8;
        }
        self
    }

    /// An Exp-Golomb code (§9.1). Of signed values only 0 is written here, which is the same.
    fn unsigned(&mut self, value: u32) -> &mut Bits {
        let length = 32 - (value + 1).leading_zeros();
        self.bits(0, length - 1).bits(value + 1, length)
    }

    /// Samples of a macroblock, from the next byte on. None is zero.
    fn samples(&mut self, noise: &mut Noise) -> &mut Bits {
        self.taken = 0;
        self.bytes.extend((0..SAMPLES).map(|_| noise.sample()));
        self
    }

    /// All of it, with the bit that ends a payload.
    fn ended(mut self) -> Vec<u8> {
        self.bits(1, 1);
        self.bytes
    }
}

/// Numbers without a pattern, always the same ones (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A value of luma or chroma in the range of television.
    fn sample(&mut self) -> u8 {
        32 + (self.next() >> 32) as u8 % 192
    }

    /// 0.6 to 1.4: pictures of a scene differ by about that.
    fn around_one(&mut self) -> f64 {
        0.6 + 0.8 * (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sluice_media::VideoCodec;

    use super::*;

    fn size(picture: &[Bytes]) -> usize {
        picture.iter().map(Bytes::len).sum()
    }

    #[test]
    fn a_clip_has_the_bitrate_that_was_asked_for_in_pictures_of_a_cameras_sizes() {
        for megabits in [1, 4, 8, 20] {
            let stream = byte_stream(megabits * 1_000_000);
            let rate = stream.len() as f64 * 8.0 / 10.0 / 1e6;
            assert!((rate / f64::from(megabits) - 1.0).abs() < 0.03, "{rate} instead of {megabits} Mb/s");
            let pictures = VideoCodec::H264.pictures(&Bytes::from(stream));
            assert_eq!(pictures.len(), 250);
            let (keyframes, others): (Vec<_>, Vec<_>) =
                pictures.iter().partition(|picture| VideoCodec::H264.is_keyframe(picture));
            assert_eq!(keyframes.len(), 5);
            let mean = others.iter().map(|picture| size(picture)).sum::<usize>() as f64 / others.len() as f64;
            for keyframe in keyframes {
                let times = size(keyframe) as f64 / mean;
                assert!((7.0..9.5).contains(&times), "{times} times the others at {megabits} Mb/s");
            }
            let smallest = others.iter().map(|picture| size(picture)).min().expect("some") as f64;
            assert!(smallest < mean * 0.8, "pictures differ: {smallest} and {mean}");
        }
    }

    #[test]
    fn its_sets_say_what_it_is() {
        let pictures = VideoCodec::H264.pictures(&Bytes::from(byte_stream(1_000_000)));
        let facts = VideoCodec::H264.nal().describe(&pictures[0][0]).expect("a sequence parameter set");
        assert_eq!(facts.size, Some((1920, 1080)));
        assert!(!facts.b_pictures, "{facts:?}");
    }

    #[test]
    fn it_is_the_same_every_time() {
        assert!(byte_stream(2_000_000) == byte_stream(2_000_000));
    }
}
