//! The facts of this machine: the kernel's files, its sockets, and `ethtool` where it is installed. A shell: it reads files,
//! makes sockets and runs a command; it judges nothing.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock")]

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use if_addrs::IfAddr;
use sluice_config::Config;
use sluice_io::gso::{GsoVerdict, Refusal, self_test, try_route};
use sluice_io::{Socket, SocketOptions, affinity, descriptors as open_files, machine};

use super::facts::{
    Buffer, Card, Certificate, Cipher, Conntrack, Cores, Disk, Drops, Facts, Files, Gso, Interface, Offload,
    Reach, UdpMemory, Verdict,
};
use crate::cipher::Choice;
use crate::descriptors;
use crate::http::tls;
use crate::server::placement;
use crate::session::announce::Announcer;

/// The port that throws away what comes (RFC 863): where a train goes to be tried.
const DISCARD: u16 = 9;

/// Bytes of a page, in which the kernel counts memory of sockets.
const PAGE: u64 = 4_096;

/// Paths whose disks are looked at.
const DISKS: [&str; 2] = ["/", "/var/log"];

/// Reads them all.
pub(super) async fn facts(config: &Config) -> Facts {
    let cores = cores(config);
    let shards = config.shard_count(cores.all.len());
    let cipher = Choice::make(config.srtp.cipher);
    let wanted =
        u64::from(shards) * (config.udp.receive_buffer.as_usize() + config.udp.send_buffer.as_usize()) as u64;
    Facts {
        gso: gso(config),
        // What is the whole machine's is not shown in one.
        inside: !Path::new("/proc/sys/net/core/netdev_max_backlog").exists(),
        buffers: buffers(config),
        // The kernel counts its own bookkeeping, too: twice what was asked for.
        udp_memory: UdpMemory { limit: udp_memory(), wanted: wanted * 2 },
        drops: drops(),
        interfaces: interfaces(config),
        files: files(config, shards),
        cores,
        synchronised: machine::is_clock_synchronised().ok(),
        conntrack: conntrack(),
        viewers: config.limits.viewers.into(),
        reach: reach(config, shards).await,
        disks: DISKS
            .into_iter()
            .filter_map(|path| Some(Disk { path, room: machine::room(Path::new(path)).ok()? }))
            .collect(),
        cipher: Cipher {
            chosen: cipher.library.name(),
            by_configuration: cipher.is_forced(),
            costs: cipher.costs().map(|(library, cost)| (library.name(), cost)).into(),
        },
        certificates: certificates(config),
    }
}

/// A file's text without the line end; nothing if it cannot be read.
fn text(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}

fn number<T: std::str::FromStr>(path: impl AsRef<Path>) -> Option<T> {
    text(path)?.parse().ok()
}

fn gso(config: &Config) -> Gso {
    let verdict = self_test().ok().map(|verdict| match verdict {
        GsoVerdict::Trusted => Verdict::Trusted,
        GsoVerdict::Refused(Refusal::BadKernel { .. }) => Verdict::BadKernel,
        GsoVerdict::Refused(why) => Verdict::Refused(why.to_string()),
    });
    let kernel = text("/proc/sys/kernel/osrelease").unwrap_or_else(|| "this kernel".to_owned());
    Gso { kernel, wanted: config.udp.gso, verdict }
}

fn buffers(config: &Config) -> Vec<Buffer> {
    let options = SocketOptions {
        address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        receive_buffer: config.udp.receive_buffer.as_usize(),
        send_buffer: config.udp.send_buffer.as_usize(),
    };
    let Ok(socket) = Socket::bind(options) else { return Vec::new() };
    let grants = [("udp.receive_buffer", socket.receive_buffer()), ("udp.send_buffer", socket.send_buffer())];
    let buffer = |(key, grant): (&'static str, sluice_io::BufferGrant)| Buffer {
        key,
        asked: grant.asked,
        granted: grant.granted,
        sysctl: grant.sysctl,
    };
    grants.map(buffer).into()
}

/// The third of `net.ipv4.udp_mem`, in bytes.
fn udp_memory() -> Option<u64> {
    let pages: u64 = text("/proc/sys/net/ipv4/udp_mem")?.split_whitespace().nth(2)?.parse().ok()?;
    Some(pages * PAGE)
}

