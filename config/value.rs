//! One value on its way to its type: what TOML gave, or the bare text of a variable or an argument. It knows kinds and
//! ranges; which key has which is said in `schema.rs`.

use std::{fmt::Display, ops::Range, time::Duration};

use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue},
};

use crate::{
    Bytes, Cameras, RtspUrl, SOURCES_MAX, Source, format_duration, parse_duration, redact::shown,
    suggest::nearest, units::UnitError,
};

/// A value as it was written.
pub(crate) enum Given<'a> {
    /// In the file.
    Toml(&'a Spanned<DeValue<'a>>),
    /// Outside it, `at` bytes into the text that is shown.
    Text { text: &'a str, at: usize },
}

/// What a key takes, with its bounds (both included) and where it goes in `T`.
pub(crate) enum Kind<T> {
    Bool(fn(&mut T, bool)),
    Integer(u64, u64, fn(&mut T, u64)),
    Bytes(Bytes, Bytes, fn(&mut T, Bytes)),
    Duration(Duration, Duration, fn(&mut T, Duration)),
    /// One of these words; the setter gets its index.
    Choice(&'static [&'static str], fn(&mut T, usize)),
    /// What is allowed, in words.
    Text(&'static str, fn(&mut T, &str) -> Result<(), Refusal>),
    /// What each element may be, in words.
    List(&'static str, SetList<T>),
    /// One text, or a list of them. What each may be, in words; an empty one is none.
    Texts(&'static str, SetList<T>),
    /// Where a stream's media comes from: a text, a list of texts, or a table of two of those. What each text may be, in
    /// words.
    Source(&'static str, Reads, fn(&mut T, Source)),
}

/// How texts of a source are read: one that stands alone, and a camera's URL where only that can stand.
#[derive(Clone, Copy)]
pub(crate) struct Reads {
    pub(crate) alone: fn(&str) -> Result<Source, Refusal>,
    pub(crate) camera: fn(&str) -> Result<RtspUrl, Refusal>,
}

/// A `Kind` without the place that a value goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `true` or `false`.
    Bool,
    /// From, to.
    Integer(u64, u64),
    /// From, to; with a unit or without.
    Bytes(u64, u64),
    /// With a unit.
    Duration,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A text.
    Text,
    /// Texts.
    List,
    /// A text, or texts.
    Texts,
    /// A text, texts, or a table of `high` and `low` with one of these each.
    Source,
}

/// Takes all elements, or refuses some of them by their index.
type SetList<T> = fn(&mut T, &[&str]) -> Result<(), Vec<(usize, Refusal)>>;

/// Why a text is not what a key takes: the end of a sentence that began with the key.
#[derive(Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) why: String,
    /// To be written instead.
    pub(crate) meant: Option<String>,
}

impl Refusal {
    pub(crate) fn new(why: impl Display) -> Self {
        Self { why: why.to_string(), meant: None }
    }

    pub(crate) fn meant(self, meant: impl Display) -> Self {
        Self { meant: Some(meant.to_string()), ..self }
    }
}

/// A refusal with its place in the text that is shown; `meant` is quoted as that text needs it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) why: String,
    pub(crate) meant: Option<String>,
    pub(crate) span: Range<usize>,
}

impl<T> Kind<T> {
    /// What it looks like.
    pub(crate) fn shape(&self) -> Shape {
        match self {
            Self::Bool(_) => Shape::Bool,
            Self::Integer(min, max, _) => Shape::Integer(*min, *max),
            Self::Bytes(min, max, _) => Shape::Bytes(min.as_usize() as u64, max.as_usize() as u64),
            Self::Duration(..) => Shape::Duration,
            Self::Choice(words, _) => Shape::Choice(words),
            Self::Text(..) => Shape::Text,
            Self::List(..) => Shape::List,
            Self::Texts(..) => Shape::Texts,
            Self::Source(..) => Shape::Source,
        }
    }

    /// What is allowed, in words.
    pub(crate) fn allowed(&self) -> String {
        match self {
            Self::Bool(_) => "true or false".to_owned(),
            Self::Integer(min, max, _) => format!("{min} to {max}"),
            Self::Bytes(min, max, _) => format!("{min} to {max}"),
            Self::Duration(min, max, _) => format!("{} to {}", format_duration(*min), format_duration(*max)),
            Self::Choice(words, _) => words.join(" or "),
            Self::Text(allowed, _) => (*allowed).to_owned(),
            Self::List(allowed, _) => format!("a list of {allowed}"),
            Self::Texts(allowed, _) => format!("\"\" for none, {allowed}, or several in []"),
            Self::Source(allowed, ..) => (*allowed).to_owned(),
        }
    }

