//! What the configuration says: who may do what, from where, with which streams.
//!
//! Owns the one rule of openness: a listener is open until somebody is named for anything on it. Pure: it is given who
//! asks, proved or not, and never proves it itself.

use std::net::IpAddr;
use std::sync::Arc;

use sluice_config::{Access, Action, Network, Pattern, User, UserName};

/// The rules of one configuration.
#[derive(Debug, Clone)]
pub struct Rules {
    /// As it was written.
    pub config: Access,
    /// Which configuration this is of the process, from 0.
    pub number: u64,
    /// Whether anybody is named for the public listener, and for those of operators.
    named: [bool; 2],
}

/// With which streams somebody may do something. What is about the server and not about a stream is all or none.
#[derive(Debug, Clone, PartialEq)]
pub enum Streams {
    /// With all.
    All,
    /// With those that one of these means; with none if there is none.
    Some(Arc<[Pattern]>),
}

impl Streams {
    /// None.
    pub fn none() -> Streams {
        Streams::Some(Arc::new([]))
    }

    /// All or none.
    pub fn all_if(all: bool) -> Streams {
        if all { Streams::All } else { Streams::none() }
    }

    /// Whether `stream` is among them; whether any can be, where none is named.
    pub fn have(&self, stream: Option<&str>) -> bool {
        match (self, stream) {
            (Streams::All, _) => true,
            (Streams::Some(patterns), None) => !patterns.is_empty(),
            (Streams::Some(patterns), Some(name)) => patterns.iter().any(|pattern| pattern.fits(name)),
        }
    }

    /// These and those.
    pub fn and(self, others: Streams) -> Streams {
        match (self, others) {
            (Streams::Some(own), Streams::Some(others)) if others.is_empty() => Streams::Some(own),
            (Streams::Some(own), Streams::Some(others)) => {
                Streams::Some(own.iter().chain(others.iter()).cloned().collect())
            }
            _ => Streams::All,
        }
    }
}

impl Rules {
    /// The rules of `[access]`.
    pub fn new(config: &Access, number: u64) -> Rules {
        let of_stream = |action: &Action| action.is_of_stream();
        let given = [
            (&config.jwt.actions, config.jwt.keys.is_some()),
            (&config.hook.actions, config.hook.url.is_some()),
        ];
        let outside = |public: bool| {
            given.iter().any(|(actions, is_set)| *is_set && actions.iter().any(|a| of_stream(a) == public))
        };
        let users = || config.users.values();
        let viewers = users().any(|user| !user.read.is_empty() || !user.publish.is_empty());
        let operators = users().any(|user| user.api || user.metrics || user.pprof);
        let named = [!config.read.is_empty() || viewers || outside(true), operators || outside(false)];
        Rules { config: config.clone(), number, named }
    }

    /// Whether everybody may who reaches the listener that it is on.
    pub fn is_open(&self, action: Action) -> bool {
        !self.named[usize::from(!action.is_of_stream())]
    }

    /// Whether a password or a token can change anything, or the address alone decides.
    pub fn asks(&self, action: Action) -> bool {
        let Access { jwt, hook, users, .. } = &self.config;
        users.values().any(|user| user.password.is_some() && rights(user, action).have(None))
            || jwt.keys.is_some() && jwt.actions.contains(&action)
            || hook.url.is_some() && hook.actions.contains(&action)
    }

    /// Whether everybody may, wherever he comes from.
    pub fn is_for_every_address(&self, action: Action) -> bool {
        let every = |is_ipv4| {
            let mut networks = self.config.read.iter();
            networks.any(|network| network.is_every_address() && network.is_ipv4() == is_ipv4)
        };
        action == Action::Read && every(true) && every(false)
    }

    /// Whether whoever comes from some address may, without a name.
    pub fn names(&self, action: Action) -> bool {
        let groups = || self.config.users.values().filter(|user| user.password.is_none());
        action == Action::Read && !self.config.read.is_empty()
            || groups().any(|user| rights(user, action).have(None))
    }

    /// What whoever comes from there may, without a name.
    pub fn of_address(&self, from: IpAddr, action: Action) -> Streams {
        if action == Action::Read && among(&self.config.read, from) {
            return Streams::All;
        }
        let groups = self.config.users.values().filter(|user| user.password.is_none());
        groups.fold(Streams::none(), |streams, user| streams.and(of_user(user, from, action)))
    }

    /// A user with a password.
    pub fn user(&self, name: &str) -> Option<(&UserName, &User)> {
        self.config.users.get_key_value(name).filter(|(_, user)| user.password.is_some())
    }
}

/// What a user may who proved to be it.
pub fn of_user(user: &User, from: IpAddr, action: Action) -> Streams {
    if !user.from.is_empty() && !among(&user.from, from) {
        return Streams::none();
    }
    rights(user, action)
}

/// What a user may, wherever it comes from.
fn rights(user: &User, action: Action) -> Streams {
    match action {
        Action::Read => Streams::Some(user.read.as_slice().into()),
        Action::Publish => Streams::Some(user.publish.as_slice().into()),
        Action::Api => Streams::all_if(user.api),
        Action::Metrics => Streams::all_if(user.metrics),
        Action::Pprof => Streams::all_if(user.pprof),
    }
}

fn among(networks: &[Network], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(address))
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
