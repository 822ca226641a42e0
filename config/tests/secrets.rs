//! A password never comes out: not in a report, not in `Debug`, whatever is wrong and wherever it was written.

use proptest::prelude::*;
use sluice_config::{File, Inputs, load};

const CANARY: &str = "hunter2canary";

/// Sources that are wrong in many ways, each holding the canary.
fn faulty() -> Vec<String> {
    [
        "rtspu://admin:CANARY@host/x",
        "http://admin:CANARY@host/x",
        "rtsp://admin:CANARY@/x",
        "rtsp://admin:CANARY@host:99999/x",
        "rtsp://admin:CANARY@10.0.0.300/x",
        "rtsp://admin:CANARY@ho st/x",
        "rtsp://admin:x/CANARY@host/x",
        "rtsp://admin:12/CANARY@host/x",
        "rtsp://admin:x#CANARY@host/x",
        "rtsp://admin:x?CANARY@host/x",
        "rtsp://admin:x@CANARY@host:x/x",
        "rtsp://admin:%ffCANARY@host/x",
        "rtsp://admin:CANARY",
        "rtsp:/admin:CANARY@host/x",
        "rtsp:admin:CANARY@host/x",
        "rtsp//admin:CANARY@host/x",
        "admin:CANARY@host/x",
        "http://host/x?user=admin&password=CANARY&channel=1",
        "rtspu://host/user=admin_password=CANARY_channel=1",
    ]
    .map(|source| source.replace("CANARY", CANARY))
    .into()
}

#[track_caller]
fn assert_silent(inputs: Inputs, written: &str) {
    let error = load(inputs).expect_err(written);
    for report in [error.to_string(), error.render(true), format!("{error:?}"), format!("{error:#?}")] {
        assert!(!report.contains("canary") && !report.contains("hunter"), "{written}\n{report}");
    }
}

fn file(text: String) -> Inputs {
    Inputs { file: Some(File::Text { name: "sluice.toml".to_owned(), text }), ..Inputs::default() }
}

#[test]
fn no_report_shows_the_value_of_a_key_that_nobody_knows() {
    for text in [
        "access.users.ann.passwort = 'CANARY'",
        "[access.users.ann]\nkennwort = 'CANARY'\nread = ['*']",
        "access.users.ann = { kennwort = 'CANARY', from = ['office'], reed = ['*'] }",
        "access.users.ann = 'CANARY'",
        "access.users = ['CANARY']",
        "[acces.users.ann]\nkennwort = 'CANARY'",
        "[access.users.ann]\npassword =\n'CANARY'",
        "[access.users.ann]\npassword = [\n'CANARY',\n'CANARY'",
        "[access.users.ann]\npassword = \"\"\"\nCANARY\nCANARY",
        "[access.users.ann]\npaswort = 'CANARY",
        "access.hook.url = 'htp://id.lan/?k=CANARY'\naccess.hook.url = 'https://id.lan/?k=CANARY'",
        "access.jwt.keys = ['https://id.lan/?k=CANARY']",
        "[streams.a]\nkennwort = 'CANARY'",
    ] {
        let text = text.replace("CANARY", CANARY);
        assert_silent(file(text.clone()), &text);
    }
    for set in ["access.users.ann.pasword", "access.users.ann.kennwort", "access.users.ann", "kennwort"] {
        let set = format!("{set}={CANARY}");
        assert_silent(Inputs { sets: vec![set.clone()], ..Inputs::default() }, &set);
    }
    for name in ["SLUICE_ACCESS_USERS_ANN_PASWORD", "SLUICE_ACCESS_USERS_ANN_KENNWORT", "SLUICE_KENNWORT"] {
        let env = vec![(name.to_owned(), CANARY.to_owned())];
        assert_silent(Inputs { env, ..Inputs::default() }, name);
    }
    let stream = sluice_config::StreamText::new(format!("kennwort = '{CANARY}'\nsource = 'demo'"));
    let api = [("gate".parse().expect("a name"), Some(stream))].into();
    assert_silent(Inputs { api, ..Inputs::default() }, "API");
}

