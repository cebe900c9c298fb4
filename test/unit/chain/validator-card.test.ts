import assert from 'node:assert/strict';
import fc from 'fast-check';
import { addressOf } from '../../../src/chain/address.ts';
import type { ValidatorCard } from '../../../src/chain/validator-card.ts';
import {
  cardToJson,
  MAX_CARD_ADDRESSES,
  MAX_CARD_CHARACTERS,
  readCard,
  signCard,
} from '../../../src/chain/validator-card.ts';
import { MAX_POWER } from '../../../src/chain/validator-set.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { signer } from '../../util/chain-fixture.ts';

const PEER = '/dns/at1.example/tcp/8005/p2p/12D3KooWEZXjE41uU4EL2gpkAQeDXYok6wghN7wwNVPF5bwkaNfS';
const card: ValidatorCard = {
  ...{ chainId: 'ait-testnet', name: 'at1-1', site: 'at1', power: 1, peers: [PEER], rpc: ['https://at1.example'] },
  operator: addressOf(nativeCrypto, signer('operator-0').publicKey),
};
const signed = signCard(card, signer('validator-0'));
const fails =
  (...codes: string[]) =>
  (error: unknown) =>
    isNodeError(error) && codes.includes(error.code);

describe('a validator card', () => {
  it('comes back from its text as it was signed', () => {
    assert.deepEqual(readCard(nativeCrypto, JSON.stringify(cardToJson(signed))), signed);
  });

  it('is refused with any field changed', () => {
    const json = cardToJson(signed);
    const other = cardToJson(signCard(card, signer('validator-1')));
    const changes = {
      ...{ chain_id: 'ait-mainnet', name: 'at1-2', site: 'at2', power: 2, rpc: [], public_key: other['public_key'] },
      ...{ peers: [PEER.replace('at1', 'at2')], signature: other['signature'], operator: undefined },
    };
    for (const [key, value] of Object.entries(changes)) {
      const text = JSON.stringify({ ...json, [key]: value });
      assert.throws(() => readCard(nativeCrypto, text), fails('BAD_SIGNATURE', 'INVALID_PARAMS'), key);
    }
  });

  it('bound: addresses, power, names and the text', () => {
    const sign = (change: Partial<ValidatorCard>) => () => signCard({ ...card, ...change }, signer('validator-0'));
    const peers = Array.from({ length: MAX_CARD_ADDRESSES }, () => PEER);
    sign({ peers, power: MAX_POWER })();
    const wrong: Partial<ValidatorCard>[] = [
      ...[{ peers: [...peers, PEER] }, { peers: [] }, { power: 0 }, { power: MAX_POWER + 1 }, { power: 0.5 }],
      ...[{ name: 'a'.repeat(33) }, { site: 'At1' }, { chainId: 'x' }, { rpc: ['https://x.example/'] }],
    ];
    for (const change of wrong) assert.throws(sign(change), fails('INVALID_PARAMS'), JSON.stringify(change));
    assert.throws(() => readCard(nativeCrypto, ' '.repeat(MAX_CARD_CHARACTERS + 1)), fails('TOO_LARGE'));
  });

  it('is none of other texts', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        assert.throws(() => readCard(nativeCrypto, text), fails('INVALID_PARAMS', 'BAD_ADDRESS'));
      }),
    );
  });
});
