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

/** Sends a form as one of its buttons would, and puts the part of the page with that id in the place of ours. */
async function part(form, button) {
  const here = document.getElementById(button.dataset.part);
  const body = new FormData(form, button), had = document.activeElement === button;
  here.setAttribute("aria-busy", "true");
  button.disabled = true;
  try {
    const answer = await fetch(button.getAttribute("formaction") ?? form.action, { method: "POST", body });
    const found = new DOMParser().parseFromString(await answer.text(), "text/html");
    const there = found.getElementById(button.dataset.part) ?? found.querySelector("main");
    here.replaceChildren(...there.childNodes);
  } catch {
    here.textContent = "The node does not answer. Try again.";
  } finally {
    here.removeAttribute("aria-busy");
    button.disabled = false;
    if (had) { button.focus(); }
  }
  return here;
}

/** Numbers the lines of the text in an editor, marks the one that is wrong, and checks while somebody types. */
function edit(form) {
  const text = form.elements.text, numbers = document.createElement("pre");
  const check = form.querySelector("[data-part]:not([formaction])");
  let timer = 0, asked = 0;
  const number = () => {
    const wrong = Number(form.querySelector("[data-line]")?.dataset.line ?? 0);
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
  const form = event.target, here = await part(form, button);
  form.dispatchEvent(new Event("parted"));
  if (!here.closest("form")) { here.focus(); }
});
document.querySelectorAll("[data-editor]").forEach(edit);
document.querySelectorAll("[data-drop]").forEach(drop);
document.querySelectorAll("[data-refresh]").forEach(refresh);
document.addEventListener("submit", ask);
