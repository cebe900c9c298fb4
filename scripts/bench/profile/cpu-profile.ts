/** What V8's sampling profiler writes, read as a tree (Chrome DevTools protocol, Profiler.Profile). */

export interface CallFrame {
  readonly functionName: string;
  /** A file's URL, "node:…" for Node's own, "" for the machine's. */
  readonly url: string;
  /** From 0; -1 where there is none. */
  readonly lineNumber: number;
}

export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: CallFrame;
    readonly children?: readonly number[];
  }[];
  /** µs of the profiler's clock. */
  readonly startTime: number;
  readonly endTime: number;
  /** Node on top of the stack, a sample each. */
  readonly samples: readonly number[];
  /** µs since the sample before. */
  readonly timeDeltas: readonly number[];
}

/** A function as called on one path. Times are µs. */
export interface ProfileNode {
  readonly frame: CallFrame;
  readonly children: readonly ProfileNode[];
  /** While it was on top of the stack. */
  readonly selfUs: number;
  readonly totalUs: number;
}

/** The root of the tree. */
export function profileTree(profile: CpuProfile): ProfileNode {
  const selfUs = new Map<number, number>();
  profile.samples.forEach((id, i) => {
    selfUs.set(id, (selfUs.get(id) ?? 0) + Math.max(0, profile.timeDeltas[i] ?? 0));
  });
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const build = (id: number): ProfileNode => {
    const node = byId.get(id);
    const children = (node?.children ?? []).map(build);
    const own = selfUs.get(id) ?? 0;
    return {
      frame: node?.callFrame ?? { functionName: '(unknown)', url: '', lineNumber: -1 },
      children,
      selfUs: own,
      totalUs: children.reduce((sum, child) => sum + child.totalUs, own),
    };
  };
  const [root] = profile.nodes;
  return build(root?.id ?? 0);
}

/** Nothing ran, or it waited. */
export function isIdle({ functionName, url }: CallFrame): boolean {
  return url === '' && (functionName === '(idle)' || functionName === '(program)');
}
