//! Everything once, as plain text for scripts and for a complaint that is sent on.
//!
//! Owns the layout: columns wide enough for what is in them, so that none is cut.

use super::ask::{Address, Seen};
use super::draw::{cells, picture, state};
use super::units::{bitrate, number, percent};

/// What is seen, with a newline at its end.
pub(super) fn of(address: &Address, seen: &Seen) -> String {
    let mut text = format!("sluice {} {address}\n", seen.version);
    let now = seen.sample.as_ref().map_or(0, |sample| sample.at_ms);
    if let Some(sample) = &seen.sample {
        let (viewers, egress) = (number(sample.viewers), bitrate(Some(sample.egress_bps)));
        text.push_str(&format!("{viewers} viewers, {egress}, loss {}\n", percent(sample.loss)));
        let shards = sample.shards.iter().enumerate().map(|(index, load)| {
            let busy = if load.up { percent(Some(load.busy)) } else { "stands still".to_owned() };
            vec![index.to_string(), busy, number(load.viewers)]
        });
        text.push_str(&columns(&["shard", "load", "viewers"], shards.collect()));
    }
    let streams = seen.streams.streams.iter().map(|stream| {
        let ingress = bitrate(stream.ingress.as_ref().and_then(|ingress| ingress.bps));
        vec![stream.name.clone(), picture(stream), ingress, stream.viewers.to_string(), state(stream)]
    });
    text.push_str(&columns(&["stream", "picture", "bitrate", "viewers", "state"], streams.collect()));
    let viewers = seen.viewers.sessions.iter().map(|viewer| cells(viewer, now).to_vec());
    let names = ["session", "stream", "address", "since", "trip", "loss", "repairs", "estimate"];
    text.push_str(&columns(&names, viewers.collect()));
    if seen.viewers.total > seen.viewers.sessions.len() {
        text.push_str(&format!("and {} more\n", seen.viewers.total - seen.viewers.sessions.len()));
    }
    for shard in &seen.viewers.silent_shards {
        text.push_str(&format!("shard {shard} does not answer: its viewers are missing here\n"));
    }
    printable(&text)
}

/// `text` without what a terminal would act on: whoever answers may be no Sluice.
pub(super) fn printable(text: &str) -> String {
    let plain = |c: char| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(plain).collect()
}

/// A table below an empty line.
fn columns(names: &[&str], rows: Vec<Vec<String>>) -> String {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(names).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..all[0].len()).map(width).collect();
    let mut text = String::from("\n");
    for row in &all {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
