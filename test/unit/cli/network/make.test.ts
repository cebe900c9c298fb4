import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../../../src/bytes.ts';
import { loadConfig } from '../../../../src/config.ts';
import { homeLayout } from '../../../../src/config/home.ts';
import { createNativeSigner } from '../../../../src/native/crypto.ts';
import { readKeyFile } from '../../../../src/store/key-file.ts';
import { addressText } from '../../../util/chain-fixture.ts';
import { cliHere } from '../in-process.ts';
import type { Ended } from '../run.ts';
import { CHAIN_ID, configOf, useNetworkFolder } from './network-folder.ts';

describe('a network of validators who keep their keys', () => {
  const made = useNetworkFolder();
  const { at } = made;
  const homes = ['at1', 'aitbc1', 'ns3'].map((site) => ({ site, name: `${site}-1` }));
  const homeOf = (site: string): string => at('sealed', site);
  const card = (site: string, ...args: string[]): Promise<Ended> =>
    cliHere([
      ...['validator', 'show', '--card', '--home', homeOf(site), '--chain', CHAIN_ID, '--name', `${site}-1`, '--json'],
      ...['--operator', OPERATOR, '--host', `${site}.example:9000`, '--rpc-url', `https://${site}.example`, ...args],
    ]);
  const OPERATOR = addressText('operator-0');
  const cards = homes.map(({ site }) => join('cards', site));

  it('is sealed out of cards, signed by each, put together, and joined', async () => {
    mkdirSync(at('sealed'));
    mkdirSync(at('cards'));
    for (const { site } of homes) {
      await cliHere(['init', '--home', homeOf(site), '--chain', CHAIN_ID]);
      const { code, stdout, stderr } = await card(site);
      assert.equal(code, 0, stderr);
      writeFileSync(at('cards', site), stdout);
    }
    const out = at('sealed', 'net');
    const files = cards.map((path) => at(path));
    const sealed = await cliHere(['network', 'seal', ...files, '--chain', CHAIN_ID, '--out', out, '--json']);
    assert.equal(sealed.code, 0, sealed.stderr);
    assert.match(sealed.json.survival.join(' '), /Survives the loss of any one site.*Survives no traitor/);
    assert.equal((await cliHere(['network', 'seal', ...files, '--chain', CHAIN_ID, '--out', out])).code, 10);
    assert.deepEqual(
      loadConfig({ fileText: readFileSync(join(out, 'ns3-1.config.toml'), 'utf8') }).p2p.peers.map(
        (peer) => peer.split('/')[2],
      ),
      ['aitbc1.example', 'at1.example'],
    );

    const draft = join(out, 'join.json');
    const unsigned = await cliHere(['network', 'show', draft]);
    assert.deepEqual([unsigned.code, /0 of 3 of the power/.test(unsigned.stderr)], [10, true]);
    const copies: string[] = [];
    for (const { site } of homes) {
      const copy = join(out, `${site}.json`);
      copies.push(copy);
      const args = ['network', 'sign', draft, '--out', copy, '--home', homeOf(site)];
      assert.equal((await cliHere(args)).code, 2, 'signed without being asked');
      assert.equal((await cliHere([...args, '-y'])).code, 0);
    }
    const document = join(out, 'signed.json');
    const nobody = ['--home', at('nobody')];
    assert.equal((await cliHere(['network', 'sign', draft, ...nobody])).code, 2, 'nothing to sign with');
    assert.equal((await cliHere(['network', 'sign', ...copies, '--out', document, ...nobody])).code, 0);
    const shown = await cliHere(['network', 'show', document, '--json']);
    assert.deepEqual([shown.json.power, shown.json.genesis_hash], [3, sealed.json.genesis_hash], shown.stderr);

    // A validator starts nothing by joining, and does not name itself.
    const joined = await cliHere(['join', document, '--home', homeOf('at1'), '-y', '--json']);
    assert.deepEqual([joined.code, joined.json.synced], [0, false], joined.stderr);
    assert.deepEqual(
      new Set(configOf(homeOf('at1')).p2p.peers.map((peer) => peer.split('/')[2])),
      new Set(['aitbc1.example', 'ns3.example']),
    );
    assert.equal((await cliHere(['network', 'show', at('join.json'), '--chain', 'ait-mainnet'])).code, 7);

    const renewed = join(out, 'renewed.json');
    assert.equal((await cliHere(['network', 'renew', document, '--out', renewed, '--valid-days', '10'])).code, 0);
    const mixed = await cliHere(['network', 'sign', document, renewed, '--out', join(out, 'x'), ...nobody]);
    assert.deepEqual([mixed.code, /different documents/.test(mixed.stderr)], [2, true]);
    const key = createNativeSigner(await readKeyFile(homeLayout(homeOf('at1'), CHAIN_ID).validatorKey));
    assert.ok(readFileSync(document, 'utf8').includes(toHex(key.publicKey)));
    assert.ok(!readFileSync(renewed, 'utf8').includes(`"${toHex(key.publicKey)}",\n      "signature"`));
  });

  it('is not sealed out of cards that were changed, of another chain, or of one validator twice', async () => {
    const seal = (chainId: string, ...files: string[]): Promise<Ended> =>
      cliHere(['network', 'seal', ...files, '--chain', chainId, '--out', at('unsealed')]);
    const [one = '', two = ''] = cards.map((path) => at(path));
    const changed = readFileSync(one, 'utf8').replace('"power":1', '"power":9');
    writeFileSync(at('cards', 'changed'), changed);
    assert.equal((await seal(CHAIN_ID, at('cards', 'changed'), two)).code, 7);
    assert.match((await seal('ait-devnet', one, two)).stderr, /for ait-testnet, not for ait-devnet/);
    assert.match((await seal(CHAIN_ID, one, one)).stderr, /same name/);
    const twin = await card('at1', '--name', 'at1-2');
    writeFileSync(at('cards', 'twin'), twin.stdout);
    assert.match((await seal(CHAIN_ID, one, at('cards', 'twin'))).stderr, /same key/);
    // Another validator that claims the node of the first.
    const layout = homeLayout(homeOf('ns3'), CHAIN_ID);
    renameSync(layout.nodeKey, `${layout.nodeKey}.own`);
    writeFileSync(layout.nodeKey, readFileSync(homeLayout(homeOf('at1'), CHAIN_ID).nodeKey), { mode: 0o600 });
    writeFileSync(at('cards', 'claims'), (await card('ns3')).stdout);
    assert.match((await seal(CHAIN_ID, one, at('cards', 'claims'))).stderr, /same peer id/);
    assert.equal((await card('nowhere')).code, 4);
    assert.equal((await cliHere(['validator', 'show', '--card', '--home', homeOf('at1')])).code, 2);
    assert.throws(() => statSync(at('unsealed')));
  });
});

