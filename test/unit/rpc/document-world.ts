/** For each failure that the document promises, what makes a server give it; and valid input for every path. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fromHex, toHex } from '../../../src/bytes.ts';
import { addressOf } from '../../../src/chain/address.ts';
import { agreementId } from '../../../src/chain/modules/compute/agreement.ts';
import { openAgreement } from '../../../src/chain/modules/compute/agreement-client.ts';
import { stake } from '../../../src/chain/modules/compute/stake.ts';
import { decodeQuoteRequest, encodeQuote, encodeQuoteRequest } from '../../../src/chain/market/quote.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import type { FaucetApi, NodeApi } from '../../../src/rpc/api.ts';
import type { AdminServer } from '../../../src/rpc/admin-server.ts';
import type { MinerStatus } from '../../../src/compute/miner/status.ts';
import { startAdminServer } from '../../../src/rpc/admin-server.ts';
import { NO_MINER } from '../../../src/rpc/routes/own-miner.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { signLogin } from '../../../src/sdk/login.ts';
import type { ApiKeyRequest } from '../../../src/rpc/access/api-keys.ts';
import { buildTransaction } from '../../../src/sdk/build.ts';
import { transactionToJson } from '../../../src/chain/tx-json.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { addressText, fixtureGenesis, makeTransfer, signer } from '../../util/chain-fixture.ts';
import type { TransferOptions } from '../../util/chain-fixture.ts';
import { memoryAccess } from '../../util/access.ts';
import { makeOffer, makeQuote, makeQuoteRequest } from '../../util/offers.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { HASHES, ScriptedCoordinator, TINY } from './scripted-coordinator.ts';
import type { Answer, Ask } from './http.ts';
import { ask, askBegin, askUpgrade } from './http.ts';
import { begun, LEAF_BODY, LIST_BODY, shelfOf } from './small-blob.ts';

/** A server over a chain of three blocks with one transaction each. */
export class World {
  readonly node = new FakeNode();
  readonly #api = fakeNode(this.node);
  /** Thrown by whatever asks the node. */
  fault: Error | null = null;
  /** Thrown where a chain is started or stopped. */
  actFault: Error | null = null;
  readonly market = new ScriptedCoordinator(this.node.genesis.chain);
  server!: RpcServer;
  /** Of an API key that is there. */
  keyId = '';
  /** One for jobs, with a budget for none. */
  poorKey = '';
  #node!: NodeApi;
  #admin: AdminServer | null = null;
  readonly #access = memoryAccess({ keylessBudgetUait: 100_000_000 }, () => {
    if (this.actFault) throw this.actFault;
  });

  /** @param market with a stake and an agreement besides */
  static async start({ market = false } = {}): Promise<World> {
    const world = new World();
    for (const nonce of [0, 1, 2]) {
      world.node.produce([world.transfer({ nonce }), ...(market ? world.#market(nonce) : [])]);
    }
    const failing = <T>(value: T, fault: Error | null): T => {
      if (fault) throw fault;
      return value;
    };
    const api: NodeApi = {
      ...world.#api,
      chains: () => failing(world.#api.chains(), world.fault),
      chain: (id) => failing(world.#api.chain(id), world.fault),
      startChain: (id) => failing(world.#api.startChain(id), world.actFault),
      stopChain: (id) => failing(world.#api.stopChain(id), world.actFault),
    };
    const listen = { host: '127.0.0.1', port: 0 };
    const limited = { trustedProxies: ['127.0.0.1'], rates: { read: 0.5, heavy: 0.5, write: 0.5 } };
    const { access } = world.#access;
    world.server = await startRpcServer({ listen, ...limited }, { api, log: nopLogger, access });
    world.keyId = (await world.#access.keys.create(NEW_KEY)).record.id;
    world.poorKey = (await world.#access.keys.create(POOR_KEY)).text;
    world.#node = api;
    world.restore();
    return world;
  }

  /** As it was before a failure was provoked, where nothing was submitted since. */
  restore(): void {
    const { node, market, access } = this;
    this.#offer();
    this.fault = this.actFault = market.fault = market.readFault = node.failure = null;
    node.base = 1;
    node.market.blobs = shelfOf();
    node.checks = [{ name: 'quorum', ok: true, detail: 'all' }];
    node.jobs = market;
    node.faucet = faucetOf(null);
    Object.assign(access.options, { requireApiKey: false });
    market.onJob = (id, { kind }) => {
      market.answer(id, kind === 'text.embed' ? new Uint8Array(8) : 'Vienna.');
    };
  }

  /** A job that has not ended. */
  openJob(): Promise<string> {
    this.market.onJob = () => undefined;
    return this.job();
  }

  /** One that is done, unless the market was told otherwise. */
  async job(): Promise<string> {
    const parts = [{ role: 'user', mediaType: 'text/plain', data: Buffer.from('Capital?') }];
    const job = await this.market.submit({
      ...{ kind: 'llm.chat', model: TINY, params: [], parts, maxOutputBytes: 1024, maxPriceUait: 1000 },
      ...{ queueMs: 1000, executionMs: 1000, totalMs: 1000, owner: 'keyless', idempotencyKey: null },
      agreement: 'session',
    });
    this.market.prove(job.id);
    return toHex(job.id);
  }

  /** A stake in the first block, and an agreement that relies on it in the second. */
  #market(block: number): Transaction[] {
    const { genesis } = this.node;
    const context = (name: string) => ({ ...genesis, hasher: nativeCrypto, signer: signer(name) });
    const options = { nonce: 0, validUntilHeight: 1000, leastFeeUait: 5_000 };
    const miner = addressOf(nativeCrypto, signer('account-2').publicKey);
    if (block === 0) return [buildTransaction(context('account-2'), options, stake, { amountUait: 1_000_000 })];
    if (block === 2) return [];
    const expiresAtMs = genesis.timeMs + 600_000;
    const open = { signer: signer('session').publicKey, miner, capUait: 10_000, expiresAtMs };
    return [buildTransaction(context('account-3'), options, openAgreement, open)];
  }

  /** The miner with the stake offers something, and quotes whatever is asked. */
  #offer(): void {
    const { chain } = this.node.genesis;
    const miner = signer('account-2');
    const offers = [makeOffer(chain, miner, { gpus: ['gpu'], models: this.market.offered[0]?.offer.models ?? [] })];
    this.node.market.offers = () => offers;
    this.node.market.quote = async (_, request) => encodeQuote(makeQuote(chain, miner, decodeQuoteRequest(request)));
  }

  /** Hex of a signed request for a quote. */
  quoteRequest(): string {
    return toHex(encodeQuoteRequest(makeQuoteRequest(this.node.genesis.chain, signer('account-3'))));
  }

  /** Of the one agreement. */
  agreement(): string {
    const client = addressOf(nativeCrypto, signer('account-3').publicKey);
    return toHex(agreementId(nativeCrypto, this.node.genesis.chain, client, 0));
  }

  /** Of the node's own miner. */
  minerStatus: () => MinerStatus = () => ({
    ...{ address: addressOf(nativeCrypto, signer('account-2').publicKey), state: 'open', reason: null },
    ...{ slots: 2, free: 1, working: 1, streams: 1, stakedUait: 1, balanceUait: 1, models: [], speeds: [] },
    ...{ agreements: [], settlements: 0, unsettledUait: 0, closed: { agreements: 0, receipts: 0, earnedUait: 0 } },
  });

  /** Where a path is answered; the admin socket is there once it is asked for. */
  async url(path: string): Promise<string> {
    if (!isForOperators(path)) return this.server.url;
    if (!this.#admin) {
      const folder = mkdtempSync(join(tmpdir(), 'aitbc-admin-'));
      this.#admin = await startAdminServer(join(folder, 'admin.sock'), {
        api: this.#node,
        keys: this.#access.keys,
        miner: { status: () => this.minerStatus(), drain: () => Promise.resolve() },
        log: nopLogger,
      });
    }
    return `unix:${this.#admin.path}`;
  }

  async close(): Promise<void> {
    await this.server.close();
    if (!this.#admin) return;
    await this.#admin.close();
    rmSync(dirname(this.#admin.path), { recursive: true });
  }

  transfer(options: Partial<TransferOptions> = {}): Transaction {
    return makeTransfer(this.node.genesis, { from: 'account-0', to: 'account-1', nonce: 3, ...options });
  }

  /** Signed by an account, to be sent to /v1/login. */
  login(changes: { readonly text?: string } = {}): string {
    const domain = new URL(this.server.url).host;
    const { genesis } = this.node;
    const place = { domain, chainId: genesis.chain.chainId, address: addressText('account-0') };
    const { text } = this.#access.access.logins.challenge(place);
    const { publicKey, signature } = signLogin(nativeCrypto, genesis.chain, signer('account-0'), text, Date.now());
    return JSON.stringify({
      message: changes.text ?? text,
      public_key: toHex(publicKey),
      signature: toHex(signature),
    });
  }

  /** Of someone who logged in. */
  token(): string {
    const { genesis } = this.node;
    const { message, public_key, signature } = JSON.parse(this.login());
    const login = { text: message, publicKey: fromHex(public_key, 32), signature: fromHex(signature, 64) };
    return this.#access.access.logins.logIn(login, { crypto: nativeCrypto, chain: genesis.chain }).token;
  }

  get access() {
    return this.#access.access;
  }

  hash(height: number): string {
    return toHex(this.node.applied[height - 1]?.block.txs[0]?.id ?? new Uint8Array());
  }
}

const NEW_KEY: ApiKeyRequest = {
  name: 'shop',
  scopes: ['read'],
  requestsPerMinute: null,
  budgetPerDayUait: null,
  models: null,
  expiresInMs: null,
};

const POOR_KEY: ApiKeyRequest = { ...NEW_KEY, name: 'poor', scopes: ['read', 'jobs'], budgetPerDayUait: 1 };

/** On the admin socket, which is slow to take requests. */
export function isForOperators(path: string): boolean {
  return ['/api/chains/', '/api/keys', '/api/miner'].some((start) => path.startsWith(start));
}

/** What a request to a path of the document is made of. */
export interface Target {
  readonly path: string;
  readonly verb: string;
}

export interface Changes {
  /** In place of valid ones. */
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

const PARAMS: Readonly<Record<string, (world: World) => string | Promise<string>>> = {
  job: (world) => world.job(),
  receipt: (world) => world.job(),
  model: () => TINY,
  height: () => '2',
  hash: (world) => world.hash(2),
  address: () => addressText('account-0'),
  key: () => '0201',
  agreement: (world) => world.agreement(),
  root: (world) => begun(world.node.market.blobs),
  leaf: () => '0',
  id: () => 'ait-devnet',
};

function bodyOf(tx: Transaction): string {
  return JSON.stringify({ tx: toHex(tx.bytes) });
}

/** Of the path that takes transactions, and of those that stand for it. */
const SUBMISSIONS = ['/rpc/transactions', '/rpc/sendTx', '/rpc/send_tx', '/rpc/broadcast_tx', '/rpc/transaction'];

function forSubmissions<T>(value: T): Readonly<Record<string, T>> {
  return Object.fromEntries(SUBMISSIONS.map((path) => [path, value]));
}

const QUOTE_PATH = '/v1/market/quote';
const BLOBS_PATH = '/v1/blobs';
const LEAF_PATH = '/v1/blobs/{root}/leaves/{leaf}';
const STREAM_PATH = '/v1/stream';
const WORK_PATH = '/v1/market/work';
const QUERIES: Readonly<Record<string, string>> = {
  [STREAM_PATH]: '?topics=blocks',
  [WORK_PATH]: `?miner=${addressText('account-2')}`,
  '/rpc/blocks-range': '?start=1&end=2',
  [QUOTE_PATH]: `?miner=${addressText('account-2')}`,
};

const CHAT = JSON.stringify({
  model: TINY,
  messages: [{ role: 'user', content: 'Capital of Austria?' }],
  stream: false,
});
const PROMPT = JSON.stringify({ model: TINY, prompt: 'Capital of Austria?', stream: false });
const TEXTS = JSON.stringify({ model: HASHES, input: 'Vienna' });
/** Of the paths that have work done, and wait for it. */
const WORK: Readonly<Record<string, string>> = {
  '/v1/chat/completions': CHAT,
  '/v1/completions': PROMPT,
  '/v1/embeddings': TEXTS,
  '/api/chat': CHAT,
  '/api/generate': PROMPT,
  '/api/embed': TEXTS,
};

const BODIES: Readonly<Record<string, (world: World) => string>> = {
  ...Object.fromEntries(Object.entries(WORK).map(([path, body]) => [path, () => body])),
  '/rpc/faucet': () => JSON.stringify({ address: addressText('account-0') }),
  '/v1/jobs': () => '{"prompt":"Capital?"}',
  '/api/show': () => JSON.stringify({ model: TINY }),
  ...forSubmissions((world: World) => bodyOf(world.transfer())),
  '/api/keys': () => '{"name":"another","scopes":["read"]}',
  '/v1/auth/nonce': () => JSON.stringify({ wallet_address: addressText('account-0') }),
  '/v1/login': (world) => world.login(),
  [QUOTE_PATH]: (world) => JSON.stringify({ request: world.quoteRequest() }),
  [BLOBS_PATH]: () => LIST_BODY,
  [LEAF_PATH]: () => LEAF_BODY,
  '/rpc': () => '{"jsonrpc":"2.0","id":1,"method":"get_head"}',
};

/** A valid request but for the changes. */
export async function send(world: World, { path, verb }: Target, changes: Changes = {}): Promise<Answer> {
  const valid = (name: string): string | Promise<string> =>
    path.startsWith('/api/keys') ? world.keyId : (PARAMS[name]?.(world) ?? name);
  let url = path;
  for (const [, name = ''] of path.matchAll(/\{(\w+)\}/g)) {
    url = url.replace(`{${name}}`, changes.params?.[name] ?? (await valid(name)));
  }
  const body = changes.body ?? BODIES[path]?.(world);
  const isPost = verb !== 'get';
  const options: Ask = {
    method: verb.toUpperCase(),
    headers: {
      ...(isPost && body !== undefined && { 'content-type': 'application/json' }),
      ...changes.headers,
    },
    ...(isPost && body !== undefined && { body }),
  };
  const base = QUERIES[path] ?? '';
  const query = base === '' ? (changes.query ?? '') : base + (changes.query ?? '').replace('?', '&');
  // It does not end by itself.
  const asked = path === STREAM_PATH ? askBegin : ask;
  return asked(await world.url(path), url + query, options);
}

const PRUNED_CURSOR = Buffer.from('1.0').toString('base64url');

type Provocation = (world: World, target: Target) => Promise<Answer>;

const faulty =
  (fault: Error): Provocation =>
  (world, target) => {
    world.fault = fault;
    world.actFault = fault;
    return send(world, target);
  };

const submitted =
  (options: Partial<TransferOptions>): Provocation =>
  (world, target) =>
    send(world, target, { body: bodyOf(world.transfer(options)) });

let strangers = 0;

async function tooFast(world: World, target: Target): Promise<Answer> {
  const headers = { 'x-forwarded-for': `203.0.${++strangers >> 8}.${strangers & 255}` };
  // On the admin socket there are ten at once.
  for (let i = 0; i < (isForOperators(target.path) ? 20 : 1); i++) await send(world, target, { headers });
  return send(world, target, { headers });
}

/** How every operation that promises a code is made to give it. */
const BY_CODE: Partial<Record<ErrorCode, Provocation>> = {
  FORBIDDEN: (world, target) => send(world, target, { headers: { host: 'evil.example' } }),
  INVALID_PARAMS: (world, target) => send(world, target, { query: '?nope=1' }),
  INVALID_REQUEST: (world, target) => send(world, target, { body: '{}', headers: { 'content-type': 'text/plain' } }),
  PARSE_ERROR: (world, target) => send(world, target, { body: '{' }),
  RATE_LIMITED: tooFast,
  TOO_LARGE: (world, target) => send(world, target, { body: `"${'0'.repeat(3 * 1024 * 1024)}"` }),
  GONE: (world, target) => send(world, target, { body: '{"height":1}' }),
  UNKNOWN_CHAIN: (world, target) => {
    world.actFault = new NodeError('UNKNOWN_CHAIN', 'no such chain');
    return send(world, target, target.path.startsWith('/api/chains/') ? {} : { query: '?chain_id=ait-mainnet' });
  },
  CHAIN_STOPPED: (world, target) => {
    world.node.failure = new NodeError('CORRUPT', 'a block is missing');
    return send(world, target);
  },
  UNAUTHENTICATED: (world, target) => send(world, target, { headers: { 'x-api-key': `aitbc_${'0'.repeat(12)}` } }),
  INTERNAL: faulty(new Error('broken')),
  METHOD_DISABLED: (world, target) => {
    world.node.jobs = world.node.faucet = null;
    if (target.path.startsWith('/v1/auth') || target.path.startsWith('/v1/log')) {
      Object.assign(world.access.options, { requireApiKey: true });
    }
    return send(world, target);
  },
  BUDGET_SPENT: (world, target) => send(world, target, { headers: { authorization: `Bearer ${world.poorKey}` } }),
  NO_MINER: (world, target) => {
    world.market.options = { ...world.market.options, startMs: 1 };
    world.market.onJob = () => undefined;
    return send(world, target);
  },
  IDEMPOTENCY_MISMATCH: async (world, target) => {
    const headers = { 'idempotency-key': 'once' };
    await send(world, target, { headers });
    const other = JSON.parse(BODIES[target.path]?.(world) ?? '{}') as Record<string, unknown>;
    const key = ['messages', 'prompt', 'input'].find((name) => Object.hasOwn(other, name)) ?? '';
    other[key] = key === 'messages' ? [{ role: 'user', content: 'Other?' }] : 'Other?';
    return send(world, target, { headers, body: JSON.stringify(other) });
  },
  BAD_ADDRESS: (world, target) => send(world, target, { params: { address: 'ait1nothing' } }),
  PRUNED: (world, target) => {
    world.node.base = 3;
    const queries: Readonly<Record<string, string>> = {
      '/rpc/transactions/{hash}': '?proof=1',
      '/rpc/blocks': `?cursor=${PRUNED_CURSOR}`,
      '/rpc/transactions': `?cursor=${PRUNED_CURSOR}`,
    };
    return send(world, target, { query: queries[target.path] ?? '' });
  },
};
for (const code of ['BAD_JOB', 'BUSY', 'INSUFFICIENT_FUNDS', 'UNREACHABLE'] as const) {
  BY_CODE[code] = (world, target) => {
    world.market.fault = new NodeError(code, 'a sentence');
    return send(world, target);
  };
}
for (const code of ['CANCELED', 'LEASE_LOST', 'EXECUTOR', 'JOB_FAILED'] as const) {
  BY_CODE[code] = (world, target) => {
    world.market.onJob = (id) => {
      world.market.start(id);
      world.market.fail(id, { code, message: 'a sentence' });
    };
    return send(world, target);
  };
}
for (const code of [
  ...(['BAD_GENESIS', 'CONFIG', 'CONFLICT', 'CORRUPT', 'DATA_FOLDER', 'DATA_LOCKED', 'DATA_TOO_NEW'] as const),
  ...(['GUARD', 'KEY_FILE', 'STORAGE', 'UPGRADE_NEEDED', 'WRONG_GENESIS'] as const),
]) {
  BY_CODE[code] = faulty(new NodeError(code, 'a sentence'));
}

const READY_CHECK = { quorum: 'quorum', progress: 'progress' } as const;
const unready =
  (name: keyof typeof READY_CHECK): Provocation =>
  (world, target) => {
    world.node.checks = [{ name: READY_CHECK[name], ok: false, detail: 'not so' }];
    return send(world, target);
  };

const unknownHash: Provocation = (world, target) => send(world, target, { params: { hash: '00'.repeat(32) } });

const beforeFirstBlock: Provocation = async (world, target) => {
  const empty = await World.start();
  try {
    Object.assign(empty.node.chain, { tip: () => ({ ...world.node.chain.tip(), height: 0 }) });
    Object.assign(empty.node.chain, { block: () => undefined });
    return await send(empty, target, { query: target.path.includes('{address}') ? '?proof=1' : '' });
  } finally {
    await empty.close();
  }
};

/** The miner, or the way to it, answers with the code. */
const quoteFails = (code: ErrorCode): Provocation => {
  return (world, target) => {
    world.node.market.quote = () => Promise.reject(new NodeError(code, 'a sentence'));
    return send(world, target);
  };
};
const withoutMiner: Provocation = async (world, target) => {
  const { minerStatus } = world;
  world.minerStatus = () => NO_MINER.status();
  try {
    return await send(world, target);
  } finally {
    world.minerStatus = minerStatus;
  }
};
const badAfter: Provocation = (world, target) => send(world, target, { query: '?after=ait1nothing' });

const withBody =
  (change: object): Provocation =>
  (world, target) =>
    send(world, target, {
      body: JSON.stringify({ ...(JSON.parse(BODIES[target.path]?.(world) ?? '{}') as object), ...change }),
    });

const unknownJob: Provocation = (world, target) =>
  send(world, target, { params: { job: '00'.repeat(32), receipt: '00'.repeat(32) } });

const OF_WORK: Partial<Record<ErrorCode, Provocation>> = {
  PRICE: (world, target) => send(world, target, { headers: { 'x-aitbc-max-price': '1' } }),
  NO_MODEL: withBody({ model: 'no-such-model' }),
  STORAGE: (world, target) => {
    world.market.fault = new NodeError('STORAGE', 'a sentence');
    return send(world, target);
  },
};

const unread =
  (code: ErrorCode): Provocation =>
  async (world, target) => {
    const isResult = target.path.endsWith('/result');
    const job = await (isResult ? world.job() : world.openJob());
    world.market.readFault = new NodeError(code, 'a sentence');
    return send(world, target, { params: { job } });
  };

const dry =
  (code: ErrorCode): Provocation =>
  (world, target) => {
    world.node.faucet = faucetOf(code);
    return send(world, target);
  };

const openJob: Provocation = async (world, target) => send(world, target, { params: { job: await world.openJob() } });

/** Where the way to a code is the operation's own. */
const BY_PATH: Readonly<Record<string, Partial<Record<ErrorCode, Provocation>>>> = {
  ...Object.fromEntries(Object.keys(WORK).map((path) => [path, OF_WORK])),
  '/rpc/faucet': {
    BAD_ADDRESS: withBody({ address: 'ait1nobody' }),
    INSUFFICIENT_FUNDS: dry('INSUFFICIENT_FUNDS'),
    POOL_FULL: dry('POOL_FULL'),
  },
  '/v1/jobs': { ...OF_WORK, PRICE: withBody({ max_price_uait: '1' }) },
  '/v1/jobs/{job}': {
    NOT_FOUND: unknownJob,
    UNREACHABLE: unread('UNREACHABLE'),
    CONFLICT: (world, target) => send(world, target),
  },
  '/v1/jobs/{job}/cancel': {
    NOT_FOUND: unknownJob,
    UNREACHABLE: unread('UNREACHABLE'),
    CONFLICT: (world, target) => send(world, target),
  },
  '/v1/jobs/{job}/result': {
    NOT_FOUND: unknownJob,
    PRUNED: unread('PRUNED'),
    UNREACHABLE: unread('UNREACHABLE'),
    BUSY: unread('BUSY'),
    NOT_READY: openJob,
    JOB_FAILED: async (world, target) => {
      const job = await world.openJob();
      world.market.fail(world.market.last.id, { code: 'EXECUTOR', message: 'a sentence' });
      return send(world, target, { params: { job } });
    },
  },
  '/v1/jobs/{job}/events': { NOT_FOUND: unknownJob },
  '/v1/jobs/{job}/receipt': { NOT_FOUND: unknownJob },
  '/v1/jobs/{job}/proof': { NOT_FOUND: unknownJob },
  '/v1/jobs/{job}/why': { NOT_FOUND: unknownJob },
  '/v1/receipts/{receipt}': { NOT_FOUND: unknownJob },
  '/v1/models/{model}': { NO_MODEL: (world, target) => send(world, target, { params: { model: 'nothing' } }) },
  '/api/show': { NO_MODEL: (world, target) => send(world, target, { body: '{"model":"nothing"}' }) },
  '/rpc/head': { NOT_FOUND: beforeFirstBlock },
  '/rpc/join': {
    NOT_FOUND: (world, target) => {
      world.node.joinFault = new NodeError('NOT_FOUND', 'there is none');
      return send(world, target);
    },
  },
  '/rpc/accounts/{address}': { NOT_FOUND: beforeFirstBlock },
  '/v1/agreements/{agreement}': {
    NOT_FOUND: (world, target) => send(world, target, { params: { agreement: '00'.repeat(32) } }),
  },
  '/v1/miners/{address}/stake': { NOT_FOUND: beforeFirstBlock },
  '/api/miner': { NOT_FOUND: withoutMiner },
  '/api/miner/drain': { NOT_FOUND: withoutMiner },
  '/api/keys': { CONFLICT: (world, target) => send(world, target, { body: '{"name":"shop","scopes":["read"]}' }) },
  '/api/keys/{id}/revoke': { NOT_FOUND: (world, target) => send(world, target, { params: { id: 'k0' } }) },
  '/v1/auth/nonce': {
    BAD_ADDRESS: (world, target) => send(world, target, { body: '{"wallet_address":"ait1nothing"}' }),
  },
  '/v1/login': {
    UNAUTHENTICATED: (world, target) => {
      const { message, ...rest } = JSON.parse(world.login());
      return send(world, target, { body: JSON.stringify({ ...rest, message, signature: '00'.repeat(64) }) });
    },
    UNKNOWN_CHAIN: (world, target) => {
      const { message } = JSON.parse(world.login());
      return send(world, target, { body: world.login({ text: message.replace('ait-devnet', 'ait-mainnet') }) });
    },
  },
  [BLOBS_PATH]: {
    CODEC: withBody({ list: '00' }),
    BUSY: (world, target) => {
      world.node.market.blobs = shelfOf(0);
      return send(world, target);
    },
  },
  [LEAF_PATH]: {
    NOT_FOUND: (world, target) => send(world, target, { params: { root: '00'.repeat(32) } }),
    BAD_PROOF: withBody({ leaf: 'AAAA' }),
  },
  '/v1/blobs/{root}': { NOT_FOUND: (world, target) => send(world, target, { params: { root: '00'.repeat(32) } }) },
  '/ws': { INVALID_REQUEST: (world, target) => send(world, target) },
  [WORK_PATH]: {
    INVALID_REQUEST: (world, target) => send(world, target),
    BAD_ADDRESS: (world, { path }) => ask(world.server.url, `${path}?miner=ait1nothing`),
  },
  [STREAM_PATH]: {
    BAD_ADDRESS: (world, { path }) => ask(world.server.url, `${path}?topics=account:ait1nothing`),
    METHOD_DISABLED: (world, { path }) => {
      world.node.jobs = null;
      return ask(world.server.url, `${path}?topics=jobs`);
    },
    PRUNED: (world, target) => {
      world.node.base = 3;
      return send(world, target, { query: '?from_height=1' });
    },
  },
  '/v1/miners': { BAD_ADDRESS: badAfter },
  '/v1/marketplace/offers': { BAD_ADDRESS: badAfter },
  [QUOTE_PATH]: {
    ...Object.fromEntries(
      (
        [
          ...([
            'NO_MINER',
            'NO_MODEL',
            'PRICE',
            'BUSY',
            'BAD_JOB',
            'STAKE_LOW',
            'NOT_FUNDED',
            'BAD_SIGNATURE',
          ] as const),
          ...(['EXPIRED', 'CONFLICT', 'SYNCING', 'NO_QUORUM', 'METHOD_DISABLED', 'CODEC', 'UNREACHABLE'] as const),
          ...(['TIMEOUT', 'PEER_QUOTA', 'PEER_BANNED', 'RATE_LIMITED'] as const),
        ] as const
      ).map((code) => [code, quoteFails(code)]),
    ),
    PEER_PROTOCOL: quoteFails('GUARD'),
    BAD_ADDRESS: (world, { path }) => {
      const body = JSON.stringify({ request: world.quoteRequest() });
      const headers = { 'content-type': 'application/json' };
      return ask(world.server.url, `${path}?miner=ait1nothing`, { method: 'POST', headers, body });
    },
  },
  '/rpc/state/{key}': { NOT_FOUND: beforeFirstBlock },
  '/rpc/blocks/{height}': { NOT_FOUND: (world, target) => send(world, target, { params: { height: '9' } }) },
  '/rpc/blocks/{height}/receipts': { NOT_FOUND: (world, target) => send(world, target, { params: { height: '9' } }) },
  '/rpc/light/{height}': { NOT_FOUND: (world, target) => send(world, target, { params: { height: '9' } }) },
  '/readyz': { NO_QUORUM: unready('quorum'), SYNCING: unready('progress') },
  '/rpc/account/{address}': {
    NOT_FOUND: (world, target) => send(world, target, { params: { address: addressText('nobody') } }),
  },
  ...Object.fromEntries(
    ['/rpc/tx/{hash}', '/rpc/get_tx/{hash}', '/rpc/transaction/{hash}', '/api/transactions/{hash}'].map((path) => [
      path,
      { NOT_FOUND: unknownHash },
    ]),
  ),
  '/rpc/get_head': { NOT_FOUND: beforeFirstBlock },
  '/api/chain/head': { NOT_FOUND: beforeFirstBlock },
  '/api/blocks/{height}': { NOT_FOUND: (world, target) => send(world, target, { params: { height: '9' } }) },
  '/rpc/get_block/{height}': { NOT_FOUND: (world, target) => send(world, target, { params: { height: '9' } }) },
  '/rpc/blocks-range': { TOO_LARGE: (world, target) => ask(world.server.url, `${target.path}?start=1&end=1001`) },
  ...forSubmissions<Partial<Record<ErrorCode, Provocation>>>({
    BAD_ADDRESS: (world, target) => {
      if (target.verb === 'get') return send(world, target, { query: '?address=ait1nothing' });
      const json = transactionToJson(world.transfer());
      const payload = { to: 'ait1nothing', amount_uait: '1' };
      return send(world, target, { body: JSON.stringify({ ...json, payload }) });
    },
    BAD_NONCE: submitted({ nonce: 0, amountUait: 2 }),
    BAD_SIGNATURE: (world, target) => {
      const other = fixtureGenesis({ chainId: 'ait-testnet' });
      const tx = makeTransfer(other, { from: 'account-0', to: 'account-1', nonce: 3 });
      return send(world, target, { body: bodyOf(tx) });
    },
    CODEC: (world, target) => send(world, target, { body: '{"tx":"00"}' }),
    EXPIRED: submitted({ validUntilHeight: 1 }),
    FEE_TOO_LOW: submitted({ feeUait: 1 }),
    INSUFFICIENT_FUNDS: submitted({ amountUait: 10 ** 12 }),
    NONCE_GAP: submitted({ nonce: 200 }),
    POOL_FULL: (world, target) => {
      const refusal = { code: 'POOL_FULL', message: 'full', data: {} };
      Object.assign(world.node.pool, { submit: async () => [refusal] });
      return send(world, target);
    },
    RATE_LIMITED: async (world, target) => {
      if (target.verb === 'get') return tooFast(world, target);
      Object.assign(world.node.pool, { submit: () => new Promise(() => undefined) });
      const txs = Array.from({ length: 1024 }, (_, i) => toHex(world.transfer({ amountUait: i + 1 }).bytes));
      const full = JSON.stringify({ txs });
      const batch = { path: '/rpc/transactions', verb: 'post' };
      // On a slow machine the node is late before it is full.
      const fill = async (left: number): Promise<Answer> => {
        const answer = await send(world, batch, { query: '?mode=async', body: full });
        return answer.status === 202 && left > 0 ? fill(left - 1) : answer;
      };
      assert.equal((await fill(16)).status, 429);
      return send(world, target, { query: '?mode=async' });
    },
    UNDERPRICED: async (world, target) => {
      await send(world, target);
      return send(world, target, { body: bodyOf(world.transfer({ amountUait: 2 })) });
    },
    UNKNOWN_TX_TYPE: (world, target) => {
      const json = { ...transactionToJson(world.transfer()), type: 'stake' };
      return send(world, target, { body: JSON.stringify(json) });
    },
    WRONG_CHAIN: async (_, target) => {
      const testnet = new FakeNode({ chainId: 'ait-testnet' });
      const listen = { host: '127.0.0.1', port: 0 };
      const api = fakeNode(new FakeNode(), testnet);
      const server = await startRpcServer({ listen }, { api, log: nopLogger });
      const tx = makeTransfer(testnet.genesis, { from: 'account-0', to: 'account-1', nonce: 0 });
      const headers = { 'content-type': 'application/json' };
      try {
        return await ask(server.url, target.path, { method: 'POST', headers, body: bodyOf(tx) });
      } finally {
        await server.close();
      }
    },
  }),
};

/** @returns undefined when nothing is known to make the operation fail so */
export function provocation({ path }: Target, code: ErrorCode): Provocation | undefined {
  return BY_PATH[path]?.[code] ?? BY_CODE[code];
}

function upgraded(world: World, { path }: Target): Promise<Answer> {
  return askUpgrade(world.server.url, path + (QUERIES[path] ?? ''));
}

/** How an answer of a status other than 200 is got from valid input. */
export const OTHER_ANSWERS: Readonly<Record<string, Provocation>> = {
  '404 /rpc/transactions/{hash}': unknownHash,
  ...Object.fromEntries(
    SUBMISSIONS.map((path) => [
      `202 ${path}`,
      (world: World, target: Target) => send(world, target, { query: '?mode=async' }),
    ]),
  ),
  '204 /v1/logout': (world, target) => send(world, target, { headers: { authorization: `Bearer ${world.token()}` } }),
  '201 /v1/jobs': (world, target) => send(world, target),
  '200 delete /v1/jobs/{job}': openJob,
  '200 post /v1/jobs/{job}/cancel': openJob,
  '101 /ws': upgraded,
  [`101 ${WORK_PATH}`]: upgraded,
  '503 /readyz': unready('quorum'),
  '204 /rpc': (world, target) => send(world, target, { body: '{"jsonrpc":"2.0","method":"get_head"}' }),
};

/** @param code what it fails with */
function faucetOf(code: ErrorCode | null): FaucetApi {
  const pay = (): Promise<Uint8Array> =>
    code ? Promise.reject(new NodeError(code, 'a sentence')) : Promise.resolve(new Uint8Array(32));
  return { address: new Uint8Array(20), amountUait: 5, pay };
}
