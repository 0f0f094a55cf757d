// What the theme leaves out for those who use a keyboard or a screen reader: what scrolls can be
// reached, and the search has a name.
(() => {
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  const inner = (box) => box.scrollWidth > box.clientWidth + 1 && !box.hasAttribute("tabindex");
  const reach = () => {
    for (const box of document.querySelectorAll("pre > code, .md-typeset__scrollwrap, .equations"))
      if (inner(box)) box.tabIndex = 0;
  };
  reach();
  addEventListener("load", reach);
  addEventListener("resize", reach);
})();
