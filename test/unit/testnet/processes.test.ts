import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpuTimeMs, isAlive, processId, residentBytes, signalProcess } from '../../../testnet/processes.ts';

describe('testnet processes', () => {
  it('are known by pid and start time', () => {
    const self = processId(process.pid);
    assert.ok(self && isAlive(self));
    assert.equal(isAlive({ ...self, started: `${self.started}0` }), false);
    assert.ok((cpuTimeMs(process.pid) ?? 1) > 0);
    assert.ok((residentBytes(process.pid) ?? 1e8) > 1e6);
  });

  it('are signalled only while they are the same ones', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    assert.ok(child.pid !== undefined);
    const id = processId(child.pid);
    assert.ok(id);
    assert.equal(signalProcess({ pid: id.pid, started: 'someone before' }, 'SIGKILL'), false);
    assert.equal(isAlive(id), true);
    assert.equal(signalProcess(id, 'SIGKILL'), true);
    await ended;
    assert.equal(isAlive(id), false);
    assert.equal(signalProcess(id, 'SIGKILL'), false);
  });
});
