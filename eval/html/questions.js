// The list of questions, its filters, and what each arm saw and said, side by side.

const PARTS = ["template", "system", "history", "question", "retrieved"];
const ANCHOR = "question-";
const ENTRY_SIZE = 5;
const VERDICTS = { right: "✓", wrong: "✗", open: "–" };
const VERDICT_WORDS = { right: "right", wrong: "wrong", open: "not answered" };

function verdictOf(answer) {
  if (!answer || answer.right === null) return "open";
  return answer.right ? "right" : "wrong";
}

/** Return whether some arm is right where another is not; no answer is not right. */
function disagreeing(question) {
  return new Set(question.answers.map((answer) => verdictOf(answer) === "right")).size > 1;
}

function choice(label, options, change) {
  const select = make("select", {}, options.map(([value, text]) => make("option", { value }, text)));
  select.addEventListener("change", change);
  return [make("label", {}, label, select), select];
}

/** Return the section of questions; each is opened when it is asked for, since most never are. */
function makeQuestions(page) {
  const shown = make("p", { class: "shown", role: "status" });
  const rows = page.questions.map((question) => makeQuestion(question, page));
  const filter = () => {
    const words = search.value.trim().toLowerCase();
    let left = 0;
    page.questions.forEach((question, at) => {
      const passes = (!type.value || question.type === type.value)
        && (!alone.checked || disagreeing(question))
        && arms.every(([, select], arm) => !select.value || verdictOf(question.answers[arm]) === select.value)
        && (!words || question.text.toLowerCase().includes(words) || question.id.toLowerCase().includes(words));
      rows[at].hidden = !passes;
      left += passes;
    });
    shown.textContent = `${count(left)} of ${count(page.questions.length)} questions shown`;
  };
  const types = [...new Set(page.questions.map((question) => question.type))].sort();
  const [typeLabel, type] = choice("Type", [["", "all types"], ...types.map((one) => [one, one])], filter);
  const arms = page.arms.map((arm) =>
    choice(arm.name, [["", "right or wrong"], ["right", "right"], ["wrong", "wrong"], ["open", "not answered"]], filter));
  const search = make("input", { type: "search", size: "18", autocomplete: "off" });
  search.addEventListener("input", filter);
  const alone = make("input", { type: "checkbox" });
  alone.addEventListener("change", filter);
  const reset = make("button", { type: "button" }, "Show all");
  reset.addEventListener("click", () => {
    for (const field of [type, search, ...arms.map(([, select]) => select)]) field.value = "";
    alone.checked = false;
    filter();
  });
  filter();
  return make("section", { id: "questions", "aria-labelledby": "questions-title" },
    make("h2", { id: "questions-title" }, "Questions"),
    make("p", { class: "reading" }, "Each opens what the arms answered, side by side, with the receipt of what each model saw."),
    make("form", { class: "filters", role: "search", "aria-label": "Questions" },
      typeLabel, arms.map(([label]) => label), make("label", {}, "Words in the question", search),
      make("label", { class: "check" }, alone, "arms disagree"), reset),
    shown, make("div", { class: "questions" }, rows));
}

function makeQuestion(question, page) {
  const verdicts = question.answers.map((answer, arm) => {
    const verdict = verdictOf(answer);
    return make("span", { class: `verdict ${verdict}` }, `${VERDICTS[verdict]} ${page.arms[arm].name}: ${VERDICT_WORDS[verdict]}`);
  });
  const row = make("details", { class: "question", id: `${ANCHOR}${question.id}` },
    make("summary", {}, make("span", { class: "asked", dir: "auto" }, question.text),
      make("span", { class: "verdicts" }, verdicts),
      make("span", { class: "kind-of" }, `${question.type} · ${question.id}`)));
  row.addEventListener("toggle", () => {
    if (row.open && row.children.length === 1) row.append(makeOpened(question, page));
  });
  return row;
}

/** Open the question whose id the address names, so that one can be pointed to. */
function openNamed() {
  const address = location.hash.slice(1);
  // An id may hold anything, also what no address is spelt with.
  const named = document.getElementById(address) ?? document.getElementById(unescaped(address));
  if (!named?.id.startsWith(ANCHOR)) return;
  named.hidden = false;
  named.open = true;
  named.scrollIntoView();
}

function unescaped(address) {
  try {
    return decodeURIComponent(address);
  } catch {
    return address;
  }
}

function makeOpened(question, page) {
  const notes = [];
  if (question.stale) notes.push(`Another edition has: ${question.stale}`);
  if (question.cut) notes.push(`${count(question.cut)} more characters of question and expected answer are left out of this page.`);
  return make("div", { class: "opened" },
    make("h3", {}, "Expected"), make("p", { class: "expected", dir: "auto" }, question.expected),
    notes.map((text) => make("p", { class: "small muted" }, text)),
    make("div", { class: "sides" }, question.answers.map((answer, arm) => makeSide(answer, arm, page))));
}

function spellSeconds(seconds) {
  return seconds < 0.1 ? `${Math.round(1000 * seconds)} ms` : `${seconds.toFixed(seconds < 1 ? 2 : seconds < 100 ? 1 : 0)} s`;
}

function spellSpent(answer, page) {
  const [first, total] = answer.seconds;
  const [prompt, cached, output] = answer.tokens;
  const begun = first === null ? "" : `, ${spellSeconds(first)} to the first piece`;
  return `${spellSeconds(total)} in all${begun}; ${count(prompt)} prompt tokens, ${count(cached)} of them cached, `
    + `${count(output)} answer tokens; ${page.strings[answer.cost]}`;
}

