/** A relay process of the PF's own: started, watched, started again, and taken over from an earlier life of the PF. */
import {fileURLToPath} from 'node:url';
import {CpmError} from '../../errors.ts';
import type {Clock} from '../../ports/clock.ts';
import type {Log} from '../../ports/log.ts';
import {ensureOwnProcess, type OwnProcess} from '../own-process.ts';

export interface SidecarProcessOptions {
  /** What the process is told (lib/sidecar/options.ts); `control` may name port 0. */
  readonly options: {readonly control: string} & Readonly<Record<string, unknown>>;
  readonly runtimeDirectory: string;
  readonly clock: Clock;
  readonly log: Log;
}

export interface SidecarProcess extends OwnProcess {
  /** Where it is controlled: for `createMediaPlane`. The same after it died and was started again. */
  readonly control: string;
}

/** Finds the relay process that an earlier life left if its options are the same, starts one otherwise. Rejects with `CPM_PROCESS` (500). */
export async function ensureSidecarProcess({options, ...rest}: SidecarProcessOptions): Promise<SidecarProcess> {
  const script = fileURLToPath(new URL('../../sidecar/main.js', import.meta.url));
  const again = (ready: Readonly<Record<string, unknown>>) => ({...options, control: controlOf(ready)});
  const started = await ensureOwnProcess({...rest, name: 'relay', script, argument: options, again});
  return {
    ready: started.ready,
    taken: started.taken,
    stop: () => started.stop(),
    control: controlOf(started.ready),
  };
}

function controlOf(ready: Readonly<Record<string, unknown>>): string {
  const control = ready['control'];
  if (typeof control !== 'string')
    throw new CpmError('CPM_PROCESS', 500, 'the relay did not say where it is controlled');
  return control;
}
