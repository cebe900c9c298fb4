/** A node's side of a measurement: SIGUSR2 starts a profile of its main thread, and the next one ends and writes it. */
import { renameSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

const SAMPLE_US = 500;

/** @param path appears when a profile is whole */
export function profileOnSignal(path: string): void {
  let session: Session | undefined;
  const toggle = async (): Promise<void> => {
    if (!session) {
      session = new Session();
      session.connect();
      await session.post('Profiler.enable');
      await session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US });
      await session.post('Profiler.start');
      return;
    }
    const ending = session;
    session = undefined;
    const { profile } = await ending.post('Profiler.stop');
    ending.disconnect();
    writeFileSync(`${path}.part`, JSON.stringify(profile));
    renameSync(`${path}.part`, path);
  };
  process.on('SIGUSR2', () => {
    toggle().catch((error: unknown) => {
      process.stderr.write(`profile: ${String(error)}\n`);
    });
  });
}
