//! Who may do what: MediaMTX's internal users, its HTTP server that is asked, its tokens.
//!
//! Owns how permissions become `[access]`. Hashes are kept as they are. No password and no URL is ever in the report.

use super::Import;
use super::document::{Toml, accepted, name};
use super::paths;
use super::report::{At, Part};
use super::yaml::Node;

/// Every address.
const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// This machine.
const LOCAL: [&str; 2] = ["127.0.0.1", "::1"];

/// What MediaMTX calls everybody.
const ANY: &str = "any";

/// What can be allowed besides streams.
const OF_SERVER: [&str; 3] = ["api", "metrics", "pprof"];

/// Somebody, and what he may do.
#[derive(Debug, Clone, Default, PartialEq)]
struct User {
    name: String,
    password: String,
    from: Vec<String>,
    /// Streams; `*` is all of them.
    read: Vec<String>,
    publish: Vec<String>,
    /// Of [`OF_SERVER`].
    server: Vec<&'static str>,
    line: usize,
}

/// Takes them.
pub(super) fn take(import: &mut Import<'_>) {
    if let Some((at, node)) = import.key("externalAuthenticationURL").filter(|(_, node)| !node.is_off()) {
        return hook(import, at, node, "authHTTPExclude");
    }
    let method = import.key("authMethod");
    match method.and_then(|(_, node)| node.text()).unwrap_or("internal") {
        "internal" => internal(import),
        "http" => {
            if let Some((at, node)) = import.key("authHTTPAddress") {
                hook(import, at, node, "authHTTPExclude");
            }
        }
        "jwt" => tokens(import),
        _ => {
            if let Some((at, _)) = method {
                let words = "this method is not known: nobody is asked who he is until [access] says so";
                import.report.add(Part::Missing, at, words);
            }
        }
    }
}

fn internal(import: &mut Import<'_>) {
    let root = import.root;
    let listed = root.member("authInternalUsers");
    let users = match listed {
        _ if paths::with_users(root).next().is_some() => of_paths(root),
        Some(node) => node.items().iter().map(of_list).collect(),
        None => usual(),
    };
    let mut users = merged(users);
    of_operators(import, &mut users);
    users.retain(|user| !user.read.is_empty() || !user.publish.is_empty() || !user.server.is_empty());
    let somebody_reads = users.iter().any(|user| user.name != ANY && !user.read.is_empty());
    if users.iter().all(|user| user.read.is_empty()) {
        let at = At { key: "authInternalUsers", line: listed.map_or(0, |node| node.line), path: None };
        let words = "nobody may watch there, and everybody here: name in access.read or access.users who may";
        import.report.add(Part::Missing, at, words);
    }
    let mut readers = Vec::new();
    let mut nameless = 0;
    for user in users {
        let at = At { key: "authInternalUsers", line: user.line, path: None };
        if user.name != ANY {
            write(import, at, &user.name.clone(), user);
            continue;
        }
        let mut user = User { password: String::new(), ..user };
        if user.read == ["*"] {
            let open = user.from.is_empty();
            match (open, somebody_reads) {
                // Who is not named may watch, unless somebody is.
                (true, false) => {}
                (true, true) => readers.extend(EVERYWHERE.map(str::to_owned)),
                (false, _) => readers.extend(user.from.iter().cloned()),
            }
            user.read.clear();
        }
        // Nobody sends without a name.
        user.publish.clear();
        if user.read.is_empty() && user.server.is_empty() {
            continue;
        }
        let local =
            user.from.iter().all(|address| matches!(&address[..], "127.0.0.1" | "::1" | "127.0.0.0/8"));
        let called = if local && !user.from.is_empty() { "local" } else { "anybody" };
        if user.from.is_empty() {
            user.from = EVERYWHERE.map(str::to_owned).to_vec();
        }
        nameless += 1;
        let called = if nameless == 1 { called.to_owned() } else { format!("{called}-{nameless}") };
        write(import, at, &called, user);
    }
    if !readers.is_empty() {
        let at = At { key: "authInternalUsers", line: listed.map_or(0, |node| node.line), path: None };
        import.put(at, "access.read", Toml::List(readers));
    }
}

