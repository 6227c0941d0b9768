// Language, colours, sound, who is signed in where, and the way to the scanner bench.

import { button, h, icon } from "../dom.js";
import { hasCamera } from "../camera.js";
import { clockTrouble } from "../queue.js";
import { currentDevice, currentSession, unpair } from "../session.js";
import { isLoud, play, setLoud } from "../sound.js";
import { language, number, setLanguage, t } from "../texts.js";
import { setTheme, theme } from "../theme.js";

export const settings = {
  calm: () => ({ title: t("settings"), detail: currentSession() ? currentSession().user.name : "" }),
  build(app) {
    const again = (change) => async () => {
      await change();
      app.show();
    };
    const loud = (on) => again(() => {
      setLoud(on);
      if (on) play("good");
    });
    const device = currentDevice();
    return [
      group(t("language"), [["en", "English"], ["zh-hans", "简体中文"]], language(), (value) => again(() => setLanguage(value))),
      group(t("theme"), [["auto", t("theme_auto")], ["light", t("theme_light")], ["dark", t("theme_dark")]], theme(), (value) => again(() => setTheme(value))),
      group(t("sound"), [["on", t("on")], ["off", t("off")]], isLoud() ? "on" : "off", (value) => loud(value === "on")),
      h("section", { class: "block" },
        h("h2", {}, t("this_handheld")),
        h("dl", { class: "facts" },
          fact(t("handheld"), device ? device.name : t("not_paired")),
          fact(t("person"), currentSession()?.user.name ?? t("nobody")),
          fact(t("offline_mode"), t(window.isSecureContext ? "offline_ready" : "offline_impossible")),
          fact(t("clock"), clockTrouble() === null ? t("clock_right") : t("clock_off", { seconds: number(Math.round(clockTrouble())) })),
          fact(t("camera"), t(hasCamera() ? "camera_ready" : "camera_none")),
          fact(t("version"), document.documentElement.dataset.version),
        ),
      ),
      h("a", { class: "button is-wide", href: "/floor/bench/" }, icon("scan"), h("span", {}, t("bench"))),
      currentSession() && !currentSession().locked ? button(t("sign_out"), () => app.leave(), { look: "is-wide", icon: "out", id: "sign-out" }) : null,
      device && !currentSession() ? button(t("unpair"), () => forget(app, device), { look: "is-wide is-quiet", icon: "erase" }) : null,
    ];
  },
};

const fact = (label, value) => h("div", {}, h("dt", {}, label), h("dd", {}, value));

function group(title, choices, chosen, onchoose) {
  const one = ([value, words]) => button(words, onchoose(value), { look: `is-choice ${value === chosen ? "is-chosen" : ""}`, "aria-pressed": String(value === chosen), id: `set-${value}` });
  return h("section", { class: "block" }, h("h2", {}, title), h("div", { class: "choices is-few" }, choices.map(one)));
}

async function forget(app, device) {
  const sure = await app.choose(t("unpair_sure", { name: device.name }), t("unpair_more"), [["unpair", t("unpair")], ["", t("stay")]]);
  if (sure) {
    await unpair();
    await app.go("welcome");
  }
}
