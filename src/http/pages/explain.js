// Why a stream does not play, in words.

import { sentence, troubleWords } from "./words.js";

const REQUEST_TIMEOUT_MS = 5_000;

// {title, detail} of why `name` does not play; the reason is that of WhepPlayer's event "state".
export function explain(name, { kind, status, detail, ports }) {
  if (kind === "http") return explainStatus(name, status, detail);
  const port = ports.length === 0 ? "its UDP port" : `port ${ports.map((p) => `${p}/udp`).join(" or ")}`;
  switch (kind) {
    case "network":
      return {
        title: "The server cannot be reached.",
        detail: "The network may be down, or the server is starting again.",
      };
    case "ice":
      return {
        title: "No UDP path to the server.",
        detail: `The page arrived over TCP, but no UDP packet comes through: ${port} of the server must be open to this computer.`,
      };
    case "dtls":
      return {
        title: "The secure connection could not be made.",
        detail: `UDP reaches ${port} of the server, but the DTLS handshake does not end.`,
      };
    case "lost":
      return {
        title: "The connection to the server was lost.",
        detail: `Nothing has come from ${port} for some seconds.`,
      };
    case "closed":
      return { title: "The server ended the session.", detail: "It may be starting again." };
    default:
      return { title: "This browser could not play the stream.", detail: detail ?? "" };
  }
}

// What the server says of a connected stream `name` that shows no new picture, in sentences; empty when it says nothing.
// `arrives` is whether packets come: then what is odd about the video may be why, else what its source does.
export async function explainStill(root, name, arrives) {
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    const response = await fetch(new URL("streams.json", root), { cache: "no-store", signal });
    const { streams } = await response.json();
    const { trouble, error, notes } = streams.find((stream) => stream.name === name);
    if (arrives) return notes.map(sentence).join(" ");
    const words = error ?? trouble?.detail;
    return words ? sentence(words) : trouble ? troubleWords(trouble.kind).advice : "";
  } catch {
    // That the server is away is said elsewhere.
    return "";
  }
}

function explainStatus(name, status, detail) {
  const say = (title, otherwise) => ({ title, detail: detail ? sentence(detail) : otherwise });
  switch (status) {
    case 401:
    case 403:
      return say(
        "You may not watch this stream.",
        "The server wants a valid token: add #token=… to the address of this page.",
      );
    case 404:
      return say(
        `There is no stream named “${name}”.`,
        "Check the address, or choose from the list of all streams.",
      );
    case 409:
      return say(
        "There is no picture yet.",
        "The picture starts by itself as soon as the camera sends one.",
      );
    case 422:
      return say(
        "This browser cannot play this stream.",
        "The server and the browser have no video or audio format in common.",
      );
    case 429:
      return say("Too many requests from this address.", "The server asks to wait for a moment.");
    case 503:
      return say(
        "The server is full.",
        "It has as many viewers as it may have. A place can become free at any time.",
      );
    default:
      return say(`The server answered with status ${status}.`, "Its log says more.");
  }
}
