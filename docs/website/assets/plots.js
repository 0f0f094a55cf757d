// Plots from the JSON within them: "scatter" (points, a group each, perhaps with a Pareto front) and
// "forest" (means with intervals, a row each). Marks are links where they have an address.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const COLOURS = ["#3b6fd4", "#c2571a", "#2f8f5b", "#a23b9c", "#8a7412", "#c23a4b", "#1f8a99",
    "#6a57c9", "#7a5b3e", "#5c6b7a", "#b3579a", "#4f7d1f", "#a8621d", "#3f55a5", "#7d3f55"];

  function element(name, attributes = {}, text = "") {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text) made.textContent = text;
    return made;
  }

  const short = (v) => {
    for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
      if (Math.abs(v) >= size) return `${+(v / size).toPrecision(3)}${unit}`;
    return `${+v.toPrecision(3)}`;
  };

  // An axis: value -> pixel, and ticks. A logarithmic one puts what is 0 at its edge.
  function axis(values, from, to, log) {
    if (log) {
      const positive = values.filter((v) => v > 0);
      const low = Math.floor(Math.log10(Math.min(...positive))) - 0.4;
      const high = Math.ceil(Math.log10(Math.max(...positive)));
      const at = (v) => from + (to - from) * ((v > 0 ? Math.log10(v) : low) - low) / (high - low);
      const ticks = [];
      for (let e = Math.ceil(low); e <= high; e += 1) ticks.push(10 ** e);
      return { at, ticks };
    }
    let [low, high] = [Math.min(...values), Math.max(...values)];
    if (low === high) { low -= 1; high += 1; }
    const step = [1, 2, 5, 10].map((m) => m * 10 ** Math.floor(Math.log10((high - low) / 5)))
      .find((s) => (high - low) / s <= 7);
    low = Math.floor(low / step) * step; high = Math.ceil(high / step) * step;
    const ticks = [];
    for (let v = low; v <= high + step / 2; v += step) ticks.push(Math.abs(v) < step / 1e6 ? 0 : v);
    return { at: (v) => from + (to - from) * (v - low) / (high - low), ticks };
  }

  function frame(title, width, height) {
    return element("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": title });
  }

  function grid(svg, x, y, box, data) {
    for (const tick of x.ticks) {
      svg.append(element("path", { class: "grid", d: `M${x.at(tick)} ${box.top}V${box.bottom}` }));
      svg.append(element("text", { x: x.at(tick), y: box.bottom + 16, class: "tick" }, short(tick)));
    }
    for (const tick of y ? y.ticks : []) {
      svg.append(element("path", { class: "grid", d: `M${box.left} ${y.at(tick)}H${box.right}` }));
      svg.append(element("text", { x: box.left - 6, y: y.at(tick) + 4, class: "tick end" }, short(tick)));
    }
    svg.append(element("text", { x: (box.left + box.right) / 2, y: box.bottom + 36, class: "axis" }, data.x));
    if (data.y) svg.append(element("text", { x: box.left, y: box.top - 10, class: "axis start" }, data.y));
  }

  // A mark with its words, which are its tooltip and its name, and a link if there is an address.
  function linked(mark, point, title) {
    const whole = point.href ? element("a", { href: point.href }) : element("g");
    whole.append(element("title", {}, title), mark);
    return whole;
  }

  function scatter(root, data) {
    const box = { left: 54, right: 760, top: 30, bottom: 430 };
    const svg = frame(data.title, 780, 480);
    const log = data.log || [];
    const x = axis(data.points.map((p) => p.x), box.left + 8, box.right - 8, log.includes("x"));
    const y = axis(data.points.map((p) => p.y), box.bottom - 8, box.top + 8, log.includes("y"));
    grid(svg, x, y, box, data);
    if (data.front) {
      const front = data.front.map((p, i) => `${i ? "L" : "M"}${x.at(p.x)} ${y.at(p.y)}`).join("");
      svg.append(element("path", { class: "front", d: front }));
    }
    const groups = [...new Set(data.points.map((p) => p.group))].sort();
    const colourOf = (group) => (data.colours || {})[group] || COLOURS[groups.indexOf(group) % COLOURS.length];
    const said = document.createElement("p");
    said.className = "said"; said.setAttribute("aria-live", "polite"); said.textContent = " ";
    for (const point of data.points) {
      const title = `${point.name} (${point.group}): ${short(point.x)} ${data.x}, ${short(point.y)} ${data.y}`;
      const mark = element("circle", { cx: x.at(point.x), cy: y.at(point.y), r: 5.5, fill: colourOf(point.group) });
      const whole = linked(mark, point, title);
      whole.dataset.group = point.group; whole.classList.add("point");
      for (const event of ["mouseenter", "focus"]) whole.addEventListener(event, () => { said.textContent = title; });
      svg.append(whole);
    }
    root.append(legend(svg, groups, colourOf), said, svg);
  }

  function legend(svg, groups, colourOf) {
    const row = document.createElement("div");
    row.className = "legend"; row.setAttribute("role", "group"); row.setAttribute("aria-label", "families");
    let only = "";
    for (const group of groups) {
      const button = document.createElement("button");
      button.type = "button"; button.setAttribute("aria-pressed", "false");
      const dot = document.createElement("i");
      dot.style.background = colourOf(group);
      button.append(dot, group);
      button.addEventListener("click", () => {
        only = only === group ? "" : group;
        for (const other of row.children) other.setAttribute("aria-pressed", String(other === button && only !== ""));
        for (const point of svg.querySelectorAll(".point")) point.classList.toggle("faint", only !== "" && point.dataset.group !== only);
      });
      row.append(button);
    }
    return row;
  }

  function forest(root, data) {
    const rows = [...data.rows].sort((a, b) => b.mean - a.mean);
    const height = rows.length * 24;
    const box = { left: 210, right: 750, top: 14, bottom: 24 + height };
    const svg = frame(data.title, 780, height + 76);
    const x = axis([0, ...rows.flatMap((r) => [r.low, r.high, ...(r.values || [])])], box.left + 8, box.right - 8, false);
    grid(svg, x, null, box, data);
    svg.append(element("path", { class: "zero", d: `M${x.at(0)} ${box.top}V${box.bottom}` }));
    rows.forEach((row, i) => {
      const at = box.top + 18 + i * 24;
      const sign = { better: "above", worse: "below" }[row.verdict] || "open";
      const title = `${row.name}: ${row.mean.toFixed(2)} (${row.low.toFixed(2)} to ${row.high.toFixed(2)})`;
      const mark = element("g", { class: `row ${sign}` });
      mark.append(element("path", { d: `M${x.at(row.low)} ${at}H${x.at(row.high)}` }));
      for (const value of row.values || []) mark.append(element("circle", { class: "run", cx: x.at(value), cy: at, r: 2.4 }));
      mark.append(element("circle", { cx: x.at(row.mean), cy: at, r: 5 }));
      mark.append(element("text", { x: box.left - 8, y: at + 4, class: "tick end" }, row.name));
      svg.append(linked(mark, row, title));
    });
    root.append(svg);
  }

  for (const root of document.querySelectorAll(".plot")) {
    const data = JSON.parse(root.querySelector("script").textContent);
    (root.dataset.kind === "forest" ? forest : scatter)(root, data);
  }
})();
