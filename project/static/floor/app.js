// The floor page: what a scan means on the screen that is shown, and which screen comes next.

import { hasCamera, lookForCode } from "./camera.js";
import { parse } from "./codes.js";
import { button, fill, h, icon } from "./dom.js";
import * as queue from "./queue.js";
import { home, pick } from "./screens/home.js";
import { behindRefused, describe, last, notes } from "./screens/last.js";
import { report } from "./screens/report.js";
import { settings } from "./screens/settings.js";
import { badge, pairWith, pin, tokenIn, welcome } from "./screens/signin.js";
import { isBlocked, labelOf, nextMove, pause, task } from "./screens/task.js";
import { call, currentDevice, currentSession, isIdle, isSameBadge, loadSession, lock, signOut, touch } from "./session.js";
import { askText, choose, closeSheets } from "./sheet.js";
import { wakeSound } from "./sound.js";
import { onChange, row } from "./store.js";
import { codeOf, fetchTask, forgetTasksOfOthers, learn, listedTasks, refreshTasks, tasksOfOrder, watchChanges, withWaiting } from "./tasks.js";
import { loadTexts, number, shop, t } from "./texts.js";
import { applyTheme } from "./theme.js";
import { hush, listenForTaps, say, sayUntilTap, whenQuiet } from "./voice.js";
import { Wedge } from "./wedge.js";

const SCREENS = { welcome, badge, pin, home, pick, task, pause, report, last, settings };
const OPEN_TO_ALL = ["welcome", "badge", "pin", "settings"];
const OF_A_TASK = ["task", "pause", "report"];
const VISITED = ["home", "pick", "task", "last", "settings"]; // what the browser's Back and Forward go through
const ANSWER = 2500; // ms that a scan waits for the server before it is told as kept
const LOOK = 20_000; // ms between two looks for changes, while somebody works here
const AT_WORK = 5 * 60_000; // ms after the last touch; polling must not keep a forgotten session alive
const SAME_AGAIN = 1500; // ms before the same task's code means "go on with it"

const place = (id) => document.getElementById(id);
const isReady = () => Boolean(currentSession()) && !currentSession().locked && (currentSession().token || currentSession().kind === "badge");
const told = new Set(); // keys of held scans whose answer has been on the screen
let touchedAt = Date.now();
let isStale = false;
let lookup = Promise.resolve(); // the last look for what a code is: a command waits for it, or it would act on the task before

