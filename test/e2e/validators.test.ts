import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { fromHex, toHex } from '../../src/bytes.ts';
import { parseAddress } from '../../src/chain/address.ts';
import type { Signer } from '../../src/chain/crypto/types.ts';
import { proposeChange, validatorKeySignBytes, voteChange } from '../../src/chain/modules/validators.ts';
import type { Change } from '../../src/chain/modules/validators-state.ts';
import { leastFeeUait } from '../../src/chain/params.ts';
import { MIN_TX_BYTES, signTransaction } from '../../src/chain/tx.ts';
import { createNativeSigner, nativeCrypto } from '../../src/native/crypto.ts';
import { createClient } from '../../src/sdk/client.ts';
import {
  DEFAULT_MAX_CLOCK_DRIFT_MS,
  DEFAULT_TRUSTING_PERIOD_MS,
  genesisHead,
  verifyLightBlock,
} from '../../src/chain/light.ts';
import { readLightBlock } from '../../src/sdk/light-block.ts';
import { LightClient } from '../../src/sdk/light-client.ts';
import { compareNodes } from '../../testnet/compare.ts';
import { nodeLayout, readSeed } from '../../testnet/layout.ts';
import type { TestCluster } from './support.ts';
import { get, keepSending, nonceOf, startCluster, submitFinal, until } from './support.ts';

describe('the validator set changes by vote while transfers flow', function () {
  this.timeout(180_000);
  let at: TestCluster;
  let flow: { stop(): Promise<number> };
  const keys = async (): Promise<string[]> => {
    const { json } = await get(`${at.rpc(1)}/rpc/validators`);
    return json.current.validators.map((validator: { public_key: string }) => validator.public_key);
  };
  const act = async (operator: string, type: number, payload: Uint8Array): Promise<void> => {
    const { signer, address } = at.account(operator);
    const tx = signTransaction(nativeCrypto, at.genesis.chain, signer, {
      type,
      nonce: await nonceOf(at.rpc(1), address),
      feeUait: leastFeeUait(at.genesis.params, MIN_TX_BYTES + payload.length),
      validUntilHeight: 1_000_000,
      payload,
    });
    const json = await submitFinal(at.rpc(1), tx);
    assert.equal(json.code, 0, JSON.stringify(json));
  };
  /** Proposed by op1, whose own vote counts; the others vote until there is a quorum. */
  const decide = async (change: Change, ...voters: string[]): Promise<void> => {
    await act('op1', proposeChange.type, proposeChange.encode(change));
    const { json } = await get(`${at.rpc(1)}/rpc/validators`);
    for (const voter of voters) {
      const open = (await get(`${at.rpc(1)}/rpc/validators`)).json.proposals;
      if (open.length === 0) break;
      await act(voter, voteChange.type, voteChange.encode({ proposal: json.proposals[0].id }));
    }
  };
  const proofOf = (signer: Signer, operator: string): Uint8Array =>
    signer.sign(validatorKeySignBytes(at.genesis.chain, parseAddress(operator)));
  const seedOf = (index: number): Uint8Array =>
    readSeed(nodeLayout(at.cluster.node(index).home, at.genesis.chain.chainId).validatorKey);
  const signs = (index: number, expected: boolean): Promise<boolean> =>
    until(`n${index} ${expected ? 'signs' : 'does not sign'}`, async () => {
      const { json } = await get(`${at.rpc(index)}/rpc/status`);
      return json.signing === expected;
    });
  before(async () => {
    at = await startCluster({ validators: 3 });
    flow = keepSending(at, () => 1, 'alice', 'bob');
  });
  after(() => at.close());

  it('adds a node that followed', async () => {
    assert.equal(await at.cluster.add(), 4);
    const signer = createNativeSigner(seedOf(4));
    const operator = at.account('carol').address;
    await decide(
      {
        kind: 'add',
        publicKey: signer.publicKey,
        operator: parseAddress(operator),
        name: 'n4',
        proof: proofOf(signer, operator),
      },
      'op2',
    );
    await until('n4 is a validator', async () => (await keys()).includes(toHex(signer.publicKey)));
    await signs(4, true);
    // Its vote counts: with n3 down, three of four are just a quorum.
    await at.cluster.kill([3]);
    const before = (await get(`${at.rpc(1)}/rpc/head`)).json.height;
    await until('blocks with n4', async () => (await get(`${at.rpc(1)}/rpc/head`)).json.height > before + 2);
    await at.cluster.restart([3]);
    await signs(3, true);
  });

  it('removes one', async () => {
    const gone = at.cluster.node(2).validator;
    await decide({ kind: 'remove', publicKey: fromHex(gone, 32) }, 'op2', 'op3');
    await until('n2 is no validator', async () => !(await keys()).includes(gone));
    await signs(2, false);
  });

  it('rotates a key', async () => {
    const node = at.cluster.node(3);
    const seed = randomBytes(32);
    const signer = createNativeSigner(seed);
    const operator = at.account('op3').address;
    await decide(
      {
        kind: 'rotate',
        publicKey: fromHex(node.validator, 32),
        newKey: signer.publicKey,
        proof: proofOf(signer, operator),
      },
      'op3',
    );
    await until('the new key is a validator', async () => (await keys()).includes(toHex(signer.publicKey)));
    assert.ok(!(await keys()).includes(node.validator));
    writeFileSync(nodeLayout(node.home, at.genesis.chain.chainId).validatorKey, `${toHex(seed)}\n`, { mode: 0o600 });
    await at.cluster.restart([3]);
    await signs(3, true);
  });

  it('without stopping the flow, and with one chain on all', async () => {
    const final = await flow.stop();
    assert.ok(final > 5, String(final));
    assert.equal((await keys()).length, 3);
    const compared = await compareNodes(at.cluster);
    assert.ok(compared.equal);
    assert.ok(compared.height >= 10);
  });

  it('and followed from genesis by a client that trusts no node', async () => {
    const rules = {
      crypto: nativeCrypto,
      chain: at.genesis.chain,
      trustingPeriodMs: DEFAULT_TRUSTING_PERIOD_MS,
      maxClockDriftMs: DEFAULT_MAX_CLOCK_DRIFT_MS,
    };
    const root = genesisHead(nativeCrypto, at.genesis);
    const sources = [1, 2, 3, 4].map((index) => createClient({ url: at.rpc(index) }));
    const bob = parseAddress(at.account('bob').address);
    for (const source of sources) {
      const light = new LightClient({ rules, root, sources: [source] });
      const { block } = await light.account(bob);
      assert.equal(block.validators.validators.length, 3);
      // Step by step too: every node has the set of every height.
      let trusted = root;
      for (let height = 1; height <= block.header.height; height++) {
        const next = readLightBlock(rules, await source.lightBlock(height));
        trusted = verifyLightBlock(rules, trusted, next, Date.now());
      }
      assert.equal(toHex(trusted.blockId), toHex(block.blockId));
    }
    const all = new LightClient({ rules, root, sources });
    await all.update();
    assert.deepEqual(all.faults, []);
  });
});
