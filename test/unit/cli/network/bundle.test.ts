import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Bundle } from '../../../../src/cli/network/bundle.ts';
import { MAX_BUNDLE_BYTES, openBundle, sealBundle } from '../../../../src/cli/network/bundle.ts';
import { toHex } from '../../../../src/bytes.ts';
import { isNodeError } from '../../../../src/errors.ts';
import { fixtureGenesis, genesisJson, joinDocument, seed } from '../../../util/chain-fixture.ts';

const PASSWORD = 'correct horse battery';
/** So that tests are quick. */
const SCRYPT_N = 2;
const source = genesisJson({ timeMs: 1_000 });
const genesis = fixtureGenesis({ timeMs: 1_000 });
const bundle: Bundle = {
  ...{ name: 'at1-1', chainId: genesis.chain.chainId, genesisHash: toHex(genesis.chain.genesisHash) },
  config: { name: 'at1-1', 'rpc.listen': '127.0.0.1:8006', 'p2p.peers': [] },
  ...{ genesis: source, join: joinDocument(genesis) },
  keys: { node: seed('node'), validator: seed('validator'), operator: seed('operator') },
};
const fails = (code: string) => (error: unknown) => isNodeError(error) && error.code === code;

describe('a bundle', () => {
  let text: string;
  before(async () => {
    text = await sealBundle(bundle, PASSWORD, SCRYPT_N);
  });

  it('opens with its password, however it was typed, and with no other', async () => {
    assert.deepEqual(await openBundle(text, PASSWORD), bundle);
    await assert.rejects(openBundle(text, `${PASSWORD}!`), fails('WRONG_PASSWORD'));
    const umlaut = await sealBundle(bundle, 'p\u00e4ssword', SCRYPT_N);
    assert.deepEqual(await openBundle(umlaut, 'pa\u0308ssword'), bundle);
  });

  it('shows no key, and is different each time', async () => {
    const raw = Buffer.from(JSON.parse(text).sealed as string, 'base64').toString('latin1');
    for (const key of Object.values(bundle.keys)) {
      assert.ok(!text.includes(toHex(key)) && !raw.includes(Buffer.from(key).toString('latin1')));
    }
    assert.notEqual(await sealBundle(bundle, PASSWORD, SCRYPT_N), text);
  });

  it('does not open with anything in it changed: also what stands outside', async () => {
    const json = JSON.parse(text) as Record<string, string>;
    const flipped = Buffer.from(json['sealed'] ?? '', 'base64');
    flipped[40] = (flipped[40] ?? 0) ^ 1;
    const other = 'ab'.repeat(32);
    const changes = [
      ...[{ name: 'ns3-1' }, { chain_id: 'ait-mainnet' }, { genesis_hash: other }, { salt: other }],
      ...[{ nonce: 'ab'.repeat(12) }, { scrypt_n: 4 }, { sealed: flipped.toString('base64') }],
    ];
    for (const change of changes) {
      const changed = JSON.stringify({ ...json, ...change });
      await assert.rejects(openBundle(changed, PASSWORD), fails('WRONG_PASSWORD'), JSON.stringify(change));
    }
  });

  it('bound: its size, and the work that its parameters ask for, before it is done', async () => {
    await assert.rejects(openBundle(' '.repeat(MAX_BUNDLE_BYTES + 1), PASSWORD), fails('TOO_LARGE'));
    for (const scrypt_n of [2 ** 20, 3, 1, 0, -2, 2.5]) {
      const costly = JSON.stringify({ ...(JSON.parse(text) as object), scrypt_n });
      await assert.rejects(openBundle(costly, PASSWORD), fails('KEY_FILE'), String(scrypt_n));
    }
  });

  it('is none of other texts', async () => {
    const keys = Object.keys(JSON.parse(text) as object);
    const cut = fc.constantFrom(...keys).map((key) => JSON.stringify({ ...JSON.parse(text), [key]: undefined }));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string(), fc.json(), cut), async (other) => {
        await assert.rejects(openBundle(other, PASSWORD), fails('KEY_FILE'));
      }),
    );
  });
});
