//! Who may do what. A handler of what is not for everybody takes the [`Grant`] that its request was given.
//!
//! Owns the decision, at one place and before a body is read: by address first, because that costs nothing, then by
//! what a request proves about who sends it. What the configuration says is read in `rules`; how a proof is checked in a
//! file for each kind. A shell: it reads the clock, and refusals take their time.
#![expect(clippy::disallowed_methods, reason = "this file is a shell: it reads the clock and waits")]

mod audit;
mod changed;
mod credentials;
mod denied;
mod hook;
pub mod issue;
mod jwt;
pub mod keys;
mod listed;
pub mod open;
pub mod operators;
pub mod passwords;
pub mod rules;
mod throttle;
mod token;
pub mod watch;

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock, RwLock};
use std::time::{Duration, Instant, SystemTime};

use axum::http::header;
use sluice_config::{Action, Pattern, Secret, User};
use tokio::sync::Notify;

use self::audit::{Audit, Decision};
use self::changed::Changed;
use self::credentials::Credentials;
use self::denied::Denied;
use self::hook::{Hook, Question};
use self::jwt::JwtError;
use self::keys::KeyStore;
use self::passwords::Passwords;
use self::rules::{Rules, Streams, of_user};
use self::throttle::{Guess, Not, Throttle};
use self::token::{TokenError, Tokens};
use super::problem::Problem;
use super::request::Head;
use crate::client::Client;
use crate::contain::{read, write};
use crate::count::access::{Decisions, Outcome};
use crate::http::ask::Client as Asking;
use crate::session::right::{Proof, Right};

/// The least that a refusal of a name and a password takes: longer than a hash, so that its time does not tell whether
/// there is such a user. Raising it slows people who mistype, and guessers.
const REFUSAL: Duration = Duration::from_millis(300);

/// That somebody may do something. Only [`Access`] makes one, so no handler can be reached without.
#[derive(Debug, Clone)]
pub struct Grant {
    right: Right,
    streams: Streams,
    /// Of a list: these alone.
    listed: Option<Arc<HashSet<String>>>,
}

impl Grant {
    fn new(right: Right, streams: Streams) -> Grant {
        Grant { right, streams, listed: None }
    }

    /// Who it is, how that was proved, and until when it holds.
    pub fn right(&self) -> &Right {
        &self.right
    }

    /// Whether it holds for a stream.
    pub fn holds_for(&self, stream: &str) -> bool {
        self.streams.have(Some(stream)) && self.listed.as_ref().is_none_or(|listed| listed.contains(stream))
    }

    /// Whether it holds for every stream.
    pub fn holds_for_all(&self) -> bool {
        self.streams == Streams::All && self.listed.is_none()
    }
}

/// What somebody asks to do.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// What.
    pub action: Action,
    /// With which stream; with any, where it is none.
    pub stream: Option<&'a str>,
    /// Whether it only looks at something, again and again perhaps.
    pub looks: bool,
}

/// What decides by one configuration.
#[derive(Clone)]
struct Judge {
    rules: Arc<Rules>,
    keys: Option<Arc<KeyStore>>,
    hook: Option<Arc<Hook>>,
}

/// What another configuration needs that may fail.
pub struct Next {
    /// Its keys, if they are others.
    keys: Option<Option<Arc<KeyStore>>>,
}

/// Decides.
pub struct Access {
    judge: RwLock<Judge>,
    /// The last change of them, and when it was.
    changed: RwLock<Option<(Arc<Changed>, Instant)>>,
    tokens: Tokens,
    passwords: Passwords,
    throttle: Throttle,
    audit: Audit,
    /// What asks other servers, made when one has to be asked: it reads the certificates of the machine.
    asking: LazyLock<Asking>,
    /// Another judge is there.
    another: Notify,
}

/// What a request says of itself, as far as access goes.
#[derive(Clone, Copy)]
struct From<'a> {
    address: IpAddr,
    credentials: &'a Credentials,
    head: &'a Head,
}

/// What the other server is told of a request.
struct Said<'a> {
    address: IpAddr,
    name: &'a str,
    password: &'a str,
    token: Cow<'a, str>,
    query: &'a str,
    agent: &'a str,
}

