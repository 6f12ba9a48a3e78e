import {viewOfMessage, type InvitationView} from '../../hooks/views.ts';
import type {IncomingRequest} from '../../ports/sip.ts';
import type {Context} from '../context.ts';
import {refuseForPlugin} from '../plugin-refusal.ts';
import {keyOf, noteNotifications} from '../disposition.ts';
import {attemptOf, sendMessage} from './by-message.ts';
import {deferMessage} from './defer.ts';
import {directionOf, isRegistered, recipientOf} from './invitation.ts';
import {isPagerMessage, isRepeated, onwards, readStandalone, type StandaloneMessage} from './standalone-message.ts';

const clause = 'CPM-CF 8.3.1';

/**
 * A standalone SIP MESSAGE for a served user (pager mode). While he is there it goes on to him, and his answer back; for one who is off, or does
 * not answer, it is kept, and answered 202 only then; it comes by SIP MESSAGE when he registers, within the time that its Expires names.
 * @clause CPM-CF 8.3.1 5.4
 */
export async function handlePagerMessage(context: Context, request: IncomingRequest): Promise<'handled' | 'pass'> {
  const {users, policy, deliveries} = context;
  if (!isPagerMessage(request) || !policy.trusts(request.source.address)) return 'pass';
  if (directionOf(request, context) === 'originating') return handleRepeatedReport(context, request);
  const servedUser = await users.resolve(recipientOf(request, context));
  const message = servedUser === undefined ? undefined : readStandalone(request, servedUser, context);
  if (message === undefined) return 'pass';
  const answer = await accepts(context, request, message);
  if (answer === 'refused') return 'handled';
  if (!users.defers(message.servedUser)) return 'pass';
  const isThere = await mayBeThere(context, request, message.servedUser);
  if (!isThere && message.lifetime <= 0) return 'pass';
  const goesOn = isThere && answer !== 'keep' && !(await isRepeated(context, message));
  // Nothing overtakes what waits from the same sender.
  const isTried = goesOn && !(await somethingWaits(context, message));
  if (isTried && (await relayed(context, request, message))) return 'handled';
  if (!(await keep(context, request, message))) return 'handled';
  // Who did not answer a moment ago is asked later; who was off may have come meanwhile.
  if (isTried) deliveries.later(message.servedUser);
  else if ((await users.devices(message.servedUser)).length > 0) deliveries.trigger(message.servedUser, 'message');
  return 'handled';
}

/**
 * A client that missed the 200 to a notification in a session says it again by SIP MESSAGE: its recipient has heard of it, whoever serves him
 * (RFC 5438 §7.2.1).
 */
async function handleRepeatedReport(context: Context, request: IncomingRequest): Promise<'handled' | 'pass'> {
  const recipient = await keyOf(context.users, request.uri);
  let message: StandaloneMessage | undefined;
  try {
    message = readStandalone(request, recipient, context);
  } catch {
    // Whoever serves the recipient judges that.
  }

  if (message?.kept.kind !== 'notification' || !(await isRepeated(context, message))) return 'pass';
  context.log.info({clause: 'CPM-CF 5.4', ...message.label}, 'a notification that is said again goes no further');
  await request.respond(202);
  return 'handled';
}

/** What plugins say of a chat message before anything is done with it; a notification has a hook of its own. */
async function accepts(
  context: Context,
  request: IncomingRequest,
  message: StandaloneMessage,
): Promise<'keep' | 'refused' | undefined> {
  if (message.kept.kind !== 'chat') return undefined;
  const answer = await context.hooks.beforeAccept?.(viewOf(message));
  if (typeof answer !== 'object') return answer;
  await refuseForPlugin(context, request, answer);
  return 'refused';
}

const viewOf = ({servedUser, sender, label, original, kept}: StandaloneMessage): InvitationView => ({
  servedUser,
  sender,
  ...label,
  recipientAddress: original.recipientAddress,
  senderAddress: original.senderAddress,
  subject: undefined,
  hasFirstMessage: false,
  message: Object.freeze(viewOfMessage(kept)),
});

/** Whether a device of his may answer: one that we were told of, or one that the core alone knows. */
async function mayBeThere(context: Context, request: IncomingRequest, servedUser: string): Promise<boolean> {
  const {users} = context;
  const registered = isRegistered(request, context);
  if (registered === false) return false;
  if ((await users.devices(servedUser)).length > 0) return true;
  return registered === true && (await users.registration(servedUser)) === undefined;
}

async function somethingWaits({store}: Context, {servedUser, sender}: StandaloneMessage): Promise<boolean> {
  const window = {afterSequence: undefined, limit: 1, maxBytes: 1};
  return store.available && (await store.deferredQueue.next(servedUser, sender, window).catch(() => [])).length > 0;
}

/** Whether his phone answered, in whatever way. */
async function relayed(context: Context, request: IncomingRequest, message: StandaloneMessage): Promise<boolean> {
  const {users, log, hooks} = context;
  const {kept, original, label} = message;
  const response = await sendMessage(context, onwards(context, request));
  const {status, reason} = response;
  const {end} = attemptOf(response);
  if (end === 'unreachable' && message.lifetime > 0) {
    log.info({clause, ...label, status}, 'a standalone message did not reach a user who was there; it is kept');
    return false;
  }

  // Who counts has counted it when the next one comes.
  if (end === 'taken' && kept.kind === 'chat') hooks.afterAccept?.({...viewOf(message), by: 'device'});
  // Its author may take an invitation as soon as he has his answer: what he reported on must not come again.
  if (end === 'taken' && kept.kind === 'notification')
    await noteNotifications(context, {
      author: await keyOf(users, original.senderAddress),
      about: original.recipientAddress,
      contributionId: label.contributionId,
      content: message,
    });
  const retryAfter = response.header('Retry-After');
  await request.respond(status, {reason, ...(retryAfter === undefined ? {} : {headers: {'Retry-After': retryAfter}})});
  return true;
}

/** Whether it was kept, and answered 202. */
async function keep(context: Context, request: IncomingRequest, message: StandaloneMessage): Promise<boolean> {
  const {policy, overload, log, hooks} = context;
  const {servedUser} = message;
  const where = {clause, ...message.label, bytes: request.body.length};
  if (request.body.length > policy.maxPagerMessageBytes) {
    log.info({...where, limit: policy.maxPagerMessageBytes}, 'a standalone message is refused: it is too large');
    await request.respond(413);
    return false;
  }

  const refusal = overload.refuses() ?? (await isFull(context, servedUser));
  if (refusal !== undefined) {
    log.info({...where, refusal}, 'a standalone message is refused: nothing can be kept now');
    await overload.refuse(request, refusal);
    return false;
  }

  const report = await keepReport(context, message);
  const verdict = report ?? (await deferMessage(context, message, message));
  // What MSRP says by 408, the sender keeps it, is a time to come again here.
  if (verdict === 408) await overload.refuse(request, 'store');
  else await request.respond(verdict === 'accepted' ? 202 : verdict);
  if (verdict === 'accepted' && report === undefined)
    hooks.afterAccept?.({...viewOf(message), by: 'participating-function'});
  return verdict === 'accepted';
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
async function keepReport(context: Context, message: StandaloneMessage): Promise<'accepted' | 408 | undefined> {
  const {recipientAddress, recipientInstance, senderAddress} = message.original;
  const noted = await noteNotifications(context, {
    author: await keyOf(context.users, senderAddress),
    about: recipientAddress,
    contributionId: message.label.contributionId,
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
