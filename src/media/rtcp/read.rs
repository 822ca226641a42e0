//! RTCP compounds taken apart (RFC 3550 §6.1), and of their packets those read that something acts on.
//!
//! Owns the walk, which costs a few nanoseconds a packet whatever the packets are. The library reads the kinds
//! that are asked for, and only those: other readers of it cost thousands of times their bytes.

use str0m::rtp::rtcp::Rtcp;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

/// Bytes of a report before its blocks: header and SSRC. A sender report tells of what is sent between them and these
/// (RFC 3550 §6.4.1), in so many bytes more.
const REPORT_HEAD: usize = 8;
const SENDER_INFO: usize = 20;

/// Bytes of a report block, and how many blocks a report has at the most: its count has five bits.
const BLOCK: usize = 24;
const BLOCKS_MAX: usize = 31;

/// NACK among the transport's feedback (RFC 4585 §6.2.1).
const NACK: u8 = 1;

/// PLI (RFC 4585 §6.3.1), FIR (RFC 5104 §4.3.1) and REMB among the payload's feedback.
const PLI: u8 = 1;
const FIR: u8 = 4;
const APPLICATION: u8 = 15;

/// The packets of a compound, each with its header and without its padding. Ends where one is not whole.
pub fn packets(compound: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = compound;
    std::iter::from_fn(move || {
        let &[first, _, high, low, ..] = rest else { return None };
        let length = 4 * (1 + usize::from(u16::from_be_bytes([high, low])));
        let (packet, behind) = rest.split_at_checked(length).filter(|_| first >> 6 == 2)?;
        rest = behind;
        let padding = if first & 0x20 != 0 { usize::from(packet[length - 1]) } else { 0 };
        packet.get(..length.checked_sub(padding).filter(|end| *end >= 4)?)
    })
}

/// The packet, if it is of a kind that something acts on and can be read. A sender report with report blocks is one of
/// what is received too (RFC 3550 §6.4), and given as such: who sends something himself puts them there.
pub fn read(packet: &[u8]) -> Option<Rtcp> {
    let &[first, kind, ..] = packet else { return None };
    let wanted = match kind {
        SENDER_REPORT => return as_receiver_report(packet),
        RECEIVER_REPORT => true,
        TRANSPORT_FEEDBACK => first & 0x1f == NACK,
        PAYLOAD_FEEDBACK => matches!(first & 0x1f, PLI | FIR | APPLICATION),
        _ => false,
    };
    // The library is given what its own walk would give it.
    if wanted { Rtcp::try_from(packet).ok() } else { None }
}

/// What a sender report says of what is received, if it does. The library would read the clock of its sender as well, for
/// nobody.
fn as_receiver_report(packet: &[u8]) -> Option<Rtcp> {
    let count = usize::from(packet[0] & 0x1f);
    let blocks = packet.get(REPORT_HEAD + SENDER_INFO..)?.get(..count * BLOCK).filter(|_| count > 0)?;
    let mut report = [0; REPORT_HEAD + BLOCKS_MAX * BLOCK];
    let end = REPORT_HEAD + blocks.len();
    report[..REPORT_HEAD].copy_from_slice(&packet[..REPORT_HEAD]);
    report[1] = RECEIVER_REPORT;
    report[2..4].copy_from_slice(&((end / 4 - 1) as u16).to_be_bytes());
    report[REPORT_HEAD..end].copy_from_slice(blocks);
    Rtcp::try_from(&report[..end]).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet of `words` words behind its header.
    fn packet(count: u8, kind: u8, words: &[u32]) -> Vec<u8> {
        let mut packet = vec![0x80 | count, kind];
        packet.extend((words.len() as u16).to_be_bytes());
        packet.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        packet
    }

    #[test]
    fn a_compound_comes_apart_and_what_something_acts_on_is_read() {
        let compound = [
            packet(0, 201, &[1]),
            packet(1, 202, &[1, 0x0102_6162, 0]),
            packet(1, 205, &[1, 2, 0x0007_0003]),
            packet(1, 206, &[1, 2]),
            packet(4, 206, &[1, 0, 2, 0x0100_0000]),
            packet(15, 206, &[1, 0, 0x5245_4d42, 0x0100_0000 | 500, 2]),
            packet(15, 205, &[1, 2, 3, 4, 5]),
            packet(0, 204, &[1, 2]),
        ];
        let kinds: Vec<_> = packets(&compound.concat()).map(read).collect();
        assert!(matches!(
            &kinds[..],
            [
                Some(Rtcp::ReceiverReport(_)),
                None,
                Some(Rtcp::Nack(_)),
                Some(Rtcp::Pli(_)),
                Some(Rtcp::Fir(_)),
                Some(Rtcp::Remb(_)),
                None,
                None
            ]
        ));
        let Some(Rtcp::Nack(nack)) = &kinds[2] else { panic!("a NACK") };
        assert_eq!((*nack.ssrc, nack.reports.len()), (2, 1));
    }

    #[test]
    fn blocks_of_a_sender_report_are_those_of_a_receiver_report() {
        let blocks: Vec<u32> = (0..12).collect();
        let told = |packet: &[u8]| match read(packet) {
            Some(Rtcp::ReceiverReport(report)) => {
                Some(report.reports.iter().map(|block| (*block.ssrc, block.max_seq)).collect::<Vec<_>>())
            }
            _ => None,
        };
        let sender = [&[7, 0xffff_ffff, 1, 2, 3, 4], &blocks[..]].concat();
        assert_eq!(told(&packet(2, 200, &sender)), Some(vec![(0, 2), (6, 8)]));
        assert_eq!(told(&packet(2, 201, &[&[7], &blocks[..]].concat())), Some(vec![(0, 2), (6, 8)]));
        // An extension of a profile may follow.
        assert_eq!(told(&packet(1, 200, &sender)), Some(vec![(0, 2)]));
        assert_eq!(told(&packet(3, 200, &sender)), None, "fewer blocks than it counts");
        assert_eq!(told(&packet(0, 200, &sender[..6])), None, "nothing of what is received");
        assert_eq!(told(&packet(31, 200, &[])), None);
    }

    #[test]
    fn source_descriptions_are_passed_over_unread_however_many() {
        let compound = packet(0, 202, &[]).repeat(380);
        let passed = packets(&compound).map(|packet| assert!(read(packet).is_none())).count();
        assert_eq!(passed, 380);
    }

    #[test]
    fn padding_is_cut_off_and_what_is_not_whole_ends_the_walk() {
        let mut padded = packet(0x20 | 1, 206, &[1, 2, 0]);
        *padded.last_mut().expect("a byte") = 4;
        assert_eq!(packets(&padded).map(<[u8]>::len).collect::<Vec<_>>(), [12]);
        *padded.last_mut().expect("a byte") = 17;
        assert_eq!(packets(&padded).count(), 0, "more padding than packet");
        let whole = packet(0, 201, &[1]);
        assert_eq!(packets(&[&whole[..], &whole[..6]].concat()).count(), 1);
        assert_eq!(packets(&[0x40, 201, 0, 0]).count(), 0, "of another version");
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_and_read_without_harm(bytes: Vec<u8>) {
            let walked: usize = packets(&bytes).map(|packet| { read(packet); packet.len() }).sum();
            prop_assert!(walked <= bytes.len());
        }
    }
}
