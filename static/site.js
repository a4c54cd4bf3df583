// What scripts add to pages that work without them.
"use strict";

// A submitted form ignores further submits for this time. Afterwards a user who stopped the request can submit it again.
const RESUBMIT_AFTER_MS = 10_000;

const submitted = new WeakSet();

function preventDoubleSubmit(form) {
  form.addEventListener("submit", (event) => {
    if (submitted.has(form)) {
      event.preventDefault();
      return;
    }
    submitted.add(form);
    setTimeout(() => submitted.delete(form), RESUBMIT_AFTER_MS);
  });
}

function addShowButton(input) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "show";
  button.textContent = "Show";
  // Only the pressed state changes. A label that changed too would contradict it.
  button.setAttribute("aria-label", `Show ${input.labels[0]?.textContent.toLowerCase() ?? "password"}`);
  button.setAttribute("aria-controls", input.id);

  const show = (shown) => {
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  };
  show(false);
  button.addEventListener("click", () => show(input.type === "password"));
  // Hidden again at submit, so that password managers recognize the field and the form history does not store it.
  input.form?.addEventListener("submit", () => show(false));
  addEventListener("pagehide", () => show(false));
  input.after(button);
}

// A download does not replace the page, so its form can be submitted again.
document.querySelectorAll("form[method=post]:not([data-again])").forEach(preventDoubleSubmit);
document.querySelectorAll("input[type=password]").forEach(addShowButton);

// The browser's time zone, so that the first page shows local times.
document.querySelectorAll("input[name=zone][type=hidden]").forEach((input) => {
  input.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
});

// Opens the setting that the URL names, for example of /account#password, in browsers that do not by themselves. Not after its form was sent,
// which leads back there.
function openTarget() {
  const target = document.getElementById(location.hash.slice(1));
  const setting = target?.closest("details.change") ?? target?.querySelector(":scope > details.change");
  if (setting && !document.querySelector("main > .notice")) setting.open = true;
}
openTarget();
addEventListener("hashchange", openTarget);

// Requests the page again. A reload would submit a form again if the page is its response.
function reloadPage() {
  location.replace(location.pathname + location.search);
}

// The browser may keep a page in memory for the Back button, which would show orders after logout. So the page is hidden when the user
// leaves it, and requested again when it is shown from memory.
if (document.body.matches("[data-guarded]")) {
  addEventListener("pagehide", () => {
    document.body.hidden = true;
  });
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  if (document.body.matches("[data-guarded]")) {
    reloadPage();
    return;
  }
  document.querySelectorAll("form").forEach((form) => submitted.delete(form));
});

// A strength meter for new passwords. The server rates them; without its response nothing is shown.
const RATE_AFTER_MS = 350;

function addStrengthMeter(input) {
  const field = input.closest(".field");
  const box = document.createElement("div");
  box.className = "strength";
  box.hidden = true;
  const bar = document.createElement("div");
  bar.setAttribute("role", "meter");
  bar.setAttribute("aria-label", "Password strength");
  bar.setAttribute("aria-valuemin", "0");
  bar.setAttribute("aria-valuemax", "4");
  const filled = document.createElement("span");
  bar.append(filled);
  const advice = document.createElement("p");
  advice.setAttribute("role", "status");
  box.append(bar, advice);
  field.append(box);

  let timer;
  let lastRequest = 0;
  input.addEventListener("input", () => {
    // An error about the former password. Its room is kept: a form that moves under the pointer loses the click.
    field.querySelector(".error")?.classList.add("outdated");
    input.removeAttribute("aria-invalid");
    clearTimeout(timer);
    lastRequest += 1;
    if (!input.value) {
      box.hidden = true;
      return;
    }
    timer = setTimeout(() => rate(lastRequest), RATE_AFTER_MS);
  });

  async function rate(request) {
    const email = document.querySelector("#email")?.value ?? "";
    const body = new URLSearchParams({ email, password: input.value });
    const response = await fetch("/password/strength", { method: "POST", body }).catch(() => null);
    if (!response?.ok || request !== lastRequest) return;
    const { score, words } = await response.json();
    if (request !== lastRequest) return;
    bar.setAttribute("aria-valuenow", String(score));
    bar.setAttribute("aria-valuetext", words);
    bar.classList.toggle("weak", score < 2);
    filled.style.inlineSize = `${Math.max(score, 0.3) * 25}%`;
    advice.textContent = words;
    box.hidden = false;
  }
}

