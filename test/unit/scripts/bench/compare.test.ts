import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isNodeError } from '../../../../src/errors.ts';
import { compareFiles, compareResults } from '../../../../scripts/bench/compare.ts';

const BEFORE = {
  bench: 'throughput',
  committed_per_s: 1000,
  submit_to_final_ms: { p50: 200, p99: null },
  rounds_above_0: 0,
  gone: 1,
  checks: [{ measured: 5 }],
  environment: { commit: 'aaa', load_before: 0.5 },
};
const AFTER = {
  bench: 'throughput',
  committed_per_s: 1500,
  submit_to_final_ms: { p50: 100, p99: 5 },
  rounds_above_0: 2,
  environment: { commit: 'bbb', load_before: 0.6 },
};

describe('two results of a benchmark', () => {
  it('are compared by every number that both have', () => {
    assert.deepEqual(
      compareResults(BEFORE, AFTER)
        .trimEnd()
        .split('\n')
        .map((line) => line.split(/\s{2,}/)),
      [
        ['bench throughput'],
        ['', 'aaa (load 0.5)', 'bbb (load 0.6)', 'ratio'],
        ['committed_per_s', '1000', '1500', '1.500'],
        ['submit_to_final_ms.p50', '200', '100', '0.500'],
        ['rounds_above_0', '0', '2', '–'],
      ],
    );
  });

  it('must be of the same one', () => {
    assert.throws(
      () => compareResults(BEFORE, { bench: 'finality' }),
      (error) => isNodeError(error) && error.code === 'USAGE',
    );
  });

  it('are read from what --json printed, lines for people before it or not', () => {
    const folder = mkdtempSync(join(tmpdir(), 'aitbc-compare-'));
    try {
      const [before, after, none] = ['before', 'after', 'none'].map((name) => join(folder, name));
      writeFileSync(before ?? '', `bench throughput\n${JSON.stringify(BEFORE)}\n`);
      writeFileSync(after ?? '', JSON.stringify(AFTER));
      writeFileSync(none ?? '', 'nothing\n');
      assert.match(compareFiles(before ?? '', after ?? ''), /1\.500/);
      for (const file of [none ?? '', join(folder, 'missing')]) {
        assert.throws(
          () => compareFiles(file, after ?? ''),
          (error) => isNodeError(error) && error.code === 'CONFIG',
        );
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
