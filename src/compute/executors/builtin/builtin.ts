/** The back end that needs nothing but this package: small models on the CPU, vectors by spelling, WASI modules. */
import { hash } from 'node:crypto';
import { availableParallelism, totalmem } from 'node:os';
import { NodeError, toNodeError } from '../../../errors.ts';
import type { Logger } from '../../../log.ts';
import type { Capability, Executor, ExecutorIo, ExecutorJob, ExecutorOutcome } from '../executor.ts';
import { CHAT, EMBED, readChat, readEmbed, requireVectorRoom, WASM } from '../job.ts';
import { canceled, withSignal } from '../pieces.ts';
import { Slots } from '../slots.ts';
import { ChildHost } from './child-host.ts';
import { HASH_EMBEDDING_RULES, HASH_EMBEDDING_SIZE } from './hash-embedding.ts';
import type { ModelSpec, Task, TaskResult } from './messages.ts';
import type { ModelFile } from './model-files.ts';
import { ModelFiles } from './model-files.ts';
import { ModuleRunner, WASM_CAPABILITY, WASM_MODEL } from './modules.ts';

const EMBED_MODEL = 'aitbc-hash-256';

export interface BuiltinOptions {
  /** Folder of further GGUF files, `models` of the home; null for none. */
  readonly modelsFolder: string | null;
  readonly log: Logger;
  /** Jobs at once of one kind, and of one model. */
  readonly parallel?: number;
  /** Models kept loaded at once. */
  readonly maxLoadedModels?: number;
  /** Most tokens of prompt and answer together; more take more memory for every conversation. */
  readonly contextTokens?: number;
  /** Largest model file offered, in bytes; half the machine's memory when not given. */
  readonly maxModelBytes?: number;
  /** How long a module may compute, without the time it waits for its output to be taken. */
  readonly wasmTimeoutMs?: number;
  /** From SIGTERM to SIGKILL. */
  readonly killAfterMs?: number;
}

interface OfferedModel {
  readonly file: ModelFile;
  readonly contextTokens: number;
  readonly slots: Slots;
}

/** Of the language models' child; what llama.cpp allocates is beside it. */
const MODELS_CHILD_FLAGS = ['--max-old-space-size=512'];
/** Of the texts of a job: written in full, as they are compared, they may take twenty times the room. */
const MAX_EMBED_BYTES = 16 * 1024 * 1024;
const SMALL_MODEL_BYTES = 64 * 1024 * 1024;

export function createBuiltin(options: BuiltinOptions): Executor {
  return new Builtin(options);
}

class Builtin implements Executor {
  readonly id = 'builtin';
  readonly #log: Logger;
  readonly #parallel: number;
  readonly #maxLoaded: number;
  readonly #contextTokens: number;
  readonly #files: ModelFiles;
  readonly #embedSlots: Slots;
  readonly #models: ChildHost;
  readonly #modules: ModuleRunner;
  readonly #closed = new AbortController();
  #offered = new Map<string, OfferedModel>();
  #probed: Promise<void> | null = null;
  #loaded: ReadonlySet<string> = new Set();
  #loadedIn: number | null = null;

