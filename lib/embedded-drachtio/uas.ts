/** Requests that come: to which application they go, what the server answers by itself, and how applications answer. */
import {randomInt} from 'node:crypto';
import {CpmError} from '../errors.ts';
import type {App} from './admin.ts';
import {formatTime, type SipCommand} from './admin-protocol.ts';
import {contentType, headerFromApp, headersFromApp} from './app-message.ts';
import {newTransactionId, pairs, tellApp, type Core} from './core.ts';
import {bodyOf, Dialog, dialogIdOf, endsSubscription, makesDialog} from './dialogs.ts';
import {responseTarget, sipUriOf, type Flow} from './flow.ts';
import {minSessionSeconds, sessionExpiresOf} from './session-timers.ts';
import {
  createResponse,
  formatSipMessage,
  headerKey,
  headerOf,
  headersOf,
  type SipRequest,
  type SipResponse,
} from '../codecs/sip-message.ts';
import {cseqOf, hostPortOf, splitList, tagOf} from './sip-values.ts';
import {TimerSet} from './timers.ts';
import type {Timer} from '../ports/clock.ts';
import type {ServerTransaction} from './transactions.ts';

/** A request which an application has been given. */
interface Pending {
  readonly transactionId: string;
  readonly transaction: ServerTransaction;
  /** `undefined` while one is sought. */
  app: App | undefined;
  /** The dialog to which the request came, `undefined` for a new one. */
  readonly inDialog: Dialog | undefined;
  dialog: Dialog | undefined;
  timer: Timer | undefined;
  acknowledged: boolean;
  reliable: Reliable | undefined;
}

/** The reliable provisional response that was sent last (RFC 3262 §3). */
interface Reliable {
  readonly sequence: number;
  readonly timers: TimerSet;
}

