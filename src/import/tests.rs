//! Files of MediaMTX as people have them, and what becomes of them.

use std::collections::BTreeMap;

use sluice_config::{Action, Config, File, Inputs};

use super::*;

/// Set to write the results instead of comparing them: look at the difference before it is committed.
const WRITE: &str = "SLUICE_WRITE_GOLDEN";

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/import").join(name)
}

#[track_caller]
fn loaded(text: &str) -> Config {
    let file = Some(File::Text { name: "imported".to_owned(), text: text.to_owned() });
    sluice_config::load(Inputs { file, ..Inputs::default() })
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[track_caller]
fn imported(yaml: &str) -> (Config, String, String) {
    let (text, report) = import("m.yml", yaml).expect("YAML");
    (loaded(&text), text, report.to_string())
}

#[test]
fn whole_files_become_what_was_looked_at_once() {
    for name in ["tuned", "usual", "old", "users", "tokens"] {
        let yaml = fs::read_to_string(data(&format!("{name}.yml"))).expect("the file");
        let (text, report) = import(&format!("{name}.yml"), &yaml).expect("YAML");
        loaded(&text);
        let report = report.to_string();
        assert!(!report.contains("canary"), "a secret is in the report of {name}:\n{report}");
        for (ending, made) in [("toml", &text), ("txt", &report)] {
            let golden = data(&format!("{name}.{ending}"));
            if std::env::var_os(WRITE).is_some() {
                fs::write(&golden, made).expect("it can be written");
            }
            let expected = fs::read_to_string(&golden).unwrap_or_default();
            assert_eq!(*made, expected, "{}: {WRITE}=1 writes it anew", golden.display());
        }
    }
}

#[test]
fn the_tuned_file_means_the_same_here() {
    let yaml = fs::read_to_string(data("tuned.yml")).expect("the file");
    let (config, _, report) = imported(&yaml);
    assert_eq!(config.http.listen.port(), 8117);
    assert_eq!((config.udp.port, config.udp.receive_buffer), (8189, sluice_config::Bytes::mib(8)));
    assert_eq!(config.pprof.listen.map(|address| address.port()), Some(9999));
    assert_eq!(config.metrics.listen.map(|address| address.port()), Some(9998));
    assert!(config.compat.mediamtx_metrics);
    assert_eq!(config.ice.addresses, [sluice_config::IceAddress::Ip([203, 0, 113, 10].into())]);
    assert_eq!(config.limits.setup_timeout.as_secs(), 15);
    assert_eq!(config.rtsp.data_timeout.as_secs(), 20);
    let streams: Vec<_> = config.streams.keys().map(|name| name.as_str()).collect();
    assert_eq!(streams, ["cam1", "gate", "hall/north.1", "yard"]);
    let fingerprint = config.streams["gate"].rtsp_fingerprint.first().map(ToString::to_string);
    assert_eq!(fingerprint.map(|text| text[..8].to_owned()).as_deref(), Some("33949e05"));
    let url = config.streams["cam1"].source.cameras().next().expect("a camera");
    assert_eq!(url.credentials.as_ref().map(|known| known.password.expose()), Some("canary-1"));
    assert_eq!(config.streams["cam1"].rtsp_transport, Some(sluice_config::Transport::Tcp), "of pathDefaults");
    assert_eq!(config.streams["hall/north.1"].rtsp_transport, Some(sluice_config::Transport::Udp));
    assert_eq!(config.streams["yard"].on_demand, Some(true));
    let (pattern, bay) = config.made("bay17").expect("its pattern");
    assert_eq!((pattern.as_str(), bay.source.label()), ("~^bay(\\d+)$", "rtsp://192.0.2.17:554".to_owned()));
    for said in ["5 of 8 paths", "webrtcFoo (line 67)", "runOnReady (line 50; hall/north.1)", "bad name!"] {
        assert!(report.contains(said), "{said}:\n{report}");
    }
}

#[test]
fn a_file_of_defaults_changes_nothing_and_says_nothing_of_them() {
    let yaml = fs::read_to_string(data("usual.yml")).expect("the file");
    let (config, text, report) = imported(&yaml);
    assert_eq!(config, Config::default(), "{text}");
    for quiet in ["record", "rpiCamera", "runOn", "webrtcServerKey", "hlsVariant"] {
        assert!(!report.contains(quiet), "{quiet}:\n{report}");
    }
}

#[test]
fn every_key_that_is_known_can_stand_anywhere_without_a_panic() {
    let values =
        ["", "yes", "no", "x", "-1", "99999999999999999999", ":x", "[a, b]", "{a: b}", "\"\\u0000\""];
    for (table, path) in [(keys::GLOBAL, false), (keys::PATH, true)] {
        for (key, _) in table {
            for value in values {
                let line = format!("{key}: {value}\n");
                let yaml = match path {
                    true => format!("paths:\n  cam:\n    source: rtsp://a\n    {line}")
                        .replace("source: rtsp://a\n    source:", "source:"),
                    false => line,
                };
                let (text, report) = import("m.yml", &yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
                accepted(text.clone()).unwrap_or_else(|why| panic!("{yaml}{text}{report}: {why}"));
            }
        }
    }
}

#[test]
fn a_value_that_sluice_refuses_is_told_and_left_out() {
    let (config, _, report) =
        imported("webrtcAddress: tv.lan:8889\nwebrtcHandshakeTimeout: 5m\nlogLevel: loud\n");
    assert_eq!(config, Config::default());
    for key in
        ["webrtcAddress (line 1): http.listen", "webrtcHandshakeTimeout (line 2): limits.setup_timeout"]
    {
        assert!(report.contains(key), "{report}");
    }
}

#[test]
fn a_dollar_of_a_pattern_that_is_no_group_stays_one() {
    let path = |source: &str| format!("paths:\n  ~^cam(\\d+)$:\n    source: {source}\n");
    let (config, _, _) = imported(&path("rtsp://u:pa$1word@10.0.0.$G1/$x"));
    let (_, made) = config.made("cam7").expect("its pattern");
    let camera = made.source.cameras().next().expect("a camera");
    assert_eq!(camera.url.as_str(), "rtsp://10.0.0.7/%24x");
    assert_eq!(camera.credentials.as_ref().map(|known| known.password.expose()), Some("pa$1word"));
}

#[test]
fn a_listener_of_this_machine_alone_stays_one() {
    let (config, _, _) = imported("webrtcAddress: localhost:8117\napi: yes\napiAddress: localhost:9997\n");
    assert_eq!(config.http.listen, ([127, 0, 0, 1], 8117).into());
    assert_eq!(config.admin.listen, ([127, 0, 0, 1], 9997).into());
}

#[test]
fn what_is_said_stands_where_it_is_said() {
    let (_, _, report) = imported(
        "authMethod: jwt\nauthJWTJWKS: https://a/?key=canary\npathDefaults:\n  maxReaders: 9\n  rtspTransport: tcp\npaths:\n  \
         a: {source: \"rtsp://a\"}\n  b: {source: \"rtsp://b\"}\n",
    );
    for line in [
        "  authMethod (line 1): access.jwt.actions = [\"read\", \"publish\"]\n",
        "  maxReaders (line 4; pathDefaults): limits.viewers_per_stream = 9\n",
        "  rtspTransport (line 5; pathDefaults): rtsp_transport = \"tcp\" of each stream that it is said of\n",
        "  authJWTClaimKey (MediaMTX's default): access.jwt.claim = \"mediamtx_permissions\"\n",
        "  authJWTJWKS (line 2): access.jwt.keys, which is not repeated here",
    ] {
        assert!(report.contains(line), "{line}{report}");
    }
    assert!(!report.contains("canary"), "{report}");
}

#[test]
fn viewers_without_udp_have_the_port_that_they_had() {
    let (config, _, report) = imported("webrtcLocalTCPAddress: :8189\n");
    assert_eq!(config.ice.tcp_listen.map(|address| address.port()), Some(8189));
    assert!(report.contains("Viewers without UDP have one TCP port for each shard"), "{report}");
    let (config, _, report) = imported("webrtcLocalTCPAddress: ''\n");
    assert_eq!((config.ice.tcp_listen, report.contains("TCP")), (None, false), "{report}");
}

#[test]
fn a_web_site_that_is_refused_takes_no_other_along_and_opens_nothing() {
    let origins = |yaml: &str| {
        let (config, _, report) = imported(&format!("webrtcAllowOrigins: {yaml}\n"));
        let origins =
            config.http.allow_origin.iter().map(|origin| origin.as_str().to_owned()).collect::<Vec<_>>();
        (origins, report.contains("stands for several sites"))
    };
    let site = "https://tv.example.com".to_owned();
    assert_eq!(origins("['http://*.example.com', 'https://tv.example.com/']"), (vec![site], true));
    assert_eq!(origins("['http://*.example.com']"), (vec![], true));
    assert_eq!(origins("['*']"), (vec!["*".to_owned()], false));
}

#[test]
fn limits_of_paths_become_one_if_they_agree() {
    let of = |limits: &[&str]| {
        let paths = (1..).zip(limits).fold("paths:\n".to_owned(), |yaml, (number, limit)| {
            yaml + &format!("  cam{number}: {{source: \"rtsp://a\", maxReaders: {limit}}}\n")
        });
        let (config, _, report) = imported(&paths);
        (config.limits.viewers_per_stream.map(u32::from), report.contains("the paths differ"))
    };
    assert_eq!(of(&["5", "5"]), (Some(5), false));
    assert_eq!(of(&["5", "6"]), (None, true));
    assert_eq!(of(&["0", "0"]), (None, false));
}

#[test]
fn the_file_that_is_written_is_for_its_owner_alone_and_never_one_that_was_there() {
    use std::os::unix::fs::PermissionsExt as _;
    let path = std::env::temp_dir().join(format!("sluice-import-{}.toml", std::process::id()));
    let _ = fs::remove_file(&path);
    write(&path, "a").expect("it is new");
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let again = write(&path, "b").expect_err("it is there");
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).expect("text"), "a");
    fs::remove_file(&path).expect("it goes");
}

