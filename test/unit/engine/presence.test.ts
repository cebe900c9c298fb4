import assert from 'node:assert/strict';
import { statusSignBytes } from '../../../protocols/codec.ts';
import type { SignedStatus } from '../../../protocols/messages.ts';
import type { Signer } from '../../../src/chain/crypto/types.ts';
import { FRESH_MS, leastQuorum } from '../../../src/engine/presence.ts';
import { signer } from '../../util/chain-fixture.ts';
import { NodeUnderTest } from './node-under-test.ts';

describe('signs of life', () => {
  let node: NodeUnderTest;

  beforeEach(() => {
    node = new NodeUnderTest({ powers: [1, 1, 1, 1] });
  });

  afterEach(() => node.stop());

  function status(key: Signer, change: Partial<SignedStatus> = {}): SignedStatus {
    const core = { height: 0, blockId: new Uint8Array(32), timeMs: node.clock.now(), peerId: 'peer', ...change };
    const signature = key.sign(statusSignBytes(node.genesis.chain, core));
    return { ...core, validator: key.publicKey, signature, ...change };
  }

  const alone = async (): Promise<void> => {
    node = new NodeUnderTest({ powers: [1, 1, 1, 1], alone: true });
    await node.start();
  };

  const hear = (message: SignedStatus): Promise<string> => node.chain.handlers.gossip.status(message, 'peer');

  it('OK, DUPLICATE, STALE, UNKNOWN_SIGNER, BAD_SIGNATURE', async () => {
    await alone();
    const good = status(node.key(1));
    assert.equal(await hear(good), 'FIRST_HAND');
    assert.equal(await hear(status(node.key(3), { peerId: 'another' })), 'OK', 'of whom it does not name');
    assert.equal(await hear(good), 'DUPLICATE');
    assert.equal(await hear(status(node.key(1), { timeMs: node.clock.now() - 1 })), 'DUPLICATE', 'older than known');
    assert.equal(await hear(status(node.key(2), { timeMs: node.clock.now() - 61_000 })), 'STALE');
    assert.equal(await hear(status(node.key(2), { timeMs: node.clock.now() + 61_000 })), 'STALE');
    assert.equal(await hear(status(signer('stranger'))), 'UNKNOWN_SIGNER');
    assert.equal(await hear(status(node.key(2), { signature: new Uint8Array(64) })), 'BAD_SIGNATURE');
  });

  it(`a validator counts for ${FRESH_MS} ms, a quorum by power`, async () => {
    await alone();
    assert.equal(node.chain.presence.reach().validators, 1, 'itself');
    for (const i of [1, 2]) await hear(status(node.key(i)));
    assert.deepEqual(node.chain.presence.reach(), { validators: 3, total: 4, quorum: 3, hasQuorum: true });
    await node.advance(FRESH_MS + 1);
    assert.deepEqual(node.chain.presence.reach(), { validators: 1, total: 4, quorum: 3, hasQuorum: false });
  });

  it('tells how far the clocks of others are from its own', async () => {
    await alone();
    await hear(status(node.key(1), { peerId: 'ahead', timeMs: node.clock.now() + 700 }));
    await hear(status(node.key(2), { peerId: 'behind', timeMs: node.clock.now() - 900 }));
    await node.advance(1_000);
    const offsets = node.chain.presence.clockOffsets();
    assert.deepEqual([offsets.get('ahead'), offsets.get('behind')], [700, -900]);
  });

  it('says so itself every few seconds while it signs, and not otherwise', async () => {
    await node.start();
    const count = (): number => node.network.of('status').length;
    const before = count();
    for (let i = 0; i < 12; i++) await node.advance(5_000);
    assert.ok(count() - before >= 11, String(count() - before));
    node.chain.gate.set('catching-up', 'test');
    const closed = count();
    await node.advance(20_000);
    assert.equal(count(), closed);
  });

  it('the least number of validators for a quorum', () => {
    assert.deepEqual(
      [[1], [1, 1], [1, 1, 1], [1, 1, 1, 1], [7, 1, 1, 1], [3, 3, 1, 1, 1]].map(leastQuorum),
      [1, 2, 2, 3, 1, 2],
    );
  });
});
