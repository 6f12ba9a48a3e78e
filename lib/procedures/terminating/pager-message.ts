import {imdnMessageId, parseCpim} from '../../codecs/cpim.ts';
import {isComposing} from '../../codecs/iscomposing.ts';
import {isType} from '../../codecs/mime.ts';
import {asksForIcsi, parseAcceptContact} from '../../codecs/sip-headers/accept-contact.ts';
import {parseAssertedService} from '../../codecs/sip-headers/asserted.ts';
import {opaqueId} from '../../codecs/sip-headers/cpm-ids.ts';
import {sipInstance} from '../../codecs/sip-headers/features.ts';
import {asSipRequestUri} from '../../cpm/address.ts';
import {ICSI, isService} from '../../cpm/feature-tags.ts';
import {CpmError} from '../../errors.ts';
import type {IncomingRequest, SipRequestView} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {keyOf, noteNotifications} from '../disposition.ts';
import {deferMessage, type Deferring} from './defer.ts';
import {directionOf, isRegistered, recipientOf, senderOf} from './invitation.ts';

/**
 * A standalone SIP MESSAGE for a served user (pager mode). While he is there it goes on to him, and his answer back (`pass`); for one who is
 * off it is kept, and answered 202 only then; it comes by SIP MESSAGE when he registers, within the time that its Expires names.
 * @clause CPM-CF 8.3.1 5.4
 */
export async function handlePagerMessage(context: Context, request: IncomingRequest): Promise<'handled' | 'pass'> {
  const {users, policy, overload, log} = context;
  if (!isPagerMessage(request) || !policy.trusts(request.source.address)) return 'pass';
  if (directionOf(request, context) === 'originating') return 'pass';
  const servedUser = await users.resolve(recipientOf(request, context));
  if (servedUser === undefined || !users.defers(servedUser)) return 'pass';
  const registered = isRegistered(request, context);
  if (registered === true && (await users.registration(servedUser)) === undefined) return 'pass';
  const isThere = registered !== false && (await users.devices(servedUser)).length > 0;
  const message = readMessage(request, servedUser, context);
  if (message === undefined || message.lifetime <= 0) return 'pass';
  if (isThere && !(await isKept(context, message))) return 'pass';

  const where = {clause: 'CPM-CF 8.3.1', ...message.label, bytes: request.body.length};
  if (request.body.length > policy.maxPagerMessageBytes) {
    log.info({...where, limit: policy.maxPagerMessageBytes}, 'a standalone message is refused: it is too large');
    await request.respond(413);
    return 'handled';
  }

  const refusal = overload.refuses() ?? (await isFull(context, servedUser));
  if (refusal !== undefined) {
    log.info({...where, refusal}, 'a standalone message is refused: nothing can be kept now');
    await overload.refuse(request, refusal);
    return 'handled';
  }

  const verdict = (await keepReport(context, message)) ?? (await deferMessage(context, message, message));
  // What MSRP says by 408, the sender keeps it, is a time to come again here.
  if (verdict === 408) await overload.refuse(request, 'store');
  else await request.respond(verdict === 'accepted' ? 202 : verdict);
  // He may have come meanwhile.
  if (verdict === 'accepted' && (await users.devices(servedUser)).length > 0)
    context.deliveries.trigger(servedUser, 'message');
  return 'handled';
}

/** Whether a request has the service of pager mode, to one recipient. */
function isPagerMessage(request: SipRequestView): boolean {
  const asked = request.header('Accept-Contact');
  const service = request.header('P-Asserted-Service') ?? request.header('P-Preferred-Service');
  const services = service === undefined ? [] : parseAssertedService(service);
  const is = (icsi: string): boolean => asksForIcsi(asked, icsi) || services.some((given) => isService(given, icsi));
  return is(ICSI.pagerMessage) && !is(ICSI.pagerMessageGroup);
}

/** A standalone message, read once. */
interface PagerMessage extends Deferring {
  readonly contentType: string;
  readonly bytes: Uint8Array;
  readonly imdnMessageId: string | undefined;
  readonly lifetime: number;
}

/**
 * Undefined for what is never kept: isComposing (T34), and content that no client of pager mode sends.
 * @throws CpmError `CPM_CPIM`, `CPM_NO_SENDER` or `CPM_EXPIRES` (400).
 */
function readMessage(request: SipRequestView, servedUser: string, {policy, ids}: Context): PagerMessage | undefined {
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
  return {
    servedUser,
    sender: sender.key,
    label,
    contentType,
    bytes: request.body,
    imdnMessageId: cpim && imdnMessageId(cpim),
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

/** Whether it waits already: its sender never saw our 202, and repeats it. */
async function isKept({store}: Context, {servedUser, sender, imdnMessageId: id}: PagerMessage): Promise<boolean> {
  if (id === undefined || !store.available) return false;
  const found = await store.deferredQueue.find(servedUser, id, sender).catch(() => []);
  return found.some(({kind}) => kind === 'chat');
}

async function isFull(
  {store, policy, overload}: Context,
  servedUser: string,
): Promise<'store' | 'pending' | undefined> {
  if (policy.limits.pendingPerUser === 0) return undefined;
  try {
    const senders = await store.deferredQueue.senders(servedUser);
    const waiting = senders.reduce((sum, {chats}) => sum + chats, 0);
    return overload.isFull(servedUser, waiting) ? 'pending' : undefined;
  } catch {
    return 'store';
  }
}

/** A notification is kept as one that came in a session is: once for each kind and message. Undefined where it is none. */
async function keepReport(context: Context, message: PagerMessage): Promise<'accepted' | 408 | undefined> {
  const {recipientAddress, recipientInstance, senderAddress} = message.original;
  const noted = await noteNotifications(context, {
    author: await keyOf(context.users, senderAddress),
    about: recipientAddress,
    content: message,
    // Its recipient is the one who sent what it reports on.
    takeOverFor: {
      ...message.original,
      senderAddress: recipientAddress,
      senderInstance: recipientInstance,
      recipientAddress: senderAddress,
    },
  });
  if (noted === 'none') return undefined;
  return noted === 'store-away' || noted === 'refused' ? 408 : 'accepted';
}
