/** A leg as the PF holds it: commands out, events in, nothing of the relay process but its contract. */
import {CpmError} from '../../errors.ts';
import type {
  Leg,
  LegEnd,
  LegTerms,
  OfferedMessage,
  OutgoingMessage,
  Pairing,
  RemoteMedia,
  SendOutcome,
  Verdict,
} from '../../ports/media-plane.ts';
import {partBytes, type Copy, type Offer, type Opened} from '../../sidecar/contract/messages.ts';
import {admits} from './admission.ts';
import type {Stream} from './stream.ts';

/** Octets of messages that one leg has handed to the relay and that are not answered: what is beyond waits here, where it is anyway. */
const windowBytes = 4 * 1024 * 1024;

interface Sending {
  readonly send: number;
  readonly message: OutgoingMessage;
  readonly done: (outcome: SendOutcome) => void;
}

export class SidecarLeg implements Leg {
  readonly id: string;
  readonly uri: string;
  readonly path: readonly string[];
  readonly address: Leg['address'];
  readonly terms: LegTerms;
  onNotificationRelayed: ((message: OutgoingMessage) => void) | undefined;
  onRelayed: ((message: OutgoingMessage) => Promise<void>) | undefined;
  readonly #number: number;
  readonly #stream: Stream;
  #onMessage: ((message: OfferedMessage) => Promise<Verdict>) | undefined;
  #onEnd: ((end: LegEnd) => void) | undefined;
  /** Parts of the message that is just coming, and one that came before anybody wanted to know. */
  #parts: Offer[] = [];
  #copyParts: Copy[] = [];
  #early: (() => void) | undefined;
  #remote: RemoteMedia | undefined;
  #bound = false;
  #end: LegEnd | undefined;
  #onceBound: ((bound: boolean) => void)[] = [];
  #onceReleased: (() => void)[] = [];
  #onceFlushed: (() => void)[] = [];
  #sendCount = 0;
  readonly #waiting: Sending[] = [];
  readonly #sent = new Map<number, Sending>();
  #sentBytes = 0;
  #isPumping = false;

  constructor(stream: Stream, opened: Opened) {
    this.#stream = stream;
    this.#number = opened.leg;
    this.id = `${stream.epoch}/${opened.leg}`;
    this.path = opened.path;
    this.uri = opened.path.at(-1) ?? '';
    this.address = {host: opened.host, port: opened.port, family: opened.family === 6 ? 6 : 4};
    const {fingerprint, hasAuthority, setup, cema} = opened;
    this.terms = {
      transport: /^msrps:/i.test(opened.path[0] ?? '') ? 'tls' : 'tcp',
      fingerprint: fingerprint === '' ? undefined : fingerprint,
      hasAuthority,
      setup: setup as LegTerms['setup'],
      cema,
    };
  }

  get number(): number {
    return this.#number;
  }

  get onMessage(): ((message: OfferedMessage) => Promise<Verdict>) | undefined {
    return this.#onMessage;
  }
  set onMessage(listener) {
    this.#onMessage = listener;
    const early = listener && this.#early;
    if (!early) return;
    this.#early = undefined;
    early();
  }

  get onEnd(): ((end: LegEnd) => void) | undefined {
    return this.#onEnd;
  }
  set onEnd(listener) {
    this.#onEnd = listener;
  }

