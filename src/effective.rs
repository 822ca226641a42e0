//! `sluice config`: each key with the value that a server would have, and who gave it.
//!
//! Owns the two forms: lines that are TOML again, and JSON as `/api/v1/config` has it. No secret is in either.

use std::io::{self, Write};

use sluice::operator::settings::ToldSetting;
use sluice_config::Effective;

/// Columns before the origin of a value, where it fits.
const VALUE_WIDTH: usize = 48;

/// Writes all keys.
///
/// # Errors
///
/// Nobody reads what is written.
pub fn write(effective: &Effective, json: bool, out: &mut impl Write) -> io::Result<()> {
    let settings: Vec<ToldSetting> = effective.settings.iter().map(ToldSetting::of).collect();
    if json {
        let told = serde_json::json!({ "settings": settings });
        return writeln!(out, "{}", serde_json::to_string_pretty(&told)?);
    }
    for ToldSetting { key, value, origin, .. } in settings {
        let line = format!("{key} = {value:?}");
        writeln!(out, "{line:VALUE_WIDTH$} # {origin}")?;
    }
    Ok(())
}
