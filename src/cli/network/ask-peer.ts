/** The join document of a peer, asked over the network's own protocol: for who knows a multiaddr, chain and genesis hash. */
import type { ChainHandlers, ChainNetwork, PeerId } from '../../../protocols/network.ts';
import type { ChainContext } from '../../chain/signing.ts';
import { NodeError } from '../../errors.ts';
import { nativeCrypto } from '../../native/crypto.ts';
import type { Host } from '../../net/host.ts';
import { createHost } from '../../net/host.ts';

/** @param address multiaddr that ends in /p2p/<peer id> @throws NodeError USAGE | UNREACHABLE | WRONG_GENESIS | TIMEOUT | that of the peer */
export async function askPeer(address: string, chain: ChainContext, timeoutMs: number): Promise<string> {
  const host = await createHost({
    // For this once: nobody need know it again.
    privateKeySeed: crypto.getRandomValues(new Uint8Array(32)),
    listen: [],
    hasher: nativeCrypto,
  });
  try {
    const shared = Promise.withResolvers<PeerId>();
    const network = await host.addChain({ chain, handlers: strangerHandlers(shared.resolve) });
    await host.dial(address);
    const peer = await sharedOrRefused(host, shared.promise, chain, timeoutMs);
    return await request(network, peer, address);
  } finally {
    await host.stop();
  }
}

async function request(network: ChainNetwork, peer: PeerId, address: string): Promise<string> {
  try {
    return Buffer.from(await network.request(peer, 'join', null)).toString('utf8');
  } catch (error) {
    if (!(error instanceof NodeError) || error.code !== 'NOT_FOUND') throw error;
    throw new NodeError('NOT_FOUND', `the peer at ${address} has no join document to give`, {
      data: { address },
      hint: 'ask another node of the network',
      cause: error,
    });
  }
}

/** The handshake says whether the peer has the chain with this genesis, another one, or none. */
async function sharedOrRefused(
  host: Host,
  shared: Promise<PeerId>,
  { chainId }: ChainContext,
  timeoutMs: number,
): Promise<PeerId> {
  const expired = new AbortController();
  const refused = async (): Promise<never> => {
    const untilMs = performance.now() + timeoutMs;
    while (!expired.signal.aborted && performance.now() < untilMs) {
      const [refusal] = host.refusals();
      if (refusal) {
        throw new NodeError('WRONG_GENESIS', `the peer has another genesis of the name ${chainId}`, {
          data: { expected: refusal.ourGenesis, found: refusal.theirGenesis },
          hint: 'ask someone you trust for the hash of the network',
        });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new NodeError('TIMEOUT', `the peer did not say in time that it has ${chainId}`, {
      hint: 'does it run this chain? Try another node, or a longer --timeout',
    });
  };
  try {
    return await Promise.race([shared, refused()]);
  } finally {
    expired.abort();
  }
}

/** Of a node that is none: it takes in nothing, and has nothing. */
function strangerHandlers(onPeer: (peer: PeerId) => void): ChainHandlers {
  const ignore = (): Promise<'NOT_READY'> => Promise.resolve('NOT_READY');
  const nothing = (): Promise<never> => Promise.reject(new NodeError('NOT_FOUND', 'this node only asks'));
  return {
    gossip: { tx: ignore, proposal: ignore, vote: ignore, evidence: ignore, status: ignore, offer: ignore },
    requests: {
      ...{ status: nothing, blocks: nothing, txs: nothing, votes: nothing },
      ...{ light: nothing, snapshot: nothing, chunk: nothing, quote: nothing, blob: nothing, join: nothing },
    },
    onPeer,
    onPeerGone: () => undefined,
  };
}
