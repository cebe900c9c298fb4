/** A validator that comes back elsewhere: nobody is told, it dials the others. */
import type { Scene } from './scene.ts';
import { RESTART_BAR, span } from './scene.ts';
import { goesOn } from '../sites/survivors.ts';

export async function move(scene: Scene, doing: (what: string) => void): Promise<string> {
  const { bed, card, sites } = scene;
  await bed.someMoment();
  const mover = bed.random.pick(bed.indexes.filter((index) => goesOn(scene.topology, [index])));
  const before = bed.cluster.node(mover).p2p.split('/');
  await scene.kill(mover);
  scene.down.get(mover)?.();
  const end = scene.record.outage(sites.siteOf(mover), `n${mover}`, 'moved');
  const address = await sites.move(mover);
  doing(`${sites.label(mover)}: now at ${address}`);
  const tookMs = await scene.restart(mover);
  end();
  card.add('move: caught up and signing', tookMs, RESTART_BAR);
  await bed.settle();
  return `${sites.label(mover)} went from ${before[2] ?? ''}:${before[4] ?? ''} to ${address}: signing there after ${span(tookMs)}, and nobody was told`;
}
