//! One chart as inline SVG: lines or stacked areas over time, or shares of values over their size.
//!
//! Owns geometry. Colours are those of the page's style sheet, so that a chart follows the reader's light or
//! dark; scales are [`super::scale`]'s. Never knows what a line means.

use std::fmt::{self, Write};

use super::Escaped;
use super::scale::{Unit, decades, times};

/// Size of the drawing and of the margins in it, in pixels of the SVG's own.
const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 216.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 26.0;

/// One line: places on the axis, and values where there are any.
#[derive(Debug)]
pub struct Line {
    /// Its name in the legend.
    pub name: &'static str,
    /// Places and values.
    pub points: Vec<(f64, Option<f64>)>,
}

/// Values over time.
#[derive(Debug)]
pub struct OverTime {
    /// The heading.
    pub title: &'static str,
    /// What the values are.
    pub unit: Unit,
    /// Lines; of stacked ones each begins where the one before it ends.
    pub lines: Vec<Line>,
    /// Areas one over the other rather than lines.
    pub stacked: bool,
    /// Length of the time axis in seconds.
    pub length: f64,
    /// Until when viewers were joining, in seconds.
    pub joining: f64,
}

/// Which share of the values is below which size, over a logarithmic axis of seconds.
#[derive(Debug)]
pub struct Shares {
    /// The heading.
    pub title: &'static str,
    /// Lines through (seconds, share).
    pub lines: Vec<Line>,
}

