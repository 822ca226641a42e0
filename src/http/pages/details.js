// All about one stream, in a dialog: what is wrong with it and what helps, what it carries, and the other ways
// to it (addresses and commands, ready to be copied).

import { copyText } from "./copy.js";
import { streamUrl } from "./streams.js";
import { carried } from "./token.js";
import {
  ON_DEMAND,
  channelWords,
  codecName,
  count,
  lengthOfTime,
  sentence,
  setText,
  sizeWords,
  troubleWords,
} from "./words.js";

const RESTS =
  "The camera is connected once somebody watches, and let go when nobody does any more. A picture of it is from its last viewer's time.";

export class Details {
  #dialog;
  #root;
  #name = null;

  constructor(dialog, root) {
    this.#dialog = dialog;
    this.#root = root;
    dialog.addEventListener("close", () => (this.#name = null));
    this.#find(".close").addEventListener("click", () => dialog.close());
    // A click beside it; everything inside has an element of its own.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }

  // The name of the stream that it shows, or null.
  get name() {
    return this.#name;
  }

  open(stream, state) {
    this.#name = stream.name;
    this.update(stream, state);
    this.#find(".ways").replaceChildren(...waysTo(streamUrl(this.#root, stream.name), stream.name).map(way));
    this.#dialog.showModal();
  }

  // `facts` are {trouble, since}: its kind of trouble or null, and for how many ms its state lasts or null.
  update(stream, { trouble, since }) {
    setText(this.#find("h2"), stream.name);
    this.#find(".watch").href = carried(streamUrl(this.#root, stream.name));
    setText(this.#find(".state"), stateWords(stream, trouble, since));
    this.#find(".state").dataset.trouble = trouble ?? "";
    const detail = stream.trouble?.detail ?? stream.error;
    setText(this.#find(".reason"), detail ? sentence(detail) : "");
    const advice = trouble ? troubleWords(trouble, stream.trouble?.cause).advice : "";
    setText(this.#find(".advice"), stream.state === "idle" ? RESTS : advice);
    const rows = facts(stream).filter(([, value]) => value);
    const key = JSON.stringify(rows);
    if (this.#dialog.dataset.rows === key) return;
    this.#dialog.dataset.rows = key;
    this.#find(".facts").replaceChildren(
      ...rows.flatMap(([name, value]) => [element("dt", name), element("dd", value)]),
    );
  }

  #find(selector) {
    return this.#dialog.querySelector(selector);
  }
}

function stateWords(stream, trouble, since) {
  const words = trouble
    ? troubleWords(trouble, stream.trouble?.cause).title
    : ({ playing: "Playing", starting: "No picture yet", connecting: "Connecting", idle: ON_DEMAND }[
        stream.state
      ] ?? "No connection");
  return since === null ? words : `${words} for ${lengthOfTime(since)}`;
}

function facts({ video, audio, viewers, source, turn, layers = [], notes }) {
  return [
    ...layers.map((layer) => [layer.name === "high" ? "High picture" : "Low picture", layerWords(layer)]),
    [
      "Video",
      video &&
        [codecName(video.codec), sizeWords(video), video.profile && `profile ${video.profile}`]
          .filter(Boolean)
          .join(", "),
    ],
    ["Audio", audio && `${codecName(audio.codec)}, ${channelWords(audio.channels)}`],
    ["Viewers", String(viewers)],
    ["Source", source === "demo" ? "Demo, from inside the program" : `${source.toUpperCase()}${turnWords(turn)}`],
    ["Notes", notes.map(sentence).join(" ")],
  ];
}

function layerWords({ state, video, trouble, viewers, turn }) {
  const away = state === "playing" ? null : trouble ? troubleWords(trouble.kind, trouble.cause).title : "Not connected";
  const seen = video && [codecName(video.codec), sizeWords(video)].filter(Boolean).join(" ");
  return [away, seen, count(viewers, "viewer")].filter(Boolean).join(", ") + turnWords(turn);
}

// Which of several sources plays, or is tried.
function turnWords(turn) {
  return turn ? ` (source ${turn.source} of ${turn.of})` : "";
}

// [what it is, text to copy].
function waysTo(url, name) {
  const file = `${name.replace(/[^\w.-]+/g, "_")}.mp4`;
  return [
    ["Page", url.href],
    ["WHEP address, for players", new URL("whep", url).href],
    [
      "In another page",
      `<iframe src="${url.href}?controls=0" allow="autoplay; fullscreen" width="640" height="360"></iframe>`,
    ],
    ["Newest picture, as a file", `curl -fo ${file} ${quoted(new URL("frame.mp4", url).href)}`],
    ["Load test", `sluice load whep ${quoted(new URL("whep", url).href)} --viewers 100`],
  ];
}

// As a shell takes it.
function quoted(text) {
  return /^[\w.:/%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function way([name, text]) {
  const row = document.createElement("li");
  const button = element("button", "Copy");
  button.type = "button";
  button.setAttribute("aria-label", `Copy: ${name}`);
  button.addEventListener("click", () => copyText(text, button));
  row.append(element("span", name), element("code", text), button);
  return row;
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