const app = {
  screen: "",
  params: {},
  all: [],
  lists: { mine: [], queue: [], at: 0 },
  known: new Map(),
  selected: null, // {id, code, reason, at, isLost}: the task that is open on the screen; lost: a scan after it has failed
  warnings: [],
  answered: "", // the key of the refusal that the answer above speaks of
  pending: "", // a code that came before anybody was signed in
  choose,

  say(...words) {
    app.answered = "";
    say(...words);
  },

  get waiting() {
    const user = currentSession()?.user.id;
    return app.all.filter((item) => item.state === "waiting" && (user === undefined || item.user.id === user)).length;
  },

  task: (id) => app.known.get(id),

  // What a scanned command acts on: the task on the screen, unless something else was scanned after it.
  get target() {
    return app.selected?.isLost ? null : app.selected;
  },

  async go(screen, params = {}, isPast = false) {
    if (isStale && screen === "home") return location.reload();
    app.screen = screen;
    app.params = params;
    app.answered = "";
    if (!OF_A_TASK.includes(screen)) app.selected = null;
    else if (screen === "task") app.selected.isLost = false;
    if (!isPast) remember();
    await app.load();
    if (app.screen !== screen) return;
    hush();
    app.show();
    window.scrollTo(0, 0);
    if (document.activeElement === document.body) place("screen").focus({ preventScroll: true });
  },

  async load() {
    app.all = await queue.items();
    app.lists = await listedTasks(app.all);
    app.known = new Map([...app.lists.mine, ...app.lists.queue].map((one) => [one.id, one]));
    for (const id of [app.selected?.id, ...(app.params.ids ?? [])].filter((id) => id && !app.known.has(id))) {
      const kept = await row("tasks", id);
      if (kept) app.known.set(id, withWaiting(kept, app.all));
    }
  },

  show() {
    const screen = SCREENS[app.screen];
    document.body.dataset.screen = app.screen;
    showHead();
    whenQuiet(() => ({ ...screen.calm(app), actions: scanActions() }));
    fill(place("screen"), h("div", { id: "notes" }, notes(app).filter(Boolean)), h("div", { id: "body", class: `screen-${app.screen}` }, screen.build(app, app.params).filter(Boolean)));
    showFoot();
  },

  // After a change in the background: what somebody types into stays as it is.
  async refresh() {
    const before = new Set(app.all.filter((item) => item.state === "waiting").map((item) => item.client_event_id));
    await app.load();
    if (!app.mayStay()) return;
    if (!SCREENS[app.screen].steady) app.show();
    else {
      showHead();
      fill(place("notes"), notes(app).filter(Boolean));
    }
    tellHeld(app.all.filter((item) => item.outcome === "held" && before.has(item.client_event_id)));
  },

  mayStay() {
    if (OPEN_TO_ALL.includes(app.screen) || isReady()) return true;
    app.entrance();
    return false;
  },

  entrance: () => app.go(currentDevice() ? "badge" : "welcome"),

  async reload() {
    const answered = await refreshTasks();
    await app.refresh();
    if (!answered && currentSession()?.token) app.say("warn", t("no_answer"), t("no_answer_more"));
  },

  async signedIn() {
    const { user } = currentSession();
    await forgetTasksOfOthers(user.id);
    app.selected = null;
    await app.go("home");
    const places = user.departments.map((one) => one.name).join(", ");
    app.say("good", t("hello", { name: user.name }), places);
    queue.kick();
    await refreshTasks();
    if (app.pending) {
      const code = app.pending;
      app.pending = "";
      await app.scan(code);
    }
  },

  // Signing out, or changing the person: never silently while something waits.
  async leave() {
    const name = currentSession().user.name;
    if (app.waiting) {
      const words = t("leave_waiting_more", { name });
      const answer = await choose(t("leave_waiting", { count: number(app.waiting) }), words, [["send", t("send_now")], ["leave", t("sign_out")], ["", t("stay")]]);
      if (answer === "send") await app.sendNow();
      if (answer !== "leave") return false;
    }
    await signOut();
    app.selected = null;
    await app.entrance();
    app.say("good", t("signed_out", { name }));
    return true;
  },

  async sendNow() {
    const heldBefore = told.size;
    await queue.kick();
    await app.refresh();
    if (app.waiting) app.say("warn", t("waiting_title", { count: number(app.waiting) }), t(behindRefused(app) ? "waiting_behind" : "waiting_more"));
    else if (told.size === heldBefore) app.say("good", t("all_sent"));
  },

  async typeCode() {
    const text = await askText(t("type_code"), t("type_code_more"), { ok: t("ok"), cancel: t("stay"), label: t("code") });
    if (text) await app.scan(text);
  },

  async scan(text) {
    closeSheets();
    const token = tokenIn(text);
    if (token) return currentSession() && isReady() ? failed("bad", t("sign_out_first")) : pairWith(app, token);
    const code = parse(text);
    if (code.kind === "badge") return scanBadge(code);
    if (!isReady()) return beforeSignIn(code);
    if (code.kind === "command" || code.kind === "reason") {
      await lookup.catch(() => null);
      return isReady() && (code.kind === "command" ? scanCommand(code) : scanReason(code));
    }
    const look = () => (code.error ? scanUnknown(code, text) : code.kind === "task" ? scanTask(code) : scanOrder(code));
    lookup = lookup.then(look, look);
    return lookup;
  },

  async open(id, code = codeOf(id), warnings = []) {
    if (!app.known.has(id) && !(await row("tasks", id))) await learn({ id, number: `T${id}` });
    app.selected = { id, code, reason: "", at: Date.now(), isLost: false };
    app.warnings = warnings;
    await app.go("task");
    lookAgain();
  },

  // A button of the task: some verbs ask for more on a screen of their own.
  async press(verb) {
    if (!app.selected) return null;
    const { left, number: name } = app.task(app.selected.id);
    if (verb === "pause") return app.go("pause");
    if (verb === "report" || (verb === "complete" && left !== 0)) return app.go("report", { verb });
    if (verb === "undo" || verb === "release") {
      const sure = await choose(t(`${verb}_sure`, { task: name }), t(`${verb}_more`), [["yes", shop().verbs[verb]], ["", t("stay")]]);
      if (!sure) return null;
    }
    return app.act(verb);
  },

  // One verb on the selected task: kept first, sent at once, and answered when the server has spoken or is too slow to wait for.
  async act(verb, values = {}) {
    const { id, code, reason } = app.selected;
    const shown = app.task(id);
    const label = `${shown.number} ${shown.process?.name ?? ""}`.trim();
    const given = verb === "pause" && reason ? { reason_code: reason } : {};
    const kept = await queue.add({ task_id: id, code, verb, label, ...given, ...values });
    if (app.selected?.id === id) {
      app.selected.reason = "";
      await app.go("task");
    }
    const item = await queue.settled(kept.client_event_id, ANSWER);
    await app.refresh();
    answer(item);
    if (item.state === "done") refreshTasks();
  },
};

