// One way to ask the server. Nothing here throws over a network: no answer is an answer with status 0.

import { language } from "./texts.js";

const PATIENCE = 15_000; // ms

// {ok, status, body, wait}: `wait` is Retry-After in ms, `body` the JSON or {}.
export async function ask(path, { token = "", body, patience = PATIENCE } = {}) {
  const headers = { Accept: "application/json", "Accept-Language": language() };
  if (token) headers.Authorization = `Token ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const options = { method: body === undefined ? "GET" : "POST", headers, credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(patience) };
  if (body !== undefined) options.body = JSON.stringify(body);
  try {
    const answer = await fetch(`/api/${path}`, options);
    const said = await answer.text();
    const wait = 1000 * Number(answer.headers.get("Retry-After") ?? 0);
    return { ok: answer.ok, status: answer.status, wait, body: said.startsWith("{") ? JSON.parse(said) : {} };
  } catch {
    return { ok: false, status: 0, wait: 0, body: {} };
  }
}
