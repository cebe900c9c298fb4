import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { tellReady } from '../../../src/cli/service-manager.ts';
import { makeFolder, removeFolder } from './run.ts';

describe('service manager', () => {
  let folder: string;
  const warnings: string[] = [];
  const log = { warn: (message: string) => void warnings.push(message) };

  beforeEach(() => {
    folder = makeFolder();
    warnings.length = 0;
  });

  afterEach(() => {
    removeFolder(folder);
  });

  /** Stands in for systemd-notify, and writes down how it was called. */
  function env(socket: string | undefined): Record<string, string | undefined> {
    const said = join(folder, 'said');
    writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" > ${said}\n`, { mode: 0o755 });
    return {
      PATH: [folder, process.env['PATH']].join(delimiter),
      ...(socket !== undefined && { NOTIFY_SOCKET: socket }),
    };
  }

  it('is told once the node is ready, where one asks', async () => {
    await tellReady(env('/run/notify'), 'ait-devnet', log);
    assert.equal(readFileSync(join(folder, 'said'), 'utf8'), '/run/notify --ready --status=ait-devnet\n');
    assert.deepEqual(warnings, []);
  });

  it('is left alone where none asks', async () => {
    await tellReady(env(undefined), 'ait-devnet', log);
    assert.equal(existsSync(join(folder, 'said')), false);
  });

  it('is missed with a warning where it cannot be told', async () => {
    await tellReady({ PATH: folder, NOTIFY_SOCKET: '/run/notify' }, 'ait-devnet', log);
    assert.equal(warnings.length, 1);
  });
});
