/** Jobs with inputs too large to travel with them: kept, brought where miners ask, and let go when they have ended. */
import assert from 'node:assert/strict';
import type { BlobRef } from '../../../../src/chain/market/blob.ts';
import { sealBlob } from '../../../../src/compute/blobs/cipher.ts';
import type { BlobShelf } from '../../../../src/compute/blobs/shelf.ts';
import { memoryShelf } from '../../../../src/compute/blobs/shelf.ts';
import type { JobRequest } from '../../../../src/compute/coordinator/coordinator.ts';
import type { Replayed, ReplayJob } from '../../../../src/compute/coordinator/replay.ts';
import { NodeError } from '../../../../src/errors.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { TestMiner } from './test-miner.ts';
import { requestOf, settle, World } from './world.ts';

const TEXT = 'a very long text';
const LONG_MS = 60 * 60_000;

describe('coordinator: large inputs', () => {
  let world: World;
  let shelf: BlobShelf;
  let offered = 0;
  let fault: NodeError | null = null;
  let replayed: string[] = [];

  beforeEach(async () => {
    offered = 0;
    fault = null;
    replayed = [];
    const replay = ({ parts }: ReplayJob): Promise<Replayed> => {
      const text = new TextDecoder().decode(parts[0]?.data);
      replayed.push(text);
      return Promise.resolve({ output: new Uint8Array(), isDeterministic: false });
    };
    world = new World({
      blobs: {
        get shelf() {
          return shelf;
        },
        offer: () => {
          offered++;
          return fault ? Promise.reject(fault) : Promise.resolve();
        },
      },
      replay: { replayer: { covers: () => true, replay }, sharePercent: 100 },
    });
    shelf = memoryShelf(nativeCrypto, world.clock);
    await world.start();
  });

  afterEach(() => world.coordinator.close());

  async function sealed(key = 1): Promise<BlobRef> {
    const { ref, list, leaf } = await sealBlob(
      nativeCrypto,
      new TextEncoder().encode(TEXT),
      new Uint8Array(32).fill(key),
    );
    await shelf.begin(list, '');
    await shelf.put(ref.root, 0, await leaf(0));
    return ref;
  }

  function jobOf(blob: BlobRef, more: Partial<JobRequest> = {}): JobRequest {
    return requestOf({ parts: [{ role: 'user', mediaType: 'text/plain', blob }], ...more });
  }

  it('are paid for by what they hold, brought to the miner first, and let go in the end', async () => {
    const blob = await sealed();
    const { id } = await world.coordinator.submit(jobOf(blob));
    const { job, content } = world.coordinator.work(id) ?? assert.fail();
    assert.equal(job.spec.inputBytes, (content?.length ?? 0) + TEXT.length);
    assert.equal(shelf.isHeld(blob.root), true);
    world.add(new TestMiner(1, { digest: new Uint8Array(32) }));
    assert.equal((await world.ended(id)).state, 'completed');
    assert.equal(offered, 1);
    await world.until('it is done again', () => replayed.length > 0, 0);
    assert.deepEqual(replayed, [TEXT]);
    await settle();
    assert.equal(shelf.isHeld(blob.root), false);
    world.clock.advance(LONG_MS);
    await shelf.sweep();
    assert.equal(shelf.size, 0);
  });

  it('are on the shelf, whole, or the job is not taken', async () => {
    const { ref, list } = await sealBlob(nativeCrypto, new Uint8Array(9), new Uint8Array(32));
    await assert.rejects(world.coordinator.submit(jobOf(ref)), { code: 'BAD_JOB' });
    await shelf.begin(list, '');
    await assert.rejects(world.coordinator.submit(jobOf(ref)), { code: 'BAD_JOB' });
    const blob = await sealed();
    await assert.rejects(world.coordinator.submit(jobOf({ ...blob, bytes: blob.bytes + 1 })), { code: 'BAD_JOB' });
    const without = new World();
    await without.start();
    await assert.rejects(without.coordinator.submit(jobOf(blob)), { code: 'BAD_JOB' });
    await without.coordinator.close();
  });

  it('are the same when they are sealed anew: the key of a request is that of one job', async () => {
    const first = await world.coordinator.submit(jobOf(await sealed(1), { idempotencyKey: 'k' }));
    const again = await world.coordinator.submit(jobOf(await sealed(2), { idempotencyKey: 'k' }));
    assert.deepEqual(again.id, first.id);
    const other = { ...(await sealed(3)), textHash: new Uint8Array(32) };
    await assert.rejects(world.coordinator.submit(jobOf(other, { idempotencyKey: 'k' })), { code: 'CONFLICT' });
  });

  it('wait for a node that does not take them yet, and say so', async () => {
    fault = new NodeError('BUSY', 'there is no room for this blob now');
    world.add(new TestMiner(1));
    const { id } = await world.coordinator.submit(jobOf(await sealed()));
    await world.until('two tries', () => offered >= 2);
    assert.deepEqual(world.coordinator.why(id)?.reasons[0]?.message, 'there is no room for this blob now');
    assert.equal(world.view(id).attempt, 0, 'no miner was asked');
    fault = null;
    assert.equal((await world.ended(id)).state, 'completed');
  });

  it('that are lost, or never taken, fail their job', async () => {
    for (const code of ['NOT_FOUND', 'TOO_LARGE'] as const) {
      fault = new NodeError(code, 'a sentence');
      const { id } = await world.coordinator.submit(jobOf(await sealed()));
      const { state, fault: why } = await world.ended(id);
      assert.deepEqual([state, why?.code], ['failed', code]);
    }
  });

  it('are held again, and brought again, after a crash', async () => {
    const blob = await sealed();
    const { id } = await world.coordinator.submit(jobOf(blob));
    await settle();
    const before = offered;
    const kept = { list: shelf.list(blob.root), leaf: await shelf.leaf(blob.root, 0) };
    shelf = memoryShelf(nativeCrypto, world.clock);
    await shelf.begin(kept.list ?? assert.fail(), '');
    await shelf.put(blob.root, 0, kept.leaf);
    await world.crash();
    assert.equal(shelf.isHeld(blob.root), true);
    world.add(new TestMiner(1));
    assert.equal((await world.ended(id)).state, 'completed');
    assert.ok(offered > before);
  });
});
