/** Requests that applications send: new ones, requests within dialogs, CANCEL and ACK, and the responses that come back. */
import {randomInt, randomUUID} from 'node:crypto';
import {CpmError} from '../errors.ts';
import type {App} from './admin.ts';
import type {SipCommand} from './admin-protocol.ts';
import {contentType, headerFromApp, headersFromApp, splitUriHeaders, startLineOf} from './app-message.ts';
import {newTransactionId, pairs, replySent, tellApp, tellUnsolicited, type Core} from './core.ts';
import {bodyOf, contactMethods, Dialog, dialogIdOf, endsSubscription, makesDialog} from './dialogs.ts';
import {sipUriOf, type Flow} from './flow.ts';
import {minSessionSeconds} from './session-timers.ts';
import {
  headerKey,
  headerOf,
  headersOf,
  type SipHeader,
  type SipRequest,
  type SipResponse,
} from '../codecs/sip-message.ts';
import {
  addressOfUri,
  cseqOf,
  hostPortOf,
  nextHopOf,
  parseNameAddr,
  parseSipUri,
  tagOf,
  type SipAddress,
} from './sip-values.ts';
import type {ClientTransaction} from './transactions.ts';

/** An INVITE of an application that has no final response yet. */
interface Calling {
  readonly transaction: ClientTransaction;
  cancelled: boolean;
}

export class Uac {
  readonly #core: Core;
  readonly #calling = new Map<string, Calling>();

  constructor(core: Core) {
    this.#core = core;
  }

  /** Sends a request of an application, by the ids it named. Throws `CpmError` with the sentence of a NOK. */
  send(app: App, command: SipCommand, request: SipRequest): void {
    if (command.dialogId !== undefined) {
      const dialog = this.#core.dialogs.byId(command.dialogId);
      if (request.method === 'ACK') this.#sendAck(app, command, request, dialog);
      else if (dialog === undefined) throw refused('Server error: unable to find dialog for dialog id provided');
      else this.#sendInDialog(app, command, request, dialog);
    } else if (command.transactionId !== undefined) this.#cancel(app, command, request);
    else this.#sendNew(app, command, request);
  }

