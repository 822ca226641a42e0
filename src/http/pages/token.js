// The token in the address of this page (`?token=...` or `#token=...`), for pages in frames and on screens, where nobody
// can type a password. Where there is none the browser sends what it was told when it asked.
//
// A token in the query opens the page itself too; one behind `#` is never sent with it. What the page asks for carries
// either in a header, so that no address of a request has it.

const inQuery = new URLSearchParams(location.search).get("token");
const inFragment = new URLSearchParams(location.hash.slice(1)).get("token");

export const token = inFragment ?? inQuery;

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
