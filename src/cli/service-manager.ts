/**
 * Telling systemd that a service of Type=notify is ready. Node has no datagram sockets of the unix kind, so the program
 * that comes with systemd sends the message.
 */
import { execFile } from 'node:child_process';
import type { Logger } from '../log.ts';

const NOTIFY_MS = 10_000;

/** Does nothing where no service manager asked for it. What keeps it from telling is logged: systemd goes on waiting then. */
export function tellReady(
  env: Readonly<Record<string, string | undefined>>,
  status: string,
  log: Pick<Logger, 'warn'>,
): Promise<void> {
  if (!env['NOTIFY_SOCKET']) return Promise.resolve();
  return new Promise((resolve) => {
    const options = { env: { ...env }, timeout: NOTIFY_MS };
    execFile('systemd-notify', ['--ready', `--status=${status}`], options, (error) => {
      if (error) {
        log.warn('could not tell systemd that the node is ready', {
          error,
          hint: 'install systemd-notify, or set Type=exec in the unit',
        });
      }
      resolve();
    });
  });
}
