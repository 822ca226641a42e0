//! Sources of streams that are made when somebody asks for their name: a URL in which `$1` to `$9` stand for what the groups
//! of the pattern found in it.
//!
//! Owns what a name may put into a URL, which is nothing but the part that is left to it: a name never chooses another
//! host, port, user or folder than the author of the URL meant to be chosen.
//!
//! | where `$1` stands | what it may be there |
//! |---|---|
//! | in the host | letters, digits, `-`: no dot, so that it stays within one label of a name. One number of an address, where the rest is numbers |
//! | in user name or password | anything that a name has |
//! | in the path | as a name: parts between `/`, none empty and none with a dot in front |
//! | behind `?` | anything that a name has; `/` is encoded |

use std::net::Ipv4Addr;

use crate::{Credentials, RtspUrl, Secret, Source, redact::secret_parameters};

/// Where in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Host,
    Path,
    Query,
}

impl Place {
    /// Of the byte `at` in a URL without user and password.
    fn of(url: &str, at: usize) -> Place {
        let host = url.find("://").map_or(0, |end| end + 3);
        let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |end| host + end);
        match url[end..].find('?') {
            _ if at < end => Place::Host,
            Some(query) if at > end + query => Place::Query,
            _ => Place::Path,
        }
    }

    /// What a group found as it stands there, if it may.
    fn fill(self, found: &str) -> Option<String> {
        if found.is_empty() {
            return None;
        }
        match self {
            Place::Host => {
                let stays = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                found.bytes().all(stays).then(|| found.to_owned())
            }
            Place::Query => Some(found.replace('/', "%2F")),
            Place::Path => {
                let is_part = |part: &str| !part.is_empty() && !part.starts_with('.');
                found.split('/').all(is_part).then(|| found.to_owned())
            }
        }
    }
}

/// The places of `$0` to `$9` in a text, each with its number.
fn places(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let digit = |at: usize| text.as_bytes().get(at + 1).filter(|byte| byte.is_ascii_digit());
    text.match_indices('$').filter_map(move |(at, _)| Some((at, usize::from(digit(at)? - b'0'))))
}

/// A text with `fill` for its groups.
fn filled(text: &str, fill: impl Fn(usize, usize) -> Option<String>) -> Option<String> {
    let (mut made, mut rest) = (String::with_capacity(text.len()), 0);
    for (at, group) in places(text) {
        made.push_str(&text[rest..at]);
        made.push_str(&fill(at, group)?);
        rest = at + 2;
    }
    made.push_str(&text[rest..]);
    Some(made)
}

