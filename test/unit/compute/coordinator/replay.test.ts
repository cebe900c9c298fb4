import assert from 'node:assert/strict';
import { toHex } from '../../../../src/bytes.ts';
import type { Replayed, Replayer, ReplayJob } from '../../../../src/compute/coordinator/replay.ts';
import { replayWork } from '../../../../src/compute/coordinator/replay.ts';
import { TABLE } from '../../../../src/compute/coordinator/rows.ts';
import { NodeError } from '../../../../src/errors.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { CHAIN } from './fixtures.ts';
import type { Script } from './test-miner.ts';
import { TestMiner } from './test-miner.ts';
import { requestOf, World } from './world.ts';

const KIND = 'text.upper';
const DIGEST = new Uint8Array(32).fill(9);
const REQUEST = {
  kind: KIND,
  parts: [{ role: '', mediaType: 'text/plain', data: new TextEncoder().encode('vienna') }],
};
const HONEST: Script = { kind: KIND, digest: DIGEST, pieces: ['VIEN', 'NA'] };
/** All that it signs fits together: only the work itself shows that the result is wrong. */
const WRONG: Script = { ...HONEST, pieces: ['VIEN', 'NE'] };
const HALF_LIFE_MS = 6 * 3_600_000;

class UpperCase implements Replayer {
  runs = 0;
  isDeterministic = true;
  fault: NodeError | null = null;
  hold: Promise<void> = Promise.resolve();

  covers(kind: string, model: string, digest: Uint8Array | null): boolean {
    return kind === KIND && model === 'tiny' && digest !== null && toHex(digest) === toHex(DIGEST);
  }

  async replay({ parts }: ReplayJob): Promise<Replayed> {
    this.runs++;
    await this.hold;
    if (this.fault) throw this.fault;
    const text = new TextDecoder().decode(parts[0]?.data).toUpperCase();
    return { output: new TextEncoder().encode(text), isDeterministic: this.isDeterministic };
  }
}

describe('coordinator: work done again', () => {
  let world: World;
  let replayer: UpperCase;

  async function start(sharePercent: number, limits = {}): Promise<void> {
    replayer = new UpperCase();
    world = new World({ replay: { replayer, sharePercent }, limits });
    await world.start();
  }
  afterEach(() => world.coordinator.close());

  it('a miner that gives a wrong result is found out, with a proof, and left out for hours', async () => {
    await start(100);
    const cheat = world.add(new TestMiner(1, WRONG));
    const { id, miner } = await world.run(REQUEST);
    assert.deepEqual(miner, cheat.address, 'its receipt is in order, and it was paid');
    await world.until('the proof', () => world.coordinator.wrongResult(id) !== undefined, 0);
    assert.equal(world.coordinator.why(id)?.reasons[0]?.code, 'WRONG_RESULT');

    const proof = world.coordinator.wrongResult(id);
    assert.ok(proof);
    const work = { ...proof, receipt: proof.receipt.receipt };
    const verdict = await replayWork(nativeCrypto, CHAIN, work, new UpperCase(), new AbortController().signal);
    assert.equal(verdict.result, 'different', 'whoever doubts it sees the same');
    assert.deepEqual(verdict.outputHash, proof.outputHash);

    const alone = await world.run({ ...REQUEST, queueMs: 2_000 });
    assert.deepEqual([alone.state, alone.attempt], ['expired', 0], 'rather nobody than this one');
    const honest = world.add(new TestMiner(2, HONEST));
    for (let i = 0; i < 5; i++) assert.deepEqual((await world.run(REQUEST)).miner, honest.address);

    await world.crash();
    assert.deepEqual((await world.run(REQUEST)).miner, honest.address, 'nor after a restart');
    assert.deepEqual(world.coordinator.wrongResult(id)?.outputHash, proof.outputHash);
    world.remove(honest);
    world.clock.advance(HALF_LIFE_MS + 1_000);
    assert.deepEqual((await world.run(REQUEST)).miner, cheat.address, 'in the end it may try again');
  });

  it('an honest miner passes', async () => {
    await start(100);
    world.add(new TestMiner(1, HONEST));
    const { id } = await world.run(REQUEST);
    await world.until('the replay', () => replayer.runs === 1, 0);
    assert.equal(world.coordinator.wrongResult(id), undefined);
    assert.equal((await world.run(REQUEST)).state, 'completed');
  });

  it('what shows nothing blames nobody', async () => {
    await start(100);
    world.add(new TestMiner(1, WRONG));
    replayer.fault = new NodeError('BAD_JOB', 'it went too deep');
    await world.run(REQUEST);
    await world.until('the replay', () => replayer.runs === 1, 0);
    replayer.fault = null;
    replayer.isDeterministic = false;
    const { id } = await world.run(REQUEST);
    await world.until('the replay', () => replayer.runs === 2, 0);
    assert.equal((await world.run(REQUEST)).state, 'completed');
    assert.equal(world.coordinator.wrongResult(id), undefined);
    assert.equal(world.rows.ofTable(TABLE.wrongResult).length, 0);
  });

  it('only a share of the work is done again, and none that cannot be', async () => {
    await start(0);
    world.add(new TestMiner(1, WRONG));
    await world.run(REQUEST);
    await world.coordinator.close();
    assert.equal(replayer.runs, 0);
    await start(100);
    world.add(new TestMiner(1, { ...WRONG, digest: new Uint8Array(32) }));
    await world.run(REQUEST);
    assert.equal(replayer.runs, 0, 'another build');
  });

  it('bound: jobs that wait to be done again, and their input', async () => {
    await start(100, { maxReplays: 1 });
    world.add(new TestMiner(1, HONEST));
    const gate = Promise.withResolvers<void>();
    replayer.hold = gate.promise;
    for (let i = 0; i < 4; i++) await world.run(REQUEST);
    gate.resolve();
    await world.until('the rest', () => replayer.runs === 2, 0);
    await world.coordinator.close();
    assert.equal(replayer.runs, 2, 'the one at work, and one more');
    await start(100, { maxReplayBytes: 16 });
    world.add(new TestMiner(1, HONEST));
    await world.run(REQUEST);
    assert.equal(replayer.runs, 0);
  });

  it('bound: wrong results that are kept', async () => {
    await start(100, { maxWrongResults: 1 });
    for (const seed of [1, 2]) world.add(new TestMiner(seed, WRONG));
    await world.run(REQUEST);
    await world.until('the first', () => replayer.runs === 1, 0);
    const { id } = await world.run(REQUEST);
    await world.until('the second', () => world.coordinator.why(id)?.reasons[0]?.code === 'WRONG_RESULT', 0);
    assert.equal(world.rows.ofTable(TABLE.wrongResult).length, 1);
  });

  it('a receipt about other work is not held against anything', async () => {
    await start(100);
    world.add(new TestMiner(1, WRONG));
    const { id } = await world.run(REQUEST);
    await world.until('the proof', () => world.coordinator.wrongResult(id) !== undefined, 0);
    const proof = world.coordinator.wrongResult(id);
    assert.ok(proof);
    const other = { ...proof, receipt: { ...proof.receipt.receipt, inputHash: new Uint8Array(32) } };
    const { signal } = new AbortController();
    await assert.rejects(replayWork(nativeCrypto, CHAIN, other, replayer, signal), { code: 'BAD_RECEIPT' });
    assert.equal(requestOf(REQUEST).kind, KIND);
  });
});
