import assert from 'node:assert/strict';
import type { BlocksRequest, CertifiedBlock } from '../../../protocols/messages.ts';
import type { ChainNetwork } from '../../../protocols/network.ts';
import { NodeError } from '../../../src/errors.ts';
import { Claims } from '../../../src/sync/claims.ts';
import { PeerPace } from '../../../src/sync/peer-pace.ts';
import type { RangeSteps } from '../../../src/sync/pipeline.ts';
import { Pipeline } from '../../../src/sync/pipeline.ts';
import { MAX_RANGES, RANGE_BLOCKS } from '../../../src/sync/ranges.ts';
import { systemClock } from '../../../src/clock.ts';

const TARGET = 20 * RANGE_BLOCKS + 7;

/** Heights stand for blocks: the pipeline looks at nothing else of them. */
class Bed {
  readonly asked: BlocksRequest[] = [];
  readonly imported: number[] = [];
  readonly failed: string[] = [];
  height = 0;
  /** Ranges that were asked for and are not imported. */
  underWay = 0;
  mostUnderWay = 0;
  checks = 0;
  mostChecks = 0;
  fullTimes = 0;
  /** Agreement moves the head by one block while the first range is being checked. */
  headMoves = false;
  /** Later ranges than these first blocks are answered once all of these are imported. */
  answersFirst = 0;
  /** Its blocks prove each other, and are not those of the chain. */
  liar = '';
  askedOfLiar = 0;
  /** Who sent the block of a height, the last one who did. */
  readonly #senders = new Map<number, string>();
  readonly #claims = new Claims();

  readonly network = {
    peers: () => ['a', 'b', 'c', 'd', 'e'],
    request: async (peer: string, _method: string, request: BlocksRequest) => {
      this.asked.push(request);
      if (peer === this.liar) this.askedOfLiar += 1;
      this.underWay += 1;
      this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
      // Answers come in another order than they were asked for.
      for (let i = 0; i < (this.asked.length * 7) % 5; i++) await new Promise((resolve) => setImmediate(resolve));
      while (request.from > this.answersFirst && this.height < this.answersFirst) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      const heights = Array.from({ length: request.count }, (_, i) => request.from + i);
      for (const height of heights) this.#senders.set(height, peer);
      return heights.map((height) => ({ block: { header: { height } } }));
    },
  } as unknown as ChainNetwork;

  readonly steps: RangeSteps<readonly number[]> = {
    height: () => this.height,
    target: () => TARGET,
    link: (blocks: readonly CertifiedBlock[]) => blocks.map(({ block }) => block.header.height),
    check: async (heights) => {
      if (this.headMoves && heights[0] === 1) this.height = 1;
      this.checks += 1;
      this.mostChecks = Math.max(this.mostChecks, this.checks);
      await new Promise((resolve) => setImmediate(resolve));
      this.checks -= 1;
      if (this.fullTimes-- > 0) throw new NodeError('POOL_FULL', 'too many wait');
    },
    import: (heights) => {
      assert.equal(heights[0], this.height + 1);
      if (this.#senders.get(this.height + 1) === this.liar) {
        return Promise.resolve(new NodeError('BAD_CERTIFICATE', 'not what was decided'));
      }
      this.imported.push(heights.length);
      this.height = heights.at(-1) ?? this.height;
      this.underWay -= 1;
      return Promise.resolve(null);
    },
    came: () => undefined,
    delivered: (peer, isUseful) => {
      if (!isUseful) this.failed.push(`${peer} was of no use`);
    },
    failed: (peer, from, { code }) => {
      this.failed.push(`${peer} ${from} ${code}`);
      if (peer === this.liar) this.#claims.drop(peer);
      return peer === this.liar;
    },
    stoodStill: () => undefined,
  };

  async run(): Promise<void> {
    const claims = this.#claims;
    for (const peer of this.network.peers()) claims.add(peer, { baseHeight: 1, height: TARGET });
    const { signal } = new AbortController();
    const modules = { claims, pace: new PeerPace(), network: this.network, clock: systemClock, signal };
    await new Pipeline(modules, this.steps).run();
  }
}

describe('a run of catching up', () => {
  it('imports ranges in order, each once, with bounded numbers under way and in the verifier', async () => {
    const bed = new Bed();
    await bed.run();
    assert.equal(bed.height, TARGET);
    assert.equal(bed.asked.length, bed.imported.length);
    assert.ok(bed.mostUnderWay <= MAX_RANGES, String(bed.mostUnderWay));
    assert.equal(bed.mostChecks, 2);
    assert.deepEqual(bed.failed, []);
  });

  it('waits for a full verifier, and asks for nothing twice', async () => {
    const bed = new Bed();
    bed.fullTimes = 3;
    await bed.run();
    assert.equal(bed.height, TARGET);
    assert.equal(bed.asked.length, bed.imported.length);
    assert.deepEqual(bed.failed, []);
  });

  it('asks others for all that a liar has sent, at its first lie', async () => {
    const bed = new Bed();
    bed.liar = 'a';
    await bed.run();
    assert.equal(bed.height, TARGET);
    assert.equal(bed.failed.length, 1, bed.failed.join(', '));
    assert.match(bed.failed[0] ?? '', /^a .* BAD_CERTIFICATE$/u);
    assert.ok(bed.askedOfLiar > 1, String(bed.askedOfLiar));
  });

  it('leaves no gap when agreement moves the head past the start of a range, whatever else is on its way', async () => {
    const bed = new Bed();
    bed.headMoves = true;
    bed.answersFirst = 4 * RANGE_BLOCKS;
    await bed.run();
    assert.equal(bed.height, TARGET);
    assert.deepEqual(bed.failed, []);
  });
});
