//! Asking a camera for a keyframe (RFC 4585 §6.3.1), where its session description lets it be asked.
//!
//! Owns how often: a keyframe is many times a picture, and one answers all who wait.

use std::time::{Duration, Instant};

use sluice_media::rtcp::{KEYFRAME_REQUEST, keyframe_request};
use str0m::rtp::Ssrc;

use crate::track::KeyframeRequest;

/// Time between two requests at the least. Shorter lets viewers with bad lines fill the camera's; longer lets them
/// wait.
const INTERVAL: Duration = Duration::from_secs(1);

/// What is asked of one camera.
#[derive(Debug)]
pub(super) struct Asking {
    request: KeyframeRequest,
    /// Our SSRC.
    ours: Ssrc,
    asked: Option<Instant>,
}

impl Asking {
    /// Asks when `request` does, as the sender `ours`.
    pub(super) fn new(request: KeyframeRequest, ours: Ssrc) -> Asking {
        Asking { request, ours, asked: None }
    }

    /// A compound that asks the sender `ssrc` for a keyframe, if that is due. A request that comes too soon waits.
    pub(super) fn due(&mut self, now: Instant, ssrc: Ssrc) -> Option<[u8; KEYFRAME_REQUEST]> {
        let soon = self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < INTERVAL);
        if soon || !self.request.take() {
            return None;
        }
        self.asked = Some(now);
        Some(keyframe_request(self.ours, ssrc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant serves")]
    fn it_asks_once_for_all_who_wait_and_not_again_within_a_second() {
        let request = KeyframeRequest::default();
        let mut asking = Asking::new(request.clone(), 7.into());
        let start = Instant::now();
        let mut asks = |ms| asking.due(start + Duration::from_millis(ms), 9.into()).is_some();
        assert!(!asks(0), "nobody needs one");
        request.ask();
        request.ask();
        assert!(asks(1) && !asks(2));
        request.ask();
        assert!(!asks(1_000), "too soon");
        assert!(asks(1_001) && !asks(5_000));
    }
}
