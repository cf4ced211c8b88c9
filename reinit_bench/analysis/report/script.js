"use strict";
// Filters, sorting and paging of the tables, and the curve of a run. Text is only ever set as text, never as markup.
(() => {
  const PER_PAGE = 50;
  const data = JSON.parse(document.getElementById("data").textContent);
  const filters = document.getElementById("filters");
  const chosen = () => ({
    dataset: filters.elements.dataset.value,
    model: filters.elements.model.value,
    condition: filters.elements.condition.value,
    words: filters.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean),
  });

  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  // What is missing comes last, in either direction; numbers are compared as numbers, the ± and all after it left out.
  const value = (text) => {
    if (text === null || text === "" || text === "—") return null;
    if (typeof text === "number") return text;
    const number = text.replace("−", "-").match(/^[^\w+-]*([+-]?\d+(\.\d+)?(e[+-]?\d+)?)(?![\w])/);
    return number ? Number(number[1]) : text;
  };
  const compare = (first, second, up) => {
    const [a, b] = [value(first), value(second)];
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "number" && typeof b === "number" ? a - b
      : String(a).localeCompare(String(b), "en", { numeric: true });
    return up ? order : -order;
  };

  // A heading's button sorts: upwards first, then downwards.
  const sortable = (head, sort) => head.addEventListener("click", (event) => {
    const heading = event.target.closest("th");
    if (!event.target.closest("button")) return;
    const up = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of head.querySelectorAll("th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    sort(heading.cellIndex, up);
  });

  // The tables that are in the page: a published row goes with the row above it.
  const fixed = [...document.querySelectorAll("table.sortable")].filter((table) => !table.closest(".grid"));
  const units = (body) => {
    const found = [];
    for (const row of body.rows) {
      if (row.classList.contains("published") && found.length) found.at(-1).push(row);
      else found.push([row]);
    }
    return found;
  };
  for (const table of fixed) {
    const [body] = table.tBodies;
    const whole = units(body);
    sortable(table.tHead, (column, up) => {
      const key = (unit) => unit[0].cells[column].textContent;
      body.append(...[...whole].sort((a, b) => compare(key(a), key(b), up)).flat());
    });
    table.hide = (filter) => {
      for (const unit of whole) {
        const [row] = unit;
        const other = ["dataset", "model", "condition"].some(
          (name) => filter[name] && name in row.dataset && row.dataset[name] !== filter[name]);
        const text = unit.map((one) => one.textContent).join(" ").toLowerCase();
        const hidden = other || !filter.words.every((word) => text.includes(word));
        for (const one of unit) one.hidden = hidden;
      }
    };
  }

  // The long tables: only the rows of one page are in the document.
  const shown = (content, kind) =>
    content === null ? "—" : kind === "text" ? String(content) : content.toFixed(kind);
  const grid = (name, opened) => {
    const { columns, rows } = data[name];
    const place = Object.fromEntries(columns.map(([heading], index) => [heading.toLowerCase(), index]));
    const texts = rows.map((row) => row.join(" ").toLowerCase());
    const box = document.getElementById(`${name}-grid`);
    const table = box.querySelector("table");
    const [back, on, where] = [".back", ".on", ".place"].map((one) => box.querySelector(one));
    let order = rows.map((_, index) => index);
    let kept = order;
    let page = 0;
    let filter = chosen();

    table.tHead.append(make("tr", {}, ...columns.map(([heading, kind]) =>
      make("th", { scope: "col", class: kind === "text" ? "" : "number" }, make("button", { type: "button" }, heading)))));
    const draw = () => {
      const last = Math.max(0, Math.ceil(kept.length / PER_PAGE) - 1);
      page = Math.min(Math.max(page, 0), last);
      const from = page * PER_PAGE;
      const visible = kept.slice(from, from + PER_PAGE);
      table.tBodies[0].replaceChildren(...visible.map((index) => {
        const row = make("tr", {}, ...columns.map(([, kind], column) =>
          make("td", { class: kind === "text" ? "" : "number" }, shown(rows[index][column], kind))));
        if (opened) opened(row, rows[index], columns.length);
        return row;
      }));
      where.textContent = kept.length
        ? `${from + 1} to ${from + visible.length} of ${kept.length}` + (kept.length < rows.length ? ` (${rows.length} in all)` : "")
        : rows.length ? "none fits the filters" : "none yet";
      back.disabled = page === 0;
      on.disabled = page >= last;
    };
    const select = () => {
      kept = order.filter((index) =>
        ["dataset", "model", "condition"].every((one) => !filter[one] || rows[index][place[one]] === filter[one])
        && filter.words.every((word) => texts[index].includes(word)));
      draw();
    };
    back.addEventListener("click", () => { page -= 1; draw(); });
    on.addEventListener("click", () => { page += 1; draw(); });
    sortable(table.tHead, (column, up) => {
      order = [...order].sort((a, b) => compare(rows[a][column], rows[b][column], up));
      page = 0;
      select();
    });
    select();
    return { hide: (given) => { filter = given; page = 0; select(); } };
  };

  // The curve of a run, drawn when it is asked for.
  let curves = null;
  const curveOf = (run) => {
    curves ??= JSON.parse(document.getElementById("curves").textContent);
    return Object.hasOwn(curves, run) ? curves[run] : null;
  };
  const svg = (name, attributes, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, content] of Object.entries(attributes)) element.setAttribute(key, content);
    element.textContent = text;
    return element;
  };
  const plot = ({ x, t, v, r }, title) => {
    const [width, height, left, right, top, bottom] = [760, 260, 48, 100, 14, 40];
    const known = [...t, ...v, ...r.map((end) => end[1])].filter((one) => one !== null);
    const low = Math.max(0, Math.floor(Math.min(1000, ...known) / 100) * 100);
    const end = Math.max(x.at(-1), ...r.map((one) => one[0]), 1);
    const px = (step) => left + (width - left - right) * step / end;
    const py = (part) => top + (height - top - bottom) * (1000 - part) / Math.max(1000 - low, 100);
    const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "curve", role: "img",
      "aria-label": `Training curve of ${title}: accuracy by step` });
    const step = low < 500 ? 250 : 100;
    for (let part = 1000; part >= low; part -= step) {
      picture.append(svg("line", { x1: left, x2: width - right, y1: py(part), y2: py(part) }));
      picture.append(svg("text", { x: left - 6, y: py(part) + 4, "text-anchor": "end" }, `${part / 10}%`));
    }
    for (const [at] of r) picture.append(svg("line", { x1: px(at), x2: px(at), y1: top, y2: height - bottom, "stroke-dasharray": "2 3" }));
    for (const [name, values] of [["train", t], ["validation", v]]) {
      const points = values.map((one, index) => one === null ? null : `${px(x[index]).toFixed(1)},${py(one).toFixed(1)}`);
      picture.append(svg("polyline", { class: name, points: points.filter(Boolean).join(" ") }));
    }
    for (const [at, test] of r) if (test !== null) picture.append(svg("circle", { cx: px(at), cy: py(test), r: 4 }));
    [["train", "— training"], ["validation", "- - validation"], ["test", "● test"]].forEach(([name, words], index) =>
      picture.append(svg("text", { class: name, x: width - right + 10, y: top + 12 + 18 * index }, words)));
    picture.append(svg("text", { x: left, y: height - 22 }, "0"));
    picture.append(svg("text", { x: width - right, y: height - 22, "text-anchor": "end" }, String(end)));
    picture.append(svg("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, "steps; dotted lines end rounds"));
    return picture;
  };
  const openable = (row, [run, ...others], columns) => {
    const title = others.at(-1);
    const button = make("button", { type: "button", class: "toggle", "aria-expanded": "false" }, run);
    row.cells[0].replaceChildren(button);
    row.dataset.run = run;
    row.addEventListener("click", (event) => {
      if (String(getSelection()) && !event.target.closest("button")) return;
      const isOpen = button.getAttribute("aria-expanded") === "true";
      button.setAttribute("aria-expanded", String(!isOpen));
      if (isOpen) {
        row.nextElementSibling.remove();
        return;
      }
      const curve = curveOf(run);
      row.after(make("tr", { class: "detail" }, make("td", { colspan: columns },
        curve ? plot(curve, title) : "no curve: history.jsonl is missing or cannot be read")));
    });
  };

  const tables = [...fixed.filter((table) => table.closest("#tables")), grid("results"), grid("runs", openable)];
  let applied = new URLSearchParams(new FormData(filters)).toString();
  const apply = () => {
    // Leaving the search box fires "change" too: rows made anew under the pointer would lose its click.
    const now = new URLSearchParams(new FormData(filters)).toString();
    if (now === applied) return;
    applied = now;
    const filter = chosen();
    for (const table of tables) table.hide(filter);
  };
  for (const event of ["input", "change"]) filters.addEventListener(event, apply);
  filters.addEventListener("reset", () => setTimeout(apply));
  filters.addEventListener("submit", (event) => event.preventDefault());
})();
