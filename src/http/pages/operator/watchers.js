// Viewers on demand: the worst first, one found by the short id that its player shows, and the end of one.

import { ask } from "./ask.js";
import { Rows, buttonIn } from "./rows.js";
import { bitrate, client, milliseconds, number, percent } from "./units.js";
import { clockTime, count, lengthOfTime, setText } from "./words.js";

const LIMIT = 50;
// A button that was pressed once asks for so long whether it was meant.
const ASKS_MS = 4_000;

const REASONS = {
  deleted: "its player left",
  operator: "an operator ended it",
  access_expired: "its right to watch had an end",
  access_revoked: "its right to watch was taken back",
  peer_closed: "its browser closed the connection",
  setup_timeout: "it did not connect in time",
  consent_expired: "nothing was heard of it any more",
  engine_failed: "its engine failed",
  stream_removed: "its stream was removed",
  codec_changed: "its stream sends another codec, or sound, now",
  overloaded: "there was more to send than could be sent",
  shard_failed: "its shard failed",
  drained: "it was sent to another server",
  shutdown: "the server stopped",
};

export class Viewers {
  #find;
  #live;
  #ended;
  #shown = false;
  #request = 0;

  constructor(element, choose) {
    this.#find = (selector) => element.querySelector(selector);
    const ago = (ms) => lengthOfTime(Date.now() - ms);
    const address = ({ address }) => address;
    const program = [{ label: "Client", kind: "wide", text: (row) => client(row.client), title: (row) => row.client }];
    this.#live = new Rows(this.#find("#viewers-live tbody"), [
      { label: "Session", kind: "id", text: ({ id }) => id },
      { label: "Stream", kind: "name", text: ({ stream, layer }) => (layer ? `${stream}:${layer}` : stream) },
      { label: "Address", text: address },
      { label: "Since", kind: "number", text: (row) => ago(row.since_ms), title: (row) => clockTime(row.since_ms) },
      { label: "Round trip", kind: "number", text: (row) => milliseconds(row.round_trip_ms ?? NaN) },
      { label: "Loss", kind: "number", text: lossWords, title: lostWords },
      { label: "Repairs", kind: "number", text: (row) => number(row.repairs) },
      { label: "Estimate", kind: "number", text: estimateWords, title: thinnedWords },
      { label: "Path of media", kind: "wide", text: pathWords, title: (row) => `on shard ${row.shard}` },
      ...program,
      {
        label: "",
        kind: "act",
        fill: (cell, row) => {
          const button = buttonIn(cell, row, "End", (row, button) => this.#press(row, button));
          button.setAttribute("aria-label", `End the viewer ${row.id}`);
        },
      },
    ]);
    this.#ended = new Rows(this.#find("#viewers-ended tbody"), [
      { label: "Session", kind: "id", text: ({ id }) => id },
      { label: "Stream", kind: "name", text: ({ stream }) => stream },
      { label: "Address", text: address },
      { label: "Watched", kind: "number", text: (row) => lengthOfTime(row.ended_ms - row.since_ms) },
      { label: "Ended", kind: "number", text: (row) => `${ago(row.ended_ms)} ago`, title: (row) => clockTime(row.ended_ms) },
      { label: "Reason", kind: "wide", text: (row) => REASONS[row.reason] ?? row.reason },
      ...program,
    ]);
    this.#find("#viewers-show").addEventListener("click", () => this.#toggle(!this.#shown));
    this.#find("#viewers-stream").addEventListener("change", (event) => choose(event.target.value));
    this.#find("#viewers-sort").addEventListener("change", () => this.#toggle(true));
    this.#find("#viewers-session").addEventListener("input", () => this.#toggle(true));
    this.#find("form").addEventListener("submit", (event) => event.preventDefault());
  }

  choose(stream) {
    this.#find("#viewers-stream").value = stream;
    this.refresh();
  }

  // No session is looked for any more.
  forget() {
    this.#find("#viewers-session").value = "";
  }

  #toggle(shown) {
    this.#shown = shown;
    const button = this.#find("#viewers-show");
    button.setAttribute("aria-expanded", String(shown));
    setText(button, shown ? "Hide viewers" : "Show viewers");
    button.classList.toggle("primary", !shown);
    this.#find("#viewers-live").hidden = true;
    this.#find("#viewers-ended").hidden = true;
    this.#say("");
    this.refresh();
  }

  // Shards are asked only while somebody looks.
  async refresh() {
    if (!this.#shown) return;
    const session = this.#find("#viewers-session").value.trim().toLowerCase();
    if (session && !/^[0-9a-f]{8}$/.test(session)) {
      return this.#say("A session has eight digits and letters from a to f: the player shows it under its statistics.");
    }
    const asked = new URLSearchParams({ sort: this.#find("#viewers-sort").value, limit: LIMIT });
    const stream = this.#find("#viewers-stream").value;
    if (stream) asked.set("stream", stream);
    if (session) asked.set("session", session);
    const mine = (this.#request += 1);
    try {
      const list = await ask(`api/v1/sessions?${asked}`);
      if (this.#request === mine && this.#shown) this.#show(list, session);
    } catch (error) {
      if (this.#request === mine) this.#say(error.message);
    }
  }

  #show({ total, sessions: viewers, ended, silent_shards }, session) {
    this.#live.show(viewers, (row) => row.id, (row, { connected }) => row.classList.toggle("pending", !connected));
    this.#ended.show(ended, (row) => `${row.id}-${row.ended_ms}`);
    this.#find("#viewers-live").hidden = viewers.length === 0;
    this.#find("#viewers-ended").hidden = ended.length === 0;
    if (session) this.#find("#viewers-ended").open = true;
    setText(this.#find("#viewers-ended summary"), `${count(ended.length, "viewer")} that ended in the last ten minutes`);
    setText(this.#find(".now"), total > viewers.length ? `the worst ${viewers.length} of ${total}` : count(total, "viewer"));
    const nobody = session
      ? ended.length ? "" : `Nobody is called ${session}, and nobody was in the last ten minutes.`
      : "Nobody watches.";
    const silent = silent_shards.length ? `Shard ${silent_shards.join(", ")} does not answer: its viewers are missing here.` : "";
    this.#say([total ? "" : nobody, silent].filter(Boolean).join(" "));
  }

  #say(words) {
    setText(this.#find(".words"), words);
  }

  // The first press asks, the second one ends.
  async #press(row, button) {
    if (!button.dataset.asked) {
      button.dataset.asked = "yes";
      setText(button, "Really end?");
      setTimeout(() => {
        delete button.dataset.asked;
        setText(button, "End");
      }, ASKS_MS);
      return;
    }
    button.disabled = true;
    try {
      await ask(`api/v1/sessions/${row.id}`, { method: "DELETE" });
      this.#say(`The viewer ${row.id} was ended.`);
    } catch (error) {
      button.disabled = false;
      this.#say(error.message);
    }
    this.refresh();
  }
}

function lossWords({ loss, lost }) {
  return Number.isFinite(loss) ? percent(loss) : lost ? `${lost} lost` : "–";
}

function lostWords({ lost, packets, redundant_sound }) {
  return `${lost} of ${packets} packets${redundant_sound ? "; its sound goes twice" : ""}`;
}

/** What its line carries: as it thinks, or what it is limited to. */
function estimateWords({ estimate_bps, limit_bps }) {
  return limit_bps === null ? bitrate(estimate_bps ?? NaN) : `limited to ${bitrate(limit_bps)}`;
}

function thinnedWords({ left_out }) {
  return left_out ? `${number(left_out)} pictures left out: its line is too narrow` : "";
}

function pathWords({ path, connected }) {
  return path ? `${path.remote} from ${path.local}` : connected ? "none now" : "connects";
}
