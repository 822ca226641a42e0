use super::*;

const A: &str = "192.0.2.1:1000";
const B: &str = "[2001:db8::1]:2000";

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn batch() -> Batch {
    Batch::new(BatchLimits { messages: 4, arena_bytes: 100_000 })
}

/// The batch as (peer, lengths of its datagrams).
fn shape(batch: &Batch) -> Vec<(String, Vec<usize>)> {
    batch.iter().map(|m| (m.destination.to_string(), m.datagrams().map(<[u8]>::len).collect())).collect()
}

fn push_all(batch: &mut Batch, datagrams: &[(&str, usize)]) {
    for (to, len) in datagrams {
        batch.push(address(to), None, &vec![7; *len]).unwrap();
    }
}

#[test]
fn equal_datagrams_to_one_peer_are_one_message() {
    let mut batch = batch();
    push_all(&mut batch, &[(A, 100), (A, 100), (A, 100)]);
    assert_eq!(shape(&batch), [(A.into(), vec![100, 100, 100])]);
    assert_eq!((batch.messages(), batch.segments(), batch.bytes()), (1, 3, 300));
}

#[test]
fn a_shorter_datagram_joins_and_closes_the_message() {
    let mut batch = batch();
    push_all(&mut batch, &[(A, 100), (A, 40), (A, 40), (A, 100)]);
    assert_eq!(shape(&batch), [(A.into(), vec![100, 40]), (A.into(), vec![40]), (A.into(), vec![100])]);
}

#[test]
fn a_longer_datagram_starts_a_message() {
    let mut batch = batch();
    push_all(&mut batch, &[(A, 100), (A, 101)]);
    assert_eq!(shape(&batch), [(A.into(), vec![100]), (A.into(), vec![101])]);
}

#[test]
fn only_the_newest_message_is_joined_so_order_is_kept() {
    let mut batch = batch();
    push_all(&mut batch, &[(A, 100), (B, 100), (A, 100)]);
    assert_eq!(shape(&batch), [(A.into(), vec![100]), (B.into(), vec![100]), (A.into(), vec![100])]);
}

#[test]
fn room_is_for_messages_and_for_bytes() {
    let mut batch = batch();
    assert!(batch.is_empty() && batch.has_room(4, 100_000));
    assert!(!batch.has_room(5, 1) && !batch.has_room(1, 100_001));
    push_all(&mut batch, &[(A, 1_000), (B, 1_000)]);
    assert!(!batch.is_empty() && batch.has_room(2, 98_000));
    assert!(!batch.has_room(3, 1) && !batch.has_room(1, 98_001));
}

#[test]
fn another_source_starts_a_message() {
    let mut batch = batch();
    for source in ["198.51.100.1", "198.51.100.2"] {
        batch.push(address(A), Some(source.parse().unwrap()), &[1; 10]).unwrap();
    }
    assert_eq!(batch.messages(), 2);
}

#[test]
fn mapped_addresses_are_made_canonical_and_join() {
    let mut batch = batch();
    batch
        .push(address("[::ffff:192.0.2.1]:1000"), Some("::ffff:198.51.100.1".parse().unwrap()), &[1])
        .unwrap();
    batch.push(address(A), Some("198.51.100.1".parse().unwrap()), &[1]).unwrap();
    assert_eq!(shape(&batch), [(A.into(), vec![1, 1])]);
}

#[test]
fn a_source_of_the_other_family_is_ignored() {
    let mut batch = batch();
    batch.push(address(A), Some("2001:db8::2".parse().unwrap()), &[1]).unwrap();
    assert_eq!(batch.iter().next().unwrap().source, None);
}

#[test]
fn a_message_has_at_most_64_segments() {
    let mut batch = batch();
    push_all(&mut batch, &[(A, 10); 65]);
    assert_eq!(batch.iter().map(|m| m.datagrams().count()).collect::<Vec<_>>(), [64, 1]);
}

#[test]
fn a_message_has_at_most_65000_bytes() {
    let mut batch = batch();
    push_all(&mut batch, &[(A, 13_000); 6]);
    assert_eq!(batch.iter().map(|m| m.bytes.len()).collect::<Vec<_>>(), [65_000, 13_000]);
}

