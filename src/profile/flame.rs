//! A profile as a flame graph: one picture (SVG) without scripts, that any browser shows.
//!
//! Owns where each box stands: threads at the foot, callers below what they call, as wide as its share.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::names::Names;
use super::{Frame, Profile};

const WIDTH: f64 = 1_400.0;
const ROW: usize = 17;
const HEAD: usize = 48;
/// Boxes narrower than this, in pixels, are left out: they cannot be seen or pointed at.
const LEAST: f64 = 0.3;
/// The width of a letter in pixels, on the safe side.
const LETTER: f64 = 6.6;

/// A box, and what stands on it.
#[derive(Debug, Default)]
struct Node {
    value: i64,
    above: BTreeMap<String, Node>,
}

impl Node {
    fn depth(&self, scale: f64) -> usize {
        let seen = self.above.values().filter(|node| node.value as f64 * scale >= LEAST);
        seen.map(|node| 1 + node.depth(scale)).max().unwrap_or(0)
    }
}

/// Draws it; `title` stands above.
pub fn draw(profile: &Profile, names: &mut Names, title: &str) -> String {
    let mut root = Node::default();
    for sample in &profile.samples {
        let value = sample.values.get(profile.shown).copied().unwrap_or(0).max(0);
        let mut node = &mut root;
        node.value += value;
        let thread = sample.thread.iter().cloned();
        let frames = sample.frames.iter().rev().flat_map(|frame| lines(names, frame));
        for name in thread.chain(frames) {
            node = node.above.entry(name).or_default();
            node.value += value;
        }
    }
    let scale = WIDTH / (root.value.max(1) as f64);
    let height = HEAD + ROW * (root.depth(scale) + 1);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"monospace\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"24\" font-size=\"15\">{}</text>\n",
        escaped(title)
    );
    let total = root.value.max(1);
    boxes(&mut svg, &root, 0.0, height - ROW, (scale, total));
    svg.push_str("</svg>\n");
    svg
}

/// The names of a frame, callers first.
fn lines(names: &mut Names, frame: &Frame) -> Vec<String> {
    names.of(frame).iter().rev().map(|line| line.function.clone()).collect()
}

fn boxes(svg: &mut String, node: &Node, mut x: f64, y: usize, of @ (scale, total): (f64, i64)) {
    for (name, above) in &node.above {
        let width = above.value as f64 * scale;
        if width >= LEAST {
            let share = 100.0 * above.value as f64 / total as f64;
            let letters = ((width - 6.0) / LETTER) as usize;
            let label: String = if letters < 3 { String::new() } else { last(name, letters) };
            let _ = writeln!(
                svg,
                "<g><title>{} ({share:.2} %)</title><rect x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"{}\" \
                 fill=\"{}\" stroke=\"#fff\" stroke-width=\".5\"/><text x=\"{:.1}\" y=\"{}\">{}</text></g>",
                escaped(name),
                ROW - 1,
                colour(name),
                x + 3.0,
                y + 12,
                escaped(&label),
            );
            boxes(svg, above, x, y.saturating_sub(ROW), of);
        }
        x += width;
    }
}

/// The end of a name, which tells more than its beginning.
fn last(name: &str, letters: usize) -> String {
    let count = name.chars().count();
    match count.checked_sub(letters) {
        None | Some(0) => name.to_owned(),
        Some(over) => format!("..{}", name.chars().skip(over + 2).collect::<String>()),
    }
}

/// The kernel's boxes are blue; ours differ a little, so that neighbours can be told apart.
fn colour(name: &str) -> String {
    let sum = name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let (tint, light) = (sum % 40, 62 + sum / 40 % 14);
    let hue = if name.starts_with("[kernel]") { 200 + tint / 2 } else { 10 + tint };
    format!("hsl({hue},80%,{light}%)")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::profile::Sample;
    use crate::profile::Sampler;
    use crate::profile::names::Line;

    #[test]
    fn boxes_are_as_wide_as_their_share_and_names_cannot_break_out() {
        let sample = |leaf: &str, value| Sample {
            frames: [leaf, "run<T>"]
                .map(|name| Frame::Named(Line { function: name.to_owned(), file: String::new(), line: 0 }))
                .to_vec(),
            values: vec![value],
            thread: Some("shard-0".to_owned()),
        };
        let profile = Profile {
            kinds: &[("cpu", "nanoseconds")],
            shown: 0,
            period: (("cpu", "nanoseconds"), 1),
            began: SystemTime::UNIX_EPOCH,
            duration: Duration::ZERO,
            samples: vec![sample("[kernel] sendmmsg", 3), sample("seal", 1)],
            comments: Vec::new(),
            sampler: Sampler::default(),
        };
        let svg = draw(&profile, &mut Names::default(), "a & b");
        assert!(svg.contains("a &amp; b") && svg.contains("run&lt;T&gt; (100.00 %)"), "{svg}");
        assert!(svg.contains("[kernel] sendmmsg (75.00 %)</title><rect x=\"0.0\""), "{svg}");
        assert!(svg.contains("seal (25.00 %)</title><rect x=\"1050.0\""), "{svg}");
        assert_eq!((svg.matches("<g>").count(), svg.matches("run<T>").count()), (4, 0));
    }
}
