/** Catching up with peers of all kinds. */
import assert from 'node:assert/strict';
import type { BlocksRequest, CertifiedBlock, PeerStatus } from '../../../protocols/messages.ts';
import { statusSignBytes } from '../../../protocols/codec.ts';
import { blockId, encodeBlock } from '../../../src/chain/block.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import { decodeTransaction } from '../../../src/chain/tx.ts';
import { NodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { INQUIRY_MS, MAX_CLAIMS } from '../../../src/sync/claims.ts';
import { MAX_RANGES_PER_PEER } from '../../../src/sync/peer-pace.ts';
import { HEDGE_MS } from '../../../src/sync/pipeline.ts';
import { MAX_RANGES, RANGE_BLOCKS } from '../../../src/sync/ranges.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import type { PeerScript } from '../../util/scripted-network.ts';
import { stall } from '../../util/scripted-network.ts';
import { NodeUnderTest, settle } from './node-under-test.ts';

/** Below the patience with agreement. */
const SOON_MS = 300;

describe('catching up', () => {
  let node: NodeUnderTest;
  let chain: CertifiedBlock[];

  beforeEach(() => {
    node = new NodeUnderTest({ self: null, params: { max_block_txs: 10 } });
    chain = [];
  });

  afterEach(() => node.stop());

  function nextTransfer(): Transaction {
    const nonce = node.driver.tip.height;
    return makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce, validUntilHeight: 10_000 });
  }

  function grow(count: number): void {
    for (let i = 0; i < count; i++) {
      const { block } = node.driver.commit([nextTransfer()]);
      assert.ok(node.driver.certificate);
      chain.push({ block, certificate: node.driver.certificate });
    }
  }

  const statusAt = (height: number): PeerStatus => {
    const at = chain[Math.min(height, chain.length) - 1];
    return {
      genesisHash: node.genesis.chain.genesisHash,
      baseHeight: 1,
      height,
      blockId: at ? blockId(nativeCrypto, at.block.header) : new Uint8Array(32),
      certificate: at?.certificate ?? null,
    };
  };

  const serve = ({ from, count }: BlocksRequest): CertifiedBlock[] => chain.slice(from - 1, from - 1 + count);

  const honest = (): PeerScript => ({
    status: () => statusAt(chain.length),
    blocks: serve,
    votes: () => ({ votes: [], proposals: [] }),
  });

  const blamed = (peer: string, action = 'lie'): boolean =>
    node.network.reports.some((report) => report.peer === peer && report.action === action);

  const height = (): number => node.chain.ledger.tip.height;

  async function passed(ms: number): Promise<void> {
    for (let at = 0; at < ms; at += 10) await node.advance(10);
  }

  async function waitForHeight(expected: number): Promise<void> {
    for (let i = 0; i < 400 && height() < expected; i++) await node.advance(100);
    assert.equal(height(), expected);
  }

  it('asks nobody for blocks below what they keep, and goes on with them above', async () => {
    grow(200);
    const pruned = (baseHeight: number): PeerScript => ({
      ...honest(),
      status: () => ({ ...statusAt(200), baseHeight }),
      blocks: (request) => {
        assert.ok(request.from >= baseHeight, `asked for ${request.from} of ${baseHeight} and above`);
        return serve(request);
      },
    });
    const old: PeerScript = {
      ...honest(),
      status: () => statusAt(100),
      blocks: ({ from, count }) => serve({ from, count: Math.min(count, 101 - from) }),
    };
    node.network.scripts.set('pruned', pruned(90)).set('more', pruned(195)).set('old', old);
    await node.start();
    await waitForHeight(200);
    assert.deepEqual(
      node.network.reports.filter(({ action }) => action !== 'useful'),
      [],
    );
  });

  it('is content with its own height when all that are ahead have pruned the next block, and blames nobody', async () => {
    grow(200);
    node.network.scripts.set('pruned', { ...honest(), status: () => ({ ...statusAt(200), baseHeight: 2 }) });
    await node.start();
    for (let i = 0; i < 20; i++) await node.advance(1_000);
    assert.equal(height(), 0);
    assert.equal(node.chain.sync.progress, null);
    assert.ok(!node.network.asked.some(({ method }) => method === 'blocks'));
    assert.deepEqual(node.network.reports, []);
    // One that keeps all is enough.
    node.network.scripts.set('archive', honest());
    node.chain.handlers.onPeer('archive');
    await waitForHeight(200);
  });

  it('blames nobody who pruned between its status and its answer', async () => {
    grow(100);
    const racing: PeerScript = {
      ...honest(),
      blocks: () => {
        throw new NodeError('PRUNED', 'blocks are kept from height 50 on');
      },
    };
    node.network.scripts.set('racing', racing).set('archive', honest());
    await node.start();
    await waitForHeight(100);
    assert.ok(!node.network.reports.some(({ peer }) => peer === 'racing'));
  });

  it('takes ranges of several peers in parallel, in order', async () => {
    grow(200);
    node.network.scripts.set('a', honest()).set('b', honest());
    await node.start();
    await waitForHeight(200);
    assert.deepEqual(node.chain.ledger.store.blockBytes(200), encodeBlock(chain[199]?.block ?? assert.fail()));
    assert.deepEqual(
      new Set(node.network.asked.flatMap(({ peer, method }) => (method === 'blocks' ? peer : []))).size,
      2,
    );
  });

  const mapped = (change: (entry: CertifiedBlock) => CertifiedBlock) => (request: BlocksRequest) =>
    serve(request).map(change);
  const flipLast = (bytes: Uint8Array): Uint8Array => bytes.with(-1, (bytes.at(-1) ?? 0) ^ 1);
  const liars: Record<string, { blocks: NonNullable<PeerScript['blocks']>; action: string | null; claims?: number }> = {
    'claims what it has not': { blocks: () => [], action: 'timeout' },
    stalls: { blocks: stall, action: null },
    'sends other heights': { blocks: ({ count }) => serve({ from: 2, count }), action: 'lie' },
    'sends more than asked': { blocks: ({ from }) => serve({ from, count: 150 }), action: 'lie', claims: 100 },
    'leaves transactions out': {
      blocks: mapped(({ block, certificate }) => ({ block: { ...block, txs: [] as Transaction[] }, certificate })),
      action: 'lie',
    },
    'changes a header': {
      blocks: mapped(({ block, certificate }) => ({
        block: { ...block, header: { ...block.header, timeMs: block.header.timeMs + 1 } },
        certificate,
      })),
      action: 'lie',
    },
    'forges certificates': {
      blocks: mapped(({ block, certificate }) => ({
        block,
        certificate: { ...certificate, signatures: certificate.signatures.map(() => new Uint8Array(64).fill(1)) },
      })),
      action: 'lie',
    },
    'signs with too few': {
      blocks: mapped(({ block, certificate }) => ({
        block,
        certificate: {
          ...certificate,
          signers: certificate.signers.slice(0, 1),
          signatures: certificate.signatures.slice(0, 1),
        },
      })),
      action: 'lie',
    },
    'pretends an upgrade': {
      blocks: mapped(({ block, certificate }) => ({
        block: { ...block, header: { ...block.header, version: 9 } },
        certificate,
      })),
      action: 'lie',
    },
    'alters a transaction': {
      blocks: mapped(({ block, certificate }) => ({
        block: { ...block, txs: block.txs.map((tx) => decodeTransaction(nativeCrypto, flipLast(tx.bytes))) },
        certificate,
      })),
      action: 'lie',
    },
  };

  for (const [name, { blocks, action, claims = 1_000_000 }] of Object.entries(liars)) {
    it(`needs one honest peer beside one that ${name}`, async () => {
      grow(150);
      node.network.scripts.set('liar', { ...honest(), status: () => statusAt(claims), blocks });
      await node.start();
      assert.ok(action === null || blamed('liar', action), JSON.stringify(node.network.reports));
      assert.equal(height(), 0);
      node.network.scripts.set('honest', honest());
      node.chain.handlers.onPeer('honest');
      await waitForHeight(150);
      assert.ok(!blamed('honest') && !blamed('honest', 'timeout'));
      assert.ok(!node.chain.gate.reasons.has('upgrade-needed'));
    });
  }

  it('a peer that sends one block at a time, slowly, does not set the pace', async () => {
    grow(300);
    const slow: PeerScript = {
      ...honest(),
      blocks: async ({ from }) => {
        await new Promise<void>((resolve) => void node.clock.after(7_900, resolve));
        return serve({ from, count: 1 });
      },
    };
    node.network.scripts.set('slow', slow).set('honest', honest());
    await node.start();
    const before = node.clock.monotonic();
    await waitForHeight(300);
    assert.ok(node.clock.monotonic() - before <= 2 * HEDGE_MS, String(node.clock.monotonic() - before));
  });

  it('asks another peer for the next range when the first does not answer', async () => {
    grow(64);
    node.network.scripts.set('stalls', { ...honest(), blocks: stall }).set('honest', honest());
    await node.start();
    await waitForHeight(64);
    assert.ok(!blamed('stalls'), 'what came too late may come from an honest peer');
  });

  it('goes on with slow peers when there are no others', async () => {
    grow(3);
    const slow: PeerScript = {
      ...honest(),
      blocks: async ({ from }) => {
        await new Promise<void>((resolve) => void node.clock.after(3_000, resolve));
        return serve({ from, count: 1 });
      },
    };
    node.network.scripts.set('slow', slow);
    await node.start();
    await waitForHeight(3);
  });

  it('signs again soon after the last block that came, whatever a peer claims to have', async () => {
    grow(5);
    const stalled = Promise.withResolvers<never>();
    const boaster: PeerScript = {
      ...honest(),
      status: () => ({ ...statusAt(5), height: 1_005 }),
      blocks: (request) => (request.from <= 5 ? serve(request) : stalled.promise),
    };
    node.network.scripts.set('boaster', boaster);
    await node.start();
    await waitForHeight(5);
    await node.advance(2 * HEDGE_MS);
    assert.ok(!node.chain.gate.reasons.has('catching-up'));
    assert.equal(node.chain.sync.progress, null);
    stalled.reject(new NodeError('TIMEOUT', 'no answer'));
  });

  it('blames nobody for a full queue of its own', async () => {
    grow(10);
    node.network.scripts.set('honest', honest());
    node.verifier.full = true;
    await node.start();
    await node.advance(2_000);
    assert.equal(height(), 0);
    node.verifier.full = false;
    await waitForHeight(10);
    assert.deepEqual(
      node.network.reports.filter(({ action }) => action !== 'useful'),
      [],
    );
  });

  it('blames nobody for what others say of it', async () => {
    grow(2);
    node.network.scripts.set('honest', honest());
    await node.start();
    await waitForHeight(2);
    // One validator signs that the honest peer were far ahead, again and again.
    for (let i = 0; i < 40; i++) {
      const core = {
        height: 1_000_000 + i,
        blockId: new Uint8Array(32),
        timeMs: node.clock.now() + i,
        peerId: 'honest',
      };
      const signature = node.key(1).sign(statusSignBytes(node.genesis.chain, core));
      const status = { ...core, validator: node.key(1).publicKey, signature };
      assert.equal(await node.chain.handlers.gossip.status(status, 'honest'), 'FIRST_HAND');
      await node.hear([node.vote(1, 'prevote', 0, null, 5_000 + i)], 'honest');
      await node.advance(200);
    }
    assert.ok(!blamed('honest', 'timeout') && !blamed('honest'));
    grow(3);
    await node.advance(INQUIRY_MS);
    node.chain.sync.hearsay('honest', 5);
    await waitForHeight(5);
  });

  it(`asks a peer of which others talk at most once in ${INQUIRY_MS} ms`, async () => {
    node.network.scripts.set('peer', { ...honest(), status: () => statusAt(0) });
    await node.start();
    const asked = (): number => node.network.asked.filter(({ method }) => method === 'status').length;
    const before = asked();
    for (let i = 0; i < 100; i++) {
      node.chain.sync.hearsay('peer', 10 + i);
      await node.advance(INQUIRY_MS / 20);
    }
    assert.ok(asked() - before <= 6, String(asked() - before));
  });

  it('asks at once what was decided while blocks came, one after the other', async () => {
    grow(3);
    node.network.scripts.set('a', {
      ...honest(),
      blocks: (request) => {
        const answer = serve(request);
        // While it is on its way.
        if (chain.length < 8) grow(1);
        return answer;
      },
    });
    await node.start();
    await passed(SOON_MS);
    assert.equal(height(), 8);
    // Nothing new was decided since: then only what an empty answer about votes may mean is asked, as after any hearsay.
    const asked = (): number => node.network.asked.filter(({ method }) => method !== 'votes').length;
    const before = asked();
    await passed(3 * INQUIRY_MS);
    assert.ok(asked() - before <= 3, String(asked() - before));
  });

  it('fetches a lone block without patience when agreement did not bring the one before it', async () => {
    grow(1);
    node.network.scripts.set('a', honest());
    await node.start();
    await passed(SOON_MS);
    assert.equal(height(), 1);
    grow(1);
    node.chain.sync.hearsay('a', 2);
    await passed(SOON_MS);
    assert.equal(height(), 2);
  });

  it('leaves a lone block to agreement for a while when agreement brought the one before it', async () => {
    node.network.scripts.set('a', honest());
    await node.start();
    const message = node.propose(node.driver.build([nextTransfer()]));
    const votes = [0, 1, 2].map((i) => node.vote(i, 'precommit', 0, message.proposal.blockId));
    grow(1);
    const txs = chain[0]?.block.txs ?? [];
    await node.chain.handlers.gossip.tx({ attempt: 0, origin: 'other', txs }, 'other');
    await node.hearProposal(message);
    await node.hear(votes);
    assert.equal(height(), 1);
    grow(1);
    const { length } = node.network.asked;
    node.chain.sync.hearsay('a', 2);
    await passed(SOON_MS);
    assert.equal(node.network.asked.length, length);
    await passed(SOON_MS);
    assert.equal(height(), 2);
  });

  it('a certified block of a newer version stops signing, and bans nobody', async () => {
    grow(2);
    const built = node.driver.build([makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce: 2 })]);
    const header = { ...built.block.header, version: 2 };
    const next = { ...built, block: { ...built.block, header }, blockId: blockId(nativeCrypto, header) };
    chain.push({ block: next.block, certificate: node.driver.certify(next) });
    node.network.scripts.set('honest', honest());
    await node.start();
    await waitForHeight(2);
    await node.advance(5_000);
    assert.ok(node.chain.gate.reasons.has('upgrade-needed'));
    assert.ok(!blamed('honest') && !blamed('honest', 'timeout'));
    const asked = node.network.asked.length;
    await node.advance(20_000);
    assert.equal(node.network.asked.length, asked, 'and does not ask for it without end');
  });

  it('a disk that fails during an import stops the node, and lets it stop', async () => {
    grow(3);
    node.network.scripts.set('honest', honest());
    node.store.commitFault = new NodeError('STORAGE', 'disk full');
    await node.start();
    await settle();
    assert.deepEqual(
      node.fatal.map(({ code }) => code),
      ['STORAGE'],
    );
    await node.stop();
  });

  it(`keeps ${MAX_RANGES_PER_PEER} ranges of a peer and ${MAX_RANGES} in all under way`, async () => {
    const names = Array.from({ length: 6 }, (_, i) => `p${i}`);
    const open = new Map<string, number>();
    let most = 0;
    let mostOfOne = 0;
    for (const name of names) {
      node.network.scripts.set(name, {
        ...honest(),
        status: () => statusAt(100_000),
        blocks: (request, signal) => {
          assert.ok(request.count <= RANGE_BLOCKS);
          open.set(name, (open.get(name) ?? 0) + 1);
          mostOfOne = Math.max(mostOfOne, ...open.values());
          most = Math.max(
            most,
            [...open.values()].reduce((sum, count) => sum + count, 0),
          );
          return stall(request, signal);
        },
      });
    }
    await node.start();
    assert.equal(mostOfOne, MAX_RANGES_PER_PEER);
    assert.ok(most <= MAX_RANGES + 1, String(most));
  });

  it(`remembers claims and rumours of ${MAX_CLAIMS} peers`, async () => {
    for (let i = 0; i < MAX_CLAIMS; i++)
      node.network.scripts.set(`p${i}`, { status: () => statusAt(0), blocks: stall });
    node.network.scripts.set('late', { status: () => statusAt(0), blocks: stall });
    await node.start();
    for (const peer of node.network.peers()) node.chain.sync.hint(peer, { baseHeight: 1, height: 2 });
    await settle();
    assert.ok(!node.network.asked.some(({ peer, method }) => peer === 'late' && method === 'blocks'));
  });
});