impl fmt::Display for OverTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = if self.stacked { stack(&self.lines) } else { lines_of(&self.lines) };
        let values = lines.iter().flatten().filter_map(|(_, value)| *value);
        let ticks = self.unit.ticks(values.fold(0.0, f64::max));
        let top = ticks.last().copied().unwrap_or(1.0);
        let x = |at: f64| LEFT + at / self.length.max(1e-9) * (WIDTH - LEFT - RIGHT);
        let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
        open(f, self.title, &self.lines, "")?;
        if self.joining > 0.0 {
            let width = x(self.joining.min(self.length)) - LEFT;
            let height = HEIGHT - TOP - BOTTOM;
            write!(
                f,
                r#"<rect class="joining" x="{LEFT}" y="{TOP}" width="{width:.1}" height="{height}"><title>viewers join</title></rect>"#
            )?;
        }
        for tick in ticks {
            level(f, y(tick), &self.unit.write(tick))?;
        }
        for (at, text) in times(self.length) {
            mark(f, x(at), &text)?;
        }
        // What lies under the others is drawn first.
        for (index, line) in lines.iter().enumerate().rev() {
            let colour = index + 1;
            if self.stacked {
                let below = index.checked_sub(1).map(|below| &lines[below]);
                write!(f, r#"<path class="area c{colour}" d="{}"/>"#, area(line, below, &x, &y))?;
            }
            write!(f, r#"<path class="line c{colour}" d="{}"/>"#, path(line, &x, &y))?;
        }
        f.write_str("</svg></figure>")
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places = || self.lines.iter().flat_map(|line| line.points.iter().map(|(at, _)| at.max(1e-6)));
        let low = places().fold(f64::INFINITY, f64::min);
        let marks =
            if low.is_finite() { decades(low, places().fold(low, f64::max)) } else { vec![1e-3, 1.0] };
        let (first, last) = (marks[0].log10(), marks[marks.len() - 1].log10());
        let x = |at: f64| LEFT + (at.max(1e-6).log10() - first) / (last - first) * (WIDTH - LEFT - RIGHT);
        let y = |share: f64| HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);
        open(f, self.title, &self.lines, "share of values that are below")?;
        for share in [0.0, 0.25, 0.5, 0.75, 0.9, 1.0] {
            level(f, y(share), &Unit::Share.write(share))?;
        }
        for at in marks {
            write!(f, r#"<path class="grid" d="M{0:.1} {TOP}V{1}"/>"#, x(at), HEIGHT - BOTTOM)?;
            mark(f, x(at), &Unit::Seconds.write(at))?;
        }
        for (index, line) in lines_of(&self.lines).iter().enumerate() {
            write!(f, r#"<path class="line c{}" d="{}"/>"#, index + 1, path(line, &x, &y))?;
        }
        f.write_str("</svg></figure>")
    }
}

/// Heading, legend, and the beginning of the drawing.
fn open(f: &mut fmt::Formatter<'_>, title: &str, lines: &[Line], note: &str) -> fmt::Result {
    write!(f, "<figure><figcaption><b>{}</b>", Escaped(title))?;
    if !note.is_empty() {
        write!(f, " <small>{}</small>", Escaped(note))?;
    }
    if lines.len() > 1 {
        for (index, line) in lines.iter().enumerate() {
            write!(f, r#"<span class="key c{}">{}</span>"#, index + 1, Escaped(line.name))?;
        }
    }
    write!(
        f,
        r#"</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
        Escaped(title)
    )
}

fn level(f: &mut fmt::Formatter<'_>, y: f64, text: &str) -> fmt::Result {
    write!(f, r#"<path class="grid" d="M{LEFT} {y:.1}H{}"/>"#, WIDTH - RIGHT)?;
    write!(f, r#"<text class="level" x="{}" y="{:.1}">{}</text>"#, LEFT - 8.0, y + 4.0, Escaped(text))
}

fn mark(f: &mut fmt::Formatter<'_>, x: f64, text: &str) -> fmt::Result {
    write!(f, r#"<text class="mark" x="{x:.1}" y="{}">{}</text>"#, HEIGHT - 8.0, Escaped(text))
}

type Points = Vec<(f64, Option<f64>)>;

fn lines_of(lines: &[Line]) -> Vec<Points> {
    lines.iter().map(|line| line.points.clone()).collect()
}

/// Each line with those before it added.
fn stack(lines: &[Line]) -> Vec<Points> {
    let mut sums: Vec<Points> = Vec::new();
    for line in lines {
        let mut points = line.points.clone();
        if let Some(below) = sums.last() {
            for ((_, value), (_, below)) in points.iter_mut().zip(below) {
                *value = value.zip(*below).map(|(value, below)| value + below);
            }
        }
        sums.push(points);
    }
    sums
}

/// A path through the values; it is interrupted where there are none.
fn path(points: &Points, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) -> String {
    let mut path = String::new();
    let mut drawing = false;
    for (index, (at, value)) in points.iter().enumerate() {
        let Some(value) = value else {
            drawing = false;
            continue;
        };
        let command = if drawing { 'L' } else { 'M' };
        let _ = write!(path, "{command}{:.1} {:.1}", x(*at), y(*value));
        // A value between two gaps would not show: a dot, by the style's round line ends.
        let alone = !drawing && points.get(index + 1).is_none_or(|(_, next)| next.is_none());
        if alone {
            path.push_str("h.01");
        }
        drawing = true;
    }
    path
}

/// The area between a line and the one below it, or the axis.
fn area(line: &Points, below: Option<&Points>, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) -> String {
    let upper: Vec<(f64, f64)> = line.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect();
    let (Some(first), Some(last)) = (upper.first(), upper.last()) else { return String::new() };
    let lower: Vec<(f64, f64)> = match below {
        Some(below) => below.iter().filter_map(|(at, value)| Some((*at, (*value)?))).collect(),
        None => vec![(first.0, 0.0), (last.0, 0.0)],
    };
    let mut area = String::new();
    for (index, (at, value)) in upper.iter().chain(lower.iter().rev()).enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(area, "{command}{:.1} {:.1}", x(*at), y(*value));
    }
    area + "Z"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[Option<f64>]) -> Line {
        Line { name: "n", points: values.iter().enumerate().map(|(at, value)| (at as f64, *value)).collect() }
    }

    fn place(at: f64) -> f64 {
        at * 10.0
    }

    #[test]
    fn a_line_has_gaps_where_nothing_was_measured() {
        let line = line(&[Some(1.0), Some(2.0), None, Some(3.0), None, Some(4.0), Some(5.0)]);
        let path = path(&line.points, &place, &place);
        assert_eq!(path, "M0.0 10.0L10.0 20.0M30.0 30.0h.01M50.0 40.0L60.0 50.0");
    }

    #[test]
    fn stacked_lines_lie_on_each_other() {
        let stacked = stack(&[line(&[Some(1.0), Some(2.0)]), line(&[Some(3.0), Some(4.0)])]);
        assert_eq!(stacked[1], [(0.0, Some(4.0)), (1.0, Some(6.0))]);
        let area = area(&stacked[1], Some(&stacked[0]), &place, &place);
        assert_eq!(area, "M0.0 40.0L10.0 60.0L10.0 20.0L0.0 10.0Z");
    }

    #[test]
    fn nothing_is_drawn_outside_of_the_chart() {
        let chart = OverTime {
            title: "a < b",
            unit: Unit::Count,
            lines: vec![line(&[Some(0.0), Some(7.3)])],
            stacked: false,
            length: 1.0,
            joining: 0.5,
        };
        let svg = chart.to_string();
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(
            svg.contains(&format!("L{:.1} ", WIDTH - RIGHT)),
            "the last value is at the right end: {svg}"
        );
        let empty = Shares { title: "nothing", lines: vec![line(&[])] }.to_string();
        assert!(!empty.contains("NaN") && !empty.contains("inf"), "{empty}");
    }
}
