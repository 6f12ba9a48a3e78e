import path from 'node:path';
import type {Config} from '../../config/load.ts';
import type {Clock} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import type {MediaPlane} from '../../ports/media-plane.ts';
import {createMediaPlane} from './media-plane.ts';
import {createRelayPool} from './relay-pool.ts';
import {relayArgument} from './relay-argument.ts';
import {ensureSidecarProcess} from './sidecar-process.ts';

/**
 * The media plane that a configuration names: sidecars that run already, or one of this node's own, started here or found running.
 * @throws CpmError `CPM_PROCESS` (500) when the own one does not start.
 */
export async function openMediaPlane(config: Config, {clock, log}: {clock: Clock; log: Log}): Promise<MediaPlane> {
  const {node, relay} = config;
  const options = {...tlsOf(relay), owner: node.name, clock, log};
  if (relay.sidecars.length > 0) {
    return createRelayPool(relay.sidecars.map((control) => createMediaPlane({...options, control})));
  }

  const {runtimeDirectory} = node;
  const socket = `unix:${path.join(runtimeDirectory, 'relay.sock')}`;
  const own = await ensureSidecarProcess({options: relayArgument(config, socket), runtimeDirectory, clock, log});
  const plane = createMediaPlane({...options, control: own.control});
  return {
    openLeg: async (leg) => plane.openLeg(leg),
    get available() {
      return plane.available;
    },
    onAvailability: (listener) => {
      plane.onAvailability(listener);
    },
    counts: async () => plane.counts(),
    async close() {
      await plane.close();
      await own.stop();
    },
  };
}

type Tls = Pick<Parameters<typeof createMediaPlane>[0], 'tls'>;

const tlsOf = ({tls}: Config['relay']): Tls => {
  const {certificateFile: cert, keyFile: key, authorityFile: ca} = tls;
  return cert === undefined || key === undefined || ca === undefined ? {} : {tls: {cert, key, ca}};
};
