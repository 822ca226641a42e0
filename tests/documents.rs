//! Documents that are written out of the program say what it does: `UPDATE=1 cargo test --test documents` writes them anew.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sluice_harness::{Binary, Request};

/// The program.
const SLUICE: Binary = Binary::at(env!("CARGO_BIN_EXE_sluice"));

/// Compares a document with what it should be, or writes it.
#[track_caller]
fn is_current(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).expect("the document is written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(text.lines()).position(|(old, new)| old != new);
    assert!(
        written == text,
        "docs/{name} is not what the program does, from line {}: UPDATE=1 cargo test --test documents",
        differs.unwrap_or(written.lines().count().min(text.lines().count())) + 1
    );
}

/// A folder, removed with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(std::env::temp_dir().join(format!("sluice-documents-{}", rand::random::<u64>())));
        std::fs::create_dir(&folder.0).expect("a folder");
        folder
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("the file is written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sluice(arguments: &[&str]) -> Output {
    SLUICE.command().args(arguments).output().expect("the binary runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every file of ours in Rust and JavaScript below a folder.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("node_modules") && !path.ends_with("target") {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_tests_that_documents_name_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    ["src", "io", "config", "benches", "tests"]
        .iter()
        .for_each(|folder| sources(&root.join(folder), &mut files));
    let code: String = files.iter().map(|file| std::fs::read_to_string(file).expect("text")).collect();
    let is_file = |name: &str| files.iter().any(|file| file.file_stem().is_some_and(|stem| stem == name));
    let mut named = 0;
    for document in ["SECURITY.md", "RELIABILITY.md", "CAMERAS.md"] {
        let text = std::fs::read_to_string(root.join("docs").join(document)).expect("a document");
        // Elsewhere its tables name fields.
        let text = match text.split_once("## Each trait and its test\n") {
            Some((_, chapter)) => chapter.split("\n## ").next().unwrap_or_default(),
            None => &text,
        };
        for name in text
            .lines()
            .filter(|line| line.starts_with('|'))
            .flat_map(|line| line.split('`').skip(1).step_by(2))
        {
            let is_test = name.matches('_').count() >= 2
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
                && !name.starts_with("sluice_");
            if is_test {
                named += 1;
                assert!(
                    code.contains(&format!("fn {name}(")) || is_file(name),
                    "docs/{document} names {name}, which is no test"
                );
            }
        }
    }
    assert!(named > 80, "{named}: the names are looked for in another form");
}

/// What the two chapters say that an operator reads is what the program says, but for figures and names, which differ.
#[test]
fn the_sentences_about_cameras_are_those_of_the_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    let code: String = files.iter().map(|file| std::fs::read_to_string(file).expect("text")).collect();
    // Literals that go on behind a line's end, and those that are put together.
    let mut said = String::new();
    for line in code.replace("\\\"", "\"").lines() {
        match line.trim_start().strip_suffix('\\') {
            Some(goes_on) => said += goes_on,
            None => said += &format!("{}\n", line.trim_start()),
        }
    }
    let book = std::fs::read_to_string(root.join("docs/CAMERAS.md")).expect("the document");
    let mut sentences = 0;
    for chapter in ["## Why is it black\n", "## Why is it silent\n"] {
        let (_, chapter) = book.split_once(chapter).expect("the chapter");
        let chapter = chapter.split("\n## ").next().unwrap_or_default();
        for sentence in chapter
            .lines()
            .filter(|line| line.starts_with('|'))
            .flat_map(|line| line.split('"').skip(1).step_by(2))
        {
            sentences += 1;
            // What stands for a figure or a name is between braces in the program.
            let parts = FILLED.iter().fold(vec![sentence], |parts, name| {
                parts.into_iter().flat_map(|part| part.split(name)).collect()
            });
            for part in parts.iter().map(|part| part.trim()).filter(|part| part.len() > 3) {
                assert!(
                    said.contains(part),
                    "docs/CAMERAS.md says {sentence:?}; the program says no {part:?}"
                );
            }
        }
    }
    assert!(sentences > 25, "{sentences}: the sentences are looked for in another form");
}

/// What the program fills in where it says these sentences.
const FILLED: [&str; 9] = [
    "10 s",
    "H265",
    "High 4:2:2",
    "Baseline, Main or High",
    "Baseline",
    "H.264",
    "G.711 at 8 kHz, Opus or AAC-LC",
    "video jpeg",
    "HE-AAC",
];

