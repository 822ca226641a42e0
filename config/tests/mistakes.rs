//! The reports for typical mistakes, letter for letter: what an operator sees is part of the contract.

use sluice_config::{File, Inputs, load};

#[track_caller]
fn report(inputs: Inputs, expected: &str) {
    let error = load(inputs).expect_err("a mistake");
    let shown: Vec<_> = error.to_string().lines().map(|line| line.trim_end().to_owned()).collect();
    assert_eq!(shown.join("\n"), expected.trim_matches('\n'), "\n{error}\n");
}

fn file(text: &str) -> Inputs {
    Inputs {
        file: Some(File::Text { name: "sluice.toml".to_owned(), text: text.to_owned() }),
        ..Inputs::default()
    }
}

#[test]
fn an_unknown_key() {
    report(
        file("[udp]\nprt = 8190\n"),
        r#"
  x unknown key `udp.prt`
   ,-[sluice.toml:2:1]
 2 | prt = ****
   : ^|^
   :  `-- did you mean `udp.port`?
   `----
  help: `udp` has address, port, gso, receive_buffer, send_buffer

1 problem in the configuration"#,
    );
}

#[test]
fn an_unknown_table_is_one_problem() {
    report(
        file("[stream.cam1]\nsource = \"demo\"\nsauce = 1\n"),
        r#"
  x unknown key `stream`
   ,-[sluice.toml:1:2]
 1 | [stream.cam1]
   :  ^^^|^^
   :     `-- did you mean `streams`?
   `----
  help: there are config, http, access, admin, metrics, compat, pprof, udp, egress, ice, shards, limits,
        drain, rtsp, on_demand, nack, red, rtcp, srtp, track, log, streams

1 problem in the configuration"#,
    );
}

#[test]
fn a_number_out_of_range() {
    report(
        file("[udp]\nport = 70_000 # too high\n"),
        r#"
  x `udp.port`: 70000 is out of range
   ,-[sluice.toml:2:8]
 2 | port = 70_000 # too high
   :        ^^^|^^
   :           `-- allowed: 1 to 65535
   `----

1 problem in the configuration"#,
    );
}

#[test]
fn a_time_out_of_range() {
    report(
        file("[nack]\nhistory = \"1m\"\n"),
        r#"
  x `nack.history`: 1m is out of range
   ,-[sluice.toml:2:11]
 2 | history = "1m"
   :           ^^|^
   :             `-- allowed: 100ms to 10s
   `----

1 problem in the configuration"#,
    );
}

#[test]
fn a_time_without_its_unit() {
    report(
        file("http.header_timeout = 30\n"),
        r#"
  x `http.header_timeout`: expected a duration like "2s", found an integer
   ,-[sluice.toml:1:23]
 1 | http.header_timeout = 30
   :                       ^|
   :                        `-- did you mean `"30s"`?
   `----
  help: allowed: 100ms to 1m

1 problem in the configuration"#,
    );
}

#[test]
fn a_key_set_twice_and_a_second_problem() {
    report(
        file("[udp]\nport = 1\nport = 2\ngso = \"yes\"\n"),
        r#"
  x `port` is set twice
   ,-[sluice.toml:3:1]
 3 | port = 2
   : ^^|^
   :   `-- again here
   `----
  help: remove one of the two

  x `udp.gso`: expected true or false, found a string
   ,-[sluice.toml:4:7]
 4 | gso = "yes"
   :       ^^|^^
   :         `-- did you mean `true`?
   `----
  help: allowed: true or false

2 problems in the configuration"#,
    );
}

