/**
 * The stand-in for a drachtio server: SIP on one side, drachtio's admin protocol on the other. It is for evaluation and tests; where it
 * differs from the real server is written in `README.md` beside it.
 */
import {CpmError} from '../errors.ts';
import {systemClock, type Clock} from '../ports/clock.ts';
import {createAdmin, type AdminTls, type App} from './admin.ts';
import type {ProxyCommand, SipCommand} from './admin-protocol.ts';
import {parseAppMessage, startLineOf} from './app-message.ts';
import {newTransactionId, type Core} from './core.ts';
import {DialogTable} from './dialogs.ts';
import {responseTarget, type Flow} from './flow.ts';
import {Proxy} from './proxy.ts';
import type {RequestHandler} from './request-handlers.ts';
import {createRouting} from './routing.ts';
import {SessionTimers} from './session-timers.ts';
import {createResponse, type SipMessage, type SipRequest} from '../codecs/sip-message.ts';
import {hostPortOf, tagOf, type SipAddress} from './sip-values.ts';
import {rfc3261Timers, type TimerValues} from './timers.ts';
import {createTransactionLayer, type ServerTransaction} from './transactions.ts';
import {createTransport, withSource} from './transport.ts';
import {Uac} from './uac.ts';
import {Uas} from './uas.ts';
import {glimpse, hasLongLine, refusal} from './unreadable.ts';

export interface EmbeddedServerOptions {
  readonly adminHost: string;
  /** 0 takes any free port. */
  readonly adminPort: number;
  readonly secret: string;
  /** SIP addresses, `udp:127.0.0.1:5060`; port 0 takes any free one. */
  readonly contacts: readonly string[];
  /** TLS for applications, on a port of its own. */
  readonly adminTls?: AdminTls | undefined;
  /** Who says where new requests go; default nobody: they go to the connected applications in turn. */
  readonly requestHandlers?: readonly RequestHandler[];
  readonly timers?: Partial<TimerValues>;
  readonly clock?: Clock;
  /** Told how many applications are connected, whenever it changes. */
  readonly onApps?: (count: number) => void;
  /** Told of faults of our own; default nobody. */
  readonly onError?: (error: unknown) => void;
}

export interface EmbeddedServer {
  readonly adminPort: number;
  readonly adminTlsPort: number | undefined;
  /** Where it listens for SIP, with the ports really taken. */
  readonly contacts: readonly SipAddress[];
  /** Closes every socket; may be called twice. */
  close(): Promise<void>;
}

/** drachtio-srf reads the numbers of the version: pings start from 0.8.2. */
const version = 'v0.9.10-embedded';

/** Starts the server; rejects with `CpmError` `CPM_SIP_LISTEN` or `CPM_ADMIN_LISTEN` and leaves nothing open. */
export async function startEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const clock = options.clock ?? systemClock;
  const timers: TimerValues = {...rfc3261Timers, ...options.timers};
  const transport = await createTransport({contacts: options.contacts, clock, alwaysRport: true, onUnreadable});
  const onError = options.onError ?? (() => undefined);

  const layer = createTransactionLayer(
    transport,
    {
      onRequest,
      onAck,
      onCancel(cancel, transaction) {
        if (proxy.owns(transaction)) proxy.cancel(transaction);
        else uas.onCancel(cancel, transaction);
      },
      onAckTimeout(transaction) {
        const dialog = uas.dialogOf(transaction);
        if (dialog !== undefined && core.dialogs.byId(dialog.id) === dialog) uac.bye(dialog, 'ACK timeout');
      },
      onError,
    },
    {timers, clock},
  );
  const core: Core = {
    transport,
    layer,
    subscribing: new Set(),
    clock,
    timers,
    dialogs: new DialogTable(),
    sessions: new SessionTimers({
      clock,
      refresh: (dialog, seconds) => {
        uac.refresh(dialog, seconds);
      },
      expire: (dialog) => {
        uac.bye(dialog, 'Session timer expired');
      },
    }),
    pickApp: (method, tag) => admin.pick(method, tag),
    routing: createRouting(options.requestHandlers ?? [], () => ({uas, proxy, admin})),
  };
  const uas = new Uas(core);
  const uac = new Uac(core);
  const proxy = new Proxy(core);

  function onUnreadable(bytes: Buffer, flow: Flow): void {
    const seen = glimpse(bytes);
    if (seen === undefined) return;
    const request = withSource(seen.request, flow.remote, seen.status === 400);
    const response = refusal(request, seen.status, () => layer.newTag());
    transport.send(response, responseTarget(response, flow)).catch(() => undefined);
  }

  function onRequest(request: SipRequest, transaction: ServerTransaction): void {
    if (hasLongLine(request.body)) {
      transaction.respond(createResponse(request, 400));
      return;
    }
    const dialog = core.dialogs.ofRequest(request);
    // A request that we proxied before follows our Record-Route; with further Routes it only passes, even if the dialog is ours too.
    const passing = tagOf(request, 'To') !== undefined && proxy.isPassing(request);
    if (passing && (dialog === undefined || proxy.leadsOn(request))) proxy.follow(transaction);
    else if (dialog !== undefined) uas.onDialogRequest(request, transaction, dialog);
    else uas.onNewRequest(request, transaction);
  }

  function onAck(ack: SipRequest, transaction: ServerTransaction | undefined, flow: Flow): void {
    if (transaction !== undefined && !proxy.owns(transaction)) uas.onAck(ack, transaction, flow);
    else if (proxy.isPassing(ack)) proxy.followAck(ack);
  }

  function onCommand(app: App, command: SipCommand | ProxyCommand): void {
    try {
      if (command.kind === 'proxy') onProxy(app, command);
      else onSip(app, command);
    } catch (error) {
      if (!(error instanceof CpmError)) onError(error);
      app.reply(command.id, ['NOK', error instanceof CpmError ? error.message : 'Server error: internal error']);
    }
  }

  function onSip(app: App, command: SipCommand): void {
    const message = readMessage(command);
    if (message.kind === 'response') uas.respond(app, command, message);
    else uac.send(app, command, message);
  }

  function onProxy(app: App, command: ProxyCommand): void {
    proxy.start(app, command, () => uas.take(command.transactionId));
  }

  const addresses = transport.contacts
    .map((contact) => `${contact.protocol}/${hostPortOf(contact)}`)
    .sort()
    .join(',');
  const admin = await createAdmin({
    host: options.adminHost,
    port: options.adminPort,
    tls: options.adminTls,
    secret: options.secret,
    addresses,
    version,
    newId: newTransactionId,
    onCommand,
    onApps: options.onApps ?? (() => undefined),
  }).catch(async (error: unknown) => {
    await transport.close();
    throw error;
  });

  return {
    adminPort: admin.port,
    adminTlsPort: admin.tlsPort,
    contacts: transport.contacts,
    async close() {
      layer.close();
      await Promise.all([admin.close(), transport.close()]);
    },
  };
}

function readMessage(command: SipCommand): SipMessage {
  try {
    return parseAppMessage(command.message);
  } catch (cause) {
    const line = startLineOf(command.message);
    const sentence = line.startsWith('SIP/') ? 'invalid response' : `invalid request-uri: ${line}`;
    throw new CpmError('CPM_ADMIN_REFUSED', 400, sentence, {cause});
  }
}
