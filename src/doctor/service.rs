//! Judgement of what the configuration makes of the machine: files, ways in, disks, cipher, certificates. Pure functions.

use std::net::IpAddr;
use std::time::Duration;

use super::facts::{Certificate, Cipher, Conntrack, Disk, Facts, Files, Reach};
use super::finding::{Finding, on_host};

/// Of a disk, what has to be free: less, and a log or an upgrade fills it within days.
const DISK_FREE_PERCENT: u64 = 5;

/// By how many parts the cipher that was not chosen may be faster, before that is worth a word: of 20.
const WORTH: u32 = 20;

/// Judges it.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![files(&facts.files), conntrack(facts)];
    findings.extend(reach(&facts.reach));
    findings.extend(facts.disks.iter().map(disk));
    findings.push(cipher(&facts.cipher));
    findings.extend(facts.certificates.iter().map(certificate));
    findings
}

fn files(Files { limit, plan, lowered }: &Files) -> Finding {
    const CHECK: &str = "files";
    const WHY: &str = "each HTTP connection and each camera is an open file; who gets none is refused";
    const MEND: &str = "LimitNOFILE=1048576 in the unit, or `ulimit -Hn 1048576` in the shell that starts it";
    match (limit, plan) {
        (Some(limit), Some(Ok(connections))) if *lowered => Finding::bad(
            CHECK,
            format!("of {limit} open files {connections} are left for HTTP connections"),
            WHY,
            MEND,
        ),
        (Some(limit), Some(Ok(connections))) => {
            Finding::good(CHECK, format!("{limit} may be open: enough for {connections} HTTP connections"))
        }
        (_, Some(Err(why))) => Finding::bad(CHECK, why.clone(), WHY, MEND),
        _ => Finding::unknown(CHECK, "the kernel does not say how many may be open", WHY, "ulimit -Hn"),
    }
}

fn conntrack(facts: &Facts) -> Finding {
    const CHECK: &str = "conntrack";
    match facts.conntrack {
        None => Finding::good(CHECK, "connections are not tracked"),
        // A viewer is one for media, and its pages and posts are others.
        Some(Conntrack { count, max }) if max.saturating_sub(count) < facts.viewers * 2 => Finding::bad(
            CHECK,
            format!("{count} of {max} connections are tracked, and limits.viewers is {}", facts.viewers),
            "when its table is full, the kernel drops datagrams of new viewers and says so in its own log only",
            format!(
                "{}; or {}",
                on_host(
                    facts.inside,
                    format!("sysctl -w net.netfilter.nf_conntrack_max={}", max + facts.viewers * 2)
                ),
                notrack(&facts.reach)
            ),
        ),
        Some(Conntrack { count, max }) => Finding::good(
            CHECK,
            format!("{count} of {max} connections are tracked: there is room for all viewers"),
        ),
    }
}

/// What keeps the media ports out of the table.
fn notrack(Reach { port, ports, .. }: &Reach) -> String {
    let last = port.saturating_add(ports.saturating_sub(1));
    format!(
        "nft 'add table inet sluice; add chain inet sluice in {{ type filter hook prerouting priority raw; }}; add rule \
         inet sluice in udp dport {port}-{last} notrack; add chain inet sluice out {{ type filter hook output priority \
         raw; }}; add rule inet sluice out udp sport {port}-{last} notrack'"
    )
}

