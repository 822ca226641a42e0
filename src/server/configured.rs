//! A configuration that was read: where from, with what the API has set since, and how the next one follows from it.
//!
//! Owns what becomes of streams that the API has set when the file is read again: what the file says anew of a stream
//! counts, and where it says what it said before, the API's word does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_config::{
    Config, ConfigError, Effective, File, Given, Inputs, Reload, Setting, Source, Stream, StreamKey,
    StreamText,
};

/// A configuration, and what it was made of.
#[derive(Clone)]
pub struct Configured {
    /// What is in effect.
    pub effective: Effective,
    /// What was read: of the file its text.
    inputs: Inputs,
    /// Where that can be read again.
    path: Option<PathBuf>,
    /// The same without the API: of it streams and patterns.
    own: Arc<Config>,
}

impl Configured {
    /// Reads everything for the first time.
    ///
    /// # Errors
    ///
    /// Those of [`sluice_config::effective`].
    pub fn read(inputs: Inputs) -> Result<Configured, ConfigError> {
        let path = match &inputs.file {
            Some(File::Path(path)) => Some(path.clone()),
            _ => None,
        };
        let file = inputs.file.clone().map(File::read).transpose()?;
        Configured::of(Inputs { file, ..inputs }, path)
    }

    /// Reads the file again.
    pub(super) fn again(&self) -> Result<Configured, ConfigError> {
        let file = self.path.clone().map(File::Path).map(File::read).transpose()?;
        let api = self.inputs.api.clone();
        let mut next = Configured::of(Inputs { file, ..self.inputs.clone() }, self.path.clone())?;
        let said = |name: &StreamKey| (self.own.said_of(name), next.own.said_of(name));
        let outdated: Vec<&StreamKey> =
            api.keys().filter(|name| matches!(said(name), (a, b) if a != b)).collect();
        if !outdated.is_empty() {
            for name in outdated {
                next.inputs.api.remove(name);
            }
            next = Configured::of(next.inputs, next.path)?;
        }
        Ok(next)
    }

    /// With what the API says of a stream; `None` takes it away.
    pub(super) fn with(
        &self,
        name: &StreamKey,
        stream: Option<&StreamText>,
    ) -> Result<Configured, ConfigError> {
        let mut inputs = self.inputs.clone();
        inputs.api.insert(name.clone(), stream.cloned());
        let next = Configured::of(inputs, self.path.clone())?;
        if next.effective.config.said_of(name) != next.own.said_of(name) {
            return Ok(next);
        }
        // That is what it is without the API.
        self.without(name, self.inputs.file.clone())
    }

    /// With another text of the file, and without a word of the API on that stream.
    pub(super) fn kept(&self, name: &StreamKey, text: String) -> Result<Configured, ConfigError> {
        let file = match &self.inputs.file {
            Some(File::Text { name, .. }) => Some(File::Text { name: name.clone(), text }),
            other => other.clone(),
        };
        self.without(name, file)
    }

    fn without(&self, name: &StreamKey, file: Option<File>) -> Result<Configured, ConfigError> {
        let mut inputs = Inputs { file, ..self.inputs.clone() };
        inputs.api.remove(name);
        Configured::of(inputs, self.path.clone())
    }

    fn of(inputs: Inputs, path: Option<PathBuf>) -> Result<Configured, ConfigError> {
        let own = Arc::new(sluice_config::load(Inputs { api: BTreeMap::new(), ..inputs.clone() })?);
        let mut effective = sluice_config::effective(inputs.clone())?;
        serve_demo(&mut effective);
        Ok(Configured { effective, inputs, path, own })
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The text of the file when it was read.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.inputs.file {
            Some(File::Text { text, .. }) => Some(text),
            _ => None,
        }
    }

    /// A stream as it is without the API.
    pub(super) fn own(&self, name: &StreamKey) -> Option<&Stream> {
        self.own.said_of(name)
    }

    /// Whether the next one has no stream left where this one has some, but for what the API has set.
    pub(super) fn is_emptied_by(&self, next: &Configured) -> bool {
        let is_empty = |config: &Config| config.streams.is_empty() && config.patterns.is_empty();
        let only_demo =
            self.own.patterns.is_empty() && self.own.streams.keys().all(|name| name.as_str() == "demo");
        is_empty(&next.own) && !only_demo
    }

    /// Whether a stream is what the API has set.
    pub(super) fn is_by_api(&self, name: &StreamKey) -> bool {
        self.inputs.api.contains_key(name)
    }
}