/// Names of users with what they may watch.
fn readers(config: &Config) -> BTreeMap<String, Vec<String>> {
    let users = config.access.users.iter();
    users
        .map(|(name, user)| (name.to_string(), user.read.iter().map(|p| p.as_str().to_owned()).collect()))
        .collect()
}

#[test]
fn users_keep_names_hashes_addresses_and_streams() {
    let yaml = fs::read_to_string(data("users.yml")).expect("the file");
    let (config, text, report) = imported(&yaml);
    let expected = [("ann", &["gate", "~^yard/"][..]), ("guard", &["*"]), ("local", &[])];
    let owned = |streams: &[&str]| streams.iter().map(|stream| (*stream).to_owned()).collect::<Vec<_>>();
    assert_eq!(readers(&config), expected.map(|(name, streams)| (name.to_owned(), owned(streams))).into());
    let user = |name: &str| &config.access.users[name];
    assert_eq!(user("guard").password.as_ref().map(sluice_config::Password::form), Some("sha256"));
    assert_eq!(user("guard").from, ["192.0.2.0/24".parse().expect("a network")]);
    assert_eq!(user("ann").publish.len(), 1);
    let local = user("local");
    assert_eq!(
        (local.api, local.metrics, local.pprof, local.from.len()),
        (true, true, true, 2),
        "one listener has all three"
    );
    assert_eq!(config.access.read, ["10.8.0.0/16".parse().expect("a network")]);
    for said in
        ["the name of a user is a hash", "user ann stands there several times", "The password of ann is text"]
    {
        assert!(report.contains(said), "{said}:\n{report}");
    }
    assert!(text.contains("canary-plain") && !text.contains("canary-other"), "{text}");
}

