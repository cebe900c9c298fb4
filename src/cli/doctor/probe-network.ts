/** Does a TCP port open, and is one of ours taken? */
import { connect, createServer } from 'node:net';
import type { HostPort } from '../../config/options.ts';
import { errorCode } from '../../store/storage-error.ts';
import type { NamedPeer, Reach } from './facts.ts';

/** Peers tried at most; the others are told as not tried. */
export const MAX_PROBES = 64;
const CONNECT_MS = 1_500;

/** @param addresses multiaddrs that end in /p2p/<peer id> */
export function probePeers(addresses: readonly string[], timeoutMs = CONNECT_MS): Promise<NamedPeer[]> {
  return Promise.all(
    addresses.map(async (address, index) => {
      const target = index < MAX_PROBES ? tcpTarget(address) : null;
      const reach = target ? await reachOf(target, timeoutMs) : 'not-tried';
      return { address, peerId: address.slice(address.lastIndexOf('/') + 1), reach };
    }),
  );
}

/** Of /ip4/HOST/tcp/PORT and its like; null for those that name no host of their own, relayed ones among them. */
export function tcpTarget(multiaddr: string): HostPort | null {
  const match = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})(?:\/|$)/.exec(multiaddr);
  if (match?.[1] === undefined || multiaddr.includes('/p2p-circuit')) return null;
  return { host: match[1], port: Number(match[2]) };
}

function reachOf({ host, port }: HostPort, timeoutMs: number): Promise<Reach> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (reach: Reach): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reach);
    };
    const timer = setTimeout(() => {
      end('silent');
    }, timeoutMs);
    socket.once('connect', () => {
      end('open');
    });
    socket.on('error', (error) => {
      const code = errorCode(error) ?? '';
      if (code === 'ECONNREFUSED') end('refused');
      else end(['ENOTFOUND', 'EAI_AGAIN', 'EAI_NONAME'].includes(code) ? 'unknown-host' : 'silent');
    });
  });
}

/** By listening for a moment; port 0 is never taken. */
export function isTaken({ host, port }: HostPort): Promise<boolean> {
  if (port === 0) return Promise.resolve(false);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => {
      resolve(errorCode(error) === 'EADDRINUSE');
    });
    server.listen({ host, port, exclusive: true }, () => {
      server.close(() => {
        resolve(false);
      });
    });
  });
}
