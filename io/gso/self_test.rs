//! The self-test at start: trains through loopback must arrive as exactly the datagrams they were made of. It
//! owns two throw-away sockets and never sends anything off this machine.

use std::{
    ffi::CStr,
    io, mem,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::Duration,
};

use socket2::{Domain, Protocol, Type};

use super::GsoMode;
use crate::{
    address::Family,
    mmsg::{Outgoing, SendCall},
    outcome::Errno,
    socket::{Socket, SocketError, SocketOptions},
};

/// Kernels that corrupt trains of equal segments on real devices: the change came with 7.0 and was repaired
/// in 7.1.5. The damage is done behind the loopback, to headers and checksums, so no test on this machine
/// sees it; peers simply get nothing. A distribution may have repaired its 7.0: then switch GSO on without
/// asking this module.
const BAD_KERNELS: std::ops::RangeInclusive<(u32, u32, u32)> = (7, 0, 0)..=(7, 1, 4);

/// How long to wait for a datagram over loopback, where delivery is immediate or never.
const LOOPBACK_TIMEOUT: Duration = Duration::from_millis(500);

/// Whether GSO may be used on this machine.
#[derive(Debug)]
pub enum GsoVerdict {
    /// Trains arrive as they should.
    Trusted,
    /// They do not, or the kernel is known to be bad.
    Refused(Refusal),
}

impl GsoVerdict {
    /// The mode to send with.
    pub fn mode(&self) -> GsoMode {
        match self {
            Self::Trusted => GsoMode::On,
            Self::Refused(_) => GsoMode::Off,
        }
    }
}

/// Why GSO is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The running kernel is one of those that corrupt trains behind our back.
    #[error("kernel {release} corrupts UDP trains (7.0.0 to 7.1.4 do): upgrade to 7.1.5 or newer")]
    BadKernel {
        /// As `uname -r` prints it.
        release: String,
    },
    /// The kernel would not take a train.
    #[error("the kernel refuses a train of {segments} segments over loopback: {source}")]
    NotSupported {
        /// Datagrams in the train.
        segments: usize,
        /// What it said.
        source: io::Error,
    },
    /// A train was taken, but something else arrived.
    #[error("segment {segment} of a train of {segments} over loopback {damage}")]
    Damaged {
        /// Counted from 0.
        segment: usize,
        /// Datagrams in the train.
        segments: usize,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// What happened to a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Nothing arrived in time.
    #[error("did not arrive")]
    Lost,
    /// The datagram that arrived is another one.
    #[error("arrived with other bytes or another length")]
    Changed,
}

/// Sends a train with a short tail and a train of equal segments to itself.
///
/// Takes some microseconds; half a second if a datagram is lost. Blocks: call it once at start, from no event
/// loop.
///
/// # Errors
///
/// When the sockets for the test cannot be made, which says nothing about GSO.
pub fn self_test() -> Result<GsoVerdict, SocketError> {
    let release = kernel_release();
    if is_bad_kernel(&release) {
        return Ok(GsoVerdict::Refused(Refusal::BadKernel { release }));
    }
    // Lengths that are neither powers of two nor multiples of each other, so that a wrong cut shows.
    let trains: [&[usize]; 2] = [&[1_201, 1_201, 307], &[1_203, 1_203, 1_203]];
    let pair = Pair::new()?;
    for lengths in trains {
        if let Err(refusal) = pair.send(lengths) {
            return Ok(GsoVerdict::Refused(refusal));
        }
    }
    Ok(GsoVerdict::Trusted)
}

/// A socket like the real ones, and one without GRO to receive from it: the kernel has to cut for that one.
struct Pair {
    sender: Socket,
    receiver: UdpSocket,
}

