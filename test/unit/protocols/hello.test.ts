import assert from 'node:assert/strict';
import { goodbyeOf, matchChains } from '../../../protocols/hello.ts';
import { genesis8, protocolId, topicName } from '../../../protocols/topics.ts';

const chain = (chainId: string, fill: number) => ({ chainId, genesisHash: new Uint8Array(32).fill(fill) });

describe('protocols/hello', () => {
  it('shares chains with equal genesis, refuses the others by name', () => {
    const ours = [chain('a', 1), chain('b', 2), chain('c', 3)];
    const theirs = [chain('b', 2), chain('c', 9), chain('d', 4)];
    const match = matchChains(ours, theirs);
    assert.deepEqual(match.shared, ['b']);
    assert.deepEqual(
      match.refused.map(({ chainId }) => chainId),
      ['c'],
    );
    assert.equal(goodbyeOf(ours, theirs, match), 'none');
  });

  it('says goodbye only when both carry chains and share none', () => {
    const none = { shared: [], refused: [] };
    assert.equal(goodbyeOf([chain('a', 1)], [chain('b', 1)], none), 'no-shared-chain');
    assert.equal(goodbyeOf([], [chain('b', 1)], none), 'none');
    assert.equal(goodbyeOf([chain('a', 1)], [], none), 'none');
  });

  it('names topics and protocols by chain and genesis', () => {
    const devnet = { chainId: 'ait-devnet', genesisHash: Uint8Array.of(0x0a, 0x1b, 0x2c, 0x3d, ...new Uint8Array(28)) };
    assert.equal(genesis8(devnet.genesisHash), '0a1b2c3d');
    assert.equal(topicName(devnet, 'vote'), '/aitbc/ait-devnet/0a1b2c3d/vote/1');
    assert.equal(protocolId(devnet, 'blocks'), '/aitbc/ait-devnet/0a1b2c3d/blocks/1');
  });
});
