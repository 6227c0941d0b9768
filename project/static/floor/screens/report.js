// Good, scrap and why, on one screen with big keys; or the two readings of the press. Also the last report with the completion.

import { button, h } from "../dom.js";
import { numberField, pad, valueOf } from "../pad.js";
import { read, write } from "../store.js";
import { number, shop, t } from "../texts.js";
import { labelOf } from "./task.js";

const READING = "press_reading"; // where the press stood when it was last read here
let form = null;

export const report = {
  steady: true,
  calm(app) {
    const task = app.task(app.selected.id);
    const title = t(app.params.verb === "complete" ? "complete_what" : "report_what", { task: task.number });
    return { title, detail: task.left === null ? t("plan_unknown") : t("report_left", { left: number(task.left), planned: number(task.planned) }) };
  },
  reason(app, code) {
    form.reason = code;
    form.update();
    app.say("good", t("reason_taken", { reason: labelOf(code) }));
  },
  build(app, { verb }) {
    form = new Form(app, verb);
    setTimeout(() => form.good.input.focus({ preventScroll: true }));
    return form.elements();
  },
};

class Form {
  constructor(app, verb) {
    this.app = app;
    this.verb = verb;
    this.task = app.task(app.selected.id);
    this.reason = app.selected.reason ?? "";
    this.byCounter = false;
    this.busy = false;
    const onchange = () => this.update();
    this.good = numberField("good", t("good"), { onchange });
    this.scrap = numberField("scrap", t("scrap"), { onchange });
    this.start = numberField("start", t("counter_start"), { onchange, longest: 12 });
    this.end = numberField("end", t("counter_end"), { onchange, longest: 12 });
    read(READING).then((reading) => {
      if (reading && !this.start.input.value) this.start.input.value = reading;
    });
    this.fields = h("div", { class: "number-fields" });
    this.keys = h("div", {});
    this.sum = h("p", { class: "sum", role: "status" });
    this.reasons = h("div", { class: "choices" });
    this.why = h("p", { class: "why" });
    this.send = button("", () => this.submit(), { look: "is-primary is-wide is-tall", id: "report-send" });
  }

  elements() {
    const { task } = this;
    const back = button("", () => this.app.go("task"), { look: "is-sign", icon: "back", id: "back", "aria-label": t("back"), title: t("back") });
    const all = task.left ? button(t("all_left", { left: number(task.left) }), () => this.takeAll(), { look: "is-choice" }) : null;
    this.mode = button("", () => this.turn(), { look: "is-choice", id: "counter-mode" });
    this.turn(false);
    return [
      h("div", { class: "report" },
        h("div", { class: "report-numbers" }, this.fields, this.sum, h("div", { class: "report-ways" }, back, all, this.mode), this.keys),
        h("div", { class: "report-why" }, this.why, this.reasons),
      ),
      h("div", { class: "report-send" }, this.send),
    ];
  }

  turn(byCounter = !this.byCounter) {
    this.byCounter = byCounter;
    const used = byCounter ? [this.start, this.end, this.scrap] : [this.good, this.scrap];
    this.fields.className = `number-fields of-${used.length}`;
    this.fields.replaceChildren(...used.map((one) => one.element));
    this.keys.replaceChildren(pad(used, { clear: t("key_clear"), erase: t("key_erase") }));
    this.mode.lastChild.textContent = t(byCounter ? "by_pieces" : "by_counter");
    const first = byCounter && this.start.input.value ? this.end : used[0];
    first.input.focus({ preventScroll: true });
    this.update();
  }

  takeAll() {
    if (this.byCounter) this.turn(false);
    this.good.input.value = String(this.task.left);
    this.update();
  }

  // What the press has made less what was scrapped of it; null where the readings cannot be.
  get pieces() {
    if (!this.byCounter) return valueOf(this.good);
    const made = valueOf(this.end) - valueOf(this.start);
    return this.end.input.value && made >= valueOf(this.scrap) ? made - valueOf(this.scrap) : null;
  }

  // Good pieces with what is counted already; what the plan allows of them with so many percent more, of any where it is not known.
  get total() {
    return this.task.good + (this.pieces ?? 0);
  }

  allowed(percent) {
    const { planned } = this.task;
    return planned ? planned + Math.floor((planned * shop().limits[percent]) / 100) : Infinity;
  }

  // Much more than planned may be right, or a digit too many.
  async isMeant() {
    if (!this.pieces || this.total <= this.allowed("over_percent")) return true;
    const counts = { total: number(this.total), planned: number(this.task.planned), good: number(this.pieces) };
    return Boolean(await this.app.choose(t("over_sure", counts), t("over_more"), [["yes", t("over_yes", counts)], ["", t("over_no")]]));
  }

  get isShort() {
    return this.verb === "complete" && this.task.planned !== undefined && this.task.good + (this.pieces ?? 0) < this.task.planned;
  }

  get needsReason() {
    return valueOf(this.scrap) > 0 || this.isShort;
  }

  get trouble() {
    const pieces = this.pieces;
    if (pieces === null) return this.end.input.value ? t("counter_backwards") : t("counter_missing");
    const { most } = shop().limits;
    if (pieces > most || valueOf(this.scrap) > most) return t("too_many", { most: number(most) });
    if (pieces && this.total > this.allowed("cap_percent")) return t("over_cap", { total: number(this.total), planned: number(this.task.planned) });
    if (this.verb === "report" && !pieces && !valueOf(this.scrap)) return t("nothing_to_report");
    if (this.needsReason && !this.reason) return t(this.isShort ? "short_needs_reason" : "scrap_needs_reason");
    return "";
  }

  update() {
    if (!this.mode) return;
    const [pieces, scrap] = [this.pieces ?? 0, valueOf(this.scrap)];
    this.sum.textContent = this.byCounter && this.pieces !== null ? t("counter_sum", { made: number(pieces + scrap), scrap: number(scrap), good: number(pieces) }) : "";
    this.why.textContent = this.needsReason ? t(this.isShort ? "why_short" : "why_scrap") : t("why_optional");
    this.why.classList.toggle("is-needed", this.needsReason && !this.reason);
    this.reasons.replaceChildren(...shop().reasons.map((one) => this.choice(one)));
    const counts = { good: number(pieces), scrap: number(scrap) };
    this.send.lastChild.textContent = t(this.verb === "complete" ? "complete_send" : "report_send", counts);
  }

  choice({ code, label }) {
    const choose = () => {
      this.reason = this.reason === code ? "" : code;
      this.update();
      document.getElementById(`reason-${code}`).focus({ preventScroll: true });
    };
    const chosen = this.reason === code;
    return button(label, choose, { look: `is-choice ${chosen ? "is-chosen" : ""}`, "aria-pressed": String(chosen), id: `reason-${code}` });
  }

  async submit() {
    if (this.busy) return;
    if (this.trouble) {
      this.app.say("bad", this.trouble);
      if (this.needsReason && !this.reason) this.why.scrollIntoView({ block: "center" });
      return;
    }
    this.busy = true;
    if (!(await this.isMeant())) {
      this.busy = false;
      return;
    }
    const counter = this.byCounter ? { start: valueOf(this.start), end: valueOf(this.end) } : null;
    if (counter) await write(READING, String(counter.end));
    await this.app.act(this.verb, { quantity: this.pieces, scrap: valueOf(this.scrap), reason_code: this.reason, counter });
    this.busy = false;
  }
}
