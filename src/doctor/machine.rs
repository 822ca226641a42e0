//! Judgement of the machine: its kernel, its memory for sockets, its cards, its cores and its clocks. Pure functions.

use super::facts::{Buffer, Card, Cores, Drops, Facts, Gso, Interface, Offload, UdpMemory, Verdict};
use super::finding::{Finding, on_host};

/// Bytes of the largest packet on the wire, with the headers of UDP and IPv6.
const PACKET: u32 = sluice_media::LEAST_MTU as u32;

/// Of a queue's length in datagrams, what a rush of viewers' reports takes. The kernel's default is a thousand.
const BACKLOG: u64 = 10_000;

/// Megabits a second from which on one receive queue is one core's whole work.
const FAST: u32 = 2_500;

const TRAINS: &str = "a picture leaves as a few trains of packets; without them each packet is a message of its own, and \
                      costs three to four times the processor time";

/// Judges it.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![gso(&facts.gso)];
    for interface in &facts.interfaces {
        findings.extend(route(interface, facts.gso.wanted));
        findings.push(mtu(interface));
        if let Some(card) = &interface.card {
            findings.push(segments(interface, card));
            findings.extend(queues(interface, card, &facts.cores));
            findings.extend(interrupts(interface, card, &facts.cores));
        }
    }
    findings.extend(buffers(facts));
    findings.push(udp_memory(&facts.udp_memory, facts.inside));
    findings.extend(drops(&facts.drops, facts.inside));
    findings.extend(cores(&facts.cores));
    findings.push(clock_source(&facts.cores));
    findings.push(synchronised(facts.synchronised));
    findings
}

fn gso(Gso { kernel, wanted, verdict }: &Gso) -> Finding {
    const CHECK: &str = "kernel";
    match verdict {
        Some(Verdict::BadKernel) => Finding::bad(
            CHECK,
            format!("{kernel} corrupts trains of packets (7.0.0 to 7.1.4 do), so they are not used"),
            TRAINS,
            "upgrade to 7.1.5 or newer: apt full-upgrade",
        ),
        Some(Verdict::Refused(why)) => Finding::bad(
            CHECK,
            format!("{kernel}: {why}"),
            TRAINS,
            "look for what is between: a virtual machine's or a container's network, or a kernel before 4.18",
        ),
        Some(Verdict::Trusted) if !wanted => Finding::bad(
            CHECK,
            format!("{kernel} can send trains, and udp.gso is off"),
            TRAINS,
            "set udp.gso = true",
        ),
        Some(Verdict::Trusted) => Finding::good(CHECK, format!("{kernel} sends trains as it should")),
        None => Finding::unknown(
            CHECK,
            format!("{kernel}: the self-test could not run"),
            TRAINS,
            "run it where sockets may be made on 127.0.0.1",
        ),
    }
}

fn route(Interface { name, train, .. }: &Interface, wanted: bool) -> Option<Finding> {
    const CHECK: &str = "trains";
    if !wanted {
        return None;
    }
    Some(match train.as_ref()? {
        Ok(()) => Finding::good(CHECK, format!("{name} takes them")),
        Err(why) => Finding::bad(
            CHECK,
            format!("{name} refuses them: {why}"),
            TRAINS,
            format!("ethtool -K {name} tx on    # trains need checksums that the device fills in"),
        ),
    })
}

fn mtu(Interface { name, mtu, .. }: &Interface) -> Finding {
    const CHECK: &str = "mtu";
    const WHY: &str = "packets that do not fit are dropped, and viewers by this way get no picture";
    match mtu {
        Some(mtu) if *mtu < PACKET => Finding::bad(
            CHECK,
            format!("{name} carries {mtu} bytes, and packets have up to {PACKET}"),
            WHY,
            format!("ip link set {name} mtu 1500"),
        ),
        Some(mtu) => Finding::good(CHECK, format!("{name} carries {mtu} bytes")),
        None => Finding::unknown(CHECK, format!("{name} does not say"), WHY, format!("ip link show {name}")),
    }
}

fn segments(Interface { name, .. }: &Interface, card: &Card) -> Finding {
    const CHECK: &str = "offload";
    const WHY: &str =
        "what the card does not cut, the kernel does: about twice the processor time for each packet";
    match card.segments {
        Some(Offload::On) => Finding::good(CHECK, format!("{name} cuts trains itself")),
        Some(Offload::Off) => Finding::bad(
            CHECK,
            format!("{name} could cut trains itself, and does not"),
            WHY,
            format!("ethtool -K {name} tx-udp-segmentation on"),
        ),
        Some(Offload::Never) => {
            Finding::good(CHECK, format!("{name} cannot cut trains itself: the kernel does"))
        }
        None => Finding::unknown(
            CHECK,
            format!("{name} was not asked: ethtool is not here, or not allowed"),
            WHY,
            format!("apt install ethtool && ethtool -k {name} | grep tx-udp-segmentation"),
        ),
    }
}

