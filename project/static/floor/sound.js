// A tone and a shake for each answer: a fifth upwards is good, one level tone is a warning, a low pair is a refusal.

const TONES = {
  good: [[660, 0, 0.09], [990, 0.1, 0.16]],
  warn: [[587, 0, 0.14], [587, 0.22, 0.14]],
  bad: [[196, 0, 0.22], [147, 0.24, 0.42]],
};
const SHAKES = { good: [60], warn: [90, 70, 90], bad: [350] };
const KEPT = "docket.sound";
let context = null;

export const isLoud = () => localStorage.getItem(KEPT) !== "off";
export const setLoud = (on) => localStorage.setItem(KEPT, on ? "on" : "off");

// Browsers let a page make noise only after it was touched.
export function wakeSound() {
  context ??= window.AudioContext ? new AudioContext() : null;
  if (context?.state === "suspended") context.resume();
}

export function play(kind) {
  if (!TONES[kind]) return;
  if (navigator.userActivation?.hasBeenActive !== false) navigator.vibrate?.(SHAKES[kind]);
  if (!isLoud() || context?.state !== "running") return;
  for (const [pitch, after, length] of TONES[kind]) {
    const [tone, volume] = [context.createOscillator(), context.createGain()];
    const from = context.currentTime + after;
    tone.type = kind === "bad" ? "square" : "triangle";
    tone.frequency.value = pitch;
    volume.gain.setValueAtTime(kind === "bad" ? 0.35 : 0.7, from);
    volume.gain.exponentialRampToValueAtTime(0.001, from + length);
    tone.connect(volume).connect(context.destination);
    tone.start(from);
    tone.stop(from + length);
  }
}