    /// Checks the value and puts it in its place, or leaves `target` as it was. Of a list every element that is wrong
    /// is told.
    pub(crate) fn apply(&self, target: &mut T, given: &Given<'_>) -> Result<(), Vec<Fault>> {
        if let Self::Source(_, reads, set) = self {
            return given.source(*reads).map(|source| set(target, source));
        }
        let (set, listed) = match self {
            Self::List(_, set) => (set, given.list()?),
            Self::Texts(_, set) => (set, given.texts()?),
            _ => return self.apply_one(target, given).map_err(|fault| vec![fault]),
        };
        let (elements, spans): (Vec<_>, Vec<_>) = listed.into_iter().unzip();
        let place = |index: usize| spans.get(index).cloned().unwrap_or_else(|| given.span());
        let fault = |(index, refusal)| Fault { span: place(index), ..given.fault(refusal) };
        set(target, &elements).map_err(|refusals| refusals.into_iter().map(fault).collect())
    }

    /// As [`Kind::apply`], of what is no list.
    fn apply_one(&self, target: &mut T, given: &Given<'_>) -> Result<(), Fault> {
        match self {
            Self::Bool(set) => set(target, given.boolean()?),
            Self::Integer(min, max, set) => {
                let number = given.integer()?.filter(|number| (min..=max).contains(&number));
                set(target, number.ok_or_else(|| given.out_of_range())?);
            }
            Self::Bytes(min, max, set) => {
                let bytes = given.bytes()?.filter(|bytes| (min..=max).contains(&bytes));
                set(target, bytes.ok_or_else(|| given.out_of_range())?);
            }
            Self::Duration(min, max, set) => {
                let duration = given.duration()?;
                if !(min..=max).contains(&&duration) {
                    return Err(given.out_of_range());
                }
                set(target, duration);
            }
            Self::Choice(words, set) => {
                let word = given.string()?;
                let index = words.iter().position(|known| *known == word).ok_or_else(|| {
                    let refusal = Refusal::new(format!("`{}` is not known", shown(word)));
                    given.fault(Refusal {
                        meant: nearest(word, words.iter().copied()).map(str::to_owned),
                        ..refusal
                    })
                })?;
                set(target, index);
            }
            Self::Text(_, set) => set(target, given.string()?).map_err(|refusal| given.fault(refusal))?,
            Self::List(..) | Self::Texts(..) | Self::Source(..) => {}
        }
        Ok(())
    }
}

impl<'a> Given<'a> {
    pub(crate) fn span(&self) -> Range<usize> {
        match self {
            Self::Toml(value) => value.span(),
            Self::Text { text, at } => *at..at + text.len(),
        }
    }

