"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));
  const make = (tag, properties, ...inside) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...inside);
    return element;
  };
  const tools = (...inside) => make("p", { className: "tools" }, ...inside);
  const button = (text, act) => make("button", { type: "button", textContent: text, onclick: act });
  const tip = make("div", { className: "tip", hidden: true, ariaHidden: "true" });
  const toast = make("p", { className: "tip toast", role: "status" });
  document.body.append(tip, toast);
  const say = (text) => {
    toast.textContent = text;
    setTimeout(() => { if (toast.textContent === text) toast.textContent = ""; }, 3000);
  };

  // Marks of a chart with their subjects, their values read back from the scales of their panel.
  const known = new Map();
  const value = (share, pixels, low, high) => {
    const digits = Math.ceil(Math.log10(pixels / (high - low)));
    return +(low + share * (high - low)).toFixed(Math.min(Math.max(digits, 0), 12));
  };
  const read = (chart) => {
    const panels = all("[data-box]", chart).map((p) => ({ ...p.dataset, box: p.dataset.box.split(" ").map(Number) }));
    return all(".mark", chart).flatMap((path) => {
      const names = JSON.parse(path.dataset.n ?? "[]");
      return Array.from(path.getAttribute("d").matchAll(/M([-\d.]+) ([-\d.]+)/g), ([, a, b], k) => {
        const subject = path.dataset.s ?? names[k];
        for (const { x, y, box: [left, top, width, height, x0, x1, y0, y1] } of panels) {
          const right = (a - left) / width, up = 1 - (b - top) / height;
          if (Math.abs(right - 0.5) > 0.51 || Math.abs(up - 0.5) > 0.51) continue;
          const says = [subject ?? path.dataset.l, x && `${x} ${value(right, width, x0, x1)}`,
            y && `${y} ${value(up, height, y0, y1)}`];
          return { x: +a, y: +b, path, subject, text: says.filter(Boolean).join(", ") };
        }
      }).filter(Boolean);
    });
  };
  const marks = (chart) => known.get(chart) ?? known.set(chart, read(chart)).get(chart);
  const nearest = (chart, event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(chart.getScreenCTM().inverse());
    let best = null, reach = 14;
    for (const mark of marks(chart)) {
      const distance = Math.hypot(mark.x - at.x, mark.y - at.y);
      if (distance < reach) [best, reach] = [mark, distance];
    }
    return best;
  };

  // One subject in all charts.
  const field = document.getElementById("highlight");
  const choose = (name) => {
    field.value = name;
    for (const copy of all(".copy")) copy.remove();
    for (const path of all("[data-s]")) path.classList.toggle("chosen", path.dataset.s === name);
    for (const path of name ? all("[data-n]") : []) {
      const own = marks(path.closest("svg")).filter((mark) => mark.path === path && mark.subject === name);
      const copy = path.cloneNode();
      copy.removeAttribute("data-n");
      copy.setAttribute("d", own.map((mark) => `M${mark.x} ${mark.y}h0`).join(""));
      copy.classList.add("chosen", "copy");
      if (own.length) path.after(copy);
    }
    document.body.classList.toggle("highlighting", all(".chosen").length > 0);
  };
  if (field) {
    field.closest(".tool").hidden = false;
    field.addEventListener("input", () => choose(field.value));
  }
  for (const chart of all("svg.chart")) {
    chart.addEventListener("pointermove", (event) => {
      const mark = nearest(chart, event);
      tip.hidden = !mark;
      if (!mark) return;
      tip.textContent = mark.text;
      tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 4))}px`;
      tip.style.top = `${event.clientY + (event.clientY > innerHeight - 60 ? -40 : 16)}px`;
    });
    chart.addEventListener("pointerleave", () => { tip.hidden = true; });
    if (field) chart.addEventListener("click", (event) => {
      const name = nearest(chart, event)?.subject ?? event.target.dataset.s;
      if (name !== undefined) choose(name === field.value ? "" : name);
    });
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") tip.hidden = true; });

  // A figure as a file: what the style sheet gives is written into it.
  const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray",
    "stroke-linecap", "stroke-linejoin", "font-size", "font-weight", "font-family"];
  const save = (chart) => {
    const copy = chart.cloneNode(true), originals = all("*", chart);
    all("*", copy).forEach((element, k) => {
      for (const name of STYLES) element.setAttribute(name, getComputedStyle(originals[k]).getPropertyValue(name));
    });
    const { width, height } = chart.viewBox.baseVal;
    const paper = document.createElementNS(chart.namespaceURI, "rect");
    paper.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
    for (const element of [copy, paper]) {
      element.setAttribute("width", width);
      element.setAttribute("height", height);
    }
    copy.prepend(paper);
    const file = new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
    const link = make("a", { href: URL.createObjectURL(file), download: `${chart.closest("figure").id}.svg` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  for (const chart of all("figure > svg")) {
    chart.parentNode.querySelector("figcaption").after(tools(button("Download as SVG", () => save(chart))));
  }

  // Tables: the rows that hold a text; copies for a spreadsheet or a manuscript.
  const csv = (text) => {
    if (/^−?\d[\d,]*(\.\d+)?$/.test(text)) return text.replace("−", "-").replaceAll(",", "");
    const safe = /^[=+@-]/.test(text) ? `'${text}` : text; // a spreadsheet would run it
    return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const markdown = (text) => text.replace(/[\\|<]/g, "\\$&");
  const copy = (table, line) => {
    const rows = Array.from(table.rows).filter((row) => !row.hidden);
    const lines = rows.map((row) => line(Array.from(row.cells, (cell) => cell.innerText.replace(/\s+/g, " ").trim())));
    if (line === lineOfMarkdown) {
      lines.splice(1, 0, line(Array.from(rows[0].cells, (cell) => (cell.className === "r" ? "---:" : "---"))));
    }
    navigator.clipboard.writeText(`${lines.join("\n")}\n`).then(
      () => say(`Copied ${rows.length - 1} rows`), () => say("The browser does not allow copying"));
  };
  const lineOfCsv = (cells) => cells.map(csv).join(",");
  const lineOfMarkdown = (cells) => `| ${cells.map(markdown).join(" | ")} |`;
  for (const table of all("table")) {
    const rows = Array.from(table.tBodies[0].rows), around = table.closest(".scroll");
    const note = around.nextElementSibling;
    (note?.matches(".note") ? note : around).after(tools(button("Copy as CSV", () => copy(table, lineOfCsv)),
      button("Copy as Markdown", () => copy(table, lineOfMarkdown))));
    if (rows.length < 10 && !("filter" in table.dataset)) continue;
    const filter = make("input", { type: "search", placeholder: "Filter rows" });
    filter.ariaLabel = `Filter rows: ${table.caption.textContent}`;
    filter.addEventListener("input", () => {
      const words = filter.value.toLowerCase().split(/\s+/);
      for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
      say(`${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`);
    });
    around.before(tools(filter));
  }

  // The section that is read, and print.
  const links = new Map(all("nav ol a").map((link) => [link.hash.slice(1), link]));
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
    opened = all("details:not([open], .numbers)");
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => { for (const fold of opened) fold.open = false; });
})();
