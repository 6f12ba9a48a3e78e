import type {Deployment} from './deployment.ts';
import {until} from './persistent-sender.ts';

/** Resolves once no session is left, neither in the PF nor in its relay. What a BYE ends goes just after its 200. */
export const nothingIsLeft = async (pf: Pick<Deployment, 'status'>, milliseconds?: number): Promise<void> =>
  until(async () => {
    const {load, relays} = (await pf.status()) as {
      load: {sessions: number};
      relays: readonly {counters?: {sessions: number; connections: number}}[];
    };
    return load.sessions === 0 && relays.every(({counters}) => counters?.sessions === 0 && counters.connections === 0);
  }, milliseconds);