/// One listener has all that is for operators here, and what nobody is named for is open on it: what nobody had there is
/// for this machine alone. Where all of it is off there, the listener is.
fn of_operators(import: &Import<'_>, users: &mut Vec<User>) {
    if !is_served(import) {
        return users.iter_mut().for_each(|user| user.server.clear());
    }
    let held = |action: &str| users.iter().any(|user| user.server.contains(&action));
    let server: Vec<&str> = OF_SERVER.into_iter().filter(|action| !held(action)).collect();
    if !server.is_empty() {
        let from = LOCAL.map(str::to_owned).to_vec();
        let local = User { name: ANY.to_owned(), from, server, ..User::default() };
        *users = merged(users.drain(..).chain([local]).collect());
    }
}

/// Whether any of what is for operators is switched on.
fn is_served(import: &Import<'_>) -> bool {
    OF_SERVER.into_iter().any(|action| import.is_on(action, false))
}

/// Who MediaMTX lets in where its file says nothing.
fn usual() -> Vec<User> {
    let everybody = User { name: ANY.to_owned(), read: vec!["*".to_owned()], ..User::default() };
    let local = User {
        name: ANY.to_owned(),
        from: LOCAL.map(str::to_owned).to_vec(),
        server: OF_SERVER.to_vec(),
        ..User::default()
    };
    vec![everybody, local]
}

/// One of `authInternalUsers`.
fn of_list(node: &Node) -> User {
    let text = |key: &str| node.member(key).and_then(Node::text).unwrap_or_default().to_owned();
    let from = node.member("ips").map(Node::texts).unwrap_or_default();
    let mut user = User {
        name: text("user"),
        password: text("pass"),
        from: from.into_iter().map(str::to_owned).collect(),
        line: node.line,
        ..User::default()
    };
    for permission in node.member("permissions").map(Node::items).unwrap_or_default() {
        let said = |key: &str| permission.member(key).and_then(Node::text).unwrap_or_default();
        let stream = Some(said("path")).filter(|path| !path.is_empty()).unwrap_or("*").to_owned();
        match said("action") {
            "read" => user.read.push(stream),
            "publish" => user.publish.push(stream),
            other => user.server.extend(OF_SERVER.into_iter().filter(|action| *action == other)),
        }
    }
    user
}

/// Of files in which each path has credentials of its own.
fn of_paths(root: &Node) -> Vec<User> {
    let mut users = usual();
    users.remove(0);
    let mut of_one = |path: &str, node: &Node, [user, pass, ips]: [&str; 3], reads: bool| {
        let text = |key: &str| node.member(key).and_then(Node::text).unwrap_or_default().to_owned();
        let from = node.member(ips).map(Node::texts).unwrap_or_default();
        let named = Some(text(user)).filter(|name| !name.is_empty());
        if named.is_none() && from.is_empty() && !reads {
            return;
        }
        let streams = vec![path.to_owned()];
        let (read, publish) = if reads { (streams, Vec::new()) } else { (Vec::new(), streams) };
        users.push(User {
            name: named.unwrap_or_else(|| ANY.to_owned()),
            password: text(pass),
            from: from.into_iter().map(str::to_owned).collect(),
            read,
            publish,
            line: node.line,
            ..User::default()
        });
    };
    for (path, node) in root.member("paths").map_or(&[][..], Node::members) {
        of_one(path, node, ["readUser", "readPass", "readIPs"], true);
        of_one(path, node, ["publishUser", "publishPass", "publishIPs"], false);
    }
    users
}

/// One entry for one name, password and set of addresses.
fn merged(users: Vec<User>) -> Vec<User> {
    let mut all: Vec<User> = Vec::new();
    for user in users {
        let same = |other: &&mut User| {
            (&other.name, &other.password, &other.from) == (&user.name, &user.password, &user.from)
        };
        match all.iter_mut().find(same) {
            Some(other) => {
                other.read.extend(user.read);
                other.publish.extend(user.publish);
                other.server.extend(user.server);
            }
            None => all.push(user),
        }
    }
    for user in &mut all {
        for streams in [&mut user.read, &mut user.publish] {
            if streams.iter().any(|stream| stream == "*") {
                *streams = vec!["*".to_owned()];
            }
            let mut seen = std::collections::BTreeSet::new();
            streams.retain(|stream| seen.insert(stream.clone()));
        }
        user.server.sort_unstable();
        user.server.dedup();
    }
    all
}

