/** Any Ollama server. Its model's digest is the identity that is sold. */
import { fromHex } from '../../bytes.ts';
import { NodeError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Capability, Executor, ExecutorIo, ExecutorJob, ExecutorOutcome } from './executor.ts';
import type { ChatDelta } from './http/answers.ts';
import { chatBounds, readVectors, streamChat, unreachableIsFailure } from './http/answers.ts';
import type { ModelServerOptions } from './http/client.ts';
import { countAt, listAt, ModelServer, parseJson, reasonIn, recordAt, textAt } from './http/client.ts';
import { readLines } from './http/lines.ts';
import type { ChatJob } from './job.ts';
import { CHAT, EMBED, readChat, readEmbed, vectorBytes } from './job.ts';
import { OllamaWatchdog } from './ollama-watchdog.ts';
import { canceled, emitAll, withSignal } from './pieces.ts';
import { Slots } from './slots.ts';

export interface OllamaOptions extends ModelServerOptions {
  readonly log: Logger;
  readonly id?: string;
  /** Jobs at once: `OLLAMA_NUM_PARALLEL` of the server. It would queue what comes beyond without saying so. */
  readonly parallel?: number;
  /** `num_ctx` of every job, since another value loads the model anew; less where a model was trained on less. */
  readonly contextTokens?: number;
  /** How long a model stays loaded without work, in seconds. */
  readonly keepAliveSeconds?: number;
  /** How long canceled work may take to stop before the model is unloaded. */
  readonly stopTimeoutMs?: number;
}

const MAX_MODELS = 64;
const PROBE_TIMEOUT_MS = 10_000;
const DIGEST = /^[0-9a-f]{64}$/;
const DEFAULT_TAG = ':latest';

export function createOllama(options: OllamaOptions): Executor {
  return new Ollama(options);
}

class Ollama implements Executor {
  readonly id: string;
  readonly #server: ModelServer;
  readonly #slots: Slots;
  readonly #contextTokens: number;
  readonly #keepAlive: string;
  readonly #watchdog: OllamaWatchdog;
  readonly #closing = new AbortController();
  #models: Promise<readonly Capability[]> | null = null;

