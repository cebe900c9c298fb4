import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseGenesis } from '../../../src/chain/genesis.ts';
import type { JoinDocument, JoinFault, Site } from '../../../src/chain/join-document.ts';
import {
  isPeerAddress,
  isRpcUrl,
  joinDocumentSignBytes,
  MAX_JOIN_ADDRESS_CHARACTERS,
  MAX_JOIN_CLOCK_DRIFT_MS,
  MAX_JOIN_PEERS,
  MAX_JOIN_RPC_URLS,
  MAX_JOIN_VALIDITY_MS,
  MAX_SITES,
  signJoinDocument,
  verifyJoinDocument,
} from '../../../src/chain/join-document.ts';
import {
  joinDocumentToJson,
  MAX_JOIN_DOCUMENT_CHARACTERS,
  parseJoinDocument,
} from '../../../src/chain/join-document-json.ts';
import { MAX_VALIDATORS } from '../../../src/chain/validator-set.ts';
import { isNodeError } from '../../../src/errors.ts';
import { nativeCrypto } from '../../../src/native/crypto.ts';
import { fixtureGenesis, genesisJson, joinDocument, signer } from '../../util/chain-fixture.ts';

const NOW_MS = Date.parse('2026-06-01T00:00:00Z');
const PEER = '/dns/at1.example/tcp/8005/p2p/12D3KooWEZXjE41uU4EL2gpkAQeDXYok6wghN7wwNVPF5bwkaNfS';
const source = genesisJson({ timeMs: NOW_MS - 60_000 });
const genesis = parseGenesis(nativeCrypto, source);
const signed: JoinDocument = { ...joinDocument(genesis, 3, NOW_MS), genesis: source };

const fails = (code: string, reason?: JoinFault) => (error: unknown) =>
  isNodeError(error) && error.code === code && (reason === undefined || error.data['reason'] === reason);
const verify = (document: JoinDocument, nowMs = NOW_MS) => verifyJoinDocument(nativeCrypto, genesis, document, nowMs);
const refuses = (document: JoinDocument, reason: JoinFault, nowMs = NOW_MS): void => {
  assert.throws(() => verify(document, nowMs), fails('BAD_JOIN_DOCUMENT', reason));
};
const site = (change: Partial<Site> = {}): Site => ({ name: 'at1', peers: [PEER], rpc: [], ...change });

