// Draws the charts as SVG at the width that there is, and anew when it changes.

const ROW = 22;
const GAP = 12;
const AXIS = 34;
const NARROW = 520;
const LABEL_SHARE = 0.36;
const CHARACTER = 7.1;
const CROWD = 150;
const LABEL = 80;

const SHAPES = [
  (x, y) => draw("circle", { cx: x, cy: y, r: 5, class: "mark" }),
  (x, y) => draw("rect", { x: x - 4.5, y: y - 4.5, width: 9, height: 9, class: "mark" }),
  (x, y) => draw("path", { d: `M${x} ${y - 6}L${x + 6} ${y}L${x} ${y + 6}L${x - 6} ${y}Z`, class: "mark" }),
  (x, y) => draw("path", { d: `M${x} ${y - 6}L${x + 6} ${y + 5}L${x - 6} ${y + 5}Z`, class: "mark" }),
  (x, y) => draw("path", { d: `M${x} ${y + 6}L${x + 6} ${y - 5}L${x - 6} ${y - 5}Z`, class: "mark" }),
];

function shape(arm, x, y) {
  return SHAPES[arm % SHAPES.length](x, y);
}

function makeLegend(chart, arms) {
  if (!chart.legend) return null;
  return make("ul", { class: "legend" }, chart.legend.map((arm) =>
    make("li", { class: armClass(arm) },
      draw("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, shape(arm, 7, 7)), arms[arm].name)));
}

const DRAWERS = { intervals: drawIntervals, dots: drawDots, bars: drawBars, lines: drawLines };

function keepDrawn(canvas, chart) {
  let last = 0;
  new ResizeObserver(() => {
    const width = Math.max(260, Math.round(canvas.clientWidth));
    if (!canvas.clientWidth || width === last) return;
    last = width;
    canvas.replaceChildren(DRAWERS[chart.kind](chart, width));
  }).observe(canvas);
}

/** Return where rows lie: their labels beside them, or above them where there is little room. */
function layOut(groups, width, rowsOf) {
  const narrow = width < NARROW;
  const longest = Math.max(...groups.map((group) => group.label.length)) * CHARACTER + 20;
  const left = narrow ? 8 : Math.min(longest, width * LABEL_SHARE);
  let y = 6;
  const places = groups.map((group) => {
    const label = narrow ? y + 12 : y + (rowsOf(group) * ROW) / 2 + 4;
    if (narrow) y += 18;
    const top = y;
    y += rowsOf(group) * ROW + GAP;
    return { label, top };
  });
  return { left, right: width - 14, bottom: y, narrow, places };
}

function writeLabel(text, layout, y) {
  const room = Math.floor((layout.narrow ? layout.right - layout.left : layout.left - 16) / CHARACTER);
  const shown = text.length > room ? `${text.slice(0, room - 1)}…` : text;
  return draw("text", { x: layout.narrow ? layout.left : layout.left - 12, y, "text-anchor": layout.narrow ? "start" : "end" },
    shown, draw("title", {}, text));
}

/** Return a scale from values to pixels, with the ticks of its axis. */
function scaleOf(low, high, from, to, wanted, logarithmic) {
  if (logarithmic) {
    const [first, last] = [Math.log10(low) - 0.04, Math.log10(high) + 0.04];
    const powers = [];
    for (let power = Math.floor(first); power <= last; power += 1) powers.push(10 ** power);
    const inside = (factors) => powers.flatMap((power) => factors.map((factor) => power * factor))
      .filter((value) => Math.log10(value) >= first && Math.log10(value) <= last);
    const ticks = [[1, 2, 5], [1, 3], [1]].map(inside).find((some) => some.length <= wanted + 2) || inside([1]);
    return { at: (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from), ticks };
  }
  const span = high - low || 1;
  const rough = span / Math.max(1, wanted);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((one) => one >= rough - 1e-12);
  const ticks = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) ticks.push(at * step);
  return { at: (value) => from + ((value - low) / span) * (to - from), ticks };
}

function shorten(value) {
  const [size, unit] = Math.abs(value) >= 1e9 ? [1e9, "B"] : Math.abs(value) >= 1e6 ? [1e6, "M"] : Math.abs(value) >= 1e4 ? [1e3, "K"] : [1, ""];
  return Number((value / size).toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 6 }) + unit;
}

function unitOf(chart, value) {
  const number = chart.signed && value > 0 ? `+${shorten(value)}` : shorten(value).replace("-", "−");
  return chart.prefix ? `${chart.prefix}${number}` : `${number}${chart.unit || ""}`;
}

function makeAxis(chart, scale, layout, bottom) {
  return scale.ticks.map((tick) => [
    draw("line", { x1: scale.at(tick), x2: scale.at(tick), y1: 0, y2: bottom, class: "grid" }),
    draw("text", { x: scale.at(tick), y: bottom + 16, "text-anchor": "middle", class: "axis" }, unitOf(chart, tick)),
  ]).flat();
}

function canvasOf(chart, width, height) {
  return draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": chart.label });
}

function ticksFor(layout) {
  return Math.max(2, Math.min(6, Math.floor((layout.right - layout.left) / 80)));
}

function drawIntervals(chart, width) {
  const layout = layOut(chart.groups, width, (group) => group.points.length);
  const scale = scaleOf(chart.low, chart.high, layout.left, layout.right, ticksFor(layout));
  const svg = canvasOf(chart, width, layout.bottom + AXIS);
  svg.append(...makeAxis(chart, scale, layout, layout.bottom));
  if (chart.zero) {
    svg.append(draw("line", { x1: scale.at(0), x2: scale.at(0), y1: 0, y2: layout.bottom, class: "zero" }));
  }
  chart.groups.forEach((group, at) => {
    const { label, top } = layout.places[at];
    svg.append(writeLabel(group.label, layout, label));
    group.points.forEach((point, row) => {
      const y = top + row * ROW + ROW / 2;
      svg.append(draw("g", { class: armClass(point.arm || 0) },
        draw("title", {}, point.says),
        draw("line", { x1: scale.at(point.low), x2: scale.at(point.high), y1: y, y2: y, class: "whisker edge" }),
        shape(point.arm || 0, scale.at(point.value), y)));
    });
  });
  return svg;
}

/** Return offsets from a row's middle by which dots that would overlap stand apart. */
function spread(xs, radius, limit) {
  const taken = new Map();
  return xs.map((x) => {
    const cell = Math.round(x / (radius * 1.6));
    const rank = taken.get(cell) || 0;
    taken.set(cell, rank + 1);
    const step = Math.ceil(rank / 2) * (rank % 2 ? -1 : 1) * radius * 1.5;
    return Math.max(-limit, Math.min(limit, step));
  });
}

function drawDots(chart, width) {
  const tall = 2;
  const layout = layOut(chart.rows, width, () => tall);
  const scale = scaleOf(chart.low, chart.high, layout.left, layout.right, ticksFor(layout), chart.logarithmic);
  const svg = canvasOf(chart, width, layout.bottom + AXIS);
  svg.append(...makeAxis(chart, scale, layout, layout.bottom));
  chart.rows.forEach((row, at) => {
    const { label, top } = layout.places[at];
    const middle = top + (tall * ROW) / 2;
    const xs = row.values.map((value) => scale.at(value));
    const radius = xs.length > CROWD ? 1.6 : 2.6;
    const offsets = spread(xs, radius, ROW - 6);
    svg.append(writeLabel(row.label, layout, label));
    svg.append(draw("g", { class: armClass(row.arm) },
      xs.map((x, one) => draw("circle", { cx: x.toFixed(1), cy: (middle + offsets[one]).toFixed(1), r: radius, class: "mark dot" }))));
    for (const [name, value, place] of row.marks) {
      const x = scale.at(value);
      svg.append(draw("g", {}, draw("title", {}, `${name} ${unitOf(chart, value)}`),
        draw("line", { x1: x, x2: x, y1: top + 3, y2: top + tall * ROW - 3, class: "tick" }),
        draw("text", { x: place === "end" ? x + 4 : x - 4, y: top + 12, "text-anchor": place === "end" ? "start" : "end", class: "axis over" }, name)));
    }
  });
  return svg;
}

function drawBars(chart, width) {
  const layout = layOut(chart.groups, width, (group) => group.points.length);
  layout.right -= 64;
  const scale = scaleOf(0, chart.high, layout.left, layout.right, ticksFor(layout));
  const svg = canvasOf(chart, width, layout.bottom + AXIS);
  svg.append(...makeAxis(chart, scale, layout, layout.bottom));
  chart.groups.forEach((group, at) => {
    const { label, top } = layout.places[at];
    svg.append(writeLabel(group.label, layout, label));
    group.points.forEach((point, row) => {
      const y = top + row * ROW + 4;
      const end = scale.at(point.value);
      svg.append(draw("g", { class: armClass(point.arm) }, draw("title", {}, point.says),
        draw("rect", { x: layout.left, y, width: Math.max(1, end - layout.left), height: ROW - 8, rx: 2, class: "mark" }),
        draw("text", { x: Math.max(end, layout.left) + 6, y: y + 11 }, point.shown)));
    });
  });
  return svg;
}

function drawLines(chart, width) {
  const [left, right, top, bottom] = [64, width - 16, 14, 250];
  const across = scaleOf(0, chart.across, left, right, Math.max(2, Math.min(6, Math.floor((right - left) / 90))));
  const up = scaleOf(0, chart.up, bottom, top, 5);
  const svg = canvasOf(chart, width, bottom + 50);
  svg.append(...makeAxis({}, across, {}, bottom));
  for (const tick of up.ticks) {
    svg.append(
      draw("line", { x1: left, x2: right, y1: up.at(tick), y2: up.at(tick), class: "grid" }),
      draw("text", { x: left - 8, y: up.at(tick) + 4, "text-anchor": "end", class: "axis" }, `$${shorten(tick)}`));
  }
  svg.append(draw("text", { x: right, y: bottom + 38, "text-anchor": "end", class: "axis" }, chart.across_label));
  for (const line of chart.lines) {
    const path = line.points.map(([x, y], at) => `${at ? "L" : "M"}${across.at(x).toFixed(1)} ${up.at(y).toFixed(1)}`).join("");
    const middle = line.points[Math.floor(line.points.length / 2)];
    svg.append(draw("g", { class: armClass(line.arm) }, draw("title", {}, line.says),
      draw("path", { d: path, class: "curve edge" }), shape(line.arm, across.at(middle[0]), up.at(middle[1]))));
  }
  for (const [rank, mark] of chart.crossings.entries()) {
    const x = across.at(mark.x);
    const turned = rank ? x > right - LABEL : x > (left + right) / 2 || (chart.crossings.length > 1 && x > left + LABEL);
    svg.append(draw("line", { x1: x, x2: x, y1: top, y2: bottom, class: "zero", "stroke-dasharray": "4 4" }),
      draw("text", { x: turned ? x - 6 : x + 6, y: top + 10 + 18 * rank, "text-anchor": turned ? "end" : "start" }, mark.label));
  }
  return svg;
}
