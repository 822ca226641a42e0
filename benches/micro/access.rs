//! What it costs to decide about one request, by how whoever asks is known: what access adds to a join.
//!
//! `cargo bench --bench access [-- --quick]` prints a Markdown table of microseconds per decision.
//!
//! Everything but HTTP itself is in it: headers are read, the proof is checked, the decision is counted and told. The hook
//! answers from memory; what it takes to ask it is its own server's time.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its table")]

mod stats;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use sluice::http::access::{Access, Asked, passwords};
use sluice::http::request::Head;
use sluice_config::{Action, File, Inputs};

use self::stats::{Arguments, median};

const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

fn main() {
    let quick = Arguments::parse().quick;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let keys = std::env::temp_dir().join(format!("sluice-bench-keys-{}.json", std::process::id()));
    let set = format!("{{\"keys\":[{{\"kty\":\"oct\",\"k\":\"{}\"}}]}}", URL_SAFE_NO_PAD.encode(SECRET));
    std::fs::write(&keys, set).expect("a file");
    let hash = passwords::hash("hunter2").expect("a hash");
    let rules = format!(
        "[access]\nread = [\"192.0.2.0/24\"]\n[access.jwt]\nkeys = \"{}\"\n\
         [access.users.ann]\npassword = \"{hash}\"\nread = [\"gate\", \"yard-*\"]\n",
        keys.display()
    );
    let claims =
        serde_json::json!({ "exp": get_current_timestamp() + 3_600, "sluice": { "read": ["gate"] } });
    let jwt =
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(SECRET)).expect("a token");
    let basic = |password: &str| format!("Basic {}", STANDARD.encode(format!("ann:{password}")));
    let (stranger, known) = (Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(192, 0, 2, 1));
    println!("\nMicroseconds per decision about a join, medians.\n\n| who asks | µs |\n|---|---:|");
    for (who, rules, from, said) in [
        ("nobody is named", "", stranger, None),
        ("an address", rules.as_str(), known, None),
        ("a user whose password is remembered", &rules, stranger, Some(basic("hunter2"))),
        ("a token signed by somebody else (HS256)", &rules, stranger, Some(format!("Bearer {jwt}"))),
        ("nobody: 401", &rules, stranger, None),
    ] {
        let access = access(rules);
        let head = head(from.into(), said.as_deref());
        let asked = Asked { action: Action::Read, stream: Some("gate"), looks: false };
        let ask = || runtime.block_on(access.ask(&head, asked)).is_ok();
        // The first one computes the hash.
        let first = Instant::now();
        assert_eq!(ask(), who != "nobody: 401", "{who}");
        let first = first.elapsed();
        let times = if quick { 1_000 } else { 100_000 };
        let batch = |_| {
            let began = Instant::now();
            (0..times / 100).for_each(|_| _ = ask());
            began.elapsed().as_nanos() as f64 / 1_000.0 / f64::from(times / 100)
        };
        println!("| {who} | {:.2} |", median(&(0..100).map(batch).collect::<Vec<f64>>()));
        if first > Duration::from_millis(1) {
            println!(
                "| ... the first time: one argon2 hash, beside the threads that answer | {} |",
                first.as_micros()
            );
        }
    }
    let _ = std::fs::remove_file(&keys);
}

fn access(rules: &str) -> Access {
    let file = Some(File::Text { name: "bench.toml".to_owned(), text: rules.to_owned() });
    let config = sluice_config::load(Inputs { file, ..Inputs::default() }).expect("a configuration");
    Access::new(&config.access, Arc::default())
}

fn head(client: IpAddr, authorization: Option<&str>) -> Head {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "application/sdp".parse().expect("a value"));
    if let Some(said) = authorization {
        headers.insert(header::AUTHORIZATION, said.parse().expect("a value"));
    }
    Head { method: Method::POST, headers, query: None, local: None, client, depth: 0 }
}