fn queues(Interface { name, .. }: &Interface, card: &Card, cores: &Cores) -> Vec<Finding> {
    const CHECK: &str = "queues";
    const WHY: &str =
        "each queue is one core's work: what viewers send waits for that core, and is dropped behind it";
    let mut findings = Vec::new();
    let queues = card.receive_queues;
    let is_fast = card.speed.is_some_and(|speed| speed >= FAST);
    findings.push(match queues {
        0 => Finding::unknown(
            CHECK,
            format!("{name} does not say how many it has"),
            WHY,
            format!("ethtool -l {name}"),
        ),
        1 if is_fast && cores.all.len() > 3 => Finding::bad(
            CHECK,
            format!("{name} has 1 receive queue for {} cores", cores.all.len()),
            WHY,
            format!("ethtool -L {name} combined {}", cores.all.len() / 2),
        ),
        _ => Finding::good(
            CHECK,
            format!("{name} has {queues} receive queue{}", if queues == 1 { "" } else { "s" }),
        ),
    });
    if queues > 1 && card.hashes_ports == Some(false) {
        findings.push(Finding::bad(
            CHECK,
            format!("{name} chooses a queue by addresses alone"),
            "all viewers behind one address, such as an office, come by the same queue",
            format!("ethtool -N {name} rx-flow-hash udp4 sdfn && ethtool -N {name} rx-flow-hash udp6 sdfn"),
        ));
    }
    findings
}

fn interrupts(Interface { name, .. }: &Interface, card: &Card, cores: &Cores) -> Option<Finding> {
    const CHECK: &str = "interrupts";
    let shared: Vec<usize> =
        card.interrupts.iter().copied().filter(|core| cores.shards.contains(core)).collect();
    let free: Vec<usize> = cores.all.iter().copied().filter(|core| !cores.shards.contains(core)).collect();
    if card.interrupts.is_empty() {
        return None;
    }
    let listed = |cores: &[usize]| cores.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let taken = listed(&card.interrupts);
    // With few cores, or a card so fast that one core cannot take it, there is nothing better.
    if shared.is_empty() || free.is_empty() || cores.all.len() < 4 {
        return Some(Finding::good(CHECK, format!("those of {name} go to core {taken}")));
    }
    Some(Finding::bad(
        CHECK,
        format!("those of {name} go to core {taken}, and shards are pinned to {}", listed(&cores.shards)),
        "an interrupt takes the core from a shard in the middle of a picture",
        format!(
            "systemctl stop irqbalance; for i in $(ls /sys/class/net/{name}/device/msi_irqs); do echo {} > \
             /proc/irq/$i/smp_affinity_list; done",
            listed(&free)
        ),
    ))
}

fn buffers(facts: &Facts) -> Vec<Finding> {
    const CHECK: &str = "buffers";
    const WHY: &str = "in a rush of joins, or behind a pause, what does not fit is dropped";
    if facts.buffers.is_empty() {
        return vec![Finding::unknown(CHECK, "no socket could be made", WHY, "ip link set lo up")];
    }
    let judged = |buffer: &Buffer| {
        let (key, asked, granted) = (buffer.key, buffer.asked, buffer.granted);
        match granted < asked {
            true => Finding::bad(
                CHECK,
                format!("{key}: {granted} of {asked} bytes granted"),
                WHY,
                on_host(
                    facts.inside,
                    format!("sysctl -w {}={asked}    # and in /etc/sysctl.d/ for good", buffer.sysctl),
                ),
            ),
            false => Finding::good(CHECK, format!("{key}: {granted} bytes granted")),
        }
    };
    facts.buffers.iter().map(judged).collect()
}

