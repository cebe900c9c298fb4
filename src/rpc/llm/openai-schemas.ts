/**
 * OpenAI's shapes, as far as the market can keep them. What it cannot is refused, not ignored; fields may be given where
 * they ask for what happens anyway.
 */
import Type from 'typebox';
import { strict } from '../app.ts';
import { anyObject, count, nullable, text } from '../schemas.ts';

const opt = Type.Optional;
const only = <const T extends readonly (string | number | boolean)[]>(...values: T) =>
  Type.Unsafe<T[number]>(Type.Enum(values as unknown as string[]));

const model = Type.String({ pattern: '^[\\x21-\\x7e]{0,128}$', description: 'as /v1/models lists them; empty: any' });
const textItem = strict({ type: only('text'), text });
export const ChatMessage = strict({
  role: only('system', 'developer', 'user', 'assistant', 'tool'),
  content: Type.Union([text, Type.Array(textItem)]),
  refusal: opt(Type.Null()),
  tool_call_id: opt(text),
});

/** Of what is silently right. */
const idle = {
  n: opt(only(1)),
  user: opt(text),
  safety_identifier: opt(text),
  metadata: opt(nullable(anyObject)),
  store: opt(nullable(only(false))),
  service_tier: opt(nullable(only('auto', 'default'))),
  logprobs: opt(nullable(only(false))),
  frequency_penalty: opt(nullable(only(0))),
  presence_penalty: opt(nullable(only(0))),
  logit_bias: opt(nullable(strict({}))),
};
const sampling = {
  max_tokens: opt(nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 }))),
  temperature: opt(nullable(Type.Number({ minimum: 0, maximum: 2 }))),
  top_p: opt(nullable(Type.Number({ minimum: 0, maximum: 1 }))),
  seed: opt(nullable(Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 }))),
  stop: opt(nullable(Type.Union([text, Type.Array(text, { maxItems: 16 })]))),
  stream: opt(nullable(Type.Boolean())),
  stream_options: opt(
    nullable(strict({ include_usage: opt(Type.Boolean()), include_obfuscation: opt(Type.Boolean()) })),
  ),
};

export const ChatBody = strict({
  model,
  messages: Type.Array(ChatMessage, { minItems: 1 }),
  ...sampling,
  ...idle,
  max_completion_tokens: opt(nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 }))),
  response_format: opt(nullable(strict({ type: only('text') }))),
  modalities: opt(nullable(Type.Array(only('text')))),
  tools: opt(nullable(Type.Array(anyObject, { maxItems: 0 }))),
  tool_choice: opt(nullable(only('none', 'auto'))),
  parallel_tool_calls: opt(Type.Boolean()),
});

export const CompletionBody = strict({
  model,
  prompt: Type.Union([text, Type.Array(text, { minItems: 1, maxItems: 1 })]),
  ...sampling,
  ...idle,
  logprobs: opt(Type.Null()),
  best_of: opt(nullable(only(1))),
  echo: opt(nullable(only(false))),
  suffix: opt(Type.Null()),
});

export const EmbeddingBody = strict({
  model,
  input: Type.Union([text, Type.Array(text, { minItems: 1, maxItems: 256 })]),
  encoding_format: opt(only('float', 'base64')),
  user: opt(text),
});

const Usage = strict({ prompt_tokens: count, completion_tokens: count, total_tokens: count });
const finishReason = only('stop', 'length');

export const ChatCompletion = strict({
  id: text,
  object: only('chat.completion'),
  created: count,
  model: text,
  choices: Type.Array(
    strict({
      index: count,
      message: strict({ role: only('assistant'), content: text, refusal: Type.Null() }),
      logprobs: Type.Null(),
      finish_reason: finishReason,
    }),
  ),
  usage: opt(Usage),
});

export const Completion = strict({
  id: text,
  object: only('text_completion'),
  created: count,
  model: text,
  choices: Type.Array(strict({ index: count, text, logprobs: Type.Null(), finish_reason: finishReason })),
  usage: opt(Usage),
});

export const Embeddings = strict({
  object: only('list'),
  data: Type.Array(
    strict({ object: only('embedding'), index: count, embedding: Type.Union([Type.Array(Type.Number()), text]) }),
  ),
  model: text,
  usage: strict({ prompt_tokens: count, total_tokens: count }),
});

export const OpenAiModel = strict({
  id: text,
  object: only('model'),
  created: count,
  owned_by: text,
  kinds: Type.Array(text),
  digest: text,
  context_tokens: count,
  tags: Type.Array(text),
  miners: count,
});
export const OpenAiModels = strict({ object: only('list'), data: Type.Array(OpenAiModel) });

export const OpenAiFailure = strict({
  error: strict({
    message: text,
    type: text,
    param: nullable(text),
    code: text,
    retryable: Type.Boolean(),
    instance: text,
    hint: opt(text),
    data: opt(anyObject),
  }),
});
