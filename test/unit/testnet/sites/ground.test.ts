import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { listNamespaces, openGround } from '../../../../testnet/sites/ground.ts';
import { ownerOf } from '../../../../testnet/sites/namespaces.ts';

const MODULE = new URL('../../../../testnet/sites/ground.ts', import.meta.url).href;

const ours = (pid: number): string[] => listNamespaces().filter((name) => ownerOf(name)?.pid === pid);

describe('ground of sites', () => {
  it('is the loopback where namespaces are not wanted', () => {
    const ground = openGround(['a', 'b'], false);
    assert.deepEqual([ground.kind, ground.obstacle, ground.netns('a')], ['loopback', null, undefined]);
    assert.deepEqual([ground.host('b', 0, true), ground.proxyHost('a')], ['127.0.0.1', '127.0.0.1']);
    ground.close();
  });

  describe('as network namespaces', () => {
    before(function () {
      const ground = openGround(['a'], true);
      ground.close();
      // Not root, or not Linux: what is told then is shown by the demonstration.
      if (ground.kind === 'loopback') this.skip();
    });

    it('lets a site reach its own end, and no other site', () => {
      const ground = openGround(['a', 'b'], true);
      try {
        assert.equal(ours(process.pid).length, 2);
        assert.ok(ground.hasRoute('a', ground.proxyHost('a')));
        assert.ok(!ground.hasRoute('a', ground.proxyHost('b')) && !ground.hasRoute('a', ground.host('b', 0, false)));
      } finally {
        ground.close();
      }
      assert.deepEqual(ours(process.pid), []);
      assert.deepEqual(
        Object.keys(networkInterfaces()).filter((name) => name.startsWith(`aitbc${process.pid.toString(36)}-`)),
        [],
      );
    });

    it('goes when the process ends, and, when that was killed, with the next one', () => {
      const child = (end: string): number => {
        const text = `(await import('${MODULE}')).openGround(['a'], true); ${end};`;
        return spawnSync(process.execPath, ['--input-type=module', '-e', text]).pid;
      };
      assert.deepEqual(ours(child('process.exit(1)')), []);
      const killed = child("process.kill(process.pid, 'SIGKILL')");
      assert.equal(ours(killed).length, 1);
      openGround(['a'], true).close();
      assert.deepEqual(ours(killed), []);
    });
  });
});
