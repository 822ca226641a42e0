#![expect(clippy::disallowed_methods, reason = "tests need some instant")]

use super::*;

const ANSWER: &str = "m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=rtpmap:96 H264/90000\r\na=rtpmap:97 rtx/90000\r\n\
                      a=fmtp:97 apt=96\r\n";

fn client(impairment: Impairment) -> Client {
    let dtls = SharedDtls::new().expect("the crypto library works");
    let behaviour = Behaviour { nack: true, verify: None, impairment, seed: 3 };
    let local = "127.0.0.1:4000".parse().expect("an address");
    let (mut client, _) = Client::new(Instant::now(), local, 0, behaviour, &dtls).expect("an offer");
    client.formats = Formats::of_answer(ANSWER);
    client
}

fn feed(client: &mut Client, numbers: std::ops::Range<u32>) {
    let source = "127.0.0.1:5000".parse().expect("an address");
    for number in numbers {
        let [high, low] = (number as u16).to_be_bytes();
        let datagram = [0x80, 96, high, low, 0, 0, 0, 1, 0, 0, 0, 9, 1, 2, 3];
        let mut silent = |_: SocketAddr, _: &[u8]| {};
        client.handle_datagram(Instant::now(), source, &datagram, &mut silent).expect("media never fails");
    }
}

#[test]
fn an_offer_asks_to_receive_one_audio_and_one_video() {
    let dtls = SharedDtls::new().expect("the crypto library works");
    let behaviour = Behaviour { nack: true, verify: None, impairment: Impairment::default(), seed: 0 };
    let local = "127.0.0.1:4000".parse().expect("an address");
    let (_, offer) = Client::new(Instant::now(), local, 0, behaviour, &dtls).expect("an offer");
    assert_eq!(offer.matches("a=recvonly").count(), 2, "{offer}");
    for wanted in
        ["m=audio", "m=video", "H264/90000", "opus/48000/2", "a=setup:actpass", "nack pli", "goog-remb"]
    {
        assert!(offer.contains(wanted), "{wanted} is missing:\n{offer}");
    }
    assert!(offer.contains(" 127.0.0.1 4000 typ host"), "{offer}");
    assert!(!offer.contains("transport-cc"), "what is not answered is not offered:\n{offer}");
}

#[test]
fn what_was_done_to_packets_is_what_is_counted() {
    let impairment = Impairment { loss: 0.05, reorder: 0.02, duplicate: 0.01, ..Impairment::default() };
    let mut client = client(impairment);
    feed(&mut client, 1..2);
    assert_eq!(client.totals().packets, 1, "this seed lets the first packet pass, so that every loss shows");
    feed(&mut client, 2..100_001);
    // A clean end: what was lost or held back last shows too.
    let Totals { impaired: done, .. } = client.totals();
    client.path.as_mut().expect("impaired").impair(Impairment::default());
    feed(&mut client, 100_001..100_011);

    let Totals { counts, packets, .. } = client.totals();
    assert!(done.lost > 4_000 && done.held > 1_000 && done.doubled > 500, "{done:?}");
    assert_eq!(counts.expected, 100_010);
    assert_eq!(counts.lost_before_repair(), done.lost);
    assert_eq!(counts.reordered, done.held);
    assert_eq!(counts.duplicates, done.doubled);
    assert_eq!(packets, 100_010 - done.lost + done.doubled);
    assert_eq!((counts.restarts, counts.stale), (0, 0), "the numbers wrapped, nothing else");
}

#[test]
fn rubbish_is_counted_and_changes_nothing() {
    let mut client = client(Impairment::default());
    let source = "127.0.0.1:5000".parse().expect("an address");
    for datagram in [&[][..], &[0x80], &[255; 40], &[0x80, 35, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]] {
        let mut silent = |_: SocketAddr, _: &[u8]| {};
        client.handle_datagram(Instant::now(), source, datagram, &mut silent).expect("rubbish never fails");
    }
    assert_eq!(client.totals().unknown, 4);
    assert_eq!(client.totals().counts, Default::default());
    assert_eq!(client.stage(), Stage::Offered);
}
