/** The tools for a stopped node, on real folders and databases. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Genesis } from '../../../src/chain/genesis.ts';
import { encodeReceipt } from '../../../src/chain/receipt.ts';
import { encodeCertificate } from '../../../src/chain/votes.ts';
import { loadConfig } from '../../../src/config.ts';
import { readChainFile, writeChainFile } from '../../../src/engine/chain-file.ts';
import { Ledger } from '../../../src/engine/ledger.ts';
import { storedBlocks } from '../../../src/engine/rebuild.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { compactChain, StoppedChain } from '../../../src/node/stopped-chain.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import { chainFolderOf, openDataFolder } from '../../../src/store/data-folder.ts';
import type { WriteBatch } from '../../../src/store/db.ts';
import { openDatabase } from '../../../src/store/db.ts';
import { bytesKeyOf, encodeU64, heightKey, KEY, stateDbKey } from '../../../src/store/keys.ts';
import { openSignGuard } from '../../../src/store/guard.ts';
import { writeKeyFile } from '../../../src/store/key-file.ts';
import { ChainMaker } from '../../../scripts/bench/chain-maker.ts';
import { fixtureGenesis, genesisJson, makeTransfer, seed, signer } from '../../util/chain-fixture.ts';

const HEIGHT = 150;
const noHeight = (): void => undefined;

interface Home {
  readonly home: string;
  readonly genesis: Genesis;
}

function options(home: string) {
  return { home, chainId: 'ait-devnet', config: loadConfig({ fileText: '' }), log: nopLogger };
}

async function use<T>(home: string, work: (chain: StoppedChain) => Promise<T>): Promise<T> {
  const chain = await StoppedChain.open(options(home));
  try {
    return await work(chain);
  } finally {
    await chain.close();
  }
}

/** Changes the database behind the program's back. */
async function edit(home: string, fill: (batch: WriteBatch) => void): Promise<void> {
  const db = await openDatabase(chainFolderOf(home, 'ait-devnet').dbFolder);
  await db.write(fill, { sync: true });
  await db.close();
}

async function makeHome(home: string, timeMs: number, height = HEIGHT): Promise<Home> {
  const json = { timeMs };
  const genesis = fixtureGenesis(json);
  const data = await openDataFolder(home);
  const folder = await data.chain('ait-devnet');
  await writeFile(folder.genesisFile, JSON.stringify(genesisJson(json)));
  const store = await openChainStore({
    folder: folder.dbFolder,
    ...genesis.chain,
    hasher: nativeCrypto,
    journal: { memory: true },
  });
  const ledger = await Ledger.open({ ...genesis, crypto: nativeCrypto }, genesis, store);
  const maker = new ChainMaker(
    ledger,
    [0, 1, 2].map((i) => signer(`validator-${i}`)),
  );
  for (let nonce = 0; nonce < height; nonce++) {
    await maker.next([makeTransfer(genesis, { from: 'account-0', to: `account-${1 + (nonce % 3)}`, nonce })]);
  }
  await store.close();
  await data.close();
  return { home, genesis };
}