#[test]
fn a_full_arena_and_a_full_list_say_full() {
    let mut batch = Batch::new(BatchLimits { messages: 2, arena_bytes: 100 });
    push_all(&mut batch, &[(A, 40), (B, 40)]);
    assert_eq!(batch.push(address(B), None, &[0; 30]), Err(AppendError::Full), "21 bytes do not fit in 20");
    assert_eq!(batch.push(address(A), None, &[0; 5]), Err(AppendError::Full), "no third message");
    batch.push(address(B), None, &[0; 20]).unwrap();
    assert_eq!(batch.segments(), 3);
}

#[test]
fn impossible_lengths_have_errors_of_their_own() {
    let mut batch = batch();
    assert_eq!(batch.push(address(A), None, &[]), Err(AppendError::Empty));
    let limit = MAX_MESSAGE_BYTES;
    let too_long = AppendError::TooLong { len: 65_001, limit };
    assert_eq!(batch.push(address(A), None, &[0; 65_001]), Err(too_long));

    let mut small = Batch::new(BatchLimits { messages: 4, arena_bytes: 10 });
    assert_eq!(small.push(address(A), None, &[0; 11]), Err(AppendError::TooLong { len: 11, limit: 10 }));
    assert!(small.is_empty());
}

#[test]
fn a_writer_may_use_less_or_take_it_back() {
    let mut batch = batch();
    let used = batch.append_with(address(A), None, 50, |buffer| {
        buffer[..3].copy_from_slice(b"abc");
        Some(3)
    });
    assert_eq!(used, Ok(Some(3)));
    assert_eq!(batch.append_with(address(A), None, 50, |_| None), Ok(None));
    batch.push(address(A), None, b"def").unwrap();
    assert_eq!(batch.iter().next().unwrap().bytes, b"abcdef");
    assert_eq!((batch.messages(), batch.segments(), batch.bytes()), (1, 2, 6));
}

#[test]
fn a_writer_that_claims_too_much_or_nothing_appends_nothing() {
    let mut batch = batch();
    let too_long = AppendError::TooLong { len: 9, limit: 8 };
    assert_eq!(batch.append_with(address(A), None, 8, |_| Some(9)), Err(too_long));
    assert_eq!(batch.append_with(address(A), None, 8, |_| Some(0)), Err(AppendError::Empty));
    assert!(batch.is_empty());
}

#[test]
fn a_writer_never_runs_when_its_datagram_might_not_be_kept() {
    let mut batch = Batch::new(BatchLimits { messages: 1, arena_bytes: 1_000 });
    push_all(&mut batch, &[(A, 100)]);
    let result = batch.append_with(address(A), None, 101, |_| panic!("it could have returned 101"));
    assert_eq!(result, Err(AppendError::Full));
    assert_eq!(batch.append_with(address(A), None, 100, |_| Some(60)), Ok(Some(60)));
}

#[test]
fn consuming_takes_datagrams_from_the_front_in_order() {
    let mut batch = batch();
    for (to, byte) in [(A, 1), (A, 2), (A, 3), (B, 4)] {
        batch.push(address(to), None, &[byte; 10]).unwrap();
    }
    batch.consume(2);
    assert_eq!(batch.iter().next().unwrap().bytes, [3; 10]);
    assert_eq!((batch.messages(), batch.segments(), batch.bytes()), (2, 2, 20));
    batch.consume(1);
    assert_eq!(batch.iter().next().unwrap().bytes, [4; 10]);
}

#[test]
fn consuming_a_short_tail_counts_its_real_bytes() {
    let mut batch = batch();
    push_all(&mut batch, &[(A, 100), (A, 30)]);
    batch.consume(1);
    assert_eq!((batch.segments(), batch.bytes()), (1, 30));
    batch.push(address(A), None, &[0; 100]).unwrap();
    assert_eq!(shape(&batch), [(A.into(), vec![30]), (A.into(), vec![100])], "a closed message stays closed");
}

#[test]
fn an_emptied_batch_has_its_whole_arena_again() {
    let mut batch = Batch::new(BatchLimits { messages: 4, arena_bytes: 100 });
    push_all(&mut batch, &[(A, 90)]);
    batch.consume(1);
    assert!(batch.is_empty());
    push_all(&mut batch, &[(A, 90)]);
    batch.clear();
    push_all(&mut batch, &[(A, 100)]);
    assert_eq!(batch.bytes(), 100);
}
