"use strict";
(() => {
  const select = document.getElementById("highlight");
  if (select) {
    select.closest(".tool").hidden = false;
    const marks = Array.from(document.querySelectorAll("[data-s]"));
    const show = (name) => {
      document.body.classList.toggle("highlighting", name !== "");
      for (const mark of marks) mark.classList.toggle("chosen", name !== "" && mark.dataset.s === name);
    };
    select.addEventListener("change", () => show(select.value));
    for (const mark of marks) {
      mark.addEventListener("click", () => {
        select.value = select.value === mark.dataset.s ? "" : mark.dataset.s;
        show(select.value);
      });
    }
  }
  const links = new Map();
  for (const link of document.querySelectorAll("nav ol a")) links.set(link.hash.slice(1), link);
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  for (const id of links.keys()) seen.observe(document.getElementById(id));
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = Array.from(document.querySelectorAll("details:not([open])"));
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
  });
})();
