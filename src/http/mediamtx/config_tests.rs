//! What is told of a configuration is what is in effect.

use sluice_config::{File, Inputs};

use super::*;

fn config(text: &str) -> Config {
    let file = Some(File::Text { name: "a.toml".to_owned(), text: text.to_owned() });
    sluice_config::load(Inputs { file, ..Inputs::default() }).expect(text)
}

#[test]
fn what_is_said_has_a_default_of_the_same_type() {
    let config = Config::default();
    for (part, said) in [("global", global(&config)), ("path", path_defaults(&config))] {
        let default = DEFAULTS[part].as_object().expect("a table");
        let said = said.as_object().expect("a table");
        assert_eq!(said.len(), default.len(), "{part}");
        for (key, value) in said {
            let same = std::mem::discriminant(value) == std::mem::discriminant(&default[key]);
            assert!(same, "{key} is {value}");
        }
    }
    assert_eq!(global(&config)["webrtcLocalUDPAddress"], ":8189");
    assert_eq!(global(&config)["apiAddress"], "127.0.0.1:9997");
}

#[test]
fn what_has_no_effect_says_off_or_none() {
    /// On, or of a list of theirs that has no word for "none".
    const WORDS: [&str; 13] = [
        "api",
        "metrics",
        "pprof",
        "webrtc",
        "webrtcIPsFromInterfaces",
        "logLevel",
        "authMethod",
        "rtspEncryption",
        "rtmpEncryption",
        "hlsVariant",
        "recordFormat",
        "rtspTransport",
        "moqTransport",
    ];
    for part in ["global", "path"] {
        for (key, value) in DEFAULTS[part].as_object().expect("a table") {
            let none = match value {
                Value::Bool(is_on) => !is_on,
                Value::Number(number) => number.as_u64() == Some(0),
                Value::String(text) => matches!(&text[..], "" | "0s" | "0B"),
                Value::Array(items) => items.iter().all(|item| item == &json!(0)),
                _ => false,
            };
            assert!(none || WORDS.contains(&&key[..]), "{key} is {value}, and nothing here does that");
        }
    }
}

#[test]
fn what_sluice_has_a_key_of_its_own_for_is_told_from_there() {
    let said = config(
        "log.format = 'json'\nrtsp.data_timeout = '20s'\nudp.receive_buffer = '1MiB'\nice.tcp_listen = ':8189'\n\
         limits.viewers_per_stream = 7\nlimits.setup_timeout = '15s'\nhttp.trusted_proxies = ['10.0.0.0/8']\n\
         metrics.listen = '127.0.0.1:9998'\nadmin.tls = {certificate = '/c.pem', key = '/k.pem'}\n",
    );
    let all = global(&said);
    for (key, value) in [
        ("logStructured", json!(true)),
        ("readTimeout", json!("20s")),
        ("writeTimeout", json!("0s")),
        ("udpReadBufferSize", json!(1 << 20)),
        ("webrtcLocalTCPAddress", json!(":8189")),
        ("webrtcHandshakeTimeout", json!("15s")),
        ("webrtcTrustedProxies", json!(["10.0.0.0/8"])),
        ("apiTrustedProxies", json!(["10.0.0.0/8"])),
        // It has a listener of its own, which is plain; profiles are on the admin listener.
        ("metricsEncryption", json!(false)),
        ("pprofEncryption", json!(true)),
        ("pprofServerCert", json!("/c.pem")),
        ("authMethod", json!("internal")),
    ] {
        assert_eq!(all[key], value, "{key}");
    }
    assert_eq!(path_defaults(&said)["maxReaders"], 7);
}

#[test]
fn the_fingerprints_of_all_cameras_of_a_path_are_told() {
    let [one, two] = ["33", "77"].map(|pair| pair.repeat(32).parse::<Fingerprint>().expect("a fingerprint"));
    for (all, told) in
        [(&[][..], String::new()), (&[one], one.to_string()), (&[one, two], format!("{one},{two}"))]
    {
        assert_eq!(fingerprints(all), told);
    }
}

#[test]
fn who_is_asked_about_people_is_told_without_what_may_be_secret() {
    let all = global(&config(
        "access.hook = {url = 'https://ann:canary@auth.lan/check?key=canary', actions = ['read', 'publish']}\n",
    ));
    assert_eq!(
        (&all["authMethod"], &all["authHTTPAddress"]),
        (&json!("http"), &json!("https://auth.lan/check"))
    );
    let open: Vec<&str> = all["authHTTPExclude"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|item| item["action"].as_str())
        .collect();
    assert_eq!(open, ["api", "metrics", "pprof"], "nobody is named for these");
    assert!(!all.to_string().contains("canary"), "{all}");
    let all = global(&config(
        "access.jwt = {keys = 'https://id.lan/jwks?key=canary', audience = 'cameras', actions = ['read', 'api']}\n",
    ));
    assert_eq!((&all["authMethod"], &all["authJWTJWKS"]), (&json!("jwt"), &json!("https://id.lan/jwks")));
    assert_eq!((&all["authJWTClaimKey"], &all["authJWTAudience"]), (&json!("sluice"), &json!("cameras")));
    assert_eq!(all["authJWTExclude"], json!([]), "metrics are closed: somebody is named on their listener");
    assert!(!all.to_string().contains("canary"), "{all}");
}
