// The charts: one for each thing that a sample tells, all over the same ten minutes, with one cursor.

import { bitrate, milliseconds, number, percent } from "./units.js";
import { clockTime, setText } from "./words.js";

const { uPlot } = window;

const PAST_S = 600;
const HEIGHT = 150;

// Steps of axes whose words are whole numbers.
const WHOLE = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

// {title, unit(value), series: [[name, colour, value(sample)]], filled, whole, rare}. The first series is the one that
// matters. A value that is missing while somebody watches was not measured in that second; while nobody does there is
// none, nor of what is `rare` in any second without it.
const CHARTS = [
  {
    id: "egress",
    title: "Egress",
    unit: bitrate,
    whole: true,
    filled: true,
    series: [["to viewers", "--chart-1", (sample) => sample.egress_bps]],
  },
  {
    id: "viewers",
    title: "Viewers",
    unit: number,
    whole: true,
    filled: true,
    series: [
      ["connected", "--chart-1", (sample) => sample.viewers],
      ["sessions", "--chart-2", (sample) => sample.sessions],
      ["without media", "--chart-bad", (sample) => sample.without_media],
    ],
  },
  {
    id: "joins",
    title: "Joins a second",
    unit: number,
    whole: true,
    series: [
      ["answered", "--chart-2", (sample) => sample.joins.answered],
      ["reached", "--chart-3", (sample) => sample.joins.reached],
      ["connected", "--chart-4", (sample) => sample.joins.connected],
      ["served", "--chart-1", (sample) => sample.joins.served],
      ["too late", "--chart-bad", (sample) => sample.joins.failed],
      ["refused", "--chart-warn", (sample) => sample.joins.refused],
    ],
  },
  {
    id: "setup",
    title: "Time to join",
    unit: milliseconds,
    rare: true,
    series: [
      ["ICE", "--chart-3", (sample) => sample.setup.ice_ms],
      ["DTLS", "--chart-4", (sample) => sample.setup.dtls_ms],
      ["first media", "--chart-1", (sample) => sample.setup.first_media_ms],
    ],
  },
  {
    id: "forward",
    title: "Forward delay",
    unit: milliseconds,
    series: [
      ["p50", "--chart-1", (sample) => sample.forward_p50_ms],
      ["p99", "--chart-warn", (sample) => sample.forward_p99_ms],
    ],
  },
  {
    id: "loss",
    title: "Loss before repair",
    unit: percent,
    filled: true,
    series: [["mean of viewers", "--chart-warn", (sample) => sample.loss]],
  },
  {
    id: "round-trip",
    title: "Round trip",
    unit: milliseconds,
    series: [["mean of viewers", "--chart-1", (sample) => sample.round_trip_ms]],
  },
  {
    id: "repairs",
    title: "Packets a second",
    unit: number,
    whole: true,
    series: [
      ["sent again", "--chart-1", (sample) => sample.repairs_ps],
      ["not sent", "--chart-bad", (sample) => sample.dropped_ps],
    ],
  },
];

export class Charts {
  #plots;
  #samples = [];

  constructor(element) {
    this.#plots = CHARTS.map((chart) => new Plot(element, chart));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#plots.forEach((plot) => plot.draw());
      this.show(this.#samples);
    });
  }

  show(samples) {
    this.#samples = samples;
    this.#plots.forEach((plot) => plot.show(samples));
  }

  // Points of a chart, for tests.
  points(id) {
    return this.#plots.find((plot) => plot.chart.id === id).points;
  }
}

class Plot {
  #panel = document.createElement("article");
  #place = document.createElement("div");
  #legend = document.createElement("ul");
  #values = [];
  #plot = null;
  #data = [];
  #chosen = null;

  constructor(element, chart) {
    this.chart = chart;
    this.#panel.className = "panel plot";
    this.#panel.id = `plot-${chart.id}`;
    const head = document.createElement("header");
    const title = document.createElement("h2");
    title.textContent = chart.title;
    for (const [name, colour] of chart.series) {
      const [item, dot, value] = ["li", "i", "b"].map((tag) => document.createElement(tag));
      dot.style.background = `var(${colour})`;
      item.append(dot, `${name} `, value);
      this.#legend.append(item);
      this.#values.push(value);
    }
    head.append(title, this.#legend);
    this.#panel.append(head, this.#place);
    element.append(this.#panel);
    this.draw();
    new ResizeObserver(() => this.#fit()).observe(this.#place);
  }

  get points() {
    return this.#plot.data;
  }

  // Made anew where colours change: they are on a canvas.
  draw() {
    this.#plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const font = "11px system-ui, sans-serif";
    const lines = { stroke: colour("--grid"), width: 1 };
    const axis = { stroke: colour("--muted"), font, grid: lines, ticks: { show: false } };
    const { unit, series, filled, whole } = this.chart;
    const options = {
      width: this.#place.clientWidth || 300,
      height: HEIGHT,
      legend: { show: false },
      cursor: { sync: { key: "time" }, y: false, drag: { x: false, y: false }, points: { size: 6 } },
      scales: { x: { range: (_, __, end) => [end - PAST_S, end] }, y: { range: (_, __, top) => [0, whole ? Math.max(top * 1.1, 1) : top > 0 ? top * 1.1 : 1] } },
      axes: [
        { ...axis, size: 26, space: 70, values: (_, at) => at.map((seconds) => hour(seconds)) },
        { ...axis, size: 62, space: 24, incrs: whole && WHOLE, values: (_, values) => values.map(unit) },
      ],
      series: [
        {},
        ...series.map(([, name], at) => ({
          stroke: colour(name),
          width: 1.5,
          fill: filled && at === 0 ? `${colour(name)}22` : undefined,
          points: { show: false, size: 4, filter: lonely },
        })),
      ],
      hooks: { setCursor: [(plot) => this.#point(plot.cursor.idx)] },
    };
    this.#plot = new uPlot(options, this.#data.length ? this.#data : [[], ...series.map(() => [])], this.#place);
  }

  show(samples) {
    this.#data = [
      samples.map((sample) => sample.at_ms / 1000),
      ...this.chart.series.map(([, , value]) => samples.map((sample) => value(sample) ?? this.#missing(sample))),
    ];
    this.#plot.setData(this.#data);
    this.#tell();
  }

  // The plot spans what is undefined, and not what is null.
  #missing(sample) {
    return sample.viewers > 0 && !this.chart.rare ? undefined : null;
  }

  #point(index) {
    this.#chosen = index ?? null;
    this.#tell();
  }

  // The values under the cursor, or the newest.
  #tell() {
    const last = (this.#data[0]?.length ?? 0) - 1;
    const at = Math.min(this.#chosen ?? last, last);
    this.#panel.title = at < last ? clockTime(this.#data[0][at] * 1000) : "";
    this.#values.forEach((value, series) => setText(value, this.chart.unit(this.#data[series + 1]?.[at] ?? NaN)));
  }

  #fit() {
    const width = this.#place.clientWidth;
    if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: HEIGHT });
  }
}

// Points that no line shows: those between gaps.
function lonely(plot, series) {
  const values = plot.data[series];
  const alone = (_, at) => values[at] != null && values[at - 1] === null && values[at + 1] === null;
  return values.map((_, at) => at).filter(alone);
}

function hour(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
