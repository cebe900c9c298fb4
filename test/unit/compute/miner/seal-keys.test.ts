import assert from 'node:assert/strict';
import { toHex } from '../../../../src/bytes.ts';
import { ROTATE_MS, SealKeys } from '../../../../src/compute/miner/seal-keys.ts';
import type { SealSecret } from '../../../../src/compute/miner/rows.ts';
import { readSealSecret } from '../../../../src/compute/miner/rows.ts';
import { nativeSealing } from '../../../../src/native/sealing.ts';
import { MemoryRows } from './world.ts';

const rows = new MemoryRows();

async function reopen(nowMs: number): Promise<SealKeys> {
  const kept: SealSecret[] = [];
  for await (const { key, value } of rows.load()) kept.push(readSealSecret(key, value));
  return SealKeys.open({ rows, sealing: nativeSealing }, kept, nowMs);
}

describe('sealing keys of a miner', () => {
  it('bound: are two, which outlast a restart: the newest for quotes, the one before for work that began on it', async () => {
    let keys = await reopen(1_000);
    const first = keys.publicKey;
    await keys.rotate(ROTATE_MS);
    keys = await reopen(ROTATE_MS);
    assert.deepEqual([toHex(keys.publicKey), rows.held.size], [toHex(first), 1]);

    await Promise.all([keys.rotate(1_000 + ROTATE_MS), keys.rotate(1_000 + ROTATE_MS)]);
    const second = keys.publicKey;
    assert.notDeepEqual(second, first);
    keys = await reopen(2_000 + ROTATE_MS);
    assert.deepEqual(keys.publicKey, second);
    assert.deepEqual(keys.find(first)?.publicKey, first);

    await keys.rotate(1_000 + 2 * ROTATE_MS);
    assert.equal(keys.find(first), undefined);
    assert.deepEqual(keys.find(second)?.publicKey, second);
    assert.equal(rows.held.size, 2);
  });
});