/// A user as a table of ours, if it is taken.
fn write(import: &mut Import<'_>, at: At<'_>, called: &str, user: User) {
    let shown = sluice_media::shown(called).to_string();
    if called.starts_with("sha256:") || called.starts_with("argon2:") {
        let words = "a user's name is a hash there: names are text here, so write the user yourself";
        return import.report.add(Part::Missing, at, words);
    }
    let table = format!("access.users.{}", name(called));
    let mut keys: Vec<(&str, Toml)> = Vec::new();
    if !user.password.is_empty() {
        keys.push(("password", user.password.as_str().into()));
    }
    for (key, list) in [("from", &user.from), ("read", &user.read), ("publish", &user.publish)] {
        if !list.is_empty() {
            keys.push((key, Toml::List(list.clone())));
        }
    }
    keys.extend(user.server.iter().map(|action| (*action, Toml::Truth(true))));
    let lines: String = keys.iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
    let mut words = String::new();
    if user.password.is_empty() && user.from.is_empty() {
        words =
            format!("user {shown} has neither password nor addresses there: give one, or leave the user out");
    } else if let Err(why) = accepted(format!("[{table}]\n{lines}")) {
        words = format!("user {shown} is refused: {why}");
    }
    if !words.is_empty() {
        return import.report.add(Part::Missing, at, words);
    }
    // A second table of one name would be no TOML.
    if import.document.has(&table) {
        let words = format!(
            "user {shown} stands there several times, with other passwords or addresses: the first was taken"
        );
        return import.report.add(Part::Missing, at, words);
    }
    keys.iter().for_each(|(key, value)| import.document.set(&table, key, value, ""));
    import.report.add(Part::Taken, at, format!("[{table}]"));
    let hashed = user.password.starts_with("sha256:") || user.password.starts_with("argon2:");
    if !user.password.is_empty() && !hashed {
        let words = format!("The password of {shown} is text: `sluice hash` makes what to write instead.");
        import.report.notes.push(words);
    }
}

/// A server that is asked.
fn hook(import: &mut Import<'_>, at: At<'_>, node: &Node, exclude: &'static str) {
    let url = Toml::from(node.text().unwrap_or_default());
    let actions = Toml::List(actions(import, exclude));
    match accepted(format!("[access.hook]\nurl = {url}\nactions = {actions}")) {
        Ok(()) => {
            import.document.set("access.hook", "url", &url, at.key);
            import.document.set("access.hook", "actions", &actions, exclude);
            import.report.add(Part::Taken, at, format!("access.hook.url, access.hook.actions = {actions}"));
        }
        Err(why) => import.report.add(Part::Missing, at, format!("access.hook does not take it: {why}")),
    }
}

/// Signed tokens.
fn tokens(import: &mut Import<'_>) {
    let Some((at, node)) = import.key("authJWTJWKS") else { return };
    let keys = Toml::from(node.text().unwrap_or_default());
    match accepted(format!("access.jwt.keys = {keys}")) {
        Ok(()) => {
            import.document.set("access.jwt", "keys", &keys, at.key);
            import.report.add(Part::Taken, at, "access.jwt.keys");
        }
        Err(why) => {
            return import.report.add(Part::Missing, at, format!("access.jwt does not take it: {why}"));
        }
    }
    for (key, ours, usual) in [
        ("authJWTClaimKey", "access.jwt.claim", "mediamtx_permissions"),
        ("authJWTIssuer", "access.jwt.issuer", ""),
        ("authJWTAudience", "access.jwt.audience", ""),
    ] {
        let said = import.key(key).and_then(|(_, node)| node.text()).filter(|text| !text.is_empty());
        let value = said.unwrap_or(usual);
        if !value.is_empty() {
            let line = import.key(key).map_or(0, |(at, _)| at.line);
            import.put(At { key, line, path: None }, ours, value.into());
        }
    }
    let actions = Toml::List(actions(import, "authJWTExclude"));
    import.put(At { key: "authJWTExclude", ..at }, "access.jwt.actions", actions);
}

/// What is asked about: all that is served, on whatever listener, but for what the file leaves out.
fn actions(import: &Import<'_>, exclude: &'static str) -> Vec<String> {
    let excluded = import.key(exclude).map(|(_, node)| node.items()).unwrap_or_default();
    let is_excluded = |action: &str| {
        excluded.iter().any(|item| {
            let said = |key: &str| item.member(key).and_then(Node::text).unwrap_or_default();
            said("action") == action && said("path").is_empty()
        })
    };
    let is_served = is_served(import);
    let served = |action: &&'static str| is_served || !OF_SERVER.contains(action);
    let all = ["read", "publish", "api", "metrics", "pprof"].into_iter().filter(served);
    all.filter(|action| !is_excluded(action)).map(str::to_owned).collect()
}
