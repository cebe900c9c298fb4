/** Run by addresses.test.ts, which stops and continues it: a host that keeps the connection to the given address. */
import { startHost } from './fixtures.ts';

const [address = ''] = process.argv.slice(2);
await startHost('sleeper', { persistentPeers: [address] });
