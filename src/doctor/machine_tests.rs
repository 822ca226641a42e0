//! Tables of facts, and what is said of them.

use super::*;
use crate::doctor::finding::How::{self, Bad, Good, Unknown};

fn how(finding: &Finding) -> How {
    finding.how
}

#[test]
fn a_kernel_that_corrupts_trains_is_told_from_one_that_refuses_them() {
    let kernel = |wanted, verdict| gso(&Gso { kernel: "7.1.2".to_owned(), wanted, verdict });
    assert_eq!(how(&kernel(true, Some(Verdict::Trusted))), Good);
    assert_eq!(how(&kernel(true, None)), Unknown);
    let off = kernel(false, Some(Verdict::Trusted));
    assert_eq!((off.how, off.mend.as_str()), (Bad, "set udp.gso = true"));
    let corrupt = kernel(true, Some(Verdict::BadKernel));
    assert!(
        corrupt.how == Bad && corrupt.found.contains("7.1.2") && corrupt.mend.contains("7.1.5"),
        "{corrupt:?}"
    );
    let refused = kernel(true, Some(Verdict::Refused("EINVAL".to_owned())));
    assert!(refused.how == Bad && refused.found.contains("EINVAL"), "{refused:?}");
}

#[test]
fn an_interface_is_named_with_what_it_cannot_carry() {
    for (mtu_of, wanted) in [(Some(1_500), Good), (Some(1_280), Good), (Some(1_279), Bad), (None, Unknown)] {
        let finding = mtu(&Interface { name: "eth7".to_owned(), mtu: mtu_of, ..Interface::default() });
        assert_eq!(finding.how, wanted, "{finding:?}");
        assert!(finding.found.contains("eth7"), "{finding:?}");
    }
    let refusing = Interface {
        name: "eth7".to_owned(),
        train: Some(Err("Input/output error".to_owned())),
        ..Interface::default()
    };
    let finding = route(&refusing, true).expect("a finding");
    assert_eq!((finding.how, finding.mend.split("    ").next()), (Bad, Some("ethtool -K eth7 tx on")));
    assert_eq!(route(&refusing, false), None, "without trains it does not matter");
    assert_eq!(route(&Interface::default(), true), None);
}

#[test]
fn a_card_is_judged_by_its_queues_and_by_who_takes_its_interrupts() {
    let interface = Interface { name: "eth0".to_owned(), ..Interface::default() };
    let eight = Cores { all: (0..8).collect(), shards: (1..8).collect(), ..Cores::default() };
    let two = Cores { all: vec![0, 1], shards: vec![1], ..Cores::default() };
    let card =
        |receive_queues, speed, hashes_ports| Card { receive_queues, speed, hashes_ports, ..Card::default() };
    for (card, cores, wanted) in [
        (card(1, Some(10_000), None), &eight, &[Bad][..]),
        (card(1, Some(1_000), None), &eight, &[Good]),
        (card(1, Some(10_000), None), &two, &[Good]),
        (card(1, None, None), &eight, &[Good]),
        (card(0, Some(10_000), None), &eight, &[Unknown]),
        (card(8, Some(10_000), Some(true)), &eight, &[Good]),
        (card(8, Some(10_000), Some(false)), &eight, &[Good, Bad]),
    ] {
        let found = queues(&interface, &card, &cores.clone());
        assert_eq!(found.iter().map(how).collect::<Vec<_>>(), wanted, "{card:?}: {found:?}");
    }
    for (taken, cores, wanted) in [
        (vec![0], &eight, Some(Good)),
        (vec![0, 3], &eight, Some(Bad)),
        (vec![1], &two, Some(Good)),
        (vec![], &eight, None),
    ] {
        let finding = interrupts(&interface, &Card { interrupts: taken, ..Card::default() }, cores);
        assert_eq!(finding.as_ref().map(how), wanted, "{finding:?}");
        if wanted == Some(Bad) {
            assert!(
                finding.is_some_and(|finding| finding.mend.contains("echo 0 >")),
                "to the core that is free"
            );
        }
    }
}

