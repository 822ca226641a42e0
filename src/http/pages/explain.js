// Why a stream does not play, in words.

import { listBeside } from "./token.js";
import { lengthOfTime, sentence, troubleWords } from "./words.js";

const REQUEST_TIMEOUT_MS = 5_000;

// {title, detail} of why `name` does not play; the reason is that of WhepPlayer's event "state".
export function explain(name, { kind, status, detail, problem, candidates, moved }) {
  if (moved && (status === 401 || status === 403))
    return {
      title: "The server is being restarted.",
      detail:
        "It sends viewers to another one, which does not take this password or token. The picture starts by itself as " +
        "soon as the server is back.",
    };
  if (kind === "http") return explainStatus(name, status, problem ?? {});
  const ports = [...new Set(candidates.map(({ protocol, port }) => `${port}/${protocol}`))];
  const port = ports.length === 0 ? "its UDP port" : `port ${ports.join(" or ")}`;
  switch (kind) {
    case "network":
      return {
        title: "The server cannot be reached.",
        detail: "The network may be down, or the server is starting again.",
      };
    case "ice":
      return { title: `No ${media(candidates)} path to the server.`, detail: explainPath(candidates, port) };
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
      if (problem?.code === "codec_changed")
        return { title: "The camera sends another format now.", detail: "The picture starts again by itself." };
      if (problem?.code === "overloaded")
        return {
          title: "The server has too many viewers.",
          detail: "It cannot send the picture to all of them, and those who came last go without. It is tried again.",
        };
      return { title: "The server ended the session.", detail: "It may be starting again." };
    default:
      return { title: "This browser could not play the stream.", detail: detail ?? "" };
  }
}

// How the stream may come.
function media(candidates) {
  return candidates.some(({ protocol }) => protocol === "tcp") ? "UDP or TCP" : "UDP";
}

// The page came, so this computer reaches the server; what it cannot reach is one of these addresses, or a port.
function explainPath(candidates, port) {
  const addresses = [...new Set(candidates.map(({ address }) => address))];
  // Without the brackets of an IPv6 address.
  const here = location.hostname.replace(/^\[|\]$/g, "");
  const elsewhere = addresses.length > 0 && !addresses.includes(here);
  const open = `${port} of the server must be open to this computer`;
  if (!elsewhere) return `The page arrived over TCP, but no ${media(candidates)} packet of the stream comes through: ${open}.`;
  const announced = addresses.join(" and ");
  return (
    `The page arrived over TCP from ${here}, but no ${media(candidates)} packet of the stream comes through. ` +
    `The server told this browser to use ${announced}: if this computer cannot reach that, name the right ` +
    `address in ice.addresses of the server's configuration. If it can, ${open}.`
  );
}

// Where the source is well and packets come no more: it is not the camera's fault.
const NOTHING_ARRIVES =
  "The camera sends, but nothing of it arrives here. The server may have more viewers than it can serve, or the network " +
  "lets its packets through no more. The picture comes back by itself.";

// What the server says of a connected stream `name` that shows no new picture, of a pair of its layer of that name, in
// sentences; empty when it says nothing. `arrives` is whether packets come: then what is odd about the video may be why, else what its source does.
export async function explainStill(name, layer, arrives) {
  try {
    const { asOf, ...stream } = await told(name);
    const { trouble, error, notes, since, state } = stream.layers?.find((of) => of.name === layer) ?? stream;
    if (arrives) return notes.map(sentence).join(" ");
    if (state === "playing" && !trouble && !error) return NOTHING_ARRIVES;
    const words = error ?? trouble?.detail;
    const why = words ? sentence(words) : trouble ? troubleWords(trouble.kind, trouble.cause).advice : "";
    if (trouble?.kind !== "away" || !since) return why;
    return `${why} It has been away for ${lengthOfTime(asOf - Date.parse(since))}.`;
  } catch {
    // That the server is away is said elsewhere.
    return "";
  }
}

// Whether `name` is on demand, and its camera is not there yet.
export async function isWoken(name) {
  try {
    const { on_demand, state } = await told(name);
    return on_demand && state !== "playing";
  } catch {
    return false;
  }
}

// What `streams.json` says of `name`, and the time of that by the server's clock, which dated it.
async function told(name) {
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const [url, headers] = listBeside();
  const response = await fetch(url, { cache: "no-store", headers, signal });
  const { streams } = await response.json();
  const asOf = Date.parse(response.headers.get("Date")) || Date.now();
  return { ...streams.find((stream) => stream.name === name), asOf };
}

function explainStatus(name, status, { code, detail, cause, reason }) {
  const say = (title, otherwise, words = detail) => ({ title, detail: words ? sentence(words) : otherwise });
  switch (status) {
    case 401:
    case 403:
      return say(
        "You may not watch this stream.",
        "The server wants a name and a password, or a valid token: load the page again.",
      );
    case 404:
      return say(
        `There is no stream named “${name}”.`,
        "Check the address, or choose from the list of all streams.",
        null,
      );
    case 409:
      return say(
        cause ? `${troubleWords("away", cause).title}.` : "There is no picture yet.",
        "The picture starts by itself as soon as the camera sends one.",
        // Without what the title and the line below say.
        reason,
      );
    case 422:
      return say(
        "This browser cannot play this stream.",
        "The server and the browser have no video or audio format in common.",
      );
    case 429:
      return say("Too many requests from this address.", "The server asks to wait for a moment.");
    case 503:
      if (code === "draining")
        return {
          title: "The server is being restarted.",
          detail: "It lets nobody new in until then. The picture starts by itself as soon as it is back.",
        };
      return say(
        "The server is full.",
        "It has as many viewers as it may have. A place can become free at any time.",
      );
    default:
      return say(`The server answered with status ${status}.`, "Its log says more.");
  }
}
