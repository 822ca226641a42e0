//! A report as one HTML file: curves over time, distributions, and every row of the table.
//!
//! Owns which figures are shown and where. The file needs no network and no script: charts are SVG drawn by
//! [`chart`], colours follow the reader's light or dark. Never computes what the report does not say.

mod chart;
mod scale;

use std::fmt;
use std::time::{Duration, SystemTime};

use chart::{Line, OverTime, Shares};
use scale::Unit;

use super::distribution::Distribution;
use super::report::Report;
use super::series::Point;
use super::summary::sections;

/// A report, printable as an HTML document.
pub struct Html<'a>(pub &'a Report);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Html(report) = self;
        head(f, report)?;
        tiles(f, report)?;
        if report.series.points.is_empty() {
            f.write_str("<h2>Over time</h2><p class=\"soft\">The test was too short for curves.</p>")?;
        } else {
            f.write_str("<h2>Over time <small>shaded while viewers join</small></h2><div class=\"charts\">")?;
            over_time(report).iter().try_for_each(|chart| write!(f, "{chart}"))?;
            f.write_str("</div>")?;
        }
        distributions(f, report)?;
        f.write_str("<h2>All figures</h2><div class=\"tables\">")?;
        for section in sections(report) {
            write!(f, "<table><caption>{}</caption>", section.name)?;
            for (name, value) in &section.rows {
                write!(f, "<tr><th>{}</th><td>{}</td></tr>", Escaped(name), Escaped(value))?;
            }
            f.write_str("</table>")?;
        }
        f.write_str("</div></body></html>\n")
    }
}

/// Title, what was done and where, and first of all what makes it doubtful.
fn head(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let title = report.title();
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(report.started_at);
    write!(
        f,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>Load test: {0}</title><style>{1}</style></head>\
         <body><h1>{0}</h1>",
        Escaped(&title),
        include_str!("html/style.css")
    )?;
    if report.interrupted {
        note(f, "", "The test was interrupted: the figures are of a part of it.")?;
    }
    for missed in &report.missed {
        note(f, "bad", &format!("Missed: {missed}"))?;
    }
    for warning in &report.warnings {
        note(f, "", &format!("Warning: {warning}"))?;
    }
    write!(f, "<code>{}</code>", Escaped(&report.command))?;
    write!(
        f,
        "<p class=\"soft\">{} · sluice {} · {}</p>",
        httpdate::fmt_http_date(started),
        report.version,
        Escaped(&report.machine.to_string())
    )
}

fn note(f: &mut fmt::Formatter<'_>, kind: &str, text: &str) -> fmt::Result {
    write!(f, "<div class=\"note {kind}\">{}</div>", Escaped(text))
}

/// The few figures that most readers come for.
fn tiles(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let mut tiles = vec![
        (format!("{} / {}", report.joined, report.attempted), "connected"),
        (Unit::Count.write(report.packets_per_second), "packets a second"),
        (Unit::BitRate.write(report.bits_per_second), "delivered"),
    ];
    let counts = &report.totals.counts;
    if counts.expected > 0 {
        let of_expected = |count: u64| Unit::Share.write(count as f64 / counts.expected as f64);
        tiles.push((of_expected(report.lost_before_repair), "lost before repair"));
        tiles.push((of_expected(report.lost), "lost"));
    }
    for (distribution, name) in
        [(&report.join, "to connect, p99"), (&report.delay, "delay from the camera, p99")]
    {
        if !distribution.is_empty() {
            tiles.push((Unit::Seconds.write(distribution.p99), name));
        }
    }
    if let Some(server) = &report.server {
        tiles.push((Unit::Cores.write(server.cores_user + server.cores_system), "server cores"));
        tiles.push((format!("{:.0} ns", server.cpu_per_packet * 1e9), "server CPU per packet"));
        tiles.push((Unit::Bytes.write(server.rss_per_viewer), "server memory per viewer"));
    }
    let busiest = Unit::Share.write(report.generator.busiest_thread);
    tiles.push((busiest, "of a core: the generator's busiest thread"));
    f.write_str("<div class=\"tiles\">")?;
    for (value, name) in tiles {
        write!(f, "<div class=\"tile\"><b>{}</b><span class=\"soft\">{name}</span></div>", Escaped(&value))?;
    }
    f.write_str("</div>")
}

