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
