// The command palette: pages, acts, ids and the theme by a few letters. It finds what stands on the page as links and
// buttons anyway, and clicks on it.
(() => {
  "use strict";
  const palette = document.getElementById("palette");
  if (!palette) return;
  const input = palette.querySelector("input"), list = palette.querySelector("ul");
  const places = ".rail a:not(.brand), .acts a.button, .others .menu a, .tabs a, .views a, main .head a.button, .bar form button";
  let found = [], at = 0;

  const words = (element) => element.textContent.trim().replace(/\s+/g, " ");
  const commands = () => [...document.querySelectorAll(places)].map((element) => ({ words: words(element), run: () => element.click() }));
  const search = (text) => ({
    words: `Find ${text}`,
    run: () => { location.href = text.startsWith("job_") ? `/ops/jobs/${encodeURIComponent(text)}` : `/ops/sagas?q=${encodeURIComponent(text)}`; },
  });
  const mark = () => {
    [...list.children].forEach((option, index) => option.setAttribute("aria-selected", String(index === at)));
    input.setAttribute("aria-activedescendant", found.length ? `palette-${at}` : "");
    list.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const draw = () => {
    const text = input.value.trim(), asked = text.toLowerCase().split(/\s+/);
    found = commands().filter((command) => asked.every((word) => command.words.toLowerCase().includes(word)));
    if (text) found.push(search(text));
    at = 0;
    list.replaceChildren(...found.map((command, index) => {
      const option = document.createElement("li");
      option.id = `palette-${index}`;
      option.setAttribute("role", "option");
      option.textContent = command.words;
      option.addEventListener("click", () => run(index));
      return option;
    }));
    mark();
  };
  const run = (index) => {
    palette.close();
    found[index]?.run();
  };
  input.addEventListener("input", draw);
  input.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by && found.length) {
      at = (at + by + found.length) % found.length;
      mark();
    } else if (event.key === "Enter") run(at);
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const free = !event.target.closest("input, textarea, select");
    const asked = (event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === ":" && free);
    if (!asked || palette.open) return;
    event.preventDefault();
    input.value = "";
    draw();
    palette.showModal();
  });
})();
