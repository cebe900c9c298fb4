import assert from 'node:assert/strict';
import { NodeError } from '../../src/errors.ts';
import { parseLevelSpec } from '../../src/log-level.ts';
import { chainLogger, createLogger } from '../../src/log.ts';

function collect(level: string, format: 'json' | 'pretty' = 'json') {
  const lines: string[] = [];
  const logger = createLogger({ level, format, stream: { write: (line) => lines.push(line) } });
  return { logger, lines, parsed: () => lines.map((line) => JSON.parse(line)) };
}

describe('log', () => {
  it('gives each module its level', () => {
    const { logger, parsed } = collect('warn,net:debug,rpc:silent');
    logger.info('left out');
    logger.warn('kept');
    logger.child('net').debug('kept too', { peer: 'a' });
    logger.child('store').info('left out');
    logger.child('rpc').error('left out');
    assert.deepEqual(
      parsed().map(({ level, module, msg }) => ({ level, module, msg })),
      [
        { level: 'warn', module: undefined, msg: 'kept' },
        { level: 'debug', module: 'net', msg: 'kept too' },
      ],
    );
  });

  it('changes the levels of loggers in use, of all or none', () => {
    const { logger, parsed } = collect('warn');
    const net = chainLogger(logger, 'ait-devnet').child('net');
    net.debug('left out');
    logger.setLevels('silent,net:debug');
    net.debug('kept');
    logger.error('left out');
    assert.throws(
      () => {
        logger.setLevels('warn,net:loud');
      },
      { code: 'CONFIG' },
    );
    net.debug('kept still');
    assert.deepEqual(
      parsed().map(({ msg }) => msg),
      ['kept', 'kept still'],
    );
  });

  it('rejects an unknown level', () => {
    assert.throws(() => parseLevelSpec('info,net:loud'), { code: 'CONFIG' });
  });

  it('prints bytes as hex, errors with code, and cuts what is long or deep', () => {
    const { logger, parsed } = collect('info');
    logger.info('values', {
      id: new Uint8Array([1, 255]),
      long: 'x'.repeat(5_000),
      items: Array.from({ length: 100 }, (_, i) => i),
      deep: { a: { b: { c: { d: { e: 1 } } } } },
      error: new NodeError('TIMEOUT', 'too slow', { data: { ms: 5 }, hint: 'wait', cause: new TypeError('inner') }),
    });
    const [line] = parsed();
    assert.equal(line.id, '01ff');
    assert.equal(line.long.length, 2_001);
    assert.equal(line.items.length, 33);
    assert.deepEqual(line.deep, { a: { b: { c: '…' } } });
    const { stack, cause, ...error } = line.error;
    assert.deepEqual(error, { message: 'too slow', code: 'TIMEOUT', data: { ms: 5 }, hint: 'wait' });
    assert.match(stack, /too slow/);
    assert.equal(cause.type, 'TypeError');
  });

  it('keeps secrets out', () => {
    const { logger, lines } = collect('info');
    logger.info('keys', {
      password: 'hunter2',
      nested: { privateKey: 'hunter2', seed: 'hunter2', accessToken: 1, token: 'hunter2' },
    });
    assert.doesNotMatch(lines.join(''), /hunter2/);
  });

  it('names the chain in every line of its modules', () => {
    const { logger, parsed } = collect('info');
    chainLogger(logger, 'ait-devnet').child('sync').info('caught up', { height: 3 });
    const [line] = parsed();
    assert.deepEqual([line.module, line.chain, line.height], ['sync', 'ait-devnet', 3]);
  });

  it('writes one readable line', () => {
    const { logger, lines } = collect('info', 'pretty');
    logger.child('net').info('peer connected', { peer: '12D3', reason: 'a b' });
    assert.match(lines.join(''), /^\d\d:\d\d:\d\d\.\d{3} INFO {2}net: peer connected peer=12D3 reason="a b"\n$/);
  });
});
