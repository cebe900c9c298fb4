import assert from 'node:assert/strict';
import { MAX_CHAINS } from '../../../protocols/hello.ts';
import type { ChainNetwork } from '../../../protocols/network.ts';
import type { RunningChain } from '../../../src/chains.ts';
import type { OpenedChain } from '../../../src/chains/chain-set.ts';
import { ChainSet } from '../../../src/chains/chain-set.ts';
import { isNodeError, NodeError } from '../../../src/errors.ts';
import { nopLogger } from '../../../src/log.ts';
import { waitFor } from '../../util/wait.ts';

/** Chains that only note what is done to them. */
class Bench {
  readonly acts: string[] = [];
  readonly onDisk = new Set<string>();
  /** Failures to come, by "open a", "join a", "start a" or "stop a". */
  readonly failures = new Map<string, NodeError>();
  readonly fatal = new Map<string, (error: NodeError) => void>();
  /** While set, opening waits for it. */
  hold: Promise<void> = Promise.resolve();
  hasBeside = false;
  readonly set: ChainSet;

  constructor(...chainIds: readonly string[]) {
    this.set = new ChainSet(chainIds, {
      exists: (chainId) => this.onDisk.has(chainId),
      open: async (chainId, onFatal) => {
        await this.#act('open', chainId);
        await this.hold;
        this.fatal.set(chainId, onFatal);
        return this.#opened(chainId);
      },
      join: async (chain) => {
        await this.#act('join', chain.genesis.chain.chainId);
        return {} as ChainNetwork;
      },
      beside: async ({ chain }) => {
        const { chainId } = chain.genesis.chain;
        if (this.hasBeside) await this.#act('begin beside', chainId);
        return async () => {
          if (this.hasBeside) await this.#act('end beside', chainId);
        };
      },
      onClosed: async (chainId) => void this.acts.push(`closed ${chainId}`),
      log: nopLogger,
    });
  }

  get states(): string[] {
    return this.set.list().map(({ chainId, state, error }) => `${chainId} ${state}${error ? ` ${error.code}` : ''}`);
  }

  async #act(what: string, chainId: string): Promise<void> {
    this.acts.push(`${what} ${chainId}`);
    const failure = this.failures.get(`${what} ${chainId}`);
    if (failure) throw failure;
  }

  #opened(chainId: string): OpenedChain {
    const chain = {
      genesis: { chain: { chainId } },
      ledger: { tip: { height: 7 } },
      start: () => this.#act('start', chainId),
      stop: () => this.#act('stop', chainId),
    };
    return { chain: chain as unknown as RunningChain, genesisJson: null, joinDocument: () => Promise.resolve({}) };
  }
}

const corrupt = new NodeError('CORRUPT', 'a block is missing');
const full = new NodeError('STORAGE', 'the disk is full');
const code = (expected: string) => (error: unknown) => isNodeError(error) && error.code === expected;

async function running(...chainIds: readonly string[]): Promise<Bench> {
  const bench = new Bench(...chainIds);
  await bench.set.openAll();
  await bench.set.joinAll();
  return bench;
}