document.querySelectorAll("input[data-strength]").forEach(addStrengthMeter);

// Two minutes before an idle session ends, a dialog warns and offers to extend it. Tabs tell each other about extensions.
const WARN_BEFORE_S = 120;
// The longest delay that the timers here use.
const LONGEST_TIMER_S = 86_400;

function watchSession(body) {
  let endsAt = 0;
  let canExtend = false;
  let timer;
  const tabs = "BroadcastChannel" in window ? new BroadcastChannel("session") : null;
  const dialog = document.createElement("dialog");
  dialog.className = "session-end";
  dialog.setAttribute("aria-labelledby", "session-end-title");
  const title = document.createElement("h2");
  title.id = "session-end-title";
  title.textContent = "You will be logged out soon";
  const text = document.createElement("p");
  text.id = "session-end-text";
  dialog.setAttribute("aria-describedby", text.id);
  const extend = document.createElement("button");
  extend.type = "button";
  extend.textContent = "Stay logged in";
  const close = document.createElement("button");
  close.type = "button";
  close.className = "plain";
  close.textContent = "Not now";
  const actions = document.createElement("div");
  actions.className = "actions";
  actions.append(extend, close);
  dialog.append(title, text, actions);
  body.append(dialog);

  const left = () => Math.round((endsAt - Date.now()) / 1000);

  function schedule(seconds, extendable) {
    endsAt = Date.now() + seconds * 1000;
    canExtend = extendable;
    if (dialog.open) dialog.close();
    document.title = document.title.replace(/^Logged out soon – /, "");
    tick();
  }

  function tick() {
    clearTimeout(timer);
    const seconds = left();
    if (seconds <= -1) {
      // The server decides: a customer who is still logged in gets the page again, others the login page.
      reloadPage();
      return;
    }
    if (seconds <= WARN_BEFORE_S) warn(seconds);
    const next = seconds > WARN_BEFORE_S ? seconds - WARN_BEFORE_S : Math.min(seconds + 2, dialog.open ? 15 : seconds + 2);
    timer = setTimeout(tick, Math.min(Math.max(next, 1), LONGEST_TIMER_S) * 1000);
  }

  function warn(seconds) {
    const minutes = Math.max(1, Math.ceil(seconds / 60));
    title.textContent = `You will be logged out in ${minutes === 1 ? "one minute" : `${minutes} minutes`}`;
    text.textContent = canExtend
      ? "You have been inactive for a while. Stay logged in to continue."
      : "This session is about to reach its maximum length. Finish what you are doing, then log in again.";
    extend.hidden = !canExtend;
    close.textContent = canExtend ? "Not now" : "OK";
    if (!dialog.open && !dialog.dataset.dismissed) {
      dialog.showModal();
      document.title = `Logged out soon – ${document.title}`;
    }
  }

  extend.addEventListener("click", async () => {
    const response = await fetch("/account/session/extend", { method: "POST" }).catch(() => null);
    if (!response?.ok || response.redirected) {
      reloadPage();
      return;
    }
    const { ends_in: seconds, can_stay: extendable } = await response.json();
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
  // Timers do not run while a computer sleeps.
  document.addEventListener("visibilitychange", () => document.hidden || tick());

  // After a response of this session, which has a later end. The other tabs have the same session.
  function renewed(seconds, extendable) {
    schedule(seconds, extendable);
    tabs?.postMessage({ seconds, extendable });
  }

  return renewed;
}

// The server sends the remaining time of the session in a header, because the page itself may come from its cache. Server-Timing is the only
// header of its own page that a script can read.
const timing = performance.getEntriesByType("navigation")[0]?.serverTiming?.find(({ name }) => name === "session");
const sessionRenewed = timing && document.body.matches("[data-guarded]") ? watchSession(document.body) : () => {};
if (timing) sessionRenewed(timing.duration / 1000, timing.description === "extendable");

// The same for the response of a request by script.
function readSessionTiming(response) {
  const found = /\bsession;dur=(\d+)(;desc=extendable)?/.exec(response.headers.get("server-timing") ?? "");
  if (found) sessionRenewed(Number(found[1]) / 1000, Boolean(found[2]));
}

// On phones, CSS displays the rows of these tables as cards. Explicit roles keep the table semantics where the browser derives them from the
// display; in the document they are not valid.
const TABLE_ROLES = { table: "table", thead: "rowgroup", tbody: "rowgroup", tfoot: "rowgroup", tr: "row", "thead th": "columnheader", "th[scope=row]": "rowheader", td: "cell" };

function setTableRoles(root) {
  for (const table of root.querySelectorAll("table.orders, table.lines")) {
    table.setAttribute("role", TABLE_ROLES.table);
    for (const [selector, role] of Object.entries(TABLE_ROLES)) {
      for (const part of table.querySelectorAll(selector)) part.setAttribute("role", role);
    }
  }
}

// Shows the month's value in the chart under the pointer, or of the arrow keys. The table below the chart has the same values.
function addChartValues(figure) {
  const svg = figure.querySelector("svg");
  const rows = [...figure.querySelectorAll("tbody tr")].reverse();
  const starts = [...figure.querySelector("path").getAttribute("d").matchAll(/M(\d+)/g)].map(([, x]) => Number(x));
  const readout = figure.querySelector(".axis span:nth-child(2)");
  const peak = readout.textContent;
  const mark = document.createElementNS(svg.namespaceURI, "path");
  mark.setAttribute("class", "mark");
  svg.prepend(mark);
  let shown = rows.length;

  function show(index) {
    shown = Math.min(Math.max(index, 0), rows.length - 1);
    const [month, orders, total] = [...rows[shown].cells].map((cell) => cell.textContent.trim());
    readout.textContent = `${month}: ${total}, ${orders} ${orders === "1" ? "order" : "orders"}`;
    mark.setAttribute("d", `M${starts[shown] - 1} 0h9v100h-9z`);
  }
  function hide() {
    readout.textContent = peak;
    mark.removeAttribute("d");
  }
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    const distances = starts.map((start) => Math.abs(start + 3.5 - x));
    show(distances.indexOf(Math.min(...distances)));
  });
  svg.addEventListener("pointerleave", hide);
  svg.tabIndex = 0;
  readout.setAttribute("aria-live", "polite");
  svg.addEventListener("focus", () => show(rows.length - 1));
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: shown - 1, ArrowRight: shown + 1, Home: 0, End: rows.length - 1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    show(steps[event.key]);
  });
}

