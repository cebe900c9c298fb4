/** A typed client of a node's RPC, for browsers and Node: `fetch` and nothing else. */
import { toHex } from '../bytes.ts';
import type { ErrorCode, ErrorData } from '../errors.ts';
import { isErrorCode, isNodeError, NodeError } from '../errors.ts';
import type { ApiKeyResponse, ApiKeysResponse, NewApiKey, NewApiKeyResponse } from './access-types.ts';
import type {
  AgreementResponse,
  BlobResponse,
  MarketParamsResponse,
  MarketStatsResponse,
  MinersResponse,
  OfferResponse,
  OwnMinerResponse,
  StakeResponse,
} from './market-types.ts';
import type { ReceiptJson } from '../chain/market/receipt-json.ts';
import type {
  JobEventResponse,
  JobPageResponse,
  JobReasonsResponse,
  JobResponse,
  JobResultResponse,
  ReceiptPageResponse,
} from './job-types.ts';
import { readJobEvents } from './job-events.ts';
import type {
  AccountResponse,
  BlockResponse,
  ChainSummaryResponse,
  ChainsResponse,
  FaucetResponse,
  ConsensusResponse,
  GenesisResponse,
  HeadResponse,
  LightBlockResponse,
  NonceResponse,
  PeersResponse,
  ReadinessResponse,
  SnapshotsResponse,
  StateValueResponse,
  StatusResponse,
  TransactionPageResponse,
  TransactionResponse,
  ValidatorsResponse,
} from './types.ts';

const DEFAULT_TIMEOUT_MS = 10_000;
/** The node holds a `commit` request up to 10 s. */
const COMMIT_TIMEOUT_MS = 15_000;
/** For a leaf of 256 KiB over a slow line. */
const UPLOAD_TIMEOUT_MS = 60_000;
const DEFAULT_WAIT_MS = 30_000;
const FIRST_POLL_MS = 40;
const LONGEST_POLL_MS = 1000;
/** Larger than any answer of an honest node: a genesis of 100,000 accounts has 10 MB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

export interface ClientOptions {
  /** e.g. http://127.0.0.1:8006 */
  readonly url: string;
  /** Which of the node's chains is meant; its default one when absent. */
  readonly chainId?: string;
  /** For one request. */
  readonly timeoutMs?: number;
  /** For nodes that ask for one: `aitbc_…`. */
  readonly apiKey?: string;
  /** How requests travel; that of the platform when absent. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

export type SendMode = 'async' | 'sync' | 'commit';

/**
 * Failures are NodeError with the node's own code, UNREACHABLE when nobody answers as a node does, TIMEOUT when nothing
 * came in time.
 */
