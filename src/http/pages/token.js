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

// What a page's address sets, as MediaMTX's do. Whatever else is in it may be what a hook judges by.
const SETTINGS = ["controls", "muted", "autoplay", "playsinline", "disablepictureinpicture"];

// The address and the headers of a question beside the stream of this page, such as the list of all. Where the page's own
// address says who asks, it says so here, too, and a refusal has no browser ask for a password. Where the browser was
// told one when the page was opened, it sends it here only when it is challenged.
export function beside(url) {
  const says = token !== null || [...new URLSearchParams(location.search).keys()].some((name) => !SETTINGS.includes(name));
  return [passedOn(url), { ...(says && BY_SCRIPT), ...credentials() }];
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
