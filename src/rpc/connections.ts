/** How many connections one client may hold, whatever it does with them. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { BlockList, isIP } from 'node:net';
import type { Client } from './clients.ts';
import { addressKey, isLoopback, OpenCounts } from './clients.ts';

/** Beyond, a connection is cut before anything is read from it. @param proxies addresses and networks: many clients each */
export function capConnections(server: Pick<Server, 'on'>, perClient: number, proxies: readonly string[]): OpenCounts {
  const counts = new OpenCounts(perClient);
  const isProxy = addressesIn(proxies);
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? '';
    if (isLoopback(address) || isProxy(address)) return;
    const client: Client = { key: addressKey(address), isLocal: false };
    if (!counts.hasRoom(client)) {
      socket.destroy();
      return;
    }
    counts.open(client);
    socket.once('close', () => {
      counts.close(client);
    });
  });
  return counts;
}

function addressesIn(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList();
  const family = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6');
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    if (bits === undefined) list.addAddress(address, family(address));
    else list.addSubnet(address, Number(bits), family(address));
  }
  return (address) => isIP(address) !== 0 && list.check(address, family(address));
}