#[test]
fn who_may_watch_without_a_name_still_may_where_others_have_one() {
    let yaml = |users: &str| format!("authInternalUsers:\n{users}paths: {{cam: {{source: \"rtsp://a\"}}}}\n");
    let any = "- {user: any, permissions: [{action: read}]}\n";
    let (open, _, _) = imported(&yaml(any));
    assert_eq!(
        open,
        Config { streams: open.streams.clone(), ..Config::default() },
        "nobody is named, so all may"
    );
    let ann = "- {user: ann, pass: x, permissions: [{action: read, path: cam}]}\n";
    let (both, _, _) = imported(&yaml(&format!("{any}{ann}")));
    assert_eq!(both.access.read.len(), 2, "every address of both families");
    let (one, _, _) = imported(&yaml(ann));
    assert!(one.access.read.is_empty() && one.access.users.len() == 1);
    let some = "- {user: any, ips: [10.0.0.0/8], permissions: [{action: read, path: cam}]}\n";
    let (few, _, _) = imported(&yaml(some));
    assert_eq!(readers(&few), [("anybody".to_owned(), vec!["cam".to_owned()])].into());
}

/// Whether somebody whom nobody knows may watch `cam`, and operate; of what a file becomes.
fn is_open(yaml: &str) -> (bool, bool) {
    use crate::http::access::rules::Rules;
    let (config, text, report) = imported(yaml);
    let rules = Rules::new(&config.access, 0);
    let elsewhere = [198, 51, 100, 7].into();
    let may =
        |action: Action, stream| rules.is_open(action) || rules.of_address(elsewhere, action).have(stream);
    let open = (may(Action::Read, Some("cam")), may(Action::Api, None));
    let is_named = text.contains("[access.users.nobody]");
    assert_eq!(is_named, report.contains("could be taken over, so nobody may here"), "{yaml}{text}{report}");
    open
}