fn drops() -> Drops {
    // The second column of each processor's line, in hexadecimal.
    let backlog = text("/proc/net/softnet_stat").and_then(|text| {
        text.lines().map(|line| u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()).sum()
    });
    // Names stand in one line, their values in the next.
    let receive = text("/proc/net/snmp").and_then(|text| {
        let mut lines = text.lines().filter(|line| line.starts_with("Udp:"));
        let (names, values) = (lines.next()?, lines.next()?);
        let place = names.split_whitespace().position(|name| name == "RcvbufErrors")?;
        values.split_whitespace().nth(place)?.parse().ok()
    });
    Drops { backlog, receive, backlog_max: number("/proc/sys/net/core/netdev_max_backlog") }
}

/// Those whose addresses may be announced, without loopback, which the self-test has tried.
fn interfaces(config: &Config) -> Vec<Interface> {
    let mut found: Vec<Interface> = Vec::new();
    for address in if_addrs::get_if_addrs().unwrap_or_default() {
        let wanted = config.ice.interfaces.is_empty() || config.ice.interfaces.contains(&address.name);
        if address.is_loopback() || !wanted {
            continue;
        }
        let train = neighbour(&address.addr).map(|neighbour| {
            let tried = try_route(&address.name, SocketAddr::new(neighbour, DISCARD));
            tried.map_err(|error| error.to_string())
        });
        match found.iter_mut().find(|interface| interface.name == address.name) {
            Some(interface) => interface.train = interface.train.take().or(train),
            None => found.push(interface(address.name, train)),
        }
    }
    found
}

fn interface(name: String, train: Option<Result<(), String>>) -> Interface {
    let folder = PathBuf::from("/sys/class/net").join(&name);
    let card = folder.join("device").exists().then(|| card(&name, &folder));
    Interface { mtu: number(folder.join("mtu")), name, train, card }
}

/// Another address of the same network: whether anybody has it does not matter, the way to it does. Of IPv6 none is
/// tried, because the kernel treats both alike.
fn neighbour(address: &IfAddr) -> Option<IpAddr> {
    let IfAddr::V4(address) = address else { return None };
    if address.netmask == Ipv4Addr::BROADCAST {
        return None;
    }
    let flipped = Ipv4Addr::from(u32::from(address.ip) ^ 1);
    Some(IpAddr::V4(if Some(flipped) == address.broadcast {
        Ipv4Addr::from(u32::from(address.ip) ^ 2)
    } else {
        flipped
    }))
}

fn card(name: &str, folder: &Path) -> Card {
    let queues = fs::read_dir(folder.join("queues")).map_or(0, |queues| {
        queues.flatten().filter(|queue| queue.file_name().to_string_lossy().starts_with("rx-")).count()
    });
    let features = ethtool(&["-k", name]);
    let segments = features.as_deref().and_then(|text| {
        let value = text.lines().find_map(|line| line.trim().strip_prefix("tx-udp-segmentation:"))?.trim();
        Some(match value {
            value if value.starts_with("on") => Offload::On,
            value if value.ends_with("[fixed]") => Offload::Never,
            _ => Offload::Off,
        })
    });
    let hash = ethtool(&["-n", name, "rx-flow-hash", "udp4"]);
    let hashes_ports =
        hash.filter(|text| text.contains("UDP over IPV4 flows use")).map(|text| text.contains("L4 bytes"));
    Card {
        speed: number::<i64>(folder.join("speed")).and_then(|speed| u32::try_from(speed).ok()),
        receive_queues: queues,
        segments,
        hashes_ports,
        interrupts: interrupts(folder),
    }
}

