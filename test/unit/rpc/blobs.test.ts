import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { fromHex, toHex } from '../../../src/bytes.ts';
import { LEAF_BYTES, LEAF_TEXT_BYTES, MAX_BLOB_BYTES } from '../../../src/chain/market/blob.ts';
import { openBlob } from '../../../src/compute/blobs/cipher.ts';
import type { BlobShelf } from '../../../src/compute/blobs/shelf.ts';
import { NodeError } from '../../../src/errors.ts';
import { createRelayBlobs, uploadInput } from '../../../src/sdk/blobs.ts';
import type { Client } from '../../../src/sdk/client.ts';
import { createClient } from '../../../src/sdk/client.ts';
import { sealBlob } from '../../../src/compute/blobs/cipher.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { World } from './document-world.ts';
import { ask } from './http.ts';
import { begun, LEAF, LIST_BYTES, ROOT, shelfOf } from './small-blob.ts';

const never = new AbortController().signal;
const octets = { 'content-type': 'application/octet-stream' };

describe('blobs over HTTP', () => {
  let world: World;
  let client: Client;

  before(async () => {
    world = await World.start({ market: true });
    client = createClient({ url: world.server.url });
  });

  after(() => world.close());

  beforeEach(() => {
    world.restore();
  });

  const shelf = (): BlobShelf => world.node.market.blobs;

  it('take an input leaf by leaf, and say what is missing', async () => {
    const input = new Uint8Array(randomBytes(2 * LEAF_TEXT_BYTES + 9));
    const { root, key, sha256, bytes } = await uploadInput(client, input);
    assert.equal(bytes, input.length);
    const ref = { root: fromHex(root), key: fromHex(key), textHash: fromHex(sha256), bytes };
    assert.deepEqual(await openBlob(ref, (leaf) => shelf().leaf(ref.root, leaf)), input);
    const { json } = await ask(world.server.url, `/v1/blobs/${root}`);
    assert.deepEqual(json, { root, sealed_bytes: input.length + 3 * 16, leaves: 3, missing: [] });
  });

  it('take plain bytes, and refuse what is not the leaf', async () => {
    const list = await ask(world.server.url, '/v1/blobs', { method: 'POST', headers: octets, body: LIST_BYTES });
    assert.deepEqual([list.status, list.json.missing], [200, [0]]);
    const path = `/v1/blobs/${toHex(ROOT)}/leaves/0`;
    const wrong = await ask(world.server.url, path, { method: 'POST', headers: octets, body: LEAF.slice(1) });
    assert.deepEqual([wrong.status, wrong.json.code], [422, 'BAD_PROOF']);
    const right = await ask(world.server.url, path, { method: 'POST', headers: octets, body: LEAF });
    assert.deepEqual([right.status, right.json.missing], [200, []]);
    const beyond = await ask(world.server.url, path.replace(/0$/, '1'), {
      method: 'POST',
      headers: octets,
      body: LEAF,
    });
    assert.deepEqual([beyond.status, beyond.json.code], [404, 'NOT_FOUND']);
  });

  it('bound: bytes of a leaf and of a list', async () => {
    for (const path of ['/v1/blobs', `/v1/blobs/${await begun(shelf())}/leaves/0`]) {
      const body = new Uint8Array(2 * LEAF_BYTES);
      const { status, json } = await ask(world.server.url, path, { method: 'POST', headers: octets, body });
      assert.deepEqual([status, json.code], [413, 'TOO_LARGE'], path);
    }
  });

  it('go on where an upload broke off, and at the pace that the node allows', async () => {
    const own = shelfOf();
    const { ref, list, leaf } = await sealBlob(nativeCrypto, new Uint8Array(5 * LEAF_TEXT_BYTES), new Uint8Array(32));
    await own.begin(list, '');
    for (const at of list.leaves.keys()) await own.put(ref.root, at, await leaf(at));
    const put: number[] = [];
    let faults: NodeError[] = [new NodeError('UNREACHABLE', 'gone')];
    const blobs = createRelayBlobs(
      {
        beginBlob: (...asked) => client.beginBlob(...asked),
        putLeaf: (root, at, ...rest) => {
          const fault = at === 2 ? faults.pop() : undefined;
          if (fault) return Promise.reject(fault);
          put.push(at);
          return client.putLeaf(root, at, ...rest);
        },
      },
      own,
    );
    await assert.rejects(blobs.offer(ref.root, never), { code: 'UNREACHABLE' });
    faults = [new NodeError('RATE_LIMITED', 'too fast', { data: { retry_after_s: 0 } })];
    await blobs.offer(ref.root, never);
    assert.equal(shelf().isWhole(ref.root), true);
    assert.ok(put.filter((at) => at === 2).length === 1 && new Set(put).size === 5, String(put));
    await assert.rejects(blobs.offer(ROOT, never), { code: 'NOT_FOUND' }, 'not on the own shelf');
    blobs.close();
  });

  it('say so when the node has no room, or lost what it had', async () => {
    world.node.market.blobs = shelfOf(0);
    await assert.rejects(uploadInput(client, LEAF), { code: 'BUSY' });
    world.node.market.blobs = shelfOf();
    const forgets = {
      beginBlob: client.beginBlob,
      putLeaf: (_: string, ...rest: [number, Uint8Array]) => client.putLeaf('00'.repeat(32), ...rest),
    };
    await assert.rejects(uploadInput(forgets, LEAF), { code: 'UNREACHABLE' });
    await assert.rejects(uploadInput(client, new Uint8Array(MAX_BLOB_BYTES + 1)), { code: 'TOO_LARGE' });
  });

  it('are named by jobs that the node pays for', async () => {
    const blob = await uploadInput(client, new TextEncoder().encode('Capital of Austria?'));
    const body = JSON.stringify({ parts: [{ role: 'user', blob }] });
    const headers = { 'content-type': 'application/json' };
    const { status, json } = await ask(world.server.url, '/v1/jobs', { method: 'POST', headers, body });
    assert.equal(status, 201, JSON.stringify(json));
    const [part] = world.market.requests.at(-1)?.parts ?? [];
    assert(part && 'blob' in part);
    assert.deepEqual([part.role, part.mediaType, toHex(part.blob.root)], ['user', 'text/plain', blob.root]);
    const both = JSON.stringify({ parts: [{ role: 'user', blob, text: 'x' }] });
    const refused = await ask(world.server.url, '/v1/jobs', { method: 'POST', headers, body: both });
    assert.deepEqual([refused.status, refused.json.code], [400, 'INVALID_PARAMS']);
  });
});
