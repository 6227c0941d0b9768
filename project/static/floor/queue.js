// Everything that was scanned waits here until the server has said what became of it. The contract is the one of project/docs/handhelds.md:
// the key is made at capture and never again, a task's lane goes in order, nothing goes out in another person's name.

import { call, currentSession, senderOf } from "./session.js";
import { change, changed, rows, transact, write } from "./store.js";
import { learn } from "./tasks.js";

const MOST = 50; // items of one batch: small enough for a bad network
const SHIFT = 12 * 3_600_000; // ms: older than this is sent only when the person says so
const KEEP = 60; // finished items that are kept to be shown
const LEASE = 20_000; // ms, longer than a request may take
const [SHORTEST, LONGEST] = [1000, 60_000]; // ms between tries
const BLOCKED_PAUSE = 30_000;
const FINAL = ["applied", "held"];

let failures = 0;
let timer = 0;
let running = null;
let wanted = false;
let clockOff = null;

export const clockTrouble = () => clockOff;

// Also where a page on plain http has no crypto.randomUUID.
function eventId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

// Keep one scan; `values` {code, verb, task_id, label, quantity, scrap, reason, reason_code, counter}. It is on the disk when this returns.
export async function add(values) {
  const session = currentSession();
  const item = {
    client_event_id: eventId(),
    lane: `task:${values.task_id}`,
    quantity: 0,
    scrap: 0,
    reason: "",
    reason_code: "",
    ...values,
    captured_at: new Date().toISOString(),
    user: { id: session.user.id, name: session.user.name },
    kind: session.kind,
    state: "waiting",
    attempts: 0,
  };
  await transact(["meta", "items"], (get) => {
    const request = get("meta").get("seq");
    request.onsuccess = () => {
      item.seq = (request.result ?? 0) + 1;
      get("meta").put(item.seq, "seq");
      get("items").put(item);
    };
  });
  changed("items");
  kick();
  return item;
}

export async function items() {
  return (await rows("items")).sort((one, other) => one.seq - other.seq);
}

const age = (item) => Date.now() - Date.parse(item.captured_at);
export const isOld = (item) => item.state === "waiting" && age(item) > SHIFT && !item.asked;
export const isStopped = (item) => item.state === "refused" && !item.understood;

// What may go out now, oldest first: this person's, in this sender's name, of lanes that no refusal stops.
export function sendable(all, session) {
  const sender = senderOf(session);
  const mine = all.filter((item) => item.user.id === session.user.id);
  const stopped = new Set(mine.filter(isStopped).map((item) => item.lane));
  const behindOld = new Set();
  return mine.filter((item) => {
    if (item.state !== "waiting") return false;
    if (item.sender && item.sender !== sender) return false;
    if (isOld(item)) behindOld.add(item.lane);
    return !stopped.has(item.lane) && !behindOld.has(item.lane) && !(item.later > Date.now());
  });
}

const shape = ({ client_event_id, code, verb, quantity, scrap, reason, reason_code, captured_at, lane, seq, counter }) => ({
  client_event_id, code, verb, quantity, scrap, reason, reason_code, captured_at, lane, seq, ...(counter ? { counter } : {}),
});

// Send what waits, once at a time over all tabs of this page. A call while it runs is one more round after it.
export function kick() {
  clearTimeout(timer);
  wanted = true;
  running ??= rounds().finally(() => (running = null));
  return running;
}

async function rounds() {
  while (wanted) {
    wanted = false;
    await alone(send);
  }
}

async function alone(work) {
  if (navigator.locks) return navigator.locks.request("docket-floor-sender", work);
  const me = eventId();
  const got = await lease(me);
  if (!got) return later(LEASE);
  await work();
  return write("lease", undefined);
}

// Where there are no locks (plain http): who writes the lease first has it until it runs out.
const lease = (me) =>
  transact(["meta"], (get, answer) => {
    const store = get("meta");
    const request = store.get("lease");
    request.onsuccess = () => {
      const free = !request.result || request.result.until < Date.now();
      if (free) store.put({ me, until: Date.now() + LEASE }, "lease");
      answer(free);
    };
  });

