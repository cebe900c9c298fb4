/** Run by lan.test.ts in a network of its own: prints who found whom. */
import { waitFor } from '../util/wait.ts';
import { chainOf, devnet, startHost, stopAllHosts } from './fixtures.ts';

const listen = ['/ip4/10.77.0.1/tcp/0'];
const [a, b, other, silent] = await Promise.all([
  startHost('a', { listen, mdns: true }),
  startHost('b', { listen, mdns: true }),
  startHost('other', { listen, mdns: true, chain: chainOf(devnet.chainId, 'another genesis') }),
  startHost('silent', { listen }),
]);
await waitFor('two hosts to find each other', () => a.net.peers().length === 1 && b.net.peers().length === 1);
const counts = [a, b, other, silent].map(({ host }) => new Set(host.peers().map(({ peerId }) => peerId)).size);
console.log(counts.join(' '));
await stopAllHosts();