impl<'a> Said<'a> {
    fn of(from: From<'a>) -> Said<'a> {
        let From { address, credentials, head } = from;
        let (name, password, token) = credentials.parts();
        let token = match (name, token) {
            ("", "") => credentials::token_of(head.query.as_deref()).into(),
            _ => token.into(),
        };
        let agent = head.headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        let (query, agent) = (head.query.as_deref().unwrap_or_default(), agent.unwrap_or_default());
        Said { address, name, password, token, query, agent }
    }

    fn question<'b>(&'b self, what: (Action, Option<&'b str>)) -> Question<'b> {
        let who = (self.name, self.password, &*self.token);
        Question::new(self.address, who, what, (self.query, self.agent))
    }
}

impl Access {
    /// By this configuration; decisions are counted there.
    pub fn new(config: &sluice_config::Access, decisions: Arc<Decisions>) -> Access {
        Access {
            judge: RwLock::new(Judge {
                rules: Arc::new(Rules::new(config, 0)),
                keys: KeyStore::new(&config.jwt),
                hook: Hook::new(&config.hook),
            }),
            changed: RwLock::default(),
            tokens: Tokens::default(),
            passwords: Passwords::default(),
            throttle: Throttle::default(),
            audit: Audit::new(decisions),
            asking: LazyLock::new(Asking::new),
            another: Notify::new(),
        }
    }

    /// What it takes to decide by another configuration: what may fail, fails here.
    ///
    /// # Errors
    ///
    /// The keys of tokens cannot be read; why, in words.
    pub async fn judge(&self, config: &sluice_config::Access) -> Result<Next, String> {
        // What is not changed keeps what it knows.
        let is_same = read(&self.judge).rules.config.jwt == config.jwt;
        let keys = if is_same { None } else { Some(KeyStore::next(&config.jwt).await?) };
        Ok(Next { keys })
    }

    /// Decides by another configuration from now on, which was judged before. Whose sessions end is for [`watch`].
    pub fn change(&self, config: &sluice_config::Access, next: Next) {
        let mut judge = write(&self.judge);
        let before = judge.rules.clone();
        if before.config == *config {
            return;
        }
        judge.rules = Arc::new(Rules::new(config, before.number + 1));
        if let Some(keys) = next.keys {
            judge.keys = keys;
        }
        if before.config.hook != config.hook {
            judge.hook = Hook::new(&config.hook);
        }
        let changed = Changed { before, now: judge.rules.clone() };
        *write(&self.changed) = Some((Arc::new(changed), Instant::now()));
        self.another.notify_one();
    }

    /// Has what is read from elsewhere read again, as whoever reloads expects.
    pub fn look_again(&self) {
        if let Some(keys) = &read(&self.judge).keys {
            keys.look();
        }
    }

    /// Keeps the keys of tokens up to date, for as long as it is polled.
    async fn keep_keys(&self) {
        loop {
            let keys = read(&self.judge).keys.clone();
            match keys {
                Some(keys) => tokio::select! {
                    () = keys.keep(&self.asking) => {}
                    () = self.another.notified() => {}
                },
                None => self.another.notified().await,
            }
        }
    }

    /// Whether whoever sent this may do what is asked.
    ///
    /// # Errors
    ///
    /// 401 where a name, a password or a token could help; 403 where it is known who asks, and that is no use; 429 and
    /// 503 with a time to try again.
    pub async fn ask(&self, head: &Head, asked: Asked<'_>) -> Result<Grant, Problem> {
        let judge = read(&self.judge).clone();
        let address = head.client.to_canonical();
        let credentials = Credentials::of(&head.headers, head.query.as_deref());
        let from = From { address, credentials: &credentials, head };
        let judged = self.decide(&judge, from, asked).await;
        let (who, outcome, why) = match &judged {
            Ok(grant) => (grant.right.who.as_deref(), Outcome::Allowed, grant.right.proof.name()),
            Err(denied) => (denied.who.as_deref(), denied.outcome, &*denied.why),
        };
        let masked = match &judged {
            Err(denied) if !denied.is_proved => {
                who.filter(|who| !judge.rules.config.users.contains_key(*who))
            }
            _ => None,
        };
        let masked = masked.map(|name| self.audit.stranger(name));
        let who = masked.as_deref().or(who);
        let Asked { action, stream, looks } = asked;
        // Of what everybody may there is nothing to tell.
        let looks = looks || judged.as_ref().is_ok_and(|grant| grant.right.proof == Proof::Open);
        let from = address;
        self.audit.tell(Instant::now(), &Decision { who, from, action, stream, outcome, why, looks });
        judged.map_err(|denied| denied.problem(head, asked, &credentials))
    }

    async fn decide(&self, judge: &Judge, from: From<'_>, asked: Asked<'_>) -> Result<Grant, Denied> {
        let rules = &judge.rules;
        let Asked { action, stream, .. } = asked;
        let nameless = |proof| Right::nameless(proof, rules.number);
        if rules.is_open(action) {
            return Ok(Grant::new(nameless(Proof::Open), Streams::All));
        }
        let of_address = rules.of_address(from.address, action);
        // A list may grow by what a name adds to it; anything else there is either a right to or not.
        let may_grow = stream.is_none() && of_address != Streams::All && from.credentials.say_something();
        if of_address.have(stream) && !may_grow {
            return Ok(Grant::new(nameless(Proof::Address), of_address));
        }
        let (right, streams) = self.prove(judge, from, asked).await?;
        let streams = of_address.and(streams);
        if !streams.have(stream) {
            return Err(Denied::forbidden(right.who));
        }
        Ok(Grant::new(right, streams))
    }

    /// Who sent these credentials, and with which streams that one may do what is asked.
    async fn prove(
        &self,
        judge: &Judge,
        from: From<'_>,
        asked: Asked<'_>,
    ) -> Result<(Right, Streams), Denied> {
        let rules = &judge.rules;
        let nameless = |proof| Right::nameless(proof, rules.number);
        let hook = judge.hook.as_ref().filter(|_| rules.config.hook.actions.contains(&asked.action));
        let keys = judge.keys.as_ref().filter(|_| rules.config.jwt.actions.contains(&asked.action));
        match (from.credentials, keys, hook) {
            (Credentials::Unreadable(fault), ..) => Err(Denied::wrong("", fault.why())),
            (Credentials::Token(token), ..) => {
                let (streams, until) = self.token(token, asked.action)?;
                Ok((Right { until: Some(until), ..nameless(Proof::Token) }, streams))
            }
            _ if !rules.asks(asked.action) => Err(Denied::address()),
            (Credentials::Password { name, password }, ..) if rules.user(name).is_some() => {
                self.user(rules, from, (name, password), asked.action).await
            }
            (Credentials::Bearer(token) | Credentials::Password { password: token, .. }, Some(keys), _)
                if jwt::is_one(token.expose()) =>
            {
                self.jwt(rules, keys, token, asked.action).await
            }
            (credentials, _, Some(hook)) => {
                let yes = self.hook(hook, from, asked).await?;
                let who = Some(credentials.parts().0).filter(|name| !name.is_empty()).map(Arc::from);
                match (yes, credentials) {
                    (true, _) => Ok((Right { who, ..nameless(Proof::Hook) }, named(asked.stream))),
                    (false, Credentials::None) if !is_guess(from) => Err(Denied::unknown()),
                    (false, _) => {
                        Err(Denied::wrong(who.as_deref().unwrap_or_default(), "access.hook says no"))
                    }
                }
            }
            (Credentials::None, ..) => Err(Denied::unknown()),
            (Credentials::Password { name, password }, ..) => {
                self.password(None, password, from.address, name).await?;
                Err(Denied::wrong(name, "wrong name or password"))
            }
            (Credentials::Bearer(_), ..) => Err(Denied::wrong("", "no such token is taken")),
        }
    }

    /// A user of the configuration.
    async fn user(
        &self,
        rules: &Rules,
        from: From<'_>,
        (name, password): (&str, &Secret),
        action: Action,
    ) -> Result<(Right, Streams), Denied> {
        let user = rules.user(name);
        let right = self.password(user.map(|(_, user)| user), password, from.address, name).await?;
        let (name, user) =
            user.filter(|_| right).ok_or_else(|| Denied::wrong(name, "wrong name or password"))?;
        let right =
            Right { who: Some(name.as_str().into()), ..Right::nameless(Proof::Password, rules.number) };
        Ok((right, of_user(user, from.address, action)))
    }

    /// Whoever somebody else signed a token for.
    async fn jwt(
        &self,
        rules: &Rules,
        store: &KeyStore,
        token: &Secret,
        action: Action,
    ) -> Result<(Right, Streams), Denied> {
        let check = |keys: &jwt::Keys| keys.check(token.expose(), &rules.config.jwt, action);
        let known = match store.keys() {
            Some(keys) => Some(keys),
            None => store.better_than(None).await,
        };
        let known = known.ok_or_else(|| Denied::unavailable("there are no keys yet (access.jwt.keys)"))?;
        let checked = match check(&known) {
            // It may have been made with a key that is newer than our copy of the set.
            Err(JwtError::UnknownKey) => match store.better_than(Some(&known)).await {
                Some(keys) => check(&keys),
                None => Err(JwtError::UnknownKey),
            },
            checked => checked,
        };
        let given = checked.map_err(|error| match error {
            JwtError::Expired => Denied::expired(),
            other => Denied::wrong("", format!("token: {other}")),
        })?;
        let right = Right {
            who: given.who.as_deref().map(|who| sluice_media::shown(who).into()),
            until: Some(given.until),
            key: Some(given.key),
            ..Right::nameless(Proof::Jwt, rules.number)
        };
        Ok((right, given.streams))
    }

    /// Whether another server says yes to whoever this is. Names and passwords are guessed there at the pace of here.
    async fn hook(&self, hook: &Hook, from: From<'_>, asked: Asked<'_>) -> Result<bool, Denied> {
        let (now, client) = (Instant::now(), Client::of(from.address));
        let said = Said::of(from);
        let question = said.question((asked.action, asked.stream));
        if let Some(yes) = hook.remembers(&question, now) {
            return Ok(yes);
        }
        // It is given the query, too, so a secret may be in there.
        let guess = match is_guess(from) {
            true => Some(self.guess(client, said.name).await?),
            false => None,
        };
        // It may have been asked for somebody who came before.
        if let Some(yes) = hook.remembers(&question, Instant::now()) {
            guess.into_iter().for_each(Guess::give_back);
            return Ok(yes);
        }
        let asking: &Asking = &self.asking;
        let answer = hook.ask(asking, &question, now).await;
        if !matches!(answer, Ok(false)) {
            guess.into_iter().for_each(Guess::give_back);
        }
        answer.map_err(|error| Denied::unavailable(format!("access.hook: {error}")))
    }

    /// Has `client` charged for what may be a guess, once it may try one.
    async fn guess(&self, client: Client, name: &str) -> Result<Guess<'_>, Denied> {
        loop {
            match self.throttle.guess(client, Instant::now()) {
                Ok(guess) => return Ok(guess),
                Err(Not::Before(wait)) => return Err(Denied::slowed(name, wait)),
                Err(Not::Crowded) => return Err(Denied::busy(name)),
                Err(Not::Until(done)) => done.await,
            }
        }
    }

    fn token(&self, token: &Secret, action: Action) -> Result<(Streams, SystemTime), Denied> {
        self.tokens.check(token.expose(), action, SystemTime::now()).map_err(|error| match error {
            TokenError::Expired => Denied::expired(),
            TokenError::Unknown => Denied::wrong("", "the token is not ours, or of an earlier start"),
        })
    }

    /// Whether it is that user's password, or none's; not before its time, if it is not.
    async fn password(
        &self,
        user: Option<&User>,
        given: &Secret,
        from: IpAddr,
        name: &str,
    ) -> Result<bool, Denied> {
        let (began, client) = (Instant::now(), Client::of(from));
        let password = user.and_then(|user| user.password.as_ref());
        let is_known = |now| password.is_some_and(|password| self.passwords.remembers(password, given, now));
        if is_known(began) {
            return Ok(true);
        }
        let guess = self.guess(client, name).await?;
        if is_known(Instant::now()) {
            guess.give_back();
            return Ok(true);
        }
        let checked = self.passwords.check(password, given, began).await;
        if !matches!(checked, Ok(false)) {
            guess.give_back();
        } else {
            drop(guess);
            tokio::time::sleep(REFUSAL.saturating_sub(began.elapsed())).await;
        }
        checked.map_err(|_| Denied::busy(name))
    }
}

/// Whether what somebody sent may be a guess at a secret, where another server judges it.
fn is_guess(from: From<'_>) -> bool {
    *from.credentials != Credentials::None || from.head.query.as_ref().is_some_and(|query| !query.is_empty())
}

/// The stream that is asked for; every one, where none is named.
fn named(stream: Option<&str>) -> Streams {
    let literal =
        |name: &str| name.parse::<Pattern>().map_or_else(|_| Streams::none(), |p| Streams::Some([p].into()));
    stream.map_or(Streams::All, literal)
}

impl Proof {
    /// Its word in a line of the log.
    fn name(self) -> &'static str {
        match self {
            Proof::Open => "open",
            Proof::Address => "address",
            Proof::Password => "password",
            Proof::Token => "token",
            Proof::Jwt => "jwt",
            Proof::Hook => "hook",
        }
    }
}
