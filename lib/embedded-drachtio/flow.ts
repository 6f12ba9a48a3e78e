/** How messages travel: addresses of ours, the flow on which a message came, where its response goes (RFC 3261 §18). */
import {CpmError} from '../errors.ts';
import type {SipMessage} from '../codecs/sip-message.ts';
import {hostPort, hostPortOf, parseVia, topVia, type SipAddress} from './sip-values.ts';

/** How a message came: from whom, to which of our addresses, and on which TCP connection. */
export interface Flow {
  readonly remote: SipAddress;
  readonly local: SipAddress;
  readonly connectionId: number | undefined;
}

/** Reads `udp:host:port` or `tcp:host:port`; throws `CpmError` `CPM_SIP_LISTEN`. */
export function parseContact(contact: string): SipAddress {
  const match = /^(udp|tcp):(\[[0-9A-Fa-f:.]+\]|[^:\s]+):(\d{1,5})$/.exec(contact);
  if (match?.[2] === undefined || Number(match[3]) > 65_535) {
    throw new CpmError('CPM_SIP_LISTEN', 500, `"${contact}" is no contact such as udp:127.0.0.1:5060`);
  }
  const host = match[2].startsWith('[') ? match[2].slice(1, -1) : match[2];
  return {protocol: match[1] === 'tcp' ? 'tcp' : 'udp', host, port: Number(match[3])};
}

/** The text of an address for URIs: `sip:host:port`, with `;transport=tcp` for TCP. */
export function sipUriOf(address: SipAddress, user?: string): string {
  return `sip:${user === undefined ? '' : `${user}@`}${hostPortOf(address)}${address.protocol === 'tcp' ? ';transport=tcp' : ''}`;
}

/** Where a response goes (RFC 3261 §18.2.2, RFC 3581 §4): back along the flow, else to what the top Via says. */
export function responseTarget(response: SipMessage, flow: Flow): SipAddress | Flow {
  const via = parseVia(topVia(response) ?? '');
  if (via === undefined || flow.remote.protocol === 'tcp' || via.params.has('rport')) return flow;
  const remote: SipAddress = {protocol: 'udp', host: via.params.get('received') ?? via.host, port: via.port ?? 5060};
  return {...flow, remote};
}

/** The `sent-by` of a Via. */
export function sentBy(local: SipAddress): string {
  return hostPort(local.host, local.port);
}

/** The error of an address that can't be reached. */
export function unreachable(remote: SipAddress, cause: unknown): CpmError {
  const where = `${remote.protocol} ${remote.host}:${remote.port}`;
  return new CpmError('CPM_SIP_TRANSPORT', 503, `${where} can't be reached`, {cause});
}

export function asCpmError(error: unknown): CpmError {
  if (error instanceof CpmError) return error;
  return new CpmError('CPM_SIP_MALFORMED', 400, 'the message could not be read', {cause: error});
}
