/** In the child: language models by llama.cpp, on the CPU, with the binary that came with the package. */
import type { Llama, LlamaContext, LlamaModel, Token } from 'node-llama-cpp';
import { getLlama, LlamaLogLevel, readGgufFileInfo, resolveChatWrapper } from 'node-llama-cpp';
import { NodeError } from '../../../errors.ts';
import type { ExecutorIo } from '../executor.ts';
import type { ChatJob } from '../job.ts';
import { canceled, emitPiece } from '../pieces.ts';
import type { TextEnd } from '../text-output.ts';
import { TextOutput } from '../text-output.ts';
import type { ChatPrompt } from './chat-prompt.ts';
import { questionAnswerPrompt, templatePrompt } from './chat-prompt.ts';
import type { ModelSpec, Task, TaskResult } from './messages.ts';
import { TokenText } from './token-text.ts';

interface Loaded {
  readonly model: LlamaModel;
  readonly context: LlamaContext;
  readonly promptOf: (chat: ChatJob) => ChatPrompt;
}

type LlamaTask = Extract<Task, { type: 'inspect' | 'load' | 'chat' }>;
type ChatTask = Extract<Task, { type: 'chat' }>;

/** Architectures that give vectors, not text. */
const EMBEDDING_ARCHITECTURE = /bert|embed/;

/** Tokens of a prompt that are read in one step, between which a job can be canceled. */
const PROMPT_STEP = 128;

/**
 * Far above what tokens of any text have on average. Making tokens of a long text takes seconds in which the child does
 * nothing else, so what cannot fit is refused before.
 */
const MOST_BYTES_PER_TOKEN = 32;

let llama: Promise<Llama> | undefined;

/** By path; the one used last comes last. */
const models = new Map<string, Promise<Loaded>>();

/** Tasks that use or await a model, by its path: such a model is not unloaded. */
const users = new Map<string, number>();

/** Models are loaded one after the other, or there would be more of them than may be. */
let loading: Promise<unknown> = Promise.resolve();

/** @throws NodeError EXECUTOR | BAD_JOB | BUSY | CANCELED */
export async function llamaTask(task: LlamaTask, io: ExecutorIo): Promise<TaskResult> {
  if (task.type === 'inspect') return inspect(task.path);
  const { path } = task.model;
  users.set(path, (users.get(path) ?? 0) + 1);
  try {
    const loaded = await load(task.model);
    if (task.type === 'chat') return await chat(loaded, task, io);
    return { finish: 'stop', inputTokens: null, outputTokens: null, contextTokens: null, loaded: [...models.keys()] };
  } finally {
    users.set(path, (users.get(path) ?? 1) - 1);
  }
}

async function inspect(path: string): Promise<TaskResult> {
  await engine();
  const { metadata, architectureMetadata } = await readGgufFileInfo(path, { sourceType: 'filesystem' });
  const contextTokens = Number(architectureMetadata.context_length);
  if (EMBEDDING_ARCHITECTURE.test(metadata.general.architecture) || !Number.isSafeInteger(contextTokens)) {
    throw new NodeError('EXECUTOR', 'not a model that writes text');
  }
  return { finish: 'stop', inputTokens: null, outputTokens: null, contextTokens, loaded: [...models.keys()] };
}

function engine(): Promise<Llama> {
  // `never`: no compiler and no download, whatever is missing.
  llama ??= getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    logLevel: LlamaLogLevel.disabled,
  });
  return llama;
}

async function load(spec: ModelSpec): Promise<Loaded> {
  const loaded = models.get(spec.path);
  if (loaded !== undefined) {
    models.delete(spec.path);
    models.set(spec.path, loaded);
    return loaded;
  }
  const turn = loading.then(() => loadInTurn(spec));
  loading = turn.catch(() => undefined);
  return turn;
}

async function loadInTurn(spec: ModelSpec): Promise<Loaded> {
  const loaded = models.get(spec.path);
  if (loaded !== undefined) return loaded;
  await makeRoom(spec.maxLoaded);
  const opened = open(spec);
  models.set(spec.path, opened);
  try {
    return await opened;
  } catch (error) {
    models.delete(spec.path);
    throw new NodeError('EXECUTOR', `the model could not be loaded: ${error instanceof Error ? error.message : ''}`);
  }
}

