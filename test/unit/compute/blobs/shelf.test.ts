import assert from 'node:assert/strict';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../../../../src/bytes.ts';
import { LEAF_BYTES, LEAF_TEXT_BYTES, MAX_BLOB_BYTES } from '../../../../src/chain/market/blob.ts';
import type { SealedBlob } from '../../../../src/compute/blobs/cipher.ts';
import { openBlob, sealBlob } from '../../../../src/compute/blobs/cipher.ts';
import type { BlobBytes, BlobShelf } from '../../../../src/compute/blobs/shelf.ts';
import { memoryShelf, openShelf } from '../../../../src/compute/blobs/shelf.ts';
import { inputBytesOf, sealLargeParts } from '../../../../src/compute/blobs/split.ts';
import { blobBytesOf, encodeContent, MAX_CONTENT_BYTES } from '../../../../src/chain/market/content.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { blobFiles } from '../../../../src/store/blob-files.ts';
import type { ManualClock } from '../../../net/manual-clock.ts';
import { manualClock } from '../../../net/manual-clock.ts';

const LIMITS = { maxBytes: 16 * LEAF_BYTES, idleMs: 60_000 };

const text = (bytes: number): Uint8Array => new Uint8Array(randomBytes(bytes));
const seal = (bytes: number | Uint8Array): Promise<SealedBlob> =>
  sealBlob(nativeCrypto, typeof bytes === 'number' ? text(bytes) : bytes, text(32));

async function putAll(shelf: BlobShelf, { ref, list, leaf }: SealedBlob, owner = 'o'): Promise<void> {
  await shelf.begin(list, owner);
  for (const at of list.leaves.keys()) await shelf.put(ref.root, at, await leaf(at));
}

describe('blobs: cipher', () => {
  it('opens what was sealed, of any size around a leaf', async () => {
    for (const bytes of [1, 1000, LEAF_TEXT_BYTES - 1, LEAF_TEXT_BYTES, LEAF_TEXT_BYTES + 1, 3 * LEAF_TEXT_BYTES]) {
      const plain = text(bytes);
      const { ref, leaf } = await seal(plain);
      assert.deepEqual(await openBlob(ref, leaf), plain);
    }
  });

  it('opens nothing that was changed, moved, cut off or is not what it is named', async () => {
    const { ref, leaf } = await seal(3 * LEAF_TEXT_BYTES);
    const other = await seal(3 * LEAF_TEXT_BYTES);
    const flipped = async (at: number): Promise<Uint8Array> =>
      (await leaf(at)).map((byte, i) => (i === 7 ? byte ^ 1 : byte));
    const bad = [
      () => openBlob(ref, flipped),
      () => openBlob(ref, (at) => leaf(at === 0 ? 1 : at)),
      () => openBlob(ref, other.leaf),
      () => openBlob({ ...ref, bytes: 2 * LEAF_TEXT_BYTES }, leaf),
      () => openBlob({ ...ref, bytes: 4 * LEAF_TEXT_BYTES }, async (at) => leaf(Math.min(at, 2))),
      () => openBlob({ ...ref, key: other.ref.key }, leaf),
      () => openBlob({ ...ref, textHash: other.ref.textHash }, leaf),
    ];
    for (const [i, open] of bad.entries()) await assert.rejects(open, { code: 'BAD_JOB' }, `${i}`);
  });

  it('gives the bytes that protocols/README.md says, to whoever writes it anew', async () => {
    const plain = new Uint8Array(LEAF_TEXT_BYTES + 3).map((_, i) => i % 251);
    const { ref, list, leaf } = await sealBlob(nativeCrypto, plain, new Uint8Array(32).fill(42));
    const last = await leaf(1);
    const cipher = createCipheriv(
      'aes-256-gcm',
      new Uint8Array(32).fill(42),
      Buffer.from('000000000000000100000001', 'hex'),
    );
    const sealed = Buffer.concat([cipher.update(plain.subarray(LEAF_TEXT_BYTES)), cipher.final(), cipher.getAuthTag()]);
    assert.deepEqual(Buffer.from(last), sealed);
    const hashes = [await leaf(0), last].map((bytes) => createHash('sha256').update(bytes).digest());
    const size = Buffer.alloc(4);
    size.writeUInt32BE(LEAF_BYTES + last.length);
    const root = createHash('sha256').update('\x08AIT/blob').update(size).update(Buffer.concat(hashes)).digest('hex');
    assert.deepEqual([toHex(ref.root), list.sealedBytes], [root, LEAF_BYTES + 19]);
  });

  it('bound: bytes of a blob', async () => {
    await assert.rejects(seal(new Uint8Array()), { code: 'BAD_JOB' });
    await assert.rejects(seal(new Uint8Array(MAX_BLOB_BYTES + 1)), { code: 'TOO_LARGE' });
  });
});

