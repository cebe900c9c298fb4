/** When a validator begins to sign: what its key signed before, only others may know. */
import assert from 'node:assert/strict';
import type { CertifiedBlock } from '../../../protocols/messages.ts';
import { bytesKey } from '../../../src/bytes.ts';
import { blockId } from '../../../src/chain/block.ts';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import { validatorIndex } from '../../../src/chain/validator-set.ts';
import type { Vote } from '../../../src/chain/votes.ts';
import { MAX_ANSWERS, MAX_ASKED, MAX_SEARCHED, RELAYED_GRACE_MS } from '../../../src/engine/recall.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { openSignGuard } from '../../../src/store/guard.ts';
import { makeTransfer } from '../../util/chain-fixture.ts';
import type { PeerScript } from '../../util/scripted-network.ts';
import { MemoryDisk } from '../store/memory-disk.ts';
import type { NodeOptions } from './node-under-test.ts';
import { NodeUnderTest, settle, TIMEOUTS } from './node-under-test.ts';

describe('the recall of what a key signed', () => {
  let node: NodeUnderTest;
  let chain: CertifiedBlock[];
  /** Votes that every peer holds of the height after its blocks. */
  let held: Vote[];

  afterEach(() => node.stop());

  function create(options: NodeOptions = {}): void {
    node = new NodeUnderTest({ powers: [1, 1, 1, 1], ...options, alone: true });
    chain = [];
    held = [];
  }

  function grow(count: number): void {
    for (let i = 0; i < count; i++) {
      const nonce = node.driver.tip.height;
      const { block } = node.driver.commit([
        makeTransfer(node.genesis, { from: 'account-0', to: 'account-1', nonce, validUntilHeight: 10_000 }),
      ]);
      assert.ok(node.driver.certificate);
      chain.push({ block, certificate: node.driver.certificate });
    }
  }

  const peer = (): PeerScript => ({
    status: () => {
      const last = chain.at(-1);
      return {
        genesisHash: node.genesis.chain.genesisHash,
        baseHeight: 1,
        height: chain.length,
        blockId: last ? blockId(nativeCrypto, last.block.header) : new Uint8Array(32),
        certificate: last?.certificate ?? null,
      };
    },
    blocks: ({ from, count }) => chain.slice(from - 1, from - 1 + count),
    votes: ({ height }) => ({ votes: height === chain.length + 1 ? held : [], proposals: [] }),
  });

  /** A validator is linked, and answers. */
  async function link(i: number): Promise<void> {
    node.network.scripts.set(`validator-${i}`, peer());
    node.chain.handlers.onPeer(`validator-${i}`);
    await node.hearStatus(i);
    for (let k = 0; k < 20; k++) await node.advance(50);
  }

  const reasons = (): string[] => [...node.chain.gate.reasons.keys()];
  const signs = (): boolean => node.chain.engine.machine.self !== null;

  /** Nothing this key ever published contradicts itself. */
  function assertNoDouble(): void {
    const slots = new Map<string, string>();
    for (const vote of [...held, ...node.ownVotes()]) {
      const slot = `${vote.height} ${vote.round} ${vote.type}`;
      const value = vote.blockId ? bytesKey(vote.blockId) : 'nil';
      assert.equal(slots.get(slot) ?? value, value, slot);
      slots.set(slot, value);
    }
  }

  /** The others propose, prevote and go through rounds; what this node signs is in `node.ownVotes()`. */
  async function work(rounds: number): Promise<void> {
    const height = node.driver.tip.height + 1;
    for (let round = 0; round < rounds; round++) {
      for (const i of [1, 2, 3]) await node.hear([node.vote(i, 'precommit', round, null, height)]);
      await node.advance(TIMEOUTS.capMs);
    }
  }

  it('signs when validators with a quorum have answered, and not before', async () => {
    create();
    await node.start();
    for (let i = 0; i < 20; i++) await node.advance(RELAYED_GRACE_MS);
    assert.deepEqual(reasons(), ['starting'], 'nobody is there');
    await link(1);
    assert.deepEqual(reasons(), ['starting'], 'two of four');
    assert.ok(!signs());
    await link(2);
    assert.deepEqual(reasons(), []);
    assert.ok(signs());
  });

  it('a peer that does not prove to be a validator does not count, a silent validator neither', async () => {
    create();
    await node.start();
    for (const name of ['a', 'b', 'c']) {
      node.network.scripts.set(name, peer());
      node.chain.handlers.onPeer(name);
    }
    node.network.scripts.set('validator-1', {}).set('validator-2', {}).set('validator-3', {});
    for (const i of [1, 2, 3]) await node.hearStatus(i);
    for (let i = 0; i < 5; i++) await node.advance(1_000);
    assert.deepEqual(reasons(), ['starting']);
    // They do answer at last, and are asked again.
    for (const i of [1, 2]) node.network.scripts.set(`validator-${i}`, peer());
    for (let i = 0; i < 20; i++) await node.advance(100);
    assert.deepEqual(reasons(), []);
  });

  it('waits for what a validator is ahead, and believes no head without its blocks', async () => {
    create();
    grow(5);
    await node.start();
    node.network.scripts.set('validator-1', {
      ...peer(),
      status: async () => {
        const honest = await peer().status?.({} as never, undefined);
        assert.ok(honest);
        return { ...honest, height: 1_000 };
      },
    });
    node.chain.handlers.onPeer('validator-1');
    await node.hearStatus(1);
    await link(2);
    assert.equal(node.chain.ledger.tip.height, 5);
    assert.deepEqual(reasons(), ['restored'], 'the liar does not count');
    await link(3);
    assert.deepEqual(reasons(), []);
  });

  it('announces itself while it waits: validators that start together count each other', async () => {
    create();
    await node.start();
    assert.ok(node.network.of('status').length > 0);
    assert.deepEqual(reasons(), ['starting']);
  });

  it('a validator that is a quorum alone asks nobody', async () => {
    create({ powers: [1] });
    await node.start();
    assert.deepEqual(reasons(), []);
    assert.ok(signs());
  });

  it('validators that are not linked count after a while by what others pass on', async () => {
    create();
    await node.start();
    node.network.scripts.set('relay', peer());
    for (const i of [1, 2]) await node.hearStatus(i);
    await node.advance(100);
    assert.deepEqual(reasons(), []);
  });

  it('keeps its gate open when peers go', async () => {
    create();
    await node.start();
    await link(1);
    await link(2);
    for (const name of [...node.network.scripts.keys()]) {
      node.network.scripts.delete(name);
      node.chain.handlers.onPeerGone(name);
    }
    for (let i = 0; i < 20; i++) await node.advance(1_000);
    assert.ok(signs());
  });

  it('a folder older than its key signs again two heights above what others have', async () => {
    create();
    grow(3);
    await node.start();
    await link(1);
    assert.equal(node.chain.ledger.tip.height, 3);
    assert.deepEqual(reasons(), ['restored']);
    assert.match(node.chain.gate.reasons.get('restored') ?? '', /--sign-above/);
    await link(2);
    assert.deepEqual(reasons(), []);
    assert.equal(node.chain.gate.floorHeight, 5);
    for (const height of [4, 5, 6]) {
      assert.equal(signs(), height > 5, `height ${height}`);
      const next = node.driver.tip.height;
      grow(1);
      assert.equal(node.driver.tip.height, next + 1);
      const last = chain.at(-1);
      assert.ok(last);
      await node.chain.admission.verifyBodies(last.block.txs);
      await node.chain.engine.import(LinkedRange.of(nativeCrypto, [last]));
      await settle();
    }
    assert.ok(signs());
  });

  it('the word of the operator takes the place of answers', async () => {
    create({ powers: [1, 1, 1] });
    grow(3);
    const { chain: context } = node.genesis;
    const { publicKey } = node.key(0);
    const store = { sequence: 0, height: 0 };
    const guard = await openSignGuard({ ...context, folder: '/memory', publicKey, store, disk: node.disk });
    await guard.reset(4);
    await node.start();
    await link(1);
    assert.deepEqual(reasons(), []);
    assert.ok(!signs(), 'height 4');
    grow(1);
    const last = chain.at(-1);
    assert.ok(last);
    await node.chain.admission.verifyBodies(last.block.txs);
    await node.chain.engine.import(LinkedRange.of(nativeCrypto, [last]));
    await settle();
    assert.ok(signs(), 'height 5');
  });

  it('of three validators, a folder older than its key waits for both others', async () => {
    create({ powers: [1, 1, 1] });
    grow(1);
    await node.start();
    await link(1);
    assert.deepEqual(reasons(), ['restored'], 'what it signed may be known to the third alone');
    await link(2);
    assert.deepEqual(reasons(), []);
  });

  it('a vote of its key that peers hold is such a proof, and is never contradicted', async () => {
    create();
    held = [node.vote(0, 'prevote', 1, null), node.vote(0, 'precommit', 0, new Uint8Array(32).fill(7))];
    await node.start();
    await link(1);
    assert.deepEqual(reasons(), ['restored']);
    await link(2);
    assert.deepEqual(reasons(), []);
    assert.equal(node.chain.gate.floorHeight, 2);
    await work(4);
    assertNoDouble();
    assert.deepEqual(node.chain.engine.machine.self, null);
  });

  it('a guard that ends in the middle of a height resumes behind the votes that peers hold', async () => {
    create();
    await node.start();
    for (const i of [1, 2]) await link(i);
    await node.hear([1, 2, 3].map((i) => node.vote(i, 'prevote', 0, null)));
    await node.advance(TIMEOUTS.capMs);
    const before = node.ownVotes();
    assert.ok(before.length > 0);
    const copy = new MemoryDisk();
    for (const [name, bytes] of node.disk.files) copy.files.set(name, bytes.slice());
    await work(3);
    held = node.ownVotes();
    assert.ok(held.length > before.length);
    await node.stop();
    node.disk = copy;
    node.network.scripts.clear();
    await node.start();
    for (const i of [1, 2]) await link(i);
    await work(8);
    assertNoDouble();
  });

  it(`searches at most ${MAX_SEARCHED} stored blocks for own signatures`, async () => {
    create();
    grow(MAX_SEARCHED + 40);
    node.network.scripts.set('relay', peer());
    await node.start();
    for (let i = 0; i < 400 && node.chain.ledger.tip.height < chain.length; i++) await node.advance(100);
    assert.equal(node.chain.ledger.tip.height, chain.length);
    const self = validatorIndex(node.chain.ledger.validators.current, node.key(0).publicKey);
    await node.stop();
    let reads = 0;
    const read = node.store.certificate.bind(node.store);
    node.store.certificate = (height) => {
      if (height !== chain.length) reads++;
      const certificate = read(height);
      return (
        certificate && {
          ...certificate,
          signers: [0, 1, 2, 3].filter((i) => i !== self),
          signatures: certificate.signatures.slice(1),
        }
      );
    };
    await node.start();
    assert.ok(reads > 0 && reads <= MAX_SEARCHED, `${reads}`);
    node.store.certificate = read;
  });

  it(`keeps ${MAX_ANSWERS} answers and asks ${MAX_ASKED} peers at once`, async () => {
    create();
    await node.start();
    let open = 0;
    let most = 0;
    for (let i = 0; i < 100; i++) {
      node.network.scripts.set(`p${i}`, {
        status: async () => {
          most = Math.max(most, ++open);
          await new Promise((resolve) => node.clock.after(5_000, () => resolve(undefined)));
          open--;
          throw new Error('late');
        },
      });
    }
    for (let i = 0; i < 4; i++) await node.advance(500);
    assert.equal(most, MAX_ASKED);
    node.network.scripts.clear();
    for (let i = 0; i < 2 * MAX_ANSWERS; i++) {
      node.network.scripts.set(`q${i}`, peer());
      node.chain.handlers.onPeer(`q${i}`);
    }
    await node.advance(500);
    assert.deepEqual(reasons(), ['starting']);
  });
});
