import {createHash} from 'node:crypto';
import {CpmError} from '../../errors.ts';
import type {Leg, LegOptions, MediaPlane} from '../../ports/media-plane.ts';

/**
 * Several sidecars as one media plane: a session's legs are in one of them, since only there they can be paired. The Contribution-ID chooses,
 * so that load spreads by session; a leg `near` another one goes where that one is; a sidecar that is away is passed over for new sessions.
 */
export function createRelayPool(planes: readonly MediaPlane[]): MediaPlane {
  const [only] = planes;
  if (only !== undefined && planes.length === 1) return only;
  const homes = new WeakMap<Leg, MediaPlane>();
  const isAvailable = (): boolean => planes.some((plane) => plane.available);

  function choose({label}: LegOptions): MediaPlane | undefined {
    const live = planes.filter((plane) => plane.available);
    const digest = createHash('sha1')
      .update(label.contributionId ?? '')
      .digest();
    return live[digest.readUInt32BE(0) % live.length];
  }

  return {
    async openLeg(options) {
      const plane = (options.near && homes.get(options.near)) ?? choose(options) ?? only;
      if (plane === undefined) throw new CpmError('CPM_MEDIA_AWAY', 503, 'no MSRP relay is configured');
      const leg = await plane.openLeg(options);
      homes.set(leg, plane);
      return leg;
    },
    get available() {
      return isAvailable();
    },
    onAvailability(listener) {
      let before = isAvailable();
      for (const plane of planes) {
        plane.onAvailability(() => {
          if (isAvailable() === before) return;
          before = isAvailable();
          listener(before);
        });
      }
    },
    counts: async () => (await Promise.all(planes.map(async (plane) => plane.counts()))).flat(),
    async close() {
      await Promise.all(planes.map(async (plane) => plane.close()));
    },
  };
}
