// Requests to `api/v1`.

const REQUEST_TIMEOUT_MS = 5_000;

// What the server answers, or an error with its sentence.
export async function ask(path, options = {}) {
  const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  let response;
  try {
    response = await fetch(path, { cache: "no-store", signal, ...options });
  } catch (error) {
    if (error.name !== "TimeoutError" && !(error instanceof TypeError)) throw error;
    throw new Error("The server does not answer. It may be stopped, or the network is down.");
  }
  if (response.status === 204) return null;
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? `The server answered with status ${response.status}.`);
}
