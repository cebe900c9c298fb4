/** Clusters of real processes for the end-to-end tests, and what the tests ask of them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toHex } from '../../src/bytes.ts';
import { parseAddress } from '../../src/chain/address.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import { transfer } from '../../src/chain/modules/bank.ts';
import { leastFeeUait } from '../../src/chain/params.ts';
import type { ChainContext } from '../../src/chain/signing.ts';
import type { Transaction } from '../../src/chain/tx.ts';
import { MIN_TX_BYTES, signTransaction } from '../../src/chain/tx.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import { Cluster } from '../../testnet/cluster.ts';
import type { ClusterOptions } from '../../testnet/create.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { readSeed, REPOSITORY } from '../../testnet/layout.ts';
import type { ManifestAccount } from '../../testnet/manifest.ts';

const WAIT_MS = 30_000;
const POLL_MS = 25;

export interface TestCluster {
  readonly cluster: Cluster;
  readonly genesis: Genesis;
  /** RPC URL of node `index` (from 1). */
  rpc(index: number): string;
  account(name: string): ManifestAccount & { readonly signer: Signer };
  /** What `close` stops first. */
  readonly flows: Flow[];
  close(): Promise<void>;
}

/** @param prepare changes what was made before the nodes start */
export async function startCluster(
  options: Partial<ClusterOptions> & { readonly validators: number },
  prepare: (cluster: Cluster) => void = () => undefined,
): Promise<TestCluster> {
  const dataDir = mkdtempSync(join(tmpdir(), 'aitbc-e2e-'));
  let cluster: Cluster | undefined;
  const flows: Flow[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(flows.map((flow) => flow.stop()));
    await cluster?.abort();
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    cluster = await Cluster.open({ dataDir, chainId: 'ait-devnet', ...options });
    prepare(cluster);
    await cluster.start(true);
    await cluster.waitReady();
  } catch (error) {
    await close();
    throw error;
  }
  const started = cluster;
  return {
    cluster: started,
    genesis: clusterGenesis(dataDir),
    rpc: (index) => started.node(index).rpc,
    account: (name) => {
      const found = started.manifest.accounts.find((account) => account.name === name);
      if (!found?.key_file) throw new Error(`no account ${name}`);
      return { ...found, signer: createNativeSigner(readSeed(found.key_file)) };
    },
    flows,
    close,
  };
}

// Requests

export interface Answer {
  readonly status: number;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- answers are taken apart by the tests
  readonly json: any;
}

export async function get(url: string): Promise<Answer> {
  const response = await fetch(url, { signal: AbortSignal.timeout(WAIT_MS) });
  return { status: response.status, json: await response.json() };
}

export async function post(url: string, body: unknown): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(WAIT_MS),
  });
  return { status: response.status, json: await response.json() };
}

/** @returns null before the first block, and while nobody answers */
export async function head(
  rpc: string,
): Promise<{ height: number; hash: string; state_root: string; round: number; proposer: string } | null> {
  try {
    const { status, json } = await get(`${rpc}/rpc/head`);
    return status === 200 ? json : null;
  } catch {
    return null;
  }
}

export async function height(rpc: string): Promise<number> {
  return (await head(rpc))?.height ?? 0;
}

export async function nonceOf(rpc: string, address: string): Promise<number> {
  return (await get(`${rpc}/rpc/accounts/${address}`)).json.nonce;
}

/** Waits for a condition; fails with what was awaited. A condition that throws is not met yet. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | false | undefined | null>,
  timeoutMs = WAIT_MS,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition().catch(() => undefined);
    if (value !== false && value !== undefined && value !== null) return value;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(POLL_MS);
  }
}

/** Waits until all nodes call the transaction final, and returns its height. */
export async function untilFinal(rpcs: readonly string[], id: string): Promise<number> {
  const heights = await Promise.all(
    rpcs.map((rpc) =>
      until(`${id} final at ${rpc}`, async () => {
        const { json } = await get(`${rpc}/rpc/transactions/${id}`);
        return json.status === 'final' && (json.height as number);
      }),
    ),
  );
  return Math.max(...heights);
}

// Transactions

export interface TransferOptions {
  readonly nonce: number;
  readonly amountUait?: number;
  readonly feeUait?: number;
  readonly validUntilHeight?: number;
  readonly memoBytes?: number;
  readonly type?: number;
  readonly chain?: ChainContext;
}

export function makeTransfer(genesis: Genesis, signer: Signer, to: string, options: TransferOptions): Transaction {
  const { nonce, amountUait = 1, memoBytes = 0 } = options;
  const payload = transfer.encode({ to: parseAddress(to), amountUait, memo: new Uint8Array(memoBytes) });
  return signTransaction(nativeCrypto, options.chain ?? genesis.chain, signer, {
    type: options.type ?? transfer.type,
    nonce,
    feeUait: options.feeUait ?? leastFeeUait(genesis.params, MIN_TX_BYTES + payload.length),
    validUntilHeight: options.validUntilHeight ?? 1_000_000,
    payload,
  });
}

export function submit(rpc: string, tx: Transaction | Uint8Array, mode: 'async' | 'sync' | 'commit'): Promise<Answer> {
  return post(`${rpc}/rpc/transactions?mode=${mode}`, { tx: toHex(tx instanceof Uint8Array ? tx : tx.bytes) });
}

/** @returns its status once it is final at that node, which may take longer than `commit` waits */
export async function submitFinal(rpc: string, tx: Transaction): Promise<Answer['json']> {
  const { status, json } = await submit(rpc, tx, 'commit');
  assert.ok(status === 200 || status === 202, JSON.stringify(json));
  await untilFinal([rpc], toHex(tx.id));
  return (await get(`${rpc}/rpc/transactions/${toHex(tx.id)}`)).json;
}

// Programs

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program of the repository with this Node and waits for its end. */
export function runProgram(script: string, args: readonly string[]): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(REPOSITORY, script), ...args], {
      cwd: REPOSITORY,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

export function aitbc(...args: string[]): Promise<Finished> {
  return runProgram('src/cli/main.ts', args);
}

export function testnet(...args: string[]): Promise<Finished> {
  return runProgram('testnet/session.ts', ['testnet/main.ts', ...args]);
}

export interface Flow {
  /** @returns how many transfers became final */
  stop(): Promise<number>;
}

/** Keeps one transfer after the other flowing from an account into a node, until stopped; says how many became final. */
export function keepSending(at: TestCluster, index: () => number, from: string, to: string): Flow {
  const { signer, address } = at.account(from);
  const target = at.account(to).address;
  let stopped = false;
  let final = 0;
  const run = async (): Promise<void> => {
    while (!stopped) {
      const rpc = at.rpc(index());
      try {
        const tx = makeTransfer(at.genesis, signer, target, { nonce: await nonceOf(rpc, address) });
        const { json } = await submit(rpc, tx, 'commit');
        if (json.status === 'final') final++;
        else await sleep(POLL_MS);
      } catch {
        await sleep(POLL_MS);
      }
    }
  };
  const running = run();
  const flow: Flow = {
    stop: async () => {
      stopped = true;
      await running;
      return final;
    },
  };
  at.flows.push(flow);
  return flow;
}
