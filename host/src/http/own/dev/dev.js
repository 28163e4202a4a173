// For developers, in the pages of `seam dev` only: shows what keeps a change from going live, and reloads the page when
// a new version is live. It adds one element with its own shadow root.
"use strict";
(() => {
  const page = document.currentScript.dataset;
  const host = document.createElement("seam-dev");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    :host { all: initial; }
    section, p.pill { position: fixed; z-index: 2147483647; box-sizing: border-box; margin: 0; color: #f4f1ea;
      background: #1d1b1a; font: 14px/1.5 system-ui, sans-serif; border: 1px solid #57504a; }
    section { inset: auto 1rem 1rem 1rem; max-height: calc(100vh - 2rem); overflow: auto; padding: 1rem 1.25rem;
      border-radius: 8px; border-top: 4px solid #ff6b57; box-shadow: 0 8px 40px rgb(0 0 0 / .5); }
    section.notes { border-top-color: #e8b84a; left: auto; max-width: 40rem; }
    h2 { margin: 0 3rem .25rem 0; font-size: 1.1rem; }
    h3 { margin: 1rem 0 0; font-size: 1rem; color: #ff9d8f; overflow-wrap: anywhere; }
    .notes h3 { color: #f0cd7a; }
    h3 span { color: #cbc4ba; font-weight: normal; }
    p { margin: .25rem 0 0; }
    code, pre { font: 13px/1.45 ui-monospace, monospace; }
    pre { margin: .5rem 0 0; padding: .6rem .8rem; background: #000; border-radius: 4px; overflow-x: auto;
      white-space: pre; }
    button { position: absolute; top: .7rem; right: .9rem; font: inherit; color: inherit; background: #3a3532;
      border: 1px solid #6b635c; border-radius: 4px; padding: .1rem .6rem; cursor: pointer; }
    button:focus-visible { outline: 2px solid #fff; }
    p.pill { right: 1rem; bottom: 1rem; padding: .3rem .8rem; border-radius: 99px; }`);
  root.adoptedStyleSheets = [sheet];

  const element = (name, text, ...children) => {
    const created = document.createElement(name);
    if (text) created.textContent = text;
    created.append(...children);
    return created;
  };

  // The content that the developer closed. It stays closed until the content changes.
  let closed = "";

  const details = ({ context, place, step, message, text, remedy }) => {
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
    const traps = state.traps ?? [];
    const content = JSON.stringify([state.problems, traps, state.notes]);
    const list = [state.problems, traps, state.notes].find((some) => some.length) ?? [];
    root.replaceChildren();
    if (list.length && content !== closed) {
      const failed = state.problems.length > 0;
      const box = element("section", "");
      const trapped = list === traps;
      box.className = failed || trapped ? "problems" : "notes";
      box.setAttribute("role", failed || trapped ? "alert" : "status");
      const close = element("button", "Close");
      close.addEventListener("click", () => {
        closed = content;
        show(state);
      });
      const title = failed ? "The last change is not live" : trapped ? "A call failed" : "Live, with notices";
      box.append(element("h2", title), close);
      if (failed) box.append(element("p", "This page comes from the previous version."));
      if (trapped) box.append(element("p", "It stays here until a new version of the context is live."));
      for (const problem of list) box.append(...details(problem));
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

  // A page that answers a form does not reload: that would send the form again.
  const reload = (state) => {
    if (page.reloadable === "true") return location.reload();
    const message = "A newer version is live. This page answers a form and does not reload.";
    show({ ...state, notes: [...state.notes, { message }] });
  };

  let events;
  const listen = () => {
    events = new EventSource("/_seam/events");
    events.addEventListener("message", (event) => {
      const state = JSON.parse(event.data);
      if (String(state.version) === page.version) show(state);
      else reload(state);
    });
  };
  addEventListener("pagehide", () => events.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
  addEventListener("keydown", (event) => event.key === "Escape" && root.querySelector("button")?.click());
  listen();
})();
