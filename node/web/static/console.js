// What the pages do by themselves. Every page also works without it, but for what moves.
"use strict";

/** Puts what a path answers in the place of an element's content, every so many seconds while the page is seen. */
function refresh(element) {
  const again = async () => {
    if (!document.hidden && !element.contains(document.activeElement)) {
      try {
        const answer = await fetch(element.dataset.refresh, { redirect: "manual" });
        if (answer.ok) { element.innerHTML = await answer.text(); }
        else { location.reload(); return; } // the session is over: the page says so
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
  const body = new FormData(form, button), had = document.activeElement === button;
  parts.forEach((each) => each.setAttribute("aria-busy", "true"));
  button.disabled = true;
  try {
    const answer = await fetch(button.getAttribute("formaction") ?? form.action, { method: "POST", body });
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
  form.addEventListener("submit", (event) => { isSent = !event.submitter?.dataset.part; });
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
document.querySelectorAll("[data-editor]").forEach(edit);
document.querySelectorAll("[data-drop]").forEach(drop);
document.querySelectorAll("[data-refresh]").forEach(refresh);
document.addEventListener("submit", ask);
