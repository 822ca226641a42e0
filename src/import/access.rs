//! Who may do what, by whatever way a file of MediaMTX says it.
//!
//! Owns that nothing is open here that was closed there, nor closed what was open: a listener of Sluice is open until
//! somebody is named for it, and whoever was named there may be nobody that can be taken over.

use sluice_config::Action;

use super::document::Toml;
use super::report::{At, Part};
use super::users::{self, EVERYWHERE, OF_SERVER, Open, User, is_served};
use super::{Import, outside};
use crate::http::access::rules::Rules;

/// A password that nobody has: no text is known whose hash is this.
const NOBODYS: &str = "sha256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Takes them.
pub(super) fn take(import: &mut Import<'_>) {
    let (at, open) = sorted(import);
    settle(import, at, open);
}

/// Takes whom the file names, in one way or another; gives where, and what is open there.
fn sorted<'a>(import: &mut Import<'a>) -> (At<'a>, Open) {
    if let Some((at, node)) = import.key("externalAuthenticationURL").filter(|(_, node)| !node.is_off()) {
        return (at, outside::hook(import, at, node));
    }
    let method = import.key("authMethod");
    let at = method.map_or(At { key: "authMethod", line: 0, path: None }, |(at, _)| at);
    match method.and_then(|(_, node)| node.text()).unwrap_or("internal") {
        "internal" => users::internal(import),
        "http" => match import.key("authHTTPAddress") {
            Some((at, node)) => (at, outside::hook(import, at, node)),
            None => (at, Open::default()),
        },
        "jwt" => (at, outside::tokens(import)),
        _ => {
            import.report.add(Part::Missing, at, "this method is not known");
            (at, Open::default())
        }
    }
}

/// Opens what was open, and closes what was not, where those who could be named do not do that already.
fn settle(import: &mut Import<'_>, at: At<'_>, open: Open) {
    let rules = Rules::new(&import.document.access(), 0);
    if open.reads && !rules.is_open(Action::Read) {
        import.put(at, "access.read", Toml::List(EVERYWHERE.map(str::to_owned).to_vec()));
    }
    let mut nobody = User { password: NOBODYS.to_owned(), line: at.line, ..User::default() };
    if !open.reads && rules.is_open(Action::Read) {
        nobody.read = vec!["*".to_owned()];
    }
    if !open.operates && is_served(import) && rules.is_open(Action::Api) {
        nobody.server = OF_SERVER.to_vec();
    }
    if nobody.read.is_empty() && nobody.server.is_empty() {
        return;
    }
    let called = users::free_name(import, "nobody");
    let (what, key) = match (nobody.read.is_empty(), nobody.server.is_empty()) {
        (false, true) => ("watch", "read"),
        (true, false) => ("operate", "api"),
        _ => ("watch or operate", "read and api"),
    };
    let words = if open.nobody_operates && nobody.read.is_empty() {
        format!(
            "nobody may api, metrics or pprof there, so nobody may here. Whoever is to: name him under access.users, as in \
             [access.users.local] with from = [\"127.0.0.1\", \"::1\"] and api = true, metrics = true, pprof = true, and take \
             away access.users.{called}, which only closes it"
        )
    } else {
        format!(
            "none of those who may {what} there could be taken over, so nobody may here: name them under access.users, with \
         {key}, and take away access.users.{called}, which only closes it"
        )
    };
    let comment =
        "Has a password that nobody knows: it keeps closed what is closed there, until you name who may.";
    import.document.comment(&format!("access.users.{called}"), comment);
    users::insert(import, &called, &nobody);
    import.report.add(Part::Missing, at, words);
}
