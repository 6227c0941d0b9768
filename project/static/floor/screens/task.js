// One task: its state, its figures, and a button for each thing that may be done with it now.

import { button, h, icon } from "../dom.js";
import { currentSession } from "../session.js";
import { day, number, shop, t } from "../texts.js";
import { progressOf, statusOf, waitingMark } from "./home.js";

// The one thing to do next, by what may be done.
const NEXT = ["resume", "start", "report", "claim"];
const UNDOABLE = ["claim", "start", "pause", "resume", "report", "complete"];
const SIGNS = { claim: "hand", start: "play", resume: "play", report: "pencil", pause: "pause", complete: "check", undo: "undo", release: "out" };

// What its step waits for, in sentences, while it has not begun.
const blockers = (task) => (["pending", "assigned"].includes(task.status) ? (task.missing ?? []) : []);
export const isBlocked = (task) => blockers(task).length > 0 && task.moves.includes("start");

export const nextMove = (task) => NEXT.find((verb) => task.moves.includes(verb) && !(verb === "start" && isBlocked(task))) ?? "";

// Only one's own last entry is taken back, and not for long. What is not known here is left to the server.
function mayUndo(task) {
  if (task.waiting.count || !task.events) return true;
  const gone = new Set(task.events.map((event) => event.takes_back).filter(Boolean));
  const [last] = task.events.filter((event) => !event.takes_back && !gone.has(event.id));
  if (!last) return false;
  const leads = task.raw_moves?.includes("assign");
  const minutes = leads ? shop().undo.supervisor_minutes : shop().undo.minutes;
  return last.actor === currentSession().user.name && UNDOABLE.includes(last.verb) && Date.now() - Date.parse(last.at) < minutes * 60_000;
}

export const task = {
  calm(app) {
    const shown = app.task(app.selected?.id);
    const next = shown && nextMove(shown);
    const say = shown && isBlocked(shown) ? "blocked" : next || "none";
    return { title: t(`next_${say}`, { task: shown?.number }), detail: t("scan_command") };
  },
  build(app) {
    const shown = app.task(app.selected.id);
    const next = nextMove(shown);
    const others = shown.moves.filter((verb) => verb !== next && (verb !== "undo" || mayUndo(shown)));
    const move = (verb, look) => button(shop().verbs[verb], () => app.press(verb), { look, icon: SIGNS[verb], id: `do-${verb}` });
    return [
      h("div", { class: "task-head" },
        button(t("back"), () => app.go("home"), { look: "is-quiet", icon: "back", id: "back" }),
        statusOf(shown),
      ),
      h("h1", {}, `${shown.number} ${shown.process?.name ?? ""}`),
      h("p", { class: "task-what" }, [shown.product, shown.order_number, shown.customer].filter(Boolean).join(" · ")),
      warnings(shown, app.warnings),
      figures(shown),
      isBlocked(shown) ? h("p", { class: "warning", id: "blocked" }, icon("warn"), h("span", {}, h("b", {}, t("blocked")), " ", blockers(shown).join(" "))) : null,
      h("div", { class: `moves of-${others.length}` }, next && move(next, "is-primary is-wide is-tall"), others.map((verb) => move(verb, ""))),
      app.selected.reason ? h("p", { class: "chosen-reason" }, t("reason_ready", { reason: labelOf(app.selected.reason) })) : null,
      facts(shown),
    ];
  },
};

export const labelOf = (code) => shop().reasons.find((reason) => reason.code === code)?.label ?? code;

// What the task's own row says already, in the same words or others.
const SAID_BY_ROW = ["late", "on_hold"];

function warnings(shown, resolved) {
  const more = resolved.filter((one) => !SAID_BY_ROW.includes(one.code) && !(one.code === "blocked" && shown.missing)).map((one) => one.detail);
  const missing = isBlocked(shown) ? [] : (shown.missing ?? []);
  const said = new Set([...(shown.warnings ?? []), ...missing, ...more]);
  return [...said].map((words) => h("p", { class: "warning" }, icon("warn"), h("span", {}, words)));
}

function figures(shown) {
  const figure = (label, value, look = "") => h("div", { class: `figure ${look}` }, h("dt", {}, label), h("dd", {}, value === null || value === undefined ? "?" : number(value)));
  return h("div", { class: "figures" },
    h("dl", {},
      figure(t("good"), shown.good, "is-good"),
      figure(t("figure_left"), shown.left, "is-left"),
      figure(t("planned"), shown.planned),
      figure(t("scrap"), shown.scrap, shown.scrap ? "is-scrap" : ""),
    ),
    progressOf(shown),
    waitingMark(shown),
  );
}

function facts(shown) {
  const rows = [
    [t("due"), day(shown.due_date)],
    [t("unit"), shop().units[shown.unit]],
    [t("specification"), shown.specification],
    [t("instructions"), shown.instructions],
    [t("tools"), (shown.order_tools ?? shown.tools)?.map((tool) => `${tool.code} v${tool.revision} ${tool.name}`).join("\n")],
    [t("material"), shown.material && `${shown.material.name} ${shown.material.size}`],
  ].filter(([, value]) => value);
  return rows.length ? h("dl", { class: "facts" }, rows.map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", {}, value)))) : null;
}

// Why the work stops. One tap is enough; no reason is an answer too.
export const pause = {
  steady: true,
  calm: (app) => ({ title: t("pause_why", { task: app.task(app.selected.id).number }), detail: t("scan_reason") }),
  reason: (app, code) => app.act("pause", { reason_code: code }),
  build(app) {
    return [
      button(t("back"), () => app.go("task"), { look: "is-quiet", icon: "back" }),
      h("div", { class: "choices" }, shop().reasons.map(({ code, label }) => button(label, () => app.act("pause", { reason_code: code }), { look: "is-choice" }))),
      button(t("no_reason"), () => app.act("pause"), { look: "is-wide", icon: "pause" }),
    ];
  },
};
