import assert from 'node:assert/strict';
import { wasiImports } from '../../../../src/compute/executors/builtin/wasi.ts';
import { compileChecked, WASI_MODULE } from '../../../../src/compute/executors/builtin/wasm-check.ts';
import { failsWith } from '../../../util/executor-jobs.ts';
import { assemble, call, op, showing } from '../../../util/wasm-program.ts';

/** Runs a module to its end in this process; only for those that are known to have one. */
function run(bytes: Uint8Array<ArrayBuffer>, args: readonly string[] = [], seed = 0): Buffer {
  const written: Uint8Array[] = [];
  const host = {
    args,
    seed,
    stdin: new Uint8Array(),
    memory: () => instance.exports['memory'] as WebAssembly.Memory,
    write: (_: number, part: Uint8Array) => void written.push(part.slice()),
    exit: () => assert.fail('not expected to exit'),
  };
  const instance = new WebAssembly.Instance(compileChecked(bytes), { [WASI_MODULE]: wasiImports(host) });
  (instance.exports['_start'] as () => void)();
  return Buffer.concat(written);
}

describe('WASI as modules see it', () => {
  it('hands over arguments, a clock and randomness that are the same for everyone, and no environment', () => {
    const imports = ['args_sizes_get', 'args_get', 'clock_time_get', 'random_get', 'environ_sizes_get'];
    const clock = [...op.i32(0), ...op.i64(0), ...op.i32(1064), ...op.call(3), ...op.drop];
    const fill = [...call(1, 1024, 1028), ...call(2, 64, 1032), ...clock, ...call(4, 1072, 16), ...call(5, 1088, 1092)];
    const module = showing(imports, fill, 72);
    const args = ['first', 'zweites ü'];
    const shown = run(module, args);
    assert.deepEqual(run(module, args), shown);
    assert.deepEqual([shown.readUInt32LE(0), shown.readUInt32LE(4)], [3, 29]);
    assert.equal(shown.toString('utf8', 8, 37), 'module.wasm\0first\0zweites ü\0');
    assert.equal(shown.readBigUInt64LE(40), 1_577_836_800_001_000_000n);
    assert.equal(shown.toString('hex', 48, 64), '56b40c54fed20ba5f6d0123576d14d3c');
    assert.deepEqual(shown.subarray(64, 72), Buffer.alloc(8));
    const seeded = run(module, args, 7);
    assert.notDeepEqual(seeded.subarray(48, 64), shown.subarray(48, 64));
    assert.deepEqual(seeded.subarray(0, 48), shown.subarray(0, 48));
  });

  it('passes the time that a module waits for, at once', () => {
    const SECOND = 1_000_000_000n;
    const subscription = new Uint8Array(48);
    new DataView(subscription.buffer).setBigUint64(0, 42n, true);
    new DataView(subscription.buffer).setUint32(16, 1, true);
    new DataView(subscription.buffer).setBigUint64(24, 5n * SECOND, true);
    const imports = ['poll_oneoff', 'clock_time_get'];
    const clock = [...op.i32(1), ...op.i64(0), ...op.i32(1056), ...op.call(2), ...op.drop];
    const shown = run(showing(imports, [...call(1, 512, 1024, 1, 1064), ...clock], 48, { 512: subscription }));
    assert.equal(shown.readBigUInt64LE(0), 42n);
    assert.equal(shown.readUInt16LE(8), 0);
    assert.equal(shown.readBigUInt64LE(32), 1_577_836_800n * SECOND + 5n * SECOND + 1_000_000n);
    assert.equal(shown.readUInt32LE(40), 1);
  });

  it('has no file, no directory and no memory outside its own', () => {
    const open = [
      ...[3, 0, 64, 4, 0].flatMap((value) => op.i32(value)),
      ...[...op.i64(-1), ...op.i64(-1), ...op.i32(0), ...op.i32(128)],
    ];
    const module = showing(
      ['path_open', 'fd_prestat_get', 'random_get'],
      [
        ...op.store(1024, [...open, ...op.call(1)]),
        ...op.store(1028, [...op.i32(3), ...op.i32(64), ...op.call(2)]),
        ...op.store(1032, [...op.i32(65_530), ...op.i32(100), ...op.call(3)]),
      ],
      12,
    );
    const shown = run(module);
    const [NOSYS, BADF, FAULT] = [52, 8, 21];
    assert.deepEqual(
      [0, 4, 8].map((at) => shown.readUInt32LE(at)),
      [NOSYS, BADF, FAULT],
    );
  });

  it('takes every kind of instruction of WebAssembly 2.0', () => {
    const vector = [0xfd, 12, ...new Array<number>(16).fill(0xfd)];
    const code = [
      ...op.block(...op.i32(0), 0x0e, 1, 0, 0),
      ...[0x43, 0xfd, 0x85, 0x02, 0xfe, ...op.drop, 0x44, 0xfd, 0x85, 0x02, 0xfe, 0, 0, 0, 0, ...op.drop],
      ...[...op.i64(-2), ...op.drop, 0x23, 0, ...op.drop, 0xd0, 0x70, 0xd1, ...op.drop],
      ...[...vector, ...op.i32(0), 0xfd, 0, 4, 0, 0xfd, 0x0d, ...new Array<number>(16).fill(0x1f), ...op.drop],
      ...[...vector, 0xfd, 21, 3, ...op.drop, ...op.i32(0), ...vector, 0xfd, 84, 0, 0, 1, ...op.drop],
      ...[...op.i32(0), ...op.i32(0), ...op.i32(0), 0xfc, 10, 0, 0, ...op.i32(0), ...op.i32(0), 0x41, 7, 0xfc, 11, 0],
      ...[...op.i32(1), ...op.i32(2), ...op.i32(3), 0x1c, 1, 0x7f, ...op.drop, 0x43, 0, 0, 0, 0, 0xfc, 0, ...op.drop],
    ];
    compileChecked(assemble({ code, globals: 1 }));
  });

  it('refuses modules that are not WASI commands, or whose results would differ from machine to machine', async () => {
    const constants = Array.from({ length: 3 }, () => [0xfd, 12, ...new Array<number>(16).fill(0)]).flat();
    const relaxedMadd = [...constants, 0xfd, 0x85, 0x02, ...op.drop];
    const refused: [Uint8Array<ArrayBuffer>, RegExp][] = [
      [new TextEncoder().encode('\0asm and so on'), /cannot be run/],
      [assemble({ code: [], imports: ['fd_write'], importModule: 'env' }), /imports env\.fd_write/],
      [assemble({ code: [], imports: ['fd_teleport'] }), /fd_teleport/],
      [assemble({ code: [], exportMemory: false }), /must export/],
      [assemble({ code: [], memories: 2 }), /more than one memory/],
      [assemble({ code: relaxedMadd }), /instruction 0xfd105/],
      [assemble({ code: [0xfe, 0x03, 0x00] }), /instruction 0xfe/],
      [assemble({ code: [0x06, 0x40, 0x0b] }), /instruction 0x6/],
    ];
    for (const [module, why] of refused) {
      await failsWith(
        'BAD_JOB',
        Promise.resolve().then(() => compileChecked(module)),
        why,
      );
    }
  });
});