#[test]
fn the_menus_of_cameras_are_those_of_the_program() {
    use sluice::stream::{Brand, Setting};
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let book = std::fs::read_to_string(root.join("docs/CAMERAS.md")).expect("the document");
    for brand in Brand::ALL {
        let row = book.lines().find(|line| line.starts_with(&format!("| {}", brand.name())));
        let row = row.unwrap_or_else(|| panic!("docs/CAMERAS.md has no row of {}", brand.name()));
        for menu in Setting::ALL.into_iter().filter_map(|setting| brand.menu(setting)) {
            assert!(row.contains(&format!("| {menu} |")), "{}: {menu}", brand.name());
        }
    }
}

#[test]
fn every_key_of_the_configuration_is_in_its_document() {
    let book = sluice_config::configuration_book();
    for key in sluice_config::keys() {
        assert!(book.contains(&format!("`{}`", key.path)), "{}", key.path);
    }
    is_current("CONFIGURATION.md", &book);
}

#[test]
fn every_metric_is_in_its_document() {
    let sluice = SLUICE.start(&["demo=demo"]);
    sluice.wait_until_playing("demo");
    let exposed = Request::get("/metrics").send(sluice.admin).text();
    let mut book = "\
# Metrics

Every metric of `/metrics` (OpenMetrics) on the admin listener, as the program describes them: this page is written by a test.
What to do when one rises is in [OPERATING.md](OPERATING.md#metrics). No label names a viewer, so the number of series depends on
streams and shards alone. Counters end in `_total`; histograms have `_bucket{le}`, `_sum` and `_count`.

| metric | type | what it tells |
|---|---|---|
"
    .to_owned();
    let mut known: Vec<(String, String, String)> = Vec::new();
    for line in exposed.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), Some(help)) => {
                known.push((name.to_owned(), String::new(), help.trim_end_matches('.').to_owned()));
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                let metric = known.iter_mut().find(|(known, ..)| known == name);
                match metric {
                    Some(metric) => kind.clone_into(&mut metric.1),
                    None => known.push((name.to_owned(), kind.to_owned(), String::new())),
                }
            }
            _ => {}
        }
    }
    known.sort();
    assert!(known.len() > 50, "{exposed}");
    for (name, kind, help) in known {
        assert!(!kind.is_empty() && !help.is_empty(), "{name} is not described");
        let suffix = if kind == "counter" { "_total" } else { "" };
        book.push_str(&format!(
            "| `{name}{suffix}` | {kind} | {} |\n",
            help.replace('|', "\\|").replace('<', "&lt;")
        ));
    }
    is_current("METRICS.md", &book);
}

/// Values of these labels are words of ours, so the book has to say what each means.
const WORDS: [&str; 8] = ["reason", "cause", "state", "phase", "result", "task", "of", "type"];

#[test]
fn every_word_that_a_metric_tells_things_apart_by_is_in_the_operators_book() {
    let sluice = SLUICE.start(&["demo=demo"]);
    sluice.wait_until_playing("demo");
    let exposed = Request::get("/metrics").send(sluice.admin).text();
    let book = include_str!("../docs/OPERATING.md");
    let rows: Vec<&str> = book.lines().filter(|line| line.starts_with("| `sluice_")).collect();
    let (mut looked_at, mut missing) = (0, Vec::new());
    for line in exposed.lines().filter(|line| line.starts_with("sluice_")) {
        let Some((name, labels)) = line.split_once('{') else { continue };
        let named = [name, name.trim_end_matches("_bucket")].map(|name| format!("`{name}{{"));
        let Some(row) = rows.iter().find(|row| named.iter().any(|name| row.contains(name))) else { continue };
        let labels = labels.split_once('}').expect("an end").0.split(',');
        for (label, value) in labels.filter_map(|label| label.split_once('=')) {
            let value = value.trim_matches('"');
            if WORDS.contains(&label) {
                looked_at += 1;
                if !row.contains(&format!("`{value}`")) {
                    missing.push(format!("{name}: {label}={value}"));
                }
            }
        }
    }
    assert!(looked_at > 80, "{looked_at}");
    assert!(missing.is_empty(), "docs/OPERATING.md says nothing of {missing:#?}");
}

