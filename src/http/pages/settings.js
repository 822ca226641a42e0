// What this browser remembers of how somebody likes the wall. Without storage (a private window, a policy)
// it is forgotten with the page, and nothing else is different.

const KEY = "sluice.wall";

export function readSettings(defaults) {
  try {
    const stored = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    // What is stored may be from another version: only what has the right type counts.
    const known = Object.keys(defaults).filter((name) => typeof stored[name] === typeof defaults[name]);
    return { ...defaults, ...Object.fromEntries(known.map((name) => [name, stored[name]])) };
  } catch {
    return { ...defaults };
  }
}

export function writeSettings(settings) {
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // Nothing is remembered then.
  }
}
