//! Small damage to something sound: what reaches deeper than noise.

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

/// Up to `length` random bytes.
pub fn noise(random: &mut StdRng, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(0..=length)];
    random.fill_bytes(&mut bytes);
    bytes
}

/// One to six changes of bytes: flipped bits, extreme values, cuts, insertions, repetitions.
pub fn bytes(random: &mut StdRng, sound: &[u8]) -> Vec<u8> {
    let mut bytes = sound.to_vec();
    for _ in 0..random.random_range(1..=6) {
        if bytes.is_empty() {
            return bytes;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..7) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = [0, 0x7f, 0x80, 0xff][random.random_range(0..4)],
            2 => bytes.truncate(at),
            3 => {
                bytes.remove(at);
            }
            4 => bytes.insert(at, random.random()),
            5 => {
                let end = (at + random.random_range(1..32)).min(bytes.len());
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            // A field of two bytes: a length, most likely.
            _ => {
                let value = [0u16, 1, 0x7fff, 0xffff][random.random_range(0..4)].to_be_bytes();
                bytes.iter_mut().skip(at).zip(value).for_each(|(byte, value)| *byte = value);
            }
        }
    }
    bytes
}

/// One to six changes of lines: dropped, doubled, swapped, a number or a word changed, noise within.
pub fn text(random: &mut StdRng, sound: &str) -> String {
    let mut lines: Vec<String> = sound.lines().map(str::to_owned).collect();
    for _ in 0..random.random_range(1..=6) {
        if lines.is_empty() {
            break;
        }
        let (at, other) = (random.random_range(0..lines.len()), random.random_range(0..lines.len()));
        match random.random_range(0..8) {
            0 => {
                lines.remove(at);
            }
            1 => lines.insert(at, lines[other].clone()),
            2 => lines.swap(at, other),
            3 => lines[at] = String::from_utf8_lossy(&bytes(random, lines[at].as_bytes())).into_owned(),
            4 => lines[at] = lines[at].repeat(random.random_range(2..60)),
            5 => {
                let numbers = ["-1", "0", "127", "128", "65536", "4294967296", "99999999999999999999", ""];
                let number = numbers[random.random_range(0..numbers.len())];
                lines[at] = replace_number(&lines[at], number);
            }
            6 => {
                let cut = lines[at].find([' ', ':', '=', ';']).unwrap_or(0);
                lines[at].truncate(cut);
            }
            _ => lines.truncate(at),
        }
    }
    lines.join(if random.random_bool(0.9) { "\r\n" } else { "\n" })
}

fn replace_number(line: &str, number: &str) -> String {
    let Some(start) = line.find(|c: char| c.is_ascii_digit()) else { return line.to_owned() };
    let end = line[start..].find(|c: char| !c.is_ascii_digit()).map_or(line.len(), |end| start + end);
    format!("{}{number}{}", &line[..start], &line[end..])
}
