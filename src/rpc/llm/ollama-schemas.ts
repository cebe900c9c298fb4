/** Ollama's shapes, as far as the market can keep them. What it cannot is refused, not ignored. */
import Type from 'typebox';
import { strict } from '../app.ts';
import { anyObject, count, text, time } from '../schemas.ts';

const opt = Type.Optional;
const model = Type.String({ pattern: '^[\\x21-\\x7e]{0,128}$', description: 'as /api/tags lists them; empty: any' });

const options = opt(
  strict({
    temperature: opt(Type.Number({ minimum: 0, maximum: 2 })),
    top_p: opt(Type.Number({ minimum: 0, maximum: 1 })),
    seed: opt(Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 })),
    num_predict: opt(Type.Integer({ minimum: -1, maximum: 1_000_000, description: '-1: as many as there come' })),
    stop: opt(Type.Union([text, Type.Array(text, { maxItems: 16 })])),
  }),
);
/** A miner keeps its models as it likes. */
const keepAlive = opt(Type.Union([text, Type.Number()]));
const asked = {
  model,
  stream: opt(Type.Boolean({ description: 'true when absent' })),
  options,
  keep_alive: keepAlive,
  think: opt(Type.Unsafe<false>(Type.Enum([false] as unknown as string[]))),
  format: opt(Type.Unsafe<''>(Type.Enum(['']))),
};

const OllamaMessage = strict({
  role: Type.Unsafe<'system' | 'user' | 'assistant' | 'tool'>(Type.Enum(['system', 'user', 'assistant', 'tool'])),
  content: text,
  images: opt(Type.Array(text, { maxItems: 0 })),
});
export const OllamaChatBody = strict({
  ...asked,
  messages: Type.Array(OllamaMessage, { minItems: 1 }),
  tools: opt(Type.Array(anyObject, { maxItems: 0 })),
});
export const OllamaGenerateBody = strict({
  ...asked,
  prompt: Type.String({ minLength: 1 }),
  system: opt(text),
  suffix: opt(Type.Unsafe<''>(Type.Enum(['']))),
  raw: opt(Type.Unsafe<false>(Type.Enum([false] as unknown as string[]))),
  images: opt(Type.Array(text, { maxItems: 0 })),
});
export const OllamaEmbedBody = strict({
  model,
  input: Type.Union([text, Type.Array(text, { minItems: 1, maxItems: 256 })]),
  truncate: opt(Type.Boolean()),
  keep_alive: keepAlive,
  options: opt(strict({})),
});
export const OllamaShowBody = strict({ model: opt(model), name: opt(model), verbose: opt(Type.Boolean()) });

/** In ns, by this node's clock. */
const figures = {
  done_reason: opt(Type.Unsafe<'stop' | 'length'>(Type.Enum(['stop', 'length']))),
  total_duration: opt(count),
  load_duration: opt(count),
  eval_duration: opt(count),
  prompt_eval_count: opt(count),
  eval_count: opt(count),
  aitbc: opt(anyObject),
};
export const OllamaChat = strict({
  model: text,
  created_at: time,
  message: strict({ role: text, content: text }),
  done: Type.Boolean(),
  ...figures,
});
export const OllamaGenerated = strict({
  model: text,
  created_at: time,
  response: text,
  done: Type.Boolean(),
  ...figures,
});
export const OllamaEmbedded = strict({
  model: text,
  embeddings: Type.Array(Type.Array(Type.Number())),
  total_duration: count,
  load_duration: count,
  prompt_eval_count: opt(count),
});

const details = strict({
  parent_model: text,
  format: text,
  family: text,
  families: Type.Array(text),
  parameter_size: text,
  quantization_level: text,
});
const listed = { name: text, model: text, digest: text, size: count, details };
export const OllamaTags = strict({ models: Type.Array(strict({ ...listed, modified_at: time })) });
export const OllamaPs = strict({ models: Type.Array(strict({ ...listed, expires_at: time, size_vram: count })) });
export const OllamaShown = strict({
  modelfile: text,
  parameters: text,
  template: text,
  details,
  model_info: anyObject,
  capabilities: Type.Array(text),
  modified_at: time,
});
export const OllamaVersion = strict({ version: text });

export const OllamaFailure = strict({
  error: text,
  code: text,
  retryable: Type.Boolean(),
  instance: text,
  hint: opt(text),
  data: opt(anyObject),
});