  /** Ends a dialog by the server's own decision; its application is told. */
  bye(dialog: Dialog, text: string): void {
    this.#remove(dialog);
    try {
      const headers = pairs(['Reason', `SIP;cause=200;text="${text}"`]);
      const target = dialog.target();
      const {request} = this.#core.layer.request(this.#inDialog(dialog, 'BYE', headers), target, {
        onResponse: () => undefined,
      });
      tellUnsolicited(this.#core, dialog.app, request, target, dialog.id);
    } catch (error) {
      if (!(error instanceof CpmError)) throw error;
    }
  }

  /** Refreshes a session (RFC 4028 §10) with the body we sent last; the application sees nothing of it unless it fails. */
  refresh(dialog: Dialog, seconds: number): void {
    const failed = (): void => {
      this.bye(dialog, 'Session timer expired');
    };
    try {
      const target = dialog.target();
      const {headers: type, body} = dialog.localBody;
      const headers = pairs(
        ['Contact', dialog.localContact],
        ['Session-Expires', `${seconds};refresher=uac`],
        ['Min-SE', String(minSessionSeconds)],
      );
      const invite = {...this.#inDialog(dialog, 'INVITE', [...headers, ...type]), body};
      this.#core.layer.request(invite, target, {
        onResponse: (response) => {
          if (response.status >= 300) failed();
          if (response.status < 200 || response.status >= 300) return;
          this.#core.layer.sendAck(this.#inDialog(dialog, 'ACK', [], cseqOf(invite)?.number), target);
          this.#core.sessions.restart(dialog, response, 'uac');
        },
      });
    } catch (error) {
      if (!(error instanceof CpmError)) throw error;
      failed();
    }
  }

  #sendNew(app: App, command: SipCommand, message: SipRequest): void {
    const {uri, headers: uriHeaders} = splitUriHeaders(message.uri);
    if (parseSipUri(uri) === undefined) throw refused(`invalid request-uri: ${startLineOf(command.message)}`);
    const [callId] = headersOf(message, 'Call-ID');
    const dialog = callId === undefined ? undefined : this.#core.dialogs.byCallId(callId);
    if (dialog !== undefined) {
      this.#sendInDialog(app, command, message, dialog);
      return;
    }
    // The real server makes the To of the Request-URI, which it can't with headers in it.
    if (message.uri !== uri && headersOf(message, 'To').length === 0) throw refused('Error creating leg');
    const bare = {...message, uri};
    const target = this.#target(bare, uriHeaders, command.proxyUri);
    if (this.#core.transport.isOwn(target.host, target.port)) throw refused('can not send request to myself');
    this.#start(app, command, this.#complete(bare, uriHeaders, target), target, undefined);
  }

  #target(request: SipRequest, uriHeaders: readonly SipHeader[], proxyUri: string | undefined): SipAddress {
    if (proxyUri === undefined) return nextHopOf({...request, headers: uriHeaders});
    // Without brackets its parameters are the URI's own, the transport above all.
    const uri = proxyUri.includes('<') ? parseNameAddr(proxyUri).uri : proxyUri;
    return addressOfUri(/^sips?:/i.test(uri) ? uri : `sip:${uri}`);
  }

  /** A new request as it leaves: what the application may set, and what is filled in. */
  #complete(message: SipRequest, uriHeaders: readonly SipHeader[], target: SipAddress): SipRequest {
    const {layer, transport} = this.#core;
    const local = transport.localAddress(target.protocol, target.host);
    const localhost = hostPortOf(local);
    const contact = `<${sipUriOf(local)}>`;
    const from = headerFromApp(message, 'From', localhost) ?? contact;
    const [cseq] = headersOf(message, 'CSeq');
    const number = /^\d{1,10}/.exec(cseq ?? '')?.[0] ?? String(randomInt(100_000_000, 200_000_000));
    const routes = uriHeaders.filter((header) => headerKey(header.name) === 'route');
    const others = uriHeaders.filter((header) => headerKey(header.name) !== 'route');
    const given = headersFromApp({...message, headers: [...message.headers, ...others]}, filledIn, localhost);
    const ownContact = makesDialog(message.method) ? contact : undefined;
    return {
      ...message,
      headers: [
        ...routes,
        ...pairs(
          ['Max-Forwards', headerFromApp(message, 'Max-Forwards', localhost) ?? '70'],
          ['From', parseNameAddr(from).params.has('tag') ? from : `${from};tag=${layer.newTag()}`],
          ['To', headerFromApp(message, 'To', localhost) ?? `<${message.uri}>`],
          ['Call-ID', headersOf(message, 'Call-ID')[0] ?? randomUUID()],
          ['CSeq', `${number} ${message.method}`],
          ['Contact', headerFromApp(message, 'Contact', localhost) ?? ownContact],
        ),
        ...given,
        ...contentType(message),
      ],
    };
  }

  #sendInDialog(app: App, command: SipCommand, message: SipRequest, dialog: Dialog): void {
    const {method} = message;
    const target = dialog.target();
    const local = this.#core.transport.localAddress(target.protocol, target.host);
    const localhost = hostPortOf(local);
    const given = headersOf(message, 'Contact')[0];
    // The real server loses a Contact with @localhost here, and fills in nothing.
    const contact = given === undefined ? dialog.localContact : given.includes('@localhost') ? undefined : given;
    const request = {
      ...this.#inDialog(dialog, method, [
        ...pairs(['Contact', given === undefined && !contactMethods.has(method) ? undefined : contact]),
        ...headersFromApp(message, filledIn, localhost),
        ...contentType(message),
      ]),
      body: message.body,
    };
    if (!dialog.app.connected) dialog.app = app;
    if (method === 'NOTIFY' && dialog.method === 'SUBSCRIBE' && dialog.role === 'uas' && endsSubscription(request))
      this.#remove(dialog);
    this.#start(app, command, request, target, dialog);
  }

  #start(app: App, command: SipCommand, request: SipRequest, target: SipAddress, dialog: Dialog | undefined): void {
    const transactionId = newTransactionId();
    const exchange = new Exchange(this.#core, app, target, transactionId, dialog, {
      cancelled: () => this.#calling.get(transactionId)?.cancelled ?? false,
      ended: () => this.#calling.delete(transactionId),
    });
    const subscription =
      dialog === undefined && request.method === 'SUBSCRIBE' ? headerOf(request, 'Call-ID') : undefined;
    if (subscription !== undefined) this.#core.subscribing.add(subscription);
    const transaction = this.#core.layer.request(request, target, {
      onResponse: (response, flow) => {
        if (subscription !== undefined && response.status >= 200) this.#core.subscribing.delete(subscription);
        // Until then the dialog stands, so that a BYE of the peer that crosses ours finds it.
        if (dialog !== undefined && request.method === 'BYE' && response.status >= 200) this.#remove(dialog);
        exchange.receive(transaction.request, response, flow);
      },
    });
    if (request.method === 'INVITE') this.#calling.set(transactionId, {transaction, cancelled: false});
    replySent(this.#core, app, command.id, transaction.request, target, transactionId);
  }

  #cancel(app: App, command: SipCommand, message: SipRequest): void {
    const calling = this.#calling.get(command.transactionId ?? '');
    const headers = headersFromApp(message, filledIn, '').map(({name, value}) => [name, value] as const);
    const early = calling?.transaction.proceeding === false;
    const cancel = message.method === 'CANCEL' ? calling?.transaction.cancel(headers) : undefined;
    if (calling === undefined || cancel === undefined) {
      throw refused(`unable to cancel unknown transaction id: ${command.transactionId ?? ''}`);
    }
    calling.cancelled = true;
    replySent(this.#core, app, command.id, cancel, calling.transaction.target, newTransactionId(), early);
  }

  #sendAck(app: App, command: SipCommand, message: SipRequest, dialog: Dialog | undefined): void {
    if (dialog?.awaitsAck === undefined) {
      throw refused('Server error: ACK for non-success final response is automatically generated by server');
    }
    const target = dialog.target();
    const localhost = hostPortOf(this.#core.transport.localAddress(target.protocol, target.host));
    const headers = [...headersFromApp(message, [...filledIn, 'contact'], localhost), ...contentType(message)];
    const request = {...this.#inDialog(dialog, 'ACK', headers, dialog.awaitsAck), body: message.body};
    const ack = this.#core.layer.sendAck(request, target);
    dialog.awaitsAck = undefined;
    dialog.lastAck = {ack, target};
    replySent(this.#core, app, command.id, ack, target, newTransactionId());
    if (dialog.cancelled) this.bye(dialog, 'ACK-BYE due to cancel race condition');
  }

  /** The frame of a request within a dialog (RFC 3261 §12.2.1.1); without a number it takes the next CSeq. */
  #inDialog(dialog: Dialog, method: string, headers: readonly SipHeader[], number?: number): SipRequest {
    const cseq = number ?? ++dialog.localCseq;
    return {
      kind: 'request',
      method,
      uri: dialog.remoteTarget,
      headers: [
        ...dialog.routeSet.map((value) => ({name: 'Route', value})),
        ...pairs(
          ['Max-Forwards', '70'],
          ['From', dialog.local],
          ['To', dialog.remote],
          ['Call-ID', dialog.callId],
          ['CSeq', `${cseq} ${method}`],
        ),
        ...headers,
      ],
      body: Buffer.alloc(0),
    };
  }

  #remove(dialog: Dialog): void {
    this.#core.dialogs.remove(dialog);
    this.#core.sessions.stop(dialog);
  }
}