    /// As it was written, without TOML's quotes; lists with commas, and a table as it stands in a line.
    pub(crate) fn written(&self) -> String {
        let bare = |value: &DeValue<'_>| match value {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(integer) => integer.to_string(),
            DeValue::Boolean(boolean) => boolean.to_string(),
            // No key takes anything else, but lists of these.
            _ => String::new(),
        };
        match self {
            Self::Text { text, .. } => (*text).to_owned(),
            Self::Toml(value) => match value.get_ref() {
                DeValue::Array(array) => {
                    array.iter().map(|element| bare(element.get_ref())).collect::<Vec<_>>().join(",")
                }
                DeValue::Table(table) => {
                    let member = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
                        let text = Given::Toml(value).written();
                        match value.get_ref() {
                            DeValue::Array(_) => format!("{} = [{text}]", key.get_ref()),
                            _ => format!("{} = {text}", key.get_ref()),
                        }
                    };
                    format!("{{ {} }}", table.iter().map(member).collect::<Vec<_>>().join(", "))
                }
                value => bare(value),
            },
        }
    }

    /// Where a stream's media comes from. Outside the file a list and a table are written as in it.
    fn source(&self, reads: Reads) -> Result<Source, Vec<Fault>> {
        match self {
            Self::Toml(value) => match value.get_ref() {
                DeValue::Table(table) => pair(table, &value.span(), reads),
                DeValue::Array(_) => cameras(value, reads).map(Source::Rtsp),
                DeValue::String(text) => (reads.alone)(text).map_err(|refusal| vec![self.fault(refusal)]),
                _ => Err(vec![
                    self.wrong_type("a string, an array of strings or { high = ..., low = ... }", None),
                ]),
            },
            Self::Text { text, at } if text.starts_with(['{', '[']) => {
                let value = DeValue::parse(text).map_err(|_| {
                    vec![self.fault(Refusal::new("it is neither a list nor a table as in the file"))]
                })?;
                let moved =
                    |fault: Fault| Fault { span: fault.span.start + at..fault.span.end + at, ..fault };
                let read = Given::Toml(&value).source(reads);
                read.map_err(|faults| faults.into_iter().map(moved).collect())
            }
            Self::Text { text, .. } => (reads.alone)(text).map_err(|refusal| vec![self.fault(refusal)]),
        }
    }

    fn boolean(&self) -> Result<bool, Fault> {
        let text = match self {
            Self::Toml(value) => match value.get_ref() {
                DeValue::Boolean(boolean) => return Ok(*boolean),
                DeValue::String(text) => &**text,
                _ => return Err(self.wrong_type("true or false", None)),
            },
            Self::Text { text, .. } => text,
        };
        let meant = match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some("true"),
            "false" | "no" | "off" | "0" => Some("false"),
            _ => None,
        };
        match (self, text) {
            (Self::Text { .. }, "true") => Ok(true),
            (Self::Text { .. }, "false") => Ok(false),
            _ => Err(self.wrong_type("true or false", meant.map(str::to_owned))),
        }
    }

    /// `None` for an integer no `u64` holds.
    fn integer(&self) -> Result<Option<u64>, Fault> {
        match self {
            Self::Toml(value) => match value.get_ref() {
                DeValue::Integer(integer) => Ok(to_u64(integer)),
                DeValue::String(text) => {
                    let meant = text.trim().parse::<u64>().ok().map(|number| number.to_string());
                    Err(self.wrong_type("an integer", meant))
                }
                _ => Err(self.wrong_type("an integer", None)),
            },
            Self::Text { text, .. } => {
                let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(self.wrong_type("an integer", None));
                }
                Ok(text.parse().ok())
            }
        }
    }

    /// `None` for a negative or huge integer.
    fn bytes(&self) -> Result<Option<Bytes>, Fault> {
        let text = match self {
            Self::Toml(value) => match value.get_ref() {
                DeValue::Integer(integer) => return Ok(to_u64(integer).map(Bytes::new)),
                DeValue::String(text) => &**text,
                _ => return Err(self.wrong_type("an amount like \"8MiB\"", None)),
            },
            Self::Text { text, .. } => text,
        };
        text.parse().map(Some).map_err(|error| self.unit_fault(text, error))
    }

    fn duration(&self) -> Result<Duration, Fault> {
        let text = match self {
            Self::Toml(value) => match value.get_ref() {
                DeValue::String(text) => &**text,
                DeValue::Integer(integer) => {
                    let meant = to_u64(integer).map(|seconds| format!("\"{seconds}s\""));
                    return Err(self.wrong_type("a duration like \"2s\"", meant));
                }
                _ => return Err(self.wrong_type("a duration like \"2s\"", None)),
            },
            Self::Text { text, .. } => text,
        };
        parse_duration(text).map_err(|error| self.unit_fault(text, error))
    }

    fn string(&self) -> Result<&str, Fault> {
        match self {
            Self::Toml(value) => match value.get_ref() {
                DeValue::String(text) => Ok(text),
                _ => Err(self.wrong_type("a string", None)),
            },
            Self::Text { text, .. } => Ok(text),
        }
    }

    /// The elements, trimmed, with their places. Outside the file they are separated by commas.
    fn list(&self) -> Result<Vec<(&str, Range<usize>)>, Vec<Fault>> {
        match self {
            Self::Toml(value) => {
                let DeValue::Array(array) = value.get_ref() else {
                    return Err(vec![self.wrong_type("an array of strings", None)]);
                };
                let (mut strings, mut others) = (Vec::with_capacity(array.len()), Vec::new());
                for element in array {
                    match element.get_ref().as_str() {
                        Some(text) => strings.push((text, element.span())),
                        None => others.push(Given::Toml(element).wrong_type("a string", None)),
                    }
                }
                if others.is_empty() { Ok(strings) } else { Err(others) }
            }
            Self::Text { text, .. } if text.trim().is_empty() => Ok(Vec::new()),
            Self::Text { text, at } => {
                if let Some(bare) = without_brackets(text) {
                    let why =
                        format!("`{}` is a list as the file has it: here it has no brackets", shown(text));
                    return Err(vec![Fault { why, meant: Some(shown(&bare)), span: self.span() }]);
                }
                let mut start = *at;
                let mut elements = Vec::new();
                for part in text.split(',') {
                    let element = part.trim();
                    let begins = start + part.len() - part.trim_start().len();
                    elements.push((element, begins..begins + element.len()));
                    start += part.len() + 1;
                }
                Ok(elements)
            }
        }
    }

    /// As [`Given::list`], of what may be one text, too.
    fn texts(&self) -> Result<Vec<(&str, Range<usize>)>, Vec<Fault>> {
        match self {
            Self::Toml(value) => match value.get_ref() {
                DeValue::String(text) if text.trim().is_empty() => Ok(Vec::new()),
                DeValue::String(text) => Ok(vec![(text.as_ref(), value.span())]),
                DeValue::Array(_) => self.list(),
                _ => Err(vec![self.wrong_type("a string, or an array of strings", None)]),
            },
            Self::Text { .. } => self.list(),
        }
    }

    fn wrong_type(&self, expected: &str, meant: Option<String>) -> Fault {
        let why = match self {
            Self::Toml(value) => format!("expected {expected}, found {}", type_of(value.get_ref())),
            Self::Text { text, .. } => format!("`{}` is not {expected}", shown(text)),
        };
        Fault { why, meant, span: self.span() }
    }

    fn out_of_range(&self) -> Fault {
        let written = match self {
            Self::Toml(value) => match value.get_ref() {
                DeValue::Integer(integer) => integer.to_string(),
                value => value.as_str().map(shown).unwrap_or_default(),
            },
            Self::Text { text, .. } => shown(text),
        };
        Fault { why: format!("{written} is out of range"), meant: None, span: self.span() }
    }

    fn unit_fault(&self, text: &str, error: UnitError) -> Fault {
        self.fault(Refusal { why: format!("`{}` {error}", shown(text)), meant: error.suggestion })
    }

    fn fault(&self, refusal: Refusal) -> Fault {
        let meant = match self {
            Self::Toml(_) => refusal.meant.map(|meant| format!("\"{meant}\"")),
            Self::Text { .. } => refusal.meant,
        };
        Fault { why: refusal.why, meant, span: self.span() }
    }
}

