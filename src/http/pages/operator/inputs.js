// The table of streams: what each does and carries, what comes in of it, and what is wrong.

import { ask } from "./ask.js";
import { compareNames } from "./natural.js";
import { Rows, buttonIn } from "./rows.js";
import { bitrate, number } from "./units.js";
import { channelWords, codecName, count, lengthOfTime, sentence, setText, sizeWords, troubleWords } from "./words.js";

const STATES = {
  idle: "Idle, on demand",
  playing: "Plays",
  starting: "Starts",
  connecting: "Connects",
  waiting: "Waits",
};

export class Streams {
  #element;
  #rows;
  #chosen = "";
  #names = "";

  // `choose(name)` is called where a stream is pressed: viewers and log are to be about it, or about all again.
  constructor(element, choose) {
    this.#element = element;
    const press = ({ of, name }) => choose((of ?? name) === this.#chosen ? "" : (of ?? name));
    this.#rows = new Rows(element.querySelector("tbody"), [
      {
        label: "Stream",
        kind: "name",
        fill: (cell, stream) => {
          const button = buttonIn(cell, stream, stream.name, press);
          button.setAttribute("aria-pressed", String((stream.of ?? stream.name) === this.#chosen));
        },
      },
      { label: "State", kind: "state", text: stateWords, title: (stream) => stream.error ?? "" },
      { label: "Picture", kind: "wide", text: pictureWords, title: (stream) => stream.notes.map(sentence).join(" ") },
      { label: "Bitrate", kind: "number", text: ({ ingress }) => bitrate(ingress.bps ?? NaN) },
      { label: "Keyframe every", kind: "number", text: ({ ingress }) => keyframeWords(ingress) },
      { label: "Lost", kind: "number", text: ({ ingress }) => number(ingress.lost) },
      { label: "Viewers", kind: "number", text: ({ viewers }) => String(viewers) },
    ]);
  }

  choose(stream) {
    this.#chosen = stream;
    this.refresh();
  }

  async refresh() {
    let streams;
    try {
      ({ streams } = await ask("api/v1/streams"));
    } catch {
      // The feed says that the server is away.
      return;
    }
    streams.sort((a, b) => Boolean(b.trouble) - Boolean(a.trouble) || compareNames(a.name, b.name));
    const decorate = (row, { of, name, state, trouble }) => {
      row.dataset.state = trouble ? "trouble" : state;
      row.classList.toggle("chosen", (of ?? name) === this.#chosen);
    };
    // Below a stream its layers, if it has two.
    const rows = streams.flatMap((stream) => [
      stream,
      ...(stream.layers ?? []).map((layer) => ({ ...layer, of: stream.name, name: `${stream.name}:${layer.name}`, audio: null })),
    ]);
    this.#rows.show(rows, (stream) => stream.name, decorate);
    const wrong = streams.filter((stream) => stream.trouble).length;
    const attention = wrong ? `, ${wrong} ${wrong === 1 ? "needs" : "need"} attention` : "";
    setText(this.#element.querySelector(".now"), `${count(streams.length, "stream")}${attention}`);
    this.#offer(streams.map((stream) => stream.name));
  }

  // The names to choose from, elsewhere on the page.
  #offer(names) {
    if (this.#names === names.join()) return;
    this.#names = names.join();
    for (const select of document.querySelectorAll("#viewers-stream, #log-stream")) {
      const chosen = select.value;
      const option = (name) => new Option(name, name, false, name === chosen);
      select.replaceChildren(new Option("all", ""), ...[...names].sort(compareNames).map(option));
      select.value = names.includes(chosen) ? chosen : "";
    }
  }
}

function stateWords({ state, trouble, since, error, turn }) {
  const of = turn ? `, source ${turn.source} of ${turn.of}` : "";
  const age = `${since ? ` for ${lengthOfTime(Date.now() - Date.parse(since))}` : ""}${of}`;
  if (!trouble) return `${STATES[state] ?? state}${age}`;
  return `${troubleWords(trouble.kind, trouble.cause).title}${age}${error ? `: ${error}` : ""}`;
}

function pictureWords({ video, audio }) {
  const seen = video && [codecName(video.codec), sizeWords(video)].filter(Boolean).join(" ");
  const heard = audio && `${codecName(audio.codec)} ${channelWords(audio.channels)}`;
  return [seen, heard].filter(Boolean).join(", ") || "–";
}

function keyframeWords({ keyframe_interval_s }) {
  return Number.isFinite(keyframe_interval_s) ? `${keyframe_interval_s.toFixed(1)} s` : "–";
}
