// The live stream of a page: whether it is in step, what has changed, and nothing that moves under the pointer.
(() => {
  "use strict";
  const state = document.getElementById("live-state");
  const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
  let lostAt = null;
  const tell = (words, lost) => {
    if (!state) return;
    state.hidden = false;
    if (state.textContent !== words) state.textContent = words;
    state.classList.toggle("lost", lost);
  };
  const lost = () => {
    lostAt ??= Date.now();
    tell(`not in step since ${clock.format(lostAt)}; trying again`, true);
  };
  document.addEventListener("htmx:sse:after:connection", () => {
    lostAt = null;
    tell("live", false);
    if (state) state.title = `In step since ${clock.format(Date.now())}`;
  });
  document.addEventListener("htmx:sse:before:connection", (event) => {
    if (event.detail?.connection?.attempt > 0 && !document.hidden) lost();
  });
  document.addEventListener("htmx:sse:error", (event) => {
    // The session is over: the page that is loaded now asks for a login.
    if (event.detail?.status === 403) location.reload();
    else lost();
  });
  document.addEventListener("htmx:sse:close", (event) => {
    if (event.detail?.reason === "message") tell("ended", false);
  });

  // A row is known by its section and its address, a number by its address alone.
  const parts = (root) => new Map([...root.querySelectorAll("a.row, a.count")].map((link) => {
    const section = link.closest("section")?.getAttribute("aria-labelledby") ?? "";
    return [`${section} ${link.getAttribute("href")}`, link.closest("tr") ?? link];
  }));
  const words = (element) => {
    const copy = element.cloneNode(true);
    for (const time of copy.querySelectorAll("time")) time.remove();
    return copy.textContent;
  };
  let before = new Map();
  let open = [];
  const remember = (root) => {
    before = new Map([...parts(root)].map(([key, element]) => [key, words(element)]));
    open = [...root.querySelectorAll("details[open][id]")].map((details) => details.id);
  };
  const mark = (root) => {
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    for (const [key, element] of parts(root)) {
      if (before.get(key) === words(element)) continue;
      element.classList.add("changed");
      setTimeout(() => element.classList.remove("changed"), 2000);
    }
  };

  // A change waits while the pointer is over rows, behind a button that says how many are new.
  const mouse = matchMedia("(hover: hover)");
  const pointed = (root) => mouse.matches && root.querySelector(".rows tbody:hover") !== null;
  const free = (root, html) => new Promise((resolve) => {
    if (!pointed(root)) return resolve();
    const rows = (of) => new Set([...of.querySelectorAll("a.row")].map((link) => link.getAttribute("href")));
    const known = rows(root);
    const fresh = [...rows(new DOMParser().parseFromString(html, "text/html"))].filter((address) => !known.has(address));
    const button = document.createElement("button");
    button.type = "button";
    button.className = "waiting-change";
    button.textContent = fresh.length > 0 ? `${fresh.length} new, show` : "Changed, show";
    // A click that is on its way to the button meets nothing else in its place.
    const done = () => {
      button.disabled = true;
      button.textContent = "Shown";
      setTimeout(() => button.remove(), 600);
      root.removeEventListener("pointerout", left);
      resolve();
    };
    const left = () => setTimeout(() => { if (!pointed(root)) done(); }, 0);
    button.addEventListener("click", done);
    root.addEventListener("pointerout", left);
    document.querySelector(".waiting-change")?.remove();
    document.body.append(button);
  });
  const marked = (event) => event.target.closest?.("[data-marks]");
  document.addEventListener("htmx:sse:before:message", (event) => {
    const root = marked(event);
    if (root) event.detail.waitUntil(free(root, event.detail.message.data).then(() => remember(root)));
  });
  document.addEventListener("htmx:sse:after:message", (event) => {
    const root = marked(event);
    if (root) mark(root);
  });
})();
