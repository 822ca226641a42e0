//! What is wrong with a configuration, as people read it: the place, a caret, what is allowed, what was probably meant.
//! Every text is redacted as it comes in, so no secret can come out.

use std::{fmt, ops::Range, sync::Arc};

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, MietteError, MietteSpanContents, SourceCode,
    SourceSpan, SpanContents,
};

use crate::{Given, redact::redact};

/// Problems shown in full. Raising it only makes the report longer; the first ones are what gets repaired.
const SHOWN_MAX: usize = 20;

/// Why there is no configuration: every problem that was found, in the order in which the sources are read.
///
/// `Display` is the whole report, without colour: several lines for standard error, ending in a count and no newline.
#[derive(Debug)]
pub struct ConfigError {
    /// Never empty.
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(crate) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// How many problems there are; at least one.
    pub fn count(&self) -> usize {
        self.problems.len()
    }

    /// Each problem, for programs; the first twenty.
    pub fn mistakes(&self) -> impl Iterator<Item = Mistake> {
        self.problems.iter().take(SHOWN_MAX).map(Problem::told)
    }

    /// The report of `Display`; for a terminal (`colour`) in colours and with drawn frames.
    pub fn render(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(110).with_links(false);
        let mut report = String::new();
        for problem in self.problems.iter().take(SHOWN_MAX) {
            if handler.render_report(&mut report, problem).is_err() {
                // Only a place outside its text gets here; the sentence stands without it.
                report.push_str(&problem.message);
            }
            report.push('\n');
        }
        let count = self.problems.len();
        if count > SHOWN_MAX {
            report.push_str(&format!("and {} more; ", count - SHOWN_MAX));
        }
        report
            .push_str(&format!("{count} problem{} in the configuration", if count == 1 { "" } else { "s" }));
        report
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for ConfigError {}

/// One problem, taken apart. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// What is wrong, in a sentence.
    pub message: String,
    /// `sluice.toml:7:10`: the file, `environment` or `command line`, with line and column from 1.
    pub place: Option<String>,
    /// What is allowed there, or was probably meant.
    pub hint: Option<String>,
}

/// What stands for the name of a file where there is none.
pub(crate) const ENVIRONMENT: &str = "environment";
pub(crate) const COMMAND_LINE: &str = "command line";
pub(crate) const API: &str = "API";

/// One input as it may be shown: the file, a variable, an argument. As source code it shows whole lines.
#[derive(Clone, Debug)]
pub(crate) struct Text {
    name: Arc<str>,
    redacted: Arc<str>,
    /// Where its lines end: each key of a file asks for the number of its own.
    ends: Arc<[usize]>,
}

impl Text {
    pub(crate) fn new(name: &str, raw: &str) -> Self {
        let redacted = redact(raw);
        let ends = redacted.match_indices('\n').map(|(at, _)| at).collect();
        Self { name: redact(name).into(), redacted: redacted.into(), ends }
    }

    /// The line that a byte is in, from 1.
    fn line(&self, at: usize) -> usize {
        self.ends.partition_point(|end| *end < at) + 1
    }

    /// The same with the bytes of `hidden` left out: values of keys that nobody knows, which may be secrets.
    pub(crate) fn hiding(name: &str, raw: &str, hidden: &[Range<usize>]) -> Self {
        let mut bytes = raw.as_bytes().to_vec();
        for span in hidden {
            let value = bytes.get_mut(span.clone()).unwrap_or_default();
            value.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
        }
        Self::new(name, &String::from_utf8_lossy(&bytes))
    }

    /// The bytes `span`, as far as they stand on its first line. An empty span, as at the end of the file, becomes the
    /// character before it, because a caret needs one.
    pub(crate) fn at(&self, span: Range<usize>) -> Place {
        let text = &*self.redacted;
        let start = span.start.min(text.trim_end_matches('\n').len());
        let line_end = text[start..].find('\n').map_or(text.len(), |end| start + end);
        let end = span.end.clamp(start, line_end);
        let before = text[..start]
            .chars()
            .next_back()
            .filter(|c| start == end && *c != '\n')
            .map_or(0, char::len_utf8);
        Place { text: self.clone(), span: start - before..end }
    }
}

impl SourceCode for Text {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        _after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let text = &*self.redacted;
        let (above, rest) = text.split_at_checked(span.offset()).ok_or(MietteError::OutOfBounds)?;
        let line_start = above.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = rest.find('\n').map_or(text.len(), |newline| span.offset() + newline);
        // Without lines of context the reporter asks where the span is; with them, for what to print.
        let (start, column) = match before {
            0 => (span.offset(), text[line_start..span.offset()].chars().count()),
            _ => (line_start, 0),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.to_string(),
            &text.as_bytes()[start..line_end],
            (start, line_end - start).into(),
            above.matches('\n').count(),
            column,
            1,
        )))
    }
}

/// Where something was written.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    text: Text,
    span: Range<usize>,
}

impl Place {
    /// Who wrote it.
    pub(crate) fn given(&self) -> Given {
        match &*self.text.name {
            ENVIRONMENT => Given::Variable,
            COMMAND_LINE => Given::Argument,
            API => Given::Api,
            name => Given::File(name.to_owned(), self.text.line(self.span.start)),
        }
    }
}

/// One thing to repair.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub(crate) struct Problem {
    message: String,
    #[source_code]
    text: Option<Text>,
    #[label("{label}")]
    span: Option<SourceSpan>,
    label: String,
    #[help]
    help: Option<String>,
}

impl Problem {
    /// `message` must not hold a secret; a value goes through `redact::shown` on its way into it.
    pub(crate) fn new(message: String) -> Self {
        Self { message, text: None, span: None, label: String::new(), help: None }
    }

    pub(crate) fn at(self, place: Place, label: String) -> Self {
        let Place { text, span } = place;
        Self { text: Some(text), span: Some((span.start, span.len()).into()), label, ..self }
    }

    pub(crate) fn help(self, help: String) -> Self {
        Self { help: Some(help), ..self }
    }

    fn told(&self) -> Mistake {
        let place = self.text.as_ref().map(|text| {
            let above = text.redacted.get(..self.offset()).unwrap_or_default();
            let (line, start) = (text.line(self.offset()), above.rfind('\n').map_or(0, |end| end + 1));
            format!("{}:{line}:{}", text.name, above[start..].chars().count() + 1)
        });
        let words = [Some(&self.label), self.help.as_ref()];
        let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
        let hint = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join("; ");
        Mistake { message: self.message.clone(), place, hint: Some(hint).filter(|hint| !hint.is_empty()) }
    }

    /// Where in its text the problem is.
    pub(crate) fn offset(&self) -> usize {
        self.span.map_or(0, |span| span.offset())
    }
}
