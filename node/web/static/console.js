// What the pages do by themselves. Every page also works without it, but for what moves.
"use strict";

const OVER = "Your session is over. Log in in another tab and try again; what you typed stays here.";

/** Lets a form go on in the session that began in another tab; without one all stays as it is. */
async function renew(form) {
  const answer = await fetch("/", { redirect: "manual" });
  if (!answer.ok) { return; }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  form.elements.csrf.value = page.querySelector('meta[name="csrf"]').content;
  delete form.dataset.over;
}

/** Puts what a path answers in the place of an element's content, every so many seconds while the page is seen. */
function refresh(element) {
  let shown = "";
  const again = async () => {
    if (!document.hidden && !element.contains(document.activeElement)) {
      try {
        const answer = await fetch(element.dataset.refresh, { redirect: "manual", headers: { "X-Refresh": "1" } });
        const form = document.querySelector("[data-editor]");
        if (!answer.ok && !form) { location.reload(); return; } // the session is over: the page says so
        if (!answer.ok) { form.dataset.over = "yes"; }
        else if (form?.dataset.over) { await renew(form); }
        const found = answer.ok ? await answer.text() : OVER;
        if (found !== shown) { element.innerHTML = shown = found; } // what is the same is not read out again
        element.classList.remove("stale");
      } catch { element.classList.add("stale"); } // the node is away: what is shown stays, and is grey
    }
    setTimeout(again, Number(element.dataset.every) * 1000);
  };
  setTimeout(again, Number(element.dataset.every) * 1000);
}

/** Asks before a form with data-ask is sent. */
function ask(event) {
  const words = event.submitter?.dataset.ask ?? event.target.dataset.ask;
  if (words && !confirm(words)) { event.preventDefault(); }
}

/** Sends a form as one of its buttons would, and puts the parts of the page that it names in the place of ours. */
async function part(form, button) {
  const parts = button.dataset.part.split(" ").map((id) => document.getElementById(id));
  const had = document.activeElement === button;
  parts.forEach((each) => each.setAttribute("aria-busy", "true"));
  button.disabled = true;
  try {
    if (form.dataset.over) { await renew(form); }
    button.disabled = false; // else what it says is not sent
    const body = new FormData(form, button);
    button.disabled = true;
    const answer = await fetch(button.getAttribute("formaction") ?? form.action, { method: "POST", body, redirect: "manual" });
    if (answer.type === "opaqueredirect" || answer.status === 401) {
      form.dataset.over = "yes";
      parts[0].textContent = OVER;
      return;
    }
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    const isOurs = parts.every((each) => found.getElementById(each.id));
    parts.forEach((each, at) => {
      const there = isOurs ? found.getElementById(each.id) : at === 0 && found.querySelector("main");
      each.replaceChildren(...(there ? there.childNodes : []));
    });
  } catch {
    parts[0].textContent = "The node does not answer. Try again.";
  } finally {
    parts.forEach((each) => each.removeAttribute("aria-busy"));
    button.disabled = false;
    if (had) { button.focus(); }
  }
}

/** Numbers the lines of the text in an editor, marks the one that is wrong, and checks while somebody types. */
function edit(form) {
  const text = form.elements.text, numbers = document.createElement("pre");
  const check = form.querySelector("[data-part]");
  let timer = 0, asked = 0;
  const show = (line) => {
    const from = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
    const to = text.value.indexOf("\n", from);
    text.focus();
    text.setSelectionRange(from, to < 0 ? text.value.length : to);
    text.scrollTop = (line - 1) * (text.scrollHeight / numbers.childElementCount) - text.clientHeight / 2;
  };
  const number = () => {
    const problem = form.querySelector("[data-line]"), wrong = Number(problem?.dataset.line ?? 0);
    if (wrong && !problem.querySelector("button")) {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "plain", textContent: `Show line ${wrong}` });
      button.addEventListener("click", () => show(wrong));
      problem.append(" ", button);
    }
    const lines = text.value.split("\n").map((_, at) => {
      const each = document.createElement(at + 1 === wrong ? "b" : "span");
      each.textContent = `${at + 1}\n`;
      return each;
    });
    numbers.replaceChildren(...lines);
    numbers.scrollTop = text.scrollTop;
  };
  const look = async () => {
    const mine = ++asked;
    await part(form, check);
    if (mine === asked) { number(); }
  };
  numbers.className = "numbers";
  numbers.setAttribute("aria-hidden", "true");
  text.before(numbers);
  const fit = () => { numbers.style.height = `${text.offsetHeight}px`; };
  new ResizeObserver(fit).observe(text);
  text.addEventListener("scroll", () => { numbers.scrollTop = text.scrollTop; });
  text.addEventListener("input", () => { number(); clearTimeout(timer); timer = setTimeout(look, 600); });
  form.addEventListener("parted", number);
  let isSent = false;
  form.addEventListener("submit", (event) => {
    if (event.submitter?.dataset.part) { return; }
    if (form.dataset.over) { event.preventDefault(); document.getElementById("outcome").textContent = OVER; }
    isSent = !event.defaultPrevented;
  });
  window.addEventListener("beforeunload", (event) => {
    if (!isSent && text.value !== text.defaultValue) { event.preventDefault(); } // what was typed is not lost
  });
  number();
}

