// The gallery: shows the cards that the form asks for, in the order that it asks for. What the form
// says stands in the address, so that a link can lead to a family.
(() => {
  const form = document.getElementById("filters");
  const list = document.getElementById("cards");
  if (!form || !list) return;
  const cards = [...list.children];
  const numbers = new Set(["parameters", "multiplications"]);

  function matches(card, wanted) {
    const data = card.dataset;
    const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
    return words.every((word) => data.text.includes(word))
      && ["family", "contract", "role"].every((key) => !wanted[key] || data[key] === wanted[key])
      && ["exact", "weights", "exportable"].every((key) => !wanted[key] || data[key] === "1");
  }

  function before(key) {
    const names = (a, b) => a.dataset.name.localeCompare(b.dataset.name);
    if (key === "year") return (a, b) => (+b.dataset.year || 0) - (+a.dataset.year || 0) || names(a, b);
    if (!numbers.has(key)) return names;
    const value = (card) => card.dataset[key] === "" ? Infinity : +card.dataset[key];
    return (a, b) => (value(a) === value(b) ? names(a, b) : value(a) - value(b));
  }

  function show() {
    const wanted = { text: "", ...Object.fromEntries(new FormData(form)) };
    const shown = cards.filter((card) => matches(card, wanted));
    cards.forEach((card) => { card.hidden = true; });
    shown.forEach((card) => { card.hidden = false; });
    list.append(...[...cards].sort(before(wanted.sort)));
    form.elements.count.value = shown.length === 1 ? "1 mechanism" : `${shown.length} mechanisms`;
    const kept = Object.entries(wanted).filter(([k, v]) => v && !(k === "sort" && v === "name"));
    const query = new URLSearchParams(kept).toString();
    history.replaceState(null, "", query ? `?${query}` : location.pathname);
  }

  for (const [key, value] of new URLSearchParams(location.search)) {
    const field = form.elements[key];
    if (!field || key === "count") continue;
    if (field.type === "checkbox") field.checked = true; else field.value = value;
  }
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
})();
