import assert from 'node:assert/strict';
import { toHex } from '../../../src/bytes.ts';
import { pureCrypto } from '../../../src/chain/crypto/pure.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { isNodeError } from '../../../src/errors.ts';
import type { LoginExpectation, LoginFault, LoginRequest } from '../../../src/sdk/login.ts';
import {
  formatLogin,
  loginNonce,
  MAX_LOGIN_LIFETIME_MS,
  parseLogin,
  signLogin,
  verifyLogin,
} from '../../../src/sdk/login.ts';
import {
  MAX_MESSAGE_BYTES,
  parseSignedMessage,
  signedMessageToJson,
  signMessage,
  verifyMessage,
} from '../../../src/sdk/message.ts';
import { addressText, signer } from '../../util/chain-fixture.ts';

const chain = { chainId: 'ait-devnet', genesisHash: new Uint8Array(32).fill(7) };
const alice = signer('alice');

function code(expected: ErrorCode): (error: unknown) => boolean {
  return (error) => isNodeError(error) && error.code === expected;
}

describe('signed messages', () => {
  const signed = signMessage(chain, alice, 'I am alice.\n\u{1f511}');

  it('verify with address, chain and genesis, through their JSON', () => {
    const read = parseSignedMessage(pureCrypto, JSON.stringify(signedMessageToJson(pureCrypto, signed)));
    assert.deepEqual(read, { ...signed, publicKey: Uint8Array.from(alice.publicKey), signature: read.signature });
    assert.equal(verifyMessage(pureCrypto, read), addressText('alice'));
  });

  it('do not verify once anything is changed', () => {
    const changes = [
      { message: 'I am bob.' },
      { publicKey: signer('bob').publicKey },
      { signature: signMessage(chain, alice, 'x').signature },
      { chain: { ...chain, chainId: 'ait-testnet' } },
      { chain: { ...chain, genesisHash: new Uint8Array(32) } },
    ];
    for (const change of changes) {
      assert.throws(() => verifyMessage(pureCrypto, { ...signed, ...change }), code('BAD_SIGNATURE'));
    }
  });

  it('are of one form: other keys, another address and half characters are refused', () => {
    const json = signedMessageToJson(pureCrypto, signed);
    const bad = [{ format: 'x' }, { more: 1 }, { address: addressText('bob') }, { chain_id: 'A' }, { message: 3 }];
    for (const change of bad) {
      const text = JSON.stringify({ ...json, ...change });
      assert.throws(() => parseSignedMessage(pureCrypto, text), code('INVALID_PARAMS'), text);
    }
    for (const text of ['', '{', 'null', '[]']) {
      assert.throws(() => parseSignedMessage(pureCrypto, text), code('INVALID_PARAMS'), text);
    }
    assert.throws(() => signMessage(chain, alice, '\ud800'), code('INVALID_PARAMS'));
  });

  it('bound: a message and its JSON have a largest size', () => {
    signMessage(chain, alice, 'x'.repeat(MAX_MESSAGE_BYTES));
    assert.throws(() => signMessage(chain, alice, 'x'.repeat(MAX_MESSAGE_BYTES + 1)), code('TOO_LARGE'));
    assert.throws(() => parseSignedMessage(pureCrypto, ' '.repeat(1_000_000)), code('TOO_LARGE'));
  });
});

