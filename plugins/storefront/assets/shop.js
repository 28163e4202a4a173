// Makes forms more convenient. Every page works without this file.
"use strict";

// Sends a form once: a second click before the answer arrives does nothing. After the browser's back button it works
// again. The cart's form may be sent again at any time: what is sent last is what it should be.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.method !== "post" || form.dataset.live !== undefined) return;
  form.dataset.sent = "yes";
  // Disabled after the event, because the value of a disabled button would not be sent.
  setTimeout(() => {
    for (const button of form.elements) if (button.type === "submit") button.disabled = true;
  });
});
addEventListener("pageshow", () => {
  for (const form of document.forms) {
    delete form.dataset.sent;
    for (const button of form.elements) if (button.type === "submit") button.disabled = false;
  }
});

// What the browser keeps for these pages; nothing when it keeps nothing.
const kept = {
  read(where, name) {
    try { return where()[name]; } catch { return undefined; }
  },
  write(where, name, value) {
    try { where()[name] = value; } catch { /* Then the page is as it is without this file. */ }
  },
};
const lasting = () => localStorage;
const tab = () => sessionStorage;

// A page that answers a form is an error page: every other answer leads elsewhere. Replacing it in the history by itself
// makes "back" and "reload" ask for the page, instead of whether to send the form again.
if (document.getElementById("problems")) {
  history.replaceState(null, "", document.querySelector("[data-page]")?.dataset.page ?? location.href);
}

// The number of records in the cart: a page that the browser takes from its memory, or that is open in another tab,
// shows the number of the page that came from the shop last.
const count = document.querySelector(".count");
const copies = document.querySelector(".copies");
const show = (number) => {
  if (!copies || !/^\d+$/.test(number ?? "")) return;
  copies.textContent = number;
  count.hidden = number === "0";
};
const again = () => performance.getEntriesByType("navigation")[0]?.type === "back_forward";
addEventListener("pageshow", (event) => {
  if (event.persisted || again()) show(kept.read(lasting, "copies"));
  else if (copies) kept.write(lasting, "copies", copies.textContent);
});
addEventListener("storage", (event) => event.key === "copies" && show(event.newValue));

for (const form of document.querySelectorAll("form[data-live]")) {
  // Sends a changed number of copies, half a second after the last change. Whatever is pressed before that takes the
  // change along: a button sends the form itself, and a link becomes where the form leads.
  let pause = 0;
  form.addEventListener("change", (event) => {
    clearTimeout(pause);
    if (event.target.matches("input[type=number]")) {
      pause = setTimeout(() => form.reportValidity() && form.requestSubmit(), 500);
    }
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const plain = !event.button && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!pause || !link || !plain || link.origin !== location.origin || !form.checkValidity()) return;
    event.preventDefault();
    const next = document.createElement("input");
    Object.assign(next, { type: "hidden", name: "next", value: link.pathname + link.search });
    form.append(next);
    form.requestSubmit();
  });
  // The focus is where it was when the page comes back: on the same field or button, or on the line in its place.
  form.addEventListener("submit", () => {
    clearTimeout(pause);
    pause = 0;
    const active = document.activeElement;
    const line = [...form.querySelectorAll("li")].indexOf(active?.closest("li"));
    kept.write(tab, "focus", JSON.stringify({ path: location.pathname, id: active?.id, line }));
  });
}
const focus = JSON.parse(kept.read(tab, "focus") || "{}");
kept.write(tab, "focus", "");
if (focus.path === location.pathname && (focus.id || focus.line >= 0)) {
  const lines = document.querySelectorAll("form[data-live] li");
  const field = lines[Math.min(focus.line, lines.length - 1)]?.querySelector("input[type=number], button");
  const heading = document.querySelector("h1");
  heading.tabIndex = -1;
  (document.getElementById(focus.id) ?? field ?? heading).focus();
}

// Moves the focus to the summary of problems, so that screen readers read it first.
document.getElementById("problems")?.focus();
