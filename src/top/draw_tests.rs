//! The screen as ratatui's test terminal has it, and what keys make of it.

use std::error::Error;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::super::ask::{AskError, Seen};
use super::super::screen::{StreamSort, Turn};
use super::*;
use crate::http::streams::{Ingress, Listed, ToldTrouble, ToldVideo};
use crate::operator::sample::Sample;
use crate::operator::sessions::List;

fn stream(name: &str, viewers: usize, trouble: Option<&str>) -> Told {
    let trouble = trouble.map(|cause| ToldTrouble {
        kind: "away".to_owned(),
        cause: Some(cause.to_owned()),
        detail: Some("the camera does not answer".to_owned()),
    });
    let (width, height) = (Some(1280), Some(720));
    Told {
        name: name.to_owned(),
        state: "playing".to_owned(),
        trouble,
        video: Some(ToldVideo { codec: "H264".to_owned(), width, height, profile: None }),
        viewers,
        ingress: Some(Ingress { bps: Some(1_240_000), ..Ingress::default() }),
        ..Told::default()
    }
}

fn viewer(number: u64) -> ViewerRow {
    ViewerRow {
        id: format!("{number:08x}"),
        stream: "gate".to_owned(),
        layer: None,
        shard: 0,
        address: "192.0.2.1".to_owned(),
        client: "Mozilla/5.0".to_owned(),
        since_ms: 1_000_000 - 1_000 * number,
        connected: true,
        path: None,
        round_trip_ms: Some(31.4),
        loss: Some(0.12 / (number + 1) as f64),
        lost: 7,
        packets: 100,
        repairs: 6,
        estimate_bps: Some(2_150_000),
        limit_bps: None,
        left_out: 0,
        redundant_sound: false,
    }
}

fn seen(viewers: u64) -> Seen {
    let load = |busy, up| ShardLoad { busy, viewers: 22, up };
    Seen {
        version: "1.2.3".to_owned(),
        sample: Some(Sample {
            at_ms: 1_000_000,
            egress_bps: 64_960_000,
            viewers: 45,
            loss: Some(0.0031),
            shards: [load(0.25, true), load(0.93, true), load(0.0, false)].into(),
            ..Sample::default()
        }),
        streams: Listed {
            total: None,
            version: "1.2.3".to_owned(),
            streams: vec![
                stream("yard", 3, None),
                stream("gate", 42, None),
                stream("roof", 0, Some("unreachable")),
            ],
        },
        viewers: List {
            total: 45,
            sessions: (0..viewers).map(viewer).collect(),
            silent_shards: vec![2],
            ended: Vec::new(),
        },
    }
}

fn screen(viewers: u64) -> Screen {
    Screen::new("http://127.0.0.1:9997".to_owned(), seen(viewers), Sort::Loss)
}

/// The lines of a terminal of that size.
fn drawn(screen: &mut Screen, width: u16, height: u16) -> Result<Vec<String>, Box<dyn Error>> {
    let mut terminal = Terminal::new(TestBackend::new(width, height))?;
    terminal.draw(|frame| all(frame, screen))?;
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    Ok((0..height).map(line).collect())
}

fn press(screen: &mut Screen, code: KeyCode) -> Turn {
    screen.handle_key(KeyEvent::new(code, KeyModifiers::NONE))
}

