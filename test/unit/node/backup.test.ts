import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import type { ChainContext } from '../../../src/chain/signing.ts';
import { homeLayout } from '../../../src/config/home.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RestoredPath } from '../../../src/node/backup.ts';
import { collectBackup, restoreBackup } from '../../../src/node/backup.ts';
import type { Backup } from '../../../src/node/backup-file.ts';
import { decodeBackup, encodeBackup, MAX_BACKUP_BYTES, MAX_BACKUP_FILES } from '../../../src/node/backup-file.ts';
import { openDataFolder } from '../../../src/store/data-folder.ts';
import type { SignGuard } from '../../../src/store/guard.ts';
import { guardFolder, openSignGuard } from '../../../src/store/guard.ts';
import { readGuard } from '../../../src/store/guard-copy.ts';
import { genesisJson, fixtureGenesis, seed, signer } from '../../util/chain-fixture.ts';
import { cliHere as cli } from '../cli/in-process.ts';
import { makeFolder, removeFolder } from '../cli/run.ts';
import { coded } from '../store/fixtures.ts';
import { record } from '../store/guard-fixtures.ts';

const CHAIN_ID = 'ait-devnet';
const CREATED = '2026-01-01T00:00:00.000Z';
const { publicKey } = signer('validator-0');
const TIME_MS = 1_700_000_000_000;