fn udp_memory(UdpMemory { limit, wanted }: &UdpMemory, inside: bool) -> Finding {
    const CHECK: &str = "udp_mem";
    const WHY: &str = "over it the kernel drops what comes in for any socket, whatever its own buffer";
    let mebibytes = |bytes: u64| bytes >> 20;
    // Pages of 4 KiB; pressure begins at half of it.
    let pages = wanted.div_ceil(4_096) * 2;
    match limit {
        Some(limit) if limit < wanted => Finding::bad(
            CHECK,
            format!(
                "UDP may hold {} MiB, and the shards' sockets up to {} MiB",
                mebibytes(*limit),
                mebibytes(*wanted)
            ),
            WHY,
            format!("sysctl -w net.ipv4.udp_mem='{} {} {pages}'", pages / 2, pages / 4 * 3),
        ),
        Some(limit) => Finding::good(CHECK, format!("UDP may hold {} MiB", mebibytes(*limit))),
        // It is one limit for the machine, and told where that is seen.
        None => Finding::unknown(
            CHECK,
            format!("how much UDP may hold; the shards' sockets hold up to {} MiB", mebibytes(*wanted)),
            WHY,
            on_host(inside, format!("sysctl net.ipv4.udp_mem    # the last of three: {pages} or more")),
        ),
    }
}

fn drops(drops: &Drops, inside: bool) -> Vec<Finding> {
    const CHECK: &str = "drops";
    const WHY: &str =
        "lost checks and reports of viewers: pictures stand still for a moment, or sessions end";
    let backlog = match drops.backlog {
        Some(0) => Finding::good(CHECK, "no processor's queue was ever full"),
        Some(dropped) => Finding::bad(
            CHECK,
            format!("{dropped} packets since the machine started, because a processor's queue was full"),
            WHY,
            on_host(
                inside,
                format!(
                    "sysctl -w net.core.netdev_max_backlog={}",
                    drops.backlog_max.map_or(BACKLOG, |max| (max * 4).max(BACKLOG))
                ),
            ),
        ),
        None => Finding::unknown(CHECK, "the kernel does not say", WHY, "cat /proc/net/softnet_stat"),
    };
    let receive = match drops.receive {
        Some(0) => Finding::good(CHECK, "no UDP socket's buffer was ever full"),
        Some(dropped) => Finding::bad(
            CHECK,
            format!("{dropped} datagrams since the machine started, because a socket's buffer was full"),
            WHY,
            "raise udp.receive_buffer and net.core.rmem_max, if it still grows: nstat -az UdpRcvbufErrors",
        ),
        None => {
            Finding::unknown(CHECK, "the kernel does not count datagrams", WHY, "nstat -az UdpRcvbufErrors")
        }
    };
    vec![backlog, receive]
}

fn cores(Cores { all, shards, governor, .. }: &Cores) -> Vec<Finding> {
    const CHECK: &str = "cores";
    let layout = match (all.len(), shards.len()) {
        (0, _) => {
            Finding::unknown(CHECK, "the kernel does not list them", "shards are pinned to cores", "nproc")
        }
        (all, 0) => Finding::good(CHECK, format!("{all}; shards are not pinned (shards.pin)")),
        (all, shards) if shards >= all && all > 1 => Finding::bad(
            CHECK,
            format!("{shards} shards have all {all} of them"),
            "joins, cameras and interrupts then take their time from a shard",
            format!("set shards.count to {}, or to 0", all - 1),
        ),
        (all, shards) => Finding::good(CHECK, format!("{all}, of which {shards} for shards")),
    };
    let clock = match governor.as_deref() {
        None => Finding::good(CHECK, "their clock does not change, or only the host knows"),
        Some("performance") => Finding::good(CHECK, "they run at full speed"),
        Some(governor) => Finding::bad(
            CHECK,
            format!("their clock follows the load ({governor})"),
            "a picture that comes to a core at rest waits until the clock is up",
            "cpupower frequency-set -g performance",
        ),
    };
    vec![layout, clock]
}

fn clock_source(Cores { clock_source, .. }: &Cores) -> Finding {
    const CHECK: &str = "clock";
    const WHY: &str =
        "it is read several times for each picture and viewer, and costs a system call with a slow source";
    match clock_source.as_deref() {
        Some(source @ ("tsc" | "kvm-clock" | "hyperv_clocksource_tsc_page" | "arch_sys_counter")) => {
            Finding::good(CHECK, format!("{source} is read without a system call"))
        }
        Some(source) => Finding::bad(
            CHECK,
            format!("the kernel's clock is {source}"),
            WHY,
            "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
        None => Finding::unknown(
            CHECK,
            "the kernel does not say what it is",
            WHY,
            "cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
        ),
    }
}

fn synchronised(synchronised: Option<bool>) -> Finding {
    const CHECK: &str = "time";
    const WHY: &str = "certificates, tokens and the log are of the time of day";
    match synchronised {
        Some(true) => Finding::good(CHECK, "something keeps the clock in time"),
        Some(false) => Finding::bad(CHECK, "nothing keeps the clock in time", WHY, "apt install chrony"),
        None => Finding::unknown(CHECK, "the kernel does not tell here", WHY, "timedatectl"),
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
