// The start page is two: the wall, and with `?wall` in its address the kiosk.

// As often a page asks whose scripts did not come.
const AGAIN_MS = 3_000;

const page = new URLSearchParams(location.search).has("wall") ? import("./kiosk.js") : import("./wall.js");
page.then(({ start }) => start(), waitForScripts);

function waitForScripts(error) {
  // One that is not JavaScript to this browser is none the next time either.
  if (error instanceof SyntaxError) throw error;
  const words = document.createElement("p");
  words.className = "noscript";
  words.setAttribute("role", "status");
  words.textContent = "The server does not answer. This page tries again by itself.";
  document.body.append(words);
  setInterval(reloadOnceThere, AGAIN_MS);
}

// Not before the server answers: a reload without it would leave a page of the browser's, which tries nothing.
async function reloadOnceThere() {
  const signal = AbortSignal.timeout(AGAIN_MS);
  const answer = await fetch(import.meta.url, { cache: "no-store", signal }).catch(() => null);
  if (answer?.ok) location.reload();
}