function makeSide(answer, arm, page) {
  const verdict = verdictOf(answer);
  const said = answer ? page.strings[answer.verdict] : "not asked yet";
  const side = make("section", { class: `side ${armClass(arm)}`, "aria-label": page.arms[arm].name },
    make("h3", {}, make("span", {}, page.arms[arm].name),
      make("span", { class: `verdict ${verdict}` }, `${VERDICTS[verdict]} ${VERDICT_WORDS[verdict]}`)),
    make("p", { class: "small muted" }, said));
  if (!answer) return side;
  side.append(keepReachable(make("div", { class: "given", dir: "auto" }, answer.text || "(no text)"),
    `Answer of ${page.arms[arm].name}`));
  if (answer.cut) side.append(make("p", { class: "small muted" }, `${count(answer.cut)} more characters are left out of this page.`));
  side.append(make("p", { class: "small muted numbers" }, spellSpent(answer, page)));
  if (answer.notes.length) side.append(list("ul", "notes", answer.notes.map((note) => page.strings[note])));
  if (answer.receipt) side.append(...makeReceipt(answer.receipt, page));
  return side;
}

/** Return a receipt: the window as a bar, the fates of the candidates, what was cited. */
function makeReceipt(receipt, page) {
  const parts = [...PARTS.map((name, at) => [name, receipt.segments[at]]), ["reserved", receipt.reserved], ["free", receipt.free]];
  const bar = make("div", { class: "window", role: "img", "aria-label": `A window of ${count(receipt.window)} tokens by its parts` });
  for (const [name, tokens] of parts) {
    if (tokens <= 0) continue;
    const cell = make("i", { class: `part-${name}` });
    cell.style.flexGrow = String(tokens);
    bar.append(cell);
  }
  const legend = parts.map(([name, tokens]) => make("li", {}, make("i", { class: `part-${name}` }), `${name} ${count(tokens)}`));
  return [
    make("h4", {}, `Window of ${count(receipt.window)} tokens, count ${receipt.count}`), bar,
    make("ul", { class: "parts" }, legend),
    make("p", { class: "small muted" }, sayReceipt(receipt, page)),
    ...makeFates(receipt, page), ...makeCitations(receipt, page), ...makeEntries(receipt, page),
  ];
}

function sayReceipt(receipt, page) {
  const mode = page.strings[receipt.mode];
  const said = [`mode ${mode}: ${Number(receipt.percent.toPrecision(3))} % of the corpus of ${count(receipt.documents)} documents in the prompt`];
  if (receipt.unread) said.push(`${count(receipt.unread)} documents not in the prompt`);
  if (receipt.truncated) said.push("candidates left out for lack of room");
  if (receipt.insufficient) said.push("insufficient evidence in the prompt");
  if (receipt.drift) said.push(`the server read ${count(Math.abs(receipt.drift))} tokens ${receipt.drift > 0 ? "more" : "fewer"} than planned`);
  if (receipt.removed) said.push(`${count(receipt.removed)} citations of nothing in the prompt were removed`);
  if (receipt.calls > 1) said.push(`${count(receipt.calls)} calls${mode === "exhaustive" ? ", the window is that of the longest" : ""}`);
  return `${said.join("; ")}.`;
}

function makeFates(receipt, page) {
  if (!receipt.fates.length) return [];
  return [make("h4", {}, "Candidates"), makeTable({
    caption: "All of them by fate", columns: [["fate", "text"], ["chunks", "number"], ["tokens", "number"]],
    rows: receipt.fates.map(([fate, number, tokens]) => [page.strings[fate], count(number), count(tokens)]),
  })];
}

function makeCitations(receipt, page) {
  if (!receipt.citations.length) return [];
  return [make("h4", {}, "Cited"), make("ul", { class: "cited" }, receipt.citations.map(([marker, label, source, start, end, quote, left]) =>
    make("li", {}, make("span", {}, `[${marker}] ${page.strings[label]} `), make("span", { class: "muted" }, `(${page.strings[source]}, characters ${start} to ${end})`),
      page.strings[quote] ? make("blockquote", { dir: "auto" }, `${page.strings[quote]}${left ? "…" : ""}`) : null)))];
}

function makeEntries(receipt, page) {
  const left = receipt.unlisted
    ? [make("p", { class: "small muted" }, `${count(receipt.unlisted)} ${receipt.entries.length ? "more " : ""}candidates are counted above and not listed in this page.`)]
    : [];
  if (!receipt.entries.length) return left;
  const entries = [];
  for (let at = 0; at < receipt.entries.length; at += ENTRY_SIZE) entries.push(receipt.entries.slice(at, at + ENTRY_SIZE));
  const table = makeTable({
    caption: "By rank, with the number in the prompt",
    columns: [["rank", "number"], ["chunk", "text"], ["tokens", "number"]],
    rows: entries.map(([rank, label, tokens, fate, marker]) =>
      [count(rank), `${page.strings[fate]}${marker ? ` [${marker}]` : ""}: ${page.strings[label]}`, count(tokens)]),
  });
  entries.forEach((entry, at) => { if (!entry[4]) table.querySelectorAll("tbody tr")[at].classList.add("left-out"); });
  return [make("details", { class: "entries" },
    make("summary", {}, `Kept and left out: ${count(entries.length)} candidates listed`), table), ...left];
}

show();
