/** A site that others no longer reach, wholly or one way. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OneWay } from '../sites/site-network.ts';
import { sparedSites } from '../sites/survivors.ts';
import { plural } from '../../src/cli/output.ts';
import { quorumOf } from '../../src/cli/network/survival.ts';
import type { Scene } from './scene.ts';
import { CATCH_UP_BAR, span } from './scene.ts';

export async function cutOff(scene: Scene, doing: (what: string) => void): Promise<string> {
  const told = await cut(scene, doing, 'cut', 'nothing passes between it and the others', (site) => {
    scene.sites.cutOff(site, 'held');
  });
  const { site, fromMs, toMs } = told;
  const inside = scene.sites.nodesOf(site);
  const isAlone = inside.length < quorumOf(scene.bed.indexes.length);
  if (isAlone) scene.mustStandStill(inside, fromMs, toMs);
  return `${site} cut off for ${span(toMs - fromMs)}: ${told.others}; ${site} made none, and caught up ${told.caughtUp}`;
}

export async function mute(scene: Scene, doing: (what: string) => void): Promise<string> {
  return oneWay(scene, doing, 'mute', 'nothing that it sends arrives');
}

export async function deaf(scene: Scene, doing: (what: string) => void): Promise<string> {
  return oneWay(scene, doing, 'deaf', 'nothing reaches it');
}

async function oneWay(scene: Scene, doing: (what: string) => void, way: OneWay, what: string): Promise<string> {
  const { site, fromMs, toMs, others, caughtUp } = await cut(scene, doing, way, what, (cutSite) => {
    scene.sites.cutOneWay(cutSite, way);
  });
  const said = way === 'mute' ? `nothing ${site} sends arrives` : `nothing reaches ${site}`;
  return `${said} for ${span(toMs - fromMs)}: ${others}; it caught up ${caughtUp}`;
}

interface Cut {
  readonly site: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** What the others did meanwhile, and when all were one again, in words. */
  readonly others: string;
  readonly caughtUp: string;
}

async function cut(
  scene: Scene,
  doing: (what: string) => void,
  kind: 'cut' | OneWay,
  what: string,
  apply: (site: string) => void,
): Promise<Cut> {
  const { bed, card, length } = scene;
  await bed.someMoment();
  const site = bed.random.pick(sparedSites(scene.topology));
  const inside = scene.sites.nodesOf(site);
  const others = bed.others(inside);
  const fromMs = performance.now();
  const end = scene.record.outage(site, null, kind);
  apply(site);
  doing(`${site}: ${what}`);
  await sleep(length.cutMs);
  // On a slow machine a short cut may end before a block comes: that it comes is what must hold.
  const goesOn = await bed.committedAfter(others, fromMs);
  const toMs = performance.now();
  scene.sites.heal();
  end();
  doing(`${site}: healed`);
  const caughtUpMs = await bed.converge(toMs);
  card.add(`${kind}: caught up after healing`, caughtUpMs, CATCH_UP_BAR);
  if (caughtUpMs === Infinity) bed.card.violate(`${site} does not catch up after it was ${kind}`);
  const { gapMs, blocks } = scene.paceOf(others, fromMs, toMs);
  card.add(`${kind}: longest pause of the others`, gapMs, scene.gapBar(inside.length));
  if (!goesOn) bed.card.violate(`no block while ${site} was ${kind}, with a quorum left`);
  await bed.settle();
  return {
    site,
    fromMs,
    toMs,
    others: `the others made ${plural(blocks, 'block')}, longest pause ${span(gapMs)}`,
    caughtUp: `${span(caughtUpMs)} after healing`,
  };
}