describe('login by signature', () => {
  const NOW = Date.UTC(2026, 0, 2, 3, 4, 5);
  const request: LoginRequest = {
    domain: 'market.example:8443',
    address: addressText('alice'),
    statement: 'Log in to the market.',
    uri: 'https://market.example:8443/login',
    chainId: 'ait-devnet',
    nonce: loginNonce(),
    issuedAtMs: NOW,
    expiresAtMs: NOW + 300_000,
  };
  const expected: LoginExpectation = {
    crypto: pureCrypto,
    chain,
    domain: request.domain,
    nonce: request.nonce,
    nowMs: NOW + 1000,
  };
  const sign = (text = formatLogin(request)) => signLogin(pureCrypto, chain, alice, text, NOW);

  function faulty(reason: LoginFault): (error: unknown) => boolean {
    return (error) => {
      assert(isNodeError(error) && error.code === 'UNAUTHENTICATED', String(error));
      assert.equal(error.data['reason'], reason);
      return true;
    };
  }

  it('has the shape of EIP-4361', () => {
    const lines = formatLogin({ ...request, nonce: 'abcdefgh1' }).split('\n');
    assert.deepEqual(lines, [
      'market.example:8443 wants you to sign in with your AITBC account:',
      addressText('alice'),
      '',
      'Log in to the market.',
      '',
      'URI: https://market.example:8443/login',
      'Version: 1',
      'Chain ID: ait-devnet',
      'Nonce: abcdefgh1',
      'Issued At: 2026-01-02T03:04:05.000Z',
      'Expiration Time: 2026-01-02T03:09:05.000Z',
    ]);
    assert.deepEqual(parseLogin(formatLogin(request)), request);
    const silent = { ...request, statement: '' };
    assert.deepEqual(parseLogin(formatLogin(silent)), silent);
  });

  it('logs in at the site, for the nonce, chain and time it was made for', () => {
    assert.deepEqual(verifyLogin(sign(), expected), request);
    const others: readonly (readonly [LoginFault, Partial<LoginExpectation>])[] = [
      ['domain', { domain: 'other.example' }],
      ['nonce', { nonce: loginNonce() }],
      ['chain', { chain: { ...chain, chainId: 'ait-mainnet' } }],
      ['signature', { chain: { ...chain, genesisHash: new Uint8Array(32) } }],
      ['expired', { nowMs: request.expiresAtMs }],
      ['early', { nowMs: NOW - 61_000 }],
    ];
    for (const [reason, change] of others) {
      assert.throws(() => verifyLogin(sign(), { ...expected, ...change }), faulty(reason));
    }
  });

  it('is no one else: another key, another text, or a message signed as one', () => {
    const text = formatLogin(request);
    assert.throws(() => verifyLogin({ ...sign(), publicKey: signer('bob').publicKey }, expected), faulty('address'));
    const { publicKey, signature } = signMessage(chain, alice, text);
    assert.throws(() => verifyLogin({ text, publicKey, signature }, expected), faulty('signature'));
    const said = { ...sign(), text: text.replace('the market.', 'the market!') };
    assert.throws(() => verifyLogin(said, expected), faulty('signature'));
  });

  it('is not signed by another account, for another chain, or once it expired', () => {
    const text = formatLogin(request);
    assert.throws(() => signLogin(pureCrypto, chain, signer('bob'), text, NOW), faulty('address'));
    assert.throws(() => signLogin(pureCrypto, { ...chain, chainId: 'ait-x' }, alice, text, NOW), faulty('chain'));
    assert.throws(() => signLogin(pureCrypto, chain, alice, text, request.expiresAtMs), faulty('expired'));
  });

  it('has one form, and values that deceive nobody', () => {
    const bad: readonly Partial<LoginRequest>[] = [
      { domain: 'Market.example:8443' },
      { domain: 'market.example:8443/x' },
      { domain: 'evil.example' },
      { domain: 'user@market.example:8443' },
      { uri: 'https://evil.example/' },
      { address: addressText('alice').toUpperCase() },
      { address: 'alice' },
      { statement: 'two\nlines' },
      { statement: 'turned \u202e around' },
      { chainId: 'AIT' },
      { nonce: 'short' },
      { nonce: 'with space1' },
      { expiresAtMs: NOW },
      { expiresAtMs: NaN },
    ];
    for (const change of bad) {
      assert.throws(() => formatLogin({ ...request, ...change }), faulty('form'), JSON.stringify(change));
    }
    const text = formatLogin(request);
    const texts = [
      '',
      `${text}\n`,
      text.replace('05.000Z', '05Z'),
      text.replace('Version: 1', 'Version: 2'),
      `${text} x`,
    ];
    for (const other of texts) assert.throws(() => parseLogin(other), faulty('form'), other);
  });

  it('bound: a text that is too long, or lasts too long, is refused', () => {
    assert.throws(() => parseLogin(formatLogin({ ...request, statement: 'x'.repeat(4000) })), faulty('form'));
    const long = { ...request, expiresAtMs: NOW + MAX_LOGIN_LIFETIME_MS + 1 };
    assert.throws(() => formatLogin(long), faulty('form'));
  });

  it('takes another nonce each time', () => {
    assert.match(loginNonce(), /^[0-9a-f]{32}$/);
    assert.notEqual(loginNonce(), loginNonce());
    assert.equal(toHex(sign().signature).length, 128);
  });
});
