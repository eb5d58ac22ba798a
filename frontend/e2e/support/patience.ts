// Deadlines of tests say that nothing comes any more, not how fast it comes: they grow with what the machine has to do.

import { availableParallelism, loadavg } from "node:os";

const share = Math.max(1, (loadavg()[0] ?? 1) / availableParallelism());

/** A deadline that would be `ms` on a machine that has nothing else to do. */
export const within = (ms: number): number => Math.round(ms * share);
