//! Ports of loopback that nobody uses at the moment.

use std::net::{SocketAddr, TcpListener, UdpSocket};

/// A free TCP port of loopback.
pub fn free_port() -> u16 {
    free_tcp_address().port()
}

/// The same, with its address.
pub fn free_tcp_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free TCP port");
    listener.local_addr().expect("its address")
}

/// The first of `count` free UDP ports in a row, below the range that the kernel hands out itself.
pub fn free_udp_ports(count: u16) -> u16 {
    for _ in 0..1_000 {
        let first = 10_000 + rand::random::<u16>() % 20_000;
        let free = (first..first + count).all(|port| UdpSocket::bind(("127.0.0.1", port)).is_ok());
        if free {
            return first;
        }
    }
    panic!("no {count} free UDP ports in a row");
}
