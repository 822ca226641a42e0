//! MediaMTX's internal users, and whom it lets in without a name.
//!
//! Owns how permissions become `[access.users]` and `access.read`. Hashes are kept as they are. No password is ever in the
//! report.

use super::Import;
use super::document::{Toml, accepted, name};
use super::paths;
use super::report::{At, Part};
use super::yaml::Node;

/// Every address.
pub(super) const EVERYWHERE: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// This machine.
const LOCAL: [&str; 2] = ["127.0.0.1", "::1"];

/// What MediaMTX calls everybody.
pub(super) const ANY: &str = "any";

/// What can be allowed besides streams.
pub(super) const OF_SERVER: [&str; 3] = ["api", "metrics", "pprof"];

/// All that can be allowed there.
const ACTIONS: [&str; 6] = ["publish", "read", "playback", "api", "metrics", "pprof"];

/// What is for everybody there, whoever it is and wherever it comes from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Open {
    /// To watch everything.
    pub(super) reads: bool,
    /// All that is for operators, if anything of it is served.
    pub(super) operates: bool,
    /// Nobody may any of that there.
    pub(super) nobody_operates: bool,
}

/// Somebody, and what he may do.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct User {
    pub(super) name: String,
    pub(super) password: String,
    pub(super) from: Vec<String>,
    /// Streams; `*` is all of them.
    pub(super) read: Vec<String>,
    pub(super) publish: Vec<String>,
    /// Of [`OF_SERVER`].
    pub(super) server: Vec<&'static str>,
    pub(super) line: usize,
}

/// A name that no user has yet.
pub(super) fn free_name(import: &Import<'_>, wanted: &str) -> String {
    let names = (1..).map(|number| match number {
        1 => wanted.to_owned(),
        _ => format!("{wanted}-{number}"),
    });
    let is_free = |name: &String| !import.document.has(&format!("access.users.{name}"));
    names.into_iter().find(is_free).unwrap_or_default()
}

pub(super) fn internal<'a>(import: &mut Import<'a>) -> (At<'a>, Open) {
    let root = import.root;
    let listed = root.member("authInternalUsers");
    let users = match listed {
        _ if paths::have_users(root) => of_paths(root),
        Some(node) => node.items().iter().map(|user| of_list(import, user)).collect(),
        None => usual(),
    };
    let mut users = merged(users);
    // What nobody was given is closed there where the file lists users.
    let is_closed = listed.is_some() && !paths::have_users(root);
    let nobody_operates = is_closed && users.iter().all(|user| user.server.is_empty());
    if !is_closed || !is_served(import) {
        of_operators(import, &mut users);
    }
    users.retain(|user| !user.read.is_empty() || !user.publish.is_empty() || !user.server.is_empty());
    let at = At { key: "authInternalUsers", line: listed.map_or(0, |node| node.line), path: None };
    let of_all = |user: &User| user.name == ANY && user.from.is_empty();
    let reads = users.iter().any(|user| of_all(user) && user.read == ["*"]);
    let (nameless, named): (Vec<User>, Vec<User>) = users.into_iter().partition(|user| user.name == ANY);
    for user in named {
        let at = At { line: user.line, ..at };
        write(import, at, &user.name.clone(), user);
    }
    let mut readers = Vec::new();
    for mut user in nameless {
        let at = At { line: user.line, ..at };
        if user.read == ["*"] {
            readers.append(&mut user.from.clone());
            user.read.clear();
        }
        group(import, at, user);
    }
    if !readers.is_empty() && !reads {
        import.put(at, "access.read", Toml::List(readers));
    }
    (at, Open { reads, nobody_operates, ..Open::default() })
}

