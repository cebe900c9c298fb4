/** Input that a miner fetches: whole, checked, within its time, and once. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { encodeLeafList, LEAF_TEXT_BYTES } from '../../../../src/chain/market/blob.ts';
import type { JobPart } from '../../../../src/chain/market/content.ts';
import { dueUait } from '../../../../src/chain/market/price.ts';
import type { SealedBlob } from '../../../../src/compute/blobs/cipher.ts';
import { sealBlob } from '../../../../src/compute/blobs/cipher.ts';
import { equalBytes } from '../../../../src/bytes.ts';
import { NodeError } from '../../../../src/errors.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { paidAfterCut } from './after-cut.ts';
import { TestClient } from './client.ts';
import { PRICE, World } from './world.ts';

const LEAVES = 6;

/** A miner, a client with a blob, and the client's node, which counts what it is asked for. */
class BlobWorld {
  readonly world = new World();
  readonly blob: SealedBlob;
  readonly plain: Uint8Array;
  readonly asked: number[] = [];
  readonly peers = new Set<string>();
  client!: TestClient;
  got: Uint8Array | null = null;

  static async start(): Promise<BlobWorld> {
    const plain = new Uint8Array(randomBytes((LEAVES - 1) * LEAF_TEXT_BYTES + 100));
    const made = new BlobWorld(plain, await sealBlob(nativeCrypto, plain, new Uint8Array(randomBytes(32))));
    await made.world.start();
    made.client = new TestClient(made.world);
    made.client.openAgreement(50_000_000);
    return made;
  }

  constructor(plain: Uint8Array, blob: SealedBlob) {
    this.plain = plain;
    this.blob = blob;
    this.world.script = (job) => {
      this.got = job.parts[1]?.data ?? null;
      return Promise.resolve({ finish: 'stop', inputTokens: null, outputTokens: null });
    };
    this.world.ask = (peer, request) => this.give(peer, request.root, request.part);
  }

  async give(peer: string, root: Uint8Array, part: number): Promise<Uint8Array> {
    this.peers.add(peer);
    this.asked.push(part);
    if (!equalBytes(root, this.blob.ref.root)) throw new NodeError('NOT_FOUND', 'no such blob');
    return part === 0 ? encodeLeafList(this.blob.list) : this.blob.leaf(part - 1);
  }

  get parts(): JobPart[] {
    return [
      { role: '', mediaType: 'text/plain', data: new TextEncoder().encode('small') },
      { role: '', mediaType: 'text/plain', blob: this.blob.ref },
    ];
  }

  run(parts = this.parts, more: Parameters<TestClient['run']>[0] = {}): ReturnType<TestClient['run']> {
    return this.client.run({ parts, single: true, maxUait: 20_000_000, ...more });
  }

  /** What a refusal said. */
  async refusal(): Promise<{ readonly code: string; readonly text: string }> {
    await this.over();
    const refused = this.client.frames.findLast((frame) => frame.type === 'refuse');
    return refused ?? assert.fail(`not refused but ${this.client.ended}`);
  }

  async over(stepMs = 0): Promise<void> {
    await this.world.until('the end of the attempt', () => {
      if (stepMs > 0) this.world.clock.advance(stepMs);
      return this.client.ended !== null;
    });
  }
}