fn reach(reach: &Reach) -> Vec<Finding> {
    const CHECK: &str = "addresses";
    const WHY: &str = "browsers send to the announced addresses and to nothing else";
    let addresses = match &reach.addresses {
        None => return vec![Finding::unknown(CHECK, "they were not looked up", WHY, "ip address show")],
        Some(Err(why)) => {
            return vec![Finding::bad(CHECK, why.clone(), WHY, "ice.addresses = [\"ADDRESS\"]")];
        }
        Some(Ok(addresses)) => addresses,
    };
    let listed =
        |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let outside: Vec<IpAddr> = addresses.iter().copied().filter(|address| !address.is_loopback()).collect();
    if outside.is_empty() {
        let found = format!("only {} is announced: nobody but this machine can watch", listed(addresses));
        return vec![Finding::bad(
            CHECK,
            found,
            WHY,
            "ice.addresses = [\"ADDRESS\"], one that viewers can reach",
        )];
    }
    let announced = match outside.iter().all(is_private) {
        true => Finding::unknown(
            CHECK,
            format!("{} announced: private, so for viewers of this network only", listed(&outside)),
            WHY,
            "where viewers come from the internet: ice.addresses = [\"PUBLIC ADDRESS\", \"interfaces\"]",
        ),
        false => Finding::good(CHECK, format!("{} announced", listed(&outside))),
    };
    // No machine can see its own firewall from outside, or a router's in front of it.
    let Reach { port, ports, tcp, scheme, http, name, stream, .. } = reach;
    let last = port.saturating_add(ports.saturating_sub(1));
    let range = if *ports > 1 { format!("{port}-{last}") } else { port.to_string() };
    // Each shard has a port of its own there, too (ice.tcp_listen).
    let (without_udp, connect) = match tcp {
        None => (String::new(), String::new()),
        Some(tcp) => {
            let last = tcp.saturating_add(ports.saturating_sub(1));
            let range = if *ports > 1 { format!("{tcp}-{last}") } else { tcp.to_string() };
            (format!(", {range}/tcp"), format!("; for viewers without UDP: nc -zv {} {range}", outside[0]))
        }
    };
    let address = match outside[0] {
        IpAddr::V6(address) => format!("[{address}]"),
        address => address.to_string(),
    };
    // A certificate is for names: by its address it is believed by nobody who looks at it.
    let (host, trust) = match (*scheme, name) {
        ("https", Some(name)) => (name.clone(), ""),
        ("https", None) => (address, " --insecure"),
        _ => (address, ""),
    };
    let firewall = Finding::unknown(
        "firewall",
        format!(
            "whether {range}/udp{without_udp} and {http}/tcp are open to viewers, only somebody outside can tell"
        ),
        "the page comes and no picture does, where UDP is closed",
        format!(
            "from another machine: sluice load whep {scheme}://{host}:{http}/{stream}/whep{trust} --viewers 1 --duration 5s    \
             # \"ice\" among its failures: open {range}/udp{connect}"
        ),
    );
    vec![announced, firewall]
}

/// Whether only a network of its own can reach it (RFC 1918, RFC 6598, RFC 4193, RFC 3927).
fn is_private(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            v4.is_private() || v4.is_link_local() || first == 100 && second & 0xc0 == 64
        }
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

fn disk(Disk { path, room }: &Disk) -> Finding {
    const CHECK: &str = "disk";
    let free = room.free >> 20;
    let percent = room.free.saturating_mul(100).checked_div(room.total).unwrap_or(100);
    match percent < DISK_FREE_PERCENT {
        true => Finding::bad(
            CHECK,
            format!("{free} MiB ({percent} %) are free where {path} is"),
            "lines of the log are lost when it is full, and upgrades fail",
            "journalctl --vacuum-size=200M && apt clean",
        ),
        false => Finding::good(CHECK, format!("{free} MiB ({percent} %) are free where {path} is")),
    }
}

fn cipher(Cipher { chosen, by_configuration, costs }: &Cipher) -> Finding {
    const CHECK: &str = "cipher";
    let told: Vec<String> =
        costs.iter().map(|(library, cost)| format!("{library} {} ns", cost.as_nanos())).collect();
    let found = format!("{chosen} seals media; a packet of 1,200 bytes takes {}", told.join(", "));
    let cost = |wanted: bool| {
        costs.iter().filter(|(library, _)| (library == chosen) == wanted).map(|(_, cost)| *cost).min()
    };
    let (Some(this), Some(other)) = (cost(true), cost(false)) else {
        return Finding::unknown(CHECK, found, "it is most of what a packet costs", "sluice bench egress");
    };
    if *by_configuration && other + this / WORTH < this {
        return Finding::bad(
            CHECK,
            format!("{found}; srtp.cipher chose the slower one"),
            "sealing is a good part of what a packet costs",
            "srtp.cipher = \"auto\"",
        );
    }
    Finding::good(CHECK, found)
}

fn certificate(Certificate { table, by_acme, left, notice }: &Certificate) -> Finding {
    const CHECK: &str = "certificate";
    const WHY: &str = "browsers open no page of an expired one";
    let renew = match by_acme {
        true => {
            "journalctl -u sluice | grep ACME    # says why it was not renewed, and when it is tried again"
        }
        false => {
            "certbot renew --dry-run    # or whatever else renews it; the server takes new files by itself"
        }
    };
    match left {
        Ok(left) if left < notice => Finding::bad(
            CHECK,
            format!("{table}: it expires in {}, so its renewal does not work", rough(*left)),
            WHY,
            renew,
        ),
        Ok(left) => Finding::good(CHECK, format!("{table}: good for {}", rough(*left))),
        // What is wrong has its way out in the same sentence.
        Err(why) => Finding::bad(
            CHECK,
            why.clone(),
            "browsers open no page with it, and with most that can be wrong a server does not start",
            "mend that, and then: sluice check FILE",
        ),
    }
}

/// A time in the largest unit that there are two of.
fn rough(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [("days", 24 * 3_600), ("hours", 3_600), ("minutes", 60)];
    match units.into_iter().find(|(_, unit)| seconds >= 2 * unit) {
        Some((name, unit)) => format!("{} {name}", seconds / unit),
        None => "less than two minutes".to_owned(),
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
