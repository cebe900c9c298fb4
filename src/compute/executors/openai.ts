/** Any server that speaks OpenAI's HTTP API: vLLM, llama-server, LM Studio, SGLang, TGI. */
import { NodeError } from '../../errors.ts';
import type { Capability, Executor, ExecutorIo, ExecutorJob, ExecutorOutcome } from './executor.ts';
import type { ChatDelta } from './http/answers.ts';
import { chatBounds, readVectors, streamChat, unreachableIsFailure } from './http/answers.ts';
import type { ModelServerOptions } from './http/client.ts';
import { countAt, listAt, ModelServer, parseJson, reasonIn, recordAt, textAt } from './http/client.ts';
import { readEvents } from './http/lines.ts';
import type { ChatJob } from './job.ts';
import { CHAT, EMBED, readChat, readEmbed, vectorBytes } from './job.ts';
import { canceled, emitAll, withSignal } from './pieces.ts';
import { Slots } from './slots.ts';

export interface OpenAiOptions extends ModelServerOptions {
  readonly id?: string;
  /** Jobs at once; such servers batch. */
  readonly parallel?: number;
  /** Names of models that give vectors: the API does not tell them from those that chat. */
  readonly embeddingModels?: readonly string[];
}

const MAX_MODELS = 256;
const PROBE_TIMEOUT_MS = 10_000;
const LAST_EVENT = '[DONE]';

export function createOpenAi(options: OpenAiOptions): Executor {
  const server = new ModelServer(options);
  const slots = new Slots(options.parallel ?? 8);
  const embedding = new Set(options.embeddingModels ?? []);
  const closing = new AbortController();
  let models: Promise<readonly Capability[]> | null = null;

  async function list(signal: AbortSignal): Promise<readonly Capability[]> {
    const answer = await server.json('/v1/models', { signal, firstByteTimeoutMs: PROBE_TIMEOUT_MS });
    const entries = listAt(answer, 'data').slice(0, MAX_MODELS);
    return entries.filter((entry) => textAt(entry, 'id') !== '').map((entry) => capability(entry, embedding));
  }

  /** What failed is not remembered: the next job asks again. */
  function find(signal: AbortSignal): Promise<readonly Capability[]> {
    const listed = list(signal);
    models = listed;
    listed.catch(() => {
      if (models === listed) models = null;
    });
    return listed;
  }

  async function requireModel(kind: string, model: string): Promise<void> {
    const known = await (models ?? find(closing.signal));
    if (known.some((offered) => offered.kind === kind && offered.model === model)) return;
    throw new NodeError('NO_MODEL', 'the server does not offer that kind and model', { data: { kind, model } });
  }

  async function chat(job: ExecutorJob, request: ChatJob, io: ExecutorIo): Promise<ExecutorOutcome> {
    const body = await server.stream('/v1/chat/completions', { body: chatBody(job.model, request), signal: io.signal });
    const events = readEvents(body, chatBounds(job.maxOutputBytes));
    return streamChat(deltas(events), { maxOutputBytes: job.maxOutputBytes, stops: request.stops }, io);
  }

  async function embed(job: ExecutorJob, texts: readonly string[], io: ExecutorIo): Promise<ExecutorOutcome> {
    const body = { model: job.model, input: texts, encoding_format: 'float' };
    const answer = await server.json('/v1/embeddings', { body, signal: io.signal });
    const vectors = new Map(
      listAt(answer, 'data').map((entry) => [countAt(entry, 'index'), listAt(entry, 'embedding')]),
    );
    await emitAll(io, vectorBytes(job, readVectors(texts.map((_, index) => vectors.get(index) ?? []))));
    return { finish: 'stop', inputTokens: countAt(recordAt(answer, 'usage'), 'prompt_tokens'), outputTokens: null };
  }

  async function perform(job: ExecutorJob, io: ExecutorIo): Promise<ExecutorOutcome> {
    await requireModel(job.kind, job.model);
    if (job.kind === CHAT) {
      const request = readChat(job);
      return slots.with(() => chat(job, request, io));
    }
    const texts = readEmbed(job);
    return slots.with(() => embed(job, texts, io));
  }

  return {
    id: options.id ?? 'openai',
    async probe(signal) {
      return find(signal);
    },
    async prepare(kind, model) {
      await requireModel(kind, model);
    },
    async run(job, given) {
      if (closing.signal.aborted) throw new NodeError('EXECUTOR', 'the back end is closed');
      const io = withSignal(given, closing.signal);
      if (io.signal.aborted) throw canceled();
      return unreachableIsFailure(perform(job, io));
    },
    close() {
      closing.abort();
      return Promise.resolve();
    },
  };
}

function capability(entry: unknown, embedding: ReadonlySet<string>): Capability {
  const model = textAt(entry, 'id');
  const chats = !embedding.has(model);
  return {
    kind: chats ? CHAT : EMBED,
    model,
    // The API names no content of a model.
    digest: null,
    // vLLM's field, or llama-server's.
    contextTokens: countAt(entry, 'max_model_len') ?? countAt(recordAt(entry, 'meta'), 'n_ctx_train'),
    streams: chats,
    deterministic: false,
    warm: true,
    tags: [],
  };
}

function chatBody(model: string, { messages, maxTokens, temperatureMilli, topPMilli, seed, stops }: ChatJob): unknown {
  return {
    model,
    messages,
    stream: true,
    stream_options: { include_usage: true },
    temperature: temperatureMilli / 1000,
    ...(maxTokens === null ? {} : { max_tokens: maxTokens }),
    ...(topPMilli === null ? {} : { top_p: topPMilli / 1000 }),
    ...(seed === null ? {} : { seed }),
    ...(stops.length === 0 ? {} : { stop: stops }),
  };
}

async function* deltas(events: AsyncIterable<string>): AsyncGenerator<ChatDelta> {
  for await (const event of events) {
    if (event === LAST_EVENT) return;
    const message = parseJson(event);
    const reason = reasonIn(message);
    if (reason !== null)
      throw new NodeError('EXECUTOR', 'the server failed in the middle of its answer', { data: { reason } });
    const [choice] = listAt(message, 'choices');
    const usage = recordAt(message, 'usage');
    yield {
      text: textAt(recordAt(choice, 'delta'), 'content'),
      finish: finishOf(textAt(choice, 'finish_reason')),
      inputTokens: countAt(usage, 'prompt_tokens'),
      outputTokens: countAt(usage, 'completion_tokens'),
    };
  }
}

function finishOf(reason: string): 'stop' | 'length' | null {
  if (reason === '') return null;
  return reason === 'length' ? 'length' : 'stop';
}
