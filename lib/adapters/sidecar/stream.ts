/** The stream to a relay process: one life of it. It ends once; legs of it end with it. */
import {CpmError} from '../../errors.ts';
import type {Clock} from '../../ports/clock.ts';
import type {LegEnd} from '../../ports/media-plane.ts';
import type {Log} from '../../ports/log.ts';
import {Batcher} from '../../sidecar/contract/batcher.ts';
import type {ClientStream, RelayClient} from '../../sidecar/contract/grpc.ts';
import type {Command, Commands, Event, Events, OpenFailed, Opened, Welcome} from '../../sidecar/contract/messages.ts';
import {SidecarLeg} from './leg.ts';

export interface StreamParts {
  readonly client: RelayClient;
  readonly owner: string;
  readonly epoch: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly onWelcome: (welcome: Welcome) => void;
  readonly onLost: (why: string) => void;
}

export class Stream {
  readonly epoch: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly #parts: StreamParts;
  readonly #stream: ClientStream;
  readonly #commands: Batcher<Command, Commands>;
  readonly #legs = new Map<number, SidecarLeg>();
  readonly #opening = new Map<number, (opened: Opened | OpenFailed | undefined) => void>();
  readonly #pairing = new Map<number, () => void>();
  #count = 0;
  #lost = false;

  constructor(parts: StreamParts) {
    this.#parts = parts;
    this.epoch = parts.epoch;
    this.clock = parts.clock;
    this.log = parts.log;
    this.#stream = parts.client.control();
    this.#commands = new Batcher(this.#stream, (commands) => ({commands}));
    this.#stream.on('data', ({events}: Events) => {
      for (const event of events) this.#on(event);
    });
    const lost = (error?: Error) => {
      this.#onLost(error?.message ?? 'the stream ended');
    };
    this.#stream.on('error', lost);
    this.#stream.on('end', lost);
    this.command({hello: {owner: parts.owner, epoch: parts.epoch}});
  }

  command(command: Command, bytes = 0): void {
    this.#commands.push(command, bytes);
  }

  /** Resolves when there is room for more large commands. */
  ready(): Promise<void> {
    return this.#commands.ready();
  }

  /** Legs that are open, or about to be. */
  get legCount(): number {
    return this.#legs.size + this.#opening.size;
  }

  /** Opens a leg; rejects with `CPM_MEDIA_AWAY` (503) when there is no room, no answer in time, or no stream any more. */
  open(
    options: Omit<Extract<Command, {openLeg: unknown}>['openLeg'], 'leg'>,
    milliseconds: number,
  ): Promise<SidecarLeg> {
    this.#count += 1;
    const leg = this.#count;
    return new Promise((resolve, reject) => {
      const settle = (opened: Opened | OpenFailed | undefined) => {
        timer.cancel();
        this.#opening.delete(leg);
        if (!opened || 'why' in opened) {
          reject(
            opened?.noTransport === true
              ? new CpmError('CPM_MSRP_TRANSPORT', 488, opened.why)
              : new CpmError('CPM_MEDIA_AWAY', 503, 'the MSRP relay opened no session'),
          );
          return;
        }
        const made = new SidecarLeg(this, opened);
        this.#legs.set(leg, made);
        resolve(made);
      };
      const timer = this.clock.after(milliseconds, () => {
        this.command({release: {leg}});
        settle(undefined);
      });
      this.#opening.set(leg, settle);
      if (this.#lost) settle(undefined);
      else this.command({openLeg: {leg, ...options}});
    });
  }

  pair(leg: number, other: number): Promise<number> {
    this.#count += 1;
    const pairing = this.#count;
    return new Promise((resolve) => {
      this.#pairing.set(pairing, () => {
        this.#pairing.delete(pairing);
        resolve(pairing);
      });
      if (this.#lost) this.#pairing.get(pairing)?.();
      else this.command({pair: {pairing, leg, other}});
    });
  }

  /** Ends it for good. */
  close(): void {
    this.#stream.end();
    this.#onLost('closed');
  }

  #on(event: Event): void {
    if ('offer' in event) this.#legs.get(event.offer.leg)?.onOfferEvent(event.offer);
    else if ('sent' in event)
      this.#legs.get(event.sent.leg)?.onSentEvent(event.sent.send, event.sent.status, event.sent.lost);
    else if ('notification' in event) {
      const {leg, contentType, bytes} = event.notification;
      this.#legs.get(leg)?.onNotificationRelayed?.({contentType, bytes});
    } else if ('copy' in event) this.#legs.get(event.copy.leg)?.onCopyEvent(event.copy);
    else if ('flushed' in event) this.#legs.get(event.flushed.leg)?.onFlushedEvent();
    else if ('bound' in event) this.#legs.get(event.bound.leg)?.onBoundEvent();
    else if ('ended' in event) {
      const {leg, why} = event.ended;
      const ended = this.#legs.get(leg);
      this.#legs.delete(leg);
      ended?.onEndEvent(why as LegEnd);
    } else if ('opened' in event) this.#opening.get(event.opened.leg)?.(event.opened);
    else if ('openFailed' in event) this.#opening.get(event.openFailed.leg)?.(event.openFailed);
    else if ('paired' in event) this.#pairing.get(event.paired.pairing)?.();
    else this.#parts.onWelcome(event.welcome);
  }

  #onLost(why: string): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#commands.close();
    this.#stream.on('error', () => undefined);
    this.#stream.cancel();
    const legs = [...this.#legs.values()];
    this.#legs.clear();
    for (const settle of [...this.#opening.values()]) settle(undefined);
    for (const settle of [...this.#pairing.values()]) settle();
    for (const leg of legs) leg.onEndEvent('sidecar-lost');
    this.#parts.onLost(why);
  }
}
