import assert from 'node:assert/strict';
import { parseGenesis } from '../../src/chain/genesis.ts';
import { signTransaction } from '../../src/chain/tx.ts';
import { genesisJson, makeTransfer } from '../util/chain-fixture.ts';
import { Checker } from './checker.ts';
import { ACCOUNTS, Load } from './load.ts';
import { SimNetwork } from './network.ts';
import { SimNode } from './node.ts';
import { makePlan } from './plan.ts';
import { Prng } from './prng.ts';
import { simCrypto, simSigner } from './signatures.ts';
import { EPOCH_MS, VirtualTime } from './time.ts';
import { Trace } from './trace.ts';

const LIMIT_MS = 10_000;

/** A validator alone, in a quiet run that froze. */
function frozen() {
  const rng = new Prng('load');
  const plan = {
    ...makePlan({ seed: 0, nodes: [1], minutes: 1 }, rng.stream('plan')),
    powers: [1],
    setChanges: false,
    restores: false,
    quiet: true,
  };
  const genesis = parseGenesis(simCrypto, genesisJson({ powers: [1], accounts: ACCOUNTS, timeMs: EPOCH_MS - 60_000 }));
  const time = new VirtualTime();
  const checker = new Checker(genesis, () => false);
  const network = new SimNetwork(time, rng.stream('network'), {
    onPublish: () => undefined,
    onReport: () => undefined,
    onFault: (where, error) => {
      checker.fail(`${where}: ${String(error)}`);
    },
  });
  const node = new SimNode(
    0,
    {
      plan,
      genesis,
      time,
      network,
      checker,
      trace: new Trace(time),
      faultsOn: () => false,
      onEnd: () => undefined,
      corrupt: (_node, _handlers, own) => own,
      listen: (_node, handlers) => handlers,
    },
    rng.stream('node'),
  );
  const load = new Load({ plan, genesis, time, nodes: [node], checker, rng: rng.stream('load'), frozen: () => true });
  const runUntil = (isThere: () => boolean): Promise<void> =>
    time.run(() => isThere() || checker.violations.length > 0 || time.nowMs >= LIMIT_MS);
  return { genesis, checker, node, load, runUntil };
}

describe('load of a quiet run', () => {
  it('gives a validator work although a transaction waits in its pool for a lost one', async () => {
    const { genesis, checker, node, load, runUntil } = frozen();
    node.start();
    await runUntil(() => node.chain !== null);
    const { chain } = node;
    assert.ok(chain);
    const fields = makeTransfer(genesis, { from: 'account-0', to: 'account-1', nonce: 1 });
    const beyond = signTransaction(simCrypto, genesis.chain, simSigner('account-0'), fields);
    const refusals = chain.admission.submit([beyond], 'client');
    await runUntil(() => chain.pool.size > 0);
    assert.deepEqual(await refusals, [null]);
    assert.equal(node.stored.height, 0);
    load.sendOne(node);
    await runUntil(() => node.stored.height > 0);
    node.crash('ends');
    assert.deepEqual(checker.violations, []);
    assert.equal(node.stored.height, 1);
  });
});
