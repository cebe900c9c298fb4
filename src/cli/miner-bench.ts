/** `aitbc miner bench`: what the models of this machine do, without a chain and without money. */
import type { Command } from 'commander';
import { systemClock } from '../clock.ts';
import type { Capability, Executor, ExecutorJob } from '../compute/executors/executor.ts';
import { loadConfig } from '../config.ts';
import { NodeError, toNodeError } from '../errors.ts';
import { createContext, readConfigText } from './context.ts';
import type { Context } from './context.ts';
import { table } from './output.ts';

const MAX_OUTPUT_BYTES = 1024;
const TEXTS: Readonly<Record<string, string>> = {
  'llm.chat': 'Tell me a story about a fox.',
  'text.embed': 'A fox crosses the river at night.',
};

interface Result {
  readonly kind: string;
  readonly model: string;
  /** Loading included; null: it was not run, or failed. */
  readonly prepare_ms: number | null;
  readonly first_output_ms: number | null;
  readonly bytes: number;
  readonly bytes_per_second: number | null;
  /** Why there is no figure. */
  readonly note: string | null;
}

export function registerMinerBench(miner: Command): void {
  miner
    .command('bench')
    .description('run each model of this machine once: time to the first output, bytes a second')
    .option('--model <name>', 'this model alone')
    .action(async ({ model }: { readonly model?: string }, command: Command) => {
      await bench(createContext(command), model);
    });
}

async function bench(context: Context, only: string | undefined): Promise<void> {
  const [{ createLogger }, { openExecutors }] = await Promise.all([
    import('../log.ts'),
    import('../node/executors.ts'),
  ]);
  const { miner } = loadConfig({ fileText: readConfigText(context.home) ?? '', env: process.env });
  const log = createLogger({ level: 'warn', format: 'pretty', stream: process.stderr });
  const executors = await openExecutors(miner, context.home, log);
  try {
    const { capabilities } = await executors.probe(AbortSignal.timeout(context.timeoutMs));
    const chosen = capabilities.filter(({ model }) => only === undefined || model === only);
    if (chosen.length === 0) {
      throw new NodeError('NO_MODEL', only === undefined ? 'no model on this machine' : `no model ${only} here`, {
        hint: 'start Ollama, put a GGUF file into models of the home, or name a server under [miner]',
      });
    }
    const results: Result[] = [];
    for (const capability of chosen) results.push(await measure(executors, capability, context.timeoutMs));
    const rows = results.map((each) => [
      ...[each.kind, each.model],
      ...[each.prepare_ms, each.first_output_ms].map((ms) => (ms === null ? '-' : `${ms} ms`)),
      each.bytes_per_second === null ? '-' : `${each.bytes_per_second} B/s`,
      each.note ?? '',
    ]);
    context.out.data({ models: results }, table(['KIND', 'MODEL', 'LOADED IN', 'FIRST OUTPUT', 'RATE', ''], rows));
  } finally {
    await executors.close();
  }
}

async function measure(
  executors: Pick<Executor, 'prepare' | 'run'>,
  { kind, model }: Capability,
  timeoutMs: number,
): Promise<Result> {
  const none = { kind, model, prepare_ms: null, first_output_ms: null, bytes: 0, bytes_per_second: null };
  const text = TEXTS[kind];
  if (text === undefined) return { ...none, note: 'no work to try it with' };
  const signal = AbortSignal.timeout(timeoutMs);
  const parts = [
    { role: kind === 'llm.chat' ? 'user' : '', mediaType: 'text/plain', data: new TextEncoder().encode(text) },
  ];
  const job: ExecutorJob = { kind, model, params: [], parts, maxOutputBytes: MAX_OUTPUT_BYTES };
  let firstMs: number | null = null;
  let bytes = 0;
  try {
    const beginMs = systemClock.monotonic();
    await executors.prepare(kind, model, signal);
    const startMs = systemClock.monotonic();
    const emit = (piece: Uint8Array): Promise<void> => {
      firstMs ??= systemClock.monotonic() - startMs;
      bytes += piece.length;
      return Promise.resolve();
    };
    await executors.run(job, { signal, emit });
    const seconds = (systemClock.monotonic() - startMs) / 1000;
    return {
      ...{ kind, model, bytes, note: null },
      prepare_ms: Math.round(startMs - beginMs),
      first_output_ms: firstMs === null ? null : Math.round(firstMs),
      bytes_per_second: Math.round(bytes / Math.max(seconds, 0.001)),
    };
  } catch (error) {
    const { code, message } = toNodeError(error);
    return { ...none, note: `${code}: ${message}` };
  }
}
