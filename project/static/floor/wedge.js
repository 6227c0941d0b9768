// A scanner that types like a keyboard. It is told from a person by its speed, wherever the focus is, and leaves no trace in a field.

const KEPT = "docket.wedge";
const USUAL = { gap: 50, again: 700 };
const LEAST = 3; // characters of the shortest code
const STALL = 6; // times the usual gap that a wireless scanner may stop in the middle
const SILENCE = 250; // ms after which a scanner without a suffix is taken to be done
const SIGNS = { Minus: "-_", Slash: "/?", Period: ".>", Semicolon: ";:", Equal: "=+", Digit3: "3#", Comma: ",<", Quote: "'\"" };

// `gap`: ms between two characters, on average, that only a scanner is as fast as. `again`: the same code within so many ms is one scan.
export const wedgeSettings = () => ({ ...USUAL, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}") });
export const setWedge = (settings) => localStorage.setItem(KEPT, JSON.stringify(settings));

// What the key types; from its place where an input method has swallowed the character.
function characterOf(event) {
  if (event.key.length === 1) return event.key;
  if (event.key !== "Process" && event.key !== "Unidentified" && !event.isComposing) return "";
  const { code, shiftKey } = event;
  if (SIGNS[code]) return SIGNS[code][shiftKey ? 1 : 0];
  if (/^Key[A-Z]$/.test(code)) return shiftKey ? code[3] : code[3].toLowerCase();
  return /^(Digit|Numpad)\d$/.test(code) ? code.at(-1) : "";
}

const average = (times) => times.reduce((sum, one) => sum + one, 0) / times.length;
const isField = (one) => one instanceof HTMLInputElement || one instanceof HTMLTextAreaElement;

export class Wedge {
  // `onScan({text, suffix, speed, letters})`: suffix is Enter, Tab or "", speed the average ms between characters.
  // `isCode(text)` says whether a text without a suffix is worth taking for a scan.
  constructor(onScan, isCode, settings = wedgeSettings) {
    this.onScan = onScan;
    this.isCode = isCode;
    this.settings = settings;
    this.letters = [];
    this.last = { text: "", at: -Infinity };
    this.endedAt = -Infinity;
    document.addEventListener("keydown", (event) => this.hear(event), { capture: true });
  }

  get gaps() {
    return this.letters.slice(1).map(({ at }, place) => at - this.letters[place].at);
  }

  // A busy handheld may hold up one character: then the rest tell, if what came is a code.
  get isFast() {
    if (this.letters.length < LEAST) return false;
    const { gaps } = this;
    const { gap } = this.settings();
    if (average(gaps) <= gap) return true;
    return average(gaps.sort((one, other) => one - other).slice(0, -1)) <= gap && this.isCode(this.text);
  }

  hear(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || ["Shift", "CapsLock", "AltGraph"].includes(event.key)) return;
    const at = event.timeStamp;
    if (event.key === "Enter" || event.key === "Tab" || event.code === "NumpadEnter") return this.end(event, at);
    const letter = characterOf(event);
    if (!letter) return this.forget();
    if (this.isStale(at)) this.forget();
    if (!this.letters.length) this.remember(document.activeElement);
    this.letters.push({ letter, at, code: event.code });
    if (!isField(document.activeElement) && letter !== " ") event.preventDefault(); // "/" and "'" open a browser's search
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.settle(), SILENCE);
  }

  end(event, at) {
    clearTimeout(this.timer);
    if (this.isFast && !this.isStale(at)) {
      event.preventDefault();
      event.stopImmediatePropagation();
      this.finish(event.key === "Tab" ? "Tab" : "Enter", at);
    } else if (at - this.endedAt < 2 * SILENCE) {
      event.preventDefault(); // the late suffix of a scan that was taken without it
      event.stopImmediatePropagation();
    } else {
      this.forget();
    }
  }

  isStale(at) {
    return this.letters.length > 0 && at - this.letters.at(-1).at > STALL * this.settings().gap;
  }

  settle() {
    if (this.isFast && this.isCode(this.text)) this.finish("", performance.now());
  }

  get text() {
    return this.letters.map((one) => one.letter).join("");
  }

  finish(suffix, at) {
    const scan = { text: this.text, suffix, speed: average(this.gaps), letters: this.letters, at };
    this.restore();
    this.forget();
    this.endedAt = at;
    const again = scan.text === this.last.text && at - this.last.at < this.settings().again;
    this.last = { text: scan.text, at };
    if (!again) this.onScan(scan);
  }

  remember(field) {
    this.field = isField(field) ? { field, value: field.value } : null;
  }

  restore() {
    if (!this.field) return;
    const { field, value } = this.field;
    if (field.value === value) return;
    field.value = value;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  }

  forget() {
    clearTimeout(this.timer);
    this.letters = [];
    this.field = null;
  }
}
