//! One plain HTTP GET, for health and metrics of a server. A shell: it opens a connection.
//!
//! Owns as much of HTTP/1.0 as that takes: status and body, each bounded. Never retries.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Time for each step of a request; on one machine they take microseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of an answer at the most. Metrics of a thousand streams are less.
const ANSWER_MAX: u64 = 4 << 20;

/// Gets `path`; the status and the body.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::other("the answer is not HTTP"))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split_whitespace().nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

/// A metric in the text format of OpenMetrics, summed over its labels; none if it is not there.
pub fn metric(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| line.strip_prefix(name)).filter_map(|rest| {
        let value = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once("} ")?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.parse::<f64>().ok()
    });
    values.reduce(|sum, value| sum + value)
}

/// A label of a metric that has one value; none if it or its label is not there. Values with quotes in them are not read.
pub fn label(text: &str, name: &str, label: &str) -> Option<String> {
    let labels =
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('{'))?.rsplit_once("} ")?.0;
    let value = labels.split(',').find_map(|pair| pair.strip_prefix(label)?.strip_prefix("=\""))?;
    Some(value.strip_suffix('"')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_told_apart() {
        let answer = "HTTP/1.0 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno";
        assert_eq!(parse(answer), Some((503, "no".to_owned())));
        assert_eq!(parse("RTSP/1.0 200 OK\r\n\r\n"), None);
        assert_eq!(parse("HTTP/1.1 200"), None);
    }

    #[test]
    fn a_metric_is_found_by_its_whole_name_and_summed() {
        let text = "# TYPE sluice_viewers gauge\nsluice_viewers_max 9\nsluice_viewers 3\n\
                    sluice_drops_total{reason=\"a b\"} 1\nsluice_drops_total{reason=\"c\"} 2\n";
        assert_eq!(metric(text, "sluice_viewers"), Some(3.0));
        assert_eq!(metric(text, "sluice_drops_total"), Some(3.0));
        assert_eq!(metric(text, "sluice_view"), None);
    }

    #[test]
    fn a_label_is_found_by_the_whole_names() {
        let text = "sluice_cipher_info_x{library=\"no\"} 1\nsluice_cipher_info{a=\"b\",library=\"ring\"} 1\n";
        assert_eq!(label(text, "sluice_cipher_info", "library").as_deref(), Some("ring"));
        assert_eq!(label(text, "sluice_cipher_info", "a").as_deref(), Some("b"));
        assert_eq!(label(text, "sluice_cipher_info", "librar"), None);
        assert_eq!(label(text, "sluice_cipher", "library"), None);
    }
}
