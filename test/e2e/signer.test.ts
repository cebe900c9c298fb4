/** Validators whose folders were damaged, or restored from copies: real processes, through the command line. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { chainFolderOf } from '../../src/store/data-folder.ts';
import { auditStores, readGuard, VoteBook } from '../../testnet/audit.ts';
import { NODE_PROGRAM, nodeLayout, REPOSITORY } from '../../testnet/layout.ts';
import type { Flow, TestCluster } from './support.ts';
import { aitbc, get, height, keepSending, startCluster, until } from './support.ts';

/** The node whose folder suffers. */
const VICTIM = 3;

describe('a validator with a damaged or restored folder', function () {
  this.timeout(180_000);
  let at: TestCluster;
  let load: Flow;
  /** Everything that was ever seen signed. */
  const book = new VoteBook();
  const children: ChildProcess[] = [];

  const node = () => at.cluster.node(VICTIM);
  const chainFolder = (): string => chainFolderOf(node().home, 'ait-devnet').folder;
  const guards = (): string[] => readdirSync(chainFolder()).filter((name) => name.startsWith('sign_guard-'));
  const status = async () => (await get(`${at.rpc(VICTIM)}/rpc/status`)).json;
  const signs = (): Promise<unknown> => until('it signs', async () => (await status()).signing === true);
  const kill = async (): Promise<void> => {
    await at.cluster.kill([VICTIM]);
    readGuard(node(), 'ait-devnet', book);
  };
  const blocks = async (count: number): Promise<void> => {
    const from = await height(at.rpc(1));
    await until(`${count} more blocks`, async () => (await height(at.rpc(1))) >= from + count);
  };
  /** Certificates hold the first quorum of precommits, and differ by node: of some block above, all hold the victim's. */
  const certifies = async (above: number): Promise<void> => {
    const keys = at.cluster.manifest.nodes.map(({ validator }) => validator);
    const victim = keys.toSorted().indexOf(node().validator);
    const isSigned = async (peer: number, target: number): Promise<boolean> => {
      const { json } = await get(`${at.rpc(peer)}/rpc/blocks/${target}`);
      return json.certificate.signatures.some(({ signer }: { signer: number }) => signer === victim);
    };
    await until('a certificate holds its signature', async () => {
      for (let h = above + 1; h <= (await height(at.rpc(1))) && h <= (await height(at.rpc(2))); h++) {
        if ((await isSigned(1, h)) && (await isSigned(2, h))) return true;
      }
      return false;
    });
  };
  const refusal = (pattern: RegExp): Promise<string> =>
    until(`it says ${String(pattern)}`, async () => {
      const { signing, not_signing: reasons } = await status();
      assert.equal(signing, false);
      return reasons.find((reason: string) => pattern.test(reason));
    });

  /** Starts the victim with further flags, outside of the cluster. */
  function startWith(...flags: string[]): ChildProcess {
    const args = [NODE_PROGRAM, 'start', '--home', node().home, ...flags];
    const child = spawn(process.execPath, args, { cwd: REPOSITORY, stdio: 'ignore' });
    children.push(child);
    return child;
  }

  before(async () => {
    at = await startCluster({ validators: 3 });
    load = keepSending(at, () => 1, 'alice', 'bob');
    await blocks(3);
  });

  after(async () => {
    for (const child of children) child.kill('SIGKILL');
    await at.close();
  });

  it('signs soon after an ordinary crash', async () => {
    const took: number[] = [];
    for (let i = 0; i < 3; i++) {
      await kill();
      await blocks(1);
      await at.cluster.restart([VICTIM]);
      const started = performance.now();
      await signs();
      took.push(Math.round(performance.now() - started));
    }
    process.stderr.write(`      signs ${took.join(', ')} ms after its RPC answers\n`);
    assert.ok(Math.max(...took) < 15_000);
  });

  it('without its guard signs nothing, says what to do, and signs above the height it is given', async () => {
    await kill();
    for (const name of guards()) rmSync(join(chainFolder(), name), { recursive: true });
    await at.cluster.restart([VICTIM]);
    const reason = await refusal(/sign guard is older than the blocks: it is missing/);
    const above = /--sign-above (\d+)/.exec(reason)?.[1];
    assert.ok(above, reason);
    await blocks(3);
    assert.equal((await status()).signing, false);
    const { stdout } = await aitbc('status', '--rpc', at.rpc(VICTIM));
    assert.ok(stdout.includes('--sign-above'), stdout);

    await at.cluster.kill([VICTIM]);
    const child = startWith('--sign-above', above);
    await signs();
    child.kill('SIGTERM');
    await once(child, 'exit');
    await at.cluster.restart([VICTIM]);
    await signs();
  });

  it('with an older guard signs nothing, and signs again with the right one', async () => {
    await kill();
    const [guard = ''] = guards();
    const path = join(chainFolder(), guard);
    const copy = join(at.cluster.dataDir, 'guard-copy');
    const newest = join(at.cluster.dataDir, 'guard-newest');
    cpSync(path, copy, { recursive: true });
    const copied = await height(at.rpc(1));
    await at.cluster.restart([VICTIM]);
    await signs();
    // The others decide blocks without it: only its own commit of what it signed tells its blocks of newer records.
    await certifies(copied);
    const signed = await height(at.rpc(1));
    await until('it has what it signed', async () => (await height(at.rpc(VICTIM))) >= signed);
    await kill();
    renameSync(path, newest);
    cpSync(copy, path, { recursive: true });
    await at.cluster.restart([VICTIM]);
    await refusal(/sign guard is older than the blocks: it ends at record/);
    await at.cluster.kill([VICTIM]);
    rmSync(path, { recursive: true });
    renameSync(newest, path);
    await at.cluster.restart([VICTIM]);
    await signs();
  });

  it('restored as a whole from an older copy finds out, signs nothing twice, and goes on by itself', async () => {
    for (let round = 0; round < 2; round++) {
      await kill();
      const copied = await height(at.rpc(1));
      const copy = join(at.cluster.dataDir, `folder-copy-${round}`);
      cpSync(chainFolder(), copy, { recursive: true });
      await at.cluster.restart([VICTIM]);
      await signs();
      await blocks(4);
      await certifies(copied);
      await kill();
      // The cluster goes on, or does not know of anything later than this node.
      if (round === 0) await blocks(3);
      rmSync(chainFolder(), { recursive: true });
      cpSync(copy, chainFolder(), { recursive: true });
      await at.cluster.restart([VICTIM]);
      await signs();
      await blocks(4);
      await signs();
    }
    const log = readFileSync(nodeLayout(node().home, 'ait-devnet').log, 'utf8');
    assert.equal(log.split('older than the last use of its key').length - 1, 2);
  });

  it('a second process on its folder is refused', async () => {
    const { code, stderr } = await aitbc('start', '--home', node().home, '--rpc-listen', '127.0.0.1:0');
    assert.equal(code, 3, stderr);
    assert.match(stderr, /data folder is in use by process \d+/);
  });

  it('has signed nothing twice, and all hold one chain', async () => {
    assert.ok((await load.stop()) > 0);
    await at.cluster.down();
    const { nodes } = at.cluster.manifest;
    for (const each of nodes) readGuard(each, 'ait-devnet', book);
    const { faults, height: common } = await auditStores(nodes, at.genesis, new Map(), book);
    assert.deepEqual(faults, []);
    assert.deepEqual(book.conflicts, []);
    assert.ok(common > 20, String(common));
  });
});
