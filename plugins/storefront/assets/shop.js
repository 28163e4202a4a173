// Makes forms pleasant. Every page works without this file; nothing here is needed to buy a record.
"use strict";

// A form is sent once: a second click while the answer is under way does nothing. Coming back with the browser's button, it works again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.method !== "post") return;
  form.dataset.sent = "yes";
  // Disabled only afterwards, since a disabled button's own value would not be sent.
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

// A changed number of copies is taken at once, or rather as soon as nobody has touched it for a moment.
for (const form of document.querySelectorAll("form[data-live]")) {
  let pause;
  form.addEventListener("change", (event) => {
    clearTimeout(pause);
    if (!event.target.matches("input[type=number]")) return;
    pause = setTimeout(() => form.reportValidity() && form.requestSubmit(), 500);
  });
}

// What is wrong with a form is the first thing to hear and to see.
document.getElementById("problems")?.focus();
