use proptest::prelude::*;

use super::super::message::Start;
use super::*;

/// An interleaved packet that looks like RTP.
fn packet(channel: u8, number: u8, length: usize) -> Vec<u8> {
    let mut packet = vec![b'$', channel];
    packet.extend_from_slice(&(length as u16).to_be_bytes());
    packet.extend_from_slice(&[0x80, 96, 0, number]);
    packet.resize(4 + length, 0x55);
    packet
}

const ANSWER: &[u8] = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 4\r\n\r\nbody";

/// What comes of `bytes` that arrive in pieces of `step`: the channel of a packet, or 1000 + the status.
fn read(bytes: &[u8], step: usize) -> (Vec<u32>, Wire) {
    let mut wire = Wire::default();
    let mut seen = Vec::new();
    for piece in bytes.chunks(step) {
        wire.input().extend_from_slice(piece);
        while let Some(item) = wire.next().expect("nothing is too large") {
            seen.push(match item {
                Item::Packet(channel, packet) => {
                    u32::from(channel) * 1_000 + packet.get(3).map_or(0, |number| u32::from(*number))
                }
                Item::Message(Message { head: Head { start: Start::Response(status), .. }, .. }) => {
                    u32::from(status)
                }
                Item::Message(_) => 0,
            });
        }
    }
    (seen, wire)
}

#[test]
fn messages_and_packets_come_out_however_they_arrive() {
    let bytes =
        [ANSWER, b"\r\n\r\n", &packet(1, 2, 100), b"OPTIONS * RTSP/1.0\r\n\r\n", ANSWER, &packet(1, 3, 8)];
    let bytes = bytes.concat();
    for step in [1, 2, 3, 7, 50, bytes.len()] {
        let (seen, wire) = read(&bytes, step);
        assert_eq!((seen, wire.skipped()), (vec![200, 1_002, 0, 200, 1_003], 0), "in steps of {step}");
    }
}

/// What looks like a packet of 64 KiB in every way takes along what it claims, and no more.
#[test]
fn a_false_packet_costs_its_length_at_most() {
    let false_one = b"$\x00\xff\xff\x81garbage";
    let packets: Vec<u8> = (0..200).flat_map(|number| packet(0, number, 1_000)).collect();
    let bytes = [&packet(0, 1, 300)[..], false_one, &packets].concat();
    for step in [1_000, bytes.len()] {
        let (seen, _) = read(&bytes, step);
        assert!(seen.len() > 130 && seen.ends_with(&[198, 199]), "{}", seen.len());
    }
}

#[test]
fn rubbish_between_packets_is_skipped() {
    let alphabet: Vec<u8> = (b'a'..=b'z').chain(*b"\x00\x13\x37\x00\x13\x37").collect();
    for rubbish in [&alphabet[..], b"$", b"$$$$", b"RTSP", b"\xff\xfe$\x01\x00\x10abcdefghijklmnop"] {
        let bytes =
            [&packet(0, 1, 300)[..], rubbish, &packet(0, 2, 300), &packet(0, 3, 300), &packet(0, 4, 300)]
                .concat();
        let (seen, wire) = read(&bytes, bytes.len());
        assert!(seen.ends_with(&[3, 4]), "{rubbish:?}: {seen:?}");
        assert!(wire.skipped() > 0 || seen.len() == 4, "{rubbish:?}");
    }
    let bytes = [&packet(0, 1, 300)[..], &alphabet, &packet(0, 2, 300), ANSWER].concat();
    for step in [1, 5, bytes.len()] {
        assert_eq!(read(&bytes, step).0, [1, 2, 200], "in steps of {step}");
    }
}

/// live555 before 2017 loses the rest of a packet when the connection is full.
#[test]
fn a_packet_that_was_cut_does_not_take_those_behind_it_along() {
    let cut = &packet(0, 1, 1_000)[..600];
    let bytes = [cut, &packet(0, 2, 200), &packet(0, 3, 200), &packet(0, 4, 200)].concat();
    assert_eq!(read(&bytes, bytes.len()).0, [2, 3, 4]);
}

