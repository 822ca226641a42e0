//! Metrics of the machine's kernel: what becomes of UDP datagrams before they reach a socket, or after they left it.
//!
//! Owns the reading of `/proc/net/snmp`, `/proc/net/snmp6` and `/proc/net/softnet_stat`. They count for all processes of
//! the network namespace, not for ours alone. What a kernel does not count is left out.

use std::fmt;

use super::out::{Labels, Out, label};

/// UDP by one family of addresses: names in `/proc/net/snmp`, behind `Udp6` in `/proc/net/snmp6`, and the numbers.
type Udp = Vec<(String, u64)>;

/// Datagrams that were lost or had nowhere to go: the kernel's name, and ours.
const ERRORS: [(&str, &str); 5] = [
    ("RcvbufErrors", "receive_buffer"),
    ("SndbufErrors", "send_buffer"),
    ("InCsumErrors", "checksum"),
    ("MemErrors", "memory"),
    ("NoPorts", "no_port"),
];

/// One processor's part in receiving, of everything that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Softnet {
    cpu: u64,
    packets: u64,
    /// Dropped, because the queue to this processor was full (`net.core.netdev_max_backlog`).
    dropped: u64,
    /// Times that it stopped with work left, because its budget or time was used up.
    squeezed: u64,
}

/// Writes them.
pub(super) fn encode(out: &mut Out<'_>) -> fmt::Result {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let families = [("ipv4", udp4(&read("/proc/net/snmp"))), ("ipv6", udp6(&read("/proc/net/snmp6")))];
    encode_udp(out, &families)?;
    let cpus = softnet(&read("/proc/net/softnet_stat"));
    let each = |read: fn(&Softnet) -> u64| cpus.iter().map(move |s| (label("cpu", s.cpu), read(s)));
    let help = "Packets that a processor took from the network, of all protocols";
    out.counter("kernel_softnet_packets", help, each(|s| s.packets))?;
    let help = "Packets that a processor dropped because its queue was full (net.core.netdev_max_backlog)";
    out.counter("kernel_softnet_dropped", help, each(|s| s.dropped))?;
    let help = "Times that a processor stopped receiving with work left (net.core.netdev_budget)";
    out.counter("kernel_softnet_squeezed", help, each(|s| s.squeezed))
}

fn encode_udp(out: &mut Out<'_>, families: &[(&'static str, Udp)]) -> fmt::Result {
    let of = |kernel: &'static str| {
        families.iter().filter_map(move |(family, udp)| {
            let (_, count) = udp.iter().find(|(name, _)| name == kernel)?;
            Some((label("family", family), *count))
        })
    };
    out.counter("kernel_udp_received_datagrams", "UDP datagrams that sockets received", of("InDatagrams"))?;
    out.counter("kernel_udp_sent_datagrams", "UDP datagrams that sockets sent", of("OutDatagrams"))?;
    let help = "UDP datagrams that came in and reached no socket, for whatever reason but a missing port";
    out.counter("kernel_udp_receive_errors", help, of("InErrors"))?;
    let errors = ERRORS.iter().flat_map(|(kernel, kind)| {
        of(kernel).map(move |(family, count)| ([family, label("kind", kind)].concat(), count))
    });
    let errors: Vec<(Labels, u64)> = errors.collect();
    out.counter("kernel_udp_errors", "UDP datagrams lost on this machine, by kind", errors)
}

/// The two lines `Udp:` of `/proc/net/snmp`: names, then numbers.
fn udp4(text: &str) -> Udp {
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (Some(names), Some(numbers)) = (lines.next(), lines.next()) else { return Udp::new() };
    let pairs = names.split_whitespace().zip(numbers.split_whitespace());
    pairs.filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?))).collect()
}

/// The lines `Udp6...` of `/proc/net/snmp6`: a name and a number.
fn udp6(text: &str) -> Udp {
    let pair = |line: &str| {
        let (name, number) = line.strip_prefix("Udp6")?.split_once(char::is_whitespace)?;
        Some((name.to_owned(), number.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

/// `/proc/net/softnet_stat`: a line of hexadecimal numbers for each processor that is there, whose number is the
/// thirteenth (since Linux 5.10).
fn softnet(text: &str) -> Vec<Softnet> {
    let line = |(index, line): (usize, &str)| {
        let numbers = line.split_whitespace().map(|number| u64::from_str_radix(number, 16).ok());
        let numbers: Vec<u64> = numbers.collect::<Option<_>>()?;
        let &[packets, dropped, squeezed, ..] = numbers.as_slice() else { return None };
        Some(Softnet { cpu: numbers.get(12).copied().unwrap_or(index as u64), packets, dropped, squeezed })
    };
    text.lines().enumerate().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SNMP: &str = "Tcp: RtoAlgorithm RtoMin\nTcp: 1 200\n\
        Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors\n\
        Udp: 2357532 37262 31353 2284785 31350 132 3 0 0\nUdpLite: InDatagrams\nUdpLite: 7\n";

    #[test]
    fn udp_is_read_by_name_whatever_a_kernel_adds() {
        let of = |udp: &Udp, name: &str| udp.iter().find(|(other, _)| other == name).map(|(_, count)| *count);
        let udp = udp4(SNMP);
        assert_eq!(of(&udp, "RcvbufErrors"), Some(31_350));
        assert_eq!(of(&udp, "MemErrors"), Some(0));
        assert_eq!(of(&udp4(&SNMP.replace(" MemErrors", "").replace(" 0 0\n", " 0\n")), "MemErrors"), None);
        let udp = udp6(
            "Ip6InReceives 5\nUdp6InDatagrams                 	12\nUdp6RcvbufErrors	1\nUdpLite6InDatagrams 3\n",
        );
        assert_eq!(udp, [("InDatagrams".to_owned(), 12), ("RcvbufErrors".to_owned(), 1)]);
        assert!(
            udp4("").is_empty()
                && udp4("Udp: InDatagrams\n").is_empty()
                && udp6("Udp6InDatagrams x\n").is_empty()
        );
    }

    #[test]
    fn a_processor_is_told_by_its_number_and_not_by_its_line() {
        let text = "022ed532 00000001 00000002 0 0 0 0 0 0 0 0 0 00000004 0 0\n0044143d 00000000 00000010 0 0 0 0 0 0 0\nx\n";
        let first = Softnet { cpu: 4, packets: 0x022e_d532, dropped: 1, squeezed: 2 };
        let second = Softnet { cpu: 1, packets: 0x0044_143d, dropped: 0, squeezed: 16 };
        assert_eq!(softnet(text), [first, second]);
    }

    #[test]
    fn this_kernel_is_read() {
        let read = |path: &str| std::fs::read_to_string(path).expect("procfs");
        assert!(udp4(&read("/proc/net/snmp")).iter().any(|(name, _)| name == "RcvbufErrors"));
        assert!(!softnet(&read("/proc/net/softnet_stat")).is_empty());
    }
}
