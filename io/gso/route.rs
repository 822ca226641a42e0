//! Whether the kernel takes a train on the way to somewhere: it refuses at once where the device behind a route cannot
//! fill in checksums. It owns a throw-away socket.

use std::{
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{
    address::Family,
    mmsg::{Outgoing, SendCall},
    outcome::Errno,
};

/// Sends one train of two datagrams of a byte each to `destination` by the interface `device`. That the kernel took it
/// does not tell that it arrived.
///
/// # Errors
///
/// The kernel's: `EIO` and `EINVAL` are about the train, others about the way.
pub fn try_route(device: &str, destination: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(destination), Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind_device(Some(device.as_bytes()))?;
    let socket = UdpSocket::from(socket);
    let family = if destination.is_ipv4() { Family::V4 } else { Family::V6 };
    let train = Outgoing { destination, source: None, bytes: &[0; 2], segment_len: Some(1) };
    SendCall::new()
        .send(socket.as_fd(), family, std::iter::once(train))
        .map(|_| ())
        .map_err(|Errno(errno)| io::Error::from_raw_os_error(errno))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    #[expect(
        clippy::disallowed_methods,
        reason = "somebody has to receive it, and is no part of the program"
    )]
    fn a_train_by_loopback_arrives_as_two_datagrams() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        try_route("lo", receiver.local_addr().unwrap()).unwrap();
        for _ in 0..2 {
            assert_eq!(receiver.recv(&mut [0; 8]).unwrap(), 1);
        }
    }

    #[test]
    fn an_interface_that_is_not_there_is_an_error() {
        assert!(try_route("no-such-one", SocketAddr::from(([127, 0, 0, 1], 9))).is_err());
    }
}
