/** A demonstration from the first process to the last check of what is on disk. */
import { toNodeError } from '../../src/errors.ts';
import type { BedReport } from '../failover/bed.ts';
import { withTestBed } from '../failover/bed.ts';
import type { Judged } from '../failover/scorecard.ts';
import { Scorecard } from '../failover/scorecard.ts';
import { blockSites } from './block-sites.ts';
import { SiteNetwork } from '../sites/site-network.ts';
import type { Topology } from '../sites/topology.ts';
import { layoutOf, linkBetween, sitePairs, sitesOfNodes } from '../sites/topology.ts';
import type { Comparison, DemoLength, Ways } from './scene.ts';
import { Scene, span } from './scene.ts';
import type { Screen } from './screen.ts';
import { checkWays } from './start.ts';
import type { Step } from './steps.ts';
import { STEPS } from './steps.ts';
import type { Timeline } from './timeline.ts';
import { TimelineRecorder } from './timeline.ts';

const TRANSFERS_PER_SECOND = 20;

export interface DemoOptions extends DemoLength {
  readonly topology: Topology;
  readonly namespaces: boolean;
  readonly only: readonly string[];
  readonly timing: boolean;
  readonly seed: string;
}

export interface StepResult {
  readonly name: string;
  readonly ok: boolean;
  readonly verdict: string;
  readonly measured: readonly Judged[];
}

export interface DemoResult {
  readonly ok: boolean;
  readonly layout: string;
  readonly seed: string;
  readonly timing: boolean;
  readonly ground: 'namespaces' | 'loopback';
  readonly ways: Ways | null;
  /** Pairs of sites that reach each other over others only. */
  readonly unlinked: readonly (readonly [string, string])[];
  readonly steps: readonly StepResult[];
  readonly comparison: Comparison | null;
  readonly heights: number;
  readonly transactions: number;
  readonly acknowledged: number;
  readonly votes_checked: number;
  readonly double_signs: number;
  readonly violations: readonly string[];
}

export interface Demo {
  readonly result: DemoResult;
  /** Null when no node ever ran. */
  readonly timeline: Timeline | null;
}

export async function runDemo(options: DemoOptions, screen: Screen): Promise<Demo> {
  const { topology, timing, seed, only } = options;
  const violations = new Scorecard();
  const steps: StepResult[] = [];
  const record = new TimelineRecorder();
  const play: { sites?: SiteNetwork; scene?: Scene; timeline?: Timeline; report?: BedReport; known?: number } = {};
  let status = (): string => 'starting';
  const told = (step: StepResult): void => {
    steps.push(step);
    screen.verdict(step.ok, step.name, NAME_WIDTH, step.verdict);
  };
  const live = screen.live((sinceMs) => `${status()} · ${span(sinceMs)}`);
  const startedAtMs = performance.now();
  try {
    play.report = await withTestBed(
      {
        nodes: sitesOfNodes(topology).length,
        seed,
        transfersPerSecond: TRANSFERS_PER_SECOND,
        connect: async (cluster, random) => {
          play.sites = await SiteNetwork.open(cluster, topology, options.namespaces, random);
          const { obstacle } = play.sites.ground;
          if (obstacle !== null) screen.line(`   on the loopback: ${obstacle}`);
          return play.sites;
        },
      },
      violations,
      (line) => {
        screen.line(line);
      },
      async (bed) => {
        if (!play.sites) return;
        const scene = new Scene(bed, play.sites, record, options);
        play.scene = scene;
        const agreedMs = performance.now() - startedAtMs;
        const start: Step = {
          name: 'start',
          help: 'connecting',
          run: () => checkWays(scene, agreedMs),
          group: 'start',
        };
        for (const step of [start, ...STEPS.filter(({ name }) => only.includes(name))]) {
          let doing = step.help;
          status = () => `${step.name}: ${doing} · ${scene.heads()}`;
          const fromMs = performance.now();
          const result = await runStep(scene, step, timing, (what) => (doing = what));
          record.step({
            name: step.name,
            from_ms: record.since(fromMs),
            to_ms: record.since(performance.now()),
            ok: result.ok,
            verdict: result.verdict,
          });
          told(result);
          if (!result.ok && bed.card.violations.length > 0) break;
        }
        status = () => 'a last transfer through every node, then what each has on disk';
        play.known = violations.violations.length;
        play.timeline = await timelineOf(scene);
      },
    );
  } catch (error) {
    violations.violate(toNodeError(error).message);
  } finally {
    live.end();
  }
  if (play.report) told(auditStep(play.report, violations.violations, play.known ?? 0));
  return {
    result: resultOf(options, play.sites, play.scene, steps, violations, play.report),
    timeline: play.timeline ?? null,
  };
}

