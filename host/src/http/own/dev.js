// For whoever works on the system: says what keeps a change from being live, and loads the page anew when one is.
// It is part of no page that is served otherwise. It adds one element, whose style and text are its own.
"use strict";
(() => {
  const made = document.currentScript.dataset;
  const host = document.createElement("seam-dev");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { all: initial; }
    section, p.pill { position: fixed; z-index: 2147483647; box-sizing: border-box; margin: 0; color: #f4f1ea; background: #1d1b1a;
      font: 14px/1.5 system-ui, sans-serif; border: 1px solid #57504a; }
    section { inset: auto 1rem 1rem 1rem; max-height: calc(100vh - 2rem); overflow: auto; padding: 1rem 1.25rem; border-radius: 8px;
      border-top: 4px solid #ff6b57; box-shadow: 0 8px 40px rgb(0 0 0 / .5); }
    section.notes { border-top-color: #e8b84a; left: auto; max-width: 40rem; }
    h2 { margin: 0 3rem .25rem 0; font-size: 1.1rem; }
    h3 { margin: 1rem 0 0; font-size: 1rem; color: #ff9d8f; overflow-wrap: anywhere; }
    .notes h3 { color: #f0cd7a; }
    h3 span { color: #cbc4ba; font-weight: normal; }
    p { margin: .25rem 0 0; }
    code, pre { font: 13px/1.45 ui-monospace, monospace; }
    pre { margin: .5rem 0 0; padding: .6rem .8rem; background: #000; border-radius: 4px; overflow-x: auto; white-space: pre; }
    button { position: absolute; top: .7rem; right: .9rem; font: inherit; color: inherit; background: #3a3532; border: 1px solid #6b635c;
      border-radius: 4px; padding: .1rem .6rem; cursor: pointer; }
    button:focus-visible { outline: 2px solid #fff; }
    p.pill { right: 1rem; bottom: 1rem; padding: .3rem .8rem; border-radius: 99px; }`);
  root.adoptedStyleSheets = [sheet];

  const element = (name, text, ...children) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    made.append(...children);
    return made;
  };

  // What was put aside stays there until something else is to be said.
  let aside = "";

  const one = ({ context, place, step, message, text, remedy }) => {
    const title = element("h3", context ? `${context}: ` : "");
    title.append(message);
    if (place) title.append(" ", element("span", place));
    if (step) title.append(" ", element("span", `at the step ${step}`));
    const parts = [title];
    if (text) {
      const pre = element("pre", text);
      pre.tabIndex = 0;
      parts.push(pre);
    }
    if (remedy) parts.push(element("p", `hint: ${remedy}`));
    return parts;
  };

  const show = (state) => {
    const said = JSON.stringify([state.problems, state.notes]);
    const list = state.problems.length ? state.problems : state.notes;
    root.replaceChildren();
    if (list.length && said !== aside) {
      const failed = state.problems.length > 0;
      const box = element("section", "");
      box.className = failed ? "problems" : "notes";
      box.setAttribute("role", failed ? "alert" : "status");
      const close = element("button", "Close");
      close.addEventListener("click", () => {
        aside = said;
        show(state);
      });
      const title = failed ? "What was saved is not live" : "Live, but for a part";
      box.append(element("h2", title), close);
      if (failed) box.append(element("p", "This page is by the version before."));
      for (const problem of list) box.append(...one(problem));
      root.append(box);
    }
    if (state.building.length) {
      const pill = element("p", `building ${state.building.join(", ")}`);
      pill.className = "pill";
      pill.setAttribute("role", "status");
      root.append(pill);
    }
    if (root.childElementCount && !host.isConnected) document.documentElement.append(host);
    if (!root.childElementCount) host.remove();
  };

  // The answer to a form is not asked for again: that would send the form again.
  const renew = (state) => {
    if (made.again === "true") return location.reload();
    const message = "A newer version is live. This page is the answer to a form and stays as it is.";
    show({ ...state, problems: state.problems, notes: [...state.notes, { message }] });
  };

  let events;
  const listen = () => {
    events = new EventSource("/_seam/events");
    events.addEventListener("message", (event) => {
      const state = JSON.parse(event.data);
      if (String(state.version) === made.version) show(state);
      else renew(state);
    });
  };
  addEventListener("pagehide", () => events.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
  addEventListener("keydown", (event) => event.key === "Escape" && root.querySelector("button")?.click());
  listen();
})();
