/** Progress of long work over heights: a line that is written over on a terminal, nothing elsewhere. */

const EVERY_MS = 500;

export interface Progress {
  readonly onHeight: (height: number) => void;
  /** Ends the line. @returns heights a second */
  readonly end: () => number;
}

/** @param to last height; null when unknown */
export function createProgress(what: string, to: number | null): Progress {
  const startMs = performance.now();
  const isShown = process.stderr.isTTY;
  let done = 0;
  let shownAtMs = 0;
  const rate = (): number => (done * 1000) / Math.max(1, performance.now() - startMs);
  return {
    onHeight: (height) => {
      done += 1;
      if (!isShown || performance.now() - shownAtMs < EVERY_MS) return;
      shownAtMs = performance.now();
      const left = to === null ? '' : ` of ${to}, ${Math.ceil((to - height) / Math.max(0.1, rate()))} s left`;
      process.stderr.write(`\r\u001b[K${what}: height ${height}${left}, ${Math.round(rate())} blocks/s`);
    },
    end: () => {
      if (isShown && shownAtMs > 0) process.stderr.write('\r\u001b[K');
      return Math.round(rate());
    },
  };
}
