// Try out a scanner in a minute: what it sends, how it ends, how fast, whether twice, through which keyboard layout; and the clock.

import { button, fill, h, icon } from "./dom.js";
import { layoutOf, parse } from "./codes.js";
import { wakeSound, play } from "./sound.js";
import { loadTexts, number, shop, t } from "./texts.js";
import { applyTheme } from "./theme.js";
import { setWedge, Wedge, wedgeSettings } from "./wedge.js";

const USUAL_GAP = 50; // ms between characters that the floor page takes for a scanner
const SLOWEST = 300;
const TWICE = 1500; // ms within which the same text again is one pull of the trigger
const CLOCK_MAY_BE_OFF = 120_000; // ms, as the server has it
const TRIES = 3;

const screen = document.getElementById("screen");
const wanted = { bars: screen.dataset.text, qr: screen.dataset.wide };
const scans = [];
let clockOff; // ms, null: no answer

// Which of the two codes was meant, as well as one can tell.
const aim = (text) => (text.length > wanted.bars.length + 3 ? wanted.qr : wanted.bars);

function verdicts(scan) {
  const aimed = aim(scan.text);
  const right = scan.text === aimed;
  const layout = right ? null : layoutOf(scan.text, shop().layouts, (meant) => meant === aimed.toUpperCase());
  const twice = scans.some((other) => other !== scan && other.text === scan.text && Math.abs(other.at - scan.at) < TWICE);
  const speed = Math.round(scan.speed);
  const rows = [];
  rows.push(contents(right, layout, scan.text, aimed));
  rows.push(scan.suffix ? ["good", t("bench_suffix_good", { key: scan.suffix })] : ["warn", t("bench_suffix_none")]);
  rows.push(pace(speed));
  rows.push(twice ? ["warn", t("bench_twice", { again: number(wedgeSettings().again) })] : ["good", t("bench_once")]);
  return rows;
}

function contents(right, layout, text, aimed) {
  if (right) return ["good", t("bench_right")];
  if (parse(text).kind) return ["good", t("bench_real")];
  if (layout) return ["bad", t("bench_layout", { layout: layout.layout })];
  if (text.toUpperCase() === aimed.toUpperCase()) return ["warn", t("bench_case")];
  if (aimed && text.includes(aimed)) return ["bad", t("bench_prefix", { extra: text.replace(aimed, "…") })];
  return ["bad", t("bench_wrong", { wanted: aimed })];
}

function pace(speed) {
  if (speed <= wedgeSettings().gap) return ["good", t("bench_fast", { speed: number(speed) })];
  return ["bad", t("bench_slow", { speed: number(speed), gap: number(wedgeSettings().gap) })];
}

function clockVerdict() {
  if (clockOff === undefined) return ["calm", t("bench_clock_asking")];
  if (clockOff === null) return ["warn", t("bench_clock_unknown")];
  const seconds = number(Math.round(Math.abs(clockOff) / 1000));
  if (Math.abs(clockOff) < 2000) return ["good", t("bench_clock_right")];
  if (Math.abs(clockOff) < CLOCK_MAY_BE_OFF) return ["good", t("bench_clock_good", { seconds })];
  return ["bad", t(clockOff > 0 ? "bench_clock_fast" : "bench_clock_slow", { seconds })];
}

const SIGNS = { good: "check", warn: "warn", bad: "cross", calm: "clock" };
const verdict = ([kind, words]) => h("li", { class: `verdict is-${kind}` }, icon(SIGNS[kind]), h("span", {}, words));