#[test]
fn sizes_are_bounded() {
    let mut wire = Wire::default();
    wire.input().extend_from_slice(b"RTSP/1.0 200 OK\r\nX: ");
    let mut poured = 0;
    let error = loop {
        wire.input().extend_from_slice(&[b'x'; 1_000]);
        poured += 1_000;
        match wire.next() {
            Ok(None) => assert!(poured <= MAX_HEAD),
            Ok(Some(item)) => panic!("{item:?}"),
            Err(error) => break error,
        }
    };
    assert_eq!(error, TooLarge::Head);

    let mut wire = Wire::default();
    wire.input().extend_from_slice(b"RTSP/1.0 200 OK\r\nContent-Length: 4000000000\r\n\r\n");
    assert_eq!(wire.next(), Err(TooLarge::Body));

    // A body without a length, a byte at a time.
    let mut wire = Wire::default();
    wire.input().extend_from_slice(b"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n");
    let error = loop {
        wire.input().extend_from_slice(b"a=x\r\n");
        if let Err(error) = wire.next() {
            break error;
        }
    };
    assert_eq!(error, TooLarge::Body);
}

/// What is poured between messages is dropped as it comes.
#[test]
fn rubbish_without_end_is_not_kept() {
    let mut wire = Wire::default();
    for _ in 0..10_000 {
        wire.input().extend_from_slice(&[b'x'; 1_000]);
        assert_eq!(wire.next(), Ok(None));
    }
    assert!(wire.buffer.capacity() < 4 * READ, "{}", wire.buffer.capacity());
    assert_eq!((wire.skipped(), wire.sample().len()), (10_000_000, SAMPLE));
}

#[test]
fn a_body_without_a_length_ends_where_something_else_begins() {
    let head = b"RTSP/1.0 200 OK\r\nContent-Type: application/sdp\r\n\r\n";
    let bytes = [&head[..], b"v=0\r\nm=video 0 RTP/AVP 96\r\n", ANSWER].concat();
    let (seen, _) = read(&bytes, 3);
    assert_eq!(seen, [200, 200]);

    let mut wire = Wire::default();
    wire.input().extend_from_slice(&[&head[..], b"v=0\r\nm=video 0"].concat());
    assert_eq!(wire.next(), Ok(None));
    assert!(wire.is_open_ended());
    match wire.cut_short() {
        Some(Item::Message(message)) => assert_eq!(&message.body[..], b"v=0\r\nm=video 0"),
        other => panic!("{other:?}"),
    }
}

/// The read buffer is used again as long as nobody keeps a packet.
#[test]
fn packets_that_are_let_go_cost_no_memory() {
    let mut wire = Wire::default();
    let first = wire.input().as_ptr();
    let mut moved = 0;
    for number in 0..200 {
        wire.input().extend_from_slice(&packet(0, number, 1_400).repeat(8));
        while wire.next().expect("nothing is too large").is_some() {}
        moved += usize::from(wire.input().as_ptr() != first);
    }
    assert!(wire.buffer.capacity() <= 2 * READ && moved < 200, "{moved} {}", wire.buffer.capacity());
}

/// retina's reader, strict as it is, reads the same from cameras that behave.
#[test]
fn well_behaved_messages_read_as_by_retina() {
    use retina::rtsp::msg;
    let text = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nDate: Sat, Apr 18 2026 10:00:00 GMT\r\nTransport: RTP/AVP/TCP;unicast;\
        interleaved=0-1;ssrc=4f1f1f1f\r\nSession: 66334873;timeout=60\r\nContent-Length: 4\r\n\r\nv=0\n";
    let mut input = &text[..];
    let (theirs, body) =
        retina::rtsp::parse::Parser::default().feed(&mut input).expect("retina reads it").expect("all of it");
    let msg::Message::Response(theirs) = theirs else { panic!("{theirs:?}") };
    let mut wire = Wire::default();
    wire.input().extend_from_slice(text);
    let Ok(Some(Item::Message(ours))) = wire.next() else { panic!("no message") };
    assert_eq!(ours.head.start, Start::Response(theirs.status_code.as_u16()));
    assert_eq!(&ours.body[..], body);
    for (name, value) in theirs.headers.iter() {
        let name = name.to_string().to_ascii_lowercase();
        assert_eq!(ours.head.headers.get(&name).as_deref(), Some(value.to_string().as_str()));
    }
}

proptest! {
    #[test]
    fn nothing_makes_it_panic_or_stop(bytes in proptest::collection::vec(any::<u8>(), 0..3_000), step in 1_usize..500) {
        let mut wire = Wire::default();
        for piece in bytes.chunks(step) {
            wire.input().extend_from_slice(piece);
            while let Ok(Some(_)) = wire.next() {}
        }
    }

    #[test]
    fn it_comes_back_into_step(rubbish in proptest::collection::vec(any::<u8>(), 1..200), step in 1_usize..2_000) {
        // A false beginning in the rubbish may take up to 64 KiB along, or wait for as much.
        let packets: Vec<u8> = (0..250).flat_map(|number| packet(0, number, 1_000)).collect();
        let (seen, _) = read(&[&rubbish[..], &packets].concat(), step);
        prop_assert!(seen.len() >= 100, "{}", seen.len());
        prop_assert!(seen.ends_with(&[248, 249]));
    }
}

