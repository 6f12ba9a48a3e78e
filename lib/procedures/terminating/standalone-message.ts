import {parseCpim} from '../../codecs/cpim.ts';
import {parseNotifications} from '../../codecs/imdn.ts';
import {isComposing} from '../../codecs/iscomposing.ts';
import {isType} from '../../codecs/mime.ts';
import {asksForIcsi, parseAcceptContact} from '../../codecs/sip-headers/accept-contact.ts';
import {parseAssertedService} from '../../codecs/sip-headers/asserted.ts';
import {opaqueId} from '../../codecs/sip-headers/cpm-ids.ts';
import {sipInstance} from '../../codecs/sip-headers/features.ts';
import {asSipRequestUri} from '../../cpm/address.ts';
import type {NewDeferredMessage} from '../../cpm/deferred-message.ts';
import {ICSI, isService} from '../../cpm/feature-tags.ts';
import {CpmError} from '../../errors.ts';
import type {IncomingRequest, OutgoingRequest, SipRequestView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {identityOf, keyOf} from '../disposition.ts';
import {newMessage, type Deferring} from './defer.ts';
import {hopOf, ownCallIdPrefix} from './delivery-invite.ts';
import {passedNames, pickHeaders, recipientOf, remainingRoute, senderOf} from './invitation.ts';

/** Whether a request has the service of pager mode, to one recipient. */
export function isPagerMessage(request: SipRequestView): boolean {
  const asked = request.header('Accept-Contact');
  const service = request.header('P-Asserted-Service') ?? request.header('P-Preferred-Service');
  const services = service === undefined ? [] : parseAssertedService(service);
  const is = (icsi: string): boolean => asksForIcsi(asked, icsi) || services.some((given) => isService(given, icsi));
  return is(ICSI.pagerMessage) && !is(ICSI.pagerMessageGroup);
}

/** A standalone message, read once. */
export interface StandaloneMessage extends Deferring {
  readonly contentType: string;
  readonly bytes: Uint8Array;
  /** As the store would keep it. */
  readonly kept: NewDeferredMessage;
  readonly lifetime: number;
}

/**
 * Undefined for what is never kept: isComposing (T34), and content that no client of pager mode sends.
 * @throws CpmError `CPM_CPIM`, `CPM_NO_SENDER` or `CPM_EXPIRES` (400).
 */
export function readStandalone(
  request: SipRequestView,
  servedUser: string,
  context: Pick<Context, 'policy' | 'ids' | 'clock'>,
): StandaloneMessage | undefined {
  const {policy, ids} = context;
  const contentType = request.header('Content-Type') ?? '';
  const isCpim = isType(contentType, 'message/cpim');
  if (!isCpim && !isType(contentType, 'message/imdn+xml')) return undefined;
  const cpim = isCpim ? parseCpim(request.body) : undefined;
  if (isComposing(cpim?.contentType ?? contentType)) return undefined;
  const sender = senderOf(request);
  // Who names none gets what his client left out: the ids have to be there when it goes on.
  const label = {
    conversationId: opaqueId(request.header('Conversation-ID')) ?? ids.token(),
    contributionId: opaqueId(request.header('Contribution-ID')) ?? ids.token(),
  };
  const deferring: Deferring & {readonly lifetime: number} = {
    servedUser,
    sender: sender.key,
    label,
    lifetime: lifetimeOf(request),
    original: {
      ...label,
      recipientAddress: asSipRequestUri(recipientOf(request, {policy}), policy.homeDomain),
      recipientInstance: instanceOf(request),
      senderAddress: sender.address,
      senderInstance: undefined,
      subject: undefined,
      offer: undefined,
      pager: true,
    },
  };
  const content = {contentType, bytes: request.body};
  return {...deferring, ...content, kept: newMessage(context, deferring, content, cpim)};
}

/** The device that it is meant for, where it names one (RFC 3841). */
const instanceOf = (request: SipRequestView): string | undefined =>
  parseAcceptContact(request.header('Accept-Contact') ?? '')
    .map(({features}) => sipInstance(features))
    .find((instance) => instance !== undefined);

/** Milliseconds (RFC 3428 §7); no end where nothing is said. */
function lifetimeOf(request: SipRequestView): number {
  const text = request.header('Expires');
  if (text === undefined) return Infinity;
  if (!/^\d{1,10}$/.test(text.trim())) throw new CpmError('CPM_EXPIRES', 400, 'Expires is no number of seconds');
  return Number(text) * 1000;
}

/** What the store would know it by, if it has it or had it; undefined where it has no identity. */
function identityIn({kept}: StandaloneMessage): string | undefined {
  if (kept.kind === 'chat') return kept.imdnMessageId;
  try {
    return identityOf(parseNotifications(kept.contentType, kept.bytes), kept).imdnMessageId;
  } catch {
    // What cannot be read passes for what it is.
    return undefined;
  }
}

/**
 * Whether the store has it, or had it not long ago: its sender never saw our answer and says it again, perhaps by another way than before. Other
 * bytes under a chat message's id are told apart when they are kept (T62).
 */
export async function isRepeated(
  {store, users}: Pick<Context, 'store' | 'users'>,
  message: StandaloneMessage,
): Promise<boolean> {
  const value = identityIn(message);
  if (value === undefined || !store.available) return false;
  const {servedUser, sender, kept} = message;
  const author = kept.kind === 'chat' ? sender : await keyOf(users, sender);
  const page = {after: undefined, limit: mostNamesakes, pendingOnly: false};
  const known = await store.deferredQueue.trace({by: 'message', value}, page).catch(() => []);
  return known.some((one) => one.kind === kept.kind && one.servedUser === servedUser && one.sender === author);
}

/** Users whose messages may have the same id. */
const mostNamesakes = 100;

/** Headers of the message itself, beside those of CPM; all that belongs to a transaction is each side's own. */
const ofContent = [
  'Accept-Contact',
  'Request-Disposition',
  'Content-Type',
  'Content-Disposition',
  'Content-Language',
  'Expires',
];

/**
 * The MESSAGE with which a standalone message goes on to a user who is there, along its Route. The PF asks by itself, and does not just pass it: a phone
 * that has gone is no answer for the sender.
 * @clause CPM-CF 8.3.1 E7
 */
export function onwards(context: Pick<Context, 'sip' | 'policy' | 'ids'>, request: IncomingRequest): OutgoingRequest {
  const {sip, policy, ids} = context;
  const recipient = asSipRequestUri(request.uri, policy.homeDomain);
  return {
    uri: recipient,
    via: request.server,
    ...hopOf(context, remainingRoute(request, sip.isOwn)),
    headers: {
      ...pickHeaders([...passedNames, ...ofContent], request),
      'Call-ID': ownCallIdPrefix + ids.token(),
      From: `<${asSipRequestUri(senderOf(request).address, policy.homeDomain)}>`,
      To: `<${recipient}>`,
    },
    body: request.body,
  };
}
