import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ApiKeyRecord } from '../../../src/store/api-keys.ts';
import { ApiKeyStore, MAX_API_KEYS, openApiKeys } from '../../../src/store/api-keys.ts';

const record = (n: number, changes: Partial<ApiKeyRecord> = {}): ApiKeyRecord => ({
  ...{ id: `k${n}`, name: `key-${n}`, hash: 'ab'.repeat(32), scopes: ['read'], requestsPerMinute: null },
  ...{ budgetPerDayUait: 0, models: null, createdAtMs: n, expiresAtMs: null, revokedAtMs: null, ...changes },
});

describe('API keys on disk', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'aitbc-keys-'));
  });

  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('are there again after a restart, revoked ones as such', async () => {
    const path = join(folder, 'api_keys');
    const store = await openApiKeys(path);
    await Promise.all([store.add(record(1)), store.add(record(2))]);
    await store.revoke('k1', 7);
    assert.equal((await store.revoke('k1', 9)).revokedAtMs, 7);
    await assert.rejects(store.revoke('k3', 7), { code: 'NOT_FOUND' });
    const again = await openApiKeys(path);
    assert.deepEqual(again.list(), [record(1, { revokedAtMs: 7 }), record(2)]);
    assert.equal(again.find('k3'), null);
  });

  it('have different names while they live', async () => {
    const store = await openApiKeys(join(folder, 'api_keys'));
    await store.add(record(1));
    await assert.rejects(store.add(record(2, { name: 'key-1' })), { code: 'CONFLICT' });
    await store.revoke('k1', 1);
    await store.add(record(2, { name: 'key-1' }));
  });

  it('are as before when the disk fails', async () => {
    const failing = { read: async () => null, write: () => Promise.reject(new Error('disk')) };
    const store = new ApiKeyStore(failing, [record(1)]);
    await assert.rejects(store.add(record(2)), /disk/);
    await assert.rejects(store.revoke('k1', 5), /disk/);
    assert.deepEqual(store.list(), [record(1)]);
  });

  it(`bound: ${MAX_API_KEYS} keys; the one revoked first makes room`, async () => {
    const nowhere = { read: async () => null, write: async () => undefined };
    const all = Array.from({ length: MAX_API_KEYS }, (_, n) => record(n));
    const store = new ApiKeyStore(nowhere, all);
    await assert.rejects(store.add(record(5000)), { code: 'CONFLICT' });
    await store.revoke('k7', 2);
    await store.revoke('k3', 3);
    await store.add(record(5000));
    assert.equal(store.list().length, MAX_API_KEYS);
    assert.equal(store.find('k7'), null);
    assert(store.find('k3'));
  });
});