describe('blobs: parts that become blobs', () => {
  const modules = () => ({
    shelf: memoryShelf(nativeCrypto, manualClock()),
    hasher: nativeCrypto,
    random: text,
    owner: '',
  });
  const part = (bytes: number) => ({ role: '', mediaType: 'text/plain', data: text(bytes) });
  const salt = new Uint8Array(32);

  it('are none when all fits', async () => {
    const parts = [part(1000), part(MAX_CONTENT_BYTES - 2000)];
    assert.deepEqual(await sealLargeParts([], parts, modules()), parts);
    assert.equal(inputBytesOf([], parts), encodeContent({ salt, params: [], parts }).length);
  });

  it('are the largest, in their places, and cost what they hold', async () => {
    const { shelf, ...rest } = modules();
    const parts = [part(1000), part(2 * MAX_CONTENT_BYTES), part(1000), part(MAX_CONTENT_BYTES)];
    const split = await sealLargeParts([], parts, { shelf, ...rest });
    assert.deepEqual(
      split.map((each) => 'blob' in each),
      [false, true, false, true],
    );
    const encoded = encodeContent({ salt, params: [], parts: split });
    assert.equal(inputBytesOf([], parts), encoded.length + blobBytesOf(split));
    assert.equal(inputBytesOf([], split), encoded.length + blobBytesOf(split));
    for (const [i, each] of split.entries()) {
      if (!('blob' in each)) continue;
      assert.deepEqual(await openBlob(each.blob, (leaf) => shelf.leaf(each.blob.root, leaf)), parts[i]?.data);
    }
  });

  it('bound: bytes of all of them', async () => {
    const half = { ...part(0), data: new Uint8Array(MAX_BLOB_BYTES / 2 + 1) };
    await assert.rejects(sealLargeParts([], [half, half], modules()), { code: 'TOO_LARGE' });
    assert.throws(() => inputBytesOf([], [half, half]), { code: 'TOO_LARGE' });
  });
});

for (const kind of ['files', 'memory'] as const) {
  describe(`blobs: shelf of ${kind}`, () => {
    let folder: string;
    let clock: ManualClock;
    let bytes: BlobBytes;

    const open = (): Promise<BlobShelf> => openShelf({ bytes, hasher: nativeCrypto, clock, limits: LIMITS });

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'aitbc-blobs-'));
      clock = manualClock();
      bytes = blobFiles(join(folder, 'blobs'), nativeCrypto);
    });

    afterEach(() => rm(folder, { recursive: true, force: true }));

    const shelfOf = (): Promise<BlobShelf> =>
      kind === 'files' ? open() : Promise.resolve(memoryShelf(nativeCrypto, clock, LIMITS.maxBytes));

    it('gives back what was put, and says what is missing', async () => {
      const shelf = await shelfOf();
      const blob = await seal(3 * LEAF_TEXT_BYTES + 5);
      const { root } = blob.ref;
      assert.deepEqual([shelf.missing(root), shelf.list(root), shelf.isWhole(root)], [null, null, false]);
      assert.deepEqual(await shelf.begin(blob.list, 'o'), root);
      for (const at of [2, 0]) await shelf.put(root, at, await blob.leaf(at));
      assert.deepEqual([shelf.missing(root), shelf.isWhole(root)], [[1, 3], false]);
      await assert.rejects(shelf.leaf(root, 1), { code: 'NOT_FOUND' });
      assert.deepEqual(await shelf.leaf(root, 2), await blob.leaf(2));
      await putAll(shelf, blob);
      assert.deepEqual([shelf.missing(root), shelf.isWhole(root)], [[], true]);
    });

    it('takes no leaf that is not the one named, and none of what it does not know', async () => {
      const shelf = await shelfOf();
      const blob = await seal(2 * LEAF_TEXT_BYTES);
      const { root } = blob.ref;
      await assert.rejects(shelf.put(root, 0, await blob.leaf(0)), { code: 'NOT_FOUND' });
      await shelf.begin(blob.list, 'o');
      await assert.rejects(shelf.put(root, 0, await blob.leaf(1)), { code: 'BAD_PROOF' });
      await assert.rejects(shelf.put(root, 0, (await blob.leaf(0)).subarray(1)), { code: 'BAD_PROOF' });
      await assert.rejects(shelf.put(root, 2, await blob.leaf(1)), { code: 'NOT_FOUND' });
      assert.deepEqual(shelf.missing(root), [0, 1]);
    });

    it('bound: bytes of all, of one owner no more than is left over, small ones a leaf each', async () => {
      const shelf = await shelfOf();
      const large = await seal(8 * LEAF_TEXT_BYTES);
      await Promise.all([shelf.begin(large.list, 'a'), shelf.begin(large.list, 'a')]);
      await shelf.begin(large.list, 'a');
      assert.equal(shelf.bytes, 8 * LEAF_BYTES, 'the same one is one');
      await assert.rejects(shelf.begin((await seal(LEAF_TEXT_BYTES)).list, 'a'), { code: 'BUSY' });
      await shelf.begin((await seal(1)).list, 'b');
      assert.equal(shelf.bytes, 9 * LEAF_BYTES);
      await assert.rejects(shelf.begin((await seal(8 * LEAF_TEXT_BYTES)).list, 'c'), { code: 'BUSY' });
      await shelf.begin((await seal(7 * LEAF_TEXT_BYTES)).list, 'c');
      await assert.rejects(shelf.begin((await seal(1)).list, 'd'), { code: 'BUSY' });
    });

    it('removes what is idle, and nothing that a job holds', async () => {
      const shelf = await shelfOf();
      const [held, idle] = [await seal(10), await seal(20)];
      for (const blob of [held, idle]) await putAll(shelf, blob);
      const releases = [shelf.hold(held.ref.root), shelf.hold(held.ref.root)];
      clock.advance(20 * 60_000);
      await shelf.sweep();
      assert.deepEqual([shelf.isWhole(held.ref.root), shelf.list(idle.ref.root)], [true, null]);
      releases[0]?.();
      releases[0]?.();
      clock.advance(20 * 60_000);
      await shelf.sweep();
      assert.equal(shelf.isWhole(held.ref.root), true, 'the other job holds it');
      releases[1]?.();
      await shelf.sweep();
      assert.equal(shelf.isWhole(held.ref.root), true, 'let go just now');
      clock.advance(20 * 60_000);
      await shelf.sweep();
      assert.deepEqual([shelf.list(held.ref.root), shelf.bytes, shelf.size], [null, 0, 0]);
      if (kind === 'files') assert.deepEqual(await readdir(join(folder, 'blobs')), []);
    });
  });
}

