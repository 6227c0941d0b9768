// The camera as a scanner, where the browser can read codes itself.

import { button, h } from "./dom.js";
import { t } from "./texts.js";

const FORMATS = ["qr_code", "code_128"];
const EVERY = 200; // ms between two looks

export const hasCamera = () => "BarcodeDetector" in window && Boolean(navigator.mediaDevices?.getUserMedia);

// Show the camera's picture in `place` until a code is read, which `onCode(text)` gets, or the person closes it.
export async function lookForCode(place, onCode, onTrouble) {
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch {
    onTrouble(t("camera_refused"));
    return;
  }
  const detector = new BarcodeDetector({ formats: FORMATS });
  const video = h("video", { class: "camera", playsinline: true, muted: true });
  video.srcObject = stream;
  let timer = 0;
  const close = () => {
    clearInterval(timer);
    for (const track of stream.getTracks()) track.stop();
    place.replaceChildren();
  };
  place.replaceChildren(h("div", { class: "sheet" }, video, button(t("close"), close, { icon: "cross" })));
  await video.play();
  timer = setInterval(async () => {
    const [found] = await detector.detect(video).catch(() => []);
    if (!found) return;
    close();
    onCode(found.rawValue);
  }, EVERY);
}
