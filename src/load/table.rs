//! A report as text for a terminal.
//!
//! Owns the layout; the rows are [`super::summary`]'s.

use std::fmt;

use super::report::Report;
use super::summary::sections;

/// A report, printable.
pub struct Table<'a>(pub &'a Report);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Table(report) = self;
        writeln!(f, "\n{}", report.title())?;
        if report.interrupted {
            writeln!(f, "(interrupted)")?;
        }
        for section in sections(report) {
            writeln!(f, "\n{}", section.name)?;
            for (name, value) in &section.rows {
                writeln!(f, "  {name:<34}{value}")?;
            }
        }
        for warning in &report.warnings {
            writeln!(f, "\nWARNING: {warning}")?;
        }
        for missed in &report.missed {
            writeln!(f, "\nMISSED: {missed}")?;
        }
        Ok(())
    }
}
