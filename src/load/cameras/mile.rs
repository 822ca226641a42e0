//! The way of one track's UDP packets to one client: some are lost, some come behind others.
//!
//! Owns the packet that is held back; chance is [`crate::impair`]'s. Never touches a socket.

use crate::impair::{Done, Fate, Impairment, Path};

/// The way of one track to one client.
#[derive(Debug)]
pub struct Mile {
    path: Path,
    held: Option<Vec<u8>>,
}

impl Mile {
    /// A way whose chances follow from `seed`.
    pub fn new(loss: f64, reorder: f64, seed: u64) -> Mile {
        let impairment = Impairment { loss, reorder, ..Impairment::default() };
        Mile { path: Path::new(impairment, seed), held: None }
    }

    /// What arrives once `packet` was sent, in order: itself, nothing, or itself and one that was held back.
    pub fn pass(&mut self, packet: &[u8]) -> (bool, Option<Vec<u8>>) {
        match self.path.decide(false) {
            Fate::Lose => (false, None),
            Fate::Hold => {
                self.held = Some(packet.to_vec());
                (false, None)
            }
            Fate::Pass | Fate::Double => (true, if self.path.releases() { self.held.take() } else { None }),
        }
    }

    /// The picture is over: what is still held back arrives. Packets of one burst overtake each other on a way, and hardly
    /// ever those of the next.
    pub fn end(&mut self) -> Option<Vec<u8>> {
        self.held.take()
    }

    /// What was done so far.
    pub fn done(&self) -> Done {
        self.path.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What arrives of 200 packets.
    fn arrived(mile: &mut Mile) -> Vec<u8> {
        let mut arrived = Vec::new();
        for number in 0..200 {
            let (passes, released) = mile.pass(&[number]);
            arrived.extend(passes.then_some(number).into_iter().chain(released.into_iter().flatten()));
        }
        arrived
    }

    #[test]
    fn packets_are_lost_and_reordered_as_often_as_asked_and_otherwise_left_alone() {
        assert_eq!(arrived(&mut Mile::new(0.0, 0.0, 1)), (0..200).collect::<Vec<u8>>());

        let mut lossy = Mile::new(0.1, 0.0, 2);
        let left = arrived(&mut lossy);
        assert!(left.is_sorted() && (160..198).contains(&left.len()), "{}", left.len());
        assert_eq!(lossy.done().lost as usize, 200 - left.len());

        let mut disorderly = Mile::new(0.0, 0.1, 3);
        let mut order = arrived(&mut disorderly);
        assert!(!order.is_sorted() && disorderly.done().held > 5, "{order:?}");
        order.extend(disorderly.end().into_iter().flatten());
        order.sort_unstable();
        assert_eq!(order, (0..200).collect::<Vec<u8>>());
    }
}
