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

document.querySelectorAll("[data-refresh]").forEach(refresh);
document.addEventListener("submit", ask);

// ---- images

/** Puts what a path answers in the place of an element's content, once. */
async function load(element) {
  try {
    const answer = await fetch(element.dataset.load, { redirect: "manual" });
    if (answer.ok) { element.innerHTML = await answer.text(); }
    else { element.textContent = "The masks cannot be read now. Load the page again."; }
  } catch { element.textContent = "The node does not answer. Load the page again."; }
}

/** Says why a picture cannot be shown, in its place. */
async function why(event) {
  const image = event.target;
  if (!image.dataset?.why) { return; }
  const place = document.querySelector("#why");
  let words = "the node does not answer";
  try { words = (await (await fetch(image.dataset.why)).json()).error; } catch { /* the words stand */ }
  place.textContent = `The radiograph cannot be shown: ${words}.`;
  place.hidden = false;
  image.closest(".stack").hidden = true;
}

/** Shows or hides the mask or the line of a checkbox; a mask is fetched when it is first shown. */
function turn(box) {
  if (box.dataset.line) { document.querySelector(box.dataset.line).classList.toggle("off", !box.checked); }
  if (!box.dataset.mask) { return; }
  box.image ??= document.querySelector(`#masks img[src="${box.dataset.mask}"]`);
  if (box.checked && !box.image) {
    box.image = new Image();
    box.image.alt = "";
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
document.addEventListener("click", (event) => { if (event.target.dataset?.switch) { turnAll(event.target); } });
document.addEventListener("input", (event) => {
  if (event.target.dataset.filter) { filter(event.target); }
  if (event.target.dataset.opacity) { document.querySelector(event.target.dataset.opacity).style.opacity = event.target.value / 100; }
});
document.addEventListener("error", why, true); // of pictures, on its way down: it does not bubble
document.querySelectorAll("img[data-why]").forEach((image) => { if (image.complete && !image.naturalWidth) { why({ target: image }); } });
document.querySelectorAll("[data-load]").forEach(load);
