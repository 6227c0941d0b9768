// My tasks and those that I may take.

import { button, h, icon } from "../dom.js";
import { currentSession } from "../session.js";
import { clock, day, number, shop, t } from "../texts.js";

export const home = {
  calm: () => ({ title: t("scan_task"), detail: t("scan_task_more") }),
  build(app) {
    const { mine, queue, at } = app.lists;
    return [
      section(t("my_tasks"), mine, mine.length ? "" : t("no_tasks"), app),
      section(t("claimable"), queue, queue.length ? "" : t("no_claimable"), app),
      h("p", { class: "quiet as-of" }, at ? t("as_of", { time: clock(at) }) : t("never_loaded"), button(t("refresh"), () => app.reload(), { look: "is-small" })),
    ];
  },
};

function section(title, tasks, empty, app) {
  return h("section", { class: "block is-plain" },
    h("h2", {}, title, tasks.length ? h("span", { class: "count" }, number(tasks.length)) : null),
    empty && h("p", { class: "quiet" }, empty),
    h("div", { class: "cards" }, tasks.map((task) => card(task, () => app.open(task.id)))),
  );
}

export const statusOf = (task) => h("span", { class: `status is-${task.status}` }, shop().statuses[task.status] ?? t("status_unknown"));

const dueOf = (task) =>
  task.due_date ? h("span", { class: task.is_late ? "due is-late" : "due" }, t(task.is_late ? "late_since" : "due_on", { day: day(task.due_date) })) : null;

export const waitingMark = (task) => (task.waiting.count ? h("span", { class: "waiting-mark" }, icon("clock"), t("waiting", { count: number(task.waiting.count) })) : null);

export function progressOf(task) {
  if (!task.planned) return null;
  return h("progress", { max: task.planned, value: Math.min(task.good, task.planned), "aria-label": t("progress", { good: number(task.good), planned: number(task.planned) }) });
}

// The warnings of a task's row, without that it is late, which its due date says already.
const newsOf = (task) => (task.warnings ?? []).slice(task.is_late ? 1 : 0);

export function card(task, onclick) {
  const unit = shop().units[task.unit] ?? "";
  return h("button", { type: "button", class: `card is-${task.status}`, onclick, id: `task-${task.id}` },
    h("span", { class: "card-top" }, h("strong", {}, `${task.number} ${task.process?.name ?? ""}`), task.status === "pending" ? null : statusOf(task)),
    h("span", { class: "card-what" }, [task.product, task.customer].filter(Boolean).join(" · ")),
    h("span", { class: "card-figures" }, h("b", {}, number(task.good)), t("of_planned", { planned: number(task.planned), unit }), h("span", { class: "left" }, t("left", { left: number(task.left) }))),
    progressOf(task),
    h("span", { class: "card-foot" }, h("span", {}, task.order_number), dueOf(task), waitingMark(task)),
    newsOf(task).map((words) => h("span", { class: "card-warning" }, icon("warn"), h("span", {}, words))),
  );
}

// The tasks of an order whose code was scanned.
export const pick = {
  calm: (app) => ({ title: t("pick_task", { order: app.params.title }), detail: t("pick_task_more") }),
  build(app, { ids }) {
    const tasks = ids.map((id) => app.task(id)).filter(Boolean);
    const mine = tasks.filter((task) => task.operator?.id === currentSession().user.id || task.moves.length);
    return [
      button(t("back"), () => app.go("home"), { look: "is-quiet", icon: "back" }),
      h("div", { class: "cards" }, (mine.length ? mine : tasks).map((task) => card(task, () => app.open(task.id)))),
    ];
  },
};
