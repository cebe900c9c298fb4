/**
 * Known ways to get agreement wrong, each as edits of the program's source. Every one must be something that the rules
 * forbid and that shows: where two mechanisms see to the same thing, both are taken away.
 */

export interface Edit {
  readonly file: string;
  /** Occurs exactly once. */
  readonly from: string;
  readonly to: string;
}

export interface Mutant {
  readonly name: string;
  readonly edits: readonly Edit[];
}

const RULES = 'src/consensus/rules.ts';
const VALIDATOR = 'src/engine/validator.ts';

export const MUTANTS: readonly Mutant[] = [
  {
    name: 'no lock check on fresh proposals',
    edits: [
      {
        file: RULES,
        from: 'polRound === -1 ? state.lockedRound === -1 : state.lockedRound <= polRound',
        to: 'polRound === -1 || state.lockedRound <= polRound',
      },
    ],
  },
  {
    name: 'round 0 counts as unlocked',
    edits: [
      {
        file: RULES,
        from: 'polRound === -1 ? state.lockedRound === -1 :',
        to: 'polRound === -1 ? state.lockedRound <= 0 :',
      },
    ],
  },
  {
    name: 'a precommit takes no lock',
    edits: [{ file: RULES, from: '    lock(state, blockId);\n', to: '' }],
  },
  // The record without its lock alone changes nothing: every lock was signed for, and a machine that resumes takes it from
  // its own precommits, which the record holds as well, or a peer sends. So both are taken away.
  {
    name: 'lock not persisted',
    edits: [
      {
        file: VALIDATOR,
        from: 'lockedRound: held.lockedRound,\n        lockedId: held.lockedId,',
        to: 'lockedRound: -1,\n        lockedId: null,',
      },
      {
        file: 'src/consensus/machine.ts',
        from: "if (type === 'prevote' || blockId === null || round <= state.lockedRound) return;",
        to: "if (type === 'prevote' || blockId === null || round >= 0) return;",
      },
    ],
  },
  {
    name: 'validity taken from the presence of a verdict',
    edits: [
      {
        file: RULES,
        from: 'const acceptable = verdict?.valid === true && (verdict.timely || !fresh);',
        to: 'const acceptable = verdict !== null;',
      },
    ],
  },
  {
    name: 'quorum of more than half',
    edits: [
      {
        file: 'src/chain/validator-set.ts',
        from: 'return 3 * power >= 2 * set.totalPower;',
        to: 'return 2 * power > set.totalPower;',
      },
    ],
  },
  {
    name: 'skips rounds on one vote',
    edits: [
      {
        file: 'src/chain/validator-set.ts',
        from: 'return 3 * power > set.totalPower;',
        to: 'return power > 0 && set.totalPower > 0;',
      },
    ],
  },
  {
    name: 'does not wake on a vote',
    edits: [
      {
        file: 'src/consensus/machine.ts',
        from: 'return validatorIndex(state.validators, input.vote.validator) >= 0;',
        to: 'return validatorIndex(state.validators, input.vote.validator) >= Infinity;',
      },
    ],
  },
  {
    name: 'guard written after publishing',
    edits: [
      {
        file: VALIDATOR,
        from: 'await this.#save({ held, round, step: type, signedVotes: votes, signedProposals: this.#proposals });',
        to: `const save = () => this.#save({ held, round, step: type, signedVotes: votes, signedProposals: this.#proposals });
    const turn = this as unknown as { last?: Promise<unknown> };
    turn.last = (turn.last ?? Promise.resolve()).then(save).catch(() => undefined);`,
      },
      {
        file: VALIDATOR,
        from: 'await this.#save(record, { blockId: core.blockId, block: body });',
        to: `const turn = this as unknown as { last?: Promise<unknown> };
    await turn.last;
    await this.#save(record, { blockId: core.blockId, block: body });`,
      },
    ],
  },
  {
    name: 'guard not read at the start',
    edits: [
      {
        file: VALIDATOR,
        from: "if (status.kind !== 'ready' || status.record.height !== height) return null;",
        to: "if (status.kind !== 'ready' || status.record.height !== height || height > 0) return null;",
      },
    ],
  },
  {
    name: 'guard checks nothing and is not read',
    edits: [
      {
        file: VALIDATOR,
        from: "if (status.kind !== 'ready' || status.record.height !== height) return null;",
        to: "if (status.kind !== 'ready' || height > 0) { this.#guard.save = () => Promise.resolve(); return null; }",
      },
    ],
  },
  {
    name: 'guard without the votes that justify the round',
    edits: [{ file: VALIDATOR, from: 'justification: held.justification,', to: 'justification: [],' }],
  },
  {
    name: 'guard without the polka of the valid value',
    edits: [{ file: VALIDATOR, from: 'polka: held.polka,', to: 'polka: null,' }],
  },
  {
    name: 'signs on before the block is synced',
    edits: [
      {
        file: 'src/engine/ledger.ts',
        from: 'await this.store.commit([committed(applied, certificate, guard)]);',
        to: 'void this.store.commit([committed(applied, certificate, guard)]).catch(() => 0);',
      },
    ],
  },
  {
    name: 'timeliness judged on re-proposals',
    edits: [{ file: RULES, from: '(verdict.timely || !fresh)', to: 'verdict.timely' }],
  },
  {
    name: 'votes counted by message instead of by validator',
    edits: [
      {
        file: 'src/consensus/votes.ts',
        from: 'if (holds(slot, vote.blockId)) return null;',
        to: 'if (holds(slot, vote.blockId)) { this.#raise(count, power); return null; }',
      },
    ],
  },
  // A commit, and a lock, without looking at validity change nothing by themselves: a quorum of honest nodes that look at
  // it when they prevote never makes a polka of an invalid block. So all three take the object for the answer here.
  {
    name: 'validity taken from the presence of a verdict, everywhere',
    edits: [
      {
        file: RULES,
        from: 'const acceptable = verdict?.valid === true && (verdict.timely || !fresh);',
        to: 'const acceptable = verdict !== null;',
      },
      {
        file: RULES,
        from: "if (state.step === 'propose' || verdict?.valid !== true) return false;",
        to: "if (state.step === 'propose' || verdict === null) return false;",
      },
      {
        file: RULES,
        from: 'if (candidate.verdict?.valid === true) {',
        to: 'if (candidate.verdict !== null) {',
      },
    ],
  },
  {
    name: 'votes are not said again',
    edits: [
      {
        file: 'src/engine/engine.ts',
        from: "if (machine.step === 'idle' || machine.step === 'committed') return;\n    this.#armRepair();",
        to: "if (machine.step !== 'committed') return;\n    this.#armRepair();",
      },
    ],
  },
  {
    name: 'signatures of the last commit are not verified',
    edits: [
      {
        file: 'src/engine/bodies.ts',
        from: 'const good = (await this.#headSignatures(block)) && ',
        to: 'const good = ',
      },
    ],
  },
  {
    name: 'precommits carry a time that is signed',
    edits: [
      {
        file: VALIDATOR,
        from: 'const signature = this.#signer.sign(voteSignBytes(this.#chain, core));',
        to: `const stamp = type === 'precommit' ? Uint8Array.of(this.#guard.sequence & 0xff) : new Uint8Array();
    const signature = this.#signer.sign(Uint8Array.from([...voteSignBytes(this.#chain, core), ...stamp]));`,
      },
    ],
  },
  {
    name: 'signs while catching up',
    edits: [
      {
        file: 'src/chains/sync-target.ts',
        from: "if (value) gate.set('catching-up', 'fetching certified blocks from peers');",
        to: 'if (value) return;',
      },
    ],
  },
  {
    name: 'signs before a quorum said what the key signed',
    edits: [
      {
        file: 'src/engine/recall.ts',
        from: 'if (this.#isQuorum(0) && !this.#proof) {',
        to: 'if (ledgerIsAny(this.#modules)) {',
      },
      {
        file: 'src/engine/recall.ts',
        from: '/** An own signature that the guard does not know. */',
        to: 'const ledgerIsAny = (modules: RecallModules): boolean => modules.ledger.tip.height >= 0;\n',
      },
    ],
  },
  {
    name: 'a restored folder signs right above its head',
    edits: [
      {
        file: 'src/engine/recall.ts',
        from: 'gate.floorHeight = Math.max(gate.floorHeight, ledger.tip.height + UNKNOWN_HEIGHTS);',
        to: '',
      },
    ],
  },
  {
    name: 'an answer counts before its blocks are here',
    edits: [
      {
        file: 'src/engine/recall.ts',
        from: 'if (height !== undefined && height <= ledger.tip.height) counted',
        to: 'if (height !== undefined) counted',
      },
      { file: 'src/chains.ts', from: 'await this.sync.reached(height);', to: '' },
      { file: 'src/chains.ts', from: 'if (height > tip.height + 1) {', to: 'if (height > tip.height + 1_000_000) {' },
    ],
  },
  {
    name: 'blocks do not record the guard',
    edits: [
      {
        file: 'src/engine/ledger.ts',
        from: 'return { block, blockId, certificate, receipts, changes, guard };',
        to: 'return { block, blockId, certificate, receipts, changes, guard: guard && null };',
      },
    ],
  },
  {
    name: 'a floor left in place is given again',
    edits: [
      {
        file: 'src/store/guard-advice.ts',
        from: 'guard.signAbove >= signAbove) return false;',
        to: 'guard.signAbove > signAbove + 1) return false;',
      },
    ],
  },
  {
    name: 'signs on when convicted',
    edits: [
      {
        file: 'src/chains.ts',
        from: 'if (!getKeyRecord(this.ledger.tip.state, this.validatorKey)?.convicted) return;',
        to: 'if (getKeyRecord(this.ledger.tip.state, this.validatorKey)?.convicted !== null) return;',
      },
    ],
  },
  {
    name: 'signatures of fetched certificates are not verified',
    edits: [
      {
        file: 'src/engine/certificates.ts',
        from: 'if (good.every(Boolean)) return;',
        to: 'if (good.length > 0) return;',
      },
    ],
  },
  {
    name: 'absent proposers are demoted by what a node saw itself',
    edits: [
      {
        file: 'src/engine/ledger.ts',
        from: 'return this.#keep(await built);',
        to: `Object.assign(globalThis, { seenRound: undefined });
    return this.#keep(await built);`,
      },
      {
        file: 'src/engine/ledger.ts',
        from: 'const built = inTurns(',
        to: `Object.assign(globalThis, { seenRound: this.store.head()?.certificate.round });
    const built = inTurns(`,
      },
      {
        file: 'src/engine/ledger.ts',
        from: 'return this.#keep(await applied);',
        to: `Object.assign(globalThis, { seenRound: undefined });
    return this.#keep(await applied);`,
      },
      {
        file: 'src/engine/ledger.ts',
        from: 'const applied = inTurns(',
        to: `Object.assign(globalThis, { seenRound: this.store.head()?.certificate.round });
    const applied = inTurns(`,
      },
      {
        file: 'src/engine/ledger.ts',
        from: 'const run = new RangeExecution(this.rules, this.#tip, verified, way);',
        to: `const seenRound = this.store.head()?.certificate.round;
    const run = Object.assign(new RangeExecution(this.rules, this.#tip, verified, way), { seenRound });`,
      },
      {
        file: 'src/engine/range-execution.ts',
        from: 'this.#add({ executed: await inTurns(steps, this.#way), certificate });',
        to: `const { seenRound } = this as unknown as { seenRound?: number };
        Object.assign(globalThis, { seenRound: this.#done.length > 0 ? undefined : seenRound });
        const executing = inTurns(steps, this.#way);
        Object.assign(globalThis, { seenRound: undefined });
        this.#add({ executed: await executing, certificate });`,
      },
      {
        file: 'src/chain/modules/validators.ts',
        from: 'const absences = nextAbsences(getAbsences(state), sets, { height, proposer, lastCommit });',
        to: `const round = (globalThis as unknown as { seenRound?: number }).seenRound ?? lastCommit?.round ?? 0;
  const seen = lastCommit && { ...lastCommit, round };
  const absences = nextAbsences(getAbsences(state), sets, { height, proposer, lastCommit: seen });`,
      },
    ],
  },
  {
    name: 'a refund is paid twice',
    edits: [
      {
        file: 'src/chain/modules/compute/closing.ts',
        from: 'addBalance(state, agreement.client, refundedUait);',
        to: 'addBalance(state, agreement.client, 2 * refundedUait);',
      },
    ],
  },
  {
    name: 'vouchers are taken on trust',
    edits: [
      {
        file: 'src/chain/tx-checks.ts',
        from: 'return [txCheck(chain, tx), ...inPayload];',
        to: 'return [txCheck(chain, tx), ...inPayload.slice(1)];',
      },
    ],
  },
];