export class Uas {
  readonly #core: Core;
  readonly #pending = new Map<string, Pending>();
  /** Also INVITEs that have their 2xx, whose ACK is still to come. */
  readonly #known = new WeakMap<ServerTransaction, Pending>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** A request that belongs to no dialog of ours. */
  onNewRequest(request: SipRequest, transaction: ServerTransaction): void {
    const {method} = request;
    const toTag = tagOf(request, 'To');
    if (['BYE', 'UPDATE', 'PRACK'].includes(method) || (method === 'INVITE' && toTag !== undefined)) {
      transaction.respond(createResponse(request, 481));
      return;
    }
    if (!newMethods.has(method)) {
      // The real server knows no such request outside of dialogs: there is no answer, and the transaction is forgotten later.
      this.#core.clock.after(128 * this.#core.timers.t1Ms, () => {
        transaction.end();
      });
      return;
    }
    const {routing} = this.#core;
    const routed = routing.handles(method);
    const app = routed ? undefined : this.#core.pickApp(method);
    if (this.#core.dialogs.size >= maxDialogs || (app === undefined && !routed)) {
      transaction.respond(createResponse(request, 503));
      return;
    }
    // A NOTIFY that is faster than the 2xx to its SUBSCRIBE has its 500 before the application sees it.
    const early = method === 'NOTIFY' && this.#core.subscribing.has(headerOf(request, 'Call-ID') ?? '');
    if (early) transaction.respond(createResponse(request, 500));
    const pending = this.#keep(transaction, app, undefined, 128 * this.#core.timers.t1Ms, () => {
      transaction.end();
    });
    if (app !== undefined) this.#offer(pending, app);
    else routing.start(pending.transactionId, request, transaction.flow);
  }

  /** An application was found for a request that waited for one; nothing happens if the caller has gone meanwhile. */
  offer(transactionId: string, app: App): void {
    const pending = this.#pending.get(transactionId);
    if (pending !== undefined) this.#offer(pending, app);
  }

  /** No application is to have the request: this is the answer. */
  refuse(transactionId: string, status: number, reason?: string, contacts: readonly string[] = []): void {
    const transaction = this.#release(transactionId);
    const headers = contacts.map((contact) => ['Contact', contact] as const);
    transaction?.respond(
      createResponse(transaction.request, status, {...(reason === undefined ? {} : {reason}), headers}),
    );
  }

  /** A request within a dialog. */
  onDialogRequest(request: SipRequest, transaction: ServerTransaction, dialog: Dialog): void {
    const {method} = request;
    if (method === 'BYE' && !dialog.confirmed && dialog.role === 'uas') {
      transaction.respond(createResponse(request, 481));
      this.#endDialog(dialog);
      return;
    }
    if (method === 'PRACK' && !this.#acknowledges(request, dialog)) {
      // The real server neither answers nor hands on what acknowledges nothing.
      this.#core.clock.after(64 * this.#core.timers.t1Ms, () => {
        transaction.end();
      });
      return;
    }
    if (method === 'BYE') this.#endDialog(dialog);
    if (!dialog.app.connected) {
      transaction.respond(createResponse(request, 481));
      return;
    }
    const renews = method === 'INVITE' || method === 'UPDATE';
    if (renews && (sessionExpiresOf(request)?.seconds ?? minSessionSeconds) < minSessionSeconds) {
      transaction.respond(createResponse(request, 422, {headers: [['Min-SE', String(minSessionSeconds)]]}));
      return;
    }
    if (['INVITE', 'UPDATE', 'SUBSCRIBE', 'NOTIFY'].includes(method)) dialog.refreshTarget(request, transaction.flow);
    if (method === 'NOTIFY' && dialog.method === 'SUBSCRIBE' && dialog.role === 'uac' && endsSubscription(request)) {
      transaction.respond(createResponse(request, 500));
      this.#endDialog(dialog);
    }
    const wait = (method === 'INVITE' ? 128 : 64) * this.#core.timers.t1Ms;
    const pending = this.#keep(transaction, dialog.app, dialog, wait, () => {
      transaction.respond(createResponse(request, 500));
    });
    this.#tell(pending, request, dialog.id);
  }

  /** The ACK to a 2xx of an application. */
  onAck(ack: SipRequest, transaction: ServerTransaction, flow: Flow): void {
    const pending = this.#known.get(transaction);
    if (pending?.app === undefined) return;
    // Only the first ACK of a new call is known by the INVITE's transaction.
    const known = pending.inDialog === undefined && !pending.acknowledged;
    pending.acknowledged = true;
    const ids = {
      transactionId: known ? pending.transactionId : newTransactionId(),
      dialogId: pending.dialog?.id ?? dialogIdOf(ack),
    };
    tellApp(this.#core, pending.app, ack, {flow, protocol: ''}, ids);
  }

  /** The peer takes his INVITE back. */
  onCancel(cancel: SipRequest, transaction: ServerTransaction): void {
    transaction.respond(createResponse(transaction.request, 487));
    const pending = this.#known.get(transaction);
    if (pending === undefined) return;
    // A call that is still without application is handed to the one that comes, dead as it is.
    if (pending.app !== undefined) this.#forget(pending);
    if (pending.inDialog !== undefined) return;
    if (pending.dialog !== undefined) this.#core.dialogs.remove(pending.dialog);
    this.#tell(pending, cancel, pending.dialog?.id ?? '');
  }

  /** The dialog whose 2xx was never acknowledged. */
  dialogOf(transaction: ServerTransaction): Dialog | undefined {
    return this.#known.get(transaction)?.dialog;
  }

  /** Gives a request away, to be proxied. Throws `CpmError` with the sentence of a NOK where it is unknown or answered. */
  take(transactionId: string): ServerTransaction {
    const transaction = this.#release(transactionId);
    if (transaction !== undefined) return transaction;
    throw new CpmError('CPM_ADMIN_REFUSED', 400, 'unable to proxy unknown transaction');
  }

  #release(transactionId: string): ServerTransaction | undefined {
    const pending = this.#pending.get(transactionId);
    if (pending === undefined || pending.transaction.answered) return undefined;
    this.#forget(pending);
    this.#known.delete(pending.transaction);
    return pending.transaction;
  }

  /** An application answers. Throws `CpmError` where the answer can't be made of what it wrote. */
  respond(app: App, command: SipCommand, response: SipResponse): void {
    const pending = this.#pending.get(command.transactionId ?? '');
    if (pending === undefined || pending.transaction.answered) {
      app.reply(command.id, ['NOK', 'Response not sent due to unknown transaction']);
      return;
    }
    const {transaction} = pending;
    const sent = transaction.respond(this.#complete(pending, response));
    if (sent.status >= 200) pending.reliable?.timers.stop();
    else this.#repeat(pending, sent);
    if (sent.status >= 200) this.#forget(pending);
    else pending.timer?.cancel();
    this.#advanceDialog(app, pending, sent);
    this.#echo(app, command.id, pending, sent);
  }

  #offer(pending: Pending, app: App): void {
    const {request, flow} = pending.transaction;
    pending.app = app;
    this.#tell(pending, request, '', [flow.local.host, String(flow.local.port)]);
  }

  /** The response as it leaves: the request's identity, the application's headers, and what is filled in. */
  #complete(pending: Pending, response: SipResponse): SipResponse {
    const {request, flow} = pending.transaction;
    const inDialog = pending.inDialog !== undefined;
    const {status} = response;
    const local = this.#core.transport.localAddress(flow.remote.protocol, flow.remote.host);
    const localhost = hostPortOf(local);
    const success = status >= 200 && status < 300;
    const reliable = request.method === 'INVITE' && status < 200 && headersOf(response, 'Require').includes('100rel');
    const again = inDialog && request.method === 'INVITE' && status >= 200;
    const hasContact = reliable || again || (success && makesDialog(request.method));
    const ownContact = pending.inDialog?.localContact ?? `<${sipUriOf(local)}>`;
    const contact = headerFromApp(response, 'Contact', localhost) ?? (hasContact ? ownContact : undefined);
    const base = createResponse(request, status, {reason: response.reason, body: response.body});
    // Whoever chooses the tag of a new call writes the whole To.
    const chosen = tagOf(request, 'To') === undefined && tagOf(response, 'To') !== undefined;
    const to = chosen ? headerFromApp(response, 'To', localhost) : undefined;
    const headers = base.headers.flatMap(({name, value}) => {
      if (headerKey(name) === 'to' && to !== undefined) return [{name, value: to}];
      return name === 'Record-Route' ? splitList(value).map((one) => ({name, value: one})) : [{name, value}];
    });
    const written = ['from', 'to', 'call-id', 'cseq', 'contact', 'content-type'];
    return {
      ...base,
      headers: [
        ...headers,
        ...pairs(
          ['Contact', contact],
          ['RSeq', reliable ? String((pending.reliable?.sequence ?? randomInt(1, 0x7fffffff)) + 1) : undefined],
          ['Session-Expires', success && !inDialog ? sessionEcho(request, response) : undefined],
        ),
        ...headersFromApp(response, written, localhost),
        ...contentType(response),
      ],
    };
  }

  /** Repeats a reliable provisional response until its PRACK comes (RFC 3262 §3). */
  #repeat(pending: Pending, sent: SipResponse): void {
    const sequence = headerOf(sent, 'RSeq');
    if (sequence === undefined) return;
    const {clock, timers: values, transport} = this.#core;
    const timers = new TimerSet(clock);
    const {flow} = pending.transaction;
    const again = (ms: number): void => {
      if (ms > 64 * values.t1Ms) return;
      timers.after(ms, () => {
        transport.send(sent, responseTarget(sent, flow)).catch(() => undefined);
        again(2 * ms);
      });
    };
    again(values.t1Ms);
    pending.reliable?.timers.stop();
    pending.reliable = {sequence: Number(sequence), timers};
  }

  /** Whether a PRACK names the reliable response that was sent last; that one is not repeated any more. */
  #acknowledges(prack: SipRequest, dialog: Dialog): boolean {
    const [pending] = [...this.#pending.values()].filter((one) => one.dialog === dialog && one.reliable !== undefined);
    const match = /^(\d+)\s+(\d+)\s+INVITE$/.exec(headerOf(prack, 'RAck') ?? '');
    if (pending?.reliable === undefined || match === null) return false;
    const matches =
      Number(match[1]) === pending.reliable.sequence &&
      Number(match[2]) === cseqOf(pending.transaction.request)?.number;
    if (matches) pending.reliable.timers.stop();
    return matches;
  }

  #advanceDialog(app: App, pending: Pending, sent: SipResponse): void {
    const {request, flow} = pending.transaction;
    const success = sent.status >= 200 && sent.status < 300;
    const {dialogs, sessions} = this.#core;
    if (pending.inDialog !== undefined) {
      if (success && (request.method === 'INVITE' || request.method === 'UPDATE')) {
        sessions.restart(pending.inDialog, sent, 'uas');
        if (request.method === 'INVITE') pending.inDialog.localBody = bodyOf(sent);
      }
    } else if (makesDialog(request.method) && sent.status > 100 && sent.status < 300) {
      if (pending.dialog !== undefined) dialogs.remove(pending.dialog);
      const dialog = Dialog.ofServer(request, sent, flow, pending.app ?? app);
      dialog.localCseq = pending.dialog?.localCseq ?? dialog.localCseq;
      dialog.confirmed = success;
      pending.dialog = dialog;
      dialogs.add(dialog);
      if (success && request.method === 'INVITE') sessions.restart(dialog, sent, 'uas');
    } else if (sent.status >= 300 && pending.dialog !== undefined) dialogs.remove(pending.dialog);
  }

  #echo(app: App, id: string, pending: Pending, sent: SipResponse): void {
    const {request, flow} = pending.transaction;
    const bytes = formatSipMessage(sent);
    const {host, port} = flow.remote;
    const dialogId = pending.inDialog?.id ?? (makesDialog(request.method) ? dialogIdOf(request) : undefined);
    const fields = [
      String(bytes.length),
      request.method === 'INVITE' ? flow.remote.protocol : '',
      host,
      String(port),
      formatTime(this.#core.clock.now()),
      pending.transactionId,
      // The dialog is gone with its BYE: the echo of the answer names none.
      request.method === 'BYE' ? '' : (dialogId ?? ''),
      '',
      'Msg sent:',
      '',
    ];
    app.reply(id, ['OK', 'application', ...fields], bytes);
  }

  #endDialog(dialog: Dialog): void {
    this.#core.dialogs.remove(dialog);
    this.#core.sessions.stop(dialog);
    // The real server loses the whole leg with the BYE: what else waits in it is answered 500.
    for (const pending of this.#pending.values()) {
      if (pending.dialog !== dialog || pending.transaction.answered) continue;
      pending.reliable?.timers.stop();
      this.#forget(pending);
      pending.transaction.respond(createResponse(pending.transaction.request, 500));
    }
  }

  #keep(
    transaction: ServerTransaction,
    app: App | undefined,
    inDialog: Dialog | undefined,
    ms: number,
    unanswered: () => void,
  ): Pending {
    const pending: Pending = {
      transactionId: newTransactionId(),
      transaction,
      app,
      inDialog,
      dialog: inDialog,
      timer: undefined,
      acknowledged: false,
      reliable: undefined,
    };
    this.#known.set(transaction, pending);
    if (transaction.answered) return pending;
    this.#pending.set(pending.transactionId, pending);
    pending.timer = this.#core.clock.after(ms, () => {
      this.#forget(pending);
      if (!transaction.answered) unanswered();
    });
    return pending;
  }

  #forget(pending: Pending): void {
    pending.timer?.cancel();
    pending.reliable?.timers.stop();
    this.#pending.delete(pending.transactionId);
  }

  #tell(pending: Pending, request: SipRequest, dialogId: string, extra: readonly string[] = []): void {
    if (pending.app === undefined) return;
    const {flow} = pending.transaction;
    const from = {flow, protocol: flow.remote.protocol};
    tellApp(this.#core, pending.app, request, from, {transactionId: pending.transactionId, dialogId}, extra);
  }
}

/** What can be new: other methods are not known outside of dialogs, as by the real server. */
const newMethods = new Set(['INVITE', 'REGISTER', 'MESSAGE', 'OPTIONS', 'INFO', 'NOTIFY', 'SUBSCRIBE', 'PUBLISH']);

/** Dialogs held at once; new requests beyond it get 503. */
const maxDialogs = 20_000;

/** Session-Expires for a 2xx: what was offered with a refresher, at least the minimum, unless the application said its own. */
function sessionEcho(request: SipRequest, response: SipResponse): string | undefined {
  const offered = sessionExpiresOf(request);
  if (request.method !== 'INVITE' || offered?.refresher === undefined) return undefined;
  if (headerOf(response, 'Session-Expires') !== undefined) return undefined;
  return `${Math.max(minSessionSeconds, offered.seconds)};refresher=${offered.refresher}`;
}
