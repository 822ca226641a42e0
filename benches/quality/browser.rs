//! What a browser gets that hides its addresses: joins, and the first picture of each.
//!
//! Owns the judgement of its joins. Never starts anything itself.

use serde_json::json;

use super::Options;
use super::check::{Check, Verdict};
use super::chromium::{self, Join, Seen};
use crate::error::BenchError;
use crate::report::Table;
use crate::rig::{Rig, Server};
use crate::spread::number;

const NAME: &str = "Joins of a browser without mDNS";

/// What to do about a browser that is not there.
pub const MISSING: &str = "chromium is not installed (apt-get install chromium), or --chromium names no file";

/// Lets the browser watch, if there is one.
pub async fn watch(rig: &Rig, server: &Server, options: &Options) -> Result<Option<Seen>, BenchError> {
    let Some(browser) = chromium::find(options.chromium.as_deref()) else { return Ok(None) };
    let whep = server.whep("demo");
    chromium::run(rig, &browser, &whep, options.joins(), options.pictures()).await.map(Some)
}

/// Judges its joins.
pub fn check(seen: Option<&Seen>, options: &Options) -> Check {
    let how = "Chromium joins one time after the other, each with a new peer connection whose offer waits until all of \
               its candidates are known. A page that has no camera gets `.local` names instead of addresses, which a \
               server without mDNS cannot resolve: it has to learn the address from the browser's own checks. \
               Good if all joins show a picture. Not checked if the browser shows an address, or offers nothing."
        .to_owned();
    let Some(seen) = seen else { return Check::not_checked(NAME, MISSING, &how) };
    let wanted = options.joins() as usize;
    let joins = &seen.joins;
    let shown: Vec<f64> =
        joins.iter().filter(|join| join.error.is_none()).filter_map(|join| join.picture_ms).collect();
    let connected = joins.iter().filter(|join| join.connected_ms.is_some()).count();
    let candidates: Vec<&str> =
        joins.iter().flat_map(|join| &join.candidates).map(|candidate| &candidate.address[..]).collect();
    let hidden = candidates.iter().filter(|address| address.ends_with(".local")).count();

    let mut measured = format!(
        "{connected} of {wanted} joins connected, {} had a picture{}; {hidden} of {} candidates were .local names",
        shown.len(),
        times(&shown),
        candidates.len()
    );
    let failed = joins.iter().filter_map(|join| join.error.as_deref()).chain(seen.error.as_deref());
    for error in failed.take(3) {
        measured += &format!("; {error}");
    }
    Check {
        name: NAME,
        verdict: match shown.len() == wanted && seen.error.is_none() {
            true if !candidates.is_empty() && hidden == candidates.len() => Verdict::Good,
            // The joins are good, but not of the kind that was to be tried.
            true => Verdict::NotChecked,
            // It was the browser that did not do its part, not the server.
            false if joins.is_empty() => Verdict::NotChecked,
            false => Verdict::Bad,
        },
        measured,
        how,
        figures: json!({ "wanted": wanted, "connected": connected, "pictures": shown.len(), "joins": joins }),
        table: Some(table(joins)),
        doubts: Vec::new(),
    }
}

fn times(shown: &[f64]) -> String {
    let mut sorted = shown.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.last() {
        Some(last) => {
            let middle = sorted[(sorted.len() - 1) / 2];
            format!(" (half within {} ms of the POST, all within {} ms)", number(middle, 0), number(*last, 0))
        }
        None => String::new(),
    }
}

fn table(joins: &[Join]) -> Table {
    let mut table = Table::new(&["join", "candidates", "path", "connected", "first picture"]);
    let ms = |time: Option<f64>| time.map_or("-".to_owned(), |ms| format!("{} ms", number(ms, 0)));
    for (index, join) in joins.iter().enumerate() {
        let hidden = join.candidates.iter().filter(|candidate| candidate.address.ends_with(".local")).count();
        table.row([
            (index + 1).to_string(),
            format!("{hidden} .local, {} others", join.candidates.len() - hidden),
            join.local_type.clone().unwrap_or("-".to_owned()),
            ms(join.connected_ms),
            join.error.clone().unwrap_or_else(|| ms(join.picture_ms)),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::chromium::Candidate;
    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn join(address: &str, error: Option<&str>) -> Join {
        Join {
            candidates: vec![Candidate { address: address.to_owned(), kind: "host".to_owned() }],
            connected_ms: Some(20.0),
            picture_ms: error.is_none().then_some(90.0),
            local_type: Some("prflx".to_owned()),
            error: error.map(str::to_owned),
        }
    }

    fn verdict(joins: Vec<Join>, error: Option<&str>) -> Verdict {
        let options = Line::parse_from(["report", "--joins", "2"]).options;
        let seen = Seen { joins, error: error.map(str::to_owned), ..Seen::default() };
        check(Some(&seen), &options).verdict
    }

    #[test]
    fn only_hidden_candidates_and_pictures_in_all_joins_are_good() {
        let good = || join("4f1c.local", None);
        assert_eq!(verdict(vec![good(), good()], None), Verdict::Good);
        assert_eq!(verdict(vec![good()], None), Verdict::Bad, "one is missing");
        assert_eq!(verdict(vec![good(), join("4f1c.local", Some("no picture"))], None), Verdict::Bad);
        assert_eq!(verdict(vec![good(), join("10.0.0.1", None)], None), Verdict::NotChecked, "an address");
        let silent = Join { candidates: Vec::new(), ..good() };
        assert_eq!(verdict(vec![silent.clone(), silent], None), Verdict::NotChecked, "no candidates at all");
        assert_eq!(verdict(vec![good(), good()], Some("the browser said nothing")), Verdict::Bad);
        assert_eq!(verdict(Vec::new(), Some("the browser said nothing")), Verdict::NotChecked);
    }

    #[test]
    fn without_a_browser_nothing_is_claimed() {
        let options = Line::parse_from(["report"]).options;
        let check = check(None, &options);
        assert_eq!(check.verdict, Verdict::NotChecked);
        assert!(check.measured.contains("apt-get install chromium"), "{}", check.measured);
    }
}