describe('a join document', () => {
  it('is relied on with the signatures of two thirds of the power of its genesis', () => {
    assert.deepEqual([...verify(signed).names].sort(), ['n1', 'n2', 'n3']);
    assert.equal(verify(joinDocument(genesis, 2, NOW_MS)).power, 2);
    refuses(joinDocument(genesis, 1, NOW_MS), 'quorum');
    refuses(joinDocument(genesis, 0, NOW_MS), 'quorum');
  });

  it('has one text, which leads back to it', () => {
    const text = JSON.stringify(joinDocumentToJson(signed));
    const read = parseJoinDocument(text);
    assert.deepEqual(read, signed);
    assert.equal(JSON.stringify(joinDocumentToJson(read)), text);
    verify(read);
  });

  it('is refused with anything in it changed: a peer more, another one, dates, sites, a URL', () => {
    const [first] = signed.sites;
    assert(first);
    const evil = PEER.replace('at1.example', 'evil.example');
    const changes: readonly Partial<JoinDocument>[] = [
      { sites: [{ ...first, peers: [...first.peers, evil] }] },
      { sites: [{ ...first, peers: [evil] }] },
      { sites: [{ ...first, rpc: ['https://evil.example'] }] },
      { sites: [{ ...first, rpc: [] }] },
      { sites: [{ ...first, name: 'at2' }] },
      { sites: [...signed.sites, site({ name: 'more' })] },
      { validUntilMs: signed.validUntilMs + 1 },
      { issuedAtMs: signed.issuedAtMs - 1 },
    ];
    for (const change of changes) refuses({ ...signed, ...change }, 'signature');
  });

  it('is refused with a signature of a stranger, or one that was made for something else', () => {
    refuses(signJoinDocument(signed, signer('stranger')), 'signature');
    const status = signer('validator-0').sign(new Uint8Array(32));
    const [first, ...others] = signed.signatures;
    assert(first);
    refuses({ ...signed, signatures: [{ ...first, signature: status }, ...others] }, 'signature');
  });

  it('of another network says so, also under the same name', () => {
    const other = fixtureGenesis({ timeMs: NOW_MS - 50_000 });
    assert.throws(() => verify(joinDocument(other, 3, NOW_MS)), fails('WRONG_GENESIS'));
    assert.throws(() => verify({ ...signed, chain: other.chain }), fails('WRONG_GENESIS'));
  });

  it('is good until it expires, and not before it was issued', () => {
    verify(signed, signed.validUntilMs - 1);
    refuses(signed, 'expired', signed.validUntilMs);
    verify(signed, signed.issuedAtMs - MAX_JOIN_CLOCK_DRIFT_MS);
    refuses(signed, 'early', signed.issuedAtMs - MAX_JOIN_CLOCK_DRIFT_MS - 1);
  });

  it('keeps one signature of a key that signs again', () => {
    const twice = signJoinDocument(signed, signer('validator-0'));
    assert.equal(twice.signatures.length, 3);
    verify(twice);
  });

  describe('bound:', () => {
    const many = (count: number, of: (i: number) => string): string[] => Array.from({ length: count }, (_, i) => of(i));
    const form = (change: Partial<JoinDocument>, isGood: boolean): void => {
      const document = { ...signed, ...change };
      if (isGood) joinDocumentSignBytes(document);
      else assert.throws(() => joinDocumentSignBytes(document), fails('BAD_JOIN_DOCUMENT', 'form'));
    };

    it('sites, peers, URLs and signatures', () => {
      const sites = (count: number): Site[] => many(count, (i) => `s${i}`).map((name) => site({ name }));
      form({ sites: sites(MAX_SITES) }, true);
      form({ sites: sites(MAX_SITES + 1) }, false);
      for (const [most, isGood] of [
        [MAX_JOIN_PEERS, true],
        [MAX_JOIN_PEERS + 1, false],
      ] as const) {
        form({ sites: [site({ peers: many(most, () => PEER) })] }, isGood);
      }
      form({ sites: [site({ rpc: many(MAX_JOIN_RPC_URLS, () => 'https://a.example') })] }, true);
      form({ sites: [site({ rpc: many(MAX_JOIN_RPC_URLS + 1, () => 'https://a.example') })] }, false);
      const signatures = many(MAX_VALIDATORS + 1, (i) => `x${i}`).map((name) => ({
        publicKey: signer(name).publicKey,
        signature: new Uint8Array(64),
      }));
      form({ signatures }, false);
      form({ signatures: signatures.slice(1) }, true);
      const [first] = signed.signatures;
      assert(first);
      form({ signatures: [first, first] }, false);
    });

    it('how long it is valid, and that it names a peer at all', () => {
      form({ validUntilMs: signed.issuedAtMs + MAX_JOIN_VALIDITY_MS }, true);
      form({ validUntilMs: signed.issuedAtMs + MAX_JOIN_VALIDITY_MS + 1 }, false);
      form({ validUntilMs: signed.issuedAtMs }, false);
      form({ sites: [] }, false);
      form({ sites: [site({ peers: [] })] }, false);
    });

    it('addresses: their form and length', () => {
      const long = (length: number): string => PEER.replace('at1', 'a'.repeat(length - PEER.length + 3));
      assert.equal(isPeerAddress(long(MAX_JOIN_ADDRESS_CHARACTERS)), true);
      assert.equal(isPeerAddress(long(MAX_JOIN_ADDRESS_CHARACTERS + 1)), false);
      for (const text of [
        PEER.replace(/\/p2p.*/, ''),
        PEER.slice(1),
        `${PEER}\n`,
        `${PEER} x`,
        PEER.replace('dns', 'http'),
      ]) {
        assert.equal(isPeerAddress(text), false, text);
      }
      assert.equal(isRpcUrl('https://at1.example/node'), true);
      for (const url of [
        'https://a:b@x.example',
        'ftp://x.example',
        'https://x.example/',
        'https://x.example?a',
        'x',
      ]) {
        assert.equal(isRpcUrl(url), false, url);
      }
    });

    it('its text, and lists in it, before they are looked at', () => {
      assert.throws(() => parseJoinDocument(' '.repeat(MAX_JOIN_DOCUMENT_CHARACTERS + 1)), fails('TOO_LARGE'));
      const json = joinDocumentToJson(signed);
      const texts = [
        { ...json, sites: many(MAX_SITES + 1, () => 'x') },
        { ...json, signatures: many(MAX_VALIDATORS + 1, () => 'x') },
        { ...json, sites: [{ name: 'at1', peers: many(MAX_JOIN_PEERS + 1, () => PEER), rpc: [] }] },
      ];
      for (const text of texts) assert.throws(() => parseJoinDocument(JSON.stringify(text)), /more than/);
    });
  });

  it('is read strictly: no key more or less, and any text fails with a code of its own', () => {
    const json = joinDocumentToJson(signed);
    for (const key of Object.keys(json)) {
      // Its form is that of a genesis, and its hash tells whether it is the one.
      if (key === 'genesis') continue;
      const { [key]: _gone, ...rest } = json;
      assert.throws(() => parseJoinDocument(JSON.stringify(rest)), fails('BAD_JOIN_DOCUMENT', 'form'), key);
    }
    assert.throws(() => parseJoinDocument(JSON.stringify({ ...json, more: 1 })), fails('BAD_JOIN_DOCUMENT', 'form'));
    const junk = fc.oneof(
      fc.string(),
      fc.json(),
      fc
        .constantFrom(...Object.keys(json).filter((key) => key !== 'genesis'))
        .map((key) => JSON.stringify({ ...json, [key]: [null] })),
    );
    fc.assert(
      fc.property(junk, (text) => {
        assert.throws(() => parseJoinDocument(text), fails('BAD_JOIN_DOCUMENT', 'form'));
      }),
    );
  });
});
