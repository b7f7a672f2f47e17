// The Vercel AI SDK with its provider for OpenAI-compatible services.

import { createRequire } from "node:module";

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText, tool } from "ai";
import { z } from "zod";

import { main } from "./checks.mjs";

// The provider hands what it does not know to the extractor that the user gives it.
const metadataExtractor = {
  extractMetadata: async ({ parsedBody }) => ({ windowfit: { context: parsedBody.context } }),
  createStreamExtractor() {
    let context;
    return {
      processChunk(chunk) {
        context ??= chunk?.context;
      },
      buildMetadata: () => ({ windowfit: { context } }),
    };
  },
};

async function answer(call) {
  const result = await generateText(argumentsOf(call));
  return replyOf(result.text, result.providerMetadata, result.usage);
}

async function* stream(call, signal) {
  // Errors are parts of the stream; the default handler would print them as well.
  const result = streamText({ ...argumentsOf(call), abortSignal: signal, onError() {} });
  for await (const part of result.fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") yield { delta: part.text };
  }
  if (signal?.aborted) return;
  const [text, metadata, usage] = [result.text, result.providerMetadata, result.usage];
  yield { reply: replyOf(await text, await metadata, await usage) };
}

async function structure(call) {
  const capital = tool({
    description: "A country and its capital.",
    inputSchema: z.object({ country: z.string(), capital: z.string() }),
  });
  const result = await generateText({ ...argumentsOf(call), tools: { capital } });
  return result.toolCalls[0].input;
}

function failure(error) {
  if (APICallError.isInstance(error)) {
    const { statusCode: status, message } = error;
    return { kind: "`AI_APICallError`", status, code: error.data?.error?.code, message };
  }
  if (error?.name?.startsWith("AI_")) return { kind: `\`${error.name}\``, message: error.message };
  return { kind: "an `error` part of `fullStream`", message: error?.message ?? String(error) };
}

function argumentsOf(call) {
  const provider = createOpenAICompatible({
    name: "windowfit",
    baseURL: call.baseURL,
    apiKey: call.key,
    includeUsage: true,
    metadataExtractor,
  });
  return { model: provider(call.model), prompt: call.question, maxRetries: call.retries };
}

function replyOf(text, metadata, usage) {
  return { text, receipt: metadata?.windowfit?.context, promptTokens: usage.inputTokens };
}

await main({
  name: "ai-sdk",
  version: createRequire(import.meta.url)("ai/package.json").version,
  overflow: "`AI_APICallError`",
  receiptAt: [
    "`providerMetadata.windowfit.context` (by a `metadataExtractor`)",
    "`providerMetadata.windowfit.context` (by a `metadataExtractor`)",
  ],
  answer,
  stream,
  failure,
  structure,
});
