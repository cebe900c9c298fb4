import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../src/bytes.ts';
import { pureCrypto } from '../../src/chain/crypto/pure.ts';
import { isNodeError } from '../../src/errors.ts';
import { trustGenesis, verifyAccountProof } from '../../src/sdk/verify.ts';
import { compareNodes } from '../../testnet/compare.ts';
import type { TestCluster } from './support.ts';
import {
  get,
  head,
  makeTransfer,
  nonceOf,
  post,
  startCluster,
  submit,
  submitFinal,
  until,
  untilFinal,
} from './support.ts';

describe('three validators', function () {
  this.timeout(120_000);
  let at: TestCluster;
  let rpcs: string[];
  before(async () => {
    at = await startCluster({ validators: 3 });
    rpcs = [1, 2, 3].map((index) => at.rpc(index));
  });
  after(() => at.close());

  it('answer 404 for the head before the first block', async () => {
    for (const rpc of rpcs) {
      const { status, json } = await get(`${rpc}/rpc/head`);
      assert.equal(status, 404);
      assert.equal(json.code, 'NOT_FOUND');
    }
  });

  it('make a transfer sent to any of them final on all, with equal blocks and states', async () => {
    const { signer, address } = at.account('alice');
    const bob = at.account('bob');
    for (const [i, rpc] of rpcs.entries()) {
      const tx = makeTransfer(at.genesis, signer, bob.address, { nonce: i, amountUait: 1_000_000 });
      const { status, json } = await submit(rpc, tx, 'commit');
      assert.equal(status, 200, JSON.stringify(json));
      assert.equal(json.status, 'final');
      assert.equal(json.code, 0);
      const height = await untilFinal(rpcs, toHex(tx.id));
      const blocks = await Promise.all(rpcs.map((url) => get(`${url}/rpc/blocks/${height}`)));
      assert.equal(new Set(blocks.map((block) => `${block.json.hash} ${block.json.state_root}`)).size, 1);
      for (const url of rpcs) {
        const account = (await get(`${url}/rpc/accounts/${bob.address}`)).json;
        assert.equal(account.balance_uait, String(1_000_000_000_000 + (i + 1) * 1_000_000));
        assert.equal(await nonceOf(url, address), i + 1);
      }
    }
    assert.ok((await compareNodes(at.cluster)).equal);
  });

  it('proves an account with no node trusted', async () => {
    const trusted = trustGenesis(
      pureCrypto,
      JSON.parse(readFileSync(join(at.cluster.dataDir, 'genesis.json'), 'utf8')),
    );
    assert.equal(toHex(trusted.chain.genesisHash), at.cluster.manifest.genesis_hash);
    const { address } = at.account('bob');
    for (const rpc of rpcs) {
      const { json } = await get(`${rpc}/rpc/accounts/${address}?proof=1`);
      const proven = verifyAccountProof(trusted, json);
      assert.equal(String(proven.account.balanceUait), json.balance_uait);
      assert.equal(proven.height, json.height);
      const richer = { ...json, balance_uait: String(Number(json.balance_uait) + 1) };
      assert.throws(
        () => verifyAccountProof(trusted, richer),
        (error) => isNodeError(error) && error.code === 'BAD_PROOF',
      );
    }
  });

  it('shows the head in the form of the contract', async () => {
    const { json } = await get(`${rpcs[0] ?? ''}/rpc/head`);
    assert.deepEqual(Object.keys(json).sort(), [
      'chain_id',
      'hash',
      'height',
      'proposer',
      'round',
      'state_root',
      'timestamp',
      'tx_count',
    ]);
  });

  describe('refuse with a code, and lose nothing:', () => {
    let nonce: number;
    let rpc: string;
    beforeEach(async () => {
      rpc = rpcs[1] ?? '';
      nonce = await nonceOf(rpc, at.account('alice').address);
    });

    const refusal = async (what: string, code: string, make: () => Uint8Array): Promise<void> => {
      const bytes = make();
      const { status, json } = await submit(rpc, bytes, 'sync');
      assert.ok(status >= 400 && status < 500, `${what}: HTTP ${status} ${JSON.stringify(json)}`);
      assert.equal(json.code, code, JSON.stringify(json));
    };
    const alice = (options: Parameters<typeof makeTransfer>[3]): Uint8Array =>
      makeTransfer(at.genesis, at.account('alice').signer, at.account('bob').address, options).bytes;

    it('another chain', () =>
      refusal('chain', 'BAD_SIGNATURE', () =>
        alice({ nonce, chain: { ...at.genesis.chain, chainId: 'ait-testnet' } }),
      ));

    it('another genesis', () =>
      refusal('genesis', 'BAD_SIGNATURE', () =>
        alice({ nonce, chain: { ...at.genesis.chain, genesisHash: randomBytes(32) } }),
      ));

    it('a replay', () => refusal('replay', 'BAD_NONCE', () => alice({ nonce: nonce - 1, amountUait: 77 })));

    it('a nonce gap too wide', () => refusal('gap', 'NONCE_GAP', () => alice({ nonce: nonce + 1000 })));

    it('more than the account holds', () =>
      refusal('overspend', 'INSUFFICIENT_FUNDS', () => alice({ nonce, amountUait: 2_000_000_000_000 })));

    it('a fee too low', () => refusal('fee', 'FEE_TOO_LOW', () => alice({ nonce, feeUait: 1 })));

    it('an expired transaction', async () => {
      const { height } = (await head(rpc)) ?? { height: 0 };
      assert.ok(height > 0);
      await refusal('expired', 'EXPIRED', () => alice({ nonce, validUntilHeight: height }));
    });

    it('a bad signature', () =>
      refusal('signature', 'BAD_SIGNATURE', () => {
        const bytes = alice({ nonce }).slice();
        bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 0x01;
        return bytes;
      }));

    it('an unknown type', () => refusal('type', 'UNKNOWN_TX_TYPE', () => alice({ nonce, type: 60_000 })));

    it('truncated and trailing bytes', async () => {
      await refusal('truncated', 'CODEC', () => alice({ nonce }).slice(0, -1));
      await refusal('trailing', 'CODEC', () => Uint8Array.of(...alice({ nonce }), 0));
    });

    it('garbage', async () => {
      await refusal('garbage', 'CODEC', () => randomBytes(200));
      for (const body of ['', '{', '[]', '{"tx":1}', '{"tx":"zz"}', '{"nothing":true}']) {
        const { status, json } = await post(`${rpc}/rpc/transactions`, body);
        assert.equal(status, 400, `${body}: ${JSON.stringify(json)}`);
        assert.ok(
          ['PARSE_ERROR', 'INVALID_REQUEST', 'INVALID_PARAMS', 'CODEC'].includes(json.code),
          JSON.stringify(json),
        );
      }
    });

    it('and go on', async () => {
      const tx = makeTransfer(at.genesis, at.account('alice').signer, at.account('bob').address, { nonce });
      await submitFinal(rpc, tx);
      await untilFinal(rpcs, toHex(tx.id));
      assert.ok((await compareNodes(at.cluster)).equal);
      for (const url of rpcs) await until('ready', async () => (await fetch(`${url}/readyz`)).status === 200);
    });
  });
});
