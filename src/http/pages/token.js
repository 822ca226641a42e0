// The token in the address of this page (`?token=...` or `#token=...`), for pages in frames and on screens, where nobody
// can type a password. Where there is none the browser sends what it was told when it asked.
//
// A token in the query opens the page itself too; one behind `#` is never sent with it. What the page asks for carries
// either in a header, so that no address of a request has it.

// What tokens of Sluice's own begin with. Others may be for the server that `access.hook` names, which reads the query.
const OURS = "sluice_";

const inQuery = new URLSearchParams(location.search).get("token");
const inFragment = new URLSearchParams(location.hash.slice(1)).get("token");

export const token = inFragment ?? inQuery;

// The same address with the query of this page, but for a token that goes into a header.
export function passedOn(url) {
  const query = new URLSearchParams(location.search);
  if (query.get("token")?.startsWith(OURS)) query.delete("token");
  return Object.assign(new URL(url), { search: query.toString() });
}

// Says that a script asks. The server challenges no browser then, which would ask whoever looks and have the request wait
// for an answer.
export const BY_SCRIPT = { "X-Requested-With": "fetch" };

// The address and the headers of a player's question about the list of all streams. It is asked below the page itself, where a
// browser sends what it was told for the page without being challenged; who was told nothing is refused, and not asked for
// a password in the middle of a picture.
export function listBeside() {
  return [passedOn(new URL("streams.json", location.href)), { ...BY_SCRIPT, ...credentials() }];
}

// Headers that say who asks.
export function credentials() {
  return token ? { Authorization: `Bearer ${token}` } : {};
}

// The address of another page of this server, for whoever looks at this one.
export function carried(url) {
  const address = new URL(url, location.href);
  if (inQuery) address.searchParams.set("token", inQuery);
  if (inFragment) address.hash = `token=${encodeURIComponent(inFragment)}`;
  return address;
}

// The address of this page as it may be told to others.
export function untold() {
  const address = new URL(location.href);
  address.searchParams.delete("token");
  address.hash = "";
  return address.href;
}
