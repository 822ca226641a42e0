//! Each key with its value and who gave it, and no secret in any.

use sluice_config::{Effective, File, Given, Inputs, effective, keys};

const FILE: &str = "\
[udp]
port = 9_000

[ice]
addresses = [
  \"203.0.113.7\",
  \"interfaces\",
]

[streams.gate]
source = \"rtsp://user:canary@192.0.2.10/canary?token=canary\"
rtsp_transport = \"udp\"
";

fn everything() -> Effective {
    let file = File::Text { name: "a.toml".to_owned(), text: FILE.to_owned() };
    let inputs = Inputs {
        file: Some(file),
        env: vec![("SLUICE_UDP_GSO".to_owned(), "false".to_owned())],
        sets: vec!["http.connections=7".to_owned(), "udp.port=9001".to_owned()],
        streams: vec!["yard=rtsp://user:canary@192.0.2.11/canary".to_owned()],
        ..Inputs::default()
    };
    effective(inputs).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn whoever_gave_a_value_last_is_named_with_it() {
    let Effective { settings, .. } = everything();
    for (key, value, origin) in [
        ("udp.port", "9001", Given::Argument),
        ("udp.gso", "false", Given::Variable),
        ("http.connections", "7", Given::Argument),
        ("http.listen", "[::]:8889", Given::Default),
        ("admin.hosts", "", Given::Default),
        ("log.level", "info", Given::Default),
        ("ice.addresses", "203.0.113.7,interfaces", Given::File("a.toml".to_owned(), 5)),
        ("streams.gate.source", "rtsp://192.0.2.10:554", Given::File("a.toml".to_owned(), 11)),
        ("streams.gate.rtsp_transport", "udp", Given::File("a.toml".to_owned(), 12)),
        ("streams.yard.source", "rtsp://192.0.2.11:554", Given::Argument),
    ] {
        let setting = settings.iter().find(|setting| setting.key == key).expect(key);
        assert_eq!((setting.value.as_str(), &setting.origin), (value, &origin), "{key}");
    }
}

#[test]
fn of_the_url_of_another_server_neither_credentials_nor_query_are_told() {
    let sets = [
        "access.hook.url=https://ann:canary@auth.lan:9/check?key=canary",
        "access.jwt.keys=https://id.lan/jwks?sig=canary",
    ];
    let sets = sets.map(str::to_owned).into();
    let Effective { settings, .. } = effective(Inputs { sets, ..Inputs::default() }).expect("good");
    for (key, told) in
        [("access.hook.url", "https://auth.lan:9/check"), ("access.jwt.keys", "https://id.lan/jwks")]
    {
        let setting = settings.iter().find(|setting| setting.key == key).expect(key);
        assert_eq!(setting.value, told, "{key}");
    }
    assert!(!format!("{settings:?}").contains("canary"), "{settings:?}");
}

#[test]
fn every_key_is_there_in_order_and_no_secret_is() {
    let Effective { settings, .. } = everything();
    let told = settings.iter().map(|setting| setting.key.as_str());
    let known: Vec<String> =
        keys().into_iter().map(|key| key.path).filter(|key| !key.contains("NAME")).collect();
    assert!(told.take(known.len()).eq(known.iter().map(String::as_str)));
    assert!(!format!("{settings:?}").contains("canary"), "{settings:?}");
}

/// Time that this thread had a processor.
fn used() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).expect("a number")
}

#[test]
fn what_reading_takes_grows_with_the_file_and_not_with_its_square() {
    let took = |streams: usize| {
        let text: String = (0..streams)
            .map(|number| format!("[streams.cam{number}]\nsource = \"rtsp://user@192.0.2.1/{number}\"\n"))
            .collect();
        let once = || {
            let file = Some(File::Text { name: "a.toml".to_owned(), text: text.clone() });
            let before = used();
            assert_eq!(
                sluice_config::load(Inputs { file, ..Inputs::default() }).expect("a good file").streams.len(),
                streams
            );
            used() - before
        };
        (0..3).map(|_| once()).min().expect("three")
    };
    let (small, large) = (took(1_000), took(8_000));
    // Eight times as many: with the square of them it was forty times as much and more.
    assert!(large < 20 * small, "{small} ns for 1,000 streams, {large} ns for 8,000");
}
