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
  button.setAttribute("aria-label", `Show ${input.labels[0]?.textContent.toLowerCase() ?? "password"}`);
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

// A download leaves the page as it is, so its button may be pressed again.
document.querySelectorAll("form[method=post]:not([data-again])").forEach(sendOnce);
document.querySelectorAll("input[type=password]").forEach(offerToShow);

// In which time zone this browser is, so that times read right from the first page on.
document.querySelectorAll("input[name=zone][type=hidden]").forEach((input) => {
  input.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
});

// Asks the server for the page anew. To reload it would send a form again whose answer it is.
function loadAnew() {
  location.replace(location.pathname + location.search);
}

// A page kept in memory for the Back button would show orders after logout: it leaves empty and asks the server when it returns.
if (document.body.matches("[data-guarded]")) {
  addEventListener("pagehide", () => {
    document.body.hidden = true;
  });
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  if (document.body.matches("[data-guarded]")) {
    loadAnew();
    return;
  }
  document.querySelectorAll("form").forEach((form) => sent.delete(form));
});

// A meter beside a password that is being chosen. The server judges; while it does not answer, nothing is shown.
const JUDGE_AFTER_MS = 350;

function meter(input) {
  const box = document.createElement("div");
  box.className = "strength";
  box.hidden = true;
  const bar = document.createElement("meter");
  Object.assign(bar, { min: 0, max: 4, low: 2, high: 3, optimum: 4 });
  bar.setAttribute("aria-label", "Strength of the password");
  const words = document.createElement("p");
  words.setAttribute("role", "status");
  box.append(bar, words);
  input.closest(".field").append(box);

  let waiting;
  let asked = 0;
  input.addEventListener("input", () => {
    clearTimeout(waiting);
    asked += 1;
    if (!input.value) {
      box.hidden = true;
      return;
    }
    waiting = setTimeout(() => judge(asked), JUDGE_AFTER_MS);
  });

  async function judge(question) {
    const email = document.querySelector("#email")?.value ?? "";
    const body = new URLSearchParams({ email, password: input.value });
    const answer = await fetch("/password/strength", { method: "POST", body }).catch(() => null);
    if (!answer?.ok || question !== asked) return;
    const { score, words: said } = await answer.json();
    if (question !== asked) return;
    bar.value = Math.max(score, 0.3);
    words.textContent = said;
    box.hidden = false;
  }
}

document.querySelectorAll("input[data-strength]").forEach(meter);

// Two minutes before an idle session ends the page says so and offers to stay. Other tabs tell when they were used.
const WARN_BEFORE_S = 120;
// Timers of browsers hold no more than this.
const LONGEST_TIMER_S = 86_400;

function watchSession(body) {
  let endsAt = 0;
  let canStay = false;
  let timer;
  const tabs = "BroadcastChannel" in window ? new BroadcastChannel("session") : null;
  const dialog = document.createElement("dialog");
  dialog.className = "session-end";
  dialog.setAttribute("aria-labelledby", "session-end-title");
  const title = document.createElement("h2");
  title.id = "session-end-title";
  const text = document.createElement("p");
  text.id = "session-end-text";
  dialog.setAttribute("aria-describedby", text.id);
  const stay = document.createElement("button");
  stay.type = "button";
  stay.textContent = "Stay logged in";
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain";
  close.textContent = "Not now";
  const actions = document.createElement("div");
  actions.className = "actions";
  actions.append(stay, close);
  dialog.append(title, text, actions);
  body.append(dialog);

  const left = () => Math.round((endsAt - Date.now()) / 1000);

  function schedule(seconds, extendable) {
    endsAt = Date.now() + seconds * 1000;
    canStay = extendable;
    if (dialog.open) dialog.close();
    document.title = document.title.replace(/^Logged out soon – /, "");
    tick();
  }

  function tick() {
    clearTimeout(timer);
    const seconds = left();
    if (seconds <= -1) {
      // The server knows better: a customer who is still logged in sees the page again, others the login page.
      loadAnew();
      return;
    }
    if (seconds <= WARN_BEFORE_S) warn(seconds);
    const next = seconds > WARN_BEFORE_S ? seconds - WARN_BEFORE_S : Math.min(seconds + 2, dialog.open ? 15 : seconds + 2);
    timer = setTimeout(tick, Math.min(Math.max(next, 1), LONGEST_TIMER_S) * 1000);
  }

  function warn(seconds) {
    const minutes = Math.max(1, Math.ceil(seconds / 60));
    title.textContent = `You will be logged out in ${minutes === 1 ? "one minute" : `${minutes} minutes`}`;
    text.textContent = canStay
      ? "Nothing was done here for a while. Stay logged in to go on where you are."
      : "This session has lasted as long as it may. Finish what you are doing, then log in again.";
    stay.hidden = !canStay;
    close.textContent = canStay ? "Not now" : "Understood";
    if (!dialog.open && !dialog.dataset.dismissed) {
      dialog.showModal();
      document.title = `Logged out soon – ${document.title}`;
    }
  }

  stay.addEventListener("click", async () => {
    const answer = await fetch("/account/session/extend", { method: "POST" }).catch(() => null);
    if (!answer?.ok || answer.redirected) {
      loadAnew();
      return;
    }
    const { ends_in: seconds, can_stay: extendable } = await answer.json();
    renewed(seconds, extendable);
  });
  close.addEventListener("click", () => {
    dialog.dataset.dismissed = "yes";
    dialog.close();
  });
  tabs?.addEventListener("message", ({ data }) => {
    if (!Number.isFinite(data?.seconds) || typeof data.extendable !== "boolean") return;
    delete dialog.dataset.dismissed;
    schedule(data.seconds, data.extendable);
  });
  // A computer that slept comes back late.
  document.addEventListener("visibilitychange", () => document.hidden || tick());

  // An answer for this session has come, and with it a later end; the other tabs are in the same session.
  function renewed(seconds, extendable) {
    schedule(seconds, extendable);
    tabs?.postMessage({ seconds, extendable });
  }

  return renewed;
}

