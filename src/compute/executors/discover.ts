/** Model servers that run on this machine already. Nothing beyond it is asked: other servers are for the configuration. */
import { NodeError } from '../../errors.ts';
import type { Fetch } from './http/client.ts';
import { listAt, ModelServer, textAt } from './http/client.ts';

export interface ServerCandidate {
  readonly type: 'ollama' | 'openai';
  readonly baseUrl: string;
}

/** Where these servers listen by themselves: Ollama; vLLM and SGLang; llama-server; LM Studio. */
export const LOCAL_CANDIDATES: readonly ServerCandidate[] = [
  { type: 'ollama', baseUrl: 'http://127.0.0.1:11434' },
  { type: 'openai', baseUrl: 'http://127.0.0.1:8000' },
  { type: 'openai', baseUrl: 'http://127.0.0.1:8080' },
  { type: 'openai', baseUrl: 'http://127.0.0.1:1234' },
];

/** Whoever answers `/v1/models` with this owner is a node of this market: to sell its work again would go in circles. */
const MARKET_OWNER = 'aitbc';

const TIMEOUT_MS = 1_000;

export interface DiscoverOptions {
  readonly candidates?: readonly ServerCandidate[];
  readonly fetch?: Fetch;
  readonly signal: AbortSignal;
}

/**
 * The candidates that answer as what they are said to be, in their order.
 *
 * @throws NodeError CONFIG for a candidate that is not on this machine
 */
export async function discoverServers({ candidates, fetch, signal }: DiscoverOptions): Promise<ServerCandidate[]> {
  const asked = candidates ?? LOCAL_CANDIDATES;
  for (const { baseUrl } of asked) requireLoopback(baseUrl);
  const answers = await Promise.all(asked.map((candidate) => answersAs(candidate, fetch, signal)));
  return asked.filter((_, index) => answers[index]);
}

async function answersAs(
  { type, baseUrl }: ServerCandidate,
  fetch: Fetch | undefined,
  signal: AbortSignal,
): Promise<boolean> {
  const bounds = { firstByteTimeoutMs: TIMEOUT_MS, idleTimeoutMs: TIMEOUT_MS };
  const server = new ModelServer({ baseUrl, ...bounds, ...(fetch === undefined ? {} : { fetch }) });
  try {
    if (type === 'ollama') return textAt(await server.json('/api/version', { signal }), 'version') !== '';
    const models = listAt(await server.json('/v1/models', { signal }), 'data');
    return models.length > 0 && !models.some((model) => textAt(model, 'owned_by') === MARKET_OWNER);
  } catch {
    return false;
  }
}

function requireLoopback(baseUrl: string): void {
  const { hostname } = URL.canParse(baseUrl) ? new URL(baseUrl) : { hostname: '' };
  if (hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)) return;
  throw new NodeError('CONFIG', 'servers are only looked for on this machine', {
    data: { baseUrl },
    hint: 'name a server elsewhere in the configuration of the miner',
  });
}