/// A packet of RTP as one sender numbers them.
fn media(number: u8) -> Vec<u8> {
    packet(0, number, 100)
}

#[test]
fn an_answer_without_its_end_takes_no_packets_along() {
    let answers: [&[u8]; 6] = [
        b"RTSP/1.0 200 OK\r\nCSeq: 7\r\n",
        b"RTSP/1.0 200 OK\r\nCSeq: 7\r\nContent-Length: 30000\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 90\r\n\r\na: b\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 90\r\n\r\na: b",
        b"RTSP/1.0 200 OK\r\nCSeq",
        b"RTSP/1.0 200 OK\n",
    ];
    for answer in answers {
        let bytes = [&media(1)[..], answer, &media(2), &media(3)].concat();
        for step in [1, 3, 40, bytes.len()] {
            let (seen, wire) = read(&bytes, step);
            assert_eq!(seen, [1, 200, 2, 3], "{} in steps of {step}", answer.escape_ascii());
            assert_eq!(wire.skipped(), 0);
        }
    }
    // Cut amid its first line it is no answer, and its rest is rubbish.
    let bytes = [&media(1)[..], b"RTSP/1.0 2", &media(2), b"00 OK\r\n\r\n", &media(3), &media(4)].concat();
    assert_eq!(read(&bytes, bytes.len()).0, [1, 2, 3, 4]);
}

#[test]
fn while_media_are_expected_nothing_is_too_large() {
    let mut wire = Wire::default();
    wire.expect(Expected::Media);
    let endless = [b"RTSP/1.0 200 OK\r\nX: ", &[b'x'; 40_000][..]].concat();
    let large = b"RTSP/1.0 200 OK\r\nContent-Length: 4000000000\r\n\r\n";
    let bytes = [&media(1)[..], &endless, &media(2), large, &media(3)].concat();
    let mut numbers = Vec::new();
    for piece in bytes.chunks(1_000) {
        wire.input().extend_from_slice(piece);
        while let Some(item) = wire.next().expect("nothing ends the session") {
            if let Item::Packet(_, packet) = item {
                numbers.push(packet[3]);
            }
        }
    }
    assert_eq!(numbers, [1, 2, 3]);
}

#[test]
fn a_description_does_not_end_before_its_end_whatever_its_headers_say() {
    let text = "v=0\r\nm=video 0 RTP/AVP 96\r\na=control:trackID=1\r\n";
    let body = |headers: &str, step: usize| {
        let mut wire = Wire::default();
        wire.expect(Expected::Description);
        let bytes = format!("RTSP/1.0 200 OK\r\n{headers}\r\n{text}");
        for piece in bytes.as_bytes().chunks(step) {
            wire.input().extend_from_slice(piece);
            match wire.next() {
                Ok(Some(Item::Message(message))) => return (message.body, false),
                Ok(None) => {}
                other => panic!("{other:?}"),
            }
        }
        match wire.cut_short() {
            Some(Item::Message(message)) => (message.body, true),
            other => panic!("{other:?}"),
        }
    };
    let length = |length: usize| format!("Content-Length: {length}\r\n");
    for headers in [
        String::new(),
        length(0),
        length(10),
        length(text.len() - 1),
        length(text.len() - 10),
        length(text.find("a=").expect("it is there")),
    ] {
        let whole = 10_000;
        let (body, _) = body(&headers, whole);
        assert_eq!(body, text.as_bytes(), "{headers}");
    }
    // One that is right is not waited for.
    for step in [1, 10_000] {
        assert_eq!(body(&length(text.len()), step), (Bytes::from(text), false), "in steps of {step}");
    }
}

/// False beginnings that each claim what is behind them: looking through it for packets is done once.
#[test]
fn rubbish_costs_work_by_its_length() {
    let mut wire = Wire::default();
    let block = [&packet(0, 1, 13)[..], b"$\x09\x7f\x00\x00"].concat().repeat(2_900);
    for _ in 0..10 {
        wire.input().extend_from_slice(&block);
        while wire.next().expect("nothing is too large").is_some() {}
    }
    assert!(wire.search_work <= 20 * block.len(), "{} for {}", wire.search_work, 10 * block.len());
}