describe('the chains of a node', () => {
  it('start what runs beside a chain after it, and end that before it, however it ends', async () => {
    const bench = new Bench('a');
    bench.hasBeside = true;
    await bench.set.openAll();
    await bench.set.joinAll();
    assert.deepEqual(bench.acts.splice(0), ['open a', 'join a', 'start a', 'begin beside a']);
    await bench.set.stop('a');
    assert.deepEqual(bench.acts.splice(0), ['end beside a', 'stop a', 'closed a']);
    await bench.set.start('a');
    bench.acts.length = 0;
    bench.fatal.get('a')?.(new NodeError('STORAGE', 'the disk is full'));
    await waitFor('the chain to be closed', () => bench.acts.includes('closed a'));
    assert.deepEqual(bench.acts.splice(0), ['end beside a', 'stop a', 'closed a']);
    await bench.set.close();
  });

  it('are open before any of them takes part', async () => {
    const bench = new Bench('a', 'b');
    await bench.set.openAll();
    assert.deepEqual(bench.states, ['a starting', 'b starting']);
    assert(bench.set.list().every(({ open }) => open !== null));
    await bench.set.joinAll();
    assert.deepEqual(bench.states, ['a running', 'b running']);
    assert.equal(bench.set.defaultChainId, 'a');
  });

  for (const step of ['open', 'join', 'start']) {
    it(`go on without one that fails to ${step}`, async () => {
      const bench = new Bench('a', 'b');
      bench.failures.set(`${step} a`, corrupt);
      await bench.set.openAll();
      await bench.set.joinAll();
      assert.deepEqual(bench.states, ['a failed CORRUPT', 'b running']);
      assert.equal(bench.set.get('a').open, null);
      assert.equal(bench.acts.includes('stop a'), step !== 'open');
      bench.failures.clear();
      await bench.set.start('a');
      assert.deepEqual(bench.states, ['a running', 'b running']);
    });
  }

  it('fail as a whole when none can be started, with what the first failed with', async () => {
    const bench = new Bench('a', 'b');
    bench.failures.set('open a', corrupt).set('open b', full);
    await assert.rejects(bench.set.openAll(), code('CORRUPT'));
    const late = new Bench('a', 'b');
    late.failures.set('open b', full).set('start a', corrupt);
    await late.set.openAll();
    await assert.rejects(late.set.joinAll(), code('CORRUPT'));
  });

  it('go on when one fails while it runs, and it can be started again', async () => {
    const bench = await running('a', 'b');
    const closed = bench.set.get('a').open?.closed;
    bench.fatal.get('a')?.(full);
    assert.deepEqual(bench.states, ['a failed STORAGE', 'b running']);
    assert.equal(bench.set.running, 1);
    await waitFor('the failed one to be closed', () => bench.acts.includes('closed a'));
    assert.equal(closed?.aborted, true);
    assert.equal(bench.set.get('a').open, null);
    assert.deepEqual(bench.states, ['a failed STORAGE', 'b running']);
    assert(!bench.acts.includes('stop b'));
    await bench.set.start('a');
    assert.deepEqual(bench.states, ['a running', 'b running']);
    assert.equal(bench.set.get('a').open?.closed.aborted, false);
    assert.equal(bench.set.running, 2);
  });

  it('stay when the last one fails: its operator may start it again', async () => {
    const bench = await running('a');
    bench.fatal.get('a')?.(full);
    await waitFor('the failed one to be closed', () => bench.acts.includes('closed a'));
    await bench.set.start('a');
    assert.deepEqual(bench.states, ['a running']);
  });

  it('stop and start one by one', async () => {
    const bench = await running('a', 'b');
    await bench.set.stop('a');
    assert.deepEqual(bench.states, ['a stopped', 'b running']);
    await bench.set.stop('a');
    await bench.set.start('b');
    assert.equal(bench.acts.filter((act) => act === 'stop a').length, 1);
    assert.equal(bench.acts.filter((act) => act === 'start b').length, 1);
    await bench.set.start('a');
    assert.deepEqual(bench.states, ['a running', 'b running']);
  });

  it('do one thing at a time with a chain, and others meanwhile with others', async () => {
    const bench = await running('a', 'b');
    await bench.set.stop('a');
    const gate = Promise.withResolvers<void>();
    bench.hold = gate.promise;
    const starting = bench.set.start('a');
    await assert.rejects(bench.set.start('a'), code('CONFLICT'));
    await assert.rejects(bench.set.stop('a'), code('CONFLICT'));
    await bench.set.stop('b');
    gate.resolve();
    await starting;
    assert.deepEqual(bench.states, ['a running', 'b stopped']);
  });

  it('take one that was added to the data folder, and name those held for any other', async () => {
    const bench = await running('a');
    await assert.rejects(bench.set.start('b'), code('UNKNOWN_CHAIN'));
    bench.onDisk.add('b');
    await bench.set.start('b');
    assert.deepEqual(bench.states, ['a running', 'b running']);
    assert.throws(
      () => bench.set.get('c'),
      (error) => isNodeError(error) && error.code === 'UNKNOWN_CHAIN' && error.data['chains'] === 'a, b',
    );
  });

  it('are bounded in number', async () => {
    const bench = await running('a');
    for (let i = 1; i < MAX_CHAINS; i++) {
      bench.onDisk.add(`c${i}`);
      await bench.set.start(`c${i}`);
    }
    bench.onDisk.add('more');
    await assert.rejects(bench.set.start('more'), code('TOO_LARGE'));
    assert.equal(bench.set.list().length, MAX_CHAINS);
  });

  it('all stop at the end, also one that is being started or does not stop in order', async () => {
    const bench = await running('a', 'b');
    await bench.set.stop('b');
    bench.failures.set('stop a', full);
    const gate = Promise.withResolvers<void>();
    bench.hold = gate.promise;
    const starting = bench.set.start('b');
    const closing = bench.set.close();
    gate.resolve();
    await Promise.all([starting, closing]);
    assert.deepEqual(bench.acts.slice(-2).sort(), ['closed b', 'stop b']);
    await assert.rejects(bench.set.start('a'), code('CONFLICT'));
  });
});
