// The keyboard and the words of times. Every page works without it.
(() => {
  "use strict";
  const all = (selector) => [...document.querySelectorAll(selector)];
  const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

  // Times: how long ago or ahead, in the reader's zone on hover; or in that zone where a sentence, a chart or a table tells them.
  const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });
  const short = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const exact = { ...short, year: "numeric", month: "short", day: "numeric", second: "2-digit", fractionalSecondDigits: 3 };
  const forms = { "": zone, minute: new Intl.DateTimeFormat(undefined, short), millisecond: new Intl.DateTimeFormat(undefined, exact) };
  const named = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });
  const zoneOf = (at) => named.formatToParts(at).find((part) => part.type === "timeZoneName").value;
  const span = (ms) => {
    const s = Math.floor(ms / 1000), d = Math.floor(s / 86400), h = Math.floor(s / 3600) % 24, m = Math.floor(s / 60) % 60;
    if (d >= 10) return `${d} d`;
    if (d > 0) return `${d} d ${h} h`;
    if (h > 0) return `${h} h ${m} min`;
    if (m >= 10) return `${m} min`;
    if (m > 0) return `${m} min ${s % 60} s`;
    return `${s} s`;
  };
  // The server's clock counts, not this machine's.
  const clock = document.querySelector("[data-clock]");
  const ahead = clock ? Date.parse(clock.dateTime) - Date.now() : 0;
  const now = () => Date.now() + ahead;
  const freshen = () => {
    if (document.hidden) return;
    for (const time of all("time[datetime]:not([data-clock])")) {
      const at = Date.parse(time.dateTime), gone = now() - at;
      // What has just happened may lie ahead of a clock that is behind by the page's way.
      const told = () => gone <= -1000 ? `in ${span(-gone)}` : gone < 1000 ? "now" : `${span(gone)} ago`;
      const words = "local" in time.dataset ? forms[time.dataset.local].format(at) : told();
      if (time.textContent !== words) time.textContent = words;
      if (!time.dataset.zoned) {
        time.dataset.zoned = "1";
        time.title = `${zone.format(at)}\n${time.title}`;
      }
    }
    for (const name of all("[data-zone]")) {
      const words = zoneOf(Date.parse(name.dataset.zone));
      if (name.textContent !== words) name.textContent = words;
    }
    // In a drawing times stand in words; its title keeps those in UTC below.
    for (const part of all("[data-tells]:not([data-zoned])")) {
      const words = part.dataset.tells.replace(/\{(\S+?)( zone)?\}/g, (_, text, zoned) => {
        const at = Date.parse(text);
        return forms.millisecond.format(at) + (zoned ? ` ${zoneOf(at)}` : "");
      });
      part.dataset.zoned = "1";
      const title = part.querySelector("title");
      title.textContent = `${words}\n${title.textContent}`;
      part.querySelector(".told").textContent = words;
      if (part.hasAttribute("aria-label")) part.setAttribute("aria-label", words);
    }
    if (clock) {
      const words = `${new Date(now()).toISOString().slice(11, 16)} UTC`;
      if (clock.textContent !== words) clock.textContent = words;
    }
  };
  freshen();
  setInterval(freshen, 1000);

  // Rows: the link of a row is the row; j and k walk over them.
  const rows = () => all("a.row");
  const step = (by) => {
    const links = rows(), at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1)];
    if (next) next.focus();
  };
  const help = document.getElementById("help");
  const places = { o: "/ops", s: "/ops/sagas", a: "/ops/attention", j: "/ops/jobs", d: "/ops/definitions", e: "/ops/errors", m: "/ops/domains", l: "/ops/dead-letters", q: "/ops/quarantine", p: "/ops/processes", u: "/ops/audit" };
  let going = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) {
      if (event.key === "Escape" && typing(event.target)) event.target.blur();
      return;
    }
    if (going) {
      going = false;
      if (places[event.key]) location.href = places[event.key];
      return;
    }
    const acts = {
      "/": () => document.querySelector(".query input")?.select(),
      "?": () => help?.showModal(),
      j: () => step(1),
      k: () => step(-1),
      x: () => document.activeElement.closest?.("tr")?.querySelector(".select input")?.click(),
      g: () => { going = true; setTimeout(() => { going = false; }, 1000); },
    };
    if (acts[event.key]) {
      event.preventDefault();
      acts[event.key]();
    }
  });

  // The selection: the button says how many there are, and does nothing without any.
  const boxes = () => all("input[name=id][form=selection]");
  const every = document.querySelector("[data-select-all]"), button = document.querySelector("[data-selected]");
  const chosen = () => {
    const some = boxes().filter((box) => box.checked).length;
    button.disabled = some === 0;
    button.textContent = some === 0 ? "Act on the selected" : `Act on ${some} selected`;
    if (every) every.checked = some > 0 && some === boxes().length;
  };
  if (button) {
    chosen();
    if (every) every.hidden = false;
    document.addEventListener("change", (event) => {
      if (event.target === every) for (const box of boxes()) box.checked = every.checked;
      chosen();
    });
  }

  // A list never moves under the reader: it says how many sagas are newer.
  const newer = document.querySelector("[data-newer]");
  if (newer) setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(newer.dataset.newer, { headers: { "hx-request": "true" } }).catch(() => null);
    if (answer?.status === 403) location.reload();
    const words = answer?.ok ? await answer.text() : "";
    newer.hidden = words === "";
    if (newer.textContent !== words) newer.textContent = words;
  }, 5000);

  // Ids are copied whole.
  document.addEventListener("click", (event) => {
    const id = event.target.closest("[data-copy]");
    if (id && !id.closest("a")) navigator.clipboard?.writeText(id.dataset.copy).then(() => {
      id.classList.add("copied");
      setTimeout(() => id.classList.remove("copied"), 800);
    }, () => {});
  });

  document.addEventListener("htmx:sse:after:message", freshen);
})();
