import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import { CHAIN_ID, chainOf, GENESIS_HASH, inFolder, loopState } from './fixtures.ts';

const LOOP = fileURLToPath(import.meta.resolve('./commit-loop.ts'));

/** Opens the store as a restarted node does; all of its content must follow from its head. */
async function checkWhole(folder: string): Promise<number> {
  const store = await openChainStore({ folder, chainId: CHAIN_ID, genesisHash: GENESIS_HASH, hasher: pureHasher });
  try {
    const head = store.head();
    const height = head?.height ?? 0;
    const state: [string, Uint8Array][] = [];
    for await (const [name, value] of store.stateEntries()) state.push([name, value]);
    assert.deepEqual(state, loopState(height));
    const last = chainOf(height).at(-1);
    assert.deepEqual(head?.blockId, last?.blockId);
    for (let h = Math.max(1, height - 5); h <= height; h++) {
      const block = store.block(h);
      assert.equal(store.receipts(h)?.length, 2);
      assert.equal(store.certificate(h)?.height, h);
      assert.deepEqual(store.transaction(block?.txs[1]?.id ?? new Uint8Array()), { height: h, index: 1 });
    }
    assert.equal(store.block(height + 1), undefined);
    assert.ok((await store.journal.load()).length <= 256);
    return height;
  } finally {
    await store.close();
  }
}

/** Runs the loop until it has acknowledged `commits` commits, then kills it. @returns the last height it acknowledged */
async function killAfter(folder: string, commits: number): Promise<number> {
  const child = spawn(process.execPath, [LOOP, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(child, 'exit');
  let seen = 0;
  let height = 0;
  for await (const line of createInterface(child.stdout)) {
    height = Number(line);
    if (++seen === commits) child.kill('SIGKILL');
  }
  await exit;
  return height;
}

describe('crashes of the block store', () => {
  it('finds the last whole block after each of 20 kills', async function () {
    this.timeout(180_000);
    await inFolder(async (folder) => {
      for (let i = 0; i < 20; i++) {
        const acknowledged = await killAfter(folder, 1 + Math.floor(Math.random() * 25));
        const height = await checkWhole(folder);
        assert.ok(height >= acknowledged, `head ${height} below the acknowledged ${acknowledged}`);
      }
    });
  });

  it('stops at a file that may not grow, and loses no whole block', async function () {
    if (process.platform === 'win32') this.skip();
    this.timeout(60_000);
    await inFolder(async (folder) => {
      // The shell's unit is 1,024 bytes; the signal would end the process instead of failing the write.
      const script = `trap '' XFSZ; ulimit -f 400; exec "$0" "$1" "$2"`;
      const run = spawnSync('bash', ['-c', script, process.execPath, LOOP, folder], { encoding: 'utf8' });
      await checkStopped(folder, run.stdout);
    });
  });

  it('stops at a full disk, and loses no whole block', async function () {
    this.timeout(60_000);
    await inFolder(async (folder) => {
      const disk = join(folder, 'disk');
      await mkdir(disk);
      const mount = shell(`mount -t tmpfs -o size=1m tmpfs '${disk}'`);
      // Only the superuser of a machine, not of a container, may mount.
      if (mount !== 0) this.skip();
      try {
        const run = spawnSync(process.execPath, [LOOP, join(disk, 'db')], { encoding: 'utf8' });
        assert.equal(shell(`mount -o remount,size=64m '${disk}'`), 0);
        await checkStopped(join(disk, 'db'), run.stdout);
      } finally {
        assert.equal(shell(`umount '${disk}'`), 0);
      }
    });
  });
});

function shell(script: string): number | null {
  return spawnSync('bash', ['-c', script]).status;
}

async function checkStopped(folder: string, output: string): Promise<void> {
  const lines = output.trim().split('\n');
  assert.equal(lines.pop(), 'STORAGE STORAGE');
  const acknowledged = Number(lines.pop());
  assert.ok(acknowledged > 10);
  assert.ok((await checkWhole(folder)) >= acknowledged);
  // With room again the chain goes on from there.
  const before = await checkWhole(folder);
  await killAfter(folder, 2);
  assert.ok((await checkWhole(folder)) > before);
}
