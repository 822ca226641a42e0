//! Which source wins, how each writes a key, and that no input makes the loader panic.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use proptest::prelude::*;
use sluice_config::{
    Bytes, Config, File, IceAddress, Inputs, LogFormat, Source, StreamName, Transport, environment, load,
};

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn env(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn file(text: &str) -> Option<File> {
    Some(File::Text { name: "sluice.toml".to_owned(), text: text.to_owned() })
}

#[track_caller]
fn loaded(inputs: Inputs) -> Config {
    load(inputs).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn nothing_at_all_is_the_default() {
    assert_eq!(loaded(Inputs::default()), Config::default());
    assert_eq!(loaded(Inputs { file: file("# nothing\r\n"), ..Inputs::default() }), Config::default());
}

#[test]
fn later_sources_win() {
    let ports = |inputs: Inputs| {
        let config = loaded(inputs);
        [config.udp.port, config.http.listen.port(), config.admin.listen.port(), config.shards.count]
    };
    let text = "shards.count = 1\nudp.port = 1\n[http]\nlisten = ':1'\n[admin]\nlisten = ':4'\n";
    let variables =
        [("SLUICE_UDP_PORT", "2"), ("SLUICE_HTTP_LISTEN", ":2"), ("PATH", "x"), ("SLUICEGATE", "x")];
    assert_eq!(ports(Inputs { file: file(text), ..Inputs::default() }), [1, 1, 4, 1]);
    assert_eq!(ports(Inputs { file: file(text), env: env(&variables), ..Inputs::default() }), [2, 2, 4, 1]);
    let sets = owned(&["udp.port=9", "udp.port=3"]);
    assert_eq!(
        ports(Inputs { file: file(text), env: env(&variables), sets, ..Inputs::default() }),
        [3, 2, 4, 1]
    );
}

#[test]
fn names_with_slashes_and_dots_are_reached_by_every_source() {
    let inputs = Inputs {
        file: file("[streams.'site1/v1.2']\nsource = 'rtsp://a'\n[streams]\n'site1/gate'.source = 'demo'\n"),
        env: env(&[("SLUICE_STREAMS_SITE1_V1_2_RTSP_TRANSPORT", "udp")]),
        sets: owned(&["streams.site1/gate.source=rtsp://b", "streams.\"b.2/x\".source=demo"]),
        streams: owned(&["a.b/c=demo"]),
        ..Inputs::default()
    };
    let config = loaded(inputs);
    let found: Vec<_> =
        config.streams.iter().map(|(name, stream)| (name.as_str(), stream.source.label())).collect();
    let expected = [
        ("a.b/c", "demo"),
        ("b.2/x", "demo"),
        ("site1/gate", "rtsp://b:554"),
        ("site1/v1.2", "rtsp://a:554"),
    ];
    assert_eq!(found, expected.map(|(name, label)| (name, label.to_owned())));
    assert_eq!(config.streams["site1/v1.2"].rtsp_transport, Some(Transport::Udp));
    let inputs = Inputs { file: file("[streams.'v1.2']\n"), ..Inputs::default() };
    let error = load(inputs).expect_err("no source").to_string();
    assert!(error.contains("the stream `v1.2` has no source"), "{error}");
}

#[test]
fn every_source_can_write_every_kind() {
    let text = r#"
        [http]
        listen = "127.0.0.1:80"
        header_timeout = "1500ms"
        [udp]
        gso = false
        receive_buffer = 1_000_000
        [ice]
        addresses = ["192.0.2.1", "sfu.example.com"]
        [limits]
        viewers_per_stream = 0x10
        [rtsp]
        transport = "udp"
        [log]
        format = "json"
    "#;
    let variables = [
        ("SLUICE_HTTP_LISTEN", "127.0.0.1:80"),
        ("SLUICE_HTTP_HEADER_TIMEOUT", "1500ms"),
        ("SLUICE_UDP_GSO", "false"),
        ("SLUICE_UDP_RECEIVE_BUFFER", "1MB"),
        ("SLUICE_ICE_ADDRESSES", "192.0.2.1, sfu.example.com"),
        ("SLUICE_LIMITS_VIEWERS_PER_STREAM", "16"),
        ("SLUICE_RTSP_TRANSPORT", "udp"),
        ("SLUICE_LOG_FORMAT", "json"),
    ];
    let sets = [
        "http.listen=127.0.0.1:80",
        "http.header_timeout=1500ms",
        "udp.gso=false",
        "udp.receive_buffer=1000kB",
        "ice.addresses=192.0.2.1,sfu.example.com",
        "limits.viewers_per_stream=16",
        "rtsp.transport=udp",
        "log.format=json",
    ];
    let from_file = loaded(Inputs { file: file(text), ..Inputs::default() });
    assert_eq!(from_file.http.listen, SocketAddr::from(([127, 0, 0, 1], 80)));
    assert_eq!(from_file.http.header_timeout, Duration::from_millis(1500));
    assert!(!from_file.udp.gso);
    assert_eq!(from_file.udp.receive_buffer, Bytes::new(1_000_000));
    assert_eq!(
        from_file.ice.addresses,
        [IceAddress::Ip([192, 0, 2, 1].into()), IceAddress::Host("sfu.example.com".to_owned())]
    );
    assert_eq!(from_file.limits.viewers_per_stream.map(u32::from), Some(16));
    assert_eq!(from_file.rtsp.transport, Transport::Udp);
    assert_eq!(from_file.log.format, LogFormat::Json);
    assert_eq!(loaded(Inputs { env: env(&variables), ..Inputs::default() }), from_file);
    assert_eq!(loaded(Inputs { sets: owned(&sets), ..Inputs::default() }), from_file);
}

#[test]
fn a_variable_is_of_the_stream_that_the_command_line_names_whatever_its_case() {
    let variables = || {
        env(&[
            ("SLUICE_STREAMS_GATE_1_RTSP_TRANSPORT", "udp"),
            ("SLUICE_STREAMS_YARD_2_SOURCE", "rtsp://h/y"),
        ])
    };
    let streams = owned(&["Gate-1=rtsp://h/g"]);
    let sets = owned(&["streams.yard-2.rtsp_transport=udp"]);
    let config = loaded(Inputs { env: variables(), sets, streams, ..Inputs::default() });
    let transports: Vec<_> =
        config.streams.iter().map(|(name, stream)| (name.as_str(), stream.rtsp_transport)).collect();
    assert_eq!(transports, [("Gate-1", Some(Transport::Udp)), ("yard-2", Some(Transport::Udp))]);
    // Between two that differ in nothing that a variable knows, it does not guess.
    let streams = owned(&["Gate-1=demo", "gate-1=demo", "yard_2=demo"]);
    let error = load(Inputs { env: variables(), streams, ..Inputs::default() }).expect_err("unclear");
    assert!(error.render(false).contains("any of the streams `Gate-1`, `gate-1`"), "{}", error.render(false));
}

#[test]
fn a_variable_is_of_the_stream_that_the_file_names_whatever_its_case() {
    let text = "[streams.Gate-1]\nrtsp_transport = 'udp'\n[streams.yard]\nsource = 'demo'\n";
    let variables =
        env(&[("SLUICE_STREAMS_GATE_1_SOURCE", "rtsp://h/g"), ("SLUICE_STREAMS_NEW_SOURCE", "demo")]);
    let config = loaded(Inputs { file: file(text), env: variables, ..Inputs::default() });
    let names: Vec<_> = config.streams.keys().map(StreamName::as_str).collect();
    assert_eq!(names, ["Gate-1", "new", "yard"]);
    // One that is spelt so is meant before others; of others none.
    let several = "[streams]\ngate-1.source = 'demo'\nGATE_1.source = 'demo'\n";
    let variable = || env(&[("SLUICE_STREAMS_GATE_1_SOURCE", "rtsp://h/g")]);
    let error =
        load(Inputs { file: file(several), env: variable(), ..Inputs::default() }).expect_err("unclear");
    assert!(error.render(false).contains("any of the streams `GATE_1`, `gate-1`"), "{}", error.render(false));
    let exact = format!("{several}gate_1.source = 'demo'\n");
    let config = loaded(Inputs { file: file(&exact), env: variable(), ..Inputs::default() });
    let sources: Vec<_> = config.streams.values().map(|stream| stream.source == Source::Demo).collect();
    assert_eq!(sources, [true, true, false]);
}

#[test]
fn an_empty_list_overrides() {
    let text = "ice.interfaces = ['eth0']\n";
    let sets = owned(&["ice.interfaces="]);
    let config = loaded(Inputs { file: file(text), sets, ..Inputs::default() });
    assert!(config.ice.interfaces.is_empty());
}

#[test]
fn streams_come_from_everywhere() {
    let config = loaded(Inputs {
        api: Default::default(),
        file: file(
            "[streams.a]\nsource = 'rtsp://h/a'\nrtsp_transport = 'udp'\n[streams]\nFront-Door.source = 'demo'\n",
        ),
        env: env(&[
            ("SLUICE_STREAMS_B_SOURCE", "rtsp://u:p@h/b"),
            ("SLUICE_STREAMS_C_D_SOURCE", "demo"),
            ("SLUICE_STREAMS_C_D_RTSP_TRANSPORT", "udp"),
        ]),
        sets: owned(&["streams.e.source=rtsp://h/?e=f", "streams.g.source=demo"]),
        streams: owned(&["a=demo", "g=rtsp://h/?g=h"]),
        commands: Vec::new(),
    });
    let described: Vec<_> = config
        .streams
        .iter()
        .map(|(name, stream)| {
            let source = match &stream.source {
                Source::Rtsp(cameras) => cameras[0].to_string(),
                other => other.label(),
            };
            format!("{name} {source} {:?}", config.rtsp_of(stream).transport)
        })
        .collect();
    assert_eq!(
        described,
        [
            "Front-Door demo Tcp",
            "a demo Udp",
            "b rtsp://u:***@h/b Tcp",
            "c_d demo Udp",
            "e rtsp://h/?e=f Tcp",
            "g rtsp://h/?g=h Tcp",
        ]
    );
}

#[test]
fn shards_fit_the_machine_and_the_ports() {
    let count =
        |sets: &[&str], cores| loaded(Inputs { sets: owned(sets), ..Inputs::default() }).shard_count(cores);
    assert_eq!([0, 1, 2, 8, 100_000].map(|cores| count(&[], cores)), [1, 1, 1, 7, 256]);
    assert_eq!(count(&["shards.count=3"], 1), 3);
    assert_eq!(count(&["udp.port=65535"], 8), 1);
    assert_eq!(count(&["udp.port=65533"], 8), 3);
    assert_eq!(count(&["udp.port=65533", "shards.count=3"], 8), 3);
    let inputs = Inputs { sets: owned(&["udp.port=65533", "shards.count=4"]), ..Inputs::default() };
    assert!(load(inputs).is_err());
}

#[test]
fn a_refused_key_makes_no_second_problem() {
    for (sets, count) in [
        (&["rtsp.reconnect_min=1h", "rtsp.reconnect_max=x"][..], 1),
        (&["streams.a.source=x"], 1),
        (&["streams.a.source=x", "streams.a.rtsp_transport=x"], 2),
        (&["streams.a.rtsp_transport=udp"], 1),
    ] {
        let error = load(Inputs { sets: owned(sets), ..Inputs::default() }).expect_err("a refused key");
        assert_eq!(error.count(), count, "{error}");
    }
    // What else the file said is not known, so nothing is said to be missing.
    let inputs =
        Inputs { file: file("[udp\n"), sets: owned(&["streams.a.rtsp_transport=udp"]), ..Inputs::default() };
    assert_eq!(load(inputs).expect_err("a broken file").count(), 1);
}

#[test]
fn files_are_read_and_their_faults_are_told() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let error = |path: PathBuf| {
        let inputs = Inputs { file: Some(File::Path(path)), ..Inputs::default() };
        load(inputs).expect_err("an unreadable file").to_string()
    };
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        std::fs::write(&path, bytes).expect("a writable target directory");
        path
    };

    let good = write("good.toml", b"udp.port = 1\n");
    assert_eq!(loaded(Inputs { file: Some(File::Path(good)), ..Inputs::default() }).udp.port, 1);

    let missing = error(PathBuf::from("no/such.toml"));
    assert!(missing.contains("cannot read `no/such.toml`: No such file or directory"), "{missing}");
    let binary = error(write("binary.toml", b"a = 1\nb = \xff\n"));
    assert!(binary.contains("line 2 is not UTF-8"), "{binary}");
    let large = error(write("large.toml", &vec![b'\n'; (4 << 20) + 1]));
    assert!(large.contains("it is larger than 4MiB"), "{large}");
    assert!(error(directory).contains("cannot read"));
}

