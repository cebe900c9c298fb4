import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { toHex } from '../../src/bytes.ts';
import { addressOf, formatAddress } from '../../src/chain/address.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import type { Genesis } from '../../src/chain/genesis.ts';
import { homeLayout } from '../../src/config/home.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import { clusterGenesis } from '../../testnet/genesis.ts';
import { accountKeyPath, nodeLayout, readSeed } from '../../testnet/layout.ts';
import type { TestCluster } from './support.ts';
import { aitbc, get, makeTransfer, post, startCluster, until } from './support.ts';

const DEVNET = 'ait-devnet';
const TESTNET = 'ait-testnet';

interface ListedChain {
  readonly chain_id: string;
  readonly state: string;
  readonly height: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

describe('three nodes, two chains', function () {
  this.timeout(180_000);
  let at: TestCluster;
  let op1: Signer;
  let genesisOf: Readonly<Record<string, Genesis>>;
  const nonces = new Map<string, number>();

  before(async () => {
    at = await startCluster({ validators: 3, furtherChains: [TESTNET] });
    const { dataDir } = at.cluster;
    op1 = createNativeSigner(readSeed(accountKeyPath(dataDir, 'op1')));
    genesisOf = { [DEVNET]: clusterGenesis(dataDir), [TESTNET]: clusterGenesis(dataDir, TESTNET) };
  });
  after(() => at.close());

  /** A transfer of an operator, who is funded on both chains. */
  function transferOf(chainId: string, nonce = nonces.get(chainId) ?? 0) {
    const genesis = genesisOf[chainId];
    assert(genesis);
    const to = formatAddress(addressOf(nativeCrypto, op1.publicKey));
    return makeTransfer(genesis, op1, to, { nonce });
  }

  async function finalOn(chainId: string, index: number, nodes: readonly number[] = [1, 2, 3]): Promise<void> {
    const tx = transferOf(chainId);
    const sent = await post(`${at.rpc(index)}/rpc/transactions?mode=commit&chain_id=${chainId}`, {
      tx: toHex(tx.bytes),
    });
    assert.equal(sent.json.status, 'final', JSON.stringify(sent.json));
    nonces.set(chainId, (nonces.get(chainId) ?? 0) + 1);
    for (const node of nodes) {
      await until(`${chainId} final at node ${node}`, async () => {
        const { json } = await get(`${at.rpc(node)}/rpc/transactions/${toHex(tx.id)}?chain_id=${chainId}`);
        return json.status === 'final';
      });
    }
  }

  async function listed(index: number, chainId: string): Promise<ListedChain> {
    const { json } = await get(`${at.rpc(index)}/api/chains`);
    const found = (json.chains as ListedChain[]).find(({ chain_id }) => chain_id === chainId);
    assert(found);
    return found;
  }

  const heightOf = async (index: number, chainId: string): Promise<number> =>
    (await listed(index, chainId)).height ?? 0;

  const operate = (index: number, verb: string, chainId: string) => {
    const { home } = at.cluster.node(index);
    return aitbc('chain', verb, chainId, '--home', home, '--json');
  };

  it('make transfers final on both, with heads of their own', async () => {
    for (const index of [1, 2, 3]) await finalOn(DEVNET, index);
    await finalOn(TESTNET, 2);
    assert.deepEqual([await heightOf(1, DEVNET), await heightOf(1, TESTNET)], [3, 1]);
    assert.equal((await get(`${at.rpc(3)}/rpc/head`)).json.chain_id, DEVNET);
    assert.equal((await get(`${at.rpc(3)}/rpc/head?chain_id=${TESTNET}`)).json.height, 1);
    const metrics = await (await fetch(at.cluster.node(1).metrics)).text();
    assert.match(metrics, /aitbc_chain_head_height\{chain="ait-devnet"\} 3/);
    assert.match(metrics, /aitbc_chain_head_height\{chain="ait-testnet"\} 1/);
  });

  it('refuse a transfer of one chain that is sent to the other', async () => {
    const tx = transferOf(TESTNET);
    const { status, json } = await post(`${at.rpc(1)}/rpc/transactions`, { tx: toHex(tx.bytes) });
    assert.equal(status, 422);
    assert.equal(json.code, 'WRONG_CHAIN');
    assert.equal(json.data.signed_for, TESTNET);
    const unknown = await post(`${at.rpc(1)}/rpc/transactions?chain_id=ait-mainnet`, { tx: toHex(tx.bytes) });
    assert.equal(unknown.status, 404);
    assert.equal(unknown.json.data.chains, `${DEVNET}, ${TESTNET}`);
  });

  it('stop and start a chain at run time, by the operator alone', async () => {
    const refused = await post(`${at.rpc(3)}/api/chains/${TESTNET}/stop`, {});
    assert.equal(refused.status, 404);
    const { adminSocket } = homeLayout(at.cluster.node(3).home, '');
    assert.equal(statSync(adminSocket).mode & 0o777, 0o600);
    assert.equal(statSync(dirname(adminSocket)).mode & 0o777, 0o700);
    const stopped = await operate(3, 'stop', TESTNET);
    assert.equal(stopped.code, 0, stopped.stderr);
    assert.equal((await listed(3, TESTNET)).state, 'stopped');
    assert.equal((await get(`${at.rpc(3)}/readyz`)).status, 200);
    assert.equal((await get(`${at.rpc(3)}/rpc/status?chain_id=${TESTNET}`)).json.code, 'CHAIN_STOPPED');
    await finalOn(TESTNET, 1, [1, 2]);
    await finalOn(DEVNET, 3);
    const started = await operate(3, 'start', TESTNET);
    assert.equal(started.code, 0, started.stderr);
    await until('the head of the others', async () => (await heightOf(3, TESTNET)) === (await heightOf(1, TESTNET)));
    await finalOn(TESTNET, 3);
    const log = readFileSync(nodeLayout(at.cluster.node(3).home, DEVNET).log, 'utf8');
    assert.match(log, /\/api\/chains\/ait-testnet\/stop".*"operator request"/);
  });

  it('go on with one chain where the store of the other is damaged, which then says so', async () => {
    const node = at.cluster.node(2);
    assert.equal((await operate(2, 'stop', TESTNET)).code, 0);
    damage(nodeLayout(node.home, TESTNET).database);
    const started = await operate(2, 'start', TESTNET);
    assert.equal(started.code, 11, started.stderr);
    const { state, error } = await listed(2, TESTNET);
    assert.equal(state, 'failed');
    assert.equal(error?.code, 'CORRUPT');
    const ready = await get(`${node.rpc}/readyz`);
    assert.equal(ready.status, 503);
    assert.match(JSON.stringify(ready.json.errors), /ait-testnet\/runs/);
    const before = await heightOf(2, DEVNET);
    await finalOn(DEVNET, 2);
    assert.equal(await heightOf(2, DEVNET), before + 1);
    await finalOn(TESTNET, 1, [1, 3]);
  });

  it('start the sound chain when the other is damaged, and none when all are', async () => {
    await at.cluster.restart([2]);
    assert.equal((await listed(2, TESTNET)).state, 'failed');
    await finalOn(DEVNET, 2);
    const status = await aitbc('status', '--rpc', at.rpc(2));
    assert.equal(status.code, 0, status.stderr);
    assert.match(status.stdout, /ait-testnet +failed: CORRUPT/);
    await at.cluster.kill([2]);
    damage(nodeLayout(at.cluster.node(2).home, DEVNET).database);
    await assert.rejects(at.cluster.restart([2]), { code: 'CORRUPT' });
  });
});

/**
 * Cuts off every table and log of a database that is not open. The manifest goes before its first record: cut between two,
 * it is that of an older database, which may be sound.
 */
function damage(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (/^(MANIFEST-|.*\.(ldb|log)$)/.test(name)) {
      const path = join(folder, name);
      truncateSync(path, name.startsWith('MANIFEST-') ? 5 : Math.floor(statSync(path).size / 2));
    }
  }
}
