import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** A network of one machine, which nothing leaves. */
const SETUP = [
  'ip link set lo up',
  'ip link add v0 type veth peer name v1',
  'ip addr add 10.77.0.1/24 dev v0',
  'ip link set v0 up',
  'ip link set v1 up',
  'ip route add 224.0.0.0/4 dev v0',
].join(' && ');

describe('mDNS', () => {
  it('finds those of the same chain on the local network, and no others', async function () {
    const inNetwork = (command: string) =>
      run('unshare', ['-rn', 'sh', '-c', `${SETUP} && ${command}`], { timeout: 40_000 });
    // Not everywhere may a program make a network of its own.
    if (
      await inNetwork('true').then(
        () => false,
        () => true,
      )
    )
      this.skip();
    const script = fileURLToPath(new URL('lan-process.ts', import.meta.url));
    const { stdout } = await inNetwork(`exec '${process.execPath}' '${script}'`);
    assert.equal(stdout.trim(), '1 1 0 0');
  });
});
