//! Keys of `[access]` and of its users.

use std::time::Duration;

use super::{Draft, HOUR, MINUTE, NETWORKS, TENTH, each, key, plain};
use crate::{
    JwtAlgorithm, Password,
    Reload::Live,
    User, UserName, parse,
    resolve::{Key, Repeated, Schema},
    value::{Kind, Refusal},
};

const ACTIONS: &str = "read, publish, api, metrics, pprof";
const CLAIM: &str = "\"\" for anything, or what the claim must be";
const STREAMS_MEANT: &str = "names of streams, with * for anything, or ~ and a regular expression";

// The casts below are within the range that stands beside them.
pub(super) static KEYS: &[Key<Draft>] = &[
    key(
        "access.read",
        "[]",
        Live,
        Kind::List(NETWORKS, |d, v| each(v, parse::network).map(|networks| d.config.access.read = networks)),
    ),
    key(
        "access.jwt.keys",
        "\"\"",
        Live,
        Kind::Text("\"\" for none, or the path of a PEM or JWKS file, or the URL of a JWKS", |d, v| {
            parse::key_source(v).map(|keys| d.config.access.jwt.keys = keys)
        }),
    ),
    key(
        "access.jwt.algorithm",
        "\"auto\"",
        Live,
        Kind::Choice(&parse::JWT_ALGORITHMS, |d, v| {
            d.config.access.jwt.algorithm = v.checked_sub(1).map(|at| JwtAlgorithm::ALL[at]);
        }),
    ),
    key(
        "access.jwt.issuer",
        "\"\"",
        Live,
        Kind::Text(CLAIM, |d, v| plain(v, &mut d.config.access.jwt.issuer)),
    ),
    key(
        "access.jwt.audience",
        "\"\"",
        Live,
        Kind::Text(CLAIM, |d, v| plain(v, &mut d.config.access.jwt.audience)),
    ),
    key(
        "access.jwt.claim",
        "\"sluice\"",
        Live,
        Kind::Text("the name of a claim", |d, v| match v {
            "" => Err(Refusal::new("a claim has a name").meant("sluice")),
            name => plain(name, &mut d.config.access.jwt.claim),
        }),
    ),
    key(
        "access.jwt.actions",
        "[\"read\", \"publish\"]",
        Live,
        Kind::List(ACTIONS, |d, v| {
            each(v, parse::action).map(|actions| d.config.access.jwt.actions = actions)
        }),
    ),
    key(
        "access.hook.url",
        "\"\"",
        Live,
        Kind::Text("\"\" for none, or an http:// or https:// URL", |d, v| {
            parse::web_url(v).map(|url| d.config.access.hook.url = url)
        }),
    ),
    key(
        "access.hook.timeout",
        "\"2s\"",
        Live,
        Kind::Duration(TENTH, MINUTE, |d, v| d.config.access.hook.timeout = v),
    ),
    key(
        "access.hook.cache",
        "\"10s\"",
        Live,
        Kind::Duration(Duration::ZERO, HOUR, |d, v| d.config.access.hook.cache = v),
    ),
    key(
        "access.hook.concurrency",
        "32",
        Live,
        Kind::Integer(1, 1_000, |d, v| d.config.access.hook.concurrency = v as u32),
    ),
    key(
        "access.hook.actions",
        "[\"read\", \"publish\"]",
        Live,
        Kind::List(ACTIONS, |d, v| {
            each(v, parse::action).map(|actions| d.config.access.hook.actions = actions)
        }),
    ),
];

const fn of_user(path: &'static str, kind: Kind<User>) -> Key<User> {
    Key { path, default: None, reload: Live, kind }
}

static USER_KEYS: [Key<User>; 7] = [
    of_user(
        "password",
        Kind::Text("what `sluice hash` prints, or the password itself", |user, v| {
            Password::parse(v).map(|password| user.password = Some(password))
        }),
    ),
    of_user(
        "from",
        Kind::List(NETWORKS, |user, v| each(v, parse::network).map(|networks| user.from = networks)),
    ),
    of_user(
        "read",
        Kind::List(STREAMS_MEANT, |user, v| each(v, parse::pattern).map(|streams| user.read = streams)),
    ),
    of_user(
        "publish",
        Kind::List(STREAMS_MEANT, |user, v| each(v, parse::pattern).map(|streams| user.publish = streams)),
    ),
    of_user("api", Kind::Bool(|user, v| user.api = v)),
    of_user("metrics", Kind::Bool(|user, v| user.metrics = v)),
    of_user("pprof", Kind::Bool(|user, v| user.pprof = v)),
];

pub(super) static USERS: Repeated<Draft, User, UserName> = Repeated {
    path: "access.users",
    rows: false,
    one: "a user",
    name: str::parse,
    enter: |draft, name| draft.config.access.users.entry(name.clone()).or_default(),
    schema: Schema { keys: &[&USER_KEYS], repeated: &[] },
};
