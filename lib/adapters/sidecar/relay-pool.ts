import {CpmError} from '../../errors.ts';
import type {Leg, MediaPlane} from '../../ports/media-plane.ts';

/** One of several media planes: how many legs it has is what it carries. */
export type PooledPlane = MediaPlane & {readonly legCount: number};

/**
 * Several sidecars as one media plane: a session's legs are in one of them, since only there they can be paired. A new session goes where
 * the fewest legs are, in turn where they are as many; a leg `near` another one goes where that one is; a sidecar that is away is passed over
 * for new sessions.
 */
export function createRelayPool(planes: readonly PooledPlane[]): MediaPlane {
  const [only] = planes;
  if (only !== undefined && planes.length === 1) return only;
  const homes = new WeakMap<Leg, PooledPlane>();
  const isAvailable = (): boolean => planes.some((plane) => plane.available);

  let turn = 0;

  function choose(): PooledPlane | undefined {
    const live = planes.filter((plane) => plane.available);
    const least = Math.min(...live.map((plane) => plane.legCount));
    const idlest = live.filter((plane) => plane.legCount === least);
    turn += 1;
    return idlest[turn % idlest.length];
  }

  return {
    async openLeg(options) {
      const plane = (options.near && homes.get(options.near)) ?? choose() ?? only;
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
