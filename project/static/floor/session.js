// Whose handheld this is and who works on it. `device` {id, name, token}, `session` {token, kind, user, badge, active_at}.

import { ask } from "./api.js";
import { changed, read, write } from "./store.js";

let device = null;
let session = null;
const STAMP = 15_000; // ms between two notes of "still there"

export const currentDevice = () => device;
export const currentSession = () => session;

// The same scan must go out in the same name each time, or it could count twice.
export const senderOf = (one) => (one.kind === "badge" ? `device:${device?.id}` : `person:${one.user.id}`);

export async function loadSession() {
  [device, session] = await Promise.all([read("device"), read("session")]);
}

async function keep(next) {
  session = next;
  await write("session", next ?? undefined);
  changed("session");
}

// Take the token that the admin has shown for this handheld.
export async function pair(token) {
  const answer = await ask("auth/me/", { token });
  if (!answer.ok) return answer;
  const { device: told } = answer.body;
  if (!told) return { ...answer, ok: false };
  device = { ...told, token };
  await write("device", device);
  await keep(null);
  return answer;
}

export async function unpair() {
  device = null;
  await write("device", undefined);
  await keep(null);
}

const begin = (kind, badge, { token, user, idle_minutes: minutes }) => keep({ kind, badge, token, user, minutes, active_at: Date.now() });

export async function signInByBadge(badge, pin) {
  const answer = await ask("auth/badge/", { token: device.token, body: { badge, pin } });
  if (answer.ok) await begin("badge", badge, answer.body);
  else if (answer.status === 401 && answer.body.code === "token_revoked") await unpair();
  return answer;
}

export async function signInByPassword(username, password) {
  const answer = await ask("auth/login/", { body: { username, password } });
  if (answer.ok) await begin("password", "", answer.body);
  return answer;
}

export async function signOut() {
  const { token } = session;
  await keep(null);
  if (token) await ask("auth/logout/", { token, body: {}, patience: 4000 });
}

// The server has ended the session: the person stays known, and scans wait, until the same badge comes again.
async function sessionEnded(code) {
  if (!session) return;
  if (code === "token_revoked" && session.kind === "badge") await unpair();
  else await keep({ ...session, token: "", locked: true });
}

// Ask in the person's name. An answer that ends the session does so here, for whatever was asked.
export async function call(path, options = {}) {
  const answer = await ask(path, { ...options, token: session.token });
  if (answer.status === 401 || (answer.status === 403 && answer.body.code === "badge_needed")) await sessionEnded(answer.body.code);
  return answer;
}

export async function lock() {
  await keep({ ...session, locked: true });
}

// Without a network a PIN cannot be asked: the same badge goes on collecting, and nothing is sent before the PIN.
export async function continueOffline(badge) {
  await keep({ ...session, token: "", locked: false, active_at: Date.now() });
}

export const isSameBadge = (badge) => Boolean(session?.badge) && session.badge === badge;

export function touch() {
  if (session && !session.locked && Date.now() - session.active_at > STAMP) {
    session.active_at = Date.now();
    write("session", session);
  }
}

// A handheld that was put down is nobody's, also without a network. A phone of one's own is locked by its owner.
export const isIdle = () => session?.kind === "badge" && !session.locked && Date.now() - session.active_at > session.minutes * 60_000;
