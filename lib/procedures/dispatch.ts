import {CpmError} from '../errors.ts';
import type {IncomingInvite, IncomingRequest, SipHandlers} from '../ports/sip.ts';
import type {Context} from './context.ts';
import {noteNotifications} from './disposition.ts';
import {handleOriginatingInvitation} from './originating/session-invitation.ts';
import {opaqueId} from '../codecs/sip-headers/cpm-ids.ts';
import type {GroupSession} from '../cpm/group-session.ts';
import {handleGroupInvitation} from './group/group-invitation.ts';
import {groupOf} from './group/group-uri.ts';
import {knownOf} from './group/groups.ts';
import {handleMember} from './group/rejoin.ts';
import {createRegEvents} from './registration/reg-event.ts';
import {handleThirdPartyRegister, isThirdPartyRegister} from './registration/third-party-register.ts';
import {isRecorded} from './storage/record-session.ts';
import {handlePagerMessage} from './terminating/pager-message.ts';
import {originatingCallIdPrefix, ownCallIdPrefix} from './terminating/delivery-invite.ts';
import {
  directionOf,
  isCpmSession,
  asksForGroupSession,
  isGroupInvitation,
  originatorOf,
  readInvitation,
  recipientOf,
  senderOf,
} from './terminating/invitation.ts';
import {handleSessionInvitation} from './terminating/session-invitation.ts';

/**
 * Where a request goes: method, direction and service decide. A telecom engineer starts reading here.
 *
 *   REGISTER of the S-CSCF        → registration/third-party-register
 *   INVITE  CPM session, 1-1, of a served user → originating/session-invitation, or on along its Route, as configured
 *           CPM session, 1-1, to a served user → terminating/session-invitation, which may let it pass to his devices
 *           CPM session of a group, from its focus to a served user → group/group-invitation, which may let it pass likewise
 *           CPM session of a group, of a served user to its factory, its focus or our own URI of it → group/rejoin
 *           the PF's own, handed back by the core → on along its Route (T35)
 *   MESSAGE of a served user      → noted if it is a notification
 *           standalone, to a served user → terminating/pager-message; all others on along their Route
 *   SUBSCRIBE of a served user to a group, by our own URI → on to its focus
 *   OPTIONS to the PF itself      → 200
 *   anything else                 → not ours
 */
