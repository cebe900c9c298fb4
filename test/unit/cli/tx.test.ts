import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toHex } from '../../../src/bytes.ts';
import type { Json } from '../../../src/chain/modules/types.ts';
import { requireChainOfNode } from '../../../src/cli/deliver.ts';
import { nopLogger } from '../../../src/log.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import type { StatusResponse } from '../../../src/sdk/types.ts';
import { createKeystore } from '../../../src/wallet/keystore.ts';
import { addressText, seed, signer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from '../rpc/fake-node.ts';
import { cliHere } from './in-process.ts';
import type { Ended } from './run.ts';
import { makeFolder, removeFolder } from './run.ts';

const PASSWORD = 'correct horse';
const NOBODY = 'http://127.0.0.1:1';
const TO = addressText('account-1');

describe('aitbc tx', () => {
  let home: string;
  let node: FakeNode;
  let server: RpcServer;
  let password: string;

  beforeEach(async () => {
    home = makeFolder();
    mkdirSync(join(home, 'keystore'));
    password = file('password', PASSWORD);
    ({ node, server } = await start(new FakeNode()));
    await place('account-0');
  });
  afterEach(async () => {
    await server.close();
    removeFolder(home);
  });

  async function start(made: FakeNode): Promise<{ node: FakeNode; server: RpcServer }> {
    made.autoCommit = true;
    const listen = { host: '127.0.0.1', port: 0 };
    return { node: made, server: await startRpcServer({ listen }, { api: fakeNode(made), log: nopLogger }) };
  }
  function file(name: string, content: string): string {
    const path = join(home, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }
  async function place(name: string, devnetOnly = false): Promise<void> {
    const made = await createKeystore({ name, seed: seed(name), password: PASSWORD, devnetOnly, scryptN: 2 ** 10 });
    writeFileSync(join(home, 'keystore', `${name}.json`), JSON.stringify(made));
  }
  function placeGenesis(json: Json, chainId: string): void {
    mkdirSync(join(home, 'chains', chainId), { recursive: true });
    writeFileSync(join(home, 'chains', chainId, 'genesis.json'), JSON.stringify(json));
  }

  const run = (...args: string[]): Promise<Ended> => cliHere(args, { AITBC_HOME: home });
  const online = (...args: string[]): Promise<Ended> => run('tx', ...args, '--rpc', server.url);
  const offline = (...args: string[]): Promise<Ended> => run('tx', ...args, '--rpc', NOBODY);
  const sign = (path: string, ...more: string[]): Promise<Ended> =>
    offline('sign', path, '--password-file', password, '-y', ...more);

  async function built(...more: string[]): Promise<string> {
    const { code, stdout, stderr } = await online('build', TO, '2.5', ...more);
    assert.equal(code, 0, stderr);
    return file('unsigned.json', stdout);
  }
  async function signed(...more: string[]): Promise<string> {
    const { code, stdout, stderr } = await sign(await built(...more));
    assert.equal(code, 0, stderr);
    return file('signed.json', stdout);
  }

  it('goes from a machine that knows the chain to one that has the key, and back', async () => {
    const { stdout } = await online('build', TO, '2.5', '--memo', 'rent');
    const unsigned = JSON.parse(stdout);
    assert.deepEqual(
      [unsigned.format, unsigned.chain_id, unsigned.from, unsigned.signature, unsigned.hash],
      ['aitbc-transaction/1', 'ait-devnet', addressText('account-0'), null, null],
    );
    assert.equal(unsigned.genesis_hash, toHex(node.genesis.chain.genesisHash));
    assert.deepEqual(unsigned.transaction.payload, { to: TO, amount_uait: '2500000', memo: '72656e74' });
    assert.match(stdout, /\n {2}"chain_id": "ait-devnet",\n/, 'people read it');

    const ready = await sign(file('unsigned.json', stdout));
    assert.equal(ready.code, 0, ready.stderr);
    assert.match(
      ready.stderr,
      /chain +ait-devnet, genesis [0-9a-f]{64}\n.*\nto +ait1\w+\namount +2\.5 AIT\nmemo +"rent"\nfee/,
    );
    const sent = await online('broadcast', file('signed.json', ready.stdout), '--json');
    assert.equal(sent.code, 0, sent.stderr);
    assert.deepEqual([sent.json.hash, sent.json.status], [ready.json.hash, 'final']);
    assert.equal((await online('status', ready.json.hash, '--json')).json.status, 'final');
    assert.equal((await online('wait', ready.json.hash, '--json')).json.code, 0);
    assert.equal((await online('status', 'ab'.repeat(32))).code, 4);
  });

  it('is built without a node where the genesis is known', async () => {
    placeGenesis(node.genesisJson, 'ait-devnet');
    const key = toHex(signer('account-2').publicKey);
    const args = ['--nonce', '4', '--valid-until', '900', '--public-key', key];
    const { code, json, stderr } = await offline('build', TO, '1', ...args, '--json');
    assert.equal(code, 0, stderr);
    assert.deepEqual([json.transaction.nonce, json.transaction.valid_until_height], [4, 900]);
    assert.equal(json.from, addressText('account-2'));
    assert.equal((await offline('build', TO, '1', '--nonce', '4')).code, 5, 'the height is not known');
    assert.equal((await offline('build', TO, '1', '--public-key', 'xy')).code, 2);
  });

  it('is written by every command that sends, with --unsigned', async () => {
    const vote = await run('validator', 'vote', '7', '--unsigned', '--rpc', server.url, '--json');
    assert.equal(vote.code, 0, vote.stderr);
    assert.deepEqual(vote.json.transaction.payload, { proposal: 7 });
    const ready = await sign(file('vote.json', vote.stdout));
    assert.equal(ready.code, 0, ready.stderr);
    assert.match(ready.stderr, /does +validator\.vote \{"proposal":7\}/);
    assert.equal(ready.json.from, addressText('account-0'));
    assert.equal((await run('tx', 'decode', file('ready.json', ready.stdout), '--json')).json.signature_state, 'valid');
    assert.equal(node.mempool.size, 0);
  });

  it('asks before it signs, and says what is missing', async () => {
    const path = await built();
    const asked = await offline('sign', path, '--password-file', password);
    assert.equal(asked.code, 2);
    assert.match(asked.stderr, /amount +2\.5 AIT[^]*-y says yes/);
    const elsewhere = await sign(path, '--wallet-dir', join(home, 'none'));
    assert.equal(elsewhere.code, 4);
    assert.match(elsewhere.stderr, /no wallet in .* has the address ait1.*\n.*wallet import/);
    await place('account-2');
    const other = await sign(path, '--from', 'account-2');
    assert.equal(other.code, 2);
    assert.match(other.stderr, /the key of ait1\w+ is needed/);
    const unsigned = await online('broadcast', path);
    assert.equal(unsigned.code, 2);
    assert.match(unsigned.stderr, /not signed.*\n +aitbc tx sign/);
  });

  it('that was changed after signing is not sent', async () => {
    const document = JSON.parse((await run('tx', 'decode', await signed(), '--json')).stdout);
    assert.equal(document.signature_state, 'valid');
    delete document.signature_state;
    const genesis = file('genesis', JSON.stringify({ ...document, genesis_hash: '00'.repeat(32) }));
    const shown = await run('tx', 'decode', genesis);
    assert.match(shown.stdout, /signature +invalid/);
    const { code, stderr } = await online('broadcast', genesis);
    assert.equal(code, 7);
    assert.match(stderr, /BAD_SIGNATURE/);
    const payload = { ...document.transaction.payload, amount_uait: '9' };
    const amount = { ...document, transaction: { ...document.transaction, payload } };
    assert.equal((await online('broadcast', file('amount', JSON.stringify(amount)))).code, 2, 'its hash is another');
    assert.equal(node.applied.length, 0);
  });

  it('is not signed for, nor sent to, another chain than the one meant', async () => {
    const path = await signed();
    const meant = await sign(path, '--chain', 'ait-testnet');
    assert.equal(meant.code, 7);
    assert.match(meant.stderr, /for ait-devnet, not for ait-testnet.*WRONG_CHAIN/);
    assert.equal((await sign(path, '--genesis-hash', 'ab'.repeat(32))).code, 10);
    const testnet = await start(new FakeNode({ chainId: 'ait-testnet' }));
    const twin = await start(new FakeNode({ timeMs: 1_000_000 }));
    try {
      const wrong = await run('tx', 'broadcast', path, '--rpc', testnet.server.url);
      assert.equal(wrong.code, 4, wrong.stderr);
      const other = await run('tx', 'broadcast', path, '--rpc', twin.server.url);
      assert.equal(other.code, 10, other.stderr);
      assert.match(other.stderr, /another network under the same name.*WRONG_GENESIS/);
      assert.equal(testnet.node.applied.length + twin.node.applied.length, 0);
    } finally {
      await testnet.server.close();
      await twin.server.close();
    }
  });

  it('is not sent to a node that answers for another chain than it was asked about', () => {
    const { chain } = node.genesis;
    const params = { base_fee_uait: '0', fee_per_byte_uait: '0' };
    const status = (chain_id: string, hash: Uint8Array) =>
      ({ chain_id, genesis_hash: toHex(hash), params }) as unknown as StatusResponse;
    requireChainOfNode(chain, status(chain.chainId, chain.genesisHash));
    const other = new Uint8Array(32);
    assert.throws(
      () => requireChainOfNode(chain, status('ait-mainnet', chain.genesisHash)),
      /signed for ait-devnet, and the node is of ait-mainnet: not sent/,
    );
    assert.throws(() => requireChainOfNode(chain, status(chain.chainId, other)), /another network/);
  });

  it('is not signed with a development key off development chains, nor sent by `send`', async () => {
    const testnet = await start(new FakeNode({ chainId: 'ait-testnet' }));
    try {
      await place('account-2', true);
      const at = ['--rpc', testnet.server.url, '--password-file', password, '-y'];
      const { stdout } = await run('tx', 'build', TO, '1', '--from', 'account-2', ...at);
      const refused = await sign(file('testnet.json', stdout));
      assert.equal(refused.code, 10, refused.stderr);
      assert.match(refused.stderr, /"account-2" is a development key.*DEV_KEY\]\n +use a wallet of your own/);
      assert.equal((await run('send', TO, '1', '--from', 'account-2', ...at)).code, 10);
      const own = testnet.node.genesisJson as Record<string, Json>;
      placeGenesis({ ...own, time_ms: 5 }, 'ait-testnet');
      const impostor = await run('send', TO, '1', '--from', 'account-0', ...at);
      assert.equal(impostor.code, 10, impostor.stderr);
      assert.match(impostor.stderr, /WRONG_GENESIS/);
      placeGenesis(own, 'ait-testnet');
      const sent = await run('send', TO, '1', '--from', 'account-0', ...at);
      assert.equal(sent.code, 0, sent.stderr);
      assert.match(sent.stderr, /chain +ait-testnet/);
    } finally {
      await testnet.server.close();
    }
  });

  it('shows a memo that would move the cursor so that it does not', async () => {
    const { stdout } = await run('tx', 'decode', await built('--memo', 'x\u001b[2J'));
    assert.match(stdout, /memo +"x\\u\{1b\}\[2J"/);
  });

  it('bound: a file that is too large, or none of a transaction, is refused', async () => {
    assert.equal((await run('tx', 'decode', file('large', ' '.repeat(70_000)))).code, 2);
    for (const text of ['', '{}', '[]', '{"format":"aitbc-transaction/1"}', 'null']) {
      const { code, stderr } = await run('tx', 'decode', file('none', text));
      assert.equal(code, 2, `${text}: ${stderr}`);
    }
    const document = JSON.parse((await run('tx', 'decode', await built(), '--json')).stdout);
    delete document.signature_state;
    for (const change of [{ from: TO }, { chain_id: '../x' }, { hash: 'ab' }, { more: 1 }, { signature: 'ab' }]) {
      const { code } = await run('tx', 'decode', file('changed', JSON.stringify({ ...document, ...change })));
      assert.equal(code, 2, JSON.stringify(change));
    }
  });
});