/** Written by the server, with what the application gave where it may give something. */
const filledIn = ['max-forwards', 'from', 'to', 'call-id', 'cseq', 'contact', 'content-type'];

/** One request of an application and the responses to it. */
class Exchange {
  readonly #core: Core;
  readonly #app: App;
  readonly #target: SipAddress;
  readonly #transactionId: string;
  readonly #inDialog: boolean;
  readonly #hooks: {readonly cancelled: () => boolean; readonly ended: () => void};
  #dialog: Dialog | undefined;
  #succeeded = false;

  constructor(
    core: Core,
    app: App,
    target: SipAddress,
    transactionId: string,
    dialog: Dialog | undefined,
    hooks: {readonly cancelled: () => boolean; readonly ended: () => void},
  ) {
    this.#core = core;
    this.#app = app;
    this.#target = target;
    this.#transactionId = transactionId;
    this.#dialog = dialog;
    this.#inDialog = dialog !== undefined;
    this.#hooks = hooks;
  }

  receive(request: SipRequest, response: SipResponse, flow: Flow | undefined): void {
    // 100 is hop by hop; the application is not told.
    if (response.status === 100) return;
    if (this.#succeeded) {
      // A 2xx once more, or of another fork: the ACK to the first one is the only answer the real server has.
      const last = this.#dialog?.lastAck;
      if (last !== undefined) this.#core.layer.resend(last.ack, last.target);
      return;
    }
    if (this.#inDialog) this.#inExisting(request, response, flow);
    else if (makesDialog(request.method)) this.#inNew(request, response, flow);
    if (response.status >= 200) this.#hooks.ended();
    const ownName = makesDialog(request.method) ? dialogIdOf(request) : '';
    tellApp(
      this.#core,
      this.#app,
      response,
      {flow, protocol: this.#target.protocol},
      {transactionId: this.#transactionId, dialogId: this.#inDialog ? (this.#dialog?.id ?? '') : ownName},
    );
  }

  #inNew(request: SipRequest, response: SipResponse, flow: Flow | undefined): void {
    const {dialogs, sessions} = this.#core;
    if (response.status >= 300) {
      if (this.#dialog !== undefined) dialogs.remove(this.#dialog);
      return;
    }
    if (flow === undefined || tagOf(response, 'To') === undefined) return;
    if (this.#dialog === undefined) {
      this.#dialog = Dialog.ofClient(request, response, flow, this.#app);
      dialogs.add(this.#dialog);
    } else this.#dialog.advance(response, flow);
    if (response.status >= 200) this.#success(this.#dialog, request);
    if (response.status >= 200 && request.method === 'INVITE') sessions.restart(this.#dialog, response, 'uac');
  }

  #inExisting(request: SipRequest, response: SipResponse, flow: Flow | undefined): void {
    const dialog = this.#dialog;
    if (dialog === undefined || flow === undefined || response.status < 200 || response.status >= 300) return;
    if (request.method !== 'INVITE' && request.method !== 'UPDATE') return;
    // The real server keeps the target of a call that it has placed, whatever the answer to a re-INVITE says.
    if (request.method === 'UPDATE') dialog.refreshTarget(response, flow);
    this.#core.sessions.restart(dialog, response, 'uac');
    if (request.method !== 'INVITE') return;
    dialog.localBody = bodyOf(request);
    this.#success(dialog, request);
  }

  #success(dialog: Dialog, request: SipRequest): void {
    dialog.confirmed = true;
    if (request.method !== 'INVITE') return;
    this.#succeeded = true;
    dialog.awaitsAck = cseqOf(request)?.number;
    dialog.lastAck = undefined;
    dialog.cancelled = this.#hooks.cancelled();
  }
}

/** A refusal whose sentence is what the application reads behind NOK. */
function refused(sentence: string): CpmError {
  return new CpmError('CPM_ADMIN_REFUSED', 400, sentence);
}
