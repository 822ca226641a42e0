//! What is on the screen and where in it: three tables, one of which has the keys.
//!
//! Owns what keys do and how rows are ordered. Knows no terminal and no server.

use std::cmp::Reverse;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;

use super::ask::{AskError, Seen};
use crate::http::streams::Told;
use crate::operator::sessions::Sort;

/// A table, from the top of the screen down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Shards,
    Streams,
    Viewers,
}

impl Part {
    pub(super) const ALL: [Part; 3] = [Part::Shards, Part::Streams, Part::Viewers];
}

/// The order of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamSort {
    Trouble,
    Viewers,
    Bitrate,
    Name,
}

impl StreamSort {
    const ALL: [StreamSort; 4] =
        [StreamSort::Trouble, StreamSort::Viewers, StreamSort::Bitrate, StreamSort::Name];

    pub(super) fn words(self) -> &'static str {
        match self {
            StreamSort::Trouble => "trouble",
            StreamSort::Viewers => "viewers",
            StreamSort::Bitrate => "bitrate",
            StreamSort::Name => "name",
        }
    }
}

/// What a key brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Quit,
    /// Viewers are to be asked for in this order: the server has more of them than it tells.
    Sorted(Sort),
    Moved,
}

/// The screen.
#[derive(Debug)]
pub(super) struct Screen {
    pub(super) address: String,
    pub(super) seen: Seen,
    /// Why what is shown is not of now.
    pub(super) trouble: Option<String>,
    /// Which part has the keys.
    pub(super) part: Part,
    /// The place in each part.
    pub(super) places: [TableState; 3],
    pub(super) stream_sort: StreamSort,
    sort: Sort,
}

impl Screen {
    pub(super) fn new(address: String, seen: Seen, sort: Sort) -> Screen {
        let places = Part::ALL.map(|_| TableState::new().with_selected(0));
        let mut screen = Screen {
            address,
            seen: Seen::default(),
            trouble: None,
            part: Part::Viewers,
            places,
            stream_sort: StreamSort::Trouble,
            sort,
        };
        screen.handle_answer(Ok(seen));
        screen
    }

    /// The order of viewers.
    pub(super) fn sort(&self) -> Sort {
        self.sort
    }

    /// What a look at the server showed, or why it showed nothing: then the last one stays.
    pub(super) fn handle_answer(&mut self, answer: Result<Seen, AskError>) {
        match answer {
            Ok(seen) => {
                self.seen = seen;
                self.trouble = None;
                order(&mut self.seen.streams.streams, self.stream_sort);
                for (part, place) in Part::ALL.into_iter().zip(&mut self.places) {
                    let last = rows(&self.seen, part).saturating_sub(1);
                    place.select(Some(place.selected().unwrap_or(0).min(last)));
                }
            }
            Err(error) => self.trouble = Some(error.to_string()),
        }
    }

    pub(super) fn handle_key(&mut self, key: KeyEvent) -> Turn {
        let at = Part::ALL.iter().position(|part| *part == self.part).unwrap_or(0);
        let next = |steps: usize| Part::ALL[(at + steps) % Part::ALL.len()];
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Turn::Quit,
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return Turn::Quit,
            KeyCode::Tab | KeyCode::Right => self.part = next(1),
            KeyCode::BackTab | KeyCode::Left => self.part = next(2),
            KeyCode::Down => self.go(1),
            KeyCode::Up => self.go(-1),
            KeyCode::PageDown => self.go(10),
            KeyCode::PageUp => self.go(-10),
            KeyCode::Home => self.go(isize::MIN),
            KeyCode::End => self.go(isize::MAX),
            KeyCode::Char('s') => return self.sort_otherwise(),
            _ => {}
        }
        Turn::Moved
    }

    fn go(&mut self, steps: isize) {
        let last = rows(&self.seen, self.part).saturating_sub(1);
        let place = &mut self.places[self.part as usize];
        let now = place.selected().unwrap_or(0);
        place.select(Some(now.saturating_add_signed(steps).min(last)));
    }

    fn sort_otherwise(&mut self) -> Turn {
        match self.part {
            Part::Shards => {}
            Part::Streams => {
                self.stream_sort = after(&StreamSort::ALL, self.stream_sort);
                order(&mut self.seen.streams.streams, self.stream_sort);
            }
            Part::Viewers => {
                self.sort = after(&Sort::NAMES.map(|(_, sort)| sort), self.sort);
                return Turn::Sorted(self.sort);
            }
        }
        Turn::Moved
    }
}

/// The one that comes behind `now`, round and round.
fn after<T: Copy + PartialEq>(all: &[T], now: T) -> T {
    let at = all.iter().position(|other| *other == now).unwrap_or(0);
    all[(at + 1) % all.len()]
}

fn rows(seen: &Seen, part: Part) -> usize {
    match part {
        Part::Shards => seen.sample.as_ref().map_or(0, |sample| sample.shards.len()),
        Part::Streams => seen.streams.streams.len(),
        Part::Viewers => seen.viewers.sessions.len(),
    }
}

fn order(streams: &mut [Told], sort: StreamSort) {
    let bitrate = |stream: &Told| stream.ingress.as_ref().and_then(|ingress| ingress.bps);
    streams.sort_by(|a, b| {
        let by = match sort {
            StreamSort::Trouble => a.trouble.is_none().cmp(&b.trouble.is_none()),
            StreamSort::Viewers => Reverse(a.viewers).cmp(&Reverse(b.viewers)),
            StreamSort::Bitrate => bitrate(b).cmp(&bitrate(a)),
            StreamSort::Name => std::cmp::Ordering::Equal,
        };
        by.then_with(|| a.name.cmp(&b.name))
    });
}
