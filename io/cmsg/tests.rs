use super::*;

/// Walks the buffer with libc's own macros, as the kernel would: (level, type, data).
fn decode(control: &mut Control) -> Vec<(i32, i32, Vec<u8>)> {
    // SAFETY: a C struct of integers and pointers; all zeroes is valid.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = control.len() as _;
    let mut found = Vec::new();
    // SAFETY: `message` describes the bytes of `control`, which outlives the walk; each header was written by
    // `push`, whose length says how many bytes of data follow it inside the buffer.
    unsafe {
        let mut next = libc::CMSG_FIRSTHDR(&message);
        while !next.is_null() {
            let header = *next;
            let len = header.cmsg_len as usize - libc::CMSG_LEN(0) as usize;
            let data = std::slice::from_raw_parts(libc::CMSG_DATA(next), len).to_vec();
            found.push((header.cmsg_level, header.cmsg_type, data));
            next = libc::CMSG_NXTHDR(&message, next);
        }
    }
    found
}

#[test]
fn an_empty_control_has_no_length() {
    assert_eq!(Control::new().len(), 0);
}

#[test]
fn segment_length_and_ipv4_source_read_back() {
    let mut control = Control::new();
    control.push_segment_len(1_200);
    control.push_source(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)));
    let found = decode(&mut control);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0], (libc::SOL_UDP, libc::UDP_SEGMENT, 1_200_u16.to_ne_bytes().to_vec()));
    let info = vec![0, 0, 0, 0, 192, 0, 2, 7, 0, 0, 0, 0];
    assert_eq!(found[1], (libc::IPPROTO_IP, libc::IP_PKTINFO, info));
}

#[test]
fn the_largest_combination_fits() {
    let mut control = Control::new();
    let ip: Ipv6Addr = "2001:db8::42".parse().unwrap();
    control.push_segment_len(u16::MAX);
    control.push_source(IpAddr::V6(ip));
    let found = decode(&mut control);
    assert_eq!((found[1].0, found[1].1), (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO));
    assert_eq!(found[1].2[..16], ip.octets());
    assert_eq!(found[1].2[16..], [0; 4], "any interface");
    assert_eq!(control.len(), CAPACITY);
}

#[test]
fn clearing_leaves_nothing_of_the_message_before() {
    let mut control = Control::new();
    control.push_source(IpAddr::V6(Ipv6Addr::from([0xff; 16])));
    control.clear();
    control.push_segment_len(7);
    assert_eq!(decode(&mut control).len(), 1);
    let written = &control.bytes[..control.len()];
    assert!(!written.contains(&0xff), "padding is zero: {written:?}");
}