function answer(item) {
  if (item.state === "waiting") return app.say("wait", t("kept"), describe(item));
  const what = item.detail || describe(item);
  if (item.state === "refused") return refused(item);
  if (item.outcome === "held") return tellHeld([item]);
  const warned = item.warnings.map((one) => one.detail).join(" ");
  const shown = app.task(item.task_id);
  const counts = shown?.planned ? t("answer_counts", { good: number(shown.good), planned: number(shown.planned), left: number(shown.left) }) : describe(item);
  return warned ? app.say("warn", what, warned) : app.say("good", what, counts);
}

// Its lane stands still until the person has read it: here, or later in the note above the screen.
function refused(item) {
  const seen = async () => {
    await queue.understand(item.client_event_id);
    hush();
  };
  app.say("bad", item.detail, describe(item), [[t("understood"), seen, { icon: "check" }]]);
  app.answered = item.client_event_id;
  app.refresh();
}

// What the supervisor decides on is said once, whenever it was sent, and stays until the next scan or tap.
function tellHeld(items) {
  const news = items.filter((item) => item.user.id === currentSession()?.user.id && !told.has(item.client_event_id));
  for (const item of news) told.add(item.client_event_id);
  if (!news.length) return;
  const [item] = news;
  if (news.length === 1) sayUntilTap("warn", item.detail, describe(item));
  else sayUntilTap("warn", t("held_many", { count: number(news.length) }), news.map((one) => one.detail).join("\n"));
  app.answered = "";
}

// What was scanned is not known: a command after it means nothing. Typed numbers stay where they are.
async function failed(...words) {
  if (app.screen === "report") app.selected.isLost = true;
  else if (app.selected) await app.go("home");
  app.say(...words);
}

// The task on the screen, with what only its own answer says of it.
async function lookAgain() {
  const { id } = app.selected;
  const found = await fetchTask(id);
  if (found && app.selected?.id === id && app.screen === "task") await app.refresh();
}

// The way back for the browser's own button: an entry for each list and each task.
function remember() {
  if (!VISITED.includes(app.screen) || !isReady()) return;
  const { id, code } = app.selected ?? {};
  const state = { screen: app.screen, params: app.params, id: id ?? null, code: code ?? "", user: currentSession().user.id };
  const now = history.state;
  const isSame = now && now.screen === state.screen && now.id === state.id;
  if (now && !isSame) history.pushState(state, "");
  else history.replaceState(state, "");
}