export function createDispatch(context: Context): SipHandlers {
  const {policy, overload, log} = context;
  const regEvents = policy.regEvent ? createRegEvents(context) : undefined;

  async function invite(request: IncomingInvite): Promise<'handled' | 'pass'> {
    if (isOwn(request)) {
      log.debug({clause: 'CPM-CF 8.3.2.9.1.1 A10'}, 'the core hands our own INVITE back; it goes on');
      await request.proxy();
      return 'handled';
    }

    if (!isCpmSession(request)) return 'pass';
    const originating = directionOf(request, context) === 'originating' || groupOf(context, request) !== undefined;
    const servedUser = await context.users.resolve(
      originating ? originatorOf(request, context) : recipientOf(request, context),
    );
    if (servedUser === undefined) return 'pass';
    const group = await groupCalled(request, servedUser, originating);
    if (originating && group === undefined && (await passesOriginating(request, servedUser))) return 'pass';
    if (!trusted(request)) return 'handled';
    const refusal = overload.refuses();
    if (refusal !== undefined) await overload.refuse(request, refusal);
    else if (group !== undefined && originating) await handleMember(context, request, servedUser, group.known);
    else if (group !== undefined) await handleGroupInvitation(context, request, servedUser);
    else if (originating) await handleOriginatingInvitation(context, request, servedUser);
    else await handleSessionInvitation(context, request, readInvitation(request, servedUser, context));
    return 'handled';
  }

  /**
   * Whether it is a group session: to a served user from its focus; from a served user to a group that is known, by our own URI, or asked for as
   * one. Undefined of all others.
   */
  async function groupCalled(
    request: IncomingInvite,
    servedUser: string,
    originating: boolean,
  ): Promise<{readonly known: GroupSession | undefined} | undefined> {
    if (!originating) return isGroupInvitation(request) ? {known: undefined} : undefined;
    const named = groupOf(context, request);
    if (named !== undefined) return {known: await knownOf(context, servedUser, named)};
    const contributionId = opaqueId(request.header('Contribution-ID'));
    // What is no group's goes on without the store.
    const known =
      contributionId === undefined
        ? undefined
        : await knownOf(context, servedUser, contributionId).catch(() => undefined);
    return known !== undefined || asksForGroupSession(request) ? {known} : undefined;
  }

  /**
   * Whether a session that a user begins goes on as it came, the media past the PF on this side: so it is configured and he is not recorded, or
   * the one called is served here, too, and one B2BUA is enough. It could not be two, a SIP server knows a dialog by Call-ID and the caller's tag, and
   * would have both ends.
   */
  async function passesOriginating(request: IncomingInvite, servedUser: string): Promise<boolean> {
    if ((await context.users.resolve(request.uri)) !== undefined) return true;
    return policy.originatingSessions === 'proxy' && !isRecorded(context, servedUser);
  }

  async function other(request: IncomingRequest): Promise<'handled' | 'pass'> {
    switch (request.method) {
      case 'REGISTER':
        if (!isThirdPartyRegister(request)) return 'pass';
        if (trusted(request)) await handleThirdPartyRegister(context, regEvents, request);
        return 'handled';
      case 'MESSAGE':
        if (isOwn(request)) {
          await request.proxy();
          return 'handled';
        }

        if ((await handlePagerMessage(context, request)) === 'handled') return 'handled';
        await noteMessage(request);
        return 'pass';
      case 'SUBSCRIBE':
        return subscribe(request);
      case 'OPTIONS':
        if (!context.sip.isOwn(request.uri)) return 'pass';
        // Who asks in order to share calls out learns that this node ends.
        if (overload.refuses() === 'draining') {
          await overload.refuse(request, 'draining');
          return 'handled';
        }

        await request.respond(200, {
          headers: {Allow: 'INVITE, ACK, BYE, CANCEL, OPTIONS, MESSAGE, UPDATE, NOTIFY', Accept: 'application/sdp'},
        });
        return 'handled';
      default:
        return 'pass';
    }
  }

  /**
   * A client knows its group by our URI alone: what it asks of the conference goes to the focus, which answers it from then on. By the URI of
   * another node it goes to that one, as a SIP server exchanges its own Request-URI alone.
   * @clause CPM-CF 8.3.2.9.1.2 C9
   */
  async function subscribe(request: IncomingRequest): Promise<'handled' | 'pass'> {
    const contributionId = context.sip.isOwn(request.uri) ? groupOf(context, request) : undefined;
    if (contributionId === undefined) return 'pass';
    if (!trusted(request)) return 'handled';
    const servedUser = await context.users.resolve(originatorOf(request, context));
    const group = servedUser && (await knownOf(context, servedUser, contributionId));
    if (group) await request.proxy(group.focus);
    else await request.respond(404);
    return 'handled';
  }

  /** What the core asserts is believed only from configured peers; others have no business with served users' sessions. */
  function trusted(request: IncomingRequest): boolean {
    if (policy.trusts(request.source.address)) return true;
    log.warn(
      {clause: 'RFC 3325 §5', method: request.method, address: request.source.address},
      'a request from an untrusted peer is refused',
    );
    void request.respond(403);
    return false;
  }

  /** What we sent for a user who calls is our own while it is on his side; the one who is called may be ours, too. */
  function isOwn(request: IncomingRequest): boolean {
    if (!policy.trusts(request.source.address)) return false;
    return (
      request.callId.startsWith(ownCallIdPrefix) ||
      (request.callId.startsWith(originatingCallIdPrefix) && directionOf(request, context) === 'originating')
    );
  }

  /** A notification that a served user sends by SIP MESSAGE passes on, and releases what it reports on (row A21). */
  async function noteMessage(request: IncomingRequest): Promise<void> {
    const contentType = request.header('Content-Type');
    if (contentType === undefined || !/^message\/(cpim|imdn\+xml)\b/i.test(contentType)) return;
    const author = await context.users.resolve(senderOf(request).address);
    if (author === undefined || !policy.trusts(request.source.address)) return;
    await noteNotifications(context, {
      author,
      about: request.uri,
      contributionId: opaqueId(request.header('Contribution-ID')),
      content: {contentType, bytes: request.body},
    });
  }

  /** A request that cannot be read gets its status and one line; nothing from outside may go further up. */
  function answering<Request extends IncomingRequest>(
    handle: (request: Request) => Promise<'handled' | 'pass'>,
  ): (request: Request) => Promise<'handled' | 'pass'> {
    return async (request) => {
      try {
        return await handle(request);
      } catch (error) {
        const known = error instanceof CpmError;
        const fields = {
          clause: 'RFC 3261 §8.2',
          method: request.method,
          code: known ? error.code : 'CPM_INTERNAL',
          error,
        };
        if (known) log.info(fields, 'a request is refused');
        else log.error(fields, 'a request failed');
        const status = known && error.status >= 400 ? error.status : 500;
        const later = status === 503 ? {'Retry-After': String(policy.retryAfterSeconds)} : {};
        await request.respond(status, {headers: later});
        return 'handled';
      }
    };
  }

  return {invite: answering(invite), request: answering(other)};
}