// The server tells in a header how long the session lasts, so that a page does not change each second. Of the headers of a page, a script
// can read this one only.
const timing = performance.getEntriesByType("navigation")[0]?.serverTiming?.find(({ name }) => name === "session");
const sessionRenewed = timing && document.body.matches("[data-guarded]") ? watchSession(document.body) : () => {};
if (timing) sessionRenewed(timing.duration / 1000, timing.description === "extendable");

// The same, in the header of a response.
function readSessionTiming(response) {
  const found = /\bsession;dur=(\d+)(;desc=extendable)?/.exec(response.headers.get("server-timing") ?? "");
  if (found) sessionRenewed(Number(found[1]) / 1000, Boolean(found[2]));
}

// A list that follows its filters while they change. The form alone does the same, with a page in between.
const LOOK_AFTER_MS = 250;

function followFilters(form) {
  let waiting;
  let asked = 0;
  let shownFor = location.search;
  const told = document.getElementById("told");

  function address() {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      const isDate = name === "from" || name === "to";
      if (value.trim() && !(isDate && form.elements.period.value !== "range")) query.set(name, value);
    }
    if (query.get("sort") === "newest") query.delete("sort");
    return query.size ? `${form.action}?${query}` : form.action;
  }

  async function look(url) {
    asked += 1;
    const question = asked;
    const answer = await fetch(url, { headers: { accept: "text/html" } }).catch(() => null);
    if (question !== asked) return;
    const page = answer?.ok && !answer.redirected ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
    const found = page?.getElementById(form.dataset.live);
    const shown = document.getElementById(form.dataset.live);
    if (question !== asked) return;
    if (!found || !shown) {
      // The server has something else to say: whatever it is, its page says it.
      location.assign(url);
      return;
    }
    shown.replaceWith(document.adoptNode(found));
    document.getElementById("filter-notice")?.remove();
    form.querySelector("summary").textContent = page.querySelector("form[data-live] summary").textContent;
    told.textContent = (found.querySelector(".count strong") ?? found.querySelector("h2"))?.textContent ?? "";
    readSessionTiming(answer);
    history.pushState(null, "", url);
    shownFor = location.search;
  }

  const changed = (delay) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => look(address()), delay);
  };
  form.addEventListener("input", (event) => {
    // A range needs its dates first, and a date is not whole while it is typed.
    if (event.target.name === "period" && event.target.value === "range") return;
    if (event.target.type !== "date" || event.target.value || !event.target.validity.badInput) {
      changed(event.target.type === "search" || event.target.type === "date" ? LOOK_AFTER_MS : 0);
    }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    changed(0);
  });
  // Back leads to the filters before. A link within the page changes none.
  addEventListener("popstate", () => {
    if (location.search !== shownFor) loadAnew();
  });
}

document.querySelectorAll("form[data-live]").forEach((form) => {
  if (document.getElementById(form.dataset.live)) followFilters(form);
});
