/** One life of a PF: its stream, its legs by number, its commands carried out, what happens told to it. */
import {Batcher} from './contract/batcher.ts';
import type {ServerStream} from './contract/grpc.ts';
import {partBytes, type Command, type Event, type Events} from './contract/messages.ts';
import {CpmError} from '../errors.ts';
import {familyOf, type Exchange} from './exchange.ts';
import type {Owner, SendResult, SessionEnd} from './owner.ts';
import type {Relay} from './relay.ts';
import type {Session} from './session.ts';
import type {Transfer} from './transfer.ts';

export class Channel implements Owner {
  readonly owner: string;
  readonly epoch: string;
  readonly #exchange: Exchange;
  readonly #stream: ServerStream;
  readonly #events: Batcher<Event, Events>;
  readonly #sessions = new Map<number, Session>();
  readonly #legs = new Map<Session, number>();
  readonly #pairings = new Map<number, Relay>();
  /** Messages of the PF of which not all parts are here. */
  readonly #sends = new Map<string, {readonly contentType: string; readonly parts: Uint8Array[]}>();

  constructor(exchange: Exchange, stream: ServerStream, hello: {readonly owner: string; readonly epoch: string}) {
    this.#exchange = exchange;
    this.#stream = stream;
    this.owner = hello.owner;
    this.epoch = hello.epoch;
    this.#events = new Batcher(stream, (events) => ({events}));
  }

  tell(event: Event, bytes = 0): void {
    this.#events.push(event, bytes);
  }

  /** Carries out one command; one for a leg that is no more does nothing. */
  do(command: Command): void {
    if ('openLeg' in command) this.#open(command.openLeg);
    else if ('connect' in command) {
      const {leg, host, port, ...remote} = command.connect;
      this.#sessions.get(leg)?.connect({...remote, address: host === '' ? undefined : {host, port}});
    } else if ('send' in command) this.#send(command.send);
    else if ('verdict' in command) {
      const {leg, offer, status} = command.verdict;
      this.#sessions.get(leg)?.offers.verdict(offer, status);
    } else if ('hold' in command) {
      const session = this.#sessions.get(command.hold.leg);
      if (session) this.#exchange.unpairAll(session);
      session?.inbox.holdAll();
    } else if ('refuse' in command) this.#sessions.get(command.refuse.leg)?.inbox.refuseAll();
    else if ('release' in command) this.#release(command.release.leg);
    else if ('pair' in command) this.#pair(command.pair);
    else if ('copied' in command) this.#sessions.get(command.copied.leg)?.copies?.taken(command.copied.copy);
    else if ('flush' in command) this.#flush(command.flush.leg);
    else if ('openGate' in command) this.#pairings.get(command.openGate.pairing)?.open();
    else if ('unpair' in command) {
      const relay = this.#pairings.get(command.unpair.pairing);
      this.#pairings.delete(command.unpair.pairing);
      if (relay) this.#exchange.unpair(relay, undefined);
    }
  }

