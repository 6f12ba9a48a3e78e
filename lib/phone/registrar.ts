/** Where the phones are: the registrar of the core stand-in (RFC 3261 §10.3, GRUUs of RFC 5627 §5.3). */
import {parseAcceptContact} from '../codecs/sip-headers/accept-contact.ts';
import {hasIcsi, sipInstance} from '../codecs/sip-headers/features.ts';
import {canonicalAddress} from '../cpm/address.ts';
import {ICSI} from '../cpm/feature-tags.ts';
import {createResponse, headerOf, headersOf, type SipRequest, type SipResponse} from '../codecs/sip-message.ts';
import {parseNameAddr, parseSipUri, splitList} from '../embedded-drachtio/sip-values.ts';
import {parseNameAddr as parseContact} from '../codecs/sip-headers/name-addr.ts';

/** One registered device. */
export interface Binding {
  readonly uri: string;
  readonly instance: string | undefined;
  /** Whether its Contact names the service of CPM sessions. */
  readonly cpm: boolean;
  readonly expiresAt: number;
}

/** A registration that was taken, as the network's own functions are told of it. */
export interface Registered {
  readonly request: SipRequest;
  readonly response: SipResponse;
  /** The public identities of the user: the registered one first. */
  readonly identities: readonly string[];
  /** Seconds for which anything of the user is registered; 0 when nothing is any more. */
  readonly expires: number;
}

export interface Registrar {
  /** Takes a REGISTER. */
  register(request: SipRequest): Registered;
  /** The devices to which a request may go, best first: those that can take CPM sessions, the newest before others. */
  contactsFor(request: SipRequest): readonly Binding[];
  registered(identity: string): boolean;
}

/** An empty registrar. `serviceRoute` is the Service-Route value of its answers. */
export function createRegistrar(serviceRoute: () => string): Registrar {
  const users = new Map<string, Map<string, Binding>>();

  function live(identity: string): Binding[] {
    const now = Date.now();
    const bindings = users.get(canonicalAddress(identity) ?? '')?.values() ?? [];
    return [...bindings].filter((binding) => binding.expiresAt > now);
  }

  return {
    register(request) {
      const identity = parseNameAddr(headerOf(request, 'To') ?? '').uri;
      const key = canonicalAddress(identity) ?? '';
      const bindings = users.get(key) ?? new Map<string, Binding>();
      users.set(key, bindings);
      for (const value of headersOf(request, 'Contact').flatMap(splitList)) {
        const expires = Number(parseNameAddr(value).params.get('expires') ?? headerOf(request, 'Expires') ?? 3600);
        const binding = bindingOf(value, expires);
        const id = binding.instance ?? binding.uri;
        bindings.delete(id);
        if (expires > 0) bindings.set(id, binding);
      }
      const left = live(identity);
      const expires = Math.max(0, ...left.map((binding) => Math.round((binding.expiresAt - Date.now()) / 1000)));
      const identities = implicitSet(identity);
      const response = createResponse(request, 200, {
        headers: [
          ...left.map((binding) => ['Contact', contactValue(identity, binding)] as const),
          ['P-Associated-URI', identities.map((uri) => `<${uri}>`).join(', ')],
          ['Service-Route', serviceRoute()],
        ],
      });
      return {request, response, identities, expires};
    },

    contactsFor(request) {
      const uri = parseSipUri(request.uri);
      const gruu = uri?.params.get('gr');
      const wanted = headersOf(request, 'Accept-Contact')
        .flatMap(parseAcceptContact)
        .flatMap(({features, require}) => (require ? [sipInstance(features)] : []))
        .filter((instance) => instance !== undefined);
      return live(request.uri)
        .filter((binding) => gruu === undefined || binding.instance === `<${gruu}>`)
        .filter((binding) => wanted.every((instance) => binding.instance === instance))
        .reverse()
        .sort((a, b) => Number(b.cpm) - Number(a.cpm));
    },

    registered: (identity) => live(identity).length > 0,
  };
}

function bindingOf(contact: string, expires: number): Binding {
  const {uri, params} = parseContact(contact);
  return {
    uri,
    instance: sipInstance(params),
    cpm: hasIcsi(params, ICSI.session),
    expiresAt: Date.now() + 1000 * expires,
  };
}

/** Contact of the 200: with the public GRUU, which the network makes from identity and instance. */
function contactValue(identity: string, binding: Binding): string {
  const seconds = Math.max(0, Math.round((binding.expiresAt - Date.now()) / 1000));
  if (binding.instance === undefined) return `<${binding.uri}>;expires=${seconds}`;
  return `<${binding.uri}>;expires=${seconds};+sip.instance="${binding.instance}";pub-gruu="${publicGruu(identity, binding.instance)}"`;
}

/** The public GRUU of a device: the identity with the instance as `gr` (RFC 5627 §3.2). */
export function publicGruu(identity: string, instance: string): string {
  const base = identity.replace(/;user=phone$/i, '');
  return `${base};gr=${instance.replace(/^<|>$/g, '')}`;
}

/** A telephone number is registered in both schemes at once (TS 24.229 §5.4.1.7). */
function implicitSet(identity: string): readonly string[] {
  const key = canonicalAddress(identity);
  return key?.startsWith('tel:+') === true && key !== identity ? [identity, key] : [identity];
}
