import assert from 'node:assert/strict';
import { statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { toHex } from '../../../../src/bytes.ts';
import type { JoinDocument } from '../../../../src/chain/join-document.ts';
import { signJoinDocument } from '../../../../src/chain/join-document.ts';
import { MAX_JOIN_DOCUMENT_CHARACTERS } from '../../../../src/chain/join-document-json.ts';
import { fixtureGenesis, genesisJson, joinDocument, signer } from '../../../util/chain-fixture.ts';
import { cliHere } from '../in-process.ts';
import type { Ended } from '../run.ts';
import { CHAIN_ID, configOf, DAY_MS, textOf, useNetworkFolder } from './network-folder.ts';

describe('aitbc join', () => {
  const made = useNetworkFolder();
  const { at } = made;
  let server: Server;
  let url: string;
  let answer: (request: IncomingMessage, response: ServerResponse) => void;
  const text = (body: string, status = 200, type = 'application/json'): void => {
    answer = (_request, response) => response.writeHead(status, { 'content-type': type }).end(body);
  };
  const run = (home: string, source: string, ...args: string[]): Promise<Ended> =>
    cliHere(['join', source, '--home', at(home), '--no-sync', '--json', ...args]);
  const refused = async (source: string, code: string, exit: number, ...args: string[]): Promise<void> => {
    const { code: found, stderr } = await run('refused', source, ...args);
    const last = JSON.parse(stderr.trim().split('\n').at(-1) ?? '');
    assert.deepEqual([last.error.code, found], [code, exit], stderr);
    assert.throws(() => statSync(at('refused')), 'something was written');
  };

  before(async () => {
    server = createServer((request, response) => {
      answer(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  after(() => {
    server.closeAllConnections();
    server.close();
  });

  it('makes a home of a file: genesis, document, peers of all sites', async () => {
    const hash = toHex(made.network.genesis.chain.genesisHash);
    const done = await run('follower', at('join.json'), '--genesis-hash', hash, '--name', 'f1');
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual([done.json.genesis_hash, done.json.synced, done.json.power], [hash, false, 3]);
    const config = configOf(at('follower'));
    assert.deepEqual([config.name, config.chains], ['f1', [CHAIN_ID]]);
    assert.deepEqual(new Set(config.p2p.peers), new Set(made.network.join.sites.flatMap(({ peers }) => peers)));
    // Known now: nothing is asked.
    assert.equal((await run('follower', at('join.json'))).code, 0);
    assert.deepEqual(configOf(at('follower')).p2p.peers, config.p2p.peers);
  });

  it('asks a node for its document, and adds the network to a home that has another', async () => {
    let asked = '';
    answer = (request, response) => {
      asked = request.url ?? '';
      response.writeHead(200, { 'content-type': 'application/json' }).end(textOf(made.network.join));
    };
    await cliHere(['init', '--home', at('two'), '--peer', String(made.network.join.sites[0]?.peers[0])]);
    const done = await run('two', url, '-y', '--chain', CHAIN_ID);
    assert.equal(done.code, 0, done.stderr);
    assert.equal(asked, `/rpc/join?chain_id=${CHAIN_ID}`);
    const { chains, p2p } = configOf(at('two'));
    assert.deepEqual([chains, p2p.peers.length], [['ait-devnet', CHAIN_ID], 3]);
    await run('three', `${url}/any/place.json`, '-y');
    assert.equal(asked, '/any/place.json');
  });

  it('asks before a genesis is believed that nobody vouched for; over http the hash must be given', async () => {
    text(textOf(made.network.join));
    await refused(url, 'USAGE', 2);
    await refused(url.replace('127.0.0.1', '[::ffff:127.0.0.1]'), 'USAGE', 2, '-y');
    await refused(url, 'WRONG_GENESIS', 10, '--genesis-hash', 'ab'.repeat(32));
    await refused(url, 'USAGE', 2, '--genesis-hash', 'ab');
    await refused(url, 'WRONG_CHAIN', 7, '-y', '--chain', 'ait-mainnet');
  });

  it('refuses another network in a home that has one of the name, also when a mirror signs it properly', async () => {
    const mirror = genesisJson({ chainId: CHAIN_ID });
    const genesis = fixtureGenesis({ chainId: CHAIN_ID, timeMs: (mirror as { time_ms: number }).time_ms });
    text(textOf({ ...joinDocument(genesis), genesis: mirror }));
    const found = await run('follower', url, '-y');
    assert.deepEqual([found.code, /WRONG_GENESIS/.test(found.stderr)], [10, true]);
    // With the genesis of the network meant, under its hash, the signatures are those of strangers.
    text(textOf({ ...joinDocument(made.network.genesis), genesis: made.network.genesisJson }));
    await refused(url, 'BAD_JOIN_DOCUMENT', 10, '-y');
    text(textOf({ ...made.network.join, genesis: mirror }));
    await refused(url, 'WRONG_GENESIS', 10, '-y');
  });

  it('refuses a document that has expired, with a peer more, or signed by too few', async () => {
    const { issuedAtMs, validUntilMs, signatures, sites } = made.network.join;
    text(
      textOf({ ...made.network.join, issuedAtMs: issuedAtMs - 2 * DAY_MS, validUntilMs: validUntilMs - 2 * DAY_MS }),
    );
    await refused(url, 'BAD_JOIN_DOCUMENT', 10, '-y');
    text(textOf({ ...made.network.join, signatures: signatures.slice(0, 1) }));
    await refused(url, 'BAD_JOIN_DOCUMENT', 10, '-y');
    const [first] = sites;
    assert(first);
    const more = { ...first, peers: [...first.peers, `/dns/evil.example/tcp/1/p2p/12D3KooWEZXjE41u`] };
    text(textOf({ ...made.network.join, sites: [more, ...sites.slice(1)] }));
    await refused(url, 'BAD_JOIN_DOCUMENT', 10, '-y');
  });

  it('asks the nodes of the document for a genesis that it lacks, and believes its hash alone', async () => {
    const document = { ...joinDocument(fixtureGenesis({ timeMs: 5_000 })), genesis: null };
    const [site] = document.sites;
    assert(site);
    const unsigned = { ...document, sites: [{ ...site, rpc: [`${url}/liar`, `${url}/honest`] }], signatures: [] };
    const asking = [0, 1, 2].reduce<JoinDocument>(
      (all, i) => signJoinDocument(all, signer(`validator-${i}`)),
      unsigned,
    );
    const asked: string[] = [];
    answer = (request, response) => {
      const path = request.url ?? '';
      asked.push(path);
      const timeMs = path.startsWith('/honest') ? 5_000 : 6_000;
      const json = { chain_id: 'ait-devnet', hash: '', genesis: genesisJson({ timeMs }) };
      const body = path === '/doc' ? textOf(asking) : JSON.stringify(json);
      response.writeHead(200, { 'content-type': 'application/json' }).end(body);
    };
    const done = await run('asking', `${url}/doc`, '-y');
    assert.equal(done.code, 0, done.stderr);
    assert.deepEqual(asked.slice(1), [
      '/liar/rpc/genesis?chain_id=ait-devnet',
      '/honest/rpc/genesis?chain_id=ait-devnet',
    ]);
    answer = (request, response) => {
      response.writeHead(request.url === '/doc' ? 200 : 500).end(textOf(asking));
    };
    await refused(`${url}/doc`, 'UNREACHABLE', 5, '-y');
  });

  it('bound: a document without end is not read to its end; a redirect is not followed', async () => {
    let sent = 0;
    answer = (_request, response) => {
      const chunk = Buffer.alloc(64 * 1024, 0x20);
      const more = (): void => {
        if (response.destroyed) return;
        sent += chunk.length;
        response.write(chunk, more);
      };
      more();
    };
    await refused(url, 'TOO_LARGE', 2, '-y');
    assert.ok(sent < 4 * MAX_JOIN_DOCUMENT_CHARACTERS, `${sent} bytes were taken`);
    answer = (_request, response) => response.writeHead(302, { location: `${url}/elsewhere` }).end();
    await refused(url, 'UNREACHABLE', 5, '-y');
    text('{}', 404);
    await refused(url, 'NOT_FOUND', 4, '-y');
    text(textOf(made.network.join).replace('{', '{"\\u001b[31mred":1,'));
    const { stderr } = await cliHere(['join', url, '--home', at('refused'), '-y']);
    assert.match(stderr, /unknown key "\\u\{1b\}\[31mred"/);
    assert.ok(!stderr.includes('\u001b[31mred'), 'a stranger moves the cursor');
    text('<html>');
    await refused(url, 'BAD_JOIN_DOCUMENT', 10, '-y');
    writeFileSync(at('large.json'), Buffer.alloc(MAX_JOIN_DOCUMENT_CHARACTERS + 1, 0x20));
    await refused(at('large.json'), 'NOT_FOUND', 4, '-y');
    await refused(at('nothing.json'), 'NOT_FOUND', 4, '-y');
    await refused('/ip4/127.0.0.1/tcp/1/p2p/12D3KooW', 'USAGE', 2, '-y');
    answer = () => undefined;
    await refused(url, 'TIMEOUT', 8, '-y', '--timeout', '50ms');
  });
});
