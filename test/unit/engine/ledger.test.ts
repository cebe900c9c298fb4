import assert from 'node:assert/strict';
import { addressOf } from '../../../src/chain/address.ts';
import type { Block } from '../../../src/chain/block.ts';
import { LinkedRange } from '../../../src/chain/linked-range.ts';
import { getSets } from '../../../src/chain/modules/validators-state.ts';
import { proposeChange, validatorKeySignBytes, voteChange } from '../../../src/chain/modules/validators.ts';
import type { Transaction } from '../../../src/chain/tx.ts';
import type { Certificate } from '../../../src/chain/votes.ts';
import { verifyCertificate } from '../../../src/chain/votes.ts';
import type { CertificateVerifier } from '../../../src/engine/ledger.ts';
import { delay, systemClock } from '../../../src/clock.ts';
import { Ledger } from '../../../src/engine/ledger.ts';
import { CHANGES_A_ROOT } from '../../../src/engine/range-execution.ts';
import { RightOfWay } from '../../../src/engine/right-of-way.ts';
import { NodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { ChainDriver } from '../../util/chain-driver.ts';
import { fixtureGenesis, makeTransfer, signer } from '../../util/chain-fixture.ts';
import { MemoryStore } from '../../util/memory-store.ts';

const genesis = fixtureGenesis({ timeMs: 900_000 });
const rules = { chain: genesis.chain, params: genesis.params, crypto: nativeCrypto };
const all = { has: () => true };
const verify: CertificateVerifier = (set, certificate) => {
  verifyCertificate(nativeCrypto, genesis.chain, set, certificate);
  return Promise.resolve();
};

interface Certified {
  readonly block: Block;
  readonly certificate: Certificate;
}

describe('ledger', () => {
  let store: MemoryStore;
  let ledger: Ledger;
  let driver: ChainDriver;
  let chain: Certified[];

  beforeEach(async () => {
    store = new MemoryStore();
    ledger = await Ledger.open(rules, genesis, store);
    driver = new ChainDriver(genesis, ['validator-0', 'validator-1', 'validator-2']);
    chain = [0, 1, 2, 3].map((nonce) => {
      const { block } = driver.commit([tx(nonce)]);
      assert.ok(driver.certificate);
      return { block, certificate: driver.certificate };
    });
  });

  const tx = (nonce: number): Transaction => makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce });

  const linked = (blocks: readonly Certified[]): LinkedRange => LinkedRange.of(nativeCrypto, blocks);

  const at = (i: number): Certified => chain[i] ?? assert.fail();

  it('imports certified blocks as one batch and has the root of their last header', async () => {
    const { applied, fault } = await ledger.import(linked(chain), all, verify, null);
    assert.equal(fault, null);
    assert.equal(applied.length, 4);
    assert.equal(ledger.tip.height, 4);
    assert.deepEqual(ledger.tip.version.root, at(3).block.header.stateRoot);
    const again = await Ledger.open(rules, genesis, store);
    assert.deepEqual(again.tip.blockId, ledger.tip.blockId);
  });

  it('has the validators of its tip, also when the store already shows the next state and then fails', async () => {
    const before = ledger.validators;
    const commit = store.commit.bind(store);
    store.commit = async (blocks) => {
      await commit(blocks);
      throw new NodeError('STORAGE', 'the device failed');
    };
    await assert.rejects(ledger.import(linked([at(0)]), all, verify, null), { code: 'STORAGE' });
    assert.equal(ledger.tip.height, 0);
    assert.notDeepEqual(getSets(store.state), before);
    assert.deepEqual(ledger.validators, before);
  });

  it('stops where a certificate does not prove the blocks, and keeps what came before', async () => {
    const { signers, signatures } = at(2).certificate;
    const few = { ...at(2).certificate, signers: signers.slice(0, 1), signatures: signatures.slice(0, 1) };
    const imports = async (): Promise<string | undefined> =>
      (await ledger.import(linked([{ block: at(2).block, certificate: few }]), all, verify, null)).fault?.code;
    assert.equal((await ledger.import(linked([at(0), at(1)]), all, verify, null)).applied.length, 2);
    assert.equal(await imports(), 'BAD_CERTIFICATE');
    assert.equal(ledger.tip.height, 2);
    assert.equal((await ledger.import(linked([at(2), at(3)]), all, verify, null)).applied.length, 2);
  });

  it('takes no other height than the next', async () => {
    const { applied, fault } = await ledger.import(linked([at(1)]), all, verify, null);
    assert.deepEqual([applied.length, fault?.code], [0, 'BAD_BLOCK']);
  });

  it('proves a range by its last certificate, and keeps what the blocks hold for the others', async () => {
    const seen: number[] = [];
    const counting: CertificateVerifier = (set, certificate) => {
      seen.push(certificate.height);
      return verify(set, certificate);
    };
    const blank = chain.map(({ block, certificate }, i) => {
      const isLast = i === chain.length - 1;
      return { block, certificate: isLast ? certificate : { ...certificate, signers: [], signatures: [] } };
    });
    const { applied } = await ledger.import(linked(blank), all, counting, null);
    assert.equal(applied.length, 4);
    assert.deepEqual(seen, [4]);
    assert.deepEqual(store.certificate(2), at(1).certificate);
  });

  it('proves a range over a change of validators by a certificate of each set', async () => {
    const names = ['validator-0', 'validator-1', 'validator-2', 'new-key'];
    const changing = new ChainDriver(genesis, names);
    const operator = addressOf(nativeCrypto, signer('operator-0').publicKey);
    const { publicKey } = signer('new-key');
    const proof = signer('new-key').sign(validatorKeySignBytes(genesis.chain, operator));
    const add = { kind: 'add', publicKey, operator, name: 'n4', proof } as const;
    const bodies = [
      [changing.tx(proposeChange, 'operator-0', 0, add)],
      [changing.tx(voteChange, 'operator-1', 0, { proposal: 1 })],
      [],
      [tx(0)],
      [tx(1)],
    ];
    const blocks = bodies.map((txs) => {
      const { block } = changing.commit(txs);
      return { block, certificate: changing.certificate ?? assert.fail() };
    });
    const seen: number[] = [];
    const counting: CertificateVerifier = (set, certificate) => {
      seen.push(certificate.height, set.validators.length);
      return verify(set, certificate);
    };
    const { applied, fault } = await ledger.import(linked(blocks), all, counting, null);
    assert.deepEqual([applied.length, fault], [5, null]);
    assert.equal(seen.length, 4, 'one certificate of each set');
    assert.equal(seen[2], 5);
    assert.equal(seen[3], (seen[1] ?? 0) + 1);
    // The last block of the old set rests on its own certificate alone.
    const at = seen[0] ?? 0;
    const few = blocks.map(({ block, certificate }) =>
      block.header.height === at
        ? { block, certificate: { ...certificate, signers: [0], signatures: certificate.signatures.slice(0, 1) } }
        : { block, certificate },
    );
    const other = await Ledger.open(rules, genesis, new MemoryStore());
    const refused = await other.import(linked(few), all, verify, null);
    assert.deepEqual([refused.applied.length, refused.fault?.code], [0, 'BAD_CERTIFICATE']);
  });

  it('stops loudly at a block that a quorum made final and that is invalid here', async () => {
    await assert.rejects(ledger.import(linked(chain), { has: () => false }, verify, null), { code: 'CORRUPT' });
    assert.equal(ledger.tip.height, 0);
    assert.equal((await ledger.import(linked(chain), all, verify, null)).applied.length, 4);
  });

  it('compares roots of many blocks at once, and names the first that differs', async () => {
    const changing = new ChainDriver(genesis, ['validator-0', 'validator-1', 'validator-2']);
    let nonce = 0;
    const block = (): Certified => {
      const txs = Array.from({ length: 100 }, () => {
        return makeTransfer(genesis, { from: 'account-0', to: `of-${nonce}`, nonce: nonce++ });
      });
      const { block } = changing.commit(txs);
      return { block, certificate: changing.certificate ?? assert.fail() };
    };
    const whole = Array.from({ length: 14 }, block);
    assert.ok(14 * 100 > CHANGES_A_ROOT, 'the tree takes them in two parts');
    const { applied, fault } = await ledger.import(linked(whole), all, verify, null);
    assert.deepEqual([applied.length, fault], [14, null]);
    assert.deepEqual(ledger.tip.version.root, whole.at(-1)?.block.header.stateRoot);
    assert.equal(ledger.tip.tree.usage.versions, 1);

    // The validators hold more than their blocks say.
    const stray = { path: nativeCrypto.hash(new Uint8Array(1)), valueHash: nativeCrypto.hash(new Uint8Array(2)) };
    const version = changing.tree.fork(changing.tip.version, [stray]);
    changing.tree.commit(version);
    changing.tip = { ...changing.tip, version };
    const differing = [...whole, ...Array.from({ length: 3 }, block)];
    const other = await Ledger.open(rules, genesis, new MemoryStore());
    await assert.rejects(other.import(linked(differing), all, verify, null), (error: NodeError) => {
      assert.equal(error.code, 'CORRUPT');
      assert.equal(error.data.height, 15);
      return true;
    });
    assert.deepEqual([other.tip.height, other.tip.tree.usage.versions], [0, 1], 'nothing moved, nothing is held');
  });

  it('stops loudly at a block that a quorum made final beside its own head', async () => {
    await ledger.import(linked([at(0)]), all, verify, null);
    const other = new ChainDriver(genesis, ['validator-0', 'validator-1', 'validator-2']);
    const fork = [0, 1].map((nonce) => {
      const { block } = other.commit([makeTransfer(genesis, { from: 'account-2', to: 'account-1', nonce })]);
      return { block, certificate: other.certificate ?? assert.fail() };
    });
    await assert.rejects(ledger.import(linked(fork).after(1), all, verify, null), { code: 'FORK' });
  });

  it('executes nothing before its certificate proved good', async () => {
    store.reads = 0;
    const forged = { ...at(0).certificate, signatures: at(0).certificate.signatures.map(() => new Uint8Array(64)) };
    const { fault } = await ledger.import(linked([{ block: at(0).block, certificate: forged }]), all, verify, null);
    assert.equal(fault?.code, 'BAD_CERTIFICATE');
    assert.ok(store.reads <= 1, 'the validator set alone');
  });

  it('a full verifier is no judgement on a block', async () => {
    const full: CertificateVerifier = () => Promise.reject(new NodeError('POOL_FULL', 'too many wait'));
    const { applied, fault } = await ledger.import(linked(chain), all, full, null);
    assert.equal(applied.length, 0);
    assert.equal(fault?.code, 'POOL_FULL');
    assert.equal((await ledger.import(linked(chain), all, verify, null)).applied.length, 4);
  });

  it('throws when the disk fails, and has moved nothing', async () => {
    store.commitFault = new NodeError('STORAGE', 'disk full');
    await assert.rejects(ledger.import(linked(chain), all, verify, null), { code: 'STORAGE' });
    assert.equal(ledger.tip.height, 0);
    store.commitFault = null;
    assert.equal((await ledger.import(linked(chain), all, verify, null)).applied.length, 4);
    store.readFault = new NodeError('CORRUPT', 'damaged table');
    const { block } = driver.commit([tx(4)]);
    const { certificate } = driver;
    assert.ok(certificate);
    await assert.rejects(ledger.import(linked([{ block, certificate }]), all, verify, null), { code: 'CORRUPT' });
  });

  it('lets others have a turn every 4 ms while it executes a large block, which is the same block then', async () => {
    let turns = 0;
    let nowMs = 0;
    let stepMs = 4;
    const clock = {
      ...systemClock,
      monotonic: () => (nowMs += stepMs),
      after: (_: number, fn: () => void) => {
        turns++;
        return systemClock.after(0, fn);
      },
    };
    const way = new RightOfWay(clock).share();
    const txs = Array.from({ length: 300 }, (_, nonce) => tx(nonce));
    const { block, blockId } = new ChainDriver(genesis, ['validator-0', 'validator-1', 'validator-2']).build(txs);
    const { header, lastCommit, evidence } = block;
    const { timeMs, proposer } = header;
    const built = await ledger.build({ timeMs, proposer, lastCommit, evidence, txs }, way);
    assert.deepEqual(built.blockId, blockId);
    assert.equal(turns, 4);
    const other = await Ledger.open(rules, genesis, new MemoryStore());
    assert.deepEqual((await other.execute(block, all, way)).receipts, built.receipts);
    assert.equal(turns, 8);
    stepMs = 0.9;
    assert.equal((await other.execute(block, all, way)).receipts.length, 300);
    assert.equal((await other.execute(block, all)).receipts.length, 300);
    assert.equal(turns, 8);
  });

  it('rests between its steps while another chain agrees on a much smaller block', async () => {
    const rightOfWay = new RightOfWay(systemClock);
    const [way, quiet] = [rightOfWay.share(), rightOfWay.share()];
    const txs = Array.from({ length: 300 }, (_, nonce) => tx(nonce));
    const { header } = driver.build().block;
    way.begin(txs.length);
    quiet.begin(1);
    let isBuilt = false;
    const built = ledger.build({ ...header, lastCommit: null, evidence: [], txs }, way).then((applied) => {
      isBuilt = true;
      return applied;
    });
    await delay(systemClock, 5);
    assert.equal(isBuilt, false);
    quiet.end();
    assert.equal((await built).block.txs.length, 300);
    assert.ok(way.restedMs > 0);
  });

  it('bound: 16 candidates, and one that is asked for stays', async () => {
    const proposal = { proposer: driver.build().block.header.proposer, lastCommit: null, evidence: [], txs: [tx(0)] };
    const first = await ledger.build({ ...proposal, timeMs: 1_000_000 });
    const second = await ledger.build({ ...proposal, timeMs: 1_000_001 });
    for (let i = 2; i < 40; i++) {
      await ledger.build({ ...proposal, timeMs: 1_000_000 + i });
      assert.ok(ledger.candidate(first.blockId));
    }
    assert.equal(ledger.candidate(second.blockId), undefined);
  });
});
