// SPDX-License-Identifier: GPL-2.0-only
// The page works without this script; it adds filters and shortcuts, and opens a link's target.
"use strict";
(() => {
  const all = (selector, top = document) => [...top.querySelectorAll(selector)];
  const said = document.getElementById("said");
  const filter = document.getElementById("filter");
  const words = document.getElementById("words");
  const failures = all("details.failure");
  const own = all("#own > details.failure");

  // Links: open the element that a link leads to, and everything that contains it.
  const reveal = (focus) => {
    const id = decodeURIComponent(location.hash.slice(1));
    const found = id && document.getElementById(id);
    if (!found) return;
    for (let at = found; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
      if (at.hidden) at.hidden = false;
    }
    found.scrollIntoView();
    requestAnimationFrame(() => found.scrollIntoView()); // the elements above have their final height now
    if (focus) (found.querySelector("summary") || found).focus({ preventScroll: true });
  };
  addEventListener("hashchange", () => reveal(true));

  // Filters: any of the selected outcomes, and all of the words.
  const groups = all("details.group").map((group) => ({
    group,
    file: group.querySelector("summary b").textContent.toLowerCase(),
    open: group.open,
    rows: all("tbody tr", group).map((row) => ({
      row, outcome: row.dataset.o, change: row.dataset.c,
      text: row.firstElementChild.textContent.toLowerCase(),
    })),
  }));
  const total = groups.reduce((sum, one) => sum + one.rows.length, 0);

  const apply = () => {
    const outcomes = new Set(all("[data-outcome][aria-pressed=true]", filter).map((b) => b.dataset.outcome));
    const changed = filter.querySelector("[data-changed][aria-pressed=true]") !== null;
    const parts = words.value.toLowerCase().split(/\s+/).filter(Boolean);
    const asked = outcomes.size > 0 || changed || parts.length > 0;
    const fits = (outcome, change, text) =>
      (!outcomes.size || outcomes.has(outcome)) && (!changed || Boolean(change)) &&
      parts.every((part) => text.includes(part));
    let shown = 0;
    for (const one of groups) {
      let here = 0;
      for (const { row, outcome, change, text } of one.rows) {
        row.hidden = asked && !fits(outcome, change, `${one.file} ${text}`);
        here += !row.hidden;
      }
      one.group.hidden = asked && !here;
      one.group.open = asked ? here > 0 && shown < 500 : one.open;
      shown += here;
    }
    for (const one of failures) {
      one.hidden = asked && !fits(one.dataset.o, one.dataset.c, one.dataset.t);
    }
    document.getElementById("count").textContent = asked ? `${shown} of ${total} tests` : `${total} tests`;
  };

  if (filter) {
    filter.hidden = false;
    let soon = 0;
    words.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(apply, 120); });
    filter.addEventListener("submit", (event) => event.preventDefault());
    filter.addEventListener("click", (event) => {
      const button = event.target.closest("[aria-pressed]");
      if (!button) return;
      button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
      apply();
    });
    filter.addEventListener("reset", () => {
      for (const one of all("[aria-pressed]", filter)) one.setAttribute("aria-pressed", "false");
      setTimeout(apply);
    });
    apply();
  }

  // Keys.
  const step = (by) => {
    const there = own.filter((one) => !one.hidden);
    if (!there.length) return;
    const at = there.findIndex((one) => one.contains(document.activeElement));
    const next = there[at < 0 ? (by > 0 ? 0 : there.length - 1) : Math.min(Math.max(at + by, 0), there.length - 1)];
    next.querySelector("summary").focus({ preventScroll: true });
    next.scrollIntoView();
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const typing = event.target.closest("input, textarea");
    if (event.key === "Escape" && filter) { filter.reset(); if (typing) typing.blur(); return; }
    if (typing) return;
    if (event.key === "/" && filter) { event.preventDefault(); words.focus(); words.scrollIntoView({ block: "center" }); }
    if (event.key === "j") step(1);
    if (event.key === "k") step(-1);
    if (event.key === "o") {
      const one = document.activeElement.closest("details.failure");
      if (one) one.open = !one.open;
    }
  });

  // Copying a command.
  addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    const text = all("code", button.parentElement).map((one) => one.textContent.trim()).join("\n");
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = said.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(button.parentElement.querySelector("code"));
      button.textContent = said.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  // Open the failures before printing.
  addEventListener("beforeprint", () => { for (const one of own.slice(0, 50)) one.open = true; });
  reveal(false);
})();