/// Whether nothing but numbers and dots stands around the groups: then only an IPv4 address may come of it.
fn is_numeric(host: &str) -> bool {
    let fixed = filled(host, |_, _| Some(String::new())).unwrap_or_default();
    !fixed.is_empty() && fixed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Whether a resolver may take it for an IPv4 address, in whatever form it has for one: `10.0.0.1`, `10.1`, `0x7f000001`.
fn ends_in_number(host: &str) -> bool {
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    match last.strip_prefix("0x").or_else(|| last.strip_prefix("0X")) {
        Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

/// Whether what came of a host is what its author meant: an address of his network, or a name.
fn is_meant(host: &str, made: &str) -> bool {
    let is_address = || made.parse::<Ipv4Addr>().is_ok();
    places(host).next().is_none() || is_address() || !(is_numeric(host) || ends_in_number(made))
}

/// Whether a host lets a name choose the network that the camera is in, and so who is told its password.
fn check_host(host: &str) -> Result<(), String> {
    let Some((_, group)) = places(host).next() else { return Ok(()) };
    let labels: Vec<&str> = host.split('.').collect();
    let is_open = |label: &&str| places(label).next().is_some();
    let (first, last) = (labels.first().is_some_and(is_open), labels.last().is_some_and(is_open));
    let is_bare = filled(host, |_, _| Some(String::new())).is_some_and(|fixed| fixed.is_empty());
    let way_out = "write `10.0.0.$1` for one network, `$1.cams.lan` for names of one domain, or `cam-$1`";
    match labels.len() {
        4 if is_numeric(host) && !first => Ok(()),
        4 if is_numeric(host) => {
            Err(format!("`${group}` chooses the network that the camera is in: {way_out}"))
        }
        _ if is_numeric(host) => {
            Err(format!("no address comes of the host, which has not four numbers: {way_out}"))
        }
        1 if !is_bare => Ok(()),
        _ if last => Err(format!("whoever asks for a name chooses by `${group}` any host at all: {way_out}")),
        _ => Ok(()),
    }
}

/// How a `$` is written that stands for itself.
const ITSELF: &str = "a `$` itself is written %24";

/// Whether a source asks of a pattern with `groups` groups for none that it has not, and leaves a name no choice of network.
///
/// # Errors
///
/// What it asks for, and what there is. Holds no secret.
pub(crate) fn check(source: &Source, groups: usize) -> Result<(), String> {
    for camera in source.cameras() {
        let (userinfo, url) = (camera.userinfo.expose(), camera.url.as_str());
        for (at, _) in userinfo.match_indices('$') {
            check_group(&userinfo[at + 1..], groups, true)?;
        }
        let secrets = secret_parameters(url);
        for (at, _) in url.match_indices('$') {
            let is_secret = secrets.iter().any(|secret| secret.contains(&at));
            check_group(&url[at + 1..], groups, is_secret)?;
        }
        check_host(camera.url.host_str().unwrap_or_default())?;
    }
    Ok(())
}

/// Whether what stands behind a `$` is the number of a group. Of what may be a secret no more than a number is said.
fn check_group(behind: &str, groups: usize, is_secret: bool) -> Result<(), String> {
    let number = |text: &str| text.chars().next().and_then(|c| c.to_digit(10)).map(|digit| digit as usize);
    let there = match groups {
        0 => "the pattern has no group, which is a part of it in (parentheses)".to_owned(),
        1 => "the pattern has one group, which is $1".to_owned(),
        _ => format!("the pattern has {groups} groups, $1 to ${}", groups.min(9)),
    };
    if let Some(group) = number(behind) {
        let is_there = (1..=groups).contains(&group);
        return if is_there { Ok(()) } else { Err(format!("there is no `${group}`: {there}; {ITSELF}")) };
    }
    if let Some(group) = behind.strip_prefix('G').and_then(number) {
        return Err(format!("`$G{group}` is how MediaMTX writes it: write `${group}`"));
    }
    // A brace in a path is encoded by whoever reads the URL.
    let braced = behind.strip_prefix('{').or_else(|| behind.strip_prefix("%7B"));
    if let Some(group) = braced.and_then(number) {
        return Err(format!("`${{{group}}}` stands for no group: write `${group}`; {ITSELF}"));
    }
    let word: String =
        behind.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').take(16).collect();
    let what = match is_secret || word.is_empty() {
        true => "a `$` without a number".to_owned(),
        false => format!("`${word}`"),
    };
    Err(format!("{what} stands for nothing: {there}; {ITSELF}"))
}

/// The source for what the groups found, the first at 0; nothing if a name may not say that.
pub(crate) fn fill(source: &Source, found: &[Option<&str>]) -> Option<Source> {
    source.map_cameras(|camera| fill_camera(camera, found))
}

fn fill_camera(camera: &RtspUrl, found: &[Option<&str>]) -> Option<RtspUrl> {
    let of = |group: usize| found.get(group.checked_sub(1)?).copied().flatten();
    let url = camera.url.as_str();
    let text = filled(url, |at, group| Place::of(url, at).fill(of(group)?))?;
    let made: RtspUrl = text.parse().ok()?;
    // Whatever a reader of URLs makes of it: it may not be another place than the text says.
    if made.url.as_str() != text || made.credentials.is_some() {
        return None;
    }
    let host = |url: &RtspUrl| url.url.host_str().unwrap_or_default().to_owned();
    if !is_meant(&host(camera), &host(&made)) {
        return None;
    }
    // A name has no character that would mean something else there.
    let userinfo = filled(camera.userinfo.expose(), |_, group| of(group).map(str::to_owned))?;
    let userinfo = Secret::from(userinfo.as_str());
    let credentials = Credentials::read(&userinfo).ok()?;
    Some(RtspUrl { credentials, userinfo, ..made })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::Rtsp(text.parse::<RtspUrl>().expect(text).into())
    }

    fn made(text: &str, found: &[&str]) -> Option<String> {
        let source = source(text);
        check(&source, found.len()).expect(text);
        let found: Vec<Option<&str>> = found.iter().map(|found| Some(*found)).collect();
        let made = fill(&source, &found)?;
        made.cameras().next().map(RtspUrl::expose)
    }

    #[test]
    fn a_name_fills_the_part_that_is_left_to_it() {
        for (text, found, url) in [
            ("rtsp://10.0.0.$1/main", &["17"][..], "rtsp://10.0.0.17/main"),
            ("rtsp://10.$1.0.$2:8055/", &["1", "2"], "rtsp://10.1.0.2:8055/"),
            ("rtsp://cam-$1.lan/h264?channel=$1", &["gate-2"], "rtsp://cam-gate-2.lan/h264?channel=gate-2"),
            ("rtsp://cam-$1/", &["gate"], "rtsp://cam-gate/"),
            ("rtsp://$1.lan/", &["0x7f"], "rtsp://0x7f.lan/"),
            ("rtsp://10.0.0.1$1/", &["7"], "rtsp://10.0.0.17/"),
            ("rtsp://origin:8554/$1", &["site1/gate.2"], "rtsp://origin:8554/site1/gate.2"),
            ("rtsp://h/?a=$1", &["b/c"], "rtsp://h/?a=b%2Fc"),
            ("rtsp://u$1:canary$2@h/", &["a", "b"], "rtsp://ua:canaryb@h/"),
            // A dollar of its own.
            ("rtsp://h/%24$1?a=%24", &["b"], "rtsp://h/%24b?a=%24"),
            ("rtsp://u%241:canary%24$1@h/", &["b"], "rtsp://u%241:canary%24b@h/"),
        ] {
            assert_eq!(made(text, found).as_deref(), Some(url), "{text} {found:?}");
        }
    }

    #[test]
    fn a_name_chooses_nothing_else() {
        for (text, found) in [
            // Another host, by a dot; another address, by a number that is none.
            ("rtsp://10.0.0.$1/", "5.evil"),
            ("rtsp://10.0.0.$1/", "300"),
            ("rtsp://10.0.0.$1/", "5/x"),
            ("rtsp://cam-$1/", "a.b"),
            ("rtsp://10.0.0.$1/", ""),
            // A name below a public one, and an address in another form.
            ("rtsp://10.0.0.$1/", "com"),
            ("rtsp://10.0.0.$1/", "5-a"),
            ("rtsp://10.0.0.$1/", "0x1"),
            ("rtsp://10.0.0.$1/", "017"),
            ("rtsp://10.0.$1.1/", "a"),
            ("rtsp://0x$1/", "7f000001"),
            ("rtsp://0X$1/", "A9FEA9FE"),
            ("rtsp://x$1.0x7f/", "1"),
            ("rtsp://x$1.7./", "1"),
            // Out of its folder.
            ("rtsp://h/cams/$1", ".."),
            ("rtsp://h/cams/$1/x", "a/../b"),
            ("rtsp://h/cams/.$1", "./x"),
            ("rtsp://h/cams/.$1", "/x"),
            ("rtsp://h/cams/$1", "a//b"),
            ("rtsp://h/cams/$1", ""),
            ("rtsp://h/?c=$1", ""),
        ] {
            assert_eq!(made(text, &[found]), None, "{text} {found}");
        }
        assert!(fill(&source("rtsp://h/$1"), &[None]).is_none(), "the group found nothing");
    }

    #[test]
    fn a_host_that_a_name_could_choose_is_refused() {
        for (text, why) in [
            ("rtsp://u:canary@$1/", "by `$1` any host at all"),
            ("rtsp://u:canary@$2$1/", "by `$2` any host at all"),
            ("rtsp://u:canary@cams.$1:8554/", "any host at all"),
            ("rtsp://u:canary@10.0.0.x$1/", "any host at all"),
            ("rtsp://u:canary@10.0.0.0x$1/", "any host at all"),
            ("rtsp://u:canary@10.$1/", "not four numbers"),
            ("rtsp://u:canary@1$1/", "not four numbers"),
            ("rtsp://u:canary@10.0.0.$1./", "not four numbers"),
            ("rtsp://u:canary@$1.0.0.1/", "`$1` chooses the network"),
            ("rtsp://u:canary@$1.$2.$1.$2/", "`$1` chooses the network"),
        ] {
            let said = check(&source(text), 2).expect_err(text);
            assert!(said.contains(why) && said.contains("`10.0.0.$1`"), "{text}: {said}");
            assert!(!said.contains("canary"), "{text}: {said}");
        }
    }

    #[test]
    fn a_group_that_is_none_is_said_without_secrets() {
        for (text, groups, why) in [
            (
                "rtsp://u:canary@h/$9",
                1,
                "there is no `$9`: the pattern has one group, which is $1; a `$` itself",
            ),
            ("rtsp://u:canary$1@h/", 0, "there is no `$1`: the pattern has no group"),
            ("rtsp://u:canary@h.$3/", 2, "there is no `$3`: the pattern has 2 groups, $1 to $2"),
            ("rtsp://u:canary@h/$0", 2, "there is no `$0`"),
            ("rtsp://u:canary@h/$G1", 1, "`$G1` is how MediaMTX writes it: write `$1`"),
            (
                "rtsp://u:canary@h/${1}",
                1,
                "`${1}` stands for no group: write `$1`; a `$` itself is written %24",
            ),
            ("rtsp://u:canary@cam-${1}/", 1, "`${1}` stands for no group: write `$1`"),
            ("rtsp://u:canary@h/?a=${1}", 1, "`${1}` stands for no group: write `$1`"),
            (
                "rtsp://u:canary@h/$name/1",
                1,
                "`$name` stands for nothing: the pattern has one group, which is $1; a `$` itself",
            ),
            (
                "rtsp://u:canary@h/?a=$",
                1,
                "a `$` without a number stands for nothing: the pattern has one group",
            ),
            ("rtsp://u:$canary@h/$1", 1, "a `$` without a number stands for nothing"),
            ("rtsp://h/$1?password=$canary", 1, "a `$` without a number stands for nothing"),
        ] {
            let said = check(&source(text), groups).expect_err(text);
            assert!(said.contains(why) && !said.contains("canary"), "{text}: {said}");
        }
    }
}
