//! MediaMTX's HTTP server that is asked, and its tokens.
//!
//! Owns what they become, and what is for everybody beside them because it is left out of the question. No URL is ever in
//! the report.

use super::Import;
use super::document::{Toml, accepted};
use super::report::{At, Part};
use super::users::{ANY, OF_SERVER, Open, User, group, is_served};
use super::yaml::Node;

/// A server that is asked. Gives what is open beside it.
pub(super) fn hook(import: &mut Import<'_>, at: At<'_>, node: &Node) -> Open {
    let exclude = Excluded::of(import, "authHTTPExclude", &OF_SERVER);
    let url = Toml::from(node.text().unwrap_or_default());
    let actions = Toml::List(exclude.asked(import));
    match accepted(format!("[access.hook]\nurl = {url}\nactions = {actions}")) {
        Ok(()) => {
            import.document.set("access.hook", "url", &url, at.key);
            import.document.set("access.hook", "actions", &actions, exclude.key);
            let words =
                format!("access.hook.url, which is not repeated here, and access.hook.actions = {actions}");
            import.report.add(Part::Taken, at, words);
        }
        Err(why) => import.report.add(Part::Missing, at, format!("access.hook does not take it: {why}")),
    }
    exclude.open(import)
}

/// Signed tokens. Gives what is open beside them.
pub(super) fn tokens(import: &mut Import<'_>) -> Open {
    let exclude = Excluded::of(import, "authJWTExclude", &[]);
    let Some((at, node)) = import.key("authJWTJWKS") else { return exclude.open(import) };
    let keys = Toml::from(node.text().unwrap_or_default());
    match accepted(format!("access.jwt.keys = {keys}")) {
        Ok(()) => {
            import.document.set("access.jwt", "keys", &keys, at.key);
            import.report.add(
                Part::Taken,
                at,
                "access.jwt.keys, which is not repeated here: it may hold a secret",
            );
        }
        Err(why) => {
            import.report.add(Part::Missing, at, format!("access.jwt does not take it: {why}"));
            return exclude.open(import);
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
    in_query(import);
    let actions = Toml::List(exclude.asked(import));
    // Where the file leaves out nothing, it is the method that asks about all.
    let at = import.key(exclude.key).or_else(|| import.key("authMethod")).map_or(at, |(at, _)| at);
    import.put(at, "access.jwt.actions", actions);
    exclude.open(import)
}

/// Tokens in addresses, which MediaMTX takes unless its file says no.
fn in_query(import: &mut Import<'_>) {
    if import.is_on("authJWTInHTTPQuery", true) {
        let key = "authJWTInHTTPQuery";
        let nowhere = At { key, line: 0, path: None };
        let at = import.key(key).map_or(nowhere, |(at, _)| at);
        let words = "a JWT in an address (?jwt=..., ?token=...) is not taken: send it as Authorization: Bearer or as a \
                     password; for a link or an <iframe> have POST /api/v1/tokens make a token, and put that into ?token=";
        import.report.add(Part::Missing, at, words);
    }
}

/// What is left out of the question, and is for everybody who reaches it.
#[derive(Debug)]
struct Excluded {
    key: &'static str,
    /// Actions that are for everybody, with every stream.
    whole: Vec<String>,
    /// Streams that everybody may watch.
    streams: Vec<String>,
}

impl Excluded {
    /// What `key` says; `usual` where the file has no word of it.
    fn of(import: &Import<'_>, key: &'static str, usual: &[&str]) -> Excluded {
        let Some((_, node)) = import.key(key) else {
            let whole = usual.iter().map(|action| (*action).to_owned()).collect();
            return Excluded { key, whole, streams: Vec::new() };
        };
        let mut excluded = Excluded { key, whole: Vec::new(), streams: Vec::new() };
        for item in node.items() {
            let said = |key: &str| item.member(key).and_then(Node::text).unwrap_or_default();
            match (said("action"), said("path")) {
                ("read", path) if !path.is_empty() => excluded.streams.push(path.to_owned()),
                (action, "") => excluded.whole.push(action.to_owned()),
                (action, _) if OF_SERVER.contains(&action) => excluded.whole.push(action.to_owned()),
                // Whoever sends to one stream is asked here.
                _ => {}
            }
        }
        excluded
    }

    fn at<'a>(&self, import: &Import<'a>) -> At<'a> {
        let nowhere = At { key: self.key, line: 0, path: None };
        import.key(self.key).map_or(nowhere, |(at, _)| at)
    }

    fn has(&self, action: &str) -> bool {
        self.whole.iter().any(|whole| whole == action)
    }

    /// What is asked about: all that is served, on whatever listener, but for this.
    fn asked(&self, import: &Import<'_>) -> Vec<String> {
        let is_served = is_served(import);
        let served = |action: &&'static str| is_served || !OF_SERVER.contains(action);
        let all = ["read", "publish", "api", "metrics", "pprof"].into_iter().filter(served);
        all.filter(|action| !self.has(action)).map(str::to_owned).collect()
    }

    /// Names everybody for what is open beside something that is closed on the same listener; gives what is open there.
    fn open(&self, import: &mut Import<'_>) -> Open {
        let reads = self.has("read");
        let server: Vec<&str> = OF_SERVER.into_iter().filter(|action| self.has(action)).collect();
        let operates = server.len() == OF_SERVER.len();
        let server = if is_served(import) && !operates { server } else { Vec::new() };
        let read = if reads { Vec::new() } else { self.streams.clone() };
        group(import, self.at(import), User { name: ANY.to_owned(), read, server, ..User::default() });
        Open { reads, operates, nobody_operates: false }
    }
}
