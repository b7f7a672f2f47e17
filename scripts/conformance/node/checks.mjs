// What every JavaScript client must do, whatever its interface; prints one JSON line for each check.
// The checks are those of ../checks.py, for clients of the form
//   { name, version, receiptAt, overflow, answer(call), stream(call, signal), failure(error),
//     structure?(call) }
// where `stream` yields { delta } and, last, { reply: { text, receipt, promptTokens } }.

const QUESTION = "What is the capital of Peru?";
const STEADY = "Lima is the capital of Peru [1].";
const LONG_QUESTION = "Which country of all countries has Lima as its capital city? ".repeat(20);
const CANCEL_SECONDS = 2;
const CHECK_SECONDS = 45;
const PATIENCE_SECONDS = 20;

class Wrong extends Error {}

export async function main(client) {
  const root = process.argv[2];
  print({ version: client.version });
  const checks = {
    answer,
    stream,
    error: refused,
    busy,
    broken,
    cancel: cancelLate,
    "cancel early": cancelEarly,
    ...(client.structure ? { structure } : {}),
  };
  for (const [name, check] of Object.entries(checks)) {
    try {
      const note = await within(CHECK_SECONDS, check(client, root));
      print({ check: name, passed: true, note });
    } catch (error) {
      console.error(error);
      const told = error instanceof Wrong ? error.message : `${error.name}: ${error.message}`;
      print({ check: name, passed: false, note: told.slice(0, 300) });
    }
  }
  process.exit(0);
}

async function answer(client, root) {
  const reply = await client.answer(callOf(client, root, "quote"));
  expect(reply.text.includes("Lima"), `the answer is ${JSON.stringify(reply.text)}`);
  checkReply(reply, Boolean(client.receiptAt[0]));
  return client.receiptAt[0];
}

async function stream(client, root) {
  const { deltas, reply } = await listen(client, callOf(client, root, "steady"));
  const joined = deltas.join("");
  expect(deltas.length > 1, `${deltas.length} deltas`);
  expect(joined === STEADY, `the deltas join to ${JSON.stringify(joined)}`);
  expect(reply?.text === STEADY, `the stream ends with ${JSON.stringify(reply)}`);
  checkReply(reply, Boolean(client.receiptAt[1]));
  const call = callOf(client, root, "quote");
  const quoted = (await listen(client, call)).deltas.join("");
  const answered = (await client.answer(call)).text;
  expect(quoted === answered, "stream and answer of the same question differ");
  return client.receiptAt[1];
}

async function refused(client, root) {
  const call = callOf(client, root, "tiny", { question: LONG_QUESTION });
  const failure = await failureOf(client, client.answer(call));
  expect(failure.code === "context_length_exceeded", `the code is ${failure.code}`);
  expect(failure.kind === client.overflow, `it is raised as ${failure.kind}`);
  expect(failure.status === 400, `the status is ${failure.status}`);
  expect(failure.message.includes("64"), `the message is ${failure.message}`);
  const streamed = await failureOf(client, listen(client, call));
  expect(streamed.code === failure.code, `the code is ${streamed.code} in a stream`);
  return failure.kind;
}

async function busy(client, root) {
  const call = callOf(client, root, "busy", { retries: 0 });
  const failure = await failureOf(client, client.answer(call));
  expect(failure.status === 429, `the status is ${failure.status}`);
  expect(failure.code === "rate_limited", `the code is ${failure.code}`);
  const again = callOf(client, root, "busy-once");
  const started = performance.now();
  const reply = await client.answer(again);
  const waited = (performance.now() - started) / 1000;
  expect(reply.text === STEADY, `after a retry the answer is ${JSON.stringify(reply.text)}`);
  const { asked } = await seen(root, again);
  expect(asked === 2, `asked ${asked} times, once refused`);
  expect(waited >= 0.9, `tried again after ${waited.toFixed(2)} s, told to wait 1 s`);
  return failure.kind;
}

// A stream that breaks must not look like a short answer.
async function broken(client, root) {
  const heard = [];
  const failure = await failureOf(
    client,
    listen(client, callOf(client, root, "breaks", { retries: 0 }), heard),
  );
  expect(heard.join("") === "Lima is the", `heard ${heard.join("")} before the break`);
  expect(failure.message, "the error has no message");
  return failure.kind;
}

async function cancelLate(client, root) {
  const call = callOf(client, root, "slow");
  const leaving = new AbortController();
  let seconds;
  try {
    for await (const piece of client.stream(call, leaving.signal)) {
      if (!piece.delta) continue;
      leaving.abort();
      seconds = await cancelled(root, call);
      break;
    }
  } catch (error) {
    if (error instanceof Wrong) throw error; // else the client says that it was aborted
  }
  expect(seconds !== undefined, "no delta arrived");
  return `${seconds.toFixed(1)} s`;
}

async function cancelEarly(client, root) {
  const call = callOf(client, root, "silent");
  const leaving = new AbortController();
  const first = client.stream(call, leaving.signal).next();
  first.catch(() => {});
  const begun = performance.now();
  while (!(await seen(root, call)).asked) {
    const waited = (performance.now() - begun) / 1000;
    expect(waited < PATIENCE_SECONDS, "the model was never asked");
    await pause(50);
  }
  leaving.abort();
  return `${(await cancelled(root, call)).toFixed(1)} s`;
}

async function structure(client, root) {
  const given = await client.structure(callOf(client, root, "tool"));
  const expected = given.country === "Peru" && given.capital === "Lima";
  expect(expected, `the structure is ${JSON.stringify(given)}`);
  return "by a tool";
}

async function listen(client, call, deltas = []) {
  let reply;
  for await (const piece of client.stream(call, undefined)) {
    if (piece.delta) deltas.push(piece.delta);
    if (piece.reply) reply = piece.reply;
  }
  return { deltas, reply };
}

async function failureOf(client, asking) {
  let given;
  try {
    given = await within(PATIENCE_SECONDS, asking);
  } catch (error) {
    return client.failure(error);
  }
  throw new Wrong(`no error: ${JSON.stringify(given)}`);
}

function checkReply(reply, shown) {
  expect(Boolean(reply.receipt) === shown, `the receipt is ${JSON.stringify(reply.receipt)}`);
  expect(reply.promptTokens > 0, "there is no usage");
  if (!reply.receipt) return;
  const planned = reply.receipt.prompt_tokens;
  const same = planned === reply.promptTokens;
  expect(same, `${reply.promptTokens} prompt tokens in the usage, ${planned} in the receipt`);
}

async function cancelled(root, call) {
  const left = performance.now();
  for (;;) {
    const seconds = (performance.now() - left) / 1000;
    if (seconds > CANCEL_SECONDS) break;
    if ((await seen(root, call)).cancelled) return seconds;
    await pause(50);
  }
  throw new Wrong(`the model still answers ${CANCEL_SECONDS} s after the client has left`);
}

async function seen(root, call) {
  const name = call.question.split(" ").at(-1);
  return (await fetch(`${root}/probe/${name}`)).json();
}

// Returns a call whose probe no other call has.
function callOf(client, root, model, { question = QUESTION, retries = 2 } = {}) {
  const probe = `probe-${client.name}-${model}-${process.hrtime.bigint()}`;
  return { baseURL: `${root}/v1`, model, question: `${question} ${probe}`, retries, key: "any-key" };
}

async function within(seconds, work) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Wrong(`no end after ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function expect(condition, message) {
  if (!condition) throw new Wrong(message);
}

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
