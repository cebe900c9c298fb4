/** Requests over the admin socket of a node on this machine, in the form of `fetch`; headers are a record, a body is text. */
import { Readable } from 'node:stream';
import { NodeError } from '../errors.ts';

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** @returns fails with NodeError UNREACHABLE when no node listens, UNAUTHENTICATED when it is of another user */
export function fetchOver(socketPath: string): Fetch {
  return async (url, { method = 'GET', headers, body, signal }) => {
    // Its import loads the whole of fetch too, which help can do without.
    const { request } = await import('node:http');
    const { pathname, search } = new URL(url);
    const named = headers as Readonly<Record<string, string>> | undefined;
    const options = { socketPath, path: pathname + search, method, ...(named && { headers: named }) };
    return new Promise((resolve, reject) => {
      const sent = request({ ...options, ...(signal && { signal }) }, (answer) => {
        const headers = Object.entries(answer.headersDistinct).flatMap(([name, values]) =>
          (values ?? []).map((value): [string, string] => [name, value]),
        );
        const content = Readable.toWeb(answer) as ReadableStream<Uint8Array>;
        resolve(new Response(content, { status: answer.statusCode ?? 500, headers }));
      });
      sent.on('error', (error) => {
        reject(signal?.aborted === true ? (signal.reason as Error) : socketError(error, socketPath));
      });
      sent.end(body as string | undefined);
    });
  };
}

function socketError(error: NodeJS.ErrnoException, path: string): Error {
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return new NodeError('UNAUTHENTICATED', `${path} is for the user of the node alone`, {
      data: { path },
      hint: 'run this as that user',
      cause: error,
    });
  }
  return new NodeError('UNREACHABLE', `no node of this home listens at ${path}`, {
    data: { path, cause: error.code },
    hint: 'start it with aitbc start, or give --home of the node that runs',
    cause: error,
  });
}