/// The demo is served where no stream is configured.
fn serve_demo(effective: &mut Effective) {
    let Config { streams, patterns, .. } = &mut effective.config;
    if streams.is_empty() && patterns.is_empty() {
        let name = "demo".parse().expect("a valid name");
        let (key, value) = (format!("streams.{name}.source"), Source::Demo.label());
        streams.insert(name, Stream::new(Source::Demo));
        effective.settings.push(Setting {
            key,
            value,
            origin: Given::Default,
            reload: Reload::Live,
            mark: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file, removed with the test.
    struct Written(PathBuf);

    impl Written {
        fn new(text: &str) -> Written {
            let file =
                Written(std::env::temp_dir().join(format!("sluice-configured-{}", rand::random::<u64>())));
            file.write(text);
            file
        }

        fn write(&self, text: &str) {
            std::fs::write(&self.0, text).expect("it is written");
        }

        fn read(&self) -> Configured {
            let file = Some(File::Path(self.0.clone()));
            Configured::read(Inputs { file, ..Inputs::default() }).expect("a configuration")
        }
    }

    impl Drop for Written {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn camera(host: &str) -> StreamText {
        StreamText::new(format!("source = \"rtsp://{host}/\""))
    }

    fn name(text: &str) -> StreamKey {
        text.parse().expect(text)
    }

    fn sources(configured: &Configured) -> Vec<(String, String)> {
        let streams = configured.effective.config.streams.iter();
        streams.map(|(name, stream)| (name.to_string(), stream.source.label())).collect()
    }

    fn expected(streams: &[(&str, &str)]) -> Vec<(String, String)> {
        let label = |host: &str| if host == "demo" { host.to_owned() } else { format!("rtsp://{host}:554") };
        streams.iter().map(|(name, host)| ((*name).to_owned(), label(host))).collect()
    }

    const FILE: &str = "[streams.a]\nsource = \"demo\"\n[streams.b]\nsource = \"rtsp://b1/\"\n";

    #[test]
    fn what_the_api_set_outlives_a_reload_until_the_file_says_something_new_of_it() {
        let file = Written::new(FILE);
        let mut now = file.read();
        for (stream, text) in [("a", None), ("b", Some(camera("b2"))), ("c", Some(camera("c2")))] {
            now = now.with(&name(stream), text.as_ref()).expect(stream);
        }
        assert_eq!(sources(&now), expected(&[("b", "b2"), ("c", "c2")]));
        file.write(&format!("{FILE}[streams.d]\nsource = \"rtsp://d1/\"\n"));
        now = now.again().expect("a configuration");
        assert_eq!(sources(&now), expected(&[("b", "b2"), ("c", "c2"), ("d", "d1")]));
        assert!(now.is_by_api(&name("b")) && !now.is_by_api(&name("d")));
        // The file speaks of b, of c for the first time, and no more of a.
        file.write("[streams.b]\nsource = \"rtsp://b3/\"\n[streams.c]\nsource = \"rtsp://c3/\"\n");
        now = now.again().expect("a configuration");
        assert_eq!(sources(&now), expected(&[("b", "b3"), ("c", "c3")]));
        assert!(!now.is_by_api(&name("b")));
    }

    #[test]
    fn what_the_api_says_as_the_file_does_is_the_files() {
        let file = Written::new(FILE);
        let now = file.read().with(&name("b"), Some(&camera("b2"))).expect("b");
        let back = now.with(&name("b"), Some(&camera("b1"))).expect("b");
        assert!(now.is_by_api(&name("b")) && !back.is_by_api(&name("b")));
        let gone = back.with(&name("c"), Some(&camera("c1"))).and_then(|now| now.with(&name("c"), None));
        assert!(!gone.expect("c").is_by_api(&name("c")));
    }

    #[test]
    fn a_mistake_of_the_api_is_told_as_its_own_and_the_demo_is_there_while_nothing_else_is() {
        let nothing = Configured::read(Inputs::default()).expect("a configuration");
        assert_eq!(sources(&nothing), expected(&[("demo", "demo")]));
        let now = nothing.with(&name("c"), Some(&camera("c1"))).expect("c");
        assert_eq!(sources(&now), expected(&[("c", "c1")]));
        assert_eq!(sources(&now.with(&name("c"), None).expect("c")), expected(&[("demo", "demo")]));
        let wrong = StreamText::new("sorce = \"demo\"".to_owned());
        let error = now.with(&name("d"), Some(&wrong)).err().expect("a mistake");
        let mistakes: Vec<_> = error.mistakes().collect();
        assert_eq!(mistakes[0].place.as_deref(), Some("API:1:1"), "{mistakes:?}");
        assert!(
            mistakes[0].hint.as_ref().is_some_and(|hint| hint.contains("streams.d.source")),
            "{mistakes:?}"
        );
    }
}
