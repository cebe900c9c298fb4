import assert from 'node:assert/strict';
import { toHex, utf8 } from '../../src/bytes.ts';
import { parseGenesis } from '../../src/chain/genesis.ts';
import { joinDocumentToJson } from '../../src/chain/join-document-json.ts';
import { askPeer } from '../../src/cli/network/ask-peer.ts';
import { loadNetwork } from '../../src/cli/network/source.ts';
import { isNodeError, NodeError } from '../../src/errors.ts';
import { nativeCrypto } from '../../src/native/crypto.ts';
import { genesisJson, joinDocument } from '../util/chain-fixture.ts';
import { addressOf, chainOf, recorder, startHost, stopAllHosts } from './fixtures.ts';

describe('a join document asked from a peer', () => {
  const source = genesisJson({ timeMs: 1_000 });
  const genesis = parseGenesis(nativeCrypto, source);
  const { chain } = genesis;
  const document = { ...joinDocument(genesis), genesis: source };
  const fails = (code: string) => (error: unknown) => isNodeError(error) && error.code === code;

  afterEach(stopAllHosts);

  const serve = async (join: () => Promise<Uint8Array>): Promise<string> => {
    const seen = recorder();
    seen.requests.join = join;
    return addressOf(await startHost('asked', { chain, seen }));
  };

  it('comes over the protocol of the network, and is checked like any other', async () => {
    const address = await serve(async () => utf8(JSON.stringify(joinDocumentToJson(document))));
    const options = { timeoutMs: 10_000, chainId: chain.chainId, genesisHash: toHex(chain.genesisHash) };
    const { signers } = await loadNetwork(address, options, Date.now());
    assert.equal(signers.power, 3);
    await assert.rejects(loadNetwork(address, { ...options, genesisHash: undefined }, Date.now()), fails('USAGE'));
  });

  it('fails with what the matter is: none to give, another genesis, another chain, nobody there', async () => {
    const address = await serve(() => Promise.reject(new NodeError('NOT_FOUND', 'none')));
    await assert.rejects(askPeer(address, chain, 10_000), fails('NOT_FOUND'));
    const other = { ...chain, genesisHash: new Uint8Array(32) };
    await assert.rejects(askPeer(address, other, 10_000), fails('WRONG_GENESIS'));
    await assert.rejects(askPeer(address, chainOf('ait-other'), 300), fails('TIMEOUT'));
    await stopAllHosts();
    await assert.rejects(askPeer(address, chain, 10_000), fails('UNREACHABLE'));
  });

  it('bound: one that is larger than the protocol allows is not sent', async () => {
    const address = await serve(async () => new Uint8Array(2 * 1024 * 1024));
    await assert.rejects(askPeer(address, chain, 10_000), isNodeError);
  });
});