/// What `ethtool` prints; nothing if it is not there, or refuses.
fn ethtool(arguments: &[&str]) -> Option<String> {
    let output = Command::new("ethtool").args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Cores that take the interrupts of a card: of its own device, or of the one that it is a part of (virtio).
fn interrupts(folder: &Path) -> Vec<usize> {
    let Ok(device) = folder.join("device").canonicalize() else { return Vec::new() };
    let folders = device.ancestors().take(3).map(|folder| folder.join("msi_irqs"));
    let Some(Ok(numbers)) = folders.map(fs::read_dir).find(Result::is_ok) else { return Vec::new() };
    let mut cores: Vec<usize> = numbers
        .flatten()
        .filter_map(|number| {
            let folder = Path::new("/proc/irq").join(number.file_name());
            text(folder.join("effective_affinity_list")).filter(|list| !list.is_empty())
        })
        .flat_map(|list| cores_of(&list))
        .collect();
    cores.sort_unstable();
    cores.dedup();
    cores
}

/// `0-2,5` is 0, 1, 2 and 5.
fn cores_of(list: &str) -> Vec<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse().ok()?..=last.trim().parse::<usize>().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

fn cores(config: &Config) -> Cores {
    let numbers = |cores: Vec<affinity::CoreId>| cores.into_iter().map(affinity::CoreId::index).collect();
    Cores {
        all: numbers(affinity::cores()),
        shards: numbers(placement(config).into_iter().flatten().collect()),
        governor: text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        clock_source: text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    }
}

fn files(config: &Config, shards: u16) -> Files {
    let limit = open_files::raise().ok();
    let shards = (shards.into(), config.ice.tcp_listen.is_some());
    let plan =
        limit.map(|limit| descriptors::plan(config.http.connections, config.streams_max(), shards, limit));
    let lowered = matches!(&plan, Some(Ok(plan)) if plan.lowered);
    let plan = plan.map(|plan| plan.map(|plan| plan.connections).map_err(|error| error.to_string()));
    Files { limit, plan, lowered }
}

fn conntrack() -> Option<Conntrack> {
    let folder = Path::new("/proc/sys/net/netfilter");
    let count = number(folder.join("nf_conntrack_count"))?;
    Some(Conntrack { count, max: number(folder.join("nf_conntrack_max"))? })
}

async fn reach(config: &Config, ports: u16) -> Reach {
    let v6 = config.udp.address.is_ipv6();
    let addresses = match Announcer::resolve(&config.ice, v6).await {
        Ok(announcer) => announcer.now(),
        Err(error) => Err(error),
    };
    Reach {
        addresses: Some(addresses.map_err(|error| error.to_string())),
        port: config.udp.port,
        ports,
        tcp: config.ice.tcp_listen.map(|address| address.port()),
        scheme: if config.http.tls.is_on() { "https" } else { "http" },
        http: config.http.listen.port(),
        name: name_of_pages(config),
        stream: config.streams.keys().next().map_or("demo", |name| name.as_str()).to_owned(),
    }
}

/// Whether a table is about the pages' certificate, and not about that of operators.
fn is_of_pages(table: &str) -> bool {
    table.starts_with("http.tls")
}

/// What the pages' certificate is for, or will be.
fn name_of_pages(config: &Config) -> Option<String> {
    let acme = &config.http.tls.acme.domains;
    let mut found = tls::configured::certificates(config).into_iter();
    let shown = found.find(|(files, _)| is_of_pages(&files.to_string())).and_then(|(_, loaded)| loaded.ok());
    shown.and_then(|certificate| certificate.names.into_iter().next()).or_else(|| acme.first().cloned())
}

fn certificates(config: &Config) -> Vec<Certificate> {
    let now = SystemTime::now();
    let by_acme = |table: &str| is_of_pages(table) && config.http.tls.acme.is_on();
    let one = |(table, loaded): (String, Result<tls::certificate::Certificate, _>)| match loaded {
        Ok(certificate) => Certificate {
            by_acme: by_acme(&table),
            table,
            left: Ok(certificate.until.duration_since(now).unwrap_or_default()),
            notice: certificate.notice(),
        },
        Err(error) => Certificate {
            by_acme: by_acme(&table),
            table,
            left: Err(tls::certificate::CertificateError::to_string(&error)),
            notice: std::time::Duration::ZERO,
        },
    };
    tls::configured::certificates(config)
        .into_iter()
        .map(|(files, loaded)| one((files.to_string(), loaded)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_cores_is_read_as_the_kernel_writes_it() {
        assert_eq!(cores_of("0-2,5"), [0, 1, 2, 5]);
        assert_eq!(cores_of("7"), [7]);
        assert!(cores_of("").is_empty());
    }

    #[test]
    fn what_linux_always_has_is_read() {
        let drops = drops();
        assert!(
            drops.backlog.is_some() && drops.receive.is_some() && drops.backlog_max.is_some(),
            "{drops:?}"
        );
        assert!(udp_memory() > Some(0));
        assert!(!cores(&Config::default()).all.is_empty());
    }
}
