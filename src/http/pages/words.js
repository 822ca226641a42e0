// What the pages say, where more than one of them says it.

const CODECS = { H264: "H.264", H265: "H.265", OPUS: "Opus", PCMU: "G.711 µ-law", PCMA: "G.711 A-law" };

const TROUBLES = {
  away: {
    title: "No connection",
    advice: "Sluice keeps trying. Whoever watches stays connected and sees the picture come back by itself.",
  },
  silent: {
    title: "No pictures",
    advice:
      "The camera is connected and sends no pictures. Its encoder may have stopped: look at the camera's own page, or restart it.",
  },
  no_keyframe: {
    title: "No keyframe",
    advice:
      "Pictures arrive, but none that a player can begin with. Set the camera's keyframe interval (I-frame interval, GOP) to one or two seconds.",
  },
  no_video: {
    title: "No video",
    advice: "The camera offers video in a format that is not forwarded. Set it to H.264.",
  },
  undecodable: {
    title: "Cannot be shown",
    advice:
      "This browser cannot decode the picture. Another browser may; H.264 Baseline or Main plays everywhere.",
  },
};

// The page does not know how Sluice was started.
const RELOAD =
  "Correct the source in the configuration file and reload Sluice (SIGHUP); without a file, start it again with the right source.";
const RARELY = "Until then it asks rarely, because many cameras lock a user out.";

// Why a source is away, by the word of `streams.json`. The server's sentence stands beside the advice.
const CAUSES = {
  name: { title: "No such host", advice: `No name server knows the camera. ${RELOAD}` },
  unreachable: {
    title: "Camera does not answer",
    advice:
      `Sluice keeps trying, and the picture comes back by itself. If the camera has another address now: ${lower(RELOAD)}`,
  },
  no_credentials: { title: "Password needed", advice: `${RELOAD} ${RARELY}` },
  credentials: { title: "Wrong password", advice: `${RELOAD} ${RARELY}` },
  refused: {
    title: "Camera refuses access",
    advice: `Change its settings, or ${lower(RELOAD)} ${RARELY}`,
  },
  path: { title: "No such path on the camera", advice: `Its manual names its paths. ${RELOAD}` },
  full: {
    title: "Camera has no room",
    advice:
      "Close other programs that watch this camera, or raise the number of its sessions. Sluice keeps trying.",
  },
  media: { title: "No usable video", advice: "Set the camera to H.264. Sluice keeps trying." },
};

function lower(words) {
  return words.charAt(0).toLowerCase() + words.slice(1);
}

// What is said of a source that rests (`state` is "idle").
export const ON_DEMAND = "On demand";

// {title, advice} of a kind of trouble and, of a source that is away, its cause, as `streams.json` names them.
export function troubleWords(kind, cause = null) {
  return CAUSES[cause] ?? TROUBLES[kind] ?? { title: "Needs attention", advice: "" };
}

export function codecName(name) {
  return CODECS[name.toUpperCase()] ?? name;
}

// "1280 × 720", or nothing when it is not known.
export function sizeWords({ width, height }) {
  return width && height ? `${width} × ${height}` : "";
}

export function channelWords(channels) {
  return channels === 1 ? "mono" : channels === 2 ? "stereo" : `${channels} channels`;
}

// The server's words are fragments (lower case, no full stop); the pages speak in sentences.
export function sentence(words) {
  return words.charAt(0).toUpperCase() + words.slice(1).replace(/[^.!?]$/, "$&.");
}

export function count(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

// "8 s", "4 min", "3 h", "2 d": one figure is enough to judge by.
export function lengthOfTime(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

// "14:05:09" today, with the date on any other day.
export function clockTime(ms) {
  const then = new Date(ms);
  return then.toDateString() === new Date().toDateString()
    ? then.toLocaleTimeString()
    : then.toLocaleString();
}

// An unchanged text is not laid out again, nor announced again to those who listen to the page.
export function setText(element, words) {
  if (element.textContent !== words) element.textContent = words;
}