#[test]
fn everything_that_matters_fits_into_eighty_columns() -> Result<(), Box<dyn Error>> {
    let lines = drawn(&mut screen(3), 80, 24)?;
    let text = lines.join("\n");
    for words in [
        "sluice 1.2.3 http://127.0.0.1:9997  45 viewers  65.0 Mb/s  loss 0.31 %",
        "Shards: 3",
        "stands still",
        "93 %",
        "Streams: 3, 1 with trouble",
        "roof             unreachable: the camera does",
        "H264 1280x720  1.24 Mb/s 42",
        "Viewers: 45, the worst by loss, shard 2 does not answer",
        "00000000 gate            192.0.2.1       0 s    31 ms   12 %   6       2.15 Mb/s",
        "Tab, arrows move   s sort (by loss)   q quit",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    let bars: Vec<usize> =
        lines.iter().map(|line| line.matches('█').count()).filter(|bar| *bar > 0).collect();
    assert_eq!(bars.len(), 2, "{text}");
    assert!(bars[1] > 3 * bars[0], "{bars:?}");
    Ok(())
}

#[test]
fn room_goes_to_whom_needs_it_and_first_to_the_part_with_the_keys() {
    for (all, needs, keys, given) in [
        // Two shards need no more, and the viewers get what is left.
        (40, [4, 66, 102], Part::Shards, [4, 7, 29]),
        (40, [4, 66, 102], Part::Streams, [4, 29, 7]),
        (40, [4, 66, 102], Part::Viewers, [4, 7, 29]),
        (40, [4, 20, 5], Part::Shards, [4, 20, 5]),
        (40, [66, 20, 5], Part::Viewers, [15, 20, 5]),
        (10, [66, 66, 66], Part::Shards, [7, 7, 7]),
    ] {
        assert_eq!(heights(all, needs, keys), given, "{all} {needs:?} {keys:?}");
    }
}

#[test]
fn a_terminal_of_any_size_is_drawn() -> Result<(), Box<dyn Error>> {
    for (width, height) in [(1, 1), (10, 3), (20, 8), (80, 5), (300, 100)] {
        for part in Part::ALL {
            let mut screen = screen(100);
            screen.part = part;
            drawn(&mut screen, width, height)?;
        }
    }
    let empty = Screen::new("http://[::1]:9997".to_owned(), Seen::default(), Sort::Since);
    assert!(drawn(&mut { empty }, 80, 24)?.join("\n").contains("Viewers: 0, the worst by newest"));
    Ok(())
}

#[test]
fn arrows_go_through_the_rows_and_tab_to_the_next_table() -> Result<(), Box<dyn Error>> {
    let mut screen = screen(100);
    press(&mut screen, KeyCode::End);
    let text = drawn(&mut screen, 80, 24)?.join("\n");
    assert!(text.contains("00000063") && !text.contains("00000000"), "{text}");
    press(&mut screen, KeyCode::Home);
    press(&mut screen, KeyCode::Up);
    assert!(drawn(&mut screen, 80, 24)?.join("\n").contains("00000000"));
    let parts = [KeyCode::Tab, KeyCode::Right, KeyCode::Tab, KeyCode::BackTab].map(|key| {
        press(&mut screen, key);
        screen.part
    });
    assert_eq!(parts, [Part::Shards, Part::Streams, Part::Viewers, Part::Streams]);
    Ok(())
}

#[test]
fn s_sorts_the_table_that_has_the_keys_and_q_quits() -> Result<(), Box<dyn Error>> {
    let mut screen = screen(3);
    assert_eq!(press(&mut screen, KeyCode::Char('s')), Turn::Sorted(Sort::RoundTrip));
    let names = |screen: &Screen| {
        screen.seen.streams.streams.iter().map(|stream| stream.name.clone()).collect::<Vec<_>>().join(",")
    };
    assert_eq!(names(&screen), "roof,gate,yard", "trouble comes first");
    press(&mut screen, KeyCode::BackTab);
    assert_eq!(press(&mut screen, KeyCode::Char('s')), Turn::Moved);
    assert_eq!((screen.stream_sort, names(&screen)), (StreamSort::Viewers, "gate,yard,roof".to_owned()));
    assert_eq!(press(&mut screen, KeyCode::Char('q')), Turn::Quit);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(screen.handle_key(control_c), Turn::Quit);
    Ok(())
}

#[test]
fn a_server_that_does_not_answer_is_said_above_what_it_told_last() -> Result<(), Box<dyn Error>> {
    let mut screen = screen(3);
    press(&mut screen, KeyCode::End);
    screen.handle_answer(Err(AskError::Late("127.0.0.1".parse()?)));
    let text = drawn(&mut screen, 80, 24)?.join("\n");
    assert!(text.starts_with("http://127.0.0.1:9997 does not answer within 5 s"), "{text}");
    assert!(text.contains("00000002"), "{text}");
    screen.handle_answer(Ok(seen(1)));
    let text = drawn(&mut screen, 80, 24)?.join("\n");
    assert!(text.starts_with("sluice 1.2.3") && text.contains("00000000"), "{text}");
    Ok(())
}
