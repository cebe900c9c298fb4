import assert from 'node:assert/strict';
import { createRegister } from '../../../src/metrics.ts';
import { createLibraryMetrics, MAX_GROUP } from '../../../src/net/library-metrics.ts';

describe('net/library-metrics', () => {
  it('shows what the library counts and what it works out when asked, under valid names', async () => {
    const register = await createRegister();
    const metrics = createLibraryMetrics(register);
    metrics.registerCounter('libp2p_noise_encrypted_packets_total').increment(3);
    metrics
      .registerCounterGroup('libp2p_connection_manager_dials_total', { help: 'Dials' })
      .increment({ tcp: true, ws: 2 });
    metrics.registerMetric('libp2p_data').update(7);
    metrics.registerMetricGroup('libp2p_protocol_streams_total', {
      calculate: () => ({ 'inbound /x/1': 2, 'outbound /x/1': 5 }),
    });
    const text = await register.text();
    for (const line of [
      'libp2p_noise_encrypted_packets_total 3',
      '# HELP libp2p_connection_manager_dials_total Dials',
      'libp2p_connection_manager_dials_total{of="tcp"} 1',
      'libp2p_connection_manager_dials_total{of="ws"} 2',
      'libp2p_data 7',
      '# TYPE libp2p_protocol_streams gauge',
      'libp2p_protocol_streams{of="inbound /x/1"} 2',
      'libp2p_protocol_streams{of="outbound /x/1"} 5',
    ]) {
      assert.ok(text.includes(`${line}\n`), `${line}\n${text}`);
    }
  });

  it('forgets what a calculation no longer gives', async () => {
    const register = await createRegister();
    let streams: Record<string, number> = { a: 1, b: 2 };
    createLibraryMetrics(register).registerMetricGroup('libp2p_streams', { calculate: () => streams });
    assert.match(await register.text(), /of="a"\} 1/);
    streams = { b: 3 };
    const text = await register.text();
    assert.ok(text.includes('libp2p_streams{of="b"} 3') && !text.includes('of="a"'), text);
  });

  it('bound: values of a group', async () => {
    const register = await createRegister();
    const metrics = createLibraryMetrics(register);
    const many = Object.fromEntries(Array.from({ length: 3 * MAX_GROUP }, (_, i) => [`p${i}`, 1] as const));
    metrics.registerCounterGroup('libp2p_a_total').increment(many);
    metrics.registerMetricGroup('libp2p_b').update(many);
    metrics.registerMetricGroup('libp2p_c', { calculate: () => many });
    const lines = (await register.text()).split('\n');
    const count = (name: string): number => lines.filter((line) => line.startsWith(`${name}{`)).length;
    assert.deepEqual(
      [count('libp2p_a_total'), count('libp2p_b'), count('libp2p_c')],
      [MAX_GROUP + 1, MAX_GROUP, MAX_GROUP],
    );
    assert.ok(lines.includes(`libp2p_a_total{of="others"} ${2 * MAX_GROUP}`));
  });
});
