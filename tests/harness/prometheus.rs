//! A Prometheus of our own, and promtool: what operators read metrics with.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::http::Request;

/// A series at a moment.
#[derive(Debug, Clone)]
pub struct Series {
    /// What tells it from others.
    pub labels: BTreeMap<String, String>,
    /// Its value; it may be none (NaN).
    pub value: f64,
}

/// A Prometheus with its data in a directory that goes with it.
pub struct Prometheus {
    process: Child,
    directory: PathBuf,
    /// Where its API is.
    pub address: SocketAddr,
}

impl Prometheus {
    /// Starts one that reads the metrics at `target` four times a second, in a job called `sluice`.
    pub fn start(target: SocketAddr) -> Prometheus {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        drop(listener);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = format!("sluice-prometheus-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir_all(&directory).expect("a directory");
        let config = directory.join("prometheus.yml");
        let text = format!(
            "global: {{ scrape_interval: 250ms, scrape_timeout: 250ms }}\n\
             scrape_configs: [{{ job_name: sluice, static_configs: [{{ targets: [\"{target}\"] }}] }}]\n"
        );
        std::fs::write(&config, text).expect("the configuration");
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus, from the Debian package of that name");
        Prometheus { process, directory, address }
    }

    /// The values that a query gives now.
    ///
    /// # Errors
    ///
    /// What Prometheus says of the query, or that it cannot be reached (yet).
    pub fn query(&self, query: &str) -> Result<Vec<f64>, String> {
        Ok(self.series(query)?.into_iter().map(|series| series.value).collect())
    }

    /// The series that a query gives now.
    ///
    /// # Errors
    ///
    /// As of [`Prometheus::query`].
    pub fn series(&self, query: &str) -> Result<Vec<Series>, String> {
        let path = format!("/api/v1/query?query={}", encode(query));
        let answer = Request::get(&path).try_send(self.address).map_err(|error| error.to_string())?;
        if answer.status != 200 {
            return Err(answer.text());
        }
        let json = answer.json();
        let found = json["data"]["result"].as_array().into_iter().flatten();
        let read = |series: &serde_json::Value| {
            let labels = series["metric"].as_object()?.iter();
            let labels = labels.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
            Some(Series { labels: labels.collect(), value: series["value"][1].as_str()?.parse().ok()? })
        };
        Ok(found.filter_map(read).collect())
    }
}

/// A query as a part of a URL.
fn encode(query: &str) -> String {
    query.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
