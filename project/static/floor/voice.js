// The one big answer to every scan: colour, words, a tone and a shake. In between it says what to do next.

import { button, fill, h, icon } from "./dom.js";
import { play } from "./sound.js";

const SIGNS = { good: "check", warn: "warn", bad: "cross", wait: "clock", calm: "scan" };
const STAYS = { good: 8000, warn: 15_000, wait: 15_000 }; // ms; a refusal stays until it is tapped or the next scan

const LONG = 60; // letters of a title that still fit in the large size

const place = () => document.getElementById("voice");
let timer = 0;
let calm = () => ({ title: "" });
let speaking = false;

// What to show when nothing is to be answered: `what()` gives {title, detail, actions}.
export function whenQuiet(what) {
  calm = what;
  if (!speaking) rest();
}

function show({ kind, title, detail = "", actions = [] }) {
  const words = h("div", { class: "voice-words" }, h("p", { class: "voice-title" }, title), detail && h("p", { class: "voice-detail" }, detail));
  const asked = actions.map(([text, onclick, look]) => button(text, onclick, look));
  const long = title.length > LONG ? " is-long" : "";
  place().className = `voice is-${kind}${long}`;
  fill(place(), h("div", { class: "voice-sign" }, icon(SIGNS[kind])), words, asked.length ? h("div", { class: "voice-actions" }, asked) : null);
}

function rest() {
  clearTimeout(timer);
  speaking = false;
  show({ kind: "calm", ...calm() });
}

// `kind` is good, warn, bad, or wait: kept here and not yet at the server, which sounds like a warning.
export function say(kind, title, detail = "", actions = []) {
  sayUntilTap(kind, title, detail, actions);
  if (STAYS[kind]) timer = setTimeout(rest, STAYS[kind]);
}

// The same, until it is tapped or the next scan.
export function sayUntilTap(kind, title, detail = "", actions = []) {
  clearTimeout(timer);
  speaking = true;
  show({ kind, title, detail, actions });
  play(kind === "wait" ? "warn" : kind);
}

export const hush = rest;

export function listenForTaps() {
  place().addEventListener("click", (event) => speaking && !event.target.closest("button") && rest());
}
