// What I scanned last and what became of it; and everything on this handheld that waits for somebody.

import { button, h, icon } from "../dom.js";
import { clockTrouble, decide, isOld, isStopped, understand } from "../queue.js";
import { currentSession, senderOf } from "../session.js";
import { clock, number, shop, t } from "../texts.js";

const SHOWN = 5;
const SIGNS = { waiting: "clock", applied: "check", held: "warn", refused: "cross", discarded: "erase" };

export const stateOf = (item) => (item.state === "done" ? item.outcome : item.state);

// One scan in words: what was done to which task, and how many.
export function describe(item) {
  const what = `${shop().verbs[item.verb] ?? t("scan")} · ${item.label}`;
  const counts = [item.quantity && t("count_good", { good: number(item.quantity) }), item.scrap && t("count_scrap", { scrap: number(item.scrap) })];
  return [what, ...counts.filter(Boolean)].join(" · ");
}

const mine = (all) => all.filter((item) => item.user.id === currentSession()?.user.id);

// How many wait until somebody has read why the one before them was refused.
export function behindRefused(app) {
  const own = mine(app.all);
  const stopped = new Set(own.filter(isStopped).map((item) => item.lane));
  return own.filter((item) => item.state === "waiting" && stopped.has(item.lane)).length;
}

export const last = {
  calm: (app) => {
    const waiting = app.waiting;
    if (!waiting) return { title: t("all_sent"), detail: t("last_more") };
    return { title: t("waiting_title", { count: number(waiting) }), detail: t(behindRefused(app) ? "waiting_behind" : "waiting_more") };
  },
  build(app) {
    const own = mine(app.all).sort((one, other) => other.seq - one.seq);
    const shown = own.filter((item, place) => place < SHOWN || item.state === "waiting");
    return [
      h("section", { class: "block is-plain" },
        h("h2", {}, t("last_events")),
        shown.length ? h("ol", { class: "events" }, shown.map(event)) : h("p", { class: "quiet" }, t("no_events")),
      ),
      app.waiting ? button(t("send_now"), () => app.sendNow(), { look: "is-wide", icon: "up" }) : null,
    ];
  },
};

function event(item) {
  const state = stateOf(item);
  return h("li", { class: `event is-${state}` },
    icon(SIGNS[state]),
    h("div", {},
      h("p", { class: "event-what" }, describe(item)),
      h("p", { class: "quiet" }, [clock(item.captured_at), t(`state_${state}`)].join(" · ")),
      state === "refused" || state === "held" ? h("p", { class: "event-why" }, item.detail) : null,
    ),
  );
}

// What needs an answer or belongs to somebody else: shown above every screen.
export function notes(app) {
  const session = currentSession();
  const own = mine(app.all);
  const refused = own.filter((item) => isStopped(item) && item.client_event_id !== app.answered).map((item) => refusal(app, item));
  const clockOff = clockTrouble();
  const wrongClock = clockOff === null ? null : note("warn", h("p", { class: "note-title" }, t("clock_note", { minutes: number(Math.round(Math.abs(clockOff) / 60)) })));
  // Gone on without a network: the PIN is still owed.
  const owed = session && !session.token && !session.locked;
  const pin = owed ? note("warn", h("p", { class: "note-title" }, t("pin_owed")), button(t("enter_pin"), () => app.go("pin", { code: session.badge }), { look: "is-wide", icon: "badge", id: "pin-owed" })) : null;
  return [...refused, pin, wrongClock, old(own.filter(isOld)), elsewhere(session, own), ...others(app, session)];
}

function refusal(app, item) {
  const behind = mine(app.all).filter((one) => one.lane === item.lane && one.state === "waiting").length;
  return note("bad",
    h("p", { class: "note-title" }, t("refused_title", { what: describe(item) })),
    h("p", {}, item.detail),
    behind ? h("p", { class: "quiet" }, t("refused_behind", { count: number(behind) })) : null,
    button(t("understood"), () => understand(item.client_event_id), { look: "is-wide", icon: "check" }),
  );
}

function old(items) {
  return ask(items, t("old_title", { count: number(items.length) }), items[0] && t("old_since", { time: clock(items[0].captured_at) }));
}

// Sent once from another pairing, where it may have been counted: nothing tells, so a person decides.
function elsewhere(session, own) {
  const stuck = session ? own.filter((item) => item.state === "waiting" && item.sender && item.sender !== senderOf(session)) : [];
  return ask(stuck, t("elsewhere_title", { count: number(stuck.length) }), t("elsewhere_more"), false);
}

function ask(items, title, more, canSend = true) {
  if (!items.length) return null;
  const keys = items.map((item) => item.client_event_id);
  return note("warn",
    h("p", { class: "note-title" }, title),
    h("p", {}, more),
    h("p", { class: "quiet" }, items.map(describe).slice(0, SHOWN).join("\n")),
    h("div", { class: "choices" },
      canSend ? button(t("send_them"), () => decide(keys, true), { icon: "up" }) : null,
      button(t("discard_them"), () => decide(keys, false), { icon: "erase" }),
    ),
  );
}

function others(app, session) {
  const counts = new Map();
  for (const item of app.all) {
    const waits = item.state === "waiting" && item.user.id !== session?.user.id;
    if (waits) counts.set(item.user.name, (counts.get(item.user.name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => note("calm", h("p", {}, t("others_wait", { count: number(count), name }))));
}

const note = (kind, ...children) => h("div", { class: `note is-${kind}` }, children);
