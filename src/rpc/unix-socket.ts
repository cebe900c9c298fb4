/** Listening on a unix socket for this user alone. */
import { chmod, lstat, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { NodeError } from '../errors.ts';
import type { RpcApp } from './app.ts';

const OPTION = 'admin.socket';
/** What the system has room for, without the zero at the end. */
export const MAX_PATH_BYTES = process.platform === 'linux' ? 107 : 103;
const FOR_OTHERS = 0o077;
const PRIVATE_FILE = 0o600;

/** The folder must be there, and for this user alone. @throws NodeError CONFIG | PORT_IN_USE */
export async function listenOnSocket(app: RpcApp, path: string): Promise<void> {
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) {
    throw new NodeError(
      'CONFIG',
      `the path of the admin socket has ${bytes} bytes, and the system takes ${MAX_PATH_BYTES}`,
      {
        data: { path, bytes, limit: MAX_PATH_BYTES, option: OPTION },
        hint: `set ${OPTION} to a shorter path such as /run/aitbc/admin.sock, or to "off"`,
      },
    );
  }
  await checkFolder(dirname(path));
  await removeStale(path);
  await app.listen({ path });
  // The folder has kept everyone else out meanwhile.
  await chmod(path, PRIVATE_FILE);
}

async function checkFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => null);
  const user = process.getuid?.();
  if (found?.isDirectory() === true && found.uid === user && (found.mode & FOR_OTHERS) === 0) return;
  throw new NodeError('CONFIG', `the folder of the admin socket is not for this user alone: ${folder}`, {
    data: { folder, option: OPTION },
    hint: `mkdir -p ${folder} && chmod 700 ${folder}, as the user of the node`,
  });
}

/** A process that was killed leaves its socket, at which nobody answers. Nothing else is ever removed. */
async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch(() => null);
  if (!found) return;
  if (!found.isSocket()) {
    throw new NodeError('CONFIG', `what is at the path of the admin socket is no socket: ${path}`, {
      data: { path, option: OPTION },
      hint: `move it away, or set another ${OPTION}`,
    });
  }
  if (await isAnswered(path)) {
    throw new NodeError('PORT_IN_USE', `another process answers at ${path}`, {
      data: { path, option: OPTION },
      hint: `stop it, or set another ${OPTION}`,
    });
  }
  await rm(path, { force: true });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => {
      settle(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      settle(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT');
    });
  });
}