function show() {
  const scan = scans[0];
  const rows = scan ? verdicts(scan) : [];
  const worst = ["bad", "warn"].find((kind) => rows.some(([one]) => one === kind)) ?? "good";
  fill(document.getElementById("head"), h("div", { class: "who" }, h("strong", {}, t("bench")), h("span", {}, t("bench_more"))), h("a", { class: "chip", href: "/floor/" }, icon("back"), h("span", {}, t("floor"))));
  fill(screen,
    h("div", { id: "verdict", class: `voice is-${scan ? worst : "calm"}`, role: "status", "aria-live": "assertive" },
      h("div", { class: "voice-sign" }, icon(scan ? SIGNS[worst] : "scan")),
      h("div", { class: "voice-words" },
        h("p", { class: "voice-title" }, scan ? t(`bench_${worst}`) : t("bench_start")),
        h("p", { class: "voice-detail" }, scan ? t("bench_count", { count: number(Math.min(scans.length, TRIES)), of: number(TRIES) }) : t("bench_start_more")),
      ),
    ),
    h("div", { class: "bench" },
      h("section", { class: "block" },
        h("h2", {}, t("bench_codes")),
        code(screen.dataset.bars, wanted.bars, "bars"),
        code(screen.dataset.qr, wanted.qr, "qr"),
      ),
      h("section", { class: "block" },
        h("h2", {}, t("bench_result")),
        h("ul", { class: "verdicts" }, rows.map(verdict), verdict(clockVerdict())),
        scan ? h("dl", { class: "facts" },
          fact(t("bench_raw"), h("code", { id: "raw" }, scan.text)),
          fact(t("bench_suffix"), scan.suffix || t("bench_none")),
          fact(t("bench_speed"), t("ms_per_char", { speed: number(Math.round(scan.speed)) })),
        ) : null,
        scan ? button(t("bench_again"), restart, { look: "is-wide", id: "again" }) : null,
      ),
      tuning(scan),
    ),
  );
}

const fact = (label, value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));
const code = (source, text, name) => h("figure", { class: `test-code is-${name}` }, h("img", { src: source, alt: t("bench_code_alt", { text }) }), h("figcaption", {}, text));

// What this handheld takes for a scanner, and for one scan: for scanners that cannot be set better.
function tuning(scan) {
  const settings = wedgeSettings();
  const keep = (change) => () => {
    setWedge({ ...settings, ...change });
    show();
  };
  const slower = scan && scan.speed > settings.gap && scan.speed < SLOWEST ? Math.ceil((scan.speed * 1.4) / 10) * 10 : 0;
  const choice = (name, value) => button(t("ms", { ms: number(value) }), keep({ [name]: value }), { look: `is-choice ${settings[name] === value ? "is-chosen" : ""}`, "aria-pressed": String(settings[name] === value), id: `${name}-${value}` });
  const gaps = [...new Set([USUAL_GAP, 80, 120, settings.gap])].sort((one, other) => one - other);
  return h("section", { class: "block" },
    h("h2", {}, t("bench_tuning")),
    h("p", { class: "quiet" }, t("bench_gap_more")),
    h("div", { class: "choices is-few" }, gaps.map((gap) => choice("gap", gap))),
    slower ? button(t("bench_take_gap", { gap: number(slower) }), keep({ gap: slower }), { look: "is-wide" }) : null,
    h("p", { class: "quiet" }, t("bench_again_more")),
    h("div", { class: "choices is-few" }, [300, 700, 1500].map((again) => choice("again", again))),
  );
}

function restart() {
  scans.length = 0;
  show();
}

async function askClock() {
  try {
    const asked = Date.now();
    const { now } = await (await fetch("/floor/clock.json", { cache: "no-store" })).json();
    clockOff = (asked + Date.now()) / 2 - now;
  } catch {
    clockOff = null;
  }
  show();
}

async function begin() {
  applyTheme();
  await loadTexts();
  // Everything that a scanner could send is taken here, also what is too slow or comes twice: that is what is asked about.
  new Wedge(heard, (text) => text.length > 3, () => ({ gap: SLOWEST, again: 0 }));
  document.addEventListener("pointerdown", wakeSound);
  show();
  await askClock();
}

function heard(scan) {
  scans.unshift(scan);
  const kinds = verdicts(scan).map(([kind]) => kind);
  play(["bad", "warn"].find((kind) => kinds.includes(kind)) ?? "good");
  show();
}

begin();