impl Pair {
    fn new() -> Result<Self, SocketError> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let sender = Socket::bind(SocketOptions { address, receive_buffer: 0, send_buffer: 0 })?;
        let receiver = plain_socket(address, sender.local_addr()).map_err(|source| SocketError::Setup {
            address,
            step: "test GSO with it",
            source,
        })?;
        Ok(Self { sender, receiver })
    }

    /// Sends one train and compares what arrives.
    fn send(&self, lengths: &[usize]) -> Result<(), Refusal> {
        let segments = lengths.len();
        let not_supported = |source| Refusal::NotSupported { segments, source };
        let bytes: Vec<u8> = (0..lengths.iter().sum()).map(|index: usize| (index % 251) as u8).collect();
        let train = Outgoing {
            destination: self.receiver.local_addr().map_err(not_supported)?,
            source: None,
            bytes: &bytes,
            segment_len: lengths.first().map(|len| *len as u16),
        };
        SendCall::new()
            .send(self.sender.as_fd(), Family::V4, std::iter::once(train))
            .map_err(|Errno(errno)| not_supported(io::Error::from_raw_os_error(errno)))?;

        let mut rest = bytes.as_slice();
        let mut buffer = vec![0; bytes.len() + 1];
        for (segment, len) in lengths.iter().enumerate() {
            let damaged = |damage| Refusal::Damaged { segment, segments, damage };
            let received = self.receiver.recv(&mut buffer).map_err(|_| damaged(Damage::Lost))?;
            let (expected, behind) = rest.split_at(*len);
            if buffer[..received] != *expected {
                return Err(damaged(Damage::Changed));
            }
            rest = behind;
        }
        Ok(())
    }
}

/// A blocking socket that hears `peer` only.
fn plain_socket(address: SocketAddr, peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.bind(&address.into())?;
    socket.connect(&peer.into())?;
    socket.set_read_timeout(Some(LOOPBACK_TIMEOUT))?;
    Ok(socket.into())
}

/// `uname -r`; empty if the kernel does not say.
fn kernel_release() -> String {
    // SAFETY: `utsname` is a C struct of character arrays; all zeroes is valid and ends every string.
    let mut names: libc::utsname = unsafe { mem::zeroed() };
    // SAFETY: the kernel writes one `utsname` to the exclusive reference.
    if unsafe { libc::uname(&raw mut names) } != 0 {
        return String::new();
    }
    // SAFETY: `release` ends with a NUL, written by the kernel, and lives as long as `names`.
    unsafe { CStr::from_ptr(names.release.as_ptr()) }.to_string_lossy().into_owned()
}

fn is_bad_kernel(release: &str) -> bool {
    parse_release(release).is_some_and(|version| BAD_KERNELS.contains(&version))
}

/// `7.1.4-200.fc44.x86_64` is (7, 1, 4), `7.1-rc3` is (7, 1, 0).
fn parse_release(release: &str) -> Option<(u32, u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse().ok());
    Some((numbers.next()?, numbers.next()?, numbers.next().unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_that_is_judged_is_the_one_that_runs() {
        let told = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        assert_eq!(kernel_release(), told.trim());
    }

    #[test]
    fn loopback_of_this_machine_is_tested_for_real() {
        match self_test().unwrap() {
            GsoVerdict::Trusted => assert!(!is_bad_kernel(&kernel_release())),
            GsoVerdict::Refused(Refusal::BadKernel { release }) => assert_eq!(release, kernel_release()),
            GsoVerdict::Refused(other) => panic!("{other}"),
        }
    }

    #[test]
    fn a_wrong_cut_is_noticed() {
        // The test's own measure: one length is told to the kernel, others are expected.
        let pair = Pair::new().unwrap();
        let error = pair.send(&[100, 101, 99]).unwrap_err();
        assert!(
            matches!(error, Refusal::Damaged { segment: 1, segments: 3, damage: Damage::Changed }),
            "{error}"
        );
    }

    #[test]
    fn a_missing_segment_is_noticed() {
        let pair = Pair::new().unwrap();
        // 2 x 100 bytes leave as two datagrams; a third, empty one is expected.
        let error = pair.send(&[100, 100, 0]).unwrap_err();
        assert!(
            matches!(error, Refusal::Damaged { segment: 2, segments: 3, damage: Damage::Lost }),
            "{error}"
        );
    }

    #[test]
    fn an_impossible_train_is_reported_as_not_supported() {
        let pair = Pair::new().unwrap();
        let error = pair.send(&[1; 200]).unwrap_err();
        assert!(matches!(error, Refusal::NotSupported { segments: 200, .. }), "{error}");
    }

    #[test]
    fn releases_as_seen_in_the_wild() {
        let table = [
            ("6.18.44", false),
            ("6.8.0-59-generic", false),
            ("7.0.0-15-generic", true),
            ("7.0-rc1", true),
            ("7.0.9-2-pve", true),
            ("7.1.4-200.fc44.x86_64", true),
            ("7.1.5", false),
            ("7.1.10", false),
            ("7.2.0-rc2", false),
            ("17.0.1", false),
            ("", false),
            ("custom", false),
        ];
        for (release, bad) in table {
            assert_eq!(is_bad_kernel(release), bad, "{release}");
        }
    }
}