#[test]
fn what_was_closed_is_closed_whoever_of_it_could_be_taken_over() {
    let user = |rest: &str| format!("authInternalUsers:\n- {{{rest}, permissions: [{{action: read}}]}}\n");
    let api = "api: yes\nauthInternalUsers:\n- {user: any, permissions: [{action: read}]}\n";
    let operator = |name: &str| {
        let others = "permissions: [{action: api}, {action: metrics}, {action: pprof}]";
        format!("{api}- {{user: {name}, pass: x, {others}}}\n")
    };
    for (yaml, open) in [
        (user("user: ann, pass: x"), (false, true)),
        (user("user: ann, pass: x, ips: [office]"), (false, true)),
        (user("user: any, ips: [office]"), (false, true)),
        (user("user: ann"), (false, true)),
        (user("user: ann smith, pass: x"), (false, true)),
        (user("user: 'sha256:j1tsRqDEw9xvq/D7/9tMx6Jh/jMhk3UfjwIB2f1zgMo=', pass: x"), (false, true)),
        ("authInternalUsers: []\n".to_owned(), (false, true)),
        (
            "authInternalUsers: [{user: ann, pass: x, permissions: [{action: read, path: '~^(?!x)'}]}]\n"
                .to_owned(),
            (false, true),
        ),
        // Its name is that of what closes.
        (
            "authInternalUsers: [{user: nobody, ips: [x], permissions: [{action: read}]}]\n".to_owned(),
            (false, true),
        ),
        ("paths: {cam: {source: 'rtsp://a', readUser: 'a b', readPass: x}}\n".to_owned(), (false, true)),
        (
            "pathDefaults: {readUser: 'a b', readPass: x}\npaths: {cam: {source: 'rtsp://a'}}\n".to_owned(),
            (false, true),
        ),
        ("authMethod: http\nauthHTTPAddress: ftp://a/\n".to_owned(), (false, true)),
        ("authMethod: http\n".to_owned(), (false, true)),
        ("authMethod: jwt\n".to_owned(), (false, true)),
        ("authMethod: jwt\nauthJWTJWKS: ftp://a/\napi: yes\n".to_owned(), (false, false)),
        ("authMethod: ldap\napi: yes\n".to_owned(), (false, false)),
        ("externalAuthenticationURL: ftp://a/\n".to_owned(), (false, true)),
        (operator("ann"), (true, false)),
        (operator("ann smith"), (true, false)),
    ] {
        assert_eq!(is_open(&yaml), open, "{yaml}");
    }
}

#[test]
fn what_was_open_is_open_beside_whoever_is_named() {
    let any = "{user: any, permissions: [{action: read}]}";
    for (yaml, open) in [
        ("api: no\n".to_owned(), (true, true)),
        (
            format!(
                "authInternalUsers:\n- {any}\n- {{user: bob, pass: x, permissions: [{{action: publish}}]}}\n"
            ),
            (true, true),
        ),
        (
            format!(
                "authInternalUsers:\n- {any}\n- {{user: any, ips: [10.0.0.0/8], permissions: [{{action: read, path: a}}]}}\n"
            ),
            (true, true),
        ),
        (
            "authMethod: http\nauthHTTPAddress: http://a/\nauthHTTPExclude: [{action: read}]\n".to_owned(),
            (true, true),
        ),
        (
            "authMethod: jwt\nauthJWTJWKS: http://a/\nauthJWTExclude: [{action: read, path: cam}]\n"
                .to_owned(),
            (true, true),
        ),
        // Where the file says nothing of it, operators are not asked about.
        ("api: yes\nauthMethod: http\nauthHTTPAddress: http://a/\n".to_owned(), (false, true)),
        (
            "api: yes\nauthMethod: http\nauthHTTPAddress: http://a/\nauthHTTPExclude: [{action: api}]\n"
                .to_owned(),
            (false, true),
        ),
        ("api: yes\nauthMethod: jwt\nauthJWTJWKS: http://a/\n".to_owned(), (false, false)),
    ] {
        assert_eq!(is_open(&yaml), open, "{yaml}");
    }
}

