/** Who has missed what was said of a block does not wait for agreement to say it. */
import assert from 'node:assert/strict';
import type { BlocksRequest, CertifiedBlock, PeerStatus } from '../../../protocols/messages.ts';
import { blockId } from '../../../src/chain/block.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import type { PeerScript } from '../../util/scripted-network.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { NodeUnderTest } from '../engine/node-under-test.ts';

/** Below the patience with agreement. */
const SOON_MS = 300;

describe('a node that is not in step', () => {
  let node: NodeUnderTest;
  let chain: CertifiedBlock[];

  beforeEach(() => {
    node = new NodeUnderTest({ self: null, params: { max_block_txs: 10 } });
    chain = [];
  });

  afterEach(() => node.stop());

  const height = (): number => node.chain.ledger.tip.height;

  function transfer(): Transaction {
    const nonce = node.driver.tip.height;
    return makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce, validUntilHeight: 10_000 });
  }

  function decide(): void {
    const { block } = node.driver.commit([transfer()]);
    assert.ok(node.driver.certificate);
    chain.push({ block, certificate: node.driver.certificate });
  }

  /** Says what it has when it is asked; `onBlocks` happens while its answer is on its way. */
  const peer = (onBlocks: () => void = () => undefined): PeerScript => ({
    status: (): PeerStatus => {
      const last = chain.at(-1);
      return {
        genesisHash: node.genesis.chain.genesisHash,
        baseHeight: 1,
        height: chain.length,
        blockId: last ? blockId(nativeCrypto, last.block.header) : new Uint8Array(32),
        certificate: last?.certificate ?? null,
      };
    },
    blocks: ({ from, count }: BlocksRequest) => {
      const answer = chain.slice(from - 1, from - 1 + count);
      onBlocks();
      return answer;
    },
    votes: () => ({ votes: [], proposals: [] }),
  });

  async function passed(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 10) await node.advance(10);
  }

  it('asks at once what was decided while blocks came, one after the other', async () => {
    for (let i = 0; i < 3; i++) decide();
    node.network.scripts.set(
      'peer',
      peer(() => {
        if (chain.length < 8) decide();
      }),
    );
    await node.start();
    await passed(SOON_MS);
    assert.equal(height(), 8);
  });

  it('fetches a lone block without patience', async () => {
    decide();
    node.network.scripts.set('peer', peer());
    await node.start();
    await passed(SOON_MS);
    assert.equal(height(), 1);
    decide();
    node.chain.sync.hearsay('peer', 2);
    await passed(SOON_MS);
    assert.equal(height(), 2);
  });

  it('leaves a lone block to agreement for a while when agreement brought the one before it', async () => {
    node.network.scripts.set('peer', peer());
    await node.start();
    const transfers = [transfer()];
    const built = node.driver.build(transfers);
    const message = node.propose(built);
    const votes = [0, 1, 2].map((i) => node.vote(i, 'precommit', 0, built.blockId));
    decide();
    await node.chain.handlers.gossip.tx({ attempt: 0, origin: 'other', txs: transfers }, 'other');
    await node.hearProposal(message);
    await node.hear(votes);
    assert.equal(height(), 1);
    assert.deepEqual(node.chain.ledger.tip.blockId, built.blockId);
    decide();
    const { length } = node.network.asked;
    node.chain.sync.hearsay('peer', 2);
    await passed(SOON_MS);
    assert.equal(node.network.asked.length, length);
    await passed(SOON_MS);
    assert.equal(height(), 2);
  });

  it('asks no more when nothing new was decided', async () => {
    for (let i = 0; i < 3; i++) decide();
    node.network.scripts.set('peer', peer());
    await node.start();
    await passed(SOON_MS);
    assert.equal(height(), 3);
    const { length } = node.network.asked;
    await passed(SOON_MS);
    assert.equal(node.network.asked.length, length);
  });
});
