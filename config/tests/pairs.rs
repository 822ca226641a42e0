//! Two layers of a stream, and sources that are tried in order: every way to write them, and what is said of the wrong ones.

use sluice_config::{File, Inputs, Source, effective, load};

fn inputs(text: &str) -> Inputs {
    let text = text.to_owned();
    Inputs { file: Some(File::Text { name: "sluice.toml".to_owned(), text }), ..Inputs::default() }
}

fn label(inputs: Inputs) -> String {
    let config = load(inputs).unwrap_or_else(|error| panic!("{error}"));
    config.streams["gate"].source.label()
}

#[track_caller]
fn refused(source: &str, lines: &[&str]) {
    let error = load(inputs(&format!("streams.gate.source = {source}"))).expect_err(source).to_string();
    for line in lines {
        assert!(error.contains(line), "{source}: no {line:?} in\n{error}");
    }
}

#[test]
fn a_pair_is_written_in_a_line_in_a_table_by_a_variable_and_by_set() {
    let expected = "{ high = rtsp://a:554, low = rtsp://b:554, rtsp://c:8554 }";
    let pair = "{ high = 'rtsp://u:p@a/main', low = ['rtsp://b/sub', 'rtsp://c:8554/sub'] }";
    for text in [
        format!("[streams.gate]\nsource = {pair}\n"),
        "[streams.gate.source]\nhigh = ['rtsp://u:p@a/main']\nlow = ['rtsp://b/sub', 'rtsp://c:8554/sub']\n"
            .to_owned(),
        "[streams.gate]\nsource.high = 'rtsp://a/x'\nsource.low = ['rtsp://b/y', 'rtsp://c:8554/z']\n"
            .to_owned(),
    ] {
        assert_eq!(label(inputs(&text)), expected, "{text}");
    }
    let env = vec![("SLUICE_STREAMS_GATE_SOURCE".to_owned(), pair.to_owned())];
    assert_eq!(label(Inputs { env, ..Inputs::default() }), expected);
    let sets = vec![format!("streams.gate.source={pair}")];
    assert_eq!(label(Inputs { sets, ..Inputs::default() }), expected);
    let streams = vec!["gate=['rtsp://a','rtsp://b']".to_owned()];
    assert_eq!(label(Inputs { streams, ..Inputs::default() }), "rtsp://a:554, rtsp://b:554");
}

#[test]
fn each_layer_comes_from_its_own_sources() {
    let config =
        load(inputs("streams.gate.source = { high = ['rtsp://a', 'rtsp://b'], low = 'rtsp://c' }")).unwrap();
    let (high, low) = config.streams["gate"].source.layers();
    assert_eq!(
        (high.label(), low.map(|low| low.label())),
        ("rtsp://a:554, rtsp://b:554".into(), Some("rtsp://c:554".into()))
    );
    assert_eq!(config.streams["gate"].source.cameras().count(), 3);
    assert_eq!(Source::Demo.layers(), (Source::Demo, None));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_the_way_out() {
    refused(
        "{ high = 'rtsp://a' }",
        &["it has `high` and no `low`: a pair has both; for one layer write its URL"],
    );
    refused("{ low = 'rtsp://a' }", &["it has `low` and no `high`"]);
    refused("{}", &["it has neither `high` nor `low`"]);
    refused(
        "{ high = 'rtsp://a', low = 'rtsp://b', hihg = 'rtsp://c' }",
        &["`hihg` is no layer: there are high and low", "did you mean `high`?", "sluice.toml:1:62"],
    );
    refused(
        "{ high = 'rtsp://a', middle = 'rtsp://c' }",
        &["`middle` is no layer", "it has `high` and no `low`"],
    );
    refused("[['rtsp://a']]", &["expected a string, found an array"]);
    refused("{ high = [['rtsp://a']], low = 'rtsp://b' }", &["high: expected a string, found an array"]);
    refused(
        "{ high = { high = 'rtsp://a' }, low = 'rtsp://b' }",
        &["high: expected a string, found a table"],
    );
    refused("{ high = 'http://a', low = 7 }", &["high: cameras are pulled by", "low: expected a string"]);
    refused("[]", &["it has 0 sources to be tried: write 1 to 8"]);
    refused(
        &format!("[{}]", (0..9).map(|n| format!("'rtsp://a{n}'")).collect::<Vec<_>>().join(", ")),
        &["it has 9 sources"],
    );
    refused("['rtsp://a', 'rtsp://a']", &["this source is there already"]);
    refused("['rtsp://a', 'demo']", &["the demo never fails", "stands alone"]);
    refused("{ high = 'demo', low = 'rtsp://a' }", &["high: the demo never fails"]);
    refused("7", &["expected a string, an array of strings or { high = ..., low = ... }"]);
    let sets = vec!["streams.gate.source={ high = 'rtsp://a'".to_owned()];
    let error = load(Inputs { sets, ..Inputs::default() }).expect_err("half a table").to_string();
    assert!(error.contains("it is neither a list nor a table as in the file"), "{error}");
}

#[test]
fn no_password_of_either_half_comes_out() {
    let canary = "hunter2canary";
    let text = format!(
        "streams.gate.source = {{ high = 'rtsp://u:{canary}@a/x', low = ['rtsp://u:{canary}@b/x?password={canary}', 'rtsp://c'] }}"
    );
    let effective = effective(inputs(&text)).expect("a pair");
    let told = format!("{:?} {:?}", effective.config, effective.settings);
    assert!(!told.contains("canary"), "{told}");
    for wrong in [
        "{ high = 'rtsp://u:CANARY@a/x' }",
        "{ high = 'rtsp://u:CANARY@a/x', low = 'http://u:CANARY@a/x' }",
        "{ high = 'rtsp://u:CANARY@a/x', low = 'rtsp://u:CANARY@b', password = 'CANARY' }",
        "{ high = 'rtsp://u:CANARY@a/x', low = { url = 'rtsp://b', password = 'CANARY' } }",
        "['rtsp://u:CANARY@a/x', 'rtsp://u:CANARY@a/x']",
    ] {
        let wrong = wrong.replace("CANARY", canary);
        let text = format!("streams.gate.source = {wrong}");
        let error = load(inputs(&text)).expect_err(&wrong);
        for report in [error.to_string(), error.render(true), format!("{error:?}")] {
            assert!(!report.contains("canary") && !report.contains("hunter"), "{wrong}\n{report}");
        }
        let sets = vec![format!("streams.gate.source={wrong}")];
        let report = load(Inputs { sets, ..Inputs::default() }).expect_err(&wrong).render(true);
        assert!(!report.contains("canary"), "{report}");
    }
}
