/** The media plane of the PF in a relay process (lib/sidecar): connects to it, again and again when it is lost, and opens legs in it. */
import {CpmError} from '../../errors.ts';
import type {Clock, Timer} from '../../ports/clock.ts';
import {randomIds, type Ids} from '../../ports/ids.ts';
import type {Log} from '../../ports/log.ts';
import type {Leg, LegOptions, MediaPlane, RelayCounts} from '../../ports/media-plane.ts';
import {relayClient, type RelayClient, type TlsFiles} from '../../sidecar/contract/grpc.ts';
import {Stream} from './stream.ts';

export interface MediaPlaneOptions {
  /** `unix:/path` or `host:port` of the relay process. */
  readonly control: string;
  /** Needed beyond loopback. */
  readonly tls?: TlsFiles;
  /** Name of this PF node: a new life of it takes over from its last one. */
  readonly owner: string;
  readonly clock: Clock;
  readonly ids?: Ids;
  readonly log: Log;
  /** How long `openLeg` waits for a relay that is away, and for its answer. */
  readonly openMilliseconds?: number;
}

/** The media plane, and what operators ask its relay process. */
export interface SidecarMediaPlane extends MediaPlane {
  /** Legs in the relay process that are this plane's. */
  readonly legCount: number;
  /** Counters of the relay process (lib/sidecar/counters.ts). Rejects when it is away. */
  status(): Promise<Readonly<Record<string, number>>>;
}

/** Between attempts to reach a relay that is away. */
const firstRetryMilliseconds = 50;
const lastRetryMilliseconds = 2000;

/** A media plane on the relay process at `control`, which need not be there yet. */
export function createMediaPlane(options: MediaPlaneOptions): SidecarMediaPlane {
  return new Plane(options);
}

class Plane implements SidecarMediaPlane {
  readonly #options: MediaPlaneOptions;
  readonly #ids: Ids;
  readonly #listeners: ((available: boolean) => void)[] = [];
  #client: RelayClient | undefined;
  #stream: Stream | undefined;
  #available = false;
  #onceAvailable: (() => void)[] = [];
  #retry: Timer | undefined;
  #retryMilliseconds = firstRetryMilliseconds;
  #closed = false;

  constructor(options: MediaPlaneOptions) {
    this.#options = options;
    this.#ids = options.ids ?? randomIds;
    this.#connect();
  }

  get available(): boolean {
    return this.#available;
  }

  onAvailability(listener: (available: boolean) => void): void {
    this.#listeners.push(listener);
  }

  get legCount(): number {
    return this.#stream?.legCount ?? 0;
  }

  async openLeg(options: LegOptions): Promise<Leg> {
    const milliseconds = this.#options.openMilliseconds ?? 5000;
    const since = this.#options.clock.now();
    await this.#whenAvailable(milliseconds);
    const left = Math.max(1, milliseconds - (this.#options.clock.now() - since));
    if (!this.#stream || !this.#available) throw away();
    const {side, mode, maxMessageBytes, transports = [], copies = false} = options;
    const leg = await this.#stream.open({side, refuses: mode === 'refuse', maxMessageBytes, transports, copies}, left);
    this.#options.log.info({leg: leg.id, side, mode, ...options.label}, 'leg opened');
    return leg;
  }

  status(): Promise<Readonly<Record<string, number>>> {
    return new Promise((resolve, reject) => {
      if (!this.#client) {
        reject(away());
        return;
      }
      this.#client.status({}, {deadline: Date.now() + 5000}, (error, reply) => {
        if (error || !reply)
          reject(new CpmError('CPM_MEDIA_AWAY', 503, 'the MSRP relay does not answer', {cause: error}));
        else resolve(reply.counters);
      });
    });
  }

  async counts(): Promise<readonly RelayCounts[]> {
    const counters = await this.status().catch(() => undefined);
    return [{relay: this.#options.control, counters}];
  }

  close(): Promise<void> {
    this.#closed = true;
    this.#retry?.cancel();
    this.#stream?.close();
    this.#client?.close();
    this.#wake();
    return Promise.resolve();
  }

  #connect(): void {
    const {control, tls, owner, clock, log} = this.#options;
    const client = relayClient(control, tls);
    this.#client = client;
    this.#stream = new Stream({
      client,
      owner,
      epoch: this.#ids.token(),
      clock,
      log,
      onWelcome: ({version, pid}) => {
        log.info({control, version, pid}, 'MSRP relay connected');
        this.#retryMilliseconds = firstRetryMilliseconds;
        this.#set(true);
      },
      onLost: (why) => {
        client.close();
        if (this.#available) log.warn({control, why}, 'MSRP relay lost');
        this.#stream = undefined;
        this.#set(false);
        this.#reconnect();
      },
    });
  }

  #reconnect(): void {
    if (this.#closed) return;
    this.#retry = this.#options.clock.after(this.#retryMilliseconds, () => {
      this.#connect();
    });
    this.#retryMilliseconds = Math.min(lastRetryMilliseconds, 2 * this.#retryMilliseconds);
  }

  #set(available: boolean): void {
    if (available === this.#available) return;
    this.#available = available;
    for (const listener of this.#listeners) listener(available);
    if (available) this.#wake();
  }

  #whenAvailable(milliseconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#available || this.#closed) {
        resolve();
        return;
      }
      const wake = () => {
        timer.cancel();
        resolve();
      };
      const timer = this.#options.clock.after(milliseconds, () => {
        this.#onceAvailable = this.#onceAvailable.filter((each) => each !== wake);
        reject(away());
      });
      this.#onceAvailable.push(wake);
    });
  }

  #wake(): void {
    for (const each of this.#onceAvailable.splice(0)) each();
  }
}

function away(): CpmError {
  return new CpmError('CPM_MEDIA_AWAY', 503, 'the MSRP relay is away');
}
