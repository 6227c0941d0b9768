// Before anybody works: which handheld this is, and who is here.

import { button, h, icon } from "../dom.js";
import { numberField, pad } from "../pad.js";
import { pair, currentDevice, currentSession, continueOffline, isSameBadge, signInByBadge, signInByPassword } from "../session.js";
import { t } from "../texts.js";

const TOKEN = /dkd_[A-Za-z0-9_-]{20,}/;

// The handheld's token in what was scanned or typed: itself, or the address in the admin's QR code.
export const tokenIn = (text) => TOKEN.exec(text)?.[0] ?? "";

export async function pairWith(app, token) {
  const answer = await pair(token);
  if (answer.ok) {
    await app.go("badge");
    app.say("good", t("paired", { name: currentDevice().name }));
  } else if (answer.status === 0) {
    app.say("bad", t("pair_no_network"));
  } else {
    app.say("bad", answer.body.detail ?? t("pair_wrong"));
  }
}

export const welcome = {
  steady: true,
  calm: () => ({ title: t("welcome"), detail: t("welcome_more") }),
  build(app) {
    const token = h("input", { id: "token", class: "text", autocomplete: "off", autocapitalize: "none", spellcheck: "false", placeholder: "dkd_…" });
    const username = h("input", { id: "username", class: "text", autocomplete: "username", autocapitalize: "none", spellcheck: "false" });
    const password = h("input", { id: "password", class: "text", type: "password", autocomplete: "current-password" });
    const pairNow = () => (tokenIn(token.value) ? pairWith(app, tokenIn(token.value)) : app.say("bad", t("pair_wrong")));
    const enter = async () => {
      const answer = await signInByPassword(username.value, password.value);
      password.value = "";
      if (answer.ok) await app.signedIn();
      else app.say("bad", answer.status === 0 ? t("no_network_sign_in") : (answer.body.detail ?? t("server_trouble")));
    };
    return [
      h("form", { class: "block", onsubmit: stop(enter) },
        h("h2", {}, icon("hand"), t("own_phone")),
        h("p", { class: "quiet" }, t("own_phone_more")),
        field("username", t("username"), username),
        field("password", t("password"), password),
        h("button", { class: "button is-primary is-wide" }, t("sign_in")),
      ),
      h("form", { class: "block", onsubmit: stop(pairNow) },
        h("h2", {}, icon("badge"), t("shared_handheld")),
        h("p", { class: "quiet" }, t("shared_handheld_more")),
        field("token", t("device_token"), token),
        h("button", { class: "button is-wide" }, t("pair_this")),
      ),
      app.pending ? h("p", { class: "quiet" }, h("a", { href: `/admin/login/?next=/s/${app.pending}` }, t("open_in_office"))) : null,
    ];
  },
};

const stop = (then) => (event) => {
  event.preventDefault();
  then();
};
const field = (id, label, input) => h("label", { class: "text-field", for: id }, h("span", {}, label), input);

// A paired handheld that nobody is signed in on, or whose person was away too long.
export const badge = {
  calm: () => {
    const gone = currentSession();
    if (gone) return { title: t("badge_again", { name: gone.user.name }), detail: t("badge_again_more") };
    return { title: t("scan_badge"), detail: t("scan_badge_more", { device: currentDevice().name }) };
  },
  build(app) {
    return [
      h("div", { class: "hero" }, icon("badge"), h("p", {}, t("scan_badge"))),
      button(t("type_badge"), () => app.typeCode(), { look: "is-wide", icon: "pencil" }),
    ];
  },
};

export const pin = {
  steady: true,
  calm: () => ({ title: t("enter_pin"), detail: t("enter_pin_more") }),
  build(app, { code }) {
    const field = numberField("pin", t("pin"), { secret: true, longest: 8 });
    let busy = false;
    const send = async () => {
      if (busy || !field.input.value) return;
      busy = true;
      await badgeIn(app, code, field);
      busy = false;
    };
    field.input.addEventListener("keydown", (event) => event.key === "Enter" && send());
    setTimeout(() => field.input.focus());
    return [
      field.element,
      pad([field], { clear: t("key_clear"), erase: t("key_erase"), last: { words: t("sign_in"), onclick: send, id: "pin-send" } }),
      button(t("other_badge"), () => app.go("badge"), { look: "is-wide is-quiet", icon: "back" }),
    ];
  },
};

async function badgeIn(app, code, field) {
  const answer = await signInByBadge(code, field.input.value);
  field.input.value = "";
  if (answer.ok) return app.signedIn();
  if (answer.status === 0 && isSameBadge(code)) {
    await continueOffline(code);
    await app.go("home");
    return app.say("warn", t("offline_again", { name: currentSession().user.name }), t("offline_again_more"));
  }
  if (answer.status === 0) return app.say("bad", t("no_network_sign_in"));
  if (!currentDevice()) await app.go("welcome");
  return app.say("bad", answer.body.detail ?? t("server_trouble"));
}
