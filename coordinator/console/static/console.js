// Keys, and moments in the time of this browser. Every page works without this.
(() => {
  "use strict";
  const typed = new WeakSet();
  const folded = new Map();
  const localise = (root) => {
    for (const one of root.querySelectorAll("time[datetime]")) {
      const at = new Date(one.dateTime);
      if (Number.isNaN(at.getTime()) || one.title) continue;
      one.title = one.textContent;
      const today = at.toDateString() === new Date().toDateString();
      const day = `${at.getFullYear()}-${String(at.getMonth() + 1).padStart(2, "0")}-${String(at.getDate()).padStart(2, "0")} `;
      one.textContent = (today ? "" : day) + at.toTimeString().slice(0, 8);
    }
  };
  const rows = () => [...document.querySelectorAll("table.rows tbody tr")].filter((row) => row.querySelector("a[href]"));
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    const now = all.findIndex((row) => row.contains(document.activeElement));
    const next = all[Math.min(Math.max(now + by, 0), all.length - 1)];
    next.querySelector("a[href]").focus();
    next.scrollIntoView({ block: "nearest" });
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && typing) return typing.blur();
    if (typing) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else {
      const there = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
      if (!there) return;
      // a key leads somewhere; what it would change is asked for first: the button has to be pressed
      const changes = there.matches("button") && there.form?.method === "post";
      if (changes || there.matches("input, textarea, select")) there.focus();
      else there.click();
    }
    event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    // a part of a page in which somebody fills in a form stays as it is
    if (!event.detail.target?.closest?.(".live")) return;
    for (const one of event.detail.target.querySelectorAll("input, textarea, select"))
      if (one === document.activeElement || (typed.has(one) && one.value !== one.defaultValue)) event.detail.shouldSwap = false;
  });
  document.addEventListener("input", (event) => typed.add(event.target));
  document.addEventListener("htmx:load", (event) => localise(event.detail.elt));
  document.addEventListener("htmx:afterSwap", () => {
    localise(document);
    for (const [id, open] of folded) document.getElementById(id)?.toggleAttribute("open", open); // as somebody left it
  });
  document.addEventListener("click", (event) => {
    const there = event.target.closest?.("details[id] > summary")?.parentElement;
    if (there) folded.set(there.id, !there.open);
  });
  document.addEventListener("change", (event) => {
    // one box that ticks all of its form
    const all = event.target.closest?.("input[data-all]");
    if (!all) return;
    for (const one of all.form?.elements ?? []) if (one.name === all.dataset.all) one.checked = all.checked;
  });
  localise(document);
})();
