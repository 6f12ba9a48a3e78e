/** A SIP dialog as one of its two user agents keeps it, and the requests inside it (RFC 3261 §12). */
import {createRequest, headerOf, headersOf, type SipRequest, type SipResponse} from '../codecs/sip-message.ts';
import {
  addressOfUri,
  cseqOf,
  parseNameAddr,
  splitList,
  tagOf,
  type SipAddress,
} from '../embedded-drachtio/sip-values.ts';

export interface Dialog {
  readonly callId: string;
  readonly localTag: string;
  readonly remoteTag: string;
  /** From value of our requests, tag included. */
  readonly local: string;
  /** To value of our requests, tag included. */
  readonly remote: string;
  readonly remoteTarget: string;
  /** Route values in the order in which we write them. */
  readonly routeSet: readonly string[];
}

/** The dialog that a 2xx made for the one who sent the INVITE (RFC 3261 §12.1.2). */
export function callerDialog(invite: SipRequest, response: SipResponse): Dialog {
  return {
    callId: headerOf(invite, 'Call-ID') ?? '',
    localTag: tagOf(invite, 'From') ?? '',
    remoteTag: tagOf(response, 'To') ?? '',
    local: headerOf(invite, 'From') ?? '',
    remote: headerOf(response, 'To') ?? '',
    remoteTarget: contactUri(response) ?? invite.uri,
    routeSet: headersOf(response, 'Record-Route').flatMap(splitList).reverse(),
  };
}

/** The dialog that our 2xx makes for us (RFC 3261 §12.1.1). */
export function calleeDialog(invite: SipRequest, localTag: string): Dialog {
  return {
    callId: headerOf(invite, 'Call-ID') ?? '',
    localTag,
    remoteTag: tagOf(invite, 'From') ?? '',
    local: `${headerOf(invite, 'To') ?? ''};tag=${localTag}`,
    remote: headerOf(invite, 'From') ?? '',
    remoteTarget: contactUri(invite) ?? '',
    routeSet: headersOf(invite, 'Record-Route').flatMap(splitList),
  };
}

/** The dialog after a target refresh: a re-INVITE or UPDATE of the peer may name another Contact (RFC 3261 §12.2). */
export function refreshed(dialog: Dialog, message: SipRequest | SipResponse): Dialog {
  return {...dialog, remoteTarget: contactUri(message) ?? dialog.remoteTarget};
}

/** By what an incoming request finds its dialog. */
export function dialogKeyOf(request: SipRequest): string {
  return [headerOf(request, 'Call-ID'), tagOf(request, 'To'), tagOf(request, 'From')].join(' ');
}

/** The key under which `dialogKeyOf` finds it. */
export function keyOfDialog(dialog: Dialog): string {
  return [dialog.callId, dialog.localTag, dialog.remoteTag].join(' ');
}

/** A request inside the dialog, and where it goes first. Throws `CpmError` 416 where the peer's Contact leads nowhere. */
export function requestInDialog(
  dialog: Dialog,
  method: string,
  cseq: number,
  headers: readonly (readonly [name: string, value: string])[],
  body?: Uint8Array,
): {readonly request: SipRequest; readonly target: SipAddress} {
  const [firstRoute] = dialog.routeSet;
  const request = createRequest(
    method,
    dialog.remoteTarget,
    [
      ...dialog.routeSet.map((route) => ['Route', route] as const),
      ['Max-Forwards', '70'],
      ['From', dialog.local],
      ['To', dialog.remote],
      ['Call-ID', dialog.callId],
      ['CSeq', `${cseq} ${method}`],
      ...headers,
    ],
    body,
  );
  return {
    request,
    target: addressOfUri(firstRoute === undefined ? dialog.remoteTarget : parseNameAddr(firstRoute).uri),
  };
}

/** The number in a request's CSeq, 0 where it has none. */
export function cseqNumber(request: SipRequest): number {
  return cseqOf(request)?.number ?? 0;
}

function contactUri(message: SipRequest | SipResponse): string | undefined {
  const contact = headersOf(message, 'Contact').flatMap(splitList)[0];
  return contact === undefined ? undefined : parseNameAddr(contact).uri;
}
