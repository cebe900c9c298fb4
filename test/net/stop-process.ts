/** Run by host.test.ts: uses two hosts, stops them, and must then end without being told to. */
import { addressOf, meshed, startHost, stopAllHosts } from './fixtures.ts';

const a = await startHost('a');
const b = await startHost('b', { persistentPeers: [addressOf(a)] });
await meshed(a, b);
await a.net.request(b.host.peerId, 'votes', { height: 1, round: 0 });
await stopAllHosts();
console.log('stopped');
