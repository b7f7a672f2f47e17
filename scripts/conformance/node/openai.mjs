// The OpenAI SDK for JavaScript.

import OpenAI, { APIError } from "openai";
import { VERSION } from "openai/version";

import { main } from "./checks.mjs";

async function answer(call) {
  const completion = await clientOf(call).chat.completions.create(bodyOf(call));
  const text = completion.choices[0].message.content ?? "";
  return { text, receipt: completion.context, promptTokens: completion.usage?.prompt_tokens };
}

async function* stream(call, signal) {
  const body = { ...bodyOf(call), stream: true, stream_options: { include_usage: true } };
  const events = await clientOf(call).chat.completions.create(body, { signal });
  const reply = { text: "", receipt: undefined, promptTokens: undefined };
  for await (const chunk of events) {
    reply.receipt ??= chunk.context;
    reply.promptTokens ??= chunk.usage?.prompt_tokens;
    const delta = chunk.choices[0]?.delta.content ?? "";
    reply.text += delta;
    yield { delta };
  }
  yield { reply };
}

function failure(error) {
  if (!(error instanceof APIError)) throw error;
  const { status, code, message } = error;
  return { kind: `\`OpenAI.${error.constructor.name}\``, status, code, message };
}

function clientOf(call) {
  return new OpenAI({ baseURL: call.baseURL, apiKey: call.key, maxRetries: call.retries });
}

function bodyOf(call) {
  return { model: call.model, messages: [{ role: "user", content: call.question }] };
}

await main({
  name: "openai-node",
  version: VERSION,
  overflow: "`OpenAI.BadRequestError`",
  receiptAt: ["`completion.context`", "`chunk.context` of the first chunk"],
  answer,
  stream,
  failure,
});
