/** What a job came to, as its client counts. */
export interface JobOutcome {
  readonly jobId: string;
  /** Attempts at it. */
  readonly attempts: number;
  /** By the client's count, vouchers of lost attempts included. */
  readonly spentUait: number;
  /** What its receipt says. */
  readonly priceUait: number;
  /** How often somebody had to ask again, after whoever was asked had ended. */
  readonly resumed: number;
  /** What does not hold, one line each. */
  readonly faults: readonly string[];
}

interface ReceiptFile {
  readonly price: number;
}

export function outcomeOf(
  job: {
    readonly job_id: string;
    readonly state: string;
    readonly attempt: number;
    readonly spent_uait: string;
    readonly payment_id: string | null;
  },
  receipt: ReceiptFile | null,
  answer: string | null,
  expected: string,
  resumed: number,
): JobOutcome {
  const faults: string[] = [];
  if (job.state !== 'COMPLETED') faults.push(`job ${job.job_id} is ${job.state}`);
  else if (answer !== expected)
    faults.push(`job ${job.job_id} answered ${answer?.length ?? 'no'} bytes of another text`);
  if (job.state === 'COMPLETED' && !receipt) faults.push(`job ${job.job_id} has no receipt`);
  if (job.state === 'COMPLETED' && job.payment_id === null) faults.push(`job ${job.job_id} names no agreement`);
  return {
    jobId: job.job_id,
    attempts: job.attempt,
    spentUait: Number(job.spent_uait),
    priceUait: receipt?.price ?? 0,
    resumed,
    faults,
  };
}