fn over_time(report: &Report) -> Vec<OverTime> {
    let points = &report.series.points;
    let length = points.last().map_or(0.0, |point| point.at);
    let line = |name, of: fn(&Point) -> Option<f64>| Line {
        name,
        points: points.iter().map(|point| (point.at, of(point))).collect(),
    };
    let chart = |title, unit, lines| OverTime {
        title,
        unit,
        lines,
        stacked: false,
        length,
        joining: report.series.measured_from.unwrap_or(length),
    };
    let mut viewers = vec![line("connected", |point| Some(point.connected as f64))];
    if points.iter().any(|point| point.failed > 0) {
        viewers.push(line("failed or ended early, in all", |point| Some(point.failed as f64)));
    }
    let mut charts = vec![
        chart("Viewers", Unit::Count, viewers),
        chart("Packets a second", Unit::Count, vec![line("packets", |point| Some(point.packets_per_second))]),
        chart("Bits a second", Unit::BitRate, vec![line("bits", |point| Some(point.bits_per_second))]),
        chart(
            "Lost packets",
            Unit::Share,
            vec![
                line("before repair", |point| point.loss_before_repair),
                line("after repair", |point| point.loss),
            ],
        ),
    ];
    if points.iter().any(|point| point.server_rss_bytes.is_some()) {
        let cpu = vec![
            line("user", |point| point.server_cores_user),
            line("system", |point| point.server_cores_system),
        ];
        charts.push(OverTime { stacked: true, ..chart("Server: cores", Unit::Cores, cpu) });
        let rss = line("resident", |point| point.server_rss_bytes.map(|bytes| bytes as f64));
        charts.push(chart("Server: resident memory", Unit::Bytes, vec![rss]));
        let switches = vec![
            line("voluntary", |point| point.server_voluntary_switches_per_second),
            line("involuntary", |point| point.server_involuntary_switches_per_second),
        ];
        charts.push(chart("Server: context switches a second", Unit::Count, switches));
    }
    let mut generator = vec![
        line("all receiving threads", |point| Some(point.generator_cores)),
        line("posting offers", |point| Some(point.generator_coordinator)),
    ];
    // One thread alone is the busiest.
    if points.iter().any(|point| point.generator_busiest_thread < 0.99 * point.generator_cores) {
        generator.push(line("the busiest of them", |point| Some(point.generator_busiest_thread)));
    }
    charts.push(chart("Generator: cores", Unit::Cores, generator));
    charts
}

fn distributions(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let all = [
        ("time to connect", &report.join),
        ("time to the first packet", &report.first_packet),
        ("longest gap of a viewer", &report.gap),
        ("jitter of a viewer", &report.jitter),
        ("delay from the camera", &report.delay),
    ];
    let known: Vec<_> = all.into_iter().filter(|(_, distribution)| !distribution.is_empty()).collect();
    if known.is_empty() {
        return Ok(());
    }
    f.write_str("<h2>Distributions</h2><div class=\"charts\">")?;
    let curve = |&(name, distribution): &(&'static str, &Distribution)| Line {
        name,
        points: distribution.quantiles.iter().map(|[share, value]| (*value, Some(*share))).collect(),
    };
    write!(f, "{}", Shares { title: "How many are faster", lines: known.iter().map(curve).collect() })?;
    f.write_str(
        "<table class=\"numbers\"><tr><th></th><th>values</th><th>median</th><th>95 %</th><th>99 %</th>\
         <th>worst</th></tr>",
    )?;
    for (name, distribution) in known {
        let Distribution { count, p50, p95, p99, max, .. } = distribution;
        write!(f, "<tr><th>{name}</th><td>{count}</td>")?;
        for value in [p50, p95, p99, max] {
            write!(f, "<td>{}</td>", Unit::Seconds.write(*value))?;
        }
        f.write_str("</tr>")?;
    }
    f.write_str("</table></div>")
}

/// Text that cannot become markup.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '&' => f.write_str("&amp;"),
            '"' => f.write_str("&quot;"),
            c => fmt::Write::write_char(f, c),
        })
    }
}
