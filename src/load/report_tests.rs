use super::super::gone::Viewed;
use super::super::require::FIGURES;
use super::super::sequence::Counts;
use super::super::series::Moment;
use super::*;

fn mark(packets: u64, cpu_ms: u64, connected: usize) -> Mark {
    let totals = Totals { packets, bytes: packets * 1_000, ..Totals::default() };
    Mark { totals, connected, cpu: Duration::from_millis(cpu_ms), ..Mark::default() }
}

fn sample(cpu_ms: u64, rss_bytes: u64) -> Sample {
    Sample { user: Duration::from_millis(cpu_ms), rss_bytes, ..Sample::default() }
}

fn report_of(run: Run) -> Report {
    let setting = Setting {
        url: String::new(),
        also: Vec::new(),
        viewers: 10,
        command: String::new(),
        machine: Machine::default(),
        started: SystemTime::UNIX_EPOCH,
    };
    Report::new(setting, run)
}

fn run(busy_ms: u64) -> Run {
    Run {
        before: Some(sample(100, 1_000_000)),
        window: Some(Window {
            length: Duration::from_secs(10),
            workers: vec![(mark(1_000, 500, 10), mark(101_000, 500 + busy_ms, 10))],
            server: Some((sample(201, 2_000_000), sample(301, 2_000_000))),
        }),
        ..Run::default()
    }
}

#[test]
fn the_title_names_every_endpoint() {
    let mut report = Report { url: "A".to_owned(), viewers: 1, ..Report::default() };
    assert_eq!(report.title(), "1 viewer of A");
    report.also = vec!["B".to_owned(), "C".to_owned()];
    report.viewers = 30;
    assert_eq!(report.title(), "30 viewers of A and B and C");
}

#[test]
fn costs_are_those_of_the_window_and_joins_do_not_pay_for_packets() {
    let report = report_of(run(1_000));
    let server = report.server.expect("it was sampled");
    assert!((server.cpu_per_packet - 1e-6).abs() < 1e-12, "{server:?}");
    assert!((server.cpu_per_join - 0.010).abs() < 1e-9, "101 ms less 1,000 packets of 1 µs: {server:?}");
    assert!((server.cpu_per_join_gross - 0.0101).abs() < 1e-9, "{server:?}");
    assert_eq!((server.rss_per_viewer, report.packets_per_second), (100_000.0, 10_000.0));
    assert_eq!(report.generator.packets_per_second_per_core, 100_000.0);
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn a_busy_generator_says_so() {
    let report = report_of(run(9_500));
    assert!(report.warnings[0].contains("generator was the limit"), "{:?}", report.warnings);
}

#[test]
fn a_generator_whose_core_is_taken_half_of_the_time_is_the_limit_at_half_a_core() {
    let mut run = run(4_900);
    if let Some(window) = &mut run.window {
        window.workers[0].1.waited = Duration::from_millis(4_800);
    }
    let report = report_of(run);
    assert_eq!(report.generator.occupied, 0.97);
    assert!(report.warnings[0].contains("3 % of its time left"), "{:?}", report.warnings);
}

#[test]
fn a_generator_that_shares_its_core_says_so() {
    let mut run = run(1_000);
    if let Some(window) = &mut run.window {
        window.workers[0].1.waited = Duration::from_secs(2);
    }
    let report = report_of(run);
    assert!(report.warnings[0].contains("20 %"), "2 of 10 s: {:?}", report.warnings);
}

#[test]
fn every_figure_that_can_be_bounded_exists() {
    let mut run = run(1_000);
    let video = Counts { expected: 4, received: 3, ..Default::default() };
    let counts = Counts { expected: 8, received: 5, recovered: 1, ..Default::default() };
    run.gone.add(Viewed {
        connect: Some(Duration::from_millis(20)),
        first_packet: Some(Duration::from_millis(30)),
        longest_gap: Some(Duration::from_millis(40)),
        jitter: None,
        totals: Totals { counts, video, ..Totals::default() },
        verdict: Some(Verdict { frames: 1, ..Verdict::default() }),
        kernel_drops: 0,
    });
    run.gone.delay.extend([Duration::from_millis(5)]);
    let report = report_of(run);
    for (name, _, _) in FIGURES {
        assert!(report.figure(name).is_some(), "{name}");
    }
    assert_eq!(report.figure("loss"), Some(0.25));
    assert_eq!(report.figure("sound_loss"), Some(0.25));
    assert_eq!(report_of(Run::default()).figure("loss"), None, "nothing came at all");
}

#[test]
fn a_generator_that_was_busy_while_viewers_joined_says_so() {
    let mut run = run(1_000);
    let mut recorder = Recorder::new(Duration::ZERO, None);
    for (second, cpu) in [(1, 500), (2, 1_450)] {
        let mark = Mark { at: Duration::from_secs(second), ..mark(100, cpu, 1) };
        let coordinator = Duration::from_millis(second * 200);
        let moment = Moment { at: mark.at, failed: 0, coordinator, server: None };
        recorder.record(moment, &[mark]);
    }
    run.recorder = Some(recorder);
    let report = report_of(run);
    assert!(report.warnings[0].contains("a receiving thread used 95 %"), "{:?}", report.warnings);
}

#[test]
fn a_kernel_that_does_not_tell_cpu_leaves_the_limit_open() {
    let report = report_of(run(0));
    assert!(report.warnings[0].contains("is not known"), "{:?}", report.warnings);
}

#[test]
fn what_a_server_should_not_do_is_a_warning() {
    let viewed = |totals, verdict| Viewed {
        connect: Some(Duration::ZERO),
        first_packet: None,
        longest_gap: Some(Duration::from_secs(3)),
        jitter: None,
        totals,
        verdict: Some(verdict),
        kernel_drops: 0,
    };
    let counts = Counts { duplicates: 10, restarts: 1, ..Counts::default() };
    let totals = Totals { packets: 100, counts, nacked: 3, unknown: 2, ..Totals::default() };
    let verdict = Verdict {
        authentic: 5,
        forged: 4,
        frames: 9,
        frozen: 6,
        from_future: 8,
        again: 5,
        ..Verdict::default()
    };
    let mut run = run(1_000);
    run.gone.add(viewed(totals, verdict));
    let warnings = report_of(run).warnings;
    for (index, words) in [
        "1 viewers connected and never got a packet",
        "1 viewers had no packet for more than 2 s",
        "4 of 9 packets of verifying viewers are not authentic",
        "7 packets came again",
        "numbering went back 1 times",
        "6 of 9 verified frames show the picture",
        "2 datagrams are nothing that the answer named",
        "8 pictures came before they were sent",
        "5 of 9 verified frames had been shown to their viewer before",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(warnings[index].starts_with(words), "{words}: {warnings:#?}");
    }
    assert_eq!(warnings.len(), 9, "{warnings:#?}");
}