  constructor(options: BuiltinOptions) {
    this.#log = options.log;
    this.#parallel = options.parallel ?? 4;
    this.#maxLoaded = options.maxLoadedModels ?? 2;
    this.#contextTokens = options.contextTokens ?? 4_096;
    const killAfterMs = options.killAfterMs ?? 2_000;
    this.#files = new ModelFiles({
      folder: options.modelsFolder,
      maxBytes: options.maxModelBytes ?? totalmem() / 2,
      log: options.log,
    });
    this.#embedSlots = new Slots(this.#parallel);
    this.#models = new ChildHost({ execArgv: MODELS_CHILD_FLAGS, killAfterMs });
    this.#modules = new ModuleRunner({
      parallel: this.#parallel,
      timeoutMs: options.wasmTimeoutMs ?? 120_000,
      killAfterMs,
    });
  }

  async probe(signal: AbortSignal): Promise<readonly Capability[]> {
    await this.#find(signal);
    const chats = [...this.#offered.values()].map(
      ({ file, contextTokens }): Capability => ({
        kind: CHAT,
        model: file.name,
        digest: file.digest,
        contextTokens,
        streams: true,
        // Prebuilt code for each generation of processors, and batches of several jobs: sums round differently.
        deterministic: false,
        warm: this.#isWarm(file.path),
        tags: file.bundled ? ['cpu', 'demo'] : ['cpu'],
      }),
    );
    return [...chats, EMBED_CAPABILITY, WASM_CAPABILITY];
  }

  async prepare(kind: string, model: string, signal: AbortSignal): Promise<void> {
    if (kind === CHAT) {
      const { file } = await this.#modelOf(model);
      const io = withSignal(silent(signal), this.#closed.signal);
      await this.#callModels({ type: 'load', model: this.#specOf(file) }, io);
    } else {
      requireModel(kind, model);
    }
  }

  async run(job: ExecutorJob, io: ExecutorIo): Promise<ExecutorOutcome> {
    if (this.#closed.signal.aborted) throw closed();
    if (io.signal.aborted) throw canceled();
    const bounded = withSignal(io, this.#closed.signal);
    if (job.kind === CHAT) return this.#chat(job, bounded);
    requireModel(job.kind, job.model);
    return job.kind === EMBED ? this.#embed(job, bounded) : this.#modules.run(job, bounded);
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await Promise.all([this.#models.stop(), this.#modules.close()]);
  }

  async #chat(job: ExecutorJob, io: ExecutorIo): Promise<ExecutorOutcome> {
    const { file, slots } = await this.#modelOf(job.model);
    const chat = readChat(job);
    return slots.with(() =>
      this.#callModels({ type: 'chat', model: this.#specOf(file), chat, maxOutputBytes: job.maxOutputBytes }, io),
    );
  }

  async #embed(job: ExecutorJob, io: ExecutorIo): Promise<ExecutorOutcome> {
    const texts = readEmbed(job);
    const bytes = job.parts.reduce((sum, { data }) => sum + data.length, 0);
    if (bytes > MAX_EMBED_BYTES) {
      throw new NodeError('BAD_JOB', `${EMBED}: ${bytes} bytes of text, ${MAX_EMBED_BYTES} are taken`);
    }
    requireVectorRoom(job, texts.length * HASH_EMBEDDING_SIZE);
    return this.#embedSlots.with(() => this.#callModels({ type: 'embed', texts }, io));
  }

  async #callModels(task: Task, io: ExecutorIo): Promise<ExecutorOutcome> {
    const result = await this.#models.call(task, io);
    if (task.type === 'load' || task.type === 'chat') {
      this.#loaded = new Set(result.loaded);
      this.#loadedIn = this.#models.pid;
    }
    return outcomeOf(result);
  }

  #isWarm(path: string): boolean {
    return this.#loadedIn !== null && this.#loadedIn === this.#models.pid && this.#loaded.has(path);
  }

  #specOf({ path, bundled, sizeBytes }: ModelFile): ModelSpec {
    return {
      path,
      form: bundled ? 'question-answer' : 'template',
      contextTokens: this.#contextTokens,
      sequences: this.#parallel,
      // What fits into the cache is slower on several cores than on one.
      threads: sizeBytes <= SMALL_MODEL_BYTES ? 1 : Math.max(1, availableParallelism() - 1),
      maxLoaded: this.#maxLoaded,
    };
  }

  /** @throws NodeError NO_MODEL */
  async #modelOf(name: string): Promise<OfferedModel> {
    await (this.#probed ?? this.#find(this.#closed.signal));
    const model = this.#offered.get(name);
    if (model === undefined) throw noModel(CHAT, name);
    return model;
  }

  /** What failed is not remembered: the next job looks again. */
  #find(signal: AbortSignal): Promise<void> {
    const probed = this.#findModels(signal);
    this.#probed = probed;
    probed.catch(() => {
      if (this.#probed === probed) this.#probed = null;
    });
    return probed;
  }

  async #findModels(signal: AbortSignal): Promise<void> {
    const offered = new Map<string, OfferedModel>();
    for (const file of await this.#files.list(signal)) {
      const contextTokens = await this.#trainedContext(file, signal);
      if (contextTokens === null) continue;
      offered.set(file.name, {
        file,
        contextTokens: Math.min(contextTokens, this.#contextTokens),
        slots: this.#offered.get(file.name)?.slots ?? new Slots(this.#parallel),
      });
    }
    this.#offered = offered;
  }

  /** Null for a file that llama.cpp cannot serve; that it runs on this machine at all is found out in the same way. */
  async #trainedContext(file: ModelFile, signal: AbortSignal): Promise<number | null> {
    try {
      const io = withSignal(silent(signal), this.#closed.signal);
      return (await this.#models.call({ type: 'inspect', path: file.path }, io)).contextTokens;
    } catch (error) {
      if (signal.aborted || this.#closed.signal.aborted) throw error;
      this.#log.warn('model is not offered', { path: file.path, error: toNodeError(error) });
      return null;
    }
  }
}

const EMBED_CAPABILITY: Capability = {
  kind: EMBED,
  model: EMBED_MODEL,
  digest: new Uint8Array(hash('sha256', HASH_EMBEDDING_RULES, 'buffer')),
  contextTokens: null,
  streams: false,
  deterministic: true,
  warm: true,
  tags: ['cpu', 'demo'],
};

/** Of these a result can be held against another one. */
export const DETERMINISTIC_CAPABILITIES: readonly Capability[] = [EMBED_CAPABILITY, WASM_CAPABILITY].filter(
  ({ deterministic }) => deterministic,
);

function outcomeOf({ finish, inputTokens, outputTokens }: TaskResult): ExecutorOutcome {
  return { finish, inputTokens, outputTokens };
}

/** @throws NodeError NO_MODEL */
function requireModel(kind: string, model: string): void {
  if (kind === EMBED && model === EMBED_MODEL) return;
  if (kind === WASM && model === WASM_MODEL) return;
  throw noModel(kind, model);
}

function noModel(kind: string, model: string): NodeError {
  return new NodeError('NO_MODEL', 'the built-in back end does not offer that kind and model', {
    data: { kind, model },
    hint: 'see what this miner offers',
  });
}

/** For tasks without output. */
function silent(signal: AbortSignal): ExecutorIo {
  return { signal, emit: () => Promise.resolve() };
}

function closed(): NodeError {
  return new NodeError('EXECUTOR', 'the back end is closed');
}