#[test]
fn memory_that_is_short_is_named_with_the_number_that_is_enough() {
    let buffer =
        Buffer { key: "udp.receive_buffer", asked: 8_388_608, granted: 212_992, sysctl: "net.core.rmem_max" };
    let facts = Facts { buffers: vec![buffer.clone()], ..Facts::default() };
    let short = &buffers(&facts)[0];
    assert!(short.how == Bad && short.mend.starts_with("sysctl -w net.core.rmem_max=8388608"), "{short:?}");
    let enough = Facts { buffers: vec![Buffer { granted: 8_388_608, ..buffer }], ..Facts::default() };
    assert_eq!(how(&buffers(&enough)[0]), Good);
    assert_eq!(how(&buffers(&Facts::default())[0]), Unknown);

    let mebibyte = 1 << 20;
    for (limit, wanted) in [(Some(64 * mebibyte), Good), (Some(31 * mebibyte), Bad), (None, Unknown)] {
        let finding = udp_memory(&UdpMemory { limit, wanted: 32 * mebibyte }, false);
        assert_eq!(finding.how, wanted, "{finding:?}");
        if wanted == Bad {
            assert_eq!(finding.mend, "sysctl -w net.ipv4.udp_mem='8192 12288 16384'");
        }
    }
}

#[test]
fn what_is_the_whole_machines_is_set_outside_of_a_container() {
    let memory = udp_memory(&UdpMemory { limit: None, wanted: 32 << 20 }, true);
    assert_eq!(memory.how, Unknown);
    assert!(memory.found.contains("32 MiB"), "{memory:?}");
    let there = "on the host, outside of this network namespace: sysctl ";
    assert_eq!(memory.mend, format!("{there}net.ipv4.udp_mem    # the last of three: 16384 or more"));
    let buffer =
        Buffer { key: "udp.receive_buffer", asked: 8_388_608, granted: 212_992, sysctl: "net.core.rmem_max" };
    let facts = Facts { buffers: vec![buffer], inside: true, ..Facts::default() };
    assert!(buffers(&facts)[0].mend.starts_with(there), "{:?}", buffers(&facts));
    let full = Drops { backlog: Some(1), receive: Some(0), backlog_max: None };
    assert!(drops(&full, true)[0].mend.starts_with(there), "{:?}", drops(&full, true));
}

#[test]
fn what_was_dropped_is_bad_and_what_is_not_counted_is_unknown() {
    let judged = |backlog, receive| {
        let drops = drops(&Drops { backlog, receive, backlog_max: Some(1_000) }, false);
        drops.iter().map(how).collect::<Vec<_>>()
    };
    assert_eq!(judged(Some(0), Some(0)), [Good, Good]);
    assert_eq!(judged(Some(1), Some(0)), [Bad, Good]);
    assert_eq!(judged(Some(0), Some(1)), [Good, Bad]);
    assert_eq!(judged(None, None), [Unknown, Unknown]);
}

#[test]
fn cores_and_clocks_have_their_words() {
    let machine = |all: usize, shards: usize, governor: Option<&str>, clock: Option<&str>| Cores {
        all: (0..all).collect(),
        shards: (0..shards).collect(),
        governor: governor.map(str::to_owned),
        clock_source: clock.map(str::to_owned),
    };
    for (machine, wanted) in [
        (machine(8, 7, Some("performance"), Some("tsc")), [Good, Good, Good]),
        (machine(8, 8, Some("powersave"), Some("hpet")), [Bad, Bad, Bad]),
        (machine(1, 1, None, Some("kvm-clock")), [Good, Good, Good]),
        (machine(4, 0, None, Some("tsc")), [Good, Good, Good]),
        (machine(0, 0, None, None), [Unknown, Good, Unknown]),
    ] {
        let found: Vec<How> = cores(&machine).iter().chain([&clock_source(&machine)]).map(how).collect();
        assert_eq!(found, wanted, "{machine:?}");
    }
    assert_eq!([Some(true), Some(false), None].map(|kept| synchronised(kept).how), [Good, Bad, Unknown]);
}