describe('aitbc network new', () => {
  const made = useNetworkFolder();
  const { at } = made;
  it('writes genesis, signed document and a bundle for each node, once, and says what the layout survives', async () => {
    const args = [
      'network',
      'new',
      'ait-devnet',
      '--validators',
      'a=1',
      '--host',
      'a=127.0.0.1:9000',
      '--out',
      at('new'),
    ];
    const rest = ['--account', `${addressText('operator-0')}=5`, '--password-file', made.passwordFile, '--json'];
    const done = await cliHere([...args, ...rest]);
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.json.survival.join(' '), /Losing a halts the chain/);
    for (const path of done.json.files) assert.equal(statSync(path).mode & 0o777, 0o600);
    const shown = await cliHere(['network', 'show', at('new', 'join.json'), '--json']);
    assert.equal(shown.json.genesis_hash, done.json.genesis_hash);
    const genesis = JSON.parse(readFileSync(at('new', 'genesis.json'), 'utf8'));
    assert.deepEqual(
      genesis.modules.bank.accounts.map(({ balance_uait }: { balance_uait: string }) => balance_uait),
      ['10000000000', '5000000'],
    );
    assert.equal(genesis.params.min_block_interval_ms, 500, 'that of the template');
    const again = await cliHere([...args, ...rest]);
    assert.deepEqual([again.code, /KEY_EXISTS/.test(again.stderr)], [10, true]);
    const out = ['--out', at('new2')];
    assert.equal(
      (await cliHere(['network', 'new', 'ait-strange', ...out, '--password-file', made.passwordFile])).code,
      2,
    );
    assert.equal((await cliHere(['network', 'new', 'ait-devnet', ...out])).code, 2, 'without a password');
    assert.equal(
      (await cliHere(['network', 'new', 'ait-devnet', ...out, '--validators', 'a=1', '--sites', 'x'])).code,
      2,
    );
    assert.throws(() => statSync(at('new2')));
  });
});