  connect(remote: RemoteMedia): void {
    if (this.#end !== undefined) return;
    this.#remote = remote;
    const {path, address, fingerprints = [], connection, chunks} = remote;
    this.#stream.command({
      connect: {
        leg: this.#number,
        path,
        active: connection === 'active',
        // Not every relay on the way takes frames of any length, and it is not the peer who says so.
        explicitChunks: chunks === 'explicit' || this.path.length > 1,
        host: address?.host ?? '',
        port: address?.port ?? 0,
        fingerprints,
      },
    });
  }

  bound(milliseconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (bound: boolean) => {
        timer.cancel();
        if (bound) resolve();
        else reject(this.#notBound());
      };
      const timer = this.#stream.clock.after(milliseconds, () => {
        this.#onceBound = this.#onceBound.filter((each) => each !== settle);
        settle(false);
      });
      if (this.#bound || this.#end !== undefined) settle(this.#bound && this.#end === undefined);
      else this.#onceBound.push(settle);
    });
  }

  send(message: OutgoingMessage): Promise<SendOutcome> {
    const refused = this.#remote && admits(this.#remote, message);
    if (this.#end !== undefined) return Promise.resolve({kind: 'lost'});
    if (refused) return Promise.resolve({kind: 'not-admitted', why: refused});
    return new Promise((done) => {
      this.#sendCount += 1;
      this.#waiting.push({send: this.#sendCount, message, done});
      void this.#pump();
    });
  }

  copied(): Promise<void> {
    if (this.#end !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onceFlushed.push(resolve);
      this.#stream.command({flush: {leg: this.#number}});
    });
  }

  refuse(): void {
    if (this.#end === undefined) this.#stream.command({refuse: {leg: this.#number}});
  }

  hold(): void {
    if (this.#end === undefined) this.#stream.command({hold: {leg: this.#number}});
  }

  release(): Promise<void> {
    if (this.#end !== undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onceReleased.push(resolve);
      if (this.#onceReleased.length === 1) this.#stream.command({release: {leg: this.#number}});
    });
  }

  async pair(other: Leg): Promise<Pairing> {
    if (this.#end !== undefined || !(other instanceof SidecarLeg))
      return {open: () => undefined, undo: () => undefined};
    const stream = this.#stream;
    const pairing = await stream.pair(this.#number, other.number);
    return {
      open: () => {
        stream.command({openGate: {pairing}});
      },
      undo: () => {
        stream.command({unpair: {pairing}});
      },
    };
  }

  #notBound(): CpmError {
    return this.#end === 'not-authentic'
      ? new CpmError('CPM_MEDIA_NOT_AUTHENTIC', 403, 'the peer has not the certificate that its description announced')
      : new CpmError('CPM_MEDIA_NOT_BOUND', 408, 'the peer did not open its MSRP session');
  }

  // ---- what the relay says ----

  onBoundEvent(): void {
    this.#bound = true;
    this.#settleBound(true);
  }

  onOfferEvent(part: Offer): void {
    this.#parts.push(part);
    if (!part.last) return;
    const parts = this.#parts;
    const [first = part] = parts;
    this.#parts = [];
    const message: OfferedMessage = {
      contentType: first.contentType,
      bytes: whole(parts),
      messageId: first.messageId,
      why: first.undelivered ? 'undelivered' : 'held',
      status: first.status === 0 ? undefined : first.status,
    };
    const hand = () => void this.#hand(part.offer, message);
    if (this.#onMessage) hand();
    else this.#early = hand;
  }

  onCopyEvent(part: Copy): void {
    this.#copyParts.push(part);
    if (!part.last) return;
    const parts = this.#copyParts;
    const [{contentType} = part] = parts;
    this.#copyParts = [];
    void this.#copy(part.copy, {contentType, bytes: whole(parts)});
  }

  /** One answer to each flush, in order. */
  onFlushedEvent(): void {
    this.#onceFlushed.shift()?.();
  }

  onSentEvent(send: number, status: number, lost: boolean): void {
    const sending = this.#sent.get(send);
    if (!sending) return;
    this.#sent.delete(send);
    this.#sentBytes -= sending.message.bytes.length;
    sending.done(status > 0 ? {kind: 'answered', status} : {kind: lost ? 'lost' : 'silent'});
    if (this.#waiting.length > 0) void this.#pump();
  }

  /** The leg is no more. */
  onEndEvent(end: LegEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#settleBound(false);
    for (const sending of [...this.#sent.values(), ...this.#waiting.splice(0)]) sending.done({kind: 'lost'});
    this.#sent.clear();
    for (const each of [...this.#onceReleased.splice(0), ...this.#onceFlushed.splice(0)]) each();
    this.#onEnd?.(end);
  }

  async #hand(offer: number, message: OfferedMessage): Promise<void> {
    const verdict = await this.#judge(message);
    const status = verdict === 'accepted' ? 200 : verdict;
    if (this.#end === undefined) this.#stream.command({verdict: {leg: this.#number, offer, status}});
  }

  async #copy(copy: number, message: OutgoingMessage): Promise<void> {
    try {
      await this.onRelayed?.(message);
    } catch (error) {
      this.#stream.log.error({leg: this.id, error}, 'a copy of a relayed message could not be taken');
    }

    if (this.#end === undefined) this.#stream.command({copied: {leg: this.#number, copy}});
  }

  async #judge(message: OfferedMessage): Promise<Verdict> {
    try {
      return (await this.#onMessage?.(message)) ?? 481;
    } catch (error) {
      this.#stream.log.error({leg: this.id, error}, 'a held message could not be taken');
      return 408;
    }
  }

  #settleBound(bound: boolean): void {
    for (const each of this.#onceBound.splice(0)) each(bound);
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    while (this.#waiting.length > 0 && (this.#sentBytes < windowBytes || this.#sent.size === 0)) {
      const sending = this.#waiting.shift();
      if (!sending) break;
      this.#sent.set(sending.send, sending);
      this.#sentBytes += sending.message.bytes.length;
      await this.#write(sending);
    }
    this.#isPumping = false;
  }

  async #write({send, message}: Sending): Promise<void> {
    const {bytes} = message;
    for (let at = 0; at === 0 || at < bytes.length; at += partBytes) {
      const part = bytes.subarray(at, at + partBytes);
      const contentType = at === 0 ? message.contentType : '';
      const last = at + part.length >= bytes.length;
      this.#stream.command({send: {leg: this.#number, send, contentType, bytes: part, last}}, part.length);
      if (!last) await this.#stream.ready();
    }
  }
}

const whole = (parts: readonly {readonly bytes: Buffer}[]): Buffer => {
  const [only] = parts;
  return only !== undefined && parts.length === 1 ? only.bytes : Buffer.concat(parts.map(({bytes}) => bytes));
};