  #open({leg, ...options}: Extract<Command, {openLeg: unknown}>['openLeg']): void {
    try {
      const {session, address, terms} = this.#exchange.openSession(this, options);
      session.label = `${this.epoch}/${leg}`;
      this.#sessions.set(leg, session);
      this.#legs.set(session, leg);
      this.#exchange.join(options.side, session, (joined) => {
        if (joined)
          this.tell({opened: {leg, path: session.path, ...address, family: familyOf(address.host), ...terms}});
        else {
          const why = 'the relay that this side goes through gave no path';
          this.tell({openFailed: {leg, why, noTransport: false}});
          session.close();
        }
      });
    } catch (error) {
      if (!(error instanceof CpmError)) throw error;
      this.tell({openFailed: {leg, why: error.message, noTransport: error.code === 'CPM_MSRP_TRANSPORT'}});
    }
  }

  #flush(leg: number): void {
    const flushed = () => {
      this.tell({flushed: {leg}});
    };
    const copies = this.#sessions.get(leg)?.copies;
    if (copies) copies.onceEmpty(flushed);
    else flushed();
  }

  #release(leg: number): void {
    const session = this.#sessions.get(leg);
    if (session) session.end('released');
    else this.tell({ended: {leg, why: 'released'}});
  }

  #send({leg, send, contentType, bytes, last}: Extract<Command, {send: unknown}>['send']): void {
    const key = `${leg}/${send}`;
    const message = this.#sends.get(key) ?? {contentType, parts: []};
    message.parts.push(bytes);
    if (!last) {
      this.#sends.set(key, message);
      return;
    }
    this.#sends.delete(key);
    const [first] = message.parts;
    const whole = message.parts.length === 1 && Buffer.isBuffer(first) ? first : Buffer.concat(message.parts);
    const session = this.#sessions.get(leg);
    if (session) session.sender.send(send, message.contentType, whole);
    else this.tell({sent: {leg, send, status: 0, lost: true}});
  }

  /** The answer comes after every message that was offered before. A leg that is no more has nothing to relay. */
  #pair({pairing, leg, other}: Extract<Command, {pair: unknown}>['pair']): void {
    const one = this.#sessions.get(leg);
    const two = this.#sessions.get(other);
    if (one && two && one !== two && !one.ending && !two.ending) {
      this.#pairings.set(pairing, this.#exchange.pair(one, two));
    }
    this.tell({paired: {pairing}});
  }

  // ---- what happens ----

  bound(session: Session): void {
    this.#about(session, (leg) => ({bound: {leg}}));
  }

  ended(session: Session, why: SessionEnd): void {
    this.#about(session, (leg) => ({ended: {leg, why}}));
    const leg = this.#legs.get(session);
    this.#legs.delete(session);
    if (leg !== undefined) this.#sessions.delete(leg);
    for (const [pairing, relay] of this.#pairings) {
      if (relay.source === session || relay.target === session) this.#pairings.delete(pairing);
    }
  }

  sent(session: Session, send: number, result: SendResult): void {
    const status = typeof result === 'number' ? result : 0;
    this.#about(session, (leg) => ({sent: {leg, send, status, lost: result === 'lost'}}));
  }

  notification(session: Session, contentType: string, bytes: Buffer): void {
    this.#about(session, (leg) => ({notification: {leg, contentType, bytes}}), bytes.length);
  }

  offer(session: Session, offer: number, transfer: Transfer): void {
    const leg = this.#legs.get(session);
    if (leg === undefined) return;
    const {contentType, messageId, forwarded, status} = transfer;
    const about = {contentType, messageId, undelivered: forwarded, status: status ?? 0};
    void this.#tellParts(transfer, (part, first) => ({
      offer: {leg, offer, ...(first ? about : noText), ...part},
    })).catch(() => {
      // The spool failed: the sender keeps the message.
      session.offers.verdict(offer, 413);
    });
  }

  copy(session: Session, copy: number, transfer: Transfer): void {
    const leg = this.#legs.get(session);
    if (leg === undefined) return;
    const {contentType} = transfer;
    void this.#tellParts(transfer, (part, first) => ({
      copy: {leg, copy, contentType: first ? contentType : '', ...part},
    })).catch((error: unknown) => {
      this.#exchange.log.warn({leg: session.label, error}, 'a relayed message cannot be copied for its record');
      session.copies?.taken(copy);
    });
  }

  /** Small messages go out at once, so that what is told later comes later. */
  async #tellParts(
    transfer: Transfer,
    eventOf: (part: {readonly bytes: Buffer; readonly last: boolean}, first: boolean) => Event,
  ): Promise<void> {
    const {total = 0, spool, settled} = transfer;
    let at = 0;
    do {
      const reading = spool.read(at, Math.min(partBytes, total - at));
      const bytes = reading instanceof Promise ? await reading : reading;
      const first = at === 0;
      at += bytes.length;
      this.tell(eventOf({bytes, last: at >= total}, first), bytes.length);
      if (at < total) await this.#events.ready();
    } while (at < total && transfer.settled === settled);
  }

  #about(session: Session, event: (leg: number) => Event, bytes = 0): void {
    const leg = this.#legs.get(session);
    if (leg !== undefined) this.tell(event(leg), bytes);
  }

  // ---- end ----

  /** The PF is gone. What cannot do without it ends at once; the relayed pairs, which can for a while, are returned. */
  close(): readonly Session[] {
    this.#events.close();
    this.#stream.end();
    const sessions = [...this.#sessions.values()];
    for (const session of sessions) {
      session.owner = undefined;
      session.copies?.release();
    }
    const pairs = sessions.filter((each) => each.relay?.isOpen && each.relay.target.relay?.isOpen);
    for (const session of sessions) if (!pairs.includes(session)) session.close(true);
    return pairs;
  }
}

const noText = {contentType: '', messageId: '', undelivered: false, status: 0};