/// The elements of `["a", "b"]` with commas alone, if a text is written so. An IPv6 address may have brackets of its own.
fn without_brackets(text: &str) -> Option<String> {
    let inside = text.trim().strip_prefix('[')?.strip_suffix(']')?;
    if inside.parse::<std::net::Ipv6Addr>().is_ok() {
        return None;
    }
    let elements = inside.split(',').map(|element| element.trim().trim_matches(['"', '\'']));
    Some(elements.filter(|element| !element.is_empty()).collect::<Vec<_>>().join(","))
}

/// Two layers of a stream.
fn pair(table: &DeTable<'_>, whole: &Range<usize>, reads: Reads) -> Result<Source, Vec<Fault>> {
    let (mut high, mut low, mut faults) = (None, None, Vec::new());
    for (key, value) in table {
        let name: &str = key.get_ref();
        let into = match name {
            "high" => &mut high,
            "low" => &mut low,
            other => {
                let meant = nearest(other, ["high", "low"]).map(str::to_owned);
                let why = format!("`{}` is no layer: there are high and low", shown(other));
                faults.push(Fault { why, meant, span: key.span() });
                continue;
            }
        };
        match cameras(value, reads) {
            Ok(cameras) => *into = Some(cameras),
            Err(mut of_layer) => {
                of_layer.iter_mut().for_each(|fault| fault.why = format!("{name}: {}", fault.why));
                faults.append(&mut of_layer);
            }
        }
    }
    let has = |name: &str| table.iter().any(|(key, _)| **key.get_ref() == *name);
    for (there, missing) in [("high", "low"), ("low", "high")] {
        if has(there) && !has(missing) {
            let why = format!(
                "it has `{there}` and no `{missing}`: a pair has both; for one layer write its URL without a table"
            );
            faults.push(Fault { why, meant: None, span: whole.clone() });
        }
    }
    match (high, low) {
        (Some(high), Some(low)) if faults.is_empty() => Ok(Source::Pair { high, low }),
        (None, None) if faults.is_empty() => {
            let why = "it has neither `high` nor `low`".to_owned();
            Err(vec![Fault { why, meant: None, span: whole.clone() }])
        }
        _ => Err(faults),
    }
}

/// One camera, or several that are tried in order.
fn cameras(value: &Spanned<DeValue<'_>>, reads: Reads) -> Result<Cameras, Vec<Fault>> {
    let given = Given::Toml(value);
    let one = |element: &Spanned<DeValue<'_>>| -> Result<RtspUrl, Fault> {
        let given = Given::Toml(element);
        (reads.camera)(given.string()?).map_err(|refusal| given.fault(refusal))
    };
    let DeValue::Array(array) = value.get_ref() else {
        return one(value).map(Cameras::from).map_err(|fault| vec![fault]);
    };
    let (mut good, mut faults) = (Vec::new(), Vec::new());
    for element in array {
        match one(element) {
            Ok(camera) if good.contains(&camera) => {
                let refusal = Refusal::new("this source is there already: trying it twice helps nobody");
                faults.push(Given::Toml(element).fault(refusal));
            }
            Ok(camera) => good.push(camera),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let count = good.len();
    Cameras::new(good).ok_or_else(|| {
        let why = format!("it has {count} sources to be tried: write 1 to {SOURCES_MAX}");
        vec![Fault { why, meant: None, span: given.span() }]
    })
}

fn to_u64(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
