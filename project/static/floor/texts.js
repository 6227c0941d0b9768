// What the page says. All of it comes from the server's catalogue, one file a language, kept for offline.

const LANGUAGES = ["en", "zh-hans"];
const KEPT = "docket.language";
const PLACE = /%\((\w+)\)s/g;
let told = { texts: {}, reasons: [], statuses: {}, units: {}, verbs: {}, commands: {} };

function chosen() {
  const kept = localStorage.getItem(KEPT);
  if (LANGUAGES.includes(kept)) return kept;
  for (const wanted of navigator.languages ?? []) {
    if (/^zh/i.test(wanted)) return "zh-hans";
    if (/^en/i.test(wanted)) return "en";
  }
  return document.documentElement.dataset.language;
}

export async function loadTexts() {
  const language = chosen();
  const answer = await fetch(`/floor/texts.${language}.json`);
  if (!answer.ok) throw new Error(`texts: ${answer.status}`);
  told = await answer.json();
  document.documentElement.lang = language;
}

export async function setLanguage(language) {
  localStorage.setItem(KEPT, language);
  await loadTexts();
}

export const language = () => document.documentElement.lang;

export function t(key, values = {}) {
  return (told.texts[key] ?? key).replace(PLACE, (_all, name) => String(values[name] ?? ""));
}

// The shop's own lists: reasons [{number, code, label}], labels of states and units, verbs of command codes, the layouts of keyboards.
export const shop = () => told;

export const number = (value) => new Intl.NumberFormat(language()).format(value);

export function day(text) {
  return text ? new Intl.DateTimeFormat(language(), { month: "short", day: "numeric" }).format(new Date(`${text}T12:00:00`)) : "";
}

export function clock(moment) {
  const at = new Date(moment);
  const today = at.toDateString() === new Date().toDateString();
  const shape = { hour: "2-digit", minute: "2-digit", hour12: false, ...(today ? {} : { month: "short", day: "numeric" }) };
  return new Intl.DateTimeFormat(language(), shape).format(at);
}
