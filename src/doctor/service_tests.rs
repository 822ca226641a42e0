//! Tables of facts, and what is said of them.

use super::*;
use crate::doctor::finding::How::{self, Bad, Good, Unknown};
use sluice_io::machine::Room;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn hows(findings: &[Finding]) -> Vec<How> {
    findings.iter().map(|finding| finding.how).collect()
}

#[test]
fn open_files_are_enough_or_few_or_too_few() {
    let judged = |limit, plan, lowered| files(&Files { limit, plan, lowered });
    assert_eq!(judged(Some(1_048_576), Some(Ok(4_096)), false).how, Good);
    let few = judged(Some(1_024), Some(Ok(800)), true);
    assert!(few.how == Bad && few.found.contains("800") && few.mend.contains("LimitNOFILE"), "{few:?}");
    let too_few = judged(Some(64), Some(Err("4 connections need 104 open files".to_owned())), false);
    assert!(too_few.how == Bad && too_few.found.contains("104"), "{too_few:?}");
    assert_eq!(judged(None, None, false).how, Unknown);
}

#[test]
fn a_tracker_of_connections_needs_room_for_all_viewers() {
    let reach = Reach { port: 8_189, ports: 3, ..Reach::default() };
    for (tracker, wanted) in [
        (None, Good),
        (Some(Conntrack { count: 100, max: 262_144 }), Good),
        (Some(Conntrack { count: 250_000, max: 262_144 }), Bad),
        (Some(Conntrack { count: 9, max: 8 }), Bad),
    ] {
        let facts = Facts { conntrack: tracker, viewers: 10_000, reach: reach.clone(), ..Facts::default() };
        let finding = conntrack(&facts);
        assert_eq!(finding.how, wanted, "{finding:?}");
        if wanted == Bad {
            assert!(finding.mend.contains("udp dport 8189-8191 notrack"), "{finding:?}");
        }
    }
}

#[test]
fn addresses_that_nobody_can_reach_are_told_from_those_of_a_network_and_of_the_internet() {
    let at = |addresses: &[&str]| Reach {
        addresses: Some(Ok(addresses.iter().map(|address| address.parse().expect("an address")).collect())),
        port: 8_189,
        ports: 2,
        tcp: Some(8_289),
        scheme: "https",
        http: 443,
        name: None,
        stream: "gate".to_owned(),
    };
    for (addresses, wanted) in [
        (&["127.0.0.1", "::1"][..], &[Bad][..]),
        (&["192.168.1.5", "127.0.0.1"], &[Unknown, Unknown]),
        (&["100.64.0.1", "fd00::1", "169.254.1.1"], &[Unknown, Unknown]),
        (&["100.128.0.1"], &[Good, Unknown]),
        (&["203.0.113.9", "192.168.1.5"], &[Good, Unknown]),
        (&["2001:db8::1"], &[Good, Unknown]),
    ] {
        let found = reach(&at(addresses));
        assert_eq!(hows(&found), wanted, "{addresses:?}: {found:?}");
    }
    let firewall = &reach(&at(&["2001:db8::1"]))[1];
    assert!(firewall.found.contains("8189-8190/udp, 8289-8290/tcp and 443/tcp"), "{firewall:?}");
    let command = "sluice load whep https://[2001:db8::1]:443/gate/whep --insecure --viewers 1";
    assert!(firewall.mend.contains(command), "{firewall:?}");
    assert!(
        firewall.mend.ends_with("; for viewers without UDP: nc -zv 2001:db8::1 8289-8290"),
        "{firewall:?}"
    );
    // Who can name the server as its certificate does, can believe it.
    let mut named = at(&["203.0.113.9"]);
    (named.ports, named.name) = (1, Some("tv.example.com".to_owned()));
    let firewall = &reach(&named)[1];
    assert!(firewall.found.contains("whether 8189/udp, 8289/tcp and 443/tcp"), "{firewall:?}");
    assert!(firewall.mend.contains("https://tv.example.com:443/gate/whep --viewers 1"), "{firewall:?}");
    assert!(firewall.mend.ends_with("nc -zv 203.0.113.9 8289"), "{firewall:?}");
    // Plain, and by UDP alone.
    (named.scheme, named.tcp) = ("http", None);
    let firewall = &reach(&named)[1];
    assert!(firewall.found.contains("whether 8189/udp and 443/tcp"), "{firewall:?}");
    assert!(firewall.mend.contains("http://203.0.113.9:443/gate/whep --viewers 1"), "{firewall:?}");
    assert!(firewall.mend.ends_with("open 8189/udp"), "{firewall:?}");
    let failed = Reach { addresses: Some(Err("it does not resolve".to_owned())), ..Reach::default() };
    assert_eq!(hows(&reach(&failed)), [Bad]);
}

#[test]
fn a_disk_that_is_nearly_full_is_bad() {
    let judged = |free, total| disk(&Disk { path: "/", room: Room { free, total } }).how;
    assert_eq!(judged(50 << 30, 100 << 30), Good);
    assert_eq!(judged(4 << 30, 100 << 30), Bad);
    assert_eq!(
        judged(0, 0),
        Good,
        "what has no size, such as an overlay's pseudo file system, is never full"
    );
}

#[test]
fn a_cipher_that_was_chosen_by_hand_and_is_slower_is_bad() {
    let nanos = Duration::from_nanos;
    let judged = |chosen, by_configuration| {
        cipher(&Cipher {
            chosen,
            by_configuration,
            costs: vec![("aws-lc", nanos(480)), ("ring", nanos(300))],
        })
    };
    assert_eq!(judged("ring", false).how, Good);
    assert_eq!(judged("ring", true).how, Good);
    assert_eq!(judged("aws-lc", false).how, Good, "it was measured, and told here by another measurement");
    let slow = judged("aws-lc", true);
    assert!(slow.how == Bad && slow.found.contains("480 ns") && slow.found.contains("300 ns"), "{slow:?}");
    assert_eq!(cipher(&Cipher::default()).how, Unknown);
}

#[test]
fn a_certificate_is_bad_before_it_expires() {
    let judge = |by_acme, left, notice| {
        certificate(&Certificate { table: "http.tls".to_owned(), by_acme, left, notice })
    };
    let judged = |left| judge(false, left, 14 * DAY);
    assert_eq!(judged(Ok(60 * DAY)).how, Good);
    let soon = judged(Ok(3 * DAY));
    assert!(soon.how == Bad && soon.found.contains("it expires in 3 days"), "{soon:?}");
    assert!(soon.mend.contains("certbot"), "{soon:?}");
    let by_acme = judge(true, Ok(3 * DAY), 14 * DAY);
    assert!(by_acme.how == Bad && by_acme.mend.contains("grep ACME"), "{by_acme:?}");
    let expired = judged(Err("http.tls: it expired".to_owned()));
    assert!(expired.how == Bad && expired.found.contains("expired"), "{expired:?}");
    assert_eq!(expired.mend, "mend that, and then: sluice check FILE");
    // Of one that is made for a day only, days would say nothing.
    for (left, said) in
        [(DAY, "24 hours"), (DAY / 12, "2 hours"), (DAY / 48, "30 minutes"), (DAY / 2_000, "less than")]
    {
        let short = judge(false, Ok(left), Duration::ZERO);
        assert!(short.how == Good && short.found.contains(&format!("good for {said}")), "{short:?}");
    }
}