export interface Client {
  readonly url: string;
  /** @throws NodeError NOT_FOUND before the first block */
  head(): Promise<HeadResponse>;
  /** @param id height, or hash in hex */
  block(id: number | string): Promise<BlockResponse>;
  /** An unknown one is an answer, not an error. */
  transaction(hash: string, options?: { readonly proof?: boolean }): Promise<TransactionResponse>;
  /** Final ones, newest first; a page may have fewer than asked for, or none, and others after it. */
  transactions(page?: TransactionsPage): Promise<TransactionPageResponse>;
  /** Header, certificate and validator sets of a height. @throws NodeError NOT_FOUND */
  lightBlock(height: number | 'latest'): Promise<LightBlockResponse>;
  /** A value of the state or its absence, with proof. @param key hex of module number and key, at most 64 bytes */
  stateValue(key: string): Promise<StateValueResponse>;
  account(address: string, options?: { readonly proof?: boolean }): Promise<AccountResponse>;
  nonce(address: string): Promise<NonceResponse>;
  /** @param id hex @throws NodeError NOT_FOUND when never opened, or closed long ago */
  agreement(id: string, options?: { readonly proof?: boolean }): Promise<AgreementResponse>;
  stake(miner: string, options?: { readonly proof?: boolean }): Promise<StakeResponse>;
  marketParams(): Promise<MarketParamsResponse>;
  /** A page, ascending by address. @param page after: address of the last miner of the page before */
  offers(page?: OffersPage): Promise<readonly OfferResponse[]>;
  miners(page?: OffersPage): Promise<MinersResponse>;
  marketStats(): Promise<MarketStatsResponse>;
  /** @param request canonical bytes of a signed quote request @throws NodeError with the miner's code */
  quote(miner: string, request: Uint8Array, signal?: AbortSignal): Promise<{ readonly quote: string }>;
  /** @param list of leaves, encoded; again to go on with an upload @throws NodeError BUSY when there is no room */
  beginBlob(list: Uint8Array, signal?: AbortSignal): Promise<BlobResponse>;
  /** @throws NodeError NOT_FOUND without its list | BAD_PROOF */
  putLeaf(root: string, leaf: number, bytes: Uint8Array, signal?: AbortSignal): Promise<BlobResponse>;
  /** Jobs that the node pays for, of the API key that asks; newest first. */
  jobs(page?: { readonly limit?: number }): Promise<JobPageResponse>;
  /** @throws NodeError NOT_FOUND, as those below */
  job(id: string): Promise<JobResponse>;
  jobReasons(id: string): Promise<JobReasonsResponse>;
  /** From the first one kept, until the job has ended. */
  jobEvents(id: string, signal?: AbortSignal): AsyncIterable<JobEventResponse>;
  /** @throws NodeError also while there is none */
  jobResult(id: string): Promise<JobResultResponse>;
  /** @param id of a receipt, or of its job */
  receipt(id: string): Promise<ReceiptJson>;
  receipts(page?: { readonly limit?: number }): Promise<ReceiptPageResponse>;
  /** Answers when work has stopped. @throws NodeError CONFLICT when it has ended */
  cancelJob(id: string): Promise<JobResponse>;
  validators(): Promise<ValidatorsResponse>;
  peers(): Promise<PeersResponse>;
  snapshots(): Promise<SnapshotsResponse>;
  consensus(): Promise<ConsensusResponse>;
  status(): Promise<StatusResponse>;
  /** Every check of readiness, held or not. */
  readiness(): Promise<ReadinessResponse>;
  genesis(): Promise<GenesisResponse>;
  /** All chains of the node, whatever their state. */
  chains(): Promise<ChainsResponse>;
  /** Answers when it runs; over the admin socket of the node alone. @throws NodeError why it cannot be started */
  startChain(chainId: string): Promise<ChainSummaryResponse>;
  stopChain(chainId: string): Promise<ChainSummaryResponse>;
  /** API keys of the node; over its admin socket alone, like those below. */
  apiKeys(): Promise<ApiKeysResponse>;
  /** @throws NodeError INVALID_PARAMS | CONFLICT when there is one of the name */
  createApiKey(key: NewApiKey): Promise<NewApiKeyResponse>;
  /** @throws NodeError NOT_FOUND */
  revokeApiKey(id: string): Promise<ApiKeyResponse>;
  /** The miner of the node; over its admin socket alone. @throws NodeError NOT_FOUND when it has none, or why it does not run */
  miner(): Promise<OwnMinerResponse>;
  /** It takes no more work from then on; answers at once. */
  drainMiner(): Promise<OwnMinerResponse>;
  /** @param bytes canonical bytes, signature included @throws NodeError why the node refuses it */
  sendTransaction(bytes: Uint8Array, mode?: SendMode): Promise<TransactionResponse>;
  /** Money of a chain of development. @throws NodeError METHOD_DISABLED without a faucet; RATE_LIMITED; INSUFFICIENT_FUNDS */
  requestFaucet(address: string): Promise<FaucetResponse>;
  /**
   * Polls until the transaction is final or rejected, also over a restart of the node.
   *
   * @throws NodeError TIMEOUT
   */
  waitForTransaction(hash: string, options?: { readonly timeoutMs?: number }): Promise<TransactionResponse>;
}

export interface TransactionsPage {
  /** Of this account alone: those that it sent, or that name it. */
  readonly address?: string;
  readonly limit?: number;
  /** `next_cursor` of the page before. */
  readonly cursor?: string;
}

export interface OffersPage {
  readonly kind?: string;
  readonly model?: string;
  readonly after?: string;
}

