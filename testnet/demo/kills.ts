/** Validators that are killed, as many as the chain bears and then one more where that is so, and come back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { NodeError } from '../../src/errors.ts';
import { gapAround } from '../failover/observer.ts';
import { goesOn } from '../sites/survivors.ts';
import type { Scene } from './scene.ts';
import { IN_FLIGHT_MS, RESTART_BAR, span } from './scene.ts';

/** Turns of others that are waited for. */
const MAX_TURNS = 60;

export async function killProposer(scene: Scene, doing: (what: string) => void): Promise<string> {
  doing('waiting for the turn of one whom the others can spare');
  const victim = await nextProposer(scene, (index) => goesOn(scene.topology, [index]));
  return `${scene.sites.label(victim)} killed as its turn came: ${await killAndMeasure(scene, victim)}`;
}

export async function killAnother(scene: Scene, doing: (what: string) => void): Promise<string> {
  const spare = scene.bed
    .others(scene.downIndexes)
    .filter((index) => goesOn(scene.topology, [...scene.downIndexes, index]));
  if (spare.length > 0) {
    doing('waiting for the turn of one whom the others can spare');
    const victim = await nextProposer(scene, (index) => spare.includes(index));
    return `${scene.sites.label(victim)} killed too: ${await killAndMeasure(scene, victim)}`;
  }
  return killOneTooMany(scene, doing);
}

/** Those that are down come back, the last one killed first. */
export async function restartAll(scene: Scene, doing: (what: string) => void): Promise<string> {
  const told: string[] = [];
  for (const index of scene.downIndexes.reverse()) {
    doing(`starting ${scene.sites.label(index)}`);
    const tookMs = await scene.restart(index);
    scene.card.add('restart: caught up and signing', tookMs, RESTART_BAR);
    told.push(`${scene.sites.label(index)} after ${span(tookMs)}`);
  }
  await scene.bed.settle();
  return `caught up and signing: ${told.join(', ')}; nobody repaired anything`;
}

async function killAndMeasure(scene: Scene, victim: number): Promise<string> {
  const { bed, card } = scene;
  const killedAtMs = await scene.kill(victim);
  const survivors = bed.others(scene.downIndexes);
  if (!(await bed.committedAfter(survivors, killedAtMs))) {
    bed.card.violate(`no block after the kill of n${victim}, with a quorum left`);
    return 'the chain stopped';
  }
  const gapMs = Math.max(...survivors.map((index) => gapAround(bed.observer.commits(index), killedAtMs) ?? Infinity));
  card.add(`${scene.down.size} down: longest pause`, gapMs, scene.gapBar(scene.down.size));
  return `${span(gapMs)} between two blocks, then the others go on`;
}

async function killOneTooMany(scene: Scene, doing: (what: string) => void): Promise<string> {
  const { bed } = scene;
  await bed.someMoment();
  const victim = bed.random.pick(bed.others(scene.downIndexes));
  const killedAtMs = await scene.kill(victim);
  const survivors = bed.others(scene.downIndexes);
  doing('no quorum: no block may come');
  await sleep(IN_FLIGHT_MS + scene.length.haltMs);
  scene.mustStandStill(survivors, killedAtMs, performance.now());
  const { quorum, indexes } = bed;
  return `${scene.sites.label(victim)} killed too: ${survivors.length} of ${indexes.length} left, ${quorum} needed; the chain waits and makes no block, as it must`;
}

/** Who proposes next and is among those wanted; the moment is anywhere in an interval. */
async function nextProposer(scene: Scene, isWanted: (index: number) => boolean): Promise<number> {
  for (let turn = 0; turn < MAX_TURNS; turn++) {
    await scene.bed.someMoment();
    const proposer = await scene.bed.proposer();
    if (proposer && !scene.down.has(proposer.index) && isWanted(proposer.index)) return proposer.index;
  }
  throw new NodeError('TIMEOUT', `the turn of a validator that can be spared did not come in ${MAX_TURNS} blocks`);
}
