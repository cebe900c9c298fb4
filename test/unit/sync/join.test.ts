import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import type { AppliedBlock } from '../../../src/chain/execute.ts';
import { getSets } from '../../../src/chain/modules/validators-state.ts';
import type { StateManifest } from '../../../src/chain/state-chunks.ts';
import type { ValidatorSet } from '../../../src/chain/validator-set.ts';
import type { Certificate } from '../../../src/chain/votes.ts';
import { NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { JoinFolder } from '../../../src/store/join-folder.ts';
import type { LightAnswer } from '../../../protocols/messages.ts';
import { stateKey } from '../../../src/chain/state.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import { Prng } from '../../sim/prng.ts';
import { damageFile } from '../../util/file-damage.ts';
import type { PeerScript } from '../../util/scripted-network.ts';
import { stall } from '../../util/scripted-network.ts';
import { snapshotOf } from '../../util/snapshot-fixture.ts';
import { waitFor } from '../../util/wait.ts';
import { NodeUnderTest, settle } from '../engine/node-under-test.ts';

interface Kept {
  readonly applied: AppliedBlock;
  readonly certificate: Certificate;
  readonly validators: ValidatorSet;
  readonly nextValidators: ValidatorSet;
}

interface Bed {
  readonly node: NodeUnderTest;
  readonly kept: Kept[];
  readonly folder: string;
  readonly snapshot: { readonly manifest: StateManifest; readonly chunks: readonly Uint8Array[] };
  honest(): PeerScript;
}

const INTERVAL = 20;

async function withBed(
  use: (bed: Bed) => Promise<void>,
  { self = null, trusted = false }: { self?: number | null; trusted?: boolean } = {},
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'aitbc-join-'));
  const joining = {
    mode: 'auto' as const,
    leastBlocks: 2 * INTERVAL,
    trusted: null as { height: number; hash: Uint8Array } | null,
    folder: new JoinFolder(join(folder, 'joining'), nativeCrypto, nopLogger),
  };
  const node = new NodeUnderTest({ self, joining, alone: self !== null });
  const kept: Kept[] = [];
  const grow = (count: number): void => {
    for (let i = 0; i < count; i++) {
      const { current, next } = getSets(node.driver.tip.state);
      const nonce = node.driver.tip.height;
      const tx = makeTransfer(node.genesis, { from: 'account-0', to: `someone-${nonce}`, nonce, amountUait: 10 });
      const applied = node.driver.commit([tx]);
      kept.push({
        applied,
        certificate: node.driver.certificate as Certificate,
        validators: current,
        nextValidators: next,
      });
    }
  };
  try {
    grow(3 * INTERVAL);
    const snapshot = snapshotOf(3 * INTERVAL, node.driver.entries);
    if (trusted) joining.trusted = { height: 50, hash: kept[49]?.applied.blockId ?? new Uint8Array() };
    grow(5);
    const honest = (): PeerScript => ({
      status: () => {
        const { height, blockId } = node.driver.tip;
        const { genesisHash } = node.genesis.chain;
        return { genesisHash, baseHeight: 1, height, blockId, certificate: node.driver.certificate };
      },
      blocks: ({ from, count }) =>
        kept
          .slice(from - 1, from - 1 + count)
          .map(({ applied, certificate }) => ({ block: applied.block, certificate })),
      light: ({ height }): LightAnswer => {
        const found = kept[height - 1];
        if (!found) throw new NodeError('NOT_FOUND', 'no such block');
        const { applied, ...rest } = found;
        return { header: applied.block.header, ...rest };
      },
      votes: () => ({ votes: [], proposals: [] }),
      snapshot: ({ below }) => (snapshot.manifest.height < below ? snapshot.manifest : null),
      chunk: ({ index }) => snapshot.chunks[index] ?? new Uint8Array(),
    });
    await use({ node, kept, folder, snapshot, honest });
  } finally {
    await node.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** The folder of a node that died after it had proven the snapshot. */
async function begun({ folder, kept, snapshot }: Bed): Promise<JoinFolder> {
  const joinFolder = new JoinFolder(join(folder, 'joining'), nativeCrypto, nopLogger);
  const at = kept[3 * INTERVAL - 1];
  assert.ok(at);
  await joinFolder.begin({ manifest: snapshot.manifest, block: at.applied.block, certificate: at.certificate });
  return joinFolder;
}

/** The node's clock runs while its real disk works. */
async function passUntil(node: NodeUnderTest, condition: () => boolean): Promise<void> {
  await waitFor('the condition', async () => {
    if (condition()) return true;
    node.clock.advance(20);
    await settle(4);
    return condition();
  });
}

/** Lets time pass until the node has a state and the blocks after it. */
async function untilHeight(node: NodeUnderTest, height: number): Promise<void> {
  await passUntil(node, () => node.chain.ledger.tip.height >= height);
}

function methods(node: NodeUnderTest, method: string): number {
  return node.network.asked.filter((asked) => asked.method === method).length;
}

function blamed(node: NodeUnderTest, peer: string, action = 'lie'): boolean {
  return node.network.reports.some((report) => report.peer === peer && report.action === action);
}

function agrees({ node }: Bed): void {
  const { tip, store } = node.chain.ledger;
  assert.equal(toHex(tip.version.root), toHex(node.driver.tree.head.root));
  assert.equal(store.base(), 3 * INTERVAL);
  assert.equal(store.block(3 * INTERVAL - 1), undefined);
  assert.equal(store.block(3 * INTERVAL)?.header.height, 3 * INTERVAL);
}

describe('joining by a snapshot', function () {
  this.timeout(30_000);

  it('takes the state from peers, and goes on with blocks', () =>
    withBed(async (bed) => {
      const { node, honest, folder } = bed;
      node.network.scripts.set('a', honest()).set('b', honest());
      await node.start();
      await untilHeight(node, 65);
      agrees(bed);
      assert.equal(methods(node, 'chunk'), bed.snapshot.manifest.chunks.length);
      assert.deepEqual(await readdir(folder), []);
      assert.ok(!node.chain.gate.reasons.has('catching-up'));
      assert.equal(node.chain.join?.progress, null);
    }));

  it('fetches blocks when others are near, and when nobody has a snapshot', () =>
    withBed(async ({ node, honest }) => {
      node.network.scripts.set('a', { ...honest(), snapshot: () => null });
      await node.start();
      await untilHeight(node, 65);
      assert.equal(node.chain.ledger.store.base(), 1);
    }));

  it('begins from the block that a person vouches for', () =>
    withBed(
      async (bed) => {
        bed.node.network.scripts.set('a', bed.honest());
        await bed.node.start();
        await untilHeight(bed.node, 65);
        agrees(bed);
        const asked = bed.node.network.asked.filter(({ method }) => method === 'light').map(({ request }) => request);
        assert.deepEqual(asked[0], { height: 50 });
      },
      { trusted: true },
    ));

  const flip = (bytes: Uint8Array): Uint8Array => bytes.with(bytes.length - 1, (bytes.at(-1) ?? 0) ^ 1);
  const liars: Record<string, (bed: Bed) => PeerScript> = {
    'changes a byte of a chunk': (bed) => ({
      ...bed.honest(),
      chunk: ({ index }) => flip(bed.snapshot.chunks[index] ?? new Uint8Array(1)),
    }),
    'sends an empty chunk': (bed) => ({ ...bed.honest(), chunk: () => new Uint8Array() }),
    'offers a manifest of another state': (bed) => {
      const entries = new Map(bed.node.driver.entries);
      entries.set(stateKey(1, new Uint8Array(20)), Uint8Array.of(1));
      return { ...bed.honest(), snapshot: () => snapshotOf(3 * INTERVAL, entries).manifest };
    },
    'offers a snapshot of a height that is not': (bed) => ({
      ...bed.honest(),
      snapshot: () => ({ ...bed.snapshot.manifest, height: 64 }),
    }),
    'shows a header that nobody signed': (bed) => ({
      ...bed.honest(),
      light: (request, signal) => {
        const answer = bed.honest().light?.(request, signal) as LightAnswer;
        return { ...answer, header: { ...answer.header, stateRoot: new Uint8Array(32) } };
      },
    }),
    'shows validators of its own': (bed) => ({
      ...bed.honest(),
      light: (request, signal) => {
        const answer = bed.honest().light?.(request, signal) as LightAnswer;
        const [first, ...others] = answer.validators.validators;
        assert.ok(first);
        const validators = { ...answer.validators, validators: [{ ...first, power: 100 }, ...others] };
        return { ...answer, validators };
      },
    }),
  };

  for (const [name, liar] of Object.entries(liars)) {
    it(`needs one honest peer beside one that ${name}, which is named`, () =>
      withBed(async (bed) => {
        bed.node.network.scripts.set('liar', liar(bed)).set('honest', bed.honest());
        await bed.node.start();
        await untilHeight(bed.node, 65);
        agrees(bed);
        assert.ok(blamed(bed.node, 'liar'), JSON.stringify(bed.node.network.reports));
        assert.ok(!blamed(bed.node, 'honest'));
      }));
  }

  it('asks another peer for what one does not answer, and for what one no longer holds', () =>
    withBed(async (bed) => {
      const gone: PeerScript = {
        ...bed.honest(),
        chunk: () => Promise.reject(new NodeError('NOT_FOUND', 'made room for a newer one')),
      };
      bed.node.network.scripts.set('stalls', { ...bed.honest(), chunk: stall }).set('gone', gone);
      bed.node.network.scripts.set('honest', bed.honest());
      await bed.node.start();
      await untilHeight(bed.node, 65);
      agrees(bed);
      assert.ok(!blamed(bed.node, 'stalls') && !blamed(bed.node, 'gone'));
    }));

  it('goes on where it was cut off: what was verified is not fetched again', () =>
    withBed(async (bed) => {
      const { node, honest, snapshot } = bed;
      const joinFolder = await begun(bed);
      for (const [index, bytes] of snapshot.chunks.entries()) await joinFolder.put(index, bytes);
      node.network.scripts.set('a', { ...honest(), light: stall, chunk: stall });
      await node.start();
      await untilHeight(node, 65);
      agrees(bed);
      assert.equal(methods(node, 'chunk') + methods(node, 'light'), 0);
    }));

  it('fetches again what is damaged on its own disk, whichever file it is', () =>
    withBed(async (bed) => {
      const { node, honest, folder, snapshot } = bed;
      const joinFolder = await begun(bed);
      for (const [index, bytes] of snapshot.chunks.entries()) await joinFolder.put(index, bytes);
      await damageFile(join(folder, 'joining', 'chunk-0'), 'flip', new Prng('chunk'));
      node.network.scripts.set('a', { ...honest(), light: stall });
      await node.start();
      await untilHeight(node, 65);
      agrees(bed);
      assert.equal(methods(node, 'chunk'), 1);
      assert.deepEqual(await readdir(folder), []);
    }));

  it('finds its snapshot anew when what it knew of it is damaged', () =>
    withBed(async (bed) => {
      const { node, honest, folder, snapshot } = bed;
      const joinFolder = await begun(bed);
      for (const [index, bytes] of snapshot.chunks.entries()) await joinFolder.put(index, bytes);
      await damageFile(join(folder, 'joining', 'target'), 'flip', new Prng('target'));
      node.network.scripts.set('a', honest());
      await node.start();
      await untilHeight(node, 65);
      agrees(bed);
      assert.ok(methods(node, 'light') > 0);
    }));

  it('never takes chunks that are whole but not the state of the block', () =>
    withBed(async (bed) => {
      const { node, honest, folder, snapshot } = bed;
      const joinFolder = await begun(bed);
      for (const [index, bytes] of snapshot.chunks.entries())
        await joinFolder.put(index, index > 0 ? bytes : flip(bytes));
      node.network.scripts.set('a', honest());
      await node.start();
      await passUntil(node, () => node.fatal.length > 0 && node.chain.join?.progress === null);
      assert.equal(node.fatal[0]?.code, 'CORRUPT');
      assert.equal(node.chain.ledger.tip.height, 0);
      assert.deepEqual(await readdir(folder), []);
    }));

  it('an empty guard signs nothing before others have answered, and then two heights above them', () =>
    withBed(
      async (bed) => {
        const { node, honest } = bed;
        node.network.scripts.set('a', honest());
        await node.start();
        await untilHeight(node, 65);
        assert.ok(node.chain.gate.reasons.has('restored'));
        assert.equal(node.network.of('vote').length, 0);
        for (const i of [1, 2]) {
          node.network.scripts.set(`validator-${i}`, honest());
          await node.hearStatus(i);
        }
        await passUntil(node, () => node.chain.gate.reasons.size === 0);
        assert.equal(node.chain.gate.floorHeight, 67);
        assert.equal(node.network.of('vote').length, 0);
      },
      { self: 0 },
    ));
});
