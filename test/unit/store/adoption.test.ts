import assert from 'node:assert/strict';
import { join } from 'node:path';
import { utf8 } from '../../../src/bytes.ts';
import { blockId } from '../../../src/chain/block.ts';
import { pureHasher } from '../../../src/chain/crypto/pure.ts';
import { genesisState } from '../../../src/chain/genesis.ts';
import { getSets } from '../../../src/chain/modules/validators-state.ts';
import type { StateKey } from '../../../src/chain/state.ts';
import { memoryState } from '../../../src/chain/state.ts';
import { validatorSetHash } from '../../../src/chain/validator-set.ts';
import { NodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { openChainStore } from '../../../src/store/chain-store.ts';
import type { AdoptedState, ChainStore } from '../../../src/store/types.ts';
import { fixtureGenesis } from '../../util/chain-fixture.ts';
import { certificateOf, CHAIN_ID, coded, committed, GENESIS_HASH, inFolder, key } from './fixtures.ts';

const GENESIS = new Map([
  [key('only in genesis'), utf8('1')],
  [key('both'), utf8('2')],
]);

function open(folder: string): Promise<ChainStore> {
  return openChainStore({
    ...{ folder: join(folder, 'db'), chainId: CHAIN_ID, genesisHash: GENESIS_HASH, hasher: pureHasher },
  });
}

/** A state as of height 40: real validator sets, and some entries. @param fail thrown at its end */
function stateAt40(fail?: Error): {
  readonly state: AdoptedState;
  readonly entries: ReadonlyMap<StateKey, Uint8Array>;
} {
  const genesis = genesisState(nativeCrypto, fixtureGenesis());
  const sets = getSets(memoryState(genesis));
  const entries = new Map<StateKey, Uint8Array>([[key('both'), utf8('3')]]);
  for (const [name, value] of genesis) if (value) entries.set(name, value);
  const hash = validatorSetHash(pureHasher, sets.current);
  const { block } = committed(40, GENESIS_HASH);
  const header = { ...block.header, validatorsHash: hash, nextValidatorsHash: hash };
  const id = blockId(pureHasher, header);
  const list = [...entries].map(([name, value]) => ({ key: name, value }));
  async function* chunks(): AsyncGenerator<{ key: StateKey; value: Uint8Array }[]> {
    await Promise.resolve();
    yield list.slice(0, 2);
    yield list.slice(2);
    if (fail) throw fail;
  }
  const own = { ...block, header };
  return { state: { block: own, blockId: id, certificate: certificateOf(40, id), entries: chunks() }, entries };
}

async function entriesOf(store: ChainStore): Promise<Map<StateKey, Uint8Array>> {
  const entries = new Map<StateKey, Uint8Array>();
  for await (const [name, value] of store.stateEntries()) entries.set(name, value);
  return entries;
}

describe('a state adopted by a store', () => {
  it('takes the place of the genesis state, with its block as head and base', () =>
    inFolder(async (folder) => {
      const store = await open(folder);
      await store.initialise(GENESIS);
      assert.deepEqual(store.state.get(key('only in genesis')), utf8('1'));
      const { state } = stateAt40();
      const adopting = store.adopt(state);
      assert.deepEqual(store.state.get(key('both')), utf8('2'), 'readers see the state before until it is there');
      await adopting;
      assert.deepEqual(store.state.get(key('both')), utf8('3'));
      assert.equal(store.state.get(key('only in genesis')), undefined);
      assert.equal(store.head()?.height, 40);
      assert.equal(store.base(), 40);
      assert.deepEqual(store.block(40), state.block);
      await assert.rejects(store.adopt(stateAt40().state), coded('INTERNAL'));
      await store.close();
      const again = await open(folder);
      assert.equal(again.head()?.height, 40);
      assert.equal(again.base(), 40);
      await again.initialise(GENESIS);
      assert.deepEqual(again.state.get(key('both')), utf8('3'));
      const next = committed(41, state.blockId);
      await again.commit([next]);
      assert.equal(again.head()?.height, 41);
      await again.close();
    }));

  it('that was cut off leaves a store that was never used: the genesis state is written again', () =>
    inFolder(async (folder) => {
      const store = await open(folder);
      await store.initialise(GENESIS);
      const cut = new NodeError('CORRUPT', 'another root');
      await assert.rejects(store.adopt(stateAt40(cut).state), coded('CORRUPT'));
      await assert.rejects(store.commit([committed(1, GENESIS_HASH)]), coded('INTERNAL'));
      await store.close();
      const again = await open(folder);
      assert.equal(again.head(), null);
      assert.equal(again.base(), 1);
      await again.initialise(GENESIS);
      assert.deepEqual(await entriesOf(again), GENESIS);
      const { state, entries } = stateAt40();
      await again.adopt(state);
      assert.deepEqual(await entriesOf(again), new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1))));
      await again.close();
    }));
});
