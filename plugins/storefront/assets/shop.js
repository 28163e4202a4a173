// Makes forms more convenient. Every page works without this file.
"use strict";

// Sends a form once: a second click before the answer arrives does nothing. After the browser's back button it works
// again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (form.method !== "post") return;
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

// Sends a changed number of copies, half a second after the last change.
for (const form of document.querySelectorAll("form[data-live]")) {
  let pause;
  form.addEventListener("change", (event) => {
    clearTimeout(pause);
    if (!event.target.matches("input[type=number]")) return;
    pause = setTimeout(() => form.reportValidity() && form.requestSubmit(), 500);
  });
}

// Moves the focus to the summary of problems, so that screen readers read it first.
document.getElementById("problems")?.focus();
