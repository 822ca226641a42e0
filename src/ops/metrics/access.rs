//! Metrics of access: what was decided, by action and result.

use std::fmt;

use super::out::Out;
use crate::count::access::Decisions;

/// Writes them. A series begins with its first decision, so that no listing is of what never was.
pub(super) fn encode(out: &mut Out<'_>, decisions: &Decisions) -> fmt::Result {
    let made = decisions.all().filter(|(_, result, count)| *result == "allowed" || *count > 0);
    let made = made.map(|(action, result, count)| {
        (vec![("action", action.to_owned()), ("result", result.to_owned())], count)
    });
    out.counter("access_decisions", "Decisions about access, by action and result", made)
}
