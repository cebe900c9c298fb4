/** Who asks for work, and in whose name it is done. */
import type { IncomingHttpHeaders } from 'node:http';
import { unreachable } from '../../errors.ts';
import type { JobPrincipal, Principal } from '../access/principal.ts';

export interface Asker {
  readonly principal: Principal;
  readonly headers: IncomingHttpHeaders;
}

/** Whose a job is within this node: jobs are seen by their owner alone. */
export function ownerOf(principal: JobPrincipal): string {
  switch (principal.kind) {
    case 'key':
      return principal.id;
    case 'session':
      return principal.address;
    case 'keyless':
      return 'keyless';
    default:
      return unreachable(principal);
  }
}