const NAME_WIDTH = Math.max(...STEPS.map(({ name }) => name.length));

async function runStep(scene: Scene, step: Step, timing: boolean, doing: (what: string) => void): Promise<StepResult> {
  const card = new Scorecard();
  scene.card = card;
  const before = scene.bed.card.violations.length;
  let verdict: string;
  try {
    verdict = await step.run(scene, doing);
  } catch (error) {
    verdict = toNodeError(error).message;
    scene.bed.card.violate(`${step.name}: ${verdict}`);
  }
  scene.bed.checkProcesses();
  const broken = scene.bed.card.violations.slice(before);
  const missed = timing ? card.rows().filter(({ met }) => !met) : [];
  const wrong = [
    ...broken,
    ...missed.map(({ what, worst, unit, bar }) => `${what} ${worst} ${unit}, bar ${bar ?? ''}`),
  ];
  const ok = wrong.length === 0;
  return { name: step.name, ok, verdict: ok ? verdict : `${verdict} — ${wrong.join('; ')}`, measured: card.rows() };
}

function auditStep(report: BedReport, violations: readonly string[], known: number): StepResult {
  const { audit, votesChecked, doubleSigns, acknowledged } = report;
  // What a step found is told beside that step.
  const ok = violations.length === known;
  const good = `${audit.height} blocks are the same on every disk, none of ${acknowledged} transfers called final is lost, ${doubleSigns} double signs among ${votesChecked} votes`;
  return { name: 'audit', ok, verdict: ok ? good : violations.slice(known).join('; '), measured: [] };
}

async function timelineOf(scene: Scene): Promise<Timeline> {
  const { bed, sites, record } = scene;
  const { manifest } = bed.cluster;
  const facts = {
    chain_id: manifest.chain_id,
    genesis_hash: manifest.genesis_hash,
    ground: sites.ground.kind,
    quorum: bed.quorum,
    interval_ms: bed.intervalMs,
    rounds: await blockSites(manifest.nodes),
  };
  return record.finish(
    facts,
    sites.topology,
    (site) => sites.nodesOf(site),
    (index) => bed.observer.commits(index),
  );
}

function resultOf(
  { topology, seed, timing }: DemoOptions,
  sites: SiteNetwork | undefined,
  scene: Scene | undefined,
  steps: readonly StepResult[],
  card: Scorecard,
  report: BedReport | undefined,
): DemoResult {
  const { violations } = card;
  return {
    ok: violations.length === 0 && report !== undefined && steps.every(({ ok }) => ok),
    layout: layoutOf(topology),
    seed,
    timing,
    ground: sites?.ground.kind ?? 'loopback',
    ways: scene?.ways ?? null,
    unlinked: sitePairs(topology).filter(([a, b]) => !linkBetween(topology, a, b)),
    steps,
    comparison: scene?.comparison ?? null,
    heights: report?.audit.height ?? 0,
    transactions: report?.audit.transactions ?? 0,
    acknowledged: report?.acknowledged ?? 0,
    votes_checked: report?.votesChecked ?? 0,
    double_signs: report?.doubleSigns ?? 0,
    violations,
  };
}