#[test]
fn not_toml() {
    report(
        file("[http]\nlisten = :8889\nx\n[udp\n"),
        r#"
  x this is not TOML: string values must be quoted, expected literal string
   ,-[sluice.toml:2:10]
 2 | listen = :8889
   :          ^^|^^
   :            `-- here
   `----

  x this is not TOML: key with no value, expected `=`
   ,-[sluice.toml:3:1]
 3 | x
   : |
   : `-- here
   `----

  x this is not TOML: unclosed table, expected `]`
   ,-[sluice.toml:4:4]
 4 | [udp
   :    |
   :    `-- here
   `----

3 problems in the configuration"#,
    );
}

#[test]
fn one_faulty_element_of_a_list() {
    report(
        file("[ice]\naddresses = [\n  \"192.0.2.1\",\n  \"sfu.example.com:8189\",\n]\n"),
        r#"
  x `ice.addresses`: `sfu.example.com:8189` is neither an IP address nor a host name
   ,-[sluice.toml:4:3]
 4 |   "sfu.example.com:8189",
   :   ^^^^^^^^^^^|^^^^^^^^^^
   :              `-- did you mean `"sfu.example.com"`?
   `----
  help: allowed: a list of IP addresses and host names, without ports, and "interfaces"

1 problem in the configuration"#,
    );
}

#[test]
fn every_faulty_element_of_a_list_is_shown() {
    for (key, elements, wrong) in [
        ("ice.addresses", r#"["a:1", "192.0.2.1", "b:2", "c:3"]"#, ["`a:1`", "`b:2`", "`c:3`"]),
        ("admin.hosts", r#"["a:1", "good", "b:2", 7]"#, ["an integer", "", ""]),
        ("access.read", r#"["a", "::1", "b", "10.0.0.0/99"]"#, ["`a`", "`b`", "`10.0.0.0/99`"]),
    ] {
        let error = load(file(&format!("{key} = {elements}\n"))).expect_err(key).to_string();
        let wrong: Vec<&str> = wrong.into_iter().filter(|wrong| !wrong.is_empty()).collect();
        assert_eq!(error.matches(&format!("`{key}`: ")).count(), wrong.len(), "{error}");
        assert!(wrong.iter().all(|wrong| error.contains(wrong)), "{error}");
    }
}

/// What follows from a mistake is no other one.
#[test]
fn one_mistake_is_one_problem() {
    for (text, said) in [
        ("[streams.a]\nsorce = \"demo\"\n", "unknown key `streams.a.sorce`"),
        ("[streams.a]\nsource = \"demo\"\n\n[streams.a]\nsource = \"demo\"\n", "`a` is set twice"),
        (
            "[udp]\nport = 1\ngso = true\n[log]\nlevel = \"info\"\n[udp]\nport = 2\ngso = false\n",
            "`udp` is set twice",
        ),
        ("[http.tls]\ncertficate = \"/a\"\nkey = \"/b\"\n", "unknown key `http.tls.certficate`"),
    ] {
        let error = load(file(text)).expect_err(text).to_string();
        assert!(error.contains(said) && error.ends_with("1 problem in the configuration"), "{error}");
    }
    // Another key of the stream is a mistake of its own, and so is a key that is there twice behind such a table.
    for text in [
        "[streams.a]\nrtsp_transprt = \"tcp\"\n",
        "[udp]\nport = 1\n[udp]\nport = 2\n[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
    ] {
        let error = load(file(text)).expect_err(text).to_string();
        assert!(error.ends_with("2 problems in the configuration"), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_a_way_out() {
    for (path, why, way_out) in [
        ("/nowhere/sluice.toml", "No such file", "without -c Sluice serves a demo"),
        ("/", "Is a directory", "name the file in it"),
        ("/bin/sh", "is not", ""),
    ] {
        let inputs = Inputs { file: Some(File::Path(path.into())), ..Inputs::default() };
        let error = load(inputs).expect_err(path).to_string();
        assert!(error.contains(&format!("cannot read `{path}`: ")), "{error}");
        assert!(error.contains(why) && error.contains(way_out), "{error}");
    }
}

#[test]
fn a_value_of_several_lines_is_shown_by_its_first() {
    report(
        file("[http]\nlisten = [ # both\n  ':80',\n  ':81',\n]\n"),
        r#"
  x `http.listen`: expected a string, found an array
   ,-[sluice.toml:2:10]
 2 | listen = [ # both
   :          ^^^^|^^^
   :              `-- allowed: "ADDRESS:PORT", or ":PORT" for every address
   `----

1 problem in the configuration"#,
    );
}

#[test]
fn a_password_with_a_slash() {
    report(
        file("[streams.cam1]\nsource = \"rtsp://admin:can/ary@192.0.2.10/x\"\n"),
        r#"
  x `streams.cam1.source`: the URL's port is not a number from 1 to 65535; in a password write `/` as %2F,
  | `?` as %3F, `#` as %23, `@` as %40 and `%` as %25
   ,-[sluice.toml:2:10]
 2 | source = "rtsp://admin:*******@192.0.2.10/x"
   :          ^^^^^^^^^^^^^^^^^|^^^^^^^^^^^^^^^^^
   :                           `-- allowed: "rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH", several in [], two layers as { high = ..., low = ... }, or "demo"
   `----

1 problem in the configuration"#,
    );
}

#[test]
fn a_stream_without_a_source() {
    report(
        file("[streams.cam1]\nrtsp_transport = \"udp\"\n"),
        r#"
  x the stream `cam1` has no source
   ,-[sluice.toml:1:10]
 1 | [streams.cam1]
   :          ^^|^
   :            `-- add streams.cam1.source
   `----

1 problem in the configuration"#,
    );
}

#[test]
fn publishing_by_whip_is_not_there_yet() {
    report(
        file("[streams.studio]\nsource = \"whip\"\n"),
        r#"
  x `streams.studio.source`: a stream cannot be published by WHIP yet
   ,-[sluice.toml:2:10]
 2 | source = "whip"
   :          ^^^|^^
   :             `-- allowed: "rtsp://[USER:PASSWORD@]HOST[:PORT]/PATH", several in [], two layers as { high = ..., low = ... }, or "demo"
   `----

1 problem in the configuration"#,
    );
}

#[test]
fn variables_and_arguments_name_their_origin() {
    let inputs = Inputs {
        file: None,
        api: Default::default(),
        env: [("SLUICE_UDP_PORT", "x"), ("SLUICE_UDP_GS0", "true")]
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .into(),
        sets: ["udp.prt=1", "rtsp.transport=TCP", "udp=1", "udp.port"].map(str::to_owned).into(),
        streams: [
            "rtsp://u:canary@h/x",
            "api=demo",
            "cam1=demo",
            "cam1=demo",
            "cams.toml",
            "chekc",
            "x.toml",
        ]
        .map(str::to_owned)
        .into(),
        commands: ["check", "load"].map(str::to_owned).into(),
    };
    report(
        inputs,
        r#"
  x `udp.port`: `x` is not an integer
   ,-[environment:1:17]
 1 | SLUICE_UDP_PORT=x
   :                 |
   :                 `-- allowed: 1 to 65535
   `----

  x unknown variable `SLUICE_UDP_GS0`
   ,-[environment:1:1]
 1 | SLUICE_UDP_GS0=****
   : ^^^^^^^|^^^^^^
   :        `-- did you mean `SLUICE_UDP_GSO`?
   `----
  help: a variable is SLUICE_ and the key's path in capitals, `_` for `.` and `-`: SLUICE_UDP_PORT is
        udp.port

  x unknown key `udp.prt`
   ,-[command line:1:7]
 1 | --set udp.prt=*
   :       ^^^|^^^
   :          `-- did you mean `udp.port`?
   `----
  help: `udp` has address, port, gso, receive_buffer, send_buffer

  x `rtsp.transport`: `TCP` is not known
   ,-[command line:1:22]
 1 | --set rtsp.transport=TCP
   :                      ^|^
   :                       `-- did you mean `tcp`?
   `----
  help: allowed: tcp or udp or auto or multicast

  x `udp` is a table of keys, not a value
   ,-[command line:1:7]
 1 | --set udp=*
   :       ^|^
   :        `-- write udp.KEY = ...
   `----

  x `--set` without a value
   ,-[command line:1:7]
 1 | --set udp.port
   :       ^^^^|^^^
   :           `-- write KEY=VALUE, as in udp.port=8189
   `----

  x a stream without a name
   ,-[command line:1:1]
 1 | rtsp://u:******@h/x
   : ^^^^^^^^^|^^^^^^^^^
   :          `-- write NAME= before it, as in cam1=rtsp://...
   `----

  x the stream name `api` has `api`, a path of the server, as are `frame.mp4`, `metrics`, `publish`,
  | `reader.js`, `static`, `streams.json`, `whep`, `whip`, `favicon.ico`, `robots.txt`: add a letter
   ,-[command line:1:1]
 1 | api=demo
   : ^|^
   :  `-- this name
   `----

  x the stream `cam1` is named twice
   ,-[command line:1:1]
 1 | cam1=demo
   : ^^|^
   :   `-- give one of them another name
   `----

  x `cams.toml` is neither a command nor a stream
   ,-[command line:1:1]
 1 | cams.toml
   : ^^^^|^^^^
   :     `-- to serve what a file says, write -c before it
   `----

  x `chekc` is neither a command nor a stream
   ,-[command line:1:1]
 1 | chekc
   : ^^|^^
   :   `-- did you mean `check`?
   `----

11 problems in the configuration"#,
    );
}

#[test]
fn keys_that_do_not_go_together() {
    report(
        file("[shards]\ncount = 10\n[udp]\nport = 65530\n[rtsp]\nreconnect_max = \"200ms\"\n"),
        r#"
  x 10 shards from `udp.port` = 65530 need ports up to 65539
   ,-[sluice.toml:4:8]
 4 | port = 65530
   :        ^^|^^
   :          `-- at most 65526 for 10 shards
   `----

  x `rtsp.reconnect_min` = 500ms is longer than `rtsp.reconnect_max` = 200ms
   ,-[sluice.toml:6:17]
 6 | reconnect_max = "200ms"
   :                 ^^^|^^^
   :                    `-- raise the one or lower the other
   `----

2 problems in the configuration"#,
    );
}

#[test]
fn a_report_has_a_bound_and_colour_only_when_asked() {
    let text: String = (0..25).map(|n| format!("key{n} = 1\n")).collect();
    let error = load(file(&text)).expect_err("unknown keys");
    assert_eq!(error.count(), 25);
    let plain = error.to_string();
    assert_eq!(plain.matches("unknown key").count(), 20);
    assert!(plain.ends_with("and 5 more; 25 problems in the configuration"), "{plain}");
    assert!(!plain.contains('\u{1b}') && plain.is_ascii());
    assert!(error.render(true).contains("\u{1b}["));
}

#[test]
fn a_certificate_without_its_key_and_what_needs_one() {
    report(
        file("[http]\nhsts = \"1h\"\n[admin.tls]\ncertificate = \"/etc/sluice/tls/fullchain.pem\"\n"),
        r#"
  x `admin.tls.certificate` without `admin.tls.key`
   ,-[sluice.toml:4:15]
 4 | certificate = "/etc/sluice/tls/fullchain.pem"
   :               ^^^^^^^^^^^^^^^|^^^^^^^^^^^^^^^
   :                              `-- set admin.tls.key too, or neither of them for plain HTTP
   `----

  x `http.hsts` without `http.tls.certificate`: plain HTTP may not ask for it (RFC 6797 §7.2)
   ,-[sluice.toml:2:8]
 2 | hsts = "1h"
   :        ^^|^
   :          `-- where a proxy does TLS, let it send the header
   `----

2 problems in the configuration"#,
    );
}

#[test]
fn a_path_that_only_a_shell_understands() {
    report(
        file("[http.tls]\nkey = \"~/key.pem\"\n"),
        r#"
  x `http.tls.key`: `~/key.pem` begins with a home folder, which only a shell knows: write the whole path
   ,-[sluice.toml:2:7]
 2 | key = "~/key.pem"
   :       ^^^^^|^^^^^
   :            `-- allowed: "" for none, or the path of a PEM file
   `----

1 problem in the configuration"#,
    );
}

#[test]
fn a_user_whom_anybody_could_be() {
    report(
        file("[access.users.ann]\nread = [\"gate\"]\n"),
        r#"
  x the user `ann` has neither a password nor addresses
   ,-[sluice.toml:1:15]
 1 | [access.users.ann]
   :               ^|^
   :                `-- set access.users.ann.password, or access.users.ann.from for whoever comes from there
   `----

1 problem in the configuration"#,
    );
}

#[test]
fn a_pattern_that_means_no_stream() {
    report(
        file("[access.users.ann]\npassword = \"x\"\nread = [\"gate\", \"yard?*\"]\n"),
        r#"
  x `access.users.ann.read`: a pattern has a `?`: write the name of a stream, with * for anything, or ~ and
  | a regular expression
   ,-[sluice.toml:3:17]
 3 | read = ["gate", "yard?*"]
   :                 ^^^^|^^^
   :                     `-- allowed: a list of names of streams, with * for anything, or ~ and a regular expression
   `----

1 problem in the configuration"#,
    );
}

#[test]
fn a_place_to_go_that_is_no_url() {
    report(
        file("[drain]\nelsewhere = \"tv2.example.com\"\n"),
        r#"
  x `drain.elsewhere`: `tv2.example.com` is not the URL of a server's pages
   ,-[sluice.toml:2:13]
 2 | elsewhere = "tv2.example.com"
   :             ^^^^^^^^|^^^^^^^^
   :                     `-- did you mean `"https://tv2.example.com"`?
   `----
  help: allowed: "" for none, or a URL like "https://tv2.example.com"

1 problem in the configuration"#,
    );
}

#[test]
fn what_is_not_here_on_purpose_is_said_with_what_to_do_instead() {
    let said = |inputs: Inputs| load(inputs).expect_err("a mistake").to_string().replace("\n", " ");
    let set = |set: &str| Inputs { sets: vec![set.to_owned()], ..Inputs::default() };
    for (inputs, key, words) in [
        (file("[admin.tls.acme]\ndomains = [\"a.b\"]\n"), "admin.tls.acme", "public listener only"),
        (set("admin.tls.acme.domains=a.b"), "admin.tls.acme.domains", "admin.tls.certificate"),
        (file("[http.tls.acme]\nchallenge = \"http-01\"\n"), "http.tls.acme.challenge", "TLS-ALPN-01"),
        (set("http.tls.acme.http_challenge=true"), "http.tls.acme.http_challenge", "HTTP-01"),
        (set("metrics.tls.certificate=/c.pem"), "metrics.tls.certificate", "admin.tls"),
        (
            Inputs {
                env: vec![("SLUICE_ADMIN_TLS_ACME_DOMAINS".to_owned(), "a.b".to_owned())],
                ..Inputs::default()
            },
            "SLUICE_ADMIN_TLS_ACME_DOMAINS",
            "public listener only",
        ),
    ] {
        let said = said(inputs).split_whitespace().filter(|word| *word != "|").collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("`{key}` is no key")) && said.contains(words), "{said}");
        assert!(said.ends_with("1 problem in the configuration") && !said.contains("did you mean"), "{said}");
    }
}

#[test]
fn a_list_outside_of_the_file_has_commas_and_says_so() {
    let set = |set: &str| Inputs { sets: vec![set.to_owned()], ..Inputs::default() };
    report(
        set("http.trusted_proxies=10.0.0.0/8;10.1.0.1"),
        r#"
  x `http.trusted_proxies`: `10.0.0.0/8;10.1.0.1` is neither an IP address nor a network like 10.0.0.0/8
   ,-[command line:1:28]
 1 | --set http.trusted_proxies=10.0.0.0/8;10.1.0.1
   :                            ^^^^^^^^^|^^^^^^^^^
   :                                     `-- allowed: a list of IP addresses and networks like "10.0.0.0/8", with commas between them: A,B
   `----

1 problem in the configuration"#,
    );
    let error =
        load(set("http.trusted_proxies=[\"10.0.0.0/8\", \"::1\"]")).expect_err("brackets").to_string();
    assert!(
        error.contains("here it has no brackets") && error.contains("did you mean `10.0.0.0/8,::1`?"),
        "{error}"
    );
    let good = load(set("http.trusted_proxies=10.0.0.0/8, ::1")).expect("a list");
    assert_eq!(good.http.trusted_proxies.len(), 2);
}

#[test]
fn media_and_certificates_that_do_not_fit_the_line() {
    report(
        file(
            "[streams.gate]\nsource = \"rtsps://192.0.2.9/main\"\nrtsp_transport = \"udp\"\n\
             [streams.yard]\nsource = \"rtsp://192.0.2.9/main\"\nrtsp_fingerprint = \"33\"\n",
        ),
        r#"
  x `streams.yard.rtsp_fingerprint`: a fingerprint is the SHA-256 of a certificate: 64 hexadecimal digits,
  | with or without a `:` between every two
   ,-[sluice.toml:6:20]
 6 | rtsp_fingerprint = "33"
   :                    ^^|^
   :                      `-- allowed: "" for none, the SHA-256 of a certificate in 64 hexadecimal digits, or several in []
   `----

  x the stream `gate` is pulled by rtsps://, which carries its media, and says `rtsp_transport` = "udp"
   ,-[sluice.toml:3:18]
 3 | rtsp_transport = "udp"
   :                  ^^|^^
   :                    `-- leave it out, or pull the camera by rtsp://
   `----

2 problems in the configuration"#,
    );
    let pinned = format!(
        "[streams.yard]\nsource = \"rtsp://192.0.2.9/\"\nrtsp_fingerprint = \"{}\"\n",
        "0".repeat(64)
    );
    for (given, count) in [("''", 0), ("[]", 0), ("'A'", 1), ("['A']", 1), ("['A', 'B']", 2)] {
        let given = given.replace('A', &"a1".repeat(32)).replace('B', &"b2".repeat(32));
        let text =
            format!("[streams.yard]\nsource = ['rtsps://a', 'rtsps://b']\nrtsp_fingerprint = {given}\n");
        let config = load(file(&text)).expect("no mistake");
        assert_eq!(config.streams["yard"].rtsp_fingerprint.len(), count, "{given}");
    }
    let error = load(file(&pinned)).expect_err("a mistake").to_string();
    assert!(error.contains("has an `rtsp_fingerprint`, and rtsp:// shows no certificate"), "{error}");
    for fits in [
        "rtsp+http://192.0.2.9/x\"\nrtsp_transport = \"auto",
        "rtsp+https://192.0.2.9/x\"\nrtsp_transport = \"tcp",
    ] {
        load(file(&format!("[streams.yard]\nsource = \"{fits}\"\n"))).expect(fits);
    }
}

#[test]
fn listeners_that_would_have_one_port_are_told_before_the_kernel_does() {
    for (text, keys) in [
        (
            "http.listen = ':8000'\nadmin.listen = '127.0.0.1:8000'\n",
            "`admin.listen` = 127.0.0.1:8000 and `http.listen`",
        ),
        (
            "http.listen = '0.0.0.0:9997'\n",
            "`admin.listen` = 127.0.0.1:9997 and `http.listen` = 0.0.0.0:9997",
        ),
        (
            "metrics.listen = ':8000'\npprof.listen = ':8000'\n",
            "`pprof.listen` = [::]:8000 and `metrics.listen`",
        ),
        (
            "http.listen = ':8000'\nice.tcp_listen = ':8000'\n",
            "`ice.tcp_listen` = [::]:8000 and `http.listen`",
        ),
        (
            "http.listen = ':8003'\nice.tcp_listen = ':8000'\nshards.count = 4\n",
            "only one of them can have that port",
        ),
    ] {
        let said = load(file(text)).expect_err(text).to_string();
        assert!(said.contains(keys) && said.contains("another port"), "{text}: {said}");
        assert!(said.ends_with("1 problem in the configuration"), "{text}: {said}");
    }
    for text in [
        "http.listen = '192.0.2.1:8000'\nadmin.listen = '127.0.0.1:8000'\n",
        "http.listen = '0.0.0.0:8000'\nadmin.listen = '[::1]:8000'\n",
        "http.listen = ':8004'\nice.tcp_listen = ':8000'\nshards.count = 4\n",
        "http.listen = '127.0.0.1:0'\nadmin.listen = '127.0.0.1:0'\n",
        // UDP is another matter.
        "http.listen = ':8189'\nudp.port = 8189\n",
    ] {
        load(file(text)).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn a_value_without_a_key_is_told_as_one() {
    let inputs = Inputs { sets: vec!["=5".to_owned()], ..Inputs::default() };
    let said = load(inputs).expect_err("no key").to_string();
    assert!(said.contains("there is no key before the `=`") && said.contains("udp.port=8189"), "{said}");
}

#[test]
fn a_pipe_that_nobody_writes_keeps_nobody() {
    let pipe = std::env::temp_dir().join(format!("sluice-pipe-{}", std::process::id()));
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo is there");
    assert!(made.success());
    let error = load(Inputs { file: Some(File::Path(pipe.clone())), ..Inputs::default() });
    let _ = std::fs::remove_file(&pipe);
    let said = error.expect_err("a pipe").to_string();
    assert!(said.contains("it is a pipe") && said.contains("regular file"), "{said}");
}
