/** The back ends of a miner: what this package brings, and model servers that are configured or found on this machine. */
import { join } from 'node:path';
import { createBuiltin } from '../compute/executors/builtin/builtin.ts';
import type { ServerCandidate } from '../compute/executors/discover.ts';
import { discoverServers } from '../compute/executors/discover.ts';
import type { Executor } from '../compute/executors/executor.ts';
import { createOllama } from '../compute/executors/ollama.ts';
import { createOpenAi } from '../compute/executors/openai.ts';
import type { Executors } from '../compute/executors/registry.ts';
import { createExecutors } from '../compute/executors/registry.ts';
import type { MinerConfig } from '../config.ts';
import type { Logger } from '../log.ts';

/** Servers before the built-in models: an operator who runs one wants it used. */
export async function openExecutors(
  config: Pick<MinerConfig, 'models' | 'ollama' | 'openai'>,
  home: string,
  log: Logger,
): Promise<Executors> {
  const servers = await serversOf(config);
  const executors: Executor[] = servers.map(({ type, baseUrl }, i) => {
    const id = `${type}-${i + 1}`;
    return type === 'ollama' ? createOllama({ baseUrl, id, log }) : createOpenAi({ baseUrl, id });
  });
  if (servers.length > 0)
    log.info('model servers', { servers: servers.map(({ type, baseUrl }) => `${type} ${baseUrl}`) });
  executors.push(createBuiltin({ modelsFolder: config.models || join(home, 'models'), log }));
  return createExecutors({ executors });
}

async function serversOf({ ollama, openai }: Pick<MinerConfig, 'ollama' | 'openai'>): Promise<ServerCandidate[]> {
  const named: ServerCandidate[] = [
    ...ollama.map((baseUrl) => ({ type: 'ollama', baseUrl }) as const),
    ...openai.map((baseUrl) => ({ type: 'openai', baseUrl }) as const),
  ];
  const types = new Set(named.map(({ type }) => type));
  const found = await discoverServers({ signal: AbortSignal.timeout(5_000) });
  return [...named, ...found.filter(({ type }) => !types.has(type))];
}
