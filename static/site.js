// What scripts add to pages that work without them.
"use strict";

// How long a form that was sent stays deaf. Whoever pressed "stop" meanwhile can send it again afterwards.
const SEND_AGAIN_AFTER_MS = 10_000;

const sent = new WeakSet();

function sendOnce(form) {
  form.addEventListener("submit", (event) => {
    if (sent.has(form)) {
      event.preventDefault();
      return;
    }
    sent.add(form);
    setTimeout(() => sent.delete(form), SEND_AGAIN_AFTER_MS);
  });
}

function offerToShow(input) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "show";
  button.textContent = "Show";
  // The label stays as it is and the pressed state changes: both changing would contradict each other.
  button.setAttribute("aria-label", "Show password");
  button.setAttribute("aria-controls", input.id);

  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  };
  show(false);
  button.addEventListener("click", () => show(input.type === "password"));
  // Hidden when it leaves, so that password managers know it and no form history keeps it.
  input.form?.addEventListener("submit", () => show(false));
  addEventListener("pagehide", () => show(false));
  input.after(button);
}

document.querySelectorAll("form[method=post]").forEach(sendOnce);
document.querySelectorAll("input[type=password]").forEach(offerToShow);

// A page kept in memory for the Back button would show orders after logout: it leaves empty and asks the server when it returns.
if (document.body.matches("[data-guarded]")) {
  addEventListener("pagehide", () => {
    document.body.hidden = true;
  });
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  if (document.body.matches("[data-guarded]")) {
    location.reload();
    return;
  }
  document.querySelectorAll("form").forEach((form) => sent.delete(form));
});
