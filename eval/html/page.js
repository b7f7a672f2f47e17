// Shows the comparison that the page carries as JSON. Every text of it is data: it is written with
// textContent or as an attribute of no meaning, never as markup.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const ARM_COLOURS = 6;

/** Return an element with attributes and children; strings among the children are text. */
function make(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function draw(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat()) {
    if (child !== null && child !== undefined) element.append(child);
  }
  return element;
}

function armClass(arm) {
  return `arm-${arm % ARM_COLOURS}`;
}

function list(tag, className, texts) {
  return texts.length ? make(tag, { class: className }, texts.map((text) => make("li", {}, text))) : null;
}

function count(number) {
  return number.toLocaleString("en-US");
}

/** Return a record from its values, whose names the page holds once. */
function unpack(row, names) {
  return row && Object.fromEntries(names.map((name, at) => [name, row[at]]));
}

function unpackAnswer(row, fields) {
  const answer = unpack(row, fields.answer);
  if (answer) answer.receipt = unpack(answer.receipt, fields.receipt);
  return answer;
}

/** Return a table; its first column names the row, columns of numbers are set to the right. */
function makeTable(table) {
  const kind = (column) => (table.columns[column][1] === "number" ? "number" : null);
  const head = table.columns.map(([name], at) => make("th", { scope: "col", class: kind(at) }, name));
  const rows = table.rows.map((cells) =>
    make("tr", {}, cells.map((cell, at) =>
      at ? make("td", { class: kind(at) }, cell) : make("th", { scope: "row", class: kind(at) }, cell))));
  return keepReachable(make("div", { class: "scroll" }, make("table", {},
    make("caption", {}, make("span", {}, table.caption)),
    make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows))), table.caption);
}

/** Let the keyboard reach what has to be scrolled, and only that. */
function keepReachable(element, label) {
  new ResizeObserver(() => {
    const hidden = element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1;
    for (const [name, value] of [["tabindex", "0"], ["role", "region"], ["aria-label", label]]) {
      if (hidden) element.setAttribute(name, value);
      else element.removeAttribute(name);
    }
  }).observe(element);
  return element;
}

/** Keep two columns side by side as long as no table of theirs would have to be scrolled. */
function keepBeside(pair) {
  let last = 0;
  new ResizeObserver(() => {
    if (pair.clientWidth === last) return;
    last = pair.clientWidth;
    pair.classList.add("both");
    const hidden = [...pair.querySelectorAll(".scroll")].some((one) => one.scrollWidth > one.clientWidth + 1);
    pair.classList.toggle("both", !hidden);
  }).observe(pair);
  return pair;
}

function makeSection(section, page) {
  const figures = section.charts.map((chart) => {
    const canvas = make("div", { class: "canvas" });
    keepDrawn(canvas, chart);
    return make("figure", { class: "chart" }, makeLegend(chart, page.arms), canvas);
  });
  const pair = make("div", { class: "pair" },
    figures.length ? make("div", { class: "stack" }, figures) : null,
    make("div", { class: "stack" }, section.tables.map(makeTable)));
  if (figures.length && section.tables.length) keepBeside(pair);
  return make("section", { id: section.id, "aria-labelledby": `${section.id}-title` },
    make("h2", { id: `${section.id}-title` }, section.title),
    make("p", { class: "reading" }, section.reading),
    pair,
    list("ul", "notes", section.notes));
}

function makeMasthead(page) {
  const cautions = page.finding.cautions.length
    ? make("div", { class: "cautions", role: "note" }, make("h2", {}, "Read with care"), list("ul", "", page.finding.cautions))
    : null;
  const links = [...page.sections, { id: "questions", title: "Questions" }, ...page.about].map(({ id, title }) => [id, title]);
  return make("header", { class: "masthead" },
    make("h1", {}, page.title),
    make("p", { class: "headline" }, page.finding.headline),
    make("div", { class: cautions ? "beneath both" : "beneath" }, list("ul", "points", page.finding.points), cautions),
    make("nav", { class: "contents", "aria-label": "Contents" },
      make("ul", {}, links.map(([id, title]) => make("li", {}, make("a", { href: `#${id}` }, title))))));
}

function show() {
  const page = JSON.parse(document.getElementById("comparison").textContent);
  document.title = `${page.title} – Windowfit`;
  for (const question of page.questions) question.answers = question.answers.map((row) => unpackAnswer(row, page.fields));
  const main = make("main", { id: "main", tabindex: "-1" },
    page.sections.map((section) => makeSection(section, page)), makeQuestions(page),
    page.about.map((section) => makeSection(section, page)));
  document.body.append(
    make("a", { class: "skip", href: "#main" }, "Skip to the figures"),
    makeMasthead(page), main,
    make("footer", {}, list("ul", "notes", page.remarks)));
  openNamed();
  window.addEventListener("hashchange", openNamed);
}
