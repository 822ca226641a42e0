//! What happens during a load test: what viewers and servers say, and what follows from it.
//!
//! Owns the way of an offer to its answer, and the books of failures. Never waits (that is `whep`).

use super::super::http::{Answer, Refusal};
use super::super::worker::{Command, Event};
use super::{Course, Outcome};

/// Different reasons of failure that are told apart.
const REASONS_MAX: usize = 32;

impl Course<'_> {
    pub(super) fn handle_event(&mut self, event: Event) {
        match event {
            Event::Offer { id, sdp } => {
                let (endpoint, slots) = (self.endpoint(id), self.slots.clone());
                self.requests.spawn(async move {
                    let _slot = slots.acquire().await;
                    (id, Outcome::Answered(endpoint.post(sdp).await))
                });
            }
            Event::Joined => self.run.joined += 1,
            Event::Failed { id, reason, was_connected } => {
                let watching = self.watching.len();
                self.watching.retain(|other| *other != id);
                // One that was told to leave may hear the server's goodbye first: that is no failure.
                if self.watching.len() < watching {
                    self.count_failure(was_connected, reason);
                }
                self.delete(id);
            }
            Event::Ticked(index, mark) => self.marks[index] = mark,
            Event::Marked(index, mark) => self.marks[index] = mark,
            Event::Stopped(gone) => {
                self.run.gone += &gone;
                self.stopped += 1;
            }
        }
    }

    pub(super) fn handle_outcome(&mut self, id: u32, outcome: Outcome) {
        let answered = match outcome {
            Outcome::Answered(answered) => answered,
            Outcome::Deleted => return self.worker(id).send(Command::Leave { id }),
            Outcome::Abandoned => return,
        };
        match answered {
            Ok(Answer { sdp, session }) => match self.places.get_mut(&id) {
                Some(place) => {
                    *place = session;
                    self.worker(id).send(Command::Answer { id, sdp });
                }
                // It was replaced, or gave up, before the answer came.
                None => {
                    self.places.insert(id, session);
                    self.delete(id);
                }
            },
            Err(refusal) => {
                // Only if it has not given up by itself: a join fails once.
                if self.places.remove(&id).is_some() {
                    let reason = refusal.to_string();
                    if let Refusal::Status(_, Some(why)) = refusal
                        && self.run.why.len() < REASONS_MAX
                    {
                        self.run.why.entry(reason.clone()).or_insert(why);
                    }
                    self.count_failure(false, reason);
                    self.watching.retain(|other| *other != id);
                    self.worker(id).send(Command::Forget { id });
                }
            }
        }
    }

    fn count_failure(&mut self, was_connected: bool, mut reason: String) {
        let reasons = if was_connected { &mut self.run.ended } else { &mut self.run.failures };
        if reasons.len() >= REASONS_MAX && !reasons.contains_key(&reason) {
            reason = "other reasons".to_owned();
        }
        *reasons.entry(reason).or_default() += 1;
    }
}