describe('backup', () => {
  let folder: string;
  let home: string;
  let other: string;

  beforeEach(() => {
    folder = makeFolder();
    [home, other] = [join(folder, 'home'), join(folder, 'other')];
    const { chain, genesis, nodeKey, validatorKey, keystore, config } = homeLayout(home, CHAIN_ID);
    for (const path of [chain, join(home, 'identity'), keystore, join(chain, 'db')]) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
    }
    writeFileSync(config, 'name = "n1"\n');
    writeFileSync(genesis, JSON.stringify(genesisJson({ timeMs: TIME_MS })));
    writeFileSync(nodeKey, toHex(seed('node')), { mode: 0o600 });
    writeFileSync(validatorKey, toHex(seed('validator-0')), { mode: 0o600 });
    writeFileSync(join(keystore, 'alice.json'), '{}', { mode: 0o600 });
    writeFileSync(join(chain, 'miner_key'), toHex(seed('miner')), { mode: 0o600 });
    mkdirSync(join(home, 'access'), { mode: 0o700 });
    writeFileSync(join(home, 'access', 'api_keys'), 'hashes', { mode: 0o600 });
    writeFileSync(join(chain, 'db', 'CURRENT'), 'blocks');
  });

  afterEach(() => {
    removeFolder(folder);
  });

  const chainFolder = (of: string): string => homeLayout(of, CHAIN_ID).chain;
  const slot = (of: string, name: string): string => join(guardFolder(chainFolder(of), publicKey), name);
  const open = (of: string, chain: ChainContext = fixtureGenesis({ timeMs: TIME_MS }).chain): Promise<SignGuard> =>
    openSignGuard({ ...chain, publicKey, folder: chainFolder(of), store: { sequence: 0, height: 0 } });

  /** What the key signs: nothing but a step that is fenced from then on. */
  async function sign(of: string, height: number, round = 0, chain?: ChainContext): Promise<void> {
    const guard = await open(of, chain);
    await guard.save(record(height, round, 'propose')).finally(() => guard.close());
  }

  async function placeOf(of: string): Promise<readonly [string, number, number]> {
    const guard = await open(of);
    await guard.close();
    const { status } = guard;
    return status.kind === 'ready'
      ? ['ready', status.record.height, status.record.round]
      : [status.kind, guard.signAbove, 0];
  }

  const take = async (of = home): Promise<Backup> => decodeBackup(encodeBackup(await collectBackup(of, CREATED)));
  const put = (into: string, backup: Backup, replace = false): Promise<RestoredPath[]> =>
    restoreBackup(into, backup, { replace, log: nopLogger });
  const guardAction = (done: readonly RestoredPath[]): string | undefined =>
    done.find(({ path }) => path.includes('sign_guard'))?.action;

  /** Every file of a home but those of its lock and format. */
  function picture(of: string): Record<string, string> {
    const names = readdirSync(of, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    const paths = names
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => !/(FORMAT|LOCK)$/.test(path));
    return Object.fromEntries(paths.map((path) => [path.slice(of.length), readFileSync(path, 'hex')]));
  }

  it('brings keys, guard, wallets, configuration and genesis into a new home, for their owner alone', async () => {
    await sign(home, 7, 2);
    const backup = await take();
    const done = await put(other, backup);
    assert(done.every(({ action }) => action === 'restored'));
    const kept = Object.entries(picture(home)).filter(([path]) => !path.includes('/db/'));
    assert.deepEqual(picture(other), Object.fromEntries(kept));
    for (const path of Object.keys(picture(other))) assert.equal(statSync(join(other, path)).mode & 0o777, 0o600, path);
    assert.deepEqual(await placeOf(other), ['ready', 7, 2]);
    assert(
      (await put(other, backup)).every(({ action }) => action === 'found' || action === 'kept'),
      'again: nothing to do',
    );
  });

  it('never lowers a guard that went on since', async () => {
    await sign(home, 7);
    const backup = await take();
    for (const [height, round] of [
      [7, 1],
      [8, 0],
      [30, 4],
    ] as const) {
      await sign(home, height, round);
      assert.equal(guardAction(await put(home, backup, true)), 'kept');
      assert.deepEqual(await placeOf(home), ['ready', height, round]);
    }
    const guard = await open(home);
    await guard.reset(40);
    await guard.close();
    assert.equal(guardAction(await put(home, backup)), 'kept');
    assert.deepEqual(await placeOf(home), ['empty', 40, 0], 'a floor counts');
  });

  it('raises a guard that is older than the backup', async () => {
    await sign(home, 7);
    const old = await take();
    await sign(home, 9, 3);
    const newer = await take();
    await put(other, old);
    assert.equal(guardAction(await put(other, newer)), 'restored');
    assert.deepEqual(await placeOf(other), ['ready', 9, 3]);
    await assert.rejects(sign(other, 9, 2), coded('WOULD_DOUBLE_SIGN', /signed already/));
  });

  it('leaves a guard with a damaged record alone, and refuses one that says nothing', async () => {
    await sign(home, 7);
    await sign(home, 8);
    const backup = await take();
    writeFileSync(slot(home, 'a'), 'damage');
    assert.equal(guardAction(await put(home, backup)), 'kept');
    assert.equal(readFileSync(slot(home, 'a'), 'utf8'), 'damage');
    writeFileSync(slot(home, 'b'), 'damage');
    await assert.rejects(put(home, backup, true), coded('GUARD', /cannot be read/));
    assert.equal(readFileSync(slot(home, 'b'), 'utf8'), 'damage');
    await assert.rejects(collectBackup(home, CREATED), coded('GUARD', /cannot be read/));
  });

  it('refuses a guard of another genesis', async () => {
    await sign(home, 7);
    const backup = await take();
    rmSync(guardFolder(chainFolder(home), publicKey), { recursive: true });
    await sign(home, 1, 0, fixtureGenesis({ timeMs: TIME_MS + 1 }).chain);
    const before = picture(home);
    await assert.rejects(put(home, backup), coded('GUARD', /another genesis/));
    assert.deepEqual(picture(home), before);
  });

  it('overwrites no other identity unless told, and then moves it aside', async () => {
    await sign(home, 7);
    const backup = await take();
    const { nodeKey } = homeLayout(home, CHAIN_ID);
    writeFileSync(nodeKey, toHex(seed('another')));
    rmSync(homeLayout(home, CHAIN_ID).validatorKey);
    const before = picture(home);
    await assert.rejects(put(home, backup), coded('KEY_EXISTS', /node_key is there already/));
    assert.deepEqual(picture(home), before, 'nothing was changed');
    const done = await put(home, backup, true);
    assert.deepEqual(
      done.filter(({ action }) => action === 'replaced').map(({ path }) => path),
      ['identity/node_key'],
    );
    assert.equal(readFileSync(nodeKey, 'utf8'), toHex(seed('node')));
    assert.equal(readFileSync(`${nodeKey}.replaced-1`, 'utf8'), toHex(seed('another')));
    assert(existsSync(homeLayout(home, CHAIN_ID).validatorKey));
  });

  it('never overwrites a genesis, and nothing in a home whose node runs', async () => {
    const backup = await take();
    writeFileSync(homeLayout(home, CHAIN_ID).genesis, JSON.stringify(genesisJson({ timeMs: TIME_MS + 1 })));
    await assert.rejects(put(home, backup, true), coded('WRONG_GENESIS', /another genesis/));
    const held = await openDataFolder(home);
    await assert.rejects(put(home, backup), coded('DATA_LOCKED', /in use/));
    await held.close();
    await assert.rejects(collectBackup(join(folder, 'nowhere'), CREATED), coded('NOT_FOUND', /no node/));
  });

  it('writes guards before keys, and goes on where it was interrupted', async () => {
    await sign(home, 7);
    const backup = await take();
    mkdirSync(other);
    writeFileSync(join(other, 'keystore'), 'in the way');
    await assert.rejects(put(other, backup), coded('STORAGE', /./));
    assert.deepEqual(await placeOf(other), ['ready', 7, 0]);
    assert.equal(existsSync(homeLayout(other, CHAIN_ID).validatorKey), false);
    rmSync(join(other, 'keystore'));
    assert.equal(guardAction(await put(other, backup)), 'kept');
    assert(existsSync(homeLayout(other, CHAIN_ID).validatorKey));
  });

  it('reads whole guards beside a validator that signs', async () => {
    await sign(home, 1);
    const guard = await open(home);
    let height = 1;
    const signing = (async () => {
      while (height < 60) await guard.save(record(++height, 0, 'propose'));
    })();
    let last = 0;
    while (height < 60) {
      const copy = await readGuard(guardFolder(chainFolder(home), publicKey));
      const at = copy?.entry.kind === 'record' ? copy.entry.record.height : 0;
      assert(at >= last, `${at} after ${last}`);
      last = at;
    }
    await signing;
    await guard.close();
  });
}).timeout(30_000);