#[test]
fn no_report_shows_a_password() {
    for source in faulty() {
        for text in [
            format!("[streams.a]\nsource = \"{source}\"\n"),
            format!("[streams.a]\nsource = \"{source}\n"),
            format!("[streams.a]\nsource = {source}\n"),
            format!("[streams.a]\nsource: \"{source}\"\n"),
            format!("[streams.a]\nsorce = '{source}' # was {source}\n"),
            format!("[streams.a]\nsource = 'demo'\nsource = '{source}'\n"),
            format!("streams = {{ a = {{ source = '{source}' }}, b = {{ sorce = '{source}' }} }}\n"),
            format!("streams.a = '{source}'\n"),
            format!("'{source}' = 1\n"),
            format!("streams.'{source}'.source = 'demo'\n"),
            format!("ice.addresses = ['{source}']\nhttp.listen = '{source}'\nlog.level = '{source}'\n"),
            format!("http.allow_origin = '{source}'\nudp.gso = '{source}'\nlog.format = '{source}'\n"),
            format!(
                "rtsp.data_timeout = '{source}'\nudp.send_buffer = '{source}'\nudp.address = '{source}'\n"
            ),
        ] {
            assert_silent(file(text.clone()), &text);
        }
        for set in [
            format!("streams.a.source={source}"),
            format!("streams.a.sorce={source}"),
            format!("streams.a={source}"),
            format!("udp.port={source}"),
            source.clone(),
        ] {
            assert_silent(Inputs { sets: vec![set.clone()], ..Inputs::default() }, &set);
        }
        for name in ["SLUICE_STREAMS_A_SOURCE", "SLUICE_STREAMS_A_SORCE", "SLUICE_UDP_PORT", "SLUICE_X"] {
            let env = vec![(name.to_owned(), source.clone())];
            assert_silent(Inputs { env, ..Inputs::default() }, &format!("{name}={source}"));
        }
        for argument in
            [source.clone(), format!("a={source}"), format!("a b={source}"), format!("=={source}")]
        {
            assert_silent(Inputs { streams: vec![argument.clone()], ..Inputs::default() }, &argument);
        }
    }
    for text in [
        format!("[streams.a]\nsource = 'rtsp://h/'\npassword = '{CANARY}'\n"),
        format!("rtsp.password = \"{CANARY}&{CANARY}\"\n"),
        format!("admin.token = {CANARY}\n"),
    ] {
        assert_silent(file(text.clone()), &text);
    }
}

#[test]
fn nothing_of_a_user_or_a_hook_shows_a_secret() {
    for text in [
        format!("[access.users.ann]\npassword = \"$argon2id${CANARY}\"\n"),
        format!("[access.users.ann]\npassword = \"sha256:{CANARY}\"\n"),
        format!("[access.users.ann]\npassword = [\"{CANARY}\"]\n"),
        format!("access.hook.url = \"ftp://ann:{CANARY}@auth.lan/\"\n"),
    ] {
        assert_silent(file(text.clone()), &text);
    }
    let text = format!(
        "[access.users.ann]\npassword = \"{CANARY}\"\n[access.hook]\nurl = \"http://ann:{CANARY}@auth.lan/?a={CANARY}\"\n"
    );
    let whole = sluice_config::effective(file(text)).unwrap_or_else(|error| panic!("{error}"));
    // What an operator is shown of it: that there is one, and of which kind.
    let shown = whole.settings.iter().find(|setting| setting.key == "access.users.ann.password");
    assert_eq!(shown.map(|setting| setting.value.as_str()), Some("plain text"));
    let printed = format!("{whole:?} {whole:#?}");
    assert!(!printed.contains("canary"), "{printed}");
}

#[test]
fn carets_stay_under_what_is_hidden() {
    let error =
        load(file(format!("streams.a.source = \"rtspu://ä:{CANARY}é@host/x\"\n"))).expect_err("rtspu");
    let report = error.to_string();
    let lines: Vec<_> = report.lines().collect();
    let excerpt = lines.iter().position(|line| line.contains("streams.a.source =")).expect("an excerpt");
    let columns = |line: &str, c: char| line.chars().position(|found| found == c).expect("a column");
    assert_eq!(columns(lines[excerpt], '"'), columns(lines[excerpt + 1], '^'));
    let carets = lines[excerpt + 1].trim_end().chars().count();
    assert_eq!(carets, lines[excerpt].trim_end().chars().count());
}

#[test]
fn a_loaded_configuration_prints_no_password() {
    let streams =
        vec![format!("a=rtsp://admin:{CANARY}@host/x"), format!("b=rtsp://host/?password={CANARY}")];
    let config = load(Inputs { streams, ..Inputs::default() }).expect("two cameras");
    let printed = format!("{config:?} {config:#?}");
    assert!(!printed.contains("canary"), "{printed}");
    let url = config.streams["a"].source.cameras().next().expect("a camera");
    assert_eq!(url.credentials.as_ref().map(|credentials| credentials.password.expose()), Some(CANARY));
}

proptest! {
    #[test]
    fn no_password_of_any_shape_is_shown(password in "[^\\n\\r\"\\\\]{0,16}") {
        // The scheme is refused, so the excerpt is shown whatever the password does to the rest of the URL.
        let canary = format!("7c6f{password}4f8d");
        let url = format!("rtspu://admin:{canary}@host/x");
        let inputs = Inputs {
            sets: vec![format!("streams.a.source={url}")],
            env: vec![("SLUICE_STREAMS_B_SOURCE".to_owned(), url.clone())],
            streams: vec![format!("c={url}")],
            ..file(format!("streams.d.source = \"{url}\"\n"))
        };
        let report = load(inputs).expect_err("rtspu").to_string();
        prop_assert!(!report.contains("7c6f") && !report.contains("4f8d"), "{}", report);
    }
}
