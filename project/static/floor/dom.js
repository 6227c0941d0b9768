// Elements are made here and nowhere from text, so that no data ever becomes markup.

export function h(tag, attributes = {}, ...children) {
  const one = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) one.addEventListener(name.slice(2), value);
    else one.setAttribute(name, value === true ? "" : value);
  }
  one.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return one;
}

// Paths on a grid of 24, drawn with a line of the text's colour.
const ICONS = {
  back: "M15 5l-7 7 7 7",
  badge: "M5 4h14v16H5zM9 4V2m6 2V2M9 15c.6-1.300 1.600-2 3-2s2.400.7 3 2M12 11.500a1.800 1.800 0 1 0 0-3.600 1.800 1.800 0 0 0 0 3.600",
  camera: "M4 8h3l2-3h6l2 3h3v11H4zM12 16.500a3.200 3.200 0 1 0 0-6.400 3.200 3.200 0 0 0 0 6.400",
  check: "M4 12.500l5.200 5.200L20 7",
  clock: "M12 7v5l3.500 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18",
  cross: "M6 6l12 12M18 6L6 18",
  erase: "M9 6h11v12H9l-6-6zM12 9.500l5 5m0-5l-5 5",
  gear: "M4 7h9m5 0h2M4 17h3m5 0h8M15.500 9.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5M9.500 19.500a2.500 2.500 0 1 0 0-5 2.500 2.500 0 0 0 0 5",
  hand: "M12 3v9m0 0l-4-4m4 4l4-4M4 15v5h16v-5",
  keys: "M3 7h18v10H3zM7 10.500v.100m3.300-.100v.100m3.400-.100v.100m3.300-.100v.100M8 14h8",
  list: "M4 6h16M4 12h16M4 18h16",
  out: "M10 4H5v16h5M9 12h11m0 0l-4-4m4 4l-4 4",
  pause: "M8 5v14M16 5v14",
  pencil: "M4 20l1-5L16 4l4 4L9 19zM13.500 6.500l4 4",
  play: "M7 4.500v15l12-7.500z",
  scan: "M4 8V4h4M16 4h4v4M20 16v4h-4M8 20H4v-4M8 9v6m3-6v6m2.500-6v6m2.500-6v6",
  undo: "M8 5L3.500 9.500 8 14M4 9.500h10a5 5 0 0 1 0 10H9",
  up: "M12 20V5m0 0l-6 6m6-6l6 6",
  warn: "M12 4L2.500 20h19zM12 10v4.500m0 2.700v.100",
};
const SVG = "http://www.w3.org/2000/svg";

export function icon(name) {
  const image = document.createElementNS(SVG, "svg");
  image.setAttribute("viewBox", "0 0 24 24");
  image.setAttribute("class", "icon");
  image.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", ICONS[name]);
  image.append(path);
  return image;
}

export function button(words, onclick, { look = "", icon: picture = "", ...attributes } = {}) {
  return h("button", { type: "button", class: `button ${look}`.trim(), onclick, ...attributes }, picture && icon(picture), words && h("span", {}, words));
}

// Put `children` in the place of what was there; the element that had the focus has it again, if it is still there.
export function fill(place, ...children) {
  const kept = place.contains(document.activeElement) ? document.activeElement.id : "";
  place.replaceChildren(...children.flat(Infinity).filter(Boolean));
  if (kept) document.getElementById(kept)?.focus({ preventScroll: true });
}