describe('backup file', () => {
  const backup: Backup = {
    created: CREATED,
    files: [
      { path: 'identity/node_key', bytes: Uint8Array.of(1, 2, 3) },
      { path: `chains/ait-devnet/sign_guard-${'ab'.repeat(8)}/a`, bytes: new Uint8Array(50).fill(7) },
    ],
  };

  /** With checksums that hold. */
  function forged(
    change: (body: { files: { path: string; sha256: string; base64: string }[]; aitbc_backup: number }) => void,
  ): Uint8Array {
    const { sha256: _old, ...body } = JSON.parse(Buffer.from(encodeBackup(backup)).toString());
    change(body);
    return Buffer.from(JSON.stringify({ ...body, sha256: hash('sha256', JSON.stringify(body), 'hex') }));
  }

  it('comes back as it was', () => {
    assert.deepEqual(decodeBackup(encodeBackup(backup)), backup);
  });

  it('is refused when a byte of it changed, or it was cut off', () => {
    const bytes = encodeBackup(backup);
    for (let at = 0; at < bytes.length - 1; at++) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      assert.throws(() => decodeBackup(damaged), coded('CORRUPT', /./), `byte ${at}`);
      if (at % 10 === 0) assert.throws(() => decodeBackup(bytes.slice(0, at)), coded('CORRUPT', /./), `${at} bytes`);
    }
  });

  const paths = ['../x', '/etc/passwd', 'identity/../../x', 'identity/another', 'chains/../config.toml', 'keystore/..'];
  for (const path of [...paths, 'chains/a/b/validator_key', 'identity/node_key\n', 'keystore/.hidden', 'bin/aitbc']) {
    it(`takes nothing to ${JSON.stringify(path)}`, () => {
      const bytes = forged(({ files }) => Object.assign(files[0] ?? {}, { path }));
      assert.throws(() => decodeBackup(bytes), coded('CORRUPT', /no backup holds/));
    });
  }

  it('is refused with a file twice, from a newer program, or with other contents', () => {
    const twice = forged(({ files }) => files.push(...files.slice(0, 1)));
    assert.throws(() => decodeBackup(twice), coded('CORRUPT', /twice/));
    const newer = forged((body) => (body.aitbc_backup = 2));
    assert.throws(() => decodeBackup(newer), coded('DATA_TOO_NEW', /newer/));
    const other = forged(({ files }) => Object.assign(files[0] ?? {}, { base64: 'AAAA' }));
    assert.throws(() => decodeBackup(other), coded('CORRUPT', /checksum of identity/));
    for (const text of ['', 'null', '[]', '{"aitbc_backup":1}', '{}']) {
      assert.throws(() => decodeBackup(Buffer.from(text)), coded('CORRUPT', /./), text);
    }
  });

  it(`bound: at most ${MAX_BACKUP_FILES} files and ${MAX_BACKUP_BYTES} bytes`, () => {
    const many = forged(({ files }) => {
      const [first] = files;
      assert(first);
      files.push(...Array.from({ length: MAX_BACKUP_FILES }, (_, i) => ({ ...first, path: `keystore/${i}` })));
    });
    assert.throws(() => decodeBackup(many), coded('TOO_LARGE', /too large/));
    assert.throws(() => decodeBackup(new Uint8Array(MAX_BACKUP_BYTES + 1)), coded('TOO_LARGE', /too large/));
  });

  it('is made and taken by the command line', async () => {
    const folder = makeFolder();
    const [home, file] = [join(folder, 'home'), join(folder, 'node.backup')];
    mkdirSync(join(home, 'identity'), { recursive: true });
    writeFileSync(homeLayout(home, CHAIN_ID).nodeKey, toHex(seed('node')), { mode: 0o600 });
    const made = await cli(['backup', 'create', file, '--home', home, '--json']);
    assert.equal(made.code, 0, made.stderr);
    assert.deepEqual(made.json.files, ['identity/node_key']);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert(![made.stdout, made.stderr].join('').includes(toHex(seed('node'))));
    assert.equal((await cli(['backup', 'create', file, '--home', home])).code, 10, 'not overwritten');
    const restored = await cli(['backup', 'restore', file, '--home', join(folder, 'new')]);
    assert.equal(restored.code, 0, restored.stderr);
    assert.match(restored.stdout, /^Restored identity\/node_key$/m);
    assert.equal((await cli(['backup', 'restore', `${file}x`, '--home', home])).code, 4);
    removeFolder(folder);
  }).timeout(60_000);
});