/** Lets a file be dropped on a form, and sends it. */
function drop(form) {
  const zone = form.querySelector(".drop"), input = form.querySelector("input[type=file]");
  const over = (event) => { event.preventDefault(); zone.classList.toggle("over", event.type === "dragover"); };
  zone.addEventListener("dragover", over);
  zone.addEventListener("dragleave", over);
  zone.addEventListener("drop", (event) => {
    over(event);
    if (event.dataTransfer.files.length) { input.files = event.dataTransfer.files; form.requestSubmit(); }
  });
}

document.addEventListener("submit", async (event) => {
  const button = event.submitter;
  if (!button?.dataset.part) { return; }
  event.preventDefault();
  await part(event.target, button);
  event.target.dispatchEvent(new Event("parted"));
});
document.addEventListener("submit", ask, true); // before the editor hears of it
document.querySelectorAll("[data-editor]").forEach(edit);
document.querySelectorAll("[data-drop]").forEach(drop);
document.querySelectorAll("[data-refresh]").forEach(refresh);

// ---- images

/** Puts what a path answers in the place of an element's content, once. */
async function load(element) {
  try {
    const answer = await fetch(element.dataset.load, { redirect: "manual" });
    if (answer.ok) { element.innerHTML = await answer.text(); }
    else { element.textContent = "The masks cannot be read now. Load the page again."; }
  } catch { element.textContent = "The node does not answer. Load the page again."; }
}

/** Says why a picture cannot be shown: in the place of the radiograph, below it for a mask. */
async function why(event) {
  const image = event.target;
  if (!image.dataset?.why) { return; }
  const place = document.querySelector("#why"), isMask = Boolean(image.closest("#masks"));
  let words = "the node does not answer";
  try { words = (await (await fetch(image.dataset.why)).json()).error; } catch { /* the words stand */ }
  place.textContent = `The ${isMask ? "mask" : "radiograph"} cannot be shown: ${words}.`;
  place.hidden = false;
  if (!isMask) { image.closest(".stack").hidden = true; }
}

/** Shows or hides the mask or the line of a checkbox; a mask is fetched when it is first shown. */
function turn(box) {
  if (box.dataset.line) { document.querySelector(box.dataset.line).classList.toggle("off", !box.checked); }
  if (!box.dataset.mask) { return; }
  box.image ??= document.querySelector(`#masks img[src="${box.dataset.mask}"]`);
  if (box.checked && !box.image) {
    box.image = new Image();
    box.image.alt = "";
    box.image.dataset.why = `/api/v1${box.dataset.mask}`;
    box.image.addEventListener("error", () => { box.checked = false; box.image.remove(); box.image = null; });
    box.image.src = box.dataset.mask;
    document.querySelector("#masks").append(box.image);
  }
  box.image?.classList.toggle("off", !box.checked);
}

/** Switches every checkbox in a place that is not filtered out. */
function turnAll(button) {
  for (const box of document.querySelectorAll(`${button.dataset.switch} input[type="checkbox"]`)) {
    if (!box.closest("li").hidden) { box.checked = button.dataset.to === "on"; turn(box); }
  }
}

/** Lets the line stand out whose entry in the list is pointed at or has the focus. */
function near(event) {
  const entry = event.target.closest?.("#measured li");
  const line = entry?.querySelector("[data-line]").dataset.line;
  document.querySelectorAll(".near").forEach((each) => each.classList.remove("near"));
  if (line) { [entry, document.querySelector(line)].forEach((each) => each.classList.add("near")); }
}

/** Leaves only what has every word that was typed, and opens the groups that it lies in. */
function filter(input) {
  const words = input.value.toLowerCase().split(/\s+/);
  for (const group of document.querySelectorAll(`${input.dataset.filter} [data-group]`)) {
    const items = [...group.querySelectorAll("[data-words]")];
    for (const item of items) { item.hidden = !words.every((word) => item.dataset.words.includes(word)); }
    group.hidden = items.every((item) => item.hidden);
    if (input.value) { group.open = true; }
  }
}

document.addEventListener("change", (event) => { if (event.target.matches("[data-mask], [data-line]")) { turn(event.target); } });
document.addEventListener("mouseover", near);
document.addEventListener("focusin", near);
document.addEventListener("click", (event) => { if (event.target.dataset?.switch) { turnAll(event.target); } });
document.addEventListener("input", (event) => {
  if (event.target.dataset.filter) { filter(event.target); }
  if (event.target.dataset.opacity) { document.querySelector(event.target.dataset.opacity).style.opacity = event.target.value / 100; }
});
document.addEventListener("error", why, true); // of pictures, on its way down: it does not bubble
document.querySelectorAll("img[data-why]").forEach((image) => { if (image.complete && !image.naturalWidth) { why({ target: image }); } });
document.querySelectorAll("[data-load]").forEach(load);
