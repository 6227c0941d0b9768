// Reads the shop's codes without a network, so that a misread is told at once: a letter, a number in base 32, a check character.

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const READ_AS = { O: "0", I: "1", L: "1" };
const LONGEST = 20;
const REVISIONS = 4096;
const KINDS = { W: "order", T: "task", K: "task", E: "badge", C: "command", R: "reason", D: "order", J: "task" };
const PAPERS = "DJ";
const TASK_NUMBER = /^T[0-9]+$/; // what people call a task: never a code, which has the letter K where it would be one

const timesTwo = (value) => (value & 16 ? (value << 1) ^ 0b100101 : value << 1);

function checksum(text) {
  let total = 0;
  for (const letter of text) total = timesTwo(total) ^ ALPHABET.indexOf(letter);
  return total;
}

export function encode(letter, number) {
  let digits = "";
  for (let rest = number; rest || !digits; rest = Math.floor(rest / 32)) digits = ALPHABET[rest % 32] + digits;
  const code = checked(letter + digits);
  return TASK_NUMBER.test(code) ? checked(`K${digits}`) : code;
}

const checked = (body) => body + ALPHABET[timesTwo(checksum(body))];

// {kind, number, revision, code}, or {error}: bad_code (none of ours), a_number (a task's) or wrong_check (misread).
export function decode(given) {
  const text = [...given.normalize("NFKC").trim().toUpperCase()].map((letter) => READ_AS[letter] ?? letter).join("");
  if (text.length <= LONGEST && TASK_NUMBER.test(text)) return { error: "a_number", text };
  const known = text.length >= 3 && text.length <= LONGEST && text[0] in KINDS && [...text].every((letter) => ALPHABET.includes(letter));
  if (!known) return { error: "bad_code", text };
  const odd = checked(text.slice(0, -1)) !== text || (text[1] === "0" && text.length > 3);
  if (odd) return { error: "wrong_check", text };
  if (text[0] === "K" && !TASK_NUMBER.test(checked(`T${text.slice(1, -1)}`))) return { error: "bad_code", text };
  let number = 0;
  for (const letter of text.slice(1, -1)) number = number * 32 + ALPHABET.indexOf(letter);
  const code = { kind: KINDS[text[0]], number, revision: null, code: text };
  return PAPERS.includes(text[0]) ? { ...code, number: Math.floor(number / REVISIONS), revision: number % REVISIONS } : code;
}

// As decode, and the site's own address of a code; foreign_host with the host where it is another site's.
export function parse(given) {
  const text = given.normalize("NFKC").trim();
  if (!/^(https?:|www\.)/i.test(text) && !text.includes("://")) return decode(text);
  let address;
  try {
    address = new URL(text);
  } catch {
    return { error: "bad_code", text };
  }
  if (address.hostname !== location.hostname) return { error: "foreign_host", host: address.hostname, text };
  const found = /^\/s\/([0-9A-Za-z]{3,20})\/?$/.exec(address.pathname);
  if (found) return decode(found[1]);
  const inside = /^#code=([0-9A-Za-z]{3,20})$/.exec(address.hash);
  return address.pathname === "/floor/" && inside ? decode(inside[1]) : { error: "bad_code", text };
}

// {layout, meant} where `given` is `meant` typed through another keyboard layout; `layouts` say what each of its characters stands for.
export function layoutOf(given, layouts, isRight = (text) => !decode(text).error) {
  const text = given.trim().toUpperCase();
  for (const [layout, stands] of Object.entries(layouts)) {
    const meant = [...text].map((letter) => stands[letter] ?? letter).join("");
    if (meant !== text && isRight(meant)) return { layout, meant };
  }
  return null;
}
