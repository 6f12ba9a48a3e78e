/** Chance as a port: a number from 0 up to, but not including, 1. The machine's in production, the test's own in tests. */
export type Random = () => number;

/** Good for spreading work in time; never for identifiers (lib/ports/ids.ts). */
export const systemRandom: Random = () => Math.random();