#[test]
fn the_schema_takes_what_the_program_takes_and_refuses_mistakes() {
    let folder = Folder::new();
    let output = sluice(&["schema"]);
    assert_eq!(output.status.code(), Some(0));
    let schema = folder.write("schema.json", &text(&output.stdout));
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sluice.toml");
    let stream = "[streams.\"site1/gate\"]\nsource = \"rtsp://192.0.2.10/main\"\nrtsp_transport = \"udp\"\n";
    let files = [
        ("", "good"),
        (stream, "good"),
        (
            "streams = { a = { source = \"demo\" } }\n[udp]\nreceive_buffer = 8388608\nsend_buffer = \"8 MiB\"\n",
            "good",
        ),
        ("[udp]\nprt = 1\n", "udp: Additional properties"),
        ("[udpp]\n", "Additional properties"),
        ("[udp]\nport = 70000\n", "udp.port: 70000 is greater than the maximum of 65535"),
        ("[udp]\nport = \"8189\"\n", "udp.port: '8189' is not of type 'integer'"),
        ("[nack]\nhistory = \"1 second\"\n", "nack.history: '1 second' does not match"),
        ("[nack]\nenabled = \"yes\"\n", "nack.enabled: 'yes' is not of type 'boolean'"),
        ("[log]\nformat = \"xml\"\n", "log.format: 'xml' is not one of"),
        ("[admin]\nhosts = \"a.example\"\n", "admin.hosts: 'a.example' is not of type 'array'"),
        ("[streams.a]\n", "streams.a: 'source' is a required property"),
        ("[streams.a]\nsource = \"demo\"\nsorce = 1\n", "streams.a: Additional properties"),
    ];
    let paths: Vec<PathBuf> = files
        .iter()
        .enumerate()
        .map(|(number, (text, _))| folder.write(&format!("{number}.toml"), text))
        .collect();
    let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/judge.py");
    let judged = Command::new("/usr/bin/python3").arg(judge).arg(schema).arg(reference).args(&paths).output();
    let judged = judged.expect("Debian's python3 runs");
    assert!(judged.status.success(), "is python3-jsonschema installed? {}", text(&judged.stderr));
    let lines = text(&judged.stdout);
    let mut lines = lines.lines();
    assert_eq!(lines.next(), Some("good"), "the reference file");
    for ((file, expected), (line, path)) in files.iter().zip(lines.zip(&paths)) {
        assert!(line.contains(expected), "{file}: {line}");
        // The program itself is of the same opinion.
        let check = sluice(&["check", path.to_str().expect("a path")]);
        assert_eq!(check.status.success(), *expected == "good", "{file}: {}", text(&check.stderr));
    }
}