#[test]
fn the_environment_is_ours_only() {
    assert!(environment().expect("no credentials").iter().all(|(name, _)| name.starts_with("SLUICE_")));
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(
        text in "(\\[|\\]|=|\\.|,|\"|'|\\{|\\}|\n|\r\n|#|@|://|:|udp|port|streams|source|rtsp|addresses|ice|1|é|\t|\\PC){0,60}",
    ) {
        if let Err(error) = load(Inputs { file: file(&text), ..Inputs::default() }) {
            prop_assert!(error.count() > 0);
            prop_assert!(!error.render(true).contains("Failed to read"));
        }
    }

    #[test]
    fn no_argument_makes_it_panic(name in "(\\PC|[A-Z_]){0,20}", text in "(udp|streams|source|ice|addresses|\\.|=|\\PC){0,12}") {
        let inputs = Inputs {
            api: Default::default(),
            file: None,
            env: vec![(format!("SLUICE_{name}"), text.clone()), (format!("SLUICE_STREAMS_{name}_SOURCE"), text.clone())],
            sets: vec![text.clone(), format!("streams.a.source={text}"), format!("ice.addresses={text}")],
            streams: vec![text.clone(), format!("a={text}")],
            commands: vec!["check".to_owned()],
        };
        if let Err(error) = load(inputs) {
            prop_assert!(!error.render(true).contains("Failed to read"));
        }
    }
}
