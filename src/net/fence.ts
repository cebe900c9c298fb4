/** Stands between a library's service and the streams that peers open to it. */
import type { Connection, Stream, StreamHandler, StreamHandlerOptions } from '@libp2p/interface';
import { NodeError } from '../errors.ts';

interface Registrar {
  handle(protocol: string, handler: StreamHandler, options?: StreamHandlerOptions): Promise<void>;
}

/** The components of a service whose handlers see only the streams that `admits` lets through; the others are reset. */
export function fenced<T extends { readonly registrar: Registrar }>(
  components: T,
  admits: (protocol: string, connection: Connection) => boolean,
): T {
  const { registrar } = components;
  const handle: Registrar['handle'] = (protocol, handler, options) =>
    registrar.handle(
      protocol,
      (stream: Stream, connection: Connection) => {
        if (admits(protocol, connection)) return handler(stream, connection);
        stream.abort(new NodeError('PEER_QUOTA', 'not wanted'));
      },
      options,
    );
  return instead(components, { registrar: instead(registrar, { handle }) } as Partial<T>);
}

/** The same object to its users but for some members. */
export function instead<T extends object>(whole: T, members: Partial<T>): T {
  return new Proxy(whole, {
    get(target, name) {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name) as unknown;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