async function goBack({ state }) {
  if (/^#(pair|code)=/.test(location.hash)) return; // a link: it says itself where to
  closeSheets();
  if (!isReady()) return app.entrance();
  if (app.screen === "report" || app.screen === "pause") return app.go("task");
  if (!state || state.user !== currentSession().user.id) return app.go("home", {}, true);
  if (state.screen === "task") {
    if (!(await row("tasks", state.id))) return app.go("home", {}, true);
    app.selected = { id: state.id, code: state.code, reason: "", at: Date.now(), isLost: false };
    app.warnings = [];
    await app.go("task", {}, true);
    return lookAgain();
  }
  return app.go(state.screen, state.params, true);
}

async function scanBadge({ code }) {
  const session = currentSession();
  if (!currentDevice()) return app.say("bad", t("badge_needs_handheld"));
  if (isReady()) {
    if (isSameBadge(code)) return app.say("good", t("already_you", { name: session.user.name }));
    const sure = await choose(t("switch_person", { name: session.user.name }), app.waiting ? t("leave_waiting_more", { name: session.user.name }) : "", [["switch", t("switch_yes")], ["", t("stay")]]);
    if (!sure) return null;
    await signOut();
    app.selected = null;
  }
  return app.go("pin", { code });
}

function beforeSignIn(code) {
  if (code.error) return app.say("bad", sentenceOf(code));
  app.pending = code.code;
  return app.say("warn", t(currentDevice() ? "badge_first" : "sign_in_first"), t("badge_first_more"));
}

function sentenceOf({ error, text, host }) {
  if (error === "wrong_check") return t("wrong_check", { code: text });
  if (error === "a_number") return t("a_number", { number: text });
  return error === "foreign_host" ? t("foreign_host", { host }) : t("bad_code");
}

// Ask the server what a code is. Null: no answer; {refused: sentence}: it may not be; {ended}: the person has to sign in again first.
async function resolve(code) {
  if (!currentSession().token) return null;
  const answer = await call(`scans/resolve/?code=${encodeURIComponent(code)}`, { patience: ANSWER });
  if (answer.ok) return answer.body;
  if (!isReady()) {
    app.pending = code;
    return { ended: true };
  }
  return answer.status === 404 || answer.status === 400 ? { refused: answer.body.detail } : null;
}

// Not one of our codes: perhaps a customer's own, which only the server knows.
async function scanUnknown(code, text) {
  if (["wrong_check", "a_number"].includes(code.error)) return failed("bad", sentenceOf(code));
  const found = await resolve(text);
  if (found?.ended) return null;
  if (found?.order) return showOrder(found);
  return failed("bad", found?.refused ?? sentenceOf(code));
}

async function scanTask({ number: id, code }) {
  if (app.screen === "task" && app.selected?.id === id && Date.now() - app.selected.at > SAME_AGAIN) {
    const next = nextMove(app.task(id));
    if (next) return void app.press(next);
  }
  const found = await resolve(code);
  if (found?.ended) return null;
  if (found?.refused) return failed("bad", found.refused);
  if (found?.task) {
    const missing = found.warnings.filter((one) => one.code === "blocked").map((one) => one.detail);
    await learn({ ...found.task, missing });
  }
  await app.open(id, code, found?.warnings ?? []);
  const shown = app.task(id);
  const next = nextMove(shown);
  const say = next || (isBlocked(shown) ? "blocked" : "none");
  const what = [shown.process?.name, shown.product, shown.order_number].filter(Boolean).join(" · ");
  if (shown.planned === undefined) return app.say("warn", t("task_unknown", { task: shown.number }), t("task_unknown_more"));
  // That it is late stands on the screen anyway.
  const first = app.warnings.filter((one) => one.code !== "late").map((one) => one.detail);
  if (app.warnings.length) return app.say("warn", t(first.length ? "found_warned" : `found_${say}`, { task: shown.number }), [...first, what].join("\n"));
  return app.say(isBlocked(shown) ? "warn" : "good", t(`found_${say}`, { task: shown.number }), what);
}

async function scanOrder({ number: id, code }) {
  const found = await resolve(code);
  if (found?.ended) return null;
  if (found?.refused) return failed("bad", found.refused);
  return showOrder(found ?? { order: { id, number: code }, warnings: [] });
}

async function showOrder({ order, warnings }) {
  const ids = (await tasksOfOrder(order.id)).map((one) => one.id);
  if (!ids.length) return failed("warn", t("order_empty", { order: order.number }), warnings.map((one) => one.detail).join(" "));
  await app.go("pick", { ids, title: order.number });
  if (warnings.length) return app.say("warn", warnings.map((one) => one.detail).join(" "), t("pick_task", { order: order.number }));
  return app.say("good", t("pick_task", { order: order.number }), t("pick_task_more"));
}

function scanCommand({ number: place_ }) {
  const verb = shop().commands[place_];
  if (!verb) return app.say("bad", t("bad_code"));
  if (!app.target) return app.say("warn", t("task_first"), t("task_first_more", { verb: shop().verbs[verb] }));
  const shown = app.task(app.selected.id);
  if (verb === "report" || (verb === "complete" && shown.left !== 0)) return app.go("report", { verb });
  return app.act(verb);
}

function scanReason({ number: which }) {
  const reason = shop().reasons.find((one) => one.number === which);
  if (!reason) return failed("bad", t("bad_code"));
  const screen = SCREENS[app.screen];
  if (screen.reason) return screen.reason(app, reason.code);
  if (!app.target) return app.say("warn", t("task_first"), t("task_first_more", { verb: reason.label }));
  app.selected.reason = reason.code;
  app.show();
  return app.say("good", t("reason_taken", { reason: labelOf(reason.code) }), t("reason_taken_more"));
}

function scanActions() {
  const scanning = !["pin", "welcome", "settings"].includes(app.screen);
  const camera = hasCamera() && scanning && ["", () => lookForCode(place("over"), app.scan, (words) => app.say("bad", words)), named("camera", t("camera"))];
  const typing = scanning && ["", app.typeCode, named("keys", t("type_code"))];
  return [camera, typing].filter(Boolean);
}

const named = (sign, words) => ({ icon: sign, look: "is-sign", "aria-label": words, title: words });

function showHead() {
  const session = currentSession();
  const places = session?.user.departments?.map((one) => one.name).join(", ");
  const { waiting } = app;
  const look = navigator.onLine ? (waiting ? "is-waiting" : "is-sent") : "is-offline";
  const words = waiting ? t("waiting", { count: number(waiting) }) : t(navigator.onLine ? "all_sent" : "offline");
  fill(place("head"),
    h("div", { class: "who" }, h("strong", {}, session && !session.locked ? session.user.name : "Docket"), h("span", {}, (isReady() && places) || currentDevice()?.name || t("floor"))),
    h("button", { type: "button", id: "waiting", class: `chip ${look}`, onclick: () => isReady() && app.go("last") }, icon(waiting || !navigator.onLine ? "clock" : "check"), h("span", {}, words)),
  );
}

function showFoot() {
  const tab = (screen, words, sign) => button(words, () => (screen === "home" && !isReady() ? app.entrance() : app.go(screen)), { look: app.screen === screen ? "is-here" : "", icon: sign, id: `tab-${screen}`, "aria-current": app.screen === screen ? "page" : null });
  fill(place("foot"), tab("home", t(isReady() ? "tab_tasks" : "tab_sign_in"), isReady() ? "list" : "badge"), isReady() ? tab("last", t("tab_last"), "clock") : null, tab("settings", t("settings"), "gear"));
}

function touched() {
  touchedAt = Date.now();
  wakeSound();
  touch();
}

async function tick() {
  if (isIdle()) {
    await lock();
    await app.entrance();
    return;
  }
  queue.kick();
  if (isReady() && !document.hidden && Date.now() - touchedAt < AT_WORK) await watchChanges();
}

// Where a link has brought us: a pairing code of the admin, or a code that a phone's camera has read.
async function followLink() {
  const [, name, value] = /^#(pair|code)=(.+)$/.exec(location.hash) ?? [];
  if (!name) return;
  history.replaceState(history.state, "", location.pathname);
  await app.scan(decodeURIComponent(value));
}

// Something was written, here or in another tab of this page.
async function heardOf(what, isElsewhere) {
  if (what === "session" && isElsewhere) return followOtherTab();
  await app.refresh();
  if (what === "tasks" && app.screen === "task") await lookAgain();
}

// Who was signed in or out in another tab is so here too.
async function followOtherTab() {
  const before = isReady() ? currentSession().user : null;
  await loadSession();
  const now = isReady() ? currentSession().user : null;
  if (before?.id === now?.id) return app.refresh();
  app.selected = null;
  if (now) return app.go("home");
  await app.entrance();
  if (before) app.say("warn", t("signed_out", { name: before.name }), t("signed_out_elsewhere"));
}

async function keepForOffline() {
  if (!navigator.serviceWorker) return;
  const before = navigator.serviceWorker.controller;
  navigator.serviceWorker.addEventListener("controllerchange", () => (isStale = Boolean(before)));
  await navigator.serviceWorker.register("/floor/sw.js", { scope: "/floor/", updateViaCache: "none" });
  await navigator.storage?.persist?.();
}

async function begin() {
  applyTheme();
  await loadTexts();
  await loadSession();
  new Wedge(({ text }) => app.scan(text), (text) => Boolean(parse(text).kind));
  for (const kind of ["keydown", "pointerdown"]) document.addEventListener(kind, touched, { capture: true });
  for (const kind of ["online", "offline"]) window.addEventListener(kind, showHead);
  window.addEventListener("hashchange", followLink);
  history.replaceState(null, "");
  window.addEventListener("popstate", goBack);
  listenForTaps();
  if (isIdle()) await lock();
  await (isReady() ? app.go("home") : app.entrance());
  onChange(heardOf);
  queue.startSending();
  if (isReady()) refreshTasks();
  setInterval(tick, LOOK);
  window.addEventListener("online", () => isReady() && refreshTasks());
  await followLink();
  await keepForOffline();
}

begin();