function later(wait) {
  clearTimeout(timer);
  timer = setTimeout(kick, wait);
}

const pause = () => Math.min(LONGEST, SHORTEST * 2 ** failures++) * (0.5 + Math.random());

async function send() {
  let most = MOST;
  for (;;) {
    const session = currentSession();
    if (!session?.token || session.locked) return;
    const batch = sendable(await items(), session).slice(0, most);
    if (!batch.length) return;
    const keys = batch.map((item) => item.client_event_id);
    await change("items", keys, (item) => ({ ...item, attempts: item.attempts + 1, sender: senderOf(session) }));
    const body = { device_time: new Date().toISOString(), items: batch.map(shape) };
    const answer = await call("scans/batch/", { body });
    if (answer.ok) {
      failures = 0;
      await takeResults(answer.body);
    } else if (answer.status === 401 || answer.status === 403) {
      return; // the session has ended: everything waits for the same person
    } else if ((answer.status === 413 || answer.status === 400) && most > 1) {
      most = 1; // one of them is the trouble: the others must not wait for it
    } else if (answer.status === 400 || answer.status === 413) {
      await takeResults({ results: [{ client_event_id: keys[0], result: "refused", code: answer.body.code, detail: answer.body.detail }] });
    } else {
      return later(Math.max(answer.wait, pause()));
    }
  }
}

async function takeResults({ results, clock }) {
  if (clock) clockOff = clock.is_off ? clock.offset_seconds : null;
  const told = new Map(results.map((result) => [result.client_event_id, result]));
  await change("items", [...told.keys()], (item) => settle(item, told.get(item.client_event_id)));
  for (const result of results) await learn(result.task);
  await forgetOld();
  changed("items");
}

function settle(item, result) {
  if (result.result === "blocked") return { ...item, later: Date.now() + BLOCKED_PAUSE };
  const outcome = result.result === "duplicate" ? result.outcome : result.result;
  const { detail, code, warnings = [] } = result;
  const state = FINAL.includes(outcome) ? "done" : "refused";
  return { ...item, state, outcome, detail, refusal: code, warnings, settled_at: Date.now() };
}

async function forgetOld() {
  const ended = (await items()).filter((item) => item.state === "done" || item.understood);
  const extra = ended.slice(0, Math.max(0, ended.length - KEEP)).map((item) => item.client_event_id);
  await transact(["items"], (get) => extra.forEach((key) => get("items").delete(key)));
}

// The person has read why it was refused: its lane goes on.
export async function understand(key) {
  const all = await items();
  const { lane } = all.find((item) => item.client_event_id === key);
  await change("items", [key], (item) => ({ ...item, understood: true }));
  const behind = all.filter((item) => item.lane === lane && item.state === "waiting").map((item) => item.client_event_id);
  await change("items", behind, (item) => ({ ...item, later: 0 }));
  changed("items");
  kick();
}

// The answer to "send or discard?" for what is older than a shift, or was sent from another pairing.
export async function decide(keys, isSent) {
  if (isSent) await change("items", keys, (item) => ({ ...item, asked: true }));
  else await change("items", keys, (item) => ({ ...item, state: "discarded", understood: true, settled_at: Date.now() }));
  changed("items");
  kick();
}

// The item when the server has spoken, or as it is after `patience` ms.
export async function settled(key, patience) {
  const until = Date.now() + patience;
  for (;;) {
    const item = (await items()).find((one) => one.client_event_id === key);
    if (!item || item.state !== "waiting" || Date.now() >= until) return item;
    await Promise.race([running ?? Promise.resolve(), new Promise((resolve) => setTimeout(resolve, until - Date.now()))]);
    if (!running) await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function startSending() {
  clockOff = null;
  window.addEventListener("online", () => {
    failures = 0;
    kick();
  });
  document.addEventListener("visibilitychange", () => document.hidden || kick());
  await kick();
}

