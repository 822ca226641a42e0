//! The screen drawn: a line of sums, three tables, a line of keys. Everything fits into 80 columns.
//!
//! Owns the layout, the columns and the colours: the terminal's own sixteen, so that it can be read on any ground.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Table};

use super::ask::Seen;
use super::screen::{Part, Screen};
use super::units::{bitrate, length, milliseconds, number, percent};
use crate::http::streams::Told;
use crate::operator::sample::ShardLoad;
use crate::operator::sessions::{Row as ViewerRow, Sort};

/// Rows that a table has at least, if it has as many: those that matter come first.
const FEW: u16 = 5;

/// The title of a table and the names of its columns.
const AROUND: u16 = 2;

/// Over this part of its time a shard is busy (docs/OPERATING.md, `sluice_shard_busy_ratio`).
const BUSY: f64 = 0.8;

/// Over this part a viewer's loss is more than repair brings back.
const LOSSY: f64 = 0.1;

/// Draws everything.
pub(super) fn all(frame: &mut Frame<'_>, screen: &mut Screen) {
    let parts = heights(frame.area().height.saturating_sub(2), needs(screen), screen.part);
    let [shards, streams, viewers] = parts.map(Constraint::Length);
    let rows = [Constraint::Length(1), shards, streams, viewers, Constraint::Fill(1), Constraint::Length(1)];
    let [head, shards, streams, viewers, _, foot] = frame.area().layout(&Layout::vertical(rows));
    frame.render_widget(sums(screen), head);
    draw_shards(frame, shards, screen);
    draw_streams(frame, streams, screen);
    draw_viewers(frame, viewers, screen);
    frame.render_widget(keys(screen), foot);
}

/// The lines that each part would fill, with its title and the names of its columns.
fn needs(screen: &Screen) -> [u16; 3] {
    let Seen { sample, streams, viewers, .. } = &screen.seen;
    let shards = sample.as_ref().map_or(0, |sample| sample.shards.len());
    let rows = [shards, streams.streams.len(), viewers.sessions.len()];
    rows.map(|rows| u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(AROUND))
}

/// The lines that each part gets of `all`: a few for each, then what the part with the keys needs, then the others from
/// the last to the first, because viewers are the most. What nobody needs stays empty.
fn heights(all: u16, needs: [u16; 3], keys: Part) -> [u16; 3] {
    let mut given = needs.map(|need| need.min(FEW + AROUND));
    let mut left = all.saturating_sub(given.iter().sum());
    for part in [keys, Part::Viewers, Part::Streams, Part::Shards].map(|part| part as usize) {
        let more = (needs[part] - given[part]).min(left);
        given[part] += more;
        left -= more;
    }
    given
}

fn sums(screen: &Screen) -> Paragraph<'static> {
    if let Some(trouble) = &screen.trouble {
        return Paragraph::new(trouble.clone()).style(Style::new().fg(Color::Red).bold());
    }
    let seen = &screen.seen;
    let mut words =
        vec![Span::from(format!("sluice {} ", seen.version)).bold(), screen.address.clone().into()];
    if let Some(sample) = &seen.sample {
        let loss = sample.loss.map(|loss| format!("  loss {}", percent(Some(loss)))).unwrap_or_default();
        let egress = bitrate(Some(sample.egress_bps));
        words.push(format!("  {} viewers  {egress}{loss}", number(sample.viewers)).into());
    }
    Paragraph::new(Line::from(words))
}

fn keys(screen: &Screen) -> Line<'static> {
    let sorted = match screen.part {
        Part::Shards => String::new(),
        Part::Streams => format!("   s sort (by {})", screen.stream_sort.words()),
        Part::Viewers => format!("   s sort (by {})", sort_words(screen.sort())),
    };
    Line::from(format!("Tab, arrows move{sorted}   q quit")).style(Style::new().fg(Color::DarkGray))
}

/// The name of an order.
pub(super) fn sort_words(sort: Sort) -> &'static str {
    match sort {
        Sort::Loss => "loss",
        Sort::RoundTrip => "round trip",
        Sort::Repairs => "repairs",
        Sort::Estimate => "estimate",
        Sort::Since => "newest",
    }
}

fn table<'a>(
    screen: &Screen,
    part: Part,
    title: String,
    names: &[&'a str],
    widths: &[Constraint],
    rows: Vec<Row<'a>>,
) -> Table<'a> {
    let has_keys = screen.part == part;
    let title = if has_keys { title.bold() } else { title.into() };
    let names = Row::new(names.to_vec()).style(Style::new().fg(Color::DarkGray));
    let chosen = if has_keys { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
    Table::new(rows, widths.to_vec())
        .header(names)
        .block(Block::new().borders(Borders::TOP).title(title))
        .row_highlight_style(chosen)
}

fn draw_shards(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
    let loads = screen.seen.sample.as_ref().map(|sample| sample.shards.to_vec()).unwrap_or_default();
    let widths = [Constraint::Length(6), Constraint::Fill(1), Constraint::Length(12), Constraint::Length(9)];
    let bar = area.width.saturating_sub(6 + 12 + 9 + 3);
    let rows = loads.iter().enumerate().map(|(index, load)| shard(index, *load, bar)).collect();
    let title = format!(" Shards: {} ", loads.len());
    let names = ["shard", "load", "", "viewers"];
    let table = table(screen, Part::Shards, title, &names, &widths, rows);
    frame.render_stateful_widget(table, area, &mut screen.places[Part::Shards as usize]);
}