/** @throws NodeError INVALID_PARAMS for a URL that is none */
export function createClient({ url, chainId, timeoutMs = DEFAULT_TIMEOUT_MS, apiKey, ...how }: ClientOptions): Client {
  const base = checkedUrl(url);
  const travel = how.fetch ?? ((to: string, init: RequestInit) => fetch(to, init));
  const request = <T>(path: string, init: RequestInit, withinMs = timeoutMs): Promise<T> =>
    requestOver<T>(travel, base, path, withKey(init, apiKey), withinMs);
  const get = <T>(path: string, query: Query = {}): Promise<T> =>
    request<T>(path + queryText({ ...query, chain_id: chainId }), {});
  const postBytes = <T>(path: string, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<T> => {
    const headers = { 'content-type': 'application/octet-stream' };
    const init = { method: 'POST', headers, body: bytes.slice(), ...(signal && { signal }) };
    return request(path + queryText({ chain_id: chainId }), init, Math.max(timeoutMs, UPLOAD_TIMEOUT_MS));
  };
  const operate = (id: string, verb: string): Promise<ChainSummaryResponse> =>
    request(`/api/chains/${encodeURIComponent(id)}/${verb}`, { method: 'POST' });
  const client: Client = {
    url: base,
    head: () => get('/rpc/head'),
    block: (id) => get(`/rpc/blocks/${encodeURIComponent(id)}`),
    transaction: (hash, { proof = false } = {}) =>
      get(`/rpc/transactions/${encodeURIComponent(hash)}`, proof ? { proof: '1' } : {}),
    transactions: ({ limit, ...page } = {}) =>
      get('/rpc/transactions', { ...page, limit: limit === undefined ? undefined : String(limit) }),
    lightBlock: (height) => get(`/rpc/light/${encodeURIComponent(height)}`),
    stateValue: (key) => get(`/rpc/state/${encodeURIComponent(key)}`),
    account: (address, { proof = false } = {}) =>
      get(`/rpc/accounts/${encodeURIComponent(address)}`, proof ? { proof: '1' } : {}),
    nonce: (address) => get(`/rpc/accounts/${encodeURIComponent(address)}/nonce`),
    agreement: (id, { proof = false } = {}) =>
      get(`/v1/agreements/${encodeURIComponent(id)}`, proof ? { proof: '1' } : {}),
    stake: (miner, { proof = false } = {}) =>
      get(`/v1/miners/${encodeURIComponent(miner)}/stake`, proof ? { proof: '1' } : {}),
    marketParams: () => get('/v1/market/params'),
    offers: (page) => get('/v1/marketplace/offers', { ...page }),
    miners: (page) => get('/v1/miners', { ...page }),
    marketStats: () => get('/v1/marketplace/stats'),
    quote: (miner, bytes, signal) =>
      request(`/v1/market/quote${queryText({ miner, chain_id: chainId })}`, {
        ...posted({ request: toHex(bytes) }),
        ...(signal && { signal }),
      }),
    beginBlob: (list, signal) => postBytes('/v1/blobs', list, signal),
    putLeaf: (root, leaf, bytes, signal) =>
      postBytes(`/v1/blobs/${encodeURIComponent(root)}/leaves/${leaf}`, bytes, signal),
    jobs: ({ limit } = {}) => get('/v1/jobs', { limit: limit === undefined ? undefined : String(limit) }),
    job: (id) => get(`/v1/jobs/${encodeURIComponent(id)}`),
    jobReasons: (id) => get(`/v1/jobs/${encodeURIComponent(id)}/why`),
    jobEvents: (id, signal) => eventsOver(travel, base, id, withKey({ ...(signal && { signal }) }, apiKey), timeoutMs),
    jobResult: (id) => get(`/v1/jobs/${encodeURIComponent(id)}/result`),
    receipt: (id) => get(`/v1/receipts/${encodeURIComponent(id)}`),
    receipts: ({ limit } = {}) => get('/v1/receipts', { limit: limit === undefined ? undefined : String(limit) }),
    cancelJob: (id) =>
      request(`/v1/jobs/${encodeURIComponent(id)}${queryText({ chain_id: chainId })}`, { method: 'DELETE' }),
    validators: () => get('/rpc/validators'),
    peers: () => get('/rpc/peers'),
    snapshots: () => get('/rpc/snapshots'),
    consensus: () => get('/rpc/consensus'),
    status: () => get('/rpc/status'),
    readiness: async () => {
      const path = `/readyz${queryText({ verbose: '1', chain_id: chainId })}`;
      const { body, response } = await ask(travel, base, path, {}, timeoutMs);
      const checks = (body as { readonly checks?: unknown } | undefined)?.checks;
      return Array.isArray(checks) ? { checks: checks as ReadinessResponse['checks'] } : taken(body, response, base);
    },
    genesis: () => get('/rpc/genesis'),
    chains: () => request('/api/chains', {}),
    startChain: (id) => operate(id, 'start'),
    stopChain: (id) => operate(id, 'stop'),
    apiKeys: () => request('/api/keys', {}),
    createApiKey: (key) => request('/api/keys', posted(key)),
    revokeApiKey: (id) => request(`/api/keys/${encodeURIComponent(id)}/revoke`, { method: 'POST' }),
    miner: () => request('/api/miner', {}),
    drainMiner: () => request('/api/miner/drain', { method: 'POST' }),
    sendTransaction: (bytes, mode = 'sync') =>
      request(
        `/rpc/transactions${queryText({ mode, chain_id: chainId })}`,
        posted({ tx: toHex(bytes) }),
        mode === 'commit' ? Math.max(timeoutMs, COMMIT_TIMEOUT_MS) : timeoutMs,
      ),
    requestFaucet: (address) => request(`/rpc/faucet${queryText({ chain_id: chainId })}`, posted({ address })),
    waitForTransaction: (hash, { timeoutMs: wait = DEFAULT_WAIT_MS } = {}) => waitFor(client, hash, wait),
  };
  return client;
}

function posted(body: unknown): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function withKey(init: RequestInit, apiKey: string | undefined): RequestInit {
  if (apiKey === undefined) return init;
  return { ...init, headers: { ...(init.headers as Record<string, string>), authorization: `Bearer ${apiKey}` } };
}

type Query = Readonly<Record<string, string | undefined>>;

export function queryText(query: Query): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return pairs.length > 0 ? `?${pairs.join('&')}` : '';
}