  constructor(options: OllamaOptions) {
    this.id = options.id ?? 'ollama';
    this.#server = new ModelServer(options);
    this.#slots = new Slots(options.parallel ?? 1);
    this.#contextTokens = options.contextTokens ?? 4_096;
    this.#keepAlive = `${options.keepAliveSeconds ?? 300}s`;
    this.#watchdog = new OllamaWatchdog({
      server: this.#server,
      stopTimeoutMs: options.stopTimeoutMs ?? 10_000,
      log: options.log,
    });
  }

  async probe(signal: AbortSignal): Promise<readonly Capability[]> {
    return this.#find(signal);
  }

  async prepare(kind: string, model: string, signal: AbortSignal): Promise<void> {
    await this.#contextOf(kind, model);
    const body =
      kind === CHAT
        ? { model, keep_alive: this.#keepAlive, stream: false, options: await this.#loadOptions(model) }
        : { model, keep_alive: this.#keepAlive, input: '' };
    await unreachableIsFailure(this.#server.json(kind === CHAT ? '/api/generate' : '/api/embed', { body, signal }));
  }

  async run(job: ExecutorJob, given: ExecutorIo): Promise<ExecutorOutcome> {
    if (this.#closing.signal.aborted) throw new NodeError('EXECUTOR', 'the back end is closed');
    const io = withSignal(given, this.#closing.signal);
    if (io.signal.aborted) throw canceled();
    return unreachableIsFailure(this.#perform(job, io));
  }

  close(): Promise<void> {
    this.#closing.abort();
    return Promise.resolve();
  }

  async #perform(job: ExecutorJob, io: ExecutorIo): Promise<ExecutorOutcome> {
    await this.#contextOf(job.kind, job.model);
    if (job.kind === CHAT) {
      const request = readChat(job);
      return this.#slots.with(() => this.#chat(job, request, io));
    }
    const texts = readEmbed(job);
    return this.#slots.with(() => this.#embed(job, texts, io));
  }

  async #chat(job: ExecutorJob, request: ChatJob, io: ExecutorIo): Promise<ExecutorOutcome> {
    const body = this.#chatBody(job.model, request, await this.#loadOptions(job.model));
    return this.#watchdog.watch(job.model, async (finished) => {
      const lines = readLines(
        await this.#server.stream('/api/chat', { body, signal: io.signal }),
        chatBounds(job.maxOutputBytes),
      );
      const output = { maxOutputBytes: job.maxOutputBytes, stops: request.stops };
      return streamChat(deltas(lines, finished), output, io);
    });
  }

  async #embed(job: ExecutorJob, texts: readonly string[], io: ExecutorIo): Promise<ExecutorOutcome> {
    const body = { model: job.model, input: texts, truncate: false, keep_alive: this.#keepAlive };
    const answer = await this.#server.json('/api/embed', { body, signal: io.signal });
    const lists = listAt(answer, 'embeddings');
    const vectors = readVectors(texts.map((_, index) => listAt({ list: lists[index] }, 'list')));
    await emitAll(io, vectorBytes(job, vectors));
    return { finish: 'stop', inputTokens: countAt(answer, 'prompt_eval_count'), outputTokens: null };
  }

  #chatBody(
    model: string,
    { messages, maxTokens, temperatureMilli, topPMilli, seed, stops }: ChatJob,
    load: object,
  ): unknown {
    return {
      model,
      messages,
      stream: true,
      // What does not fit is an error instead of a prompt without its beginning.
      truncate: false,
      shift: false,
      think: false,
      keep_alive: this.#keepAlive,
      options: {
        ...load,
        temperature: temperatureMilli / 1000,
        ...(maxTokens === null ? {} : { num_predict: maxTokens }),
        ...(topPMilli === null ? {} : { top_p: topPMilli / 1000 }),
        ...(seed === null ? {} : { seed }),
        ...(stops.length === 0 ? {} : { stop: stops }),
      },
    };
  }

  async #loadOptions(model: string): Promise<object> {
    return { num_ctx: (await this.#contextOf(CHAT, model)) ?? this.#contextTokens };
  }

  /** @throws NodeError NO_MODEL */
  async #contextOf(kind: string, model: string): Promise<number | null> {
    const known = (await (this.#models ?? this.#find(this.#closing.signal))).find(
      (offered) => offered.kind === kind && offered.model === withoutDefaultTag(model),
    );
    if (known !== undefined) return known.contextTokens;
    throw new NodeError('NO_MODEL', 'the Ollama server does not offer that kind and model', { data: { kind, model } });
  }

  /** What failed is not remembered: the next job asks again. */
  #find(signal: AbortSignal): Promise<readonly Capability[]> {
    const models = this.#list(signal);
    this.#models = models;
    models.catch(() => {
      if (this.#models === models) this.#models = null;
    });
    return models;
  }

  async #list(signal: AbortSignal): Promise<readonly Capability[]> {
    const request = { signal, firstByteTimeoutMs: PROBE_TIMEOUT_MS };
    const loaded = new Map<string, number>();
    for (const entry of listAt(await this.#server.json('/api/ps', request), 'models')) {
      loaded.set(textAt(entry, 'digest'), countAt(entry, 'size_vram') ?? 0);
    }
    const capabilities: Capability[] = [];
    for (const entry of listAt(await this.#server.json('/api/tags', request), 'models').slice(0, MAX_MODELS)) {
      const capability = await this.#describe(entry, loaded, signal);
      if (capability !== null) capabilities.push(capability);
    }
    return capabilities;
  }

  /** Null for what is not to be sold: a model that a cloud computes, or one that does neither of the kinds. */
  async #describe(
    entry: unknown,
    loaded: ReadonlyMap<string, number>,
    signal: AbortSignal,
  ): Promise<Capability | null> {
    const name = textAt(entry, 'name');
    const digest = textAt(entry, 'digest');
    if (name === '' || isRemote(entry)) return null;
    const request = { body: { model: name }, signal, firstByteTimeoutMs: PROBE_TIMEOUT_MS };
    const shown = await this.#server.json('/api/show', request);
    if (isRemote(shown)) return null;
    const abilities = listAt(shown, 'capabilities');
    const embeds = abilities.includes('embedding');
    // Servers before 0.6.4 do not tell, and served chats before all.
    if (!embeds && abilities.length > 0 && !abilities.includes('completion')) return null;
    const info = recordAt(shown, 'model_info');
    const trained = countAt(info, `${textAt(info, 'general.architecture')}.context_length`);
    return {
      kind: embeds ? EMBED : CHAT,
      model: withoutDefaultTag(name),
      digest: DIGEST.test(digest) ? fromHex(digest) : null,
      contextTokens: Math.min(trained ?? this.#contextTokens, this.#contextTokens),
      streams: !embeds,
      deterministic: false,
      warm: loaded.has(digest),
      tags: (loaded.get(digest) ?? 0) > 0 ? ['gpu'] : [],
    };
  }
}

function isRemote(entry: unknown): boolean {
  return textAt(entry, 'remote_host') !== '' || textAt(entry, 'remote_model') !== '';
}

/** Ollama's own names leave it out, and so do the people who ask for a model. */
function withoutDefaultTag(model: string): string {
  return model.endsWith(DEFAULT_TAG) ? model.slice(0, -DEFAULT_TAG.length) : model;
}

async function* deltas(lines: AsyncIterable<string>, finished: () => void): AsyncGenerator<ChatDelta> {
  for await (const line of lines) {
    if (line === '') continue;
    const message = parseJson(line);
    const reason = reasonIn(message);
    if (reason !== null) {
      throw new NodeError('EXECUTOR', 'the server failed in the middle of its answer', { data: { reason } });
    }
    const done = recordAt(message)['done'] === true;
    if (done) finished();
    yield {
      text: textAt(recordAt(message, 'message'), 'content'),
      finish: done ? (textAt(message, 'done_reason') === 'length' ? 'length' : 'stop') : null,
      inputTokens: countAt(message, 'prompt_eval_count'),
      outputTokens: countAt(message, 'eval_count'),
    };
    if (done) return;
  }
}
