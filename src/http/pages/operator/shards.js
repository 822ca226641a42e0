// The strip of shards: ten minutes of each as a row of colours, from idle to full.

import { count, setText } from "./words.js";
import { percent } from "./units.js";

const PAST = 600;
// As `sluice_shard_busy_ratio` is judged in docs/OPERATING.md: over 0.8 cores or machines are missing.
const BUSY = 0.8;

export class Shards {
  #element;
  #rows = [];

  constructor(element) {
    this.#element = element;
  }

  show(samples) {
    const last = samples.at(-1);
    if (!last) return;
    const strip = this.#element.querySelector(".strip");
    while (this.#rows.length < last.shards.length) this.#rows.push(makeRow(strip, this.#rows.length));
    const style = getComputedStyle(document.documentElement);
    const colours = ["--idle", "--water", "--amber", "--bad"].map((name) => style.getPropertyValue(name).trim());
    last.shards.forEach((shard, at) => {
      const { canvas, busy, viewers, row } = this.#rows[at];
      row.classList.toggle("down", !shard.up);
      row.classList.toggle("full", shard.busy > BUSY);
      setText(busy, shard.up ? percent(shard.busy) : "stands still");
      setText(viewers, count(shard.viewers, "viewer"));
      draw(canvas, samples, at, colours);
    });
    const most = Math.max(...last.shards.map((shard) => shard.busy));
    setText(this.#element.querySelector(".now"), `${count(last.shards.length, "shard")}, the busiest ${percent(most)}`);
  }
}

function makeRow(strip, index) {
  const row = document.createElement("div");
  row.className = "shard";
  const [name, busy, viewers] = ["b", "span", "span"].map((tag) => document.createElement(tag));
  name.textContent = `shard ${index}`;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [PAST, 1];
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `Load of shard ${index} in the last ten minutes`);
  row.append(name, canvas, busy, viewers);
  strip.append(row);
  return { row, canvas, busy, viewers };
}

// One column a second; the newest is at the right end.
function draw(canvas, samples, shard, colours) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, PAST, 1);
  const newest = samples.at(-1).at_ms;
  for (const { at_ms, shards } of samples) {
    const busy = shards[shard]?.busy;
    if (busy === undefined) continue;
    const x = PAST - 1 - Math.round((newest - at_ms) / 1000);
    context.globalAlpha = 1;
    context.fillStyle = colours[0];
    context.fillRect(x, 0, 1, 1);
    context.globalAlpha = busy > BUSY ? 1 : Math.min(1, busy * 1.25);
    context.fillStyle = busy > BUSY ? colours[3] : busy > 0.6 ? colours[2] : colours[1];
    context.fillRect(x, 0, 1, 1);
  }
}
