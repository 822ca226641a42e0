use std::time::Instant;

use super::*;

/// The pauses of a minute in which each session brings a picture each 100 ms for `lasts` and is closed then, and how
/// many of the ends are news.
#[expect(clippy::disallowed_methods, reason = "any instant serves")]
fn a_minute(lasts: Duration) -> (Vec<Duration>, usize) {
    let start = Instant::now();
    let mut now = start;
    let (mut backoff, mut journal) =
        (Backoff::new(Duration::from_millis(500), Duration::from_secs(30)), Journal::default());
    let (mut pauses, mut news) = (Vec::new(), 0);
    while now < start + Duration::from_secs(60) {
        let (mut flow, began) = (Flow::default(), now);
        while now <= began + lasts {
            if flow.note(now) {
                journal.flows("gate");
            }
            now += Duration::from_millis(100);
        }
        let failure = Failure::Closed(None);
        let retry_in = pause(&mut backoff, flow.is_steady(), Then::Pause { hopeless: false }, 0.5);
        news += usize::from(journal.is_news(&failure));
        journal.failed("gate", failure, "closed", retry_in, now);
        pauses.push(retry_in);
        now += retry_in;
    }
    (pauses, news)
}

#[test]
fn a_camera_that_brings_a_picture_and_closes_is_asked_ever_less_and_told_once() {
    for lasts in [Duration::ZERO, Duration::from_secs(1)] {
        let (pauses, news) = a_minute(lasts);
        assert!(
            pauses.windows(2).all(|pair| pair[1] > pair[0] || pair[1] > Duration::from_secs(15)),
            "{pauses:?}"
        );
        assert!(pauses.len() < 9, "{pauses:?}");
        assert_eq!(news, 1);
    }
}

#[test]
fn a_session_that_worked_for_a_while_is_tried_again_at_once_and_its_end_is_news() {
    let (pauses, news) = a_minute(Duration::from_secs(6));
    assert!(
        pauses.len() >= 9 && pauses.iter().all(|pause| *pause <= Duration::from_millis(500)),
        "{pauses:?}"
    );
    assert_eq!(news, pauses.len());
}
