// Keys for what the page's links do: "/" to the filter, "g" and a letter to a section, "j" and "k" along rows, "?" for the list.
// Never while something is being typed.
const typing = (target) => target.closest("input, textarea, select, [contenteditable]");
const places = new Map();
for (const link of document.querySelectorAll("a[data-go]")) places.set(link.dataset.go, link);
const opener = document.querySelector("[data-shortcuts]");
let waiting = false, panel = null;

function show() {
  if (panel) { panel.remove(); panel = null; opener.focus(); return; }
  panel = document.createElement("section");
  panel.className = "keys panel";
  panel.tabIndex = -1;
  panel.setAttribute("aria-label", "Keyboard shortcuts");
  const list = document.createElement("dl");
  list.className = "facts";
  const add = (keys, what) => {
    const term = document.createElement("dt"), sense = document.createElement("dd");
    for (const key of keys) {
      const shown = document.createElement("kbd");
      shown.textContent = key;
      term.append(shown, " ");
    }
    sense.textContent = what;
    list.append(term, sense);
  };
  add(["/"], "to the filter");
  for (const [key, link] of places) add(["g", key], link.textContent.trim());
  add(["j"], "next row");
  add(["k"], "row before");
  add(["?"], "this list; Escape closes it");
  panel.append(list);
  document.body.append(panel);
  panel.focus();
}

function along(step) {
  const rows = [...document.querySelectorAll("tbody tr a:first-of-type")].filter((link) => link === link.closest("tr").querySelector("a"));
  const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
  rows[at < 0 ? 0 : Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
}

if (opener) {
  opener.hidden = false;
  opener.addEventListener("click", show);
}
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && panel) return show();
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (waiting) {
    waiting = false;
    places.get(event.key)?.click();
  } else if (event.key === "g") waiting = true;
  else if (event.key === "?" && opener) show();
  else if (event.key === "j") along(1);
  else if (event.key === "k") along(-1);
  else if (event.key === "/") {
    const filter = document.querySelector("[type=search]");
    if (filter) { event.preventDefault(); filter.focus(); }
  }
});