/** @throws NodeError INVALID_PARAMS */
export function checkedUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed && (parsed.protocol === 'http:' || parsed.protocol === 'https:')) return parsed.href.replace(/\/$/, '');
  throw new NodeError('INVALID_PARAMS', 'the address of a node is an http or https URL', {
    data: { url },
    hint: 'e.g. http://127.0.0.1:8006',
  });
}

/** Over a restart of the node or of its chain. */
const PASSING: ReadonlySet<ErrorCode> = new Set(['UNREACHABLE', 'TIMEOUT', 'CHAIN_STOPPED']);

async function waitFor(client: Client, hash: string, timeoutMs: number): Promise<TransactionResponse> {
  const deadline = performance.now() + timeoutMs;
  for (let pauseMs = FIRST_POLL_MS; ; pauseMs = Math.min(pauseMs * 1.5, LONGEST_POLL_MS)) {
    const status = await client.transaction(hash).catch((error: unknown) => {
      if (isNodeError(error) && PASSING.has(error.code)) return null;
      throw error;
    });
    if (status?.status === 'final' || status?.status === 'rejected') return status;
    if (performance.now() + pauseMs > deadline) {
      throw new NodeError('TIMEOUT', 'the transaction is not final yet; it may still become so', {
        data: { hash, status: status?.status ?? 'unreachable' },
        hint: `aitbc chain tx ${hash} --rpc ${client.url}`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

async function requestOver<T>(
  travel: NonNullable<ClientOptions['fetch']>,
  base: string,
  path: string,
  init: RequestInit,
  timeoutMs: number,
): Promise<T> {
  const { body, response } = await ask(travel, base, path, init, timeoutMs);
  return taken(body, response, base);
}

async function ask(
  travel: NonNullable<ClientOptions['fetch']>,
  base: string,
  path: string,
  init: RequestInit,
  timeoutMs: number,
): Promise<{ readonly body: unknown; readonly response: Response }> {
  let response: Response;
  let text: string;
  try {
    const limit = AbortSignal.timeout(timeoutMs);
    response = await travel(base + path, {
      ...init,
      signal: init.signal ? AbortSignal.any([init.signal, limit]) : limit,
    });
    text = await boundedText(response);
  } catch (error) {
    throw networkError(error, base, timeoutMs);
  }
  return { body: parse(text), response };
}

/** @param timeoutMs until the stream begins */
async function* eventsOver(
  travel: NonNullable<ClientOptions['fetch']>,
  base: string,
  id: string,
  init: RequestInit,
  timeoutMs: number,
): AsyncGenerator<JobEventResponse> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(new DOMException('late', 'TimeoutError'));
  }, timeoutMs);
  try {
    const signal = init.signal ? AbortSignal.any([init.signal, late.signal]) : late.signal;
    const response = await travel(`${base}/v1/jobs/${encodeURIComponent(id)}/events`, { ...init, signal });
    clearTimeout(timer);
    if (!response.body || !(response.headers.get('content-type') ?? '').startsWith('text/event-stream')) {
      taken(parse(await boundedText(response)), response, base);
      return;
    }
    yield* readJobEvents(response.body);
  } catch (error) {
    throw networkError(error, base, timeoutMs);
  } finally {
    clearTimeout(timer);
    late.abort();
  }
}

/** @throws NodeError of the node, or because there is none */
function taken<T>(body: unknown, response: Response, base: string): T {
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('application/problem+json')) throw problemError(body, response.status);
  if (body === undefined || !type.startsWith('application/json')) {
    throw new NodeError('UNREACHABLE', `what answers at ${base} is not an aitbc node`, {
      data: { url: base, status: response.status },
      hint: 'check the address and the port: 8006 unless rpc.listen says otherwise',
    });
  }
  return body as T;
}

/** A body of bounded size: whoever answers need not be a node. */
async function boundedText(response: Response): Promise<string> {
  const reader = response.body?.getReader();
  if (!reader) return '';
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    bytes += value.length;
    if (bytes > MAX_ANSWER_BYTES) {
      await reader.cancel();
      throw new NodeError('TOO_LARGE', 'the answer is too large', { data: { limit: MAX_ANSWER_BYTES } });
    }
    text += decoder.decode(value, { stream: true });
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function networkError(error: unknown, url: string, timeoutMs: number): NodeError {
  if (isNodeError(error)) return error;
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new NodeError('TIMEOUT', `no answer from ${url} within ${timeoutMs} ms`, {
      data: { url, timeoutMs },
      hint: 'the request may still have been carried out',
      cause: error,
    });
  }
  return new NodeError('UNREACHABLE', `nobody answers at ${url}`, {
    data: { url },
    hint: 'is the node running? Start one: aitbc start, or npm run testnet -- --nodes 3',
    cause: error,
  });
}

/** The node's own error, as it would have thrown it. */
export function problemError(body: unknown, status: number): NodeError {
  const problem = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  const { code, detail, hint, errors } = problem;
  const known = typeof code === 'string' && isErrorCode(code) ? code : null;
  const faults = Array.isArray(errors) ? errors.map(faultText).filter((text) => text !== '') : [];
  const message = [typeof detail === 'string' ? detail : `the node answered with status ${status}`, ...faults].join(
    '; ',
  );
  return new NodeError(known ?? 'INTERNAL', message.slice(0, 1000), {
    data: plainData(problem['data'], known ? undefined : code),
    ...(typeof hint === 'string' && { hint: hint.slice(0, 500) }),
  });
}

function faultText(fault: unknown): string {
  const { pointer, detail } = (typeof fault === 'object' && fault !== null ? fault : {}) as Record<string, unknown>;
  return typeof detail === 'string' ? `${typeof pointer === 'string' ? `${pointer} ` : ''}${detail}`.trim() : '';
}

/** Simple values only: an error's data goes to logs and terminals. */
function plainData(data: unknown, unknownCode: unknown): ErrorData {
  const plain: Record<string, string | number | boolean | null> = {};
  if (typeof unknownCode === 'string') plain['code'] = unknownCode.slice(0, 100);
  const entries: [string, unknown][] = Object.entries(typeof data === 'object' && data !== null ? data : {});
  for (const [key, value] of entries.slice(0, 32)) {
    if (typeof value === 'string') plain[key] = value.slice(0, 500);
    else if (typeof value === 'number' || typeof value === 'boolean' || value === null) plain[key] = value;
  }
  return plain;
}
