//! The order of viewers; that they are asked for and ended is tested against a real server (tests/http/operator.rs).

use super::*;

fn row(id: &str, loss: Option<f64>, lost: u32, estimate_bps: Option<u64>) -> Row {
    Row {
        id: id.to_owned(),
        stream: "gate".to_owned(),
        layer: None,
        shard: 0,
        address: "192.0.2.1".to_owned(),
        client: String::new(),
        since_ms: 0,
        connected: true,
        path: None,
        round_trip_ms: None,
        loss,
        lost,
        packets: 0,
        repairs: 0,
        estimate_bps,
        limit_bps: None,
        left_out: 0,
        redundant_sound: false,
    }
}

fn sorted(sort: Sort, mut rows: Vec<Row>) -> String {
    rows.sort_by(|a, b| sort.order(a, b));
    rows.into_iter().map(|row| row.id).collect()
}

#[test]
fn the_worst_come_first_and_what_was_not_measured_last() {
    let rows = vec![
        row("a", None, 9, Some(2)),
        row("b", Some(0.0), 7, None),
        row("c", Some(0.5), 1, Some(1)),
        row("d", Some(0.0), 8, Some(3)),
    ];
    assert_eq!(sorted(Sort::Loss, rows.clone()), "cdba");
    assert_eq!(sorted(Sort::Estimate, rows.clone()), "cadb");
    let reversed = rows.iter().rev().cloned().collect();
    assert_eq!(sorted(Sort::RoundTrip, rows), sorted(Sort::RoundTrip, reversed), "the same at each look");
}
