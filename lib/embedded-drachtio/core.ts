/** What the parts of the server share, and the fields of the frames which they send to applications. */
import {randomUUID} from 'node:crypto';
import type {Clock} from '../ports/clock.ts';
import type {App} from './admin.ts';
import {formatTime} from './admin-protocol.ts';
import type {DialogTable} from './dialogs.ts';
import type {Flow} from './flow.ts';
import type {SessionTimers} from './session-timers.ts';
import {formatSipMessage, type SipHeader, type SipMessage, type SipRequest} from '../codecs/sip-message.ts';
import type {SipAddress} from './sip-values.ts';
import type {TimerValues} from './timers.ts';
import type {TransactionLayer} from './transactions.ts';
import type {Transport} from './transport.ts';

export interface Core {
  readonly transport: Transport;
  readonly layer: TransactionLayer;
  readonly clock: Clock;
  readonly timers: TimerValues;
  readonly dialogs: DialogTable;
  readonly sessions: SessionTimers;
  /** The next application for a method, of those with that tag where one is given. */
  readonly pickApp: (method: string, tag?: string) => App | undefined;
  readonly routing: Routing;
  /** Call-IDs of subscriptions of applications that have no answer yet. */
  readonly subscribing: Set<string>;
}

/** Seeks applications for new requests, instead of choosing one that is connected. */
export interface Routing {
  /** Whether it does so for a method. */
  handles(method: string): boolean;
  start(transactionId: string, request: SipRequest, flow: Flow): void;
}

/** A fresh transaction id, as applications see it. */
export const newTransactionId = (): string => randomUUID();

/** Tells an application of a message that came from the network; `extra` stands between the dialog id and the last bar. */
export function tellApp(
  core: Core,
  app: App,
  message: SipMessage,
  from: {readonly flow: Flow | undefined; readonly protocol: string},
  ids: {readonly transactionId: string; readonly dialogId: string},
  extra: readonly string[] = [],
): void {
  const bytes = formatSipMessage(message);
  const remote = from.flow?.remote;
  app.send(
    [
      'sip',
      'network',
      String(remote === undefined ? 0 : bytes.length),
      from.protocol,
      remote?.host ?? '',
      String(remote?.port ?? 0),
      formatTime(core.clock.now()),
      ids.transactionId,
      ids.dialogId,
      ...extra,
      '',
    ],
    bytes,
  );
}

/** Tells an application of a BYE that the server has sent by itself. */
export function tellUnsolicited(core: Core, app: App, bye: SipRequest, target: SipAddress, dialogId: string): void {
  const bytes = formatSipMessage(bye);
  const {host, port} = core.transport.localAddress(target.protocol, target.host);
  const time = formatTime(core.clock.now());
  const fields = [String(bytes.length), target.protocol, host, String(port), time, 'unsolicited', dialogId, ''];
  app.send(['sip', 'application', ...fields], bytes);
}

/** Replies that a request has left: applications build their request and dialog objects from the echo. */
export function replySent(
  core: Core,
  app: App,
  id: string,
  request: SipRequest,
  target: SipAddress,
  transactionId: string,
  held = false,
): void {
  const bytes = formatSipMessage(request);
  // The real server names its own address for UDP and the peer's for TCP.
  const {host, port} = target.protocol === 'udp' ? core.transport.localAddress(target.protocol, target.host) : target;
  const time = formatTime(core.clock.now());
  const length = String(held ? 0 : bytes.length);
  const fields = [length, target.protocol, host, String(port), time, transactionId, 'Msg sent:', ''];
  app.reply(id, ['OK', 'application', ...fields], bytes);
}

/** Name/value pairs as headers. */
export function pairs(...headers: readonly (readonly [name: string, value: string | undefined])[]): SipHeader[] {
  return headers.flatMap(([name, value]) => (value === undefined ? [] : [{name, value}]));
}