#[test]
fn credentials_of_single_paths_become_users() {
    let (config, _, _) = imported(
        "paths:\n  a: {source: \"rtsp://a\", readUser: ann, readPass: x}\n  b: {source: \"rtsp://b\", readUser: ann, readPass: x}\n  \
         c: {source: \"rtsp://c\", readIPs: [10.0.0.0/8]}\n  d: {source: \"rtsp://d\"}\n",
    );
    let said: Vec<_> =
        readers(&config).into_iter().map(|(name, streams)| (name, streams.join(","))).collect();
    let expected = [("ann", "a,b"), ("anybody", "c"), ("anybody-2", "d")];
    assert_eq!(said, expected.map(|(name, streams)| (name.to_owned(), streams.to_owned())));
}

#[test]
fn a_server_that_is_asked_and_tokens_are_taken_over_with_what_they_leave_out() {
    let (config, _, _) = imported(
        "authMethod: http\nauthHTTPAddress: http://127.0.0.1:9000/auth\napi: yes\nauthHTTPExclude:\n- action: api\n",
    );
    let names =
        |actions: &[sluice_config::Action]| actions.iter().map(|action| action.name()).collect::<Vec<_>>();
    assert!(config.access.hook.url.is_some());
    assert_eq!(names(&config.access.hook.actions), ["read", "publish", "metrics", "pprof"]);
    let yaml = fs::read_to_string(data("tokens.yml")).expect("the file");
    let (config, _, _) = imported(&yaml);
    let jwt = &config.access.jwt;
    assert!(jwt.keys.is_some());
    assert_eq!((&jwt.claim[..], &jwt.audience[..], &jwt.issuer[..]), ("mediamtx_permissions", "cameras", ""));
    assert_eq!(names(&jwt.actions), ["read", "publish", "api"]);
}

#[test]
fn a_slip_among_users_is_told_and_no_user_goes_without_a_word() {
    let text = "\
authInternalUsers:
- user: ann
  pass: x
  permissions: [{action: read}]
- user: bob2
  pass: y
  permisions: [{action: read}]
- user: cat
  pass: z
  permissions: [{action: read}, {action: bogus}, {action: raed, pth: gate}]
- user: dan
  pass: w
  permissions: [{action: playback}]
paths: {gate: {source: 'rtsp://192.0.2.1/'}}
";
    let (result, report) = import("a.yml", text).expect("YAML");
    let said = report.to_string();
    for words in [
        "permisions is nothing that a user can say: did you mean permissions?",
        "user bob2 may nothing there that there is here",
        "the action \"bogus\" is none",
        "the action \"raed\" is none: did you mean read?",
        "pth is nothing that a permission can say: did you mean path?",
        "user dan may nothing there",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(result.contains("[access.users.ann]") && !result.contains("bob2"), "{result}");
}

#[test]
fn what_nobody_may_there_nobody_may_here() {
    let users = "authInternalUsers:\n- user: ann\n  pass: x\n  permissions: [{action: read}]\n";
    let paths = "paths: {gate: {source: 'rtsp://192.0.2.1/'}}\n";
    let (result, report) = import("a.yml", &format!("api: true\npprof: true\n{users}{paths}")).expect("YAML");
    assert!(!result.contains("127.0.0.1") && result.contains("[access.users.nobody]"), "{result}");
    let said = report.to_string();
    let choice = said.split("Not here, and what to do").nth(1).expect("there is something to do");
    assert!(
        choice.contains("nobody may api, metrics or pprof there") && choice.contains("[access.users.local]"),
        "{said}"
    );
    // Whoever is named for one of them closes the others here, too.
    let named = users.replace("{action: read}", "{action: read}, {action: api}");
    let (result, _) = import("a.yml", &format!("api: true\npprof: true\n{named}{paths}")).expect("YAML");
    assert!(!result.contains("127.0.0.1") && !result.contains("nobody"), "{result}");
    assert!(result.contains("api = true") && !result.contains("pprof = true"), "{result}");
    // Without a list this machine may there.
    let (result, _) = import("a.yml", &format!("api: true\n{paths}")).expect("YAML");
    assert!(
        result.contains("from = [\"127.0.0.1\", \"::1\"]") && result.contains("pprof = true"),
        "{result}"
    );
}
