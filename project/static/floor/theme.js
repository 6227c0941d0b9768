// Light or dark: as the handheld says, or as the person chose on it.

const KEPT = "docket.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

export const theme = () => localStorage.getItem(KEPT) ?? "auto";

export function applyTheme() {
  const wanted = theme() === "auto" ? (dark.matches ? "dark" : "light") : theme();
  document.documentElement.dataset.theme = wanted;
}

export function setTheme(wanted) {
  localStorage.setItem(KEPT, wanted);
  applyTheme();
}

dark.addEventListener("change", applyTheme);
