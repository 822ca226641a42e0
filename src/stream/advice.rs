//! A thing that is wrong with what a camera sends, and what to set in it.

use std::fmt;

use super::brand::{Brand, Setting};

/// One thing that is wrong, in words for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    /// What is wrong, and what a viewer has of it.
    pub(crate) what: String,
    /// What to do about it, where `what` does not say so.
    pub(crate) remedy: Option<String>,
    /// Whether browsers, or many of them, show no picture because of it.
    pub(crate) stops: bool,
    /// The setting that `remedy` is about, where cameras have a menu for it.
    pub(crate) setting: Option<Setting>,
}

impl Advice {
    /// With the name of the menu of `brand` behind the remedy, where that is known.
    pub(crate) fn for_brand(self, brand: Option<Brand>) -> Advice {
        let entry = self.setting.map(|setting| Brand::entry(brand, setting)).unwrap_or_default();
        Advice { remedy: self.remedy.map(|remedy| remedy + &entry), ..self }
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}
