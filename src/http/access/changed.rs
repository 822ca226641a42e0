//! Whose right ends when the configuration is read again.
//!
//! Owns the judgement of what goes on by what is written now. Pure.

use std::net::IpAddr;
use std::sync::Arc;

use sluice_config::Action;

use super::rules::{Rules, of_user};
use crate::session::right::{Proof, Right};

/// The rules before, and those that hold now.
#[derive(Debug)]
pub struct Changed {
    /// Before.
    pub before: Arc<Rules>,
    /// Now.
    pub now: Arc<Rules>,
}

impl Changed {
    /// Whether somebody at `from`, who watches `stream` by `right`, may not any more, or would have to prove it anew.
    pub fn ends(&self, right: &Right, from: IpAddr, stream: &str) -> bool {
        let (before, now) = (&self.before.config, &self.now.config);
        let stream = Some(stream);
        if right.as_of >= self.now.number || self.now.is_open(Action::Read) {
            return false;
        }
        let by_address = self.now.of_address(from.to_canonical(), Action::Read).have(stream);
        match right.proof {
            Proof::Open | Proof::Address => !by_address,
            Proof::Password => {
                let name = right.who.as_deref().unwrap_or_default();
                let password =
                    |config: &sluice_config::Access| config.users.get(name).map(|u| u.password.clone());
                let may = self
                    .now
                    .user(name)
                    .is_some_and(|(_, user)| of_user(user, from, Action::Read).have(stream));
                !by_address && (!may || password(before) != password(now))
            }
            Proof::Jwt => before.jwt != now.jwt && !by_address,
            Proof::Hook => {
                (&before.hook.url, &before.hook.actions) != (&now.hook.url, &now.hook.actions) && !by_address
            }
            // It cannot be taken back, and ends soon.
            Proof::Token => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_config::{File, Inputs};

    use super::*;

    fn rules(text: &str, number: u64) -> Arc<Rules> {
        let file = File::Text { name: "a.toml".to_owned(), text: text.to_owned() };
        let inputs = Inputs { file: Some(file), ..Inputs::default() };
        Arc::new(Rules::new(
            &sluice_config::load(inputs).unwrap_or_else(|error| panic!("{error}")).access,
            number,
        ))
    }

    const ANN: &str = "access.users.ann = { password = \"x\", read = [\"gate\"] }";
    const OTHER: &str = "access.users.bob = { password = \"x\", read = [\"gate\"] }";
    const HOOK: &str = "access.hook.url = \"http://auth.lan/\"";
    const JWT: &str = "access.jwt = { keys = \"/a.pem\", audience = \"a\" }";

    #[test]
    fn who_would_not_be_let_in_now_ends_and_nobody_else() {
        let right = |proof| Right { who: Some("ann".into()), proof, until: None, as_of: 1, key: None };
        for (before, now, proof, ends) in [
            (ANN, ANN, Proof::Password, false),
            (ANN, "", Proof::Password, false),
            (ANN, OTHER, Proof::Password, true),
            (ANN, &ANN.replace("\"x\"", "\"y\""), Proof::Password, true),
            (ANN, &ANN.replace("gate", "yard"), Proof::Password, true),
            (ANN, &ANN.replace("gate", "g*"), Proof::Password, false),
            (ANN, &format!("{OTHER}\naccess.read = [\"192.0.2.0/24\"]"), Proof::Password, false),
            ("", ANN, Proof::Open, true),
            ("", "access.read = [\"192.0.2.0/24\"]", Proof::Open, false),
            ("access.read = [\"192.0.2.0/24\"]", "access.read = [\"192.0.3.0/24\"]", Proof::Address, true),
            (JWT, JWT, Proof::Jwt, false),
            (JWT, &JWT.replace("\"a\"", "\"b\""), Proof::Jwt, true),
            (JWT, ANN, Proof::Jwt, true),
            (HOOK, &format!("{HOOK}\naccess.hook.timeout = \"3s\""), Proof::Hook, false),
            (HOOK, &HOOK.replace("auth", "other"), Proof::Hook, true),
            (ANN, OTHER, Proof::Token, false),
        ] {
            let changed = Changed { before: rules(before, 1), now: rules(now, 2) };
            let from = "192.0.2.1".parse().expect("an address");
            assert_eq!(changed.ends(&right(proof), from, "gate"), ends, "{before} -> {now} by {proof:?}");
            let newer = Right { as_of: 2, ..right(proof) };
            assert!(!changed.ends(&newer, from, "gate"), "it was given by what is written now");
        }
    }
}
