// Passkeys (WebAuthn): login by button and autofill, adding, reauthentication, and reports to password managers.
"use strict";

// A challenge is valid for five minutes.
const REFRESH_MS = 240_000;
// The fields that a passkey replaces.
const REPLACED = ["password", "current_password", "code"];
const WORDS = {
  AbortError: "No passkey was used. Try again, or use your password.",
  NotAllowedError: "No passkey was used. Try again, or use your password.",
  InvalidStateError: "A passkey for your account is already saved there.",
  NotSupportedError: "This device cannot save a passkey.",
  ConstraintError: "This device cannot save a passkey. Set up a screen lock first.",
  SecurityError: "Passkeys do not work at this address.",
};

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (byte) => byte.charCodeAt(0));
const toText = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// An answer of the server that says why it refuses.
class Refusal extends Error {}

async function post(path, body) {
  const headers = typeof body === "string" ? { "content-type": "application/json" } : {};
  const response = await fetch(path, { method: "POST", headers, body }).catch(() => {
    throw new Refusal("The site could not be reached. Try again.");
  });
  if (response.redirected) {
    // The session has ended.
    location.assign(response.url);
    return new Promise(() => {});
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) {
    throw Object.assign(new Refusal(answer.error ?? "That did not work. Try again in a moment."), answer);
  }
  return answer;
}

// The options with bytes in place of text.
function decode(options) {
  const ids = (list) => list?.map((entry) => ({ ...entry, id: toBytes(entry.id) }));
  const decoded = { ...options, challenge: toBytes(options.challenge) };
  if (options.user) decoded.user = { ...options.user, id: toBytes(options.user.id) };
  if (options.allowCredentials) decoded.allowCredentials = ids(options.allowCredentials);
  if (options.excludeCredentials) decoded.excludeCredentials = ids(options.excludeCredentials);
  return decoded;
}

// The browser's answer with text in place of bytes.
function encode(credential) {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = toText(credential.response[name]);
  }
  const id = toText(credential.rawId);
  return { id, rawId: id, type: credential.type, response, clientExtensionResults: credential.getClientExtensionResults() };
}

// Asks for an assertion; returns what the server verifies.
async function assertion(start, options) {
  const { publicKey, state } = await post(start);
  const credential = await navigator.credentials.get({ publicKey: decode(publicKey), ...options });
  return { state, credential: encode(credential) };
}

// Runs the action of a button, and shows beside it why it failed.
function onUse(box, element, event, action) {
  const error = box.querySelector(".error");
  let isRunning = false;
  const show = (text) => {
    error.textContent = text;
    error.hidden = !text;
  };
  element.addEventListener(event, async (used) => {
    used.preventDefault();
    if (isRunning) return;
    isRunning = true;
    show("");
    await action().catch((failure) => show(failure instanceof Refusal ? failure.message : WORDS[failure.name] ?? WORDS.NotAllowedError));
    isRunning = false;
  });
  box.hidden = false;
  return show;
}

function enableLogin(box) {
  const form = document.querySelector("form[action='/login']");
  let autofill = null;

  async function logIn(options) {
    const answer = await assertion("/login/passkey/start", options);
    const { remember, next, zone } = form.elements;
    const body = { ...answer, remember: remember.checked, next: next?.value ?? "", zone: zone.value };
    try {
      location.assign((await post("/login/passkey/finish", JSON.stringify(body))).next);
    } catch (failure) {
      // A removed passkey: the browser offers it no longer.
      if (failure.unknown) {
        await PublicKeyCredential.signalUnknownCredential?.({ rpId: failure.unknown, credentialId: answer.credential.id }).catch(() => {});
      }
      throw failure;
    }
  }

  // Offers passkeys in the autofill of the address, until one is used.
  async function offerInAutofill() {
    autofill?.abort();
    const current = (autofill = new AbortController());
    if (document.hidden) {
      document.addEventListener("visibilitychange", offerInAutofill, { once: true, signal: current.signal });
      return;
    }
    const refresh = setTimeout(offerInAutofill, REFRESH_MS);
    try {
      await logIn({ mediation: "conditional", signal: current.signal });
    } catch (failure) {
      if (!(failure instanceof Refusal) || current.signal.aborted) return;
      show(failure.message);
      if (failure.unknown) offerInAutofill();
    } finally {
      clearTimeout(refresh);
    }
  }

  const show = onUse(box, box.querySelector("button"), "click", async () => {
    // A browser has one request at a time.
    const wasOffered = autofill;
    autofill?.abort();
    await logIn({}).catch((failure) => {
      if (wasOffered) offerInAutofill();
      throw failure;
    });
  });
  PublicKeyCredential.isConditionalMediationAvailable?.().then((isAvailable) => {
    if (!isAvailable) return;
    offerInAutofill();
    addEventListener("pageshow", (event) => event.persisted && offerInAutofill());
  });
}

// A form of a sensitive change takes an assertion in place of the password.
function enableReauthentication(box) {
  const button = box.querySelector("button");
  const { form } = button;
  onUse(box, button, "click", async () => {
    const missing = [...form.elements].find(({ name, required, value }) => required && !value && !REPLACED.includes(name));
    if (missing) {
      missing.focus();
      throw new Refusal("Fill in the other fields first.");
    }
    form.elements.passkey.value = JSON.stringify(await assertion("/account/passkeys/reauthenticate"));
    form.requestSubmit();
  });
  // An assertion is valid once: after Back the form would send the used one.
  addEventListener("pageshow", () => (form.elements.passkey.value = ""));
}

function enableRegistration(box) {
  const form = box.querySelector("form");
  onUse(box, form, "submit", async () => {
    const fields = new URLSearchParams(new FormData(form));
    // An assertion is valid once.
    if (form.elements.passkey) form.elements.passkey.value = "";
    const { publicKey, state } = await post("/account/passkeys/start", fields);
    const created = await navigator.credentials.create({ publicKey: decode(publicKey) });
    const data = created.response.getAuthenticatorData?.();
    const answer = { state, credential: encode(created), authenticator_data: data ? toText(data) : null };
    location.assign((await post("/account/passkeys/finish", JSON.stringify(answer))).next);
  });
}

// Password managers remove passkeys that the account no longer has, and show its current address.
function reportPasskeys(list) {
  const { rpId, userId, name, allAcceptedCredentialIds } = JSON.parse(list.dataset.passkeySignal);
  PublicKeyCredential.signalAllAcceptedCredentials?.({ rpId, userId, allAcceptedCredentialIds }).catch(() => {});
  PublicKeyCredential.signalCurrentUserDetails?.({ rpId, userId, name, displayName: name }).catch(() => {});
}

if (window.PublicKeyCredential && navigator.credentials) {
  const each = (selector, enable) => document.querySelectorAll(selector).forEach(enable);
  each("[data-passkey=login]", enableLogin);
  each("[data-passkey=reauthenticate]", enableReauthentication);
  each("[data-passkey=register]", enableRegistration);
  each("[data-passkey-signal]", reportPasskeys);
} else {
  document.querySelectorAll("[data-passkey=unsupported]").forEach((text) => {
    text.hidden = false;
  });
}
