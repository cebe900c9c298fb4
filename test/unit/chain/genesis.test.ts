import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { pureCrypto } from '../../../src/chain/crypto/pure.ts';
import { genesisState, isDevnet, parseGenesis } from '../../../src/chain/genesis.ts';
import type { Json, JsonObject } from '../../../src/chain/modules/types.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { genesisJson } from '../../util/chain-fixture.ts';

const base = genesisJson({ timeMs: 1_700_000_000_000 }) as JsonObject;

function change(path: readonly string[], value: Json): Json {
  const copy = structuredClone(base) as Record<string, Json>;
  let at = copy;
  for (const key of path.slice(0, -1)) at = at[key] as Record<string, Json>;
  at[path.at(-1) ?? ''] = value;
  return copy;
}

describe('genesis', () => {
  it('has one hash for one content, whatever the order and the cryptography', () => {
    const genesis = parseGenesis(nativeCrypto, base);
    assert.deepEqual(parseGenesis(pureCrypto, base), genesis);
    const modules = base['modules'] as { bank: { accounts: Json[] }; validators: { authorities: Json[] } };
    const reordered = {
      ...base,
      modules: {
        ...modules,
        validators: { authorities: modules.validators.authorities.toReversed() },
        bank: { accounts: modules.bank.accounts.toReversed() },
      },
    };
    assert.equal(toHex(parseGenesis(nativeCrypto, reordered).chain.genesisHash), toHex(genesis.chain.genesisHash));
    assert.deepEqual([...genesisState(nativeCrypto, genesis).keys()].length, 7 + 1 + 1 + 3 + 1);
  });

  it('every parameter is part of the hash', () => {
    const hash = toHex(parseGenesis(nativeCrypto, base).chain.genesisHash);
    const params = base['params'] as JsonObject;
    for (const key of Object.keys(params)) {
      const value = typeof params[key] === 'string' ? '77' : 77;
      assert.notEqual(toHex(parseGenesis(nativeCrypto, change(['params', key], value)).chain.genesisHash), hash, key);
    }
    for (const [path, value] of [
      [['chain_id'], 'ait-devnet2'],
      [['time_ms'], 1],
    ] as const) {
      assert.notEqual(toHex(parseGenesis(nativeCrypto, change(path, value)).chain.genesisHash), hash);
    }
  });

  it('refuses what is wrong, saying where', () => {
    const account = { address: 'ait1nonsense', balance_uait: '1' };
    const authority = ((base['modules'] as JsonObject)['validators'] as { authorities: JsonObject[] }).authorities[0]!;
    const cases: [Json, RegExp][] = [
      [[], /object/],
      [change(['version'], 2), /version/],
      [change(['chain_id'], 'UPPER'), /chain id/],
      [change(['surprise'], 1), /surprise/],
      [change(['params', 'base_fee_uait'], 5), /base_fee_uait/],
      [change(['params', 'base_fee_uait'], '9007199254740992'), /base_fee_uait/],
      [change(['params', 'max_block_txs'], 1e9), /max_block_txs/],
      [change(['modules', 'bank', 'accounts'], [account]), /address/],
      [change(['modules', 'validators', 'authorities'], []), /validator set/],
      [change(['modules', 'validators', 'authorities'], [authority, authority]), /validator set|twice/],
      [change(['modules', 'validators', 'authorities'], [{ ...authority, power: 0 }]), /power/],
    ];
    for (const [json, pattern] of cases) {
      assert.throws(
        () => parseGenesis(nativeCrypto, json),
        (error) => isNodeError(error) && error.code === 'BAD_GENESIS' && pattern.test(error.message),
        String(pattern),
      );
    }
  });

  it('a devnet is named by its ending', () => {
    assert.deepEqual(['ait-devnet', 'ait-devnet-2', 'ait-mainnet', 'x-devnet'].map(isDevnet), [
      true,
      false,
      false,
      true,
    ]);
  });
});
