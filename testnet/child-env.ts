/** What the launcher tells the code it loads into node processes (child.ts), and session.ts a launcher. */
export const CHILD_ENV = {
  /** "PID STARTED" of the process whose end is the node's end; absent in detached clusters. */
  launcher: 'TESTNET_LAUNCHER',
  /** Set where a launcher has a session of its own, which its nodes share: see session.ts. */
  ownSession: 'TESTNET_OWN_SESSION',
  log: 'TESTNET_LOG',
  exit: 'TESTNET_EXIT',
  /** Where orders to kill at a write lie: see market/kill-order.ts. */
  killPoints: 'TESTNET_KILL_POINTS',
  /** Added to the wall clock of the process. */
  clockAheadMs: 'TESTNET_CLOCK_AHEAD_MS',
  /** File that a profile of the main thread is written to: see profiler.ts. */
  profile: 'TESTNET_PROFILE',
} as const;
