//! Who may do what, by the words of a file.

use std::net::IpAddr;

use sluice_config::{Action, File, Inputs};

use super::*;

fn rules(text: &str) -> Rules {
    let file = File::Text { name: "a.toml".to_owned(), text: text.to_owned() };
    let inputs = Inputs { file: Some(file), ..Inputs::default() };
    Rules::new(&sluice_config::load(inputs).unwrap_or_else(|error| panic!("{error}")).access, 0)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn a_listener_is_open_until_somebody_is_named_for_anything_on_it() {
    use Action::{Api, Metrics, Pprof, Publish, Read};
    let open = |text: &str| {
        Action::ALL.into_iter().filter(|action| rules(text).is_open(*action)).collect::<Vec<_>>()
    };
    let (public, private) = ([Read, Publish], [Api, Metrics, Pprof]);
    for (text, expected) in [
        ("", &[&public[..], &private].concat()[..]),
        // Somebody without a right is named for nothing.
        ("access.users.ann.password = \"x\"", &[&public[..], &private].concat()),
        ("access.read = [\"10.0.0.0/8\"]", &private),
        ("access.users.ann = { password = \"x\", publish = [\"gate\"] }", &private),
        ("access.users.ann = { from = [\"10.0.0.1\"], metrics = true }", &public),
        ("access.users.ann = { password = \"x\", read = [\"*\"], api = true }", &[]),
        ("access.hook.url = \"http://auth.lan/\"", &private),
        ("access.hook = { url = \"http://auth.lan/\", actions = [\"api\"] }", &public),
        ("access.jwt = { keys = \"/a.pem\", actions = [\"read\", \"pprof\"] }", &[]),
        ("access.jwt = { actions = [\"read\", \"pprof\"] }", &[&public[..], &private].concat()),
    ] {
        assert_eq!(open(text), expected, "{text}");
    }
}

#[test]
fn addresses_and_users_may_what_they_are_named_for_and_nothing_else() {
    let rules = rules(
        "[access]\nread = [\"198.51.100.0/24\"]\n\
         [access.users.office]\nfrom = [\"10.0.0.0/8\"]\nread = [\"gate\", \"yard-*\"]\nmetrics = true\n\
         [access.users.ann]\npassword = \"x\"\nfrom = [\"10.1.0.0/16\", \"192.0.2.1\"]\nread = [\"attic\"]\napi = true\n",
    );
    for (from, action, stream, may) in [
        ("198.51.100.9", Action::Read, Some("attic"), true),
        ("198.51.100.9", Action::Read, None, true),
        ("198.51.100.9", Action::Publish, Some("attic"), false),
        ("198.51.100.9", Action::Metrics, None, false),
        ("10.0.0.7", Action::Read, Some("yard-7"), true),
        ("::ffff:10.0.0.7", Action::Read, Some("gate"), true),
        ("10.0.0.7", Action::Read, Some("attic"), false),
        ("10.0.0.7", Action::Read, None, true),
        ("10.0.0.7", Action::Metrics, None, true),
        ("10.0.0.7", Action::Api, None, false),
        ("192.0.2.1", Action::Read, None, false),
    ] {
        assert_eq!(rules.of_address(ip(from), action).have(stream), may, "{from} {action} {stream:?}");
    }
    let (name, ann) = rules.user("ann").expect("a user with a password");
    assert_eq!(name.as_str(), "ann");
    for (from, action, stream, may) in [
        ("10.1.2.3", Action::Read, Some("attic"), true),
        ("10.1.2.3", Action::Read, Some("gate"), false),
        ("10.1.2.3", Action::Api, None, true),
        ("10.1.2.3", Action::Pprof, None, false),
        ("192.0.2.1", Action::Api, None, true),
        ("10.2.0.1", Action::Api, None, false),
        ("10.2.0.1", Action::Read, Some("attic"), false),
    ] {
        assert_eq!(of_user(ann, ip(from), action).have(stream), may, "{from} {action} {stream:?}");
    }
    assert!(rules.user("office").is_none(), "nobody can say to be an address");
    assert!(rules.user("bob").is_none());
}