/// Whoever comes from some addresses, or from anywhere, as a user without a password.
pub(super) fn group(import: &mut Import<'_>, at: At<'_>, user: User) {
    // Nobody sends without a name.
    let mut user = User { password: String::new(), publish: Vec::new(), ..user };
    if user.read.is_empty() && user.server.is_empty() {
        return;
    }
    let local = |address: &String| matches!(&address[..], "127.0.0.1" | "::1" | "127.0.0.0/8");
    let called = match user.from.is_empty() || !user.from.iter().all(local) {
        true => "anybody",
        false => "local",
    };
    if user.from.is_empty() {
        user.from = EVERYWHERE.map(str::to_owned).to_vec();
    }
    let called = free_name(import, called);
    write(import, at, &called, user);
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
pub(super) fn is_served(import: &Import<'_>) -> bool {
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

/// What one of `authInternalUsers` can say, and a permission of it.
const OF_USER: [&str; 4] = ["user", "pass", "ips", "permissions"];
const OF_PERMISSION: [&str; 2] = ["action", "path"];

/// Tells of what somebody wrote beside what can be said there.
fn strange(import: &mut Import<'_>, node: &Node, known: &[&str], what: &str) {
    for (key, member) in node.members().iter().filter(|(key, _)| !known.contains(&&key[..])) {
        let meant = sluice_config::nearest(key, known.iter().copied());
        let meant = meant.map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
        let words = format!("{} is nothing that {what} can say{meant}", sluice_media::shown(key));
        let at = At { key: "authInternalUsers", line: member.line, path: None };
        import.report.add(Part::Unknown, at, words);
    }
}

/// One of `authInternalUsers`.
fn of_list(import: &mut Import<'_>, node: &Node) -> User {
    strange(import, node, &OF_USER, "a user");
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
        strange(import, permission, &OF_PERMISSION, "a permission");
        let said = |key: &str| permission.member(key).and_then(Node::text).unwrap_or_default();
        let stream = Some(said("path")).filter(|path| !path.is_empty()).unwrap_or("*").to_owned();
        match said("action") {
            "read" => user.read.push(stream),
            "publish" => user.publish.push(stream),
            // There are no recordings here.
            "playback" => {}
            other if OF_SERVER.contains(&other) => {
                user.server.extend(OF_SERVER.into_iter().filter(|action| *action == other));
            }
            other => {
                let meant = sluice_config::nearest(other, ACTIONS);
                let meant = meant.map(|meant| format!(": did you mean {meant}?")).unwrap_or_default();
                let words = format!("the action {:?} is none{meant}", sluice_media::shown(other));
                let at = At { key: "authInternalUsers", line: permission.line, path: None };
                import.report.add(Part::Unknown, at, words);
            }
        }
    }
    if user.read.is_empty() && user.publish.is_empty() && user.server.is_empty() {
        let name = sluice_media::shown(&user.name);
        let words = format!("user {name} may nothing there that there is here, and was left out");
        import.report.add(Part::Missing, At { key: "authInternalUsers", line: node.line, path: None }, words);
    }
    user
}

/// Of files in which each path has credentials of its own.
fn of_paths(root: &Node) -> Vec<User> {
    let mut users = usual();
    users.remove(0);
    let defaults = root.member("pathDefaults");
    let mut of_one = |path: &str, node: &Node, [user, pass, ips]: [&str; 3], reads: bool| {
        let member = |key: &str| node.member(key).or_else(|| defaults?.member(key));
        let text = |key: &str| member(key).and_then(Node::text).unwrap_or_default().to_owned();
        let from = member(ips).map(Node::texts).unwrap_or_default();
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
        let words = "the name of a user is a hash, and names are text here: write that user yourself";
        return import.report.add(Part::Missing, at, words);
    }
    let table = format!("access.users.{}", name(called));
    let lines: String = lines(&user).iter().map(|(key, value)| format!("{key} = {value}\n")).collect();
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
    insert(import, called, &user);
    import.report.add(Part::Taken, at, format!("[{table}]{}", rights(&user)));
    let hashed = user.password.starts_with("sha256:") || user.password.starts_with("argon2:");
    if !user.password.is_empty() && !hashed {
        let words = format!("The password of {shown} is text: `sluice hash` makes what to write instead.");
        import.report.notes.push(words);
    }
}

/// What a user may, in the words of its table, and whence.
fn rights(user: &User) -> String {
    let said = lines(user).into_iter().filter(|(key, _)| *key != "password");
    let said: Vec<String> = said.map(|(key, value)| format!("{key} = {value}")).collect();
    if said.is_empty() { String::new() } else { format!(": {}", said.join(", ")) }
}

/// The keys of a user's table.
fn lines(user: &User) -> Vec<(&'static str, Toml)> {
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
    keys
}

pub(super) fn insert(import: &mut Import<'_>, called: &str, user: &User) {
    let table = format!("access.users.{}", name(called));
    lines(user).iter().for_each(|(key, value)| import.document.set(&table, key, value, ""));
}