describe('miner with input that it fetches', () => {
  it('works on all of it, asks for each part once, and is paid for its bytes', async () => {
    const made = await BlobWorld.start();
    const work = await made.run();
    await made.over();
    assert.deepEqual([made.client.ended, made.client.receipt === null], ['done', false]);
    assert.deepEqual(made.got, made.plain);
    assert.deepEqual(
      made.asked.toSorted((a, b) => a - b),
      [...Array(LEAVES + 1).keys()],
    );
    const { inputBytes, dueUait: due } = made.client.receipt?.receipt ?? assert.fail();
    assert.equal(inputBytes, work.content.length + made.plain.length);
    assert.equal(due, dueUait(PRICE, inputBytes, 0));
    await made.world.miner.close();
  });

  it('names who gave another leaf or another list, and works on nothing', async () => {
    for (const lied of [0, 3]) {
      const made = await BlobWorld.start();
      const other = await sealBlob(nativeCrypto, made.plain, new Uint8Array(randomBytes(32)));
      made.world.ask = (peer, { root, part }) => {
        if (part !== lied) return made.give(peer, root, part);
        return part === 0 ? Promise.resolve(encodeLeafList(other.list)) : other.leaf(part - 1);
      };
      await made.run();
      const { code, text } = await made.refusal();
      assert.equal(code, 'BAD_PROOF');
      assert.match(text, /the node peer, where the work stream comes from, gave a l/);
      assert.ok(made.world.lies.length >= 1 && made.world.lies.every((lie) => lie.startsWith('peer: it gave a l')));
      assert.equal(made.got, null);
      await made.world.settle();
      assert.equal(made.world.earnedUait(made.client.agreement), 0, 'nothing is due');
      await made.world.miner.close();
    }
  });

  it('refuses what nobody has, once it asked often enough', async () => {
    const made = await BlobWorld.start();
    made.world.ask = () => {
      made.asked.push(0);
      return Promise.reject(new NodeError('NOT_FOUND', 'no such blob'));
    };
    await made.run();
    await made.over(100);
    assert.equal((await made.refusal()).code, 'NOT_FOUND');
    assert.equal(made.asked.length, 10);
    await made.world.miner.close();
  });

  it('bound: time that a slot waits for input', async () => {
    const made = await BlobWorld.start();
    made.world.ask = (_peer, { part }, signal) =>
      new Promise((_, reject) => {
        made.asked.push(part);
        signal.addEventListener('abort', () => {
          reject(new NodeError('CANCELED', 'given up'));
        });
      });
    await made.run(made.parts, { executionMs: 300_000 });
    await made.world.until('it asks', () => made.asked.length > 0);
    made.world.clock.advance(30_000 + LEAVES * 2_000 - 1);
    assert.equal(made.world.miner.status().working, 1);
    made.world.clock.advance(1);
    assert.deepEqual([(await made.refusal()).code, made.world.miner.status().working], ['TIMEOUT', 0]);
    await made.world.miner.close();
  });

  it('refuses input that is not what the job says of it', async () => {
    const made = await BlobWorld.start();
    const [small, large] = made.parts as [JobPart, JobPart & { blob: SealedBlob['ref'] }];
    const { blob } = large;
    const cases: readonly [readonly JobPart[], number][] = [
      [made.parts, 1],
      [[small, { ...large, blob: { ...blob, key: new Uint8Array(32) } }], 0],
      [[small, { ...large, blob: { ...blob, textHash: new Uint8Array(32) } }], 0],
      [[small, { ...large, blob: { ...blob, bytes: blob.bytes + 1 } }], 0],
    ];
    for (const [i, [parts, moreBytes]] of cases.entries()) {
      await made.run([...parts], { nonce: i + 1, moreBytes });
      assert.equal((await made.refusal()).code, 'BAD_JOB', `case ${i}`);
    }
    assert.equal(made.got, null);
    await made.world.miner.close();
  });

  it('goes on where the client comes back, from another node, with what it has not got', async () => {
    const made = await BlobWorld.start();
    let isUp = true;
    made.world.ask = (peer, { root, part }) => {
      if (isUp && part <= 2) return made.give(peer, root, part);
      return peer === 'other' ? made.give(peer, root, part) : Promise.reject(new NodeError('UNREACHABLE', 'gone'));
    };
    const work = await made.run();
    await made.world.until('two leaves', () => made.world.shelf.missing(made.blob.ref.root)?.length === LEAVES - 2);
    isUp = false;
    made.client.stream?.close();
    await made.client.connect(work, 'other');
    await made.client.assign(work);
    await made.client.input(work);
    await made.over(50);
    assert.equal(made.client.ended, 'done');
    assert.deepEqual(made.got, made.plain);
    assert.deepEqual(
      made.asked.toSorted((a, b) => a - b),
      [...Array(LEAVES + 1).keys()],
      'each part once',
    );
    assert.deepEqual([...made.peers], ['peer', 'other']);
    await made.world.miner.close();
  });

  it('that was killed once the work had begun takes what its voucher pays for', async () => {
    const made = await BlobWorld.start();
    made.world.script = () => new Promise(() => undefined);
    const work = await made.run();
    await made.world.until('the work', () => made.client.frames.some(({ type }) => type === 'start'));
    await made.world.restart();
    await made.world.settle();
    made.world.clock.advance(20_000);
    await made.world.settle();
    assert.equal(made.world.earnedUait(made.client.agreement), made.client.firstCredit(work));
    await made.world.miner.close();
  });

  it('that was killed at any of its writes takes what its vouchers paid for, once', async () => {
    for (let cutAt = 1, cuts = 0; ; cutAt++) {
      for (const isLost of [true, false]) {
        const made = await BlobWorld.start();
        const { world, client } = made;
        world.script = async (_job, io) => {
          for (let i = 0; i < 3; i++) await io.emit(new Uint8Array(1024).fill(65 + i));
          return { finish: 'stop', inputTokens: null, outputTokens: null };
        };
        world.rows.cutAt = world.rows.calls + cutAt;
        world.rows.isLost = isLost;
        const work = await made.run();
        await world.until('the end, or the cut', () => client.ended === 'done' || world.rows.isCut);
        await new Promise((resolve) => setTimeout(resolve, 5));
        if (!world.rows.isCut) {
          assert.ok(cuts >= 2 * 7, 'the run has fewer writes than it must');
          await world.miner.close();
          return;
        }
        cuts += 1;
        await paidAfterCut(world, client, work.job.spec.inputBytes, `cut at ${cutAt}, ${isLost ? 'lost' : 'kept'}`);
        await world.miner.close();
      }
    }
  }).timeout(60_000);

  it('that was killed while it fetched asks for no leaf again that it has', async () => {
    const made = await BlobWorld.start();
    const hanging = Promise.withResolvers<never>();
    made.world.ask = (peer, { root, part }) => (part <= 3 ? made.give(peer, root, part) : hanging.promise);
    await made.run();
    await made.world.until('three leaves', () => made.world.shelf.missing(made.blob.ref.root)?.length === LEAVES - 3);
    const { agreement } = made.client;
    await made.world.restart();
    await made.world.settle();
    made.world.clock.advance(20_000);
    await made.world.settle();
    assert.equal(made.world.earnedUait(agreement), 0, 'nothing is due before the work begins');
    made.world.ask = (peer, { root, part }) => made.give(peer, root, part);
    made.client.openAgreement(50_000_000);
    made.client.creditUait = 0;
    await made.run(made.parts, { attempt: 2 });
    await made.over();
    assert.deepEqual([made.client.ended, made.got], ['done', made.plain]);
    assert.deepEqual(
      made.asked.toSorted((a, b) => a - b),
      [...Array(LEAVES + 1).keys()],
      'each part once',
    );
    await made.world.miner.close();
  });
});
