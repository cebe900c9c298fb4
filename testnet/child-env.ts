/** What the launcher tells the code it loads into node processes (child.ts). */
export const CHILD_ENV = {
  /** "PID STARTED" of the process whose end is the node's end; absent in detached clusters. */
  launcher: 'TESTNET_LAUNCHER',
  log: 'TESTNET_LOG',
  exit: 'TESTNET_EXIT',
} as const;