async function fails(
  work: Promise<unknown>,
  code: ErrorCode,
  data: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await assert.rejects(work, (error) => {
    if (!isNodeError(error)) throw error;
    assert.equal(error.code, code, error.message);
    for (const [name, value] of Object.entries(data)) assert.deepEqual(error.data[name], value, error.message);
    return true;
  });
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

/** As a stream delivers them: in pieces that know nothing of records. */
async function* pieces(bytes: Uint8Array, size = 1_000): AsyncGenerator<Uint8Array> {
  await Promise.resolve();
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

describe('the tools for a stopped chain', function () {
  this.timeout(60_000);
  const timeMs = Date.now() - 60_000;
  let root: string;
  let home: string;
  let genesis: Genesis;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'aitbc-tools-'));
    home = join(root, 'a');
    ({ genesis } = await makeHome(home, timeMs));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  const exported = (from: number, to: number): Promise<Uint8Array> =>
    use(home, (chain) => collect(writeChainFile(genesis.chain, from, storedBlocks(chain.store, from, to))));
  const imported = (to: string, bytes: Uint8Array): Promise<number> =>
    use(to, (chain) => chain.import(readChainFile(nativeCrypto, genesis.chain, pieces(bytes)), noHeight));
  const emptyHome = async (name: string): Promise<string> => {
    await makeHome(join(root, name), timeMs, 0);
    return join(root, name);
  };

  it('verify finds nothing in a sound database, and leaves nothing behind', async () => {
    const seen: number[] = [];
    await use(home, async (chain) => {
      assert.deepEqual(await chain.verify(1, HEIGHT, (height) => seen.push(height)), { executed: true });
      assert.deepEqual(await chain.verify(100, 120, noHeight), { executed: true });
    });
    assert.equal(seen.length, HEIGHT);
    assert.equal(existsSync(`${chainFolderOf(home, 'ait-devnet').dbFolder}.making`), false);
  });

  it('verify names the first difference, and reindex mends what is derived', async () => {
    const { receipts, tx, id, key } = await use(home, async (chain) => {
      const [firstKey] = (await chain.store.stateEntries()[Symbol.asyncIterator]().next()).value ?? [];
      const block = chain.store.block(20);
      const at = chain.store.head();
      await Promise.resolve();
      return { receipts: chain.store.receipts(20) ?? [], tx: block?.txs[0], id: at?.blockId, key: firstKey };
    });
    assert.ok(tx && id && key !== undefined && receipts[0]);
    const wrongReceipt = encodeReceipt({ ...receipts[0], feeUait: receipts[0].feeUait + 1 });
    const damages: readonly [field: RegExp, height: number, fill: (batch: WriteBatch) => void][] = [
      [/^receipts/, 20, (batch) => batch.put(heightKey(KEY.RECEIPTS, 20), Uint8Array.of(0, 0, 0, 1, ...wrongReceipt))],
      [/^transaction_index$/, 20, (batch) => batch.del(bytesKeyOf(KEY.TRANSACTION, tx.id))],
      [/^block_index$/, HEIGHT, (batch) => batch.put(bytesKeyOf(KEY.HEIGHT_BY_BLOCK_ID, id), encodeU64(7))],
      [/^state\//, HEIGHT, (batch) => batch.put(stateDbKey(key), Uint8Array.of(1, 2, 3))],
      [/^state\//, HEIGHT, (batch) => batch.put(stateDbKey('\u0001\u0001zzz'), Uint8Array.of(1))],
    ];
    for (const [field, height, fill] of damages) {
      await edit(home, fill);
      await use(home, (chain) =>
        assert.rejects(chain.verify(1, HEIGHT, noHeight), (error) => {
          assert.ok(isNodeError(error));
          assert.equal(error.code, 'CORRUPT');
          assert.match(String(error.data['field']), field);
          assert.equal(error.data['height'], height);
          return true;
        }),
      );
      await use(home, (chain) => chain.rebuild(HEIGHT, noHeight));
      await use(home, (chain) => chain.verify(1, HEIGHT, noHeight));
    }
  });

  it('verify finds a certificate of too little power', async () => {
    const { weak } = await use(home, async (chain) => {
      const found = chain.store.certificate(9);
      assert.ok(found);
      await Promise.resolve();
      return {
        weak: encodeCertificate({
          ...found,
          signers: found.signers.slice(0, 1),
          signatures: found.signatures.slice(0, 1),
        }),
      };
    });
    await edit(home, (batch) => batch.put(heightKey(KEY.CERTIFICATE, 9), weak));
    await use(home, (chain) => fails(chain.verify(1, HEIGHT, noHeight), 'BAD_CERTIFICATE'));
  });

  it('verify of a pruned chain checks links, certificates and roots, and says that it did not execute', async () => {
    await use(home, async (chain) => {
      while (!(await chain.store.prune(50)).done);
    });
    await use(home, async (chain) => {
      assert.deepEqual(await chain.verify(50, HEIGHT, noHeight), { executed: false });
      await fails(chain.rebuild(60, noHeight), 'PRUNED', { base: 50, head: HEIGHT });
    });
    await edit(home, (batch) => batch.put(heightKey(KEY.RECEIPTS, 60), Uint8Array.of(0, 0, 0, 0)));
    await use(home, (chain) =>
      fails(chain.verify(50, HEIGHT, noHeight), 'CORRUPT', { height: 60, field: 'receipts_root' }),
    );
  });

  it('export and import carry a chain over, and importing again changes nothing', async () => {
    const bytes = await exported(1, HEIGHT);
    const to = await emptyHome('b');
    assert.equal(await imported(to, bytes), HEIGHT);
    assert.equal(await imported(to, bytes), 0);
    await use(to, (chain) => chain.verify(1, HEIGHT, noHeight));
    const heads = await Promise.all([use(home, headOf), use(to, headOf)]);
    assert.deepEqual(heads[0], heads[1]);
  });

  const headOf = (chain: StoppedChain): Promise<Uint8Array | undefined> => Promise.resolve(chain.store.head()?.blockId);

  it('an import in parts goes on where it stands, and says what is missing', async () => {
    const to = await emptyHome('b');
    assert.equal(await imported(to, await exported(1, 90)), 90);
    await fails(
      exported(100, HEIGHT).then((bytes) => imported(to, bytes)),
      'CONFLICT',
      { height: 100, head: 90 },
    );
    assert.equal(await imported(to, await exported(50, HEIGHT)), HEIGHT - 90);
  });

  it('refuses files of another chain and damaged ones, and keeps what came before the damage', async () => {
    const bytes = await exported(1, HEIGHT);
    const to = await emptyHome('b');
    const other = join(root, 'other');
    const { genesis: otherGenesis } = await makeHome(other, timeMs + 1, 1);
    await use(other, (chain) =>
      fails(chain.import(readChainFile(nativeCrypto, otherGenesis.chain, pieces(bytes)), noHeight), 'WRONG_GENESIS'),
    );
    await fails(imported(to, Uint8Array.of(1, 2, 3)), 'PARSE_ERROR');
    const flipped = bytes.slice();
    const middle = Math.floor(bytes.length / 2);
    flipped[middle] = (flipped[middle] ?? 0) ^ 1;
    await fails(imported(to, flipped), 'CORRUPT');
    const reached = await use(to, (chain) => Promise.resolve(chain.height));
    assert.ok(reached > 50 && reached < 100, String(reached));
    for (const length of [20, bytes.length - 1, bytes.length - 40, bytes.length - 500]) {
      await fails(imported(to, bytes.subarray(0, length)), 'CORRUPT');
    }
    await fails(imported(to, new Uint8Array([...bytes, 0])), 'CORRUPT');
    assert.equal(await use(to, (chain) => Promise.resolve(chain.height)), HEIGHT);
  });

  it('rollback goes back, and the sign guard stays', async () => {
    const key = signer('validator-0').publicKey;
    await writeKeyFile(chainFolderOf(home, 'ait-devnet').validatorKeyFile, seed('validator-0'));
    const before = await use(home, (chain) => Promise.resolve(chain.store.header(61)?.parent));
    const openGuard = (chain: StoppedChain) =>
      openSignGuard({
        folder: chainFolderOf(home, 'ait-devnet').folder,
        ...genesis.chain,
        publicKey: key,
        store: { sequence: chain.store.guardSequence(key), height: chain.height },
      });
    await use(home, async (chain) => {
      const guard = await openGuard(chain);
      await guard.reset(HEIGHT);
      await guard.close();
    });
    await use(home, (chain) => chain.rebuild(60, noHeight));
    await use(home, async (chain) => {
      assert.equal(chain.height, 60);
      assert.deepEqual(chain.store.head()?.blockId, before);
      assert.equal(chain.store.block(61), undefined);
      await chain.verify(1, 60, noHeight);
      const guard = await openGuard(chain);
      assert.equal(guard.status.kind, 'empty');
      assert.equal(guard.signAbove, HEIGHT);
      await guard.close();
    });
    await use(home, (chain) => chain.rebuild(0, noHeight));
    assert.equal(await use(home, (chain) => Promise.resolve(chain.height)), 0);
  });

  it('ends a replacement of the database that was interrupted, at every step', async () => {
    const { dbFolder } = chainFolderOf(home, 'ait-devnet');
    await use(home, (chain) => chain.rebuild(60, noHeight));
    // The new database is whole, and has not taken its place.
    const second = await makeHome(join(root, 'c'), timeMs, 80);
    const { dbFolder: other } = chainFolderOf(second.home, 'ait-devnet');
    await rename(other, `${dbFolder}.ready`);
    assert.equal(await use(home, (chain) => Promise.resolve(chain.height)), 80);
    // The old one is aside, the new one not yet in place.
    await rename(dbFolder, `${dbFolder}.ready`);
    assert.equal(await use(home, (chain) => Promise.resolve(chain.height)), 80);
    // One that is not whole is worthless.
    await writeFile(join(root, 'x'), '');
    await rename(join(root, 'x'), `${dbFolder}.making`);
    assert.equal(await use(home, (chain) => Promise.resolve(chain.height)), 80);
    for (const end of ['.making', '.ready', '.old']) assert.equal(existsSync(dbFolder + end), false, end);
  });

  it('survives kill -9 in the middle of a rollback', async () => {
    for (const heights of [1, 60, 119]) {
      const child = spawn(
        process.execPath,
        [fileURLToPath(import.meta.resolve('./rollback-process.ts')), home, '120'],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      const ended = once(child, 'exit');
      let seen = 0;
      for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
        seen += chunk.toString().split('\n').length - 1;
        if (seen >= heights) break;
      }
      child.kill('SIGKILL');
      await ended;
      const height = await use(home, async (chain) => {
        await chain.verify(1, chain.height, noHeight);
        return chain.height;
      });
      assert.ok(height === HEIGHT || height === 120, String(height));
    }
    await use(home, (chain) => chain.rebuild(100, noHeight));
    await use(home, (chain) => chain.verify(1, 100, noHeight));
  });

  it('compact works on a database, and nothing works on a node that runs', async () => {
    const { bytesBefore, bytesAfter } = await compactChain(options(home));
    assert.ok(bytesBefore > 0 && bytesAfter > 0);
    await use(home, (chain) => chain.verify(1, HEIGHT, noHeight));
    const data = await openDataFolder(home);
    await fails(StoppedChain.open(options(home)), 'DATA_LOCKED');
    await fails(compactChain(options(home)), 'DATA_LOCKED');
    await data.close();
    await fails(StoppedChain.open(options(join(root, 'nowhere'))), 'DATA_FOLDER');
  });
});
