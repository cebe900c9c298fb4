/** Listening, with the failures people meet said in words. */
import type { AddressInfo } from 'node:net';
import type { HostPort } from '../config/options.ts';
import { isNodeError, NodeError } from '../errors.ts';
import type { RpcApp } from './app.ts';

/** @param option name of the setting, for the message @returns the URL with the port that was taken */
export async function listenOn(app: RpcApp, { host, port }: HostPort, option: string): Promise<string> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    await app.close();
    throw listenError(error, host, port, option);
  }
  const taken = (app.server.address() as AddressInfo).port;
  return `http://${host.includes(':') ? `[${host}]` : host}:${taken}`;
}

function listenError(error: unknown, host: string, port: number, option: string): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (isNodeError(error)) return error;
  if (code === 'EADDRINUSE') {
    return new NodeError('PORT_IN_USE', `port ${port} on ${host} is in use`, {
      data: { host, port, option },
      hint: `stop the program that listens there, or set another ${option}`,
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new NodeError('CONFIG', `cannot listen on ${host}:${port}: ${String(code)}`, {
      data: { host, port, option },
      hint: code === 'EACCES' ? 'use a port above 1023' : `set ${option} to an address of this machine`,
      cause: error,
    });
  }
  return error;
}