async function makeRoom(maxLoaded: number): Promise<void> {
  for (const [path, loaded] of models) {
    if (models.size < maxLoaded) return;
    if ((users.get(path) ?? 0) > 0) continue;
    models.delete(path);
    users.delete(path);
    const { model, context } = await loaded;
    await context.dispose();
    await model.dispose();
  }
  if (models.size >= maxLoaded) throw new NodeError('BUSY', `${maxLoaded} other models are loaded and at work`);
}

async function open({ path, form, contextTokens, sequences, threads }: ModelSpec): Promise<Loaded> {
  const model = await (await engine()).loadModel({ modelPath: path, gpuLayers: 0 });
  const contextSize = Math.min(contextTokens, model.trainContextSize);
  const context = await model.createContext({ contextSize, sequences, threads });
  const promptOf =
    form === 'question-answer' ? questionAnswerPrompt(model) : templatePrompt(resolveChatWrapper(model), model);
  return { model, context, promptOf };
}

async function chat(
  loaded: Loaded,
  { chat: job, maxOutputBytes, model: spec }: ChatTask,
  io: ExecutorIo,
): Promise<TaskResult> {
  const contextTokens = Math.min(spec.contextTokens, loaded.model.trainContextSize);
  const promptBytes = job.messages.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0);
  if (promptBytes > contextTokens * MOST_BYTES_PER_TOKEN) throw tooLong(`${promptBytes} bytes`);
  const prompt = loaded.promptOf(job);
  const room = contextTokens - prompt.tokens.length;
  if (room < 1) throw tooLong(`${prompt.tokens.length} tokens`);
  const output = new TextOutput({
    maxBytes: maxOutputBytes,
    stops: [...job.stops, ...prompt.stops],
    emit: (bytes) => emitPiece(io, bytes),
  });
  const text = new TokenText(loaded.model, prompt.tokens);
  const limit = Math.min(job.maxTokens ?? room, room);
  let outputTokens = 0;
  let end: TextEnd | null = null;
  for await (const token of generate(loaded, prompt, job, io.signal)) {
    outputTokens += 1;
    end = await output.push(text.push(token));
    if (end !== null || outputTokens >= limit) break;
  }
  // What was held back is output too, unless the end was found before it.
  end ??= (await output.push(text.end())) ?? (await output.end()) ?? (outputTokens >= limit ? 'length' : 'stop');
  return {
    finish: end,
    inputTokens: prompt.tokens.length,
    outputTokens,
    contextTokens: null,
    loaded: [...models.keys()],
  };
}

function tooLong(size: string): NodeError {
  return new NodeError('BAD_JOB', `the prompt has ${size}, more than the model can hold`);
}

/** Tokens one by one, each computed when it is asked for: who stops asking has stopped the model. */
async function* generate(
  { model, context }: Loaded,
  { tokens, stopTokens }: ChatPrompt,
  { temperatureMilli, topPMilli, seed }: ChatJob,
  signal: AbortSignal,
): AsyncGenerator<Token> {
  const sequence = context.getSequence();
  try {
    let read = 0;
    for (; tokens.length - read > PROMPT_STEP; read += PROMPT_STEP) {
      await sequence.evaluateWithoutGeneratingNewTokens(tokens.slice(read, read + PROMPT_STEP));
      if (signal.aborted) throw canceled();
    }
    const sampling = {
      temperature: temperatureMilli / 1000,
      ...(topPMilli === null ? {} : { topP: topPMilli / 1000 }),
      ...(seed === null ? {} : { seed }),
    };
    for await (const token of sequence.evaluate(tokens.slice(read), sampling)) {
      if (signal.aborted) throw canceled();
      if (stopTokens.has(token) || model.isEogToken(token)) return;
      yield token;
    }
  } finally {
    await sequence.dispose();
  }
}