fn shard(index: usize, load: ShardLoad, width: u16) -> Row<'static> {
    let filled = (load.busy * f64::from(width)).round() as usize;
    let colour = if load.busy > BUSY { Color::Red } else { Color::Cyan };
    let bar = format!("{}{}", "█".repeat(filled), "·".repeat(usize::from(width).saturating_sub(filled)));
    let busy = if load.up { percent(Some(load.busy)) } else { "stands still".to_owned() };
    let row = Row::new(vec![
        Cell::from(index.to_string()),
        Cell::from(bar.fg(colour)),
        Cell::from(busy),
        Cell::from(number(load.viewers)),
    ]);
    if load.up { row } else { row.style(Style::new().fg(Color::Red)) }
}

fn draw_streams(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
    let streams = &screen.seen.streams.streams;
    let all = streams.iter().filter(|stream| !stream.is_layer()).count();
    let wrong = streams.iter().filter(|stream| !stream.is_layer() && stream.trouble.is_some()).count();
    let attention = if wrong > 0 { format!(", {wrong} with trouble") } else { String::new() };
    let title = format!(" Streams: {all}{attention} ");
    let widths = [
        Constraint::Length(16),
        Constraint::Fill(1),
        Constraint::Length(14),
        Constraint::Length(9),
        Constraint::Length(7),
    ];
    let names = ["stream", "state", "picture", "bitrate", "viewers"];
    let rows = streams.iter().map(stream).collect();
    let table = table(screen, Part::Streams, title, &names, &widths, rows);
    frame.render_stateful_widget(table, area, &mut screen.places[Part::Streams as usize]);
}

fn stream(stream: &Told) -> Row<'static> {
    let cells = [
        stream.name.clone(),
        state(stream),
        picture(stream),
        bitrate(stream.ingress.as_ref().and_then(|ingress| ingress.bps)),
        stream.viewers.to_string(),
    ];
    let colour = if stream.trouble.is_some() { Style::new().fg(Color::Red) } else { Style::new() };
    Row::new(cells.map(Cell::from)).style(colour)
}

/// What a stream does, or why it does not.
pub(super) fn state(stream: &Told) -> String {
    match &stream.trouble {
        None => {
            let of = stream.turn.as_ref().map(|turn| format!(" (source {} of {})", turn.source, turn.of));
            format!("{}{}", stream.state, of.unwrap_or_default())
        }
        Some(trouble) => {
            let kind = trouble.cause.as_ref().unwrap_or(&trouble.kind);
            let why = stream.error.as_deref().or(trouble.detail.as_deref());
            why.map_or(kind.clone(), |why| format!("{kind}: {why}"))
        }
    }
}

/// Codec and size.
pub(super) fn picture(stream: &Told) -> String {
    let Some(video) = &stream.video else { return "-".to_owned() };
    let size = video.width.zip(video.height).map(|(width, height)| format!(" {width}x{height}"));
    format!("{}{}", video.codec, size.unwrap_or_default())
}

fn draw_viewers(frame: &mut Frame<'_>, area: Rect, screen: &mut Screen) {
    let list = &screen.seen.viewers;
    let silent = list.silent_shards.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
    let silent = if silent.is_empty() { silent } else { format!(", shard {silent} does not answer") };
    let title = format!(" Viewers: {}, the worst by {}{silent} ", list.total, sort_words(screen.sort()));
    let widths = [
        Constraint::Length(8),
        Constraint::Fill(1),
        Constraint::Fill(1),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(9),
    ];
    let now = screen.seen.sample.as_ref().map_or(0, |sample| sample.at_ms);
    let names = ["session", "stream", "address", "since", "trip", "loss", "repairs", "estimate"];
    let rows = list.sessions.iter().map(|viewer| Row::new(cells(viewer, now)).style(worry(viewer))).collect();
    let table = table(screen, Part::Viewers, title, &names, &widths, rows);
    frame.render_stateful_widget(table, area, &mut screen.places[Part::Viewers as usize]);
}

fn worry(viewer: &ViewerRow) -> Style {
    match viewer.loss {
        Some(loss) if loss > LOSSY => Style::new().fg(Color::Red),
        _ if !viewer.connected => Style::new().fg(Color::DarkGray),
        _ => Style::new(),
    }
}

/// The columns of a viewer; `now_ms` is the server's time.
pub(super) fn cells(viewer: &ViewerRow, now_ms: u64) -> [String; 8] {
    [
        viewer.id.clone(),
        viewer.layer.as_ref().map_or(viewer.stream.clone(), |layer| format!("{}:{layer}", viewer.stream)),
        viewer.address.clone(),
        length(Duration::from_millis(now_ms.saturating_sub(viewer.since_ms))),
        milliseconds(viewer.round_trip_ms),
        percent(viewer.loss),
        number(viewer.repairs.into()),
        bitrate(viewer.estimate_bps),
    ]
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