describe('blobs: files', () => {
  let folder: string;
  const clock = manualClock();

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'aitbc-blobs-'));
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const open = (): Promise<BlobShelf> =>
    openShelf({ bytes: blobFiles(folder, nativeCrypto), hasher: nativeCrypto, clock, limits: LIMITS });

  it('are there after a restart, with what was missing, and nothing of them is readable', async () => {
    const plain = new TextEncoder().encode('very secret '.repeat(50_000));
    const blob = await seal(plain);
    const { root } = blob.ref;
    const first = await open();
    await first.begin(blob.list, 'o');
    await first.put(root, 1, await blob.leaf(1));
    const second = await open();
    assert.deepEqual(second.missing(root), [0, 2]);
    await putAll(second, blob);
    assert.deepEqual(await openBlob(blob.ref, (leaf) => second.leaf(root, leaf)), plain);
    for (const name of await readdir(join(folder, toHex(root)))) {
      const file = await readFile(join(folder, toHex(root), name));
      assert.ok(!file.includes('secret'), name);
    }
  });

  it('that are none, or half of one, are removed at a start', async () => {
    const blob = await seal(10);
    const at = join(folder, toHex(blob.ref.root));
    await putAll(await open(), blob);
    await writeFile(join(at, '0.12-3.tmp'), 'half');
    await writeFile(join(at, '7'), 'beyond');
    await writeFile(join(folder, 'stray'), 'x');
    const broken = await seal(10);
    await putAll(await open(), broken);
    await writeFile(join(folder, toHex(broken.ref.root), 'list'), 'no list');
    const shelf = await open();
    assert.deepEqual([shelf.isWhole(blob.ref.root), shelf.list(broken.ref.root)], [true, null]);
    assert.deepEqual(await readdir(folder), [toHex(blob.ref.root)]);
    assert.deepEqual((await readdir(at)).sort(), ['0', 'list']);
  });

  it('that a disk has changed are missing again', async () => {
    const blob = await seal(10);
    const { root } = blob.ref;
    const shelf = await open();
    await putAll(shelf, blob);
    await writeFile(join(folder, toHex(root), '0'), 'damaged');
    await assert.rejects(shelf.leaf(root, 0), { code: 'NOT_FOUND' });
    assert.deepEqual(shelf.missing(root), [0]);
    await putAll(shelf, blob);
    assert.deepEqual(await shelf.leaf(root, 0), await blob.leaf(0));
  });
});