#[test]
fn what_is_in_effect_is_printed_with_who_gave_it_and_without_secrets() {
    let folder = Folder::new();
    let file = folder.write("a.toml", "[udp]\nport = 9000\n[nack]\nhistory = \"2s\"\n");
    let file = file.to_str().expect("a path");
    let camera = "cam=rtsp://user:canary@192.0.2.10/canary";
    let arguments = ["config", "-c", file, "--set", "nack.history=3s", camera];
    let output = SLUICE.command().args(arguments).env("SLUICE_UDP_GSO", "false").output().expect("it runs");
    let printed = text(&output.stdout);
    let line = |key: &str| {
        let line = printed.lines().find(|line| line.starts_with(&format!("{key} = ")));
        line.unwrap_or_else(|| panic!("no {key} in {printed}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("udp.port"), format!("udp.port = \"9000\" # {file}:2"));
    assert_eq!(line("udp.gso"), "udp.gso = \"false\" # environment");
    assert_eq!(line("nack.history"), "nack.history = \"3s\" # command line");
    assert_eq!(line("log.level"), "log.level = \"info\" # default");
    assert_eq!(line("streams.cam.source"), "streams.cam.source = \"rtsp://192.0.2.10:554\" # command line");
    assert!(!printed.contains("canary"), "{printed}");
    let json = sluice(&["config", "-c", file, "--json"]);
    let told: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    let settings = told["settings"].as_array().expect("settings");
    assert!(
        settings.iter().any(|setting| setting["key"] == "nack.history" && setting["value"] == "2s"),
        "{told}"
    );
    let wrong = sluice(&["config", "--set", "udp.prt=1"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(text(&wrong.stderr).contains("did you mean `udp.port`?"), "{}", text(&wrong.stderr));
}

/// A reference to a shape, or a shape, as Markdown has it.
fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let of = |schemas: &Value| {
        let shapes: Vec<String> = schemas.as_array().into_iter().flatten().map(shape).collect();
        shapes.into_iter().filter(|shape| shape != "null").collect::<Vec<_>>().join(" or ")
    };
    for several in ["oneOf", "anyOf", "allOf"] {
        if schema[several].is_array() {
            return of(&schema[several]);
        }
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", shape(&schema["items"])),
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            let kinds: Vec<&str> =
                kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            if kinds == ["array"] {
                format!("list of {}", shape(&schema["items"]))
            } else {
                kinds.join(" or ")
            }
        }
        _ if schema["enum"].is_array() => format!("one of {}", schema["enum"]),
        _ => "any".to_owned(),
    }
}

fn line(text: &Value) -> String {
    text.as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The fields of a shape: of all that it is made of.
fn fields(schema: &Value, into: &mut String) {
    for part in schema["allOf"].as_array().into_iter().flatten() {
        match part["$ref"].as_str() {
            Some(_) => into.push_str(&format!("| | all of {} | |\n", shape(part))),
            None => fields(part, into),
        }
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let described = if field["description"].is_string() { &field["description"] } else { &Value::Null };
        into.push_str(&format!("| `{name}` | {} | {} |\n", shape(field), line(described)));
    }
}

/// docs/API.md, out of the description that programs read.
fn api_book(document: &Value) -> String {
    let mut book = format!(
        "\
# API

{} This page is written by a test from `/api/v1/openapi.json` (OpenAPI {}), which every server has.

Answers are JSON. A refusal is a [Problem](#problem) (`application/problem+json`, RFC 9457) whose `detail` says what is wrong and
what to do. Names in a query that mean nothing are refused. Pages of other sites can neither read nor change anything. Changes of
streams go by `If-Match` with the `ETag` of a stream, or by `If-None-Match: *`.

```sh
curl -s 'localhost:9997/api/v1/streams?state=waiting'
curl -s -X PUT localhost:9997/api/v1/streams/gate -d '{{\"source\":\"rtsp://user:password@192.168.1.10/main\"}}'
curl -s -X POST localhost:9997/api/v1/config/reload
curl -sN localhost:9997/api/v1/events
```

Where somebody has `api`, `-u NAME:PASSWORD` goes with each. A camera that is named here must be in a network of `admin.sources`: the
private ones (RFC 1918 and the like) unless configured. `'...?keep=true'`, in quotes, writes the stream into the configuration file,
too; [the packaged service](OPERATING.md#as-a-service) must be let do that.
",
        line(&document["info"]["description"]),
        document["openapi"].as_str().unwrap_or_default()
    );
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            let said = ["summary", "description"].map(|part| line(&operation[part]));
            let said = said.into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(" ");
            book.push_str(&format!("\n## `{} {path}`\n\n{said}\n", method.to_uppercase()));
            let body = &operation["requestBody"];
            if body.is_object() {
                let content = shape(&body["content"]["application/json"]["schema"]);
                book.push_str(&format!("\nBody: {content}. {}\n", line(&body["description"])));
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            if !parameters.is_empty() {
                book.push_str("\n| parameter | in | what it says |\n|---|---|---|\n");
            }
            for parameter in parameters {
                let (name, place) = (line(&parameter["name"]), line(&parameter["in"]));
                book.push_str(&format!("| `{name}` | {place} | {} |\n", line(&parameter["description"])));
            }
            book.push_str("\n| answer | with | when |\n|---|---|---|\n");
            for (status, response) in operation["responses"].as_object().expect("responses") {
                let content = response["content"].as_object().and_then(|content| content.values().next());
                let content = content.map(|content| shape(&content["schema"])).unwrap_or_default();
                book.push_str(&format!("| {status} | {content} | {} |\n", line(&response["description"])));
            }
        }
    }
    book.push_str("\n# Shapes\n");
    for (name, schema) in document["components"]["schemas"].as_object().expect("shapes") {
        book.push_str(&format!(
            "\n## {name}\n\n{}\n\n| field | is | what it says |\n|---|---|---|\n",
            line(&schema["description"])
        ));
        fields(schema, &mut book);
    }
    book
}

#[test]
fn every_operation_of_the_api_is_described_served_and_in_its_document() {
    let document = sluice::http::api::document();
    let sluice = SLUICE.start(&["demo=demo"]);
    let served = Request::get("/api/v1/openapi.json").send(sluice.admin);
    assert_eq!((served.status, served.json()), (200, document.clone()));
    // Whatever is referred to is there.
    let text = document.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().expect("a name");
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
    let paths = document["paths"].as_object().expect("paths");
    for (path, operations) in paths {
        let path = path.replace("{id}", "00000000").replace("{name}", "nobody");
        let methods: Vec<String> =
            operations.as_object().expect("operations").keys().map(|method| method.to_uppercase()).collect();
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            if (method, path.as_str()) == ("GET", "/api/v1/events") {
                continue;
            }
            let status = Request::new(method, &path).body("{").send(sluice.admin).status;
            let is_described = methods.iter().any(|described| described == method);
            assert_eq!(status != 405, is_described, "{method} {path}: {status}");
        }
    }
    is_current("API.md", &api_book(&document));
}
