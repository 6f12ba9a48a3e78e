import type {SipRequestView} from '../../ports/sip.ts';

/**
 * Where a request goes on to: the Route behind our own, else its Request-URI (RFC 3261 §16.4–16.6). The server takes the topmost Route off,
 * whosever it is; where that is not ours, it is the next hop. Undefined when there is nowhere to go: a `tel:` without a Route, or our own address.
 */
export function proxyTarget(
  request: Pick<SipRequestView, 'header' | 'uri'>,
  own: readonly string[],
): string | undefined {
  const routes = routeUris(request.header('Route') ?? '');
  const [first, second] = routes;
  if (first !== undefined && !isOwnUri(first, own) && routes.length === 1) return first;
  const target = second ?? request.uri;
  return /^sips?:/i.test(target) && !isOwnUri(target, own) ? target : undefined;
}

/** The URIs of a Route header, without their angle brackets. */
export function routeUris(value: string): string[] {
  return [...value.matchAll(/<([^>]*)>/g)].map((match) => match[1] ?? '');
}

/** Whether the host and port of a URI are among `own`, each `host:port`. */
export function isOwnUri(uri: string, own: readonly string[]): boolean {
  const [, host = '', port = '5060'] = /^sips?:(?:[^@]*@)?(\[[^\]]*\]|[^:;?]*)(?::(\d+))?/i.exec(uri) ?? [];
  return own.includes(`${host}:${port}`);
}