function enhanceResults(root) {
  setTableRoles(root);
  root.querySelectorAll("[data-chart]").forEach(addChartValues);
}

enhanceResults(document);

// Updates the list when its filters change. Without the script the form does the same with a new page.
const SEARCH_AFTER_MS = 250;

function updateOnFilterChange(form) {
  let timer;
  let lastRequest = 0;
  let shownQuery = location.search;
  let requestedUrl = location.href;
  // A search has one history entry, not one a letter: that of the search which made the newest entry is replaced.
  let currentSearch = 1;
  let searchOfEntry = null;
  const status = document.getElementById("results-status");
  const { q: search, from, to, period } = form.elements;

  function filterUrl() {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(form)) {
      const isDate = name === "from" || name === "to";
      // While a year is typed, the field has dates of the years 2, 20 and 202.
      const isIgnored = isDate && (period.value !== "range" || !form.elements[name].validity.valid);
      if (value.trim() && !isIgnored) query.set(name, value);
    }
    if (query.get("period") === "range" && !query.has("from") && !query.has("to")) query.delete("period");
    if (query.get("sort") === "newest") query.delete("sort");
    return query.size ? `${form.action}?${query}` : form.action;
  }

  // A navigation would discard what is being typed, so it waits until the focus leaves the fields.
  function navigate(url) {
    if (!document.activeElement?.matches("input")) {
      location.assign(url);
      return;
    }
    form.addEventListener("focusout", () => setTimeout(() => navigate(url)), { once: true });
  }

  function showFieldErrors(page) {
    document.querySelector("main > .summary")?.remove();
    for (const field of [search, from, to]) {
      const current = page.getElementById(field.id);
      document.getElementById(`${field.id}-error`)?.remove();
      for (const name of ["aria-invalid", "aria-describedby"]) {
        if (current.hasAttribute(name)) field.setAttribute(name, current.getAttribute(name));
        else field.removeAttribute(name);
      }
      const error = page.getElementById(`${field.id}-error`);
      if (error) field.closest(".field").append(document.adoptNode(error));
    }
  }

  async function update(url, ofSearch) {
    lastRequest += 1;
    const request = lastRequest;
    requestedUrl = url;
    const response = await fetch(url, { headers: { accept: "text/html" } }).catch(() => null);
    if (request !== lastRequest) return;
    // 422: part of the filter is invalid; the page has the list for the rest of it.
    const isPage = response && !response.redirected && (response.ok || response.status === 422);
    const page = isPage ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
    const found = page?.getElementById(form.dataset.live);
    const shown = document.getElementById(form.dataset.live);
    if (request !== lastRequest) return;
    if (!found || !shown) {
      // The response is another page, for example the login page.
      navigate(url);
      return;
    }
    shown.replaceWith(document.adoptNode(found));
    enhanceResults(found);
    document.getElementById("filter-notice")?.remove();
    form.querySelector("summary").textContent = page.querySelector("form[data-live] summary").textContent;
    showFieldErrors(page);
    const errors = [...form.querySelectorAll(".error")].map((error) => error.textContent);
    const count = (found.querySelector(".count strong") ?? found.querySelector("h2"))?.textContent ?? "";
    status.textContent = [...errors, count].join(" ");
    readSessionTiming(response);
    const isSameEntry = (ofSearch && ofSearch === searchOfEntry) || url === location.href;
    history[isSameEntry ? "replaceState" : "pushState"](null, "", url);
    searchOfEntry = ofSearch;
    shownQuery = location.search;
    rememberList();
  }

  function updateAfter(delay, ofSearch) {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const url = filterUrl();
      if (url !== requestedUrl) update(url, ofSearch);
    }, delay);
  }

  search.addEventListener("input", () => updateAfter(SEARCH_AFTER_MS, currentSearch));
  search.addEventListener("change", () => {
    updateAfter(0, currentSearch);
    currentSearch += 1;
  });
  form.addEventListener("change", ({ target }) => target !== search && updateAfter(0, null));
  form.addEventListener("focusout", ({ target }) => target.type === "date" && updateAfter(0, null));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    clearTimeout(timer);
    update(filterUrl(), null);
  });
  // The Back button leads to the previous filters. A link within the page changes no filter.
  addEventListener("popstate", () => {
    if (location.search !== shownQuery) reloadPage();
  });
}

// "All orders" on the page of an order leads back to the filter and the page from which the customer came. Logged-out pages delete it, because
// the next customer in this tab may be another one.
const LIST_KEY = "orders";

function withTabStorage(action) {
  try {
    return action(sessionStorage);
  } catch {
    // The browser blocks storage: the link leads to the first page.
    return null;
  }
}

function rememberList() {
  withTabStorage((storage) => storage.setItem(LIST_KEY, location.search));
}

if (!document.body.matches("[data-guarded]")) withTabStorage((storage) => storage.removeItem(LIST_KEY));
document.querySelectorAll("form[data-live]").forEach((form) => {
  rememberList();
  if (document.getElementById(form.dataset.live)) updateOnFilterChange(form);
});
document.querySelectorAll("a[data-list]").forEach((link) => {
  link.search = withTabStorage((storage) => storage.getItem(LIST_KEY)) ?? "";
});
