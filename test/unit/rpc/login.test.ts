import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { nopLogger } from '../../../src/log.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import type { LoginPlace } from '../../../src/rpc/access/logins.ts';
import { Logins, NONCE_MS, SESSION_MS } from '../../../src/rpc/access/logins.ts';
import type { RpcServer } from '../../../src/rpc/server.ts';
import { startRpcServer } from '../../../src/rpc/server.ts';
import { signLogin } from '../../../src/sdk/login.ts';
import type { ManualClock } from '../../net/manual-clock.ts';
import { manualClock } from '../../net/manual-clock.ts';
import { memoryAccess } from '../../util/access.ts';
import { addressText, fixtureGenesis, signer } from '../../util/chain-fixture.ts';
import { fakeNode, FakeNode } from './fake-node.ts';
import { post } from './http.ts';

const { chain } = fixtureGenesis({});
const context = { crypto: nativeCrypto, chain };

describe('logins', () => {
  let clock: ManualClock;
  let logins: Logins;
  const place = (name: string): LoginPlace => ({
    ...{ domain: 'node.example', chainId: chain.chainId, address: addressText(name) },
  });
  const signed = (name: string, text = logins.challenge(place(name)).text, by = name) =>
    signLogin(nativeCrypto, chain, signer(by), text, clock.now());
  const refused = (login: ReturnType<typeof signed>, reason: string): void => {
    assert.throws(() => logins.logIn(login, context), { code: 'UNAUTHENTICATED', data: { reason } });
  };

  beforeEach(() => {
    clock = manualClock();
    logins = new Logins(clock);
  });

  it('open a session for who signed a nonce of ours, once, in time', () => {
    const login = signed('account-0');
    const { session } = logins.logIn(login, context);
    assert.equal(session.principal.address, addressText('account-0'));
    assert.deepEqual(logins.find(session.principal.id), session);
    refused(login, 'nonce');
    const late = signed('account-0');
    clock.advance(NONCE_MS);
    refused(late, 'nonce');
    clock.advance(SESSION_MS - NONCE_MS);
    assert.equal(logins.find(session.principal.id), null);
    assert.equal(logins.sessions, 0);
  });

  it('take no nonce for another account, chain or host, nor one of another process', () => {
    const { text } = logins.challenge(place('account-0'));
    const [own = '', other = ''] = [addressText('account-0'), addressText('account-1')];
    refused(signed('account-1', text.replace(own, other)), 'nonce');
    refused(signed('account-0', text.replaceAll('node.example', 'evil.example')), 'nonce');
    refused(signed('account-0', new Logins(clock).challenge(place('account-0')).text), 'nonce');
    refused(signed('account-0', text.replace(/Nonce: \w+/, 'Nonce: 0123456789abcdef')), 'nonce');
    const good = signed('account-0', text);
    refused({ ...good, signature: signed('account-0').signature }, 'signature');
    assert(logins.logIn(good, context), 'a wrong try does not use a nonce up');
  });

  it('bound: sessions of an account; the one not used for longest ends', () => {
    const ids = Array.from({ length: 10 }, () => logins.logIn(signed('account-0'), context)).map(
      ({ session }) => session.principal.id,
    );
    const [first = '', second = ''] = ids;
    logins.find(first);
    logins.logIn(signed('account-0'), context);
    assert.equal(logins.sessions, 10);
    assert.deepEqual([logins.has(first), logins.has(second)], [true, false]);
  });

  it('bound: sessions of all accounts; the one not used for longest ends', () => {
    logins = new Logins(clock, { sessions: 2, accountSessions: 2, usedNonces: 100 });
    const ids = ['account-0', 'account-1', 'account-2'].map(
      (name) => logins.logIn(signed(name), context).session.principal.id,
    );
    assert.deepEqual(
      ids.map((id) => logins.has(id)),
      [false, true, true],
    );
  });

  it('bound: nonces that were used; beyond nobody logs in until some are too old anyway', () => {
    logins = new Logins(clock, { sessions: 9, accountSessions: 9, usedNonces: 2 });
    for (let i = 0; i < 2; i++) logins.logIn(signed('account-0'), context);
    assert.throws(() => logins.logIn(signed('account-0'), context), { code: 'RATE_LIMITED' });
    clock.advance(NONCE_MS);
    logins.logIn(signed('account-0'), context);
  });
});

describe('login over HTTP', () => {
  let server: RpcServer;
  let node: FakeNode;

  beforeEach(async () => {
    const listen = { host: '127.0.0.1', port: 0 };
    node = new FakeNode();
    const modules = { api: fakeNode(node), log: nopLogger, access: memoryAccess().access };
    server = await startRpcServer({ listen }, modules);
  });

  afterEach(() => server.close());

  it('gives who signs the text a token, which is a key until it is ended', async () => {
    const { url } = server;
    const asked = await post(url, '/v1/auth/nonce', { wallet_address: addressText('account-0') });
    const { message, nonce } = asked.json;
    assert(message.startsWith(`${new URL(url).host} wants you`) && message.includes(`Nonce: ${nonce}`));
    const { publicKey, signature } = signLogin(
      nativeCrypto,
      node.genesis.chain,
      signer('account-0'),
      message,
      Date.now(),
    );
    const login = { message, address: addressText('account-0'), public_key: toHex(publicKey) };
    const { json } = await post(url, '/v1/login', { ...login, signature: toHex(signature) });
    assert.deepEqual([json.wallet_address, json.scopes], [addressText('account-0'), ['read', 'submit', 'jobs']]);
    const headers = { authorization: `Bearer ${json.token}` };
    assert.equal((await post(url, '/v1/logout', {})).status, 401);
    assert.equal((await post(url, '/v1/logout', {}, headers)).status, 204);
    assert.equal((await post(url, '/v1/logout', {}, headers)).json.code, 'UNAUTHENTICATED');
  });
});
