import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex, utf8 } from '../../../../src/bytes.ts';
import { receiptToJson } from '../../../../src/chain/market/receipt-json.ts';
import { nativeCrypto } from '../../../../src/native/crypto.ts';
import { fixtureGenesis } from '../../../util/chain-fixture.ts';
import { signedFixture } from '../../../util/receipt-fixture.ts';
import { cliHere } from '../in-process.ts';
import type { Ended } from '../run.ts';
import { makeFolder, removeFolder } from '../run.ts';

const { chain } = fixtureGenesis({ timeMs: 1_700_000_000_000 });
const ANSWER = 'Vienna is the capital of Austria.';

describe('aitbc receipt verify', () => {
  let folder: string;
  let path: string;
  const json = receiptToJson(nativeCrypto, { ...signedFixture(chain, utf8(ANSWER)), chain });

  beforeEach(() => {
    folder = makeFolder();
    path = join(folder, 'receipt.json');
    writeFileSync(path, JSON.stringify(json));
  });

  afterEach(() => {
    removeFolder(folder);
  });

  const verify = (...args: string[]): Promise<Ended> =>
    cliHere(['receipt', 'verify', path, ...args], { AITBC_HOME: folder });

  it('says that a receipt holds, and what was checked', async () => {
    const { code, stdout, stderr } = await verify();
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^due {8}0\.000136 AIT$/m);
    assert.match(stderr, /✓ signed by the miner ait1/);
    assert.match(stderr, /✓ Receipt valid\. What the chain paid was not asked\.\n$/);
    const document = (await verify('--json')).json;
    assert.deepEqual([document.receipt_valid, document.receipt_id], [true, json.receipt_id]);
  });

  it('looks at the answer when it is given', async () => {
    const answer = join(folder, 'answer');
    writeFileSync(answer, ANSWER);
    assert.match((await verify('--output', answer)).stderr, /Receipt valid, and about this answer/);
    writeFileSync(answer, 'Graz');
    assert.equal((await verify('--output', answer)).code, 11);
    assert.equal((await verify('--output', join(folder, 'missing'))).code, 2);
  });

  it('exits 11 when it does not hold, 10 when another network is meant', async () => {
    writeFileSync(path, JSON.stringify({ ...json, price: json.price + 1 }));
    const { code, stderr } = await verify();
    assert.equal(code, 11);
    assert.match(stderr, /✗ the receipt does not hold: "receipt_id" of the receipt/);
    writeFileSync(path, 'no receipt');
    assert.equal((await verify()).code, 11);
    writeFileSync(path, JSON.stringify(json));
    assert.equal((await verify('--genesis-hash', '00'.repeat(32))).code, 10);
    assert.equal((await verify('--genesis-hash', toHex(chain.genesisHash))).code, 0);
    assert.equal((await verify('--chain', 'ait-testnet')).code, 7);
  });
});
