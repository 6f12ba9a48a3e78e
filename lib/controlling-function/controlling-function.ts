/**
 * A small CPM Controlling Function for tests, the demo and measurements: conference factory, focus and MSRP switch of group sessions. What it
 * leaves out is in README.md.
 *
 *     const core = await startCore();
 *     const focus = await startControllingFunction({core});
 *     const chat = await alice.startGroup(focus.factory, {subject: 'Lunch', members: [bob.address, carol.address]});
 *     const conference = await focus.conferences.first();
 *     await conference.end([['Reason', 'SIP;cause=480;text="Bearer unavailable"']]);
 */
import {randomBytes, randomUUID} from 'node:crypto';
import {leafParts} from '../codecs/multipart.ts';
import {isType} from '../codecs/mime.ts';
import {resourceListsIn, type ListEntry} from '../codecs/resource-lists.ts';
import {formatAcceptContact} from '../codecs/sip-headers/accept-contact.ts';
import {formatContact} from '../codecs/sip-headers/contact.ts';
import {parseNameAddr} from '../codecs/sip-headers/name-addr.ts';
import {headerOf, type SipMessage, type SipRequest} from '../codecs/sip-message.ts';
import {ICSI} from '../cpm/feature-tags.ts';
import {CpmError} from '../errors.ts';
import type {TimerValues} from '../embedded-drachtio/timers.ts';
import {parseSipUri} from '../embedded-drachtio/sip-values.ts';
import type {HeaderList} from '../phone/call.ts';
import type {Core} from '../phone/core.ts';
import {Inbox} from '../phone/inbox.ts';
import {acceptMedia, placeMedia, type MediaEnd} from '../phone/media-call.ts';
import {createMsrpEndpoint} from '../phone/msrp-endpoint.ts';
import type {SessionBehaviour} from '../phone/msrp-session.ts';
import {usualMedia, type MediaProfile} from '../phone/session-description.ts';
import {createUserAgent, type IncomingCall, type IncomingSubscription} from '../phone/sip-user-agent.ts';
import {Conference, type GroupIdentity} from './conference.ts';
import {goodNotifier, type NotifyBehaviour} from './conference-events.ts';

/** What an INVITE to the controlling function wants. */
export interface Join {
  /** `create`: a group that is new; `restart`: one whose session is over; `join`: one that is active. */
  readonly kind: 'create' | 'join' | 'restart';
  /** Who asks. */
  readonly by: string;
  readonly request: SipRequest;
}

export interface ControllingFunctionOptions {
  /** The core through which members are reached, and which sends the factory's requests here; without one they go where their URI leads. */
  readonly core?: Pick<Core, 'uri' | 'terminatingRoute' | 'serve'>;
  /** The conference factory. */
  readonly factory?: string;
  /** SIP port, both protocols; default one of the system's choice. The same one again is where a killed one was. */
  readonly port?: number;
  readonly media?: Partial<MediaProfile>;
  readonly behaviour?: Partial<SessionBehaviour>;
  readonly notify?: Partial<NotifyBehaviour>;
  /** Whether messages wait here for a member whose session broke; default: they are lost, and told in `undelivered`. */
  readonly keepsForAbsent?: boolean;
  readonly timers?: Partial<TimerValues>;
  readonly trace?: (direction: 'out' | 'in', message: SipMessage) => void;
}

export interface ControllingFunction {
  readonly factory: string;
  /** SIP URI of the server itself. */
  readonly uri: string;
  readonly port: number;
  /** Group sessions, those that ended too, in order. */
  readonly conferences: Inbox<Conference>;
  /** Requests outside a dialog. */
  readonly requests: Inbox<SipRequest>;
  /** Refuses an INVITE with the status that it gives; undefined takes it. */
  refuses: (join: Join) => number | undefined | Promise<number | undefined>;
  /** Refuses a REFER likewise. */
  refusesRefer: (request: SipRequest) => number | undefined | Promise<number | undefined>;
  /** A group session that nobody asked for by INVITE: everybody on the list is invited. Resolves once all have answered. */
  create(
    group: Partial<GroupIdentity> & {readonly members: readonly (string | ListEntry)[]; readonly invitedBy?: string},
  ): Promise<Conference>;
  /** Goes away without a word: sockets close, nobody is told. May be called twice. */
  close(): Promise<void>;
}

/** Starts a controlling function on loopback. */
export async function startControllingFunction(options: ControllingFunctionOptions = {}): Promise<ControllingFunction> {
  const {core, factory = 'sip:conference-factory@home.example'} = options;
  const conferences = new Inbox<Conference>('group session');
  const requests = new Inbox<SipRequest>('request at the controlling function');
  const notify: NotifyBehaviour = {...goodNotifier, ...options.notify};
  const endpoint = await createMsrpEndpoint();
  const userAgent = await createUserAgent({
    identity: factory,
    user: 'focus',
    contactParameters: '',
    userAgent: 'CPM-serv/OMA2.1',
    proxy: core?.uri,
    protocol: 'tcp',
    port: options.port,
    timers: options.timers,
    trace: options.trace,
    onCall: (incoming) => {
      requests.push(incoming.request);
      answer(incoming).catch((error: unknown) => {
        // What makes no sense is the inviter's mistake, and he may go away at any moment.
        incoming.refuse(error instanceof CpmError && error.status >= 400 ? error.status : 500);
      });
    },
    onRequest: (request) => {
      requests.push(request);
      if (request.method === 'REFER') return referred(request);
      return request.method === 'OPTIONS' ? 200 : 405;
    },
    onSubscription: (incoming) => {
      requests.push(incoming.request);
      subscribed(incoming);
    },
  });
  const uri = parseNameAddr(userAgent.contact).uri;
  const port = parseSipUri(uri)?.port ?? 5060;
  const end: MediaEnd = {userAgent, endpoint, media: {...usualMedia, ...options.media}, behaviour: options.behaviour};
  core?.serve(factory, uri);

  function newConference(group: GroupIdentity, members: readonly ListEntry[]): Conference {
    const conference = new Conference({
      ...group,
      members,
      identity: uri.replace('focus@', `conf-${randomBytes(6).toString('hex')}@`),
      notify,
      keepsForAbsent: options.keepsForAbsent ?? false,
      place: (self, to, headers, parts) => placeMedia(end, to, [...invitationHeaders(self), ...headers], parts),
    });
    conferences.push(conference);
    return conference;
  }

  function invitationHeaders(conference: Conference): HeaderList {
    const {subject} = conference.description;
    return [
      ...(core === undefined ? [] : [['Route', core.terminatingRoute] as const]),
      ['From', `<${conference.identity}>`],
      ...ownHeaders(conference),
      ['Accept-Contact', formatAcceptContact({icsi: ICSI.session})],
      ['P-Asserted-Service', ICSI.session],
      ['Conversation-ID', conference.conversationId],
      ['Contribution-ID', conference.contributionId],
      ...(subject === undefined ? [] : [['Subject', subject] as const]),
    ];
  }

  async function answer(incoming: IncomingCall): Promise<void> {
    const {request} = incoming;
    const by = callerOf(request);
    const entries = resourceListsIn(headerOf(request, 'Content-Type') ?? '', request.body)?.entries;
    const group = groupOf(request);
    const earlier = conferences.items.findLast(
      ({identity, contributionId}) => sameUser(identity, request.uri) || contributionId === group.contributionId,
    );
    const active = conferences.items.findLast(
      ({over, contributionId}) => !over && contributionId === (earlier?.contributionId ?? group.contributionId),
    );
    const kind = active !== undefined ? 'join' : earlier !== undefined ? 'restart' : 'create';
    const word = controllingFunction.refuses({kind, by, request});
    const refusal = (word instanceof Promise ? await word : word) ?? refusalOf(by, active ?? earlier, entries);
    if (refusal !== undefined) {
      incoming.refuse(refusal);
      return;
    }
    const conference = active ?? newConference(group, entries ?? []);
    const sdp = leafParts(request.body, headerOf(request, 'Content-Type') ?? 'application/sdp').find(({contentType}) =>
      isType(contentType, 'application/sdp'),
    );
    const media = await acceptMedia(end, incoming, sdp?.body.toString() ?? '', ownHeaders(conference));
    const joining = conference.joined(by, media, 'dialed-in');
    await Promise.all([joining, ...(active === undefined ? [conference.invite(by)] : [])]);
  }

  function subscribed(incoming: IncomingSubscription): void {
    const {request} = incoming;
    const conference = conferences.items.find(({identity, over}) => sameUser(identity, request.uri) && !over);
    const event = headerOf(request, 'Event')?.split(';')[0]?.trim();
    const expires = Number(headerOf(request, 'Expires') ?? 3600);
    if (event !== 'conference') incoming.refuse(489);
    else if (conference === undefined) incoming.refuse(404);
    else conference.subscribed(callerOf(request), incoming, expires, contactOf(conference));
  }

  /** A member wants others to be invited: one, or a list of them (RFC 5368). The conference event tells what became of it, no subscription to the REFER. */
  async function referred(request: SipRequest): Promise<number> {
    const conference = conferences.items.find(({identity, over}) => sameUser(identity, request.uri) && !over);
    const by = callerOf(request);
    const refusal = await controllingFunction.refusesRefer(request);
    if (refusal !== undefined) return refusal;
    if (conference === undefined) return 404;
    if (!conference.isMember(by)) return 403;
    const {uri: target} = parseNameAddr(headerOf(request, 'Refer-To') ?? '');
    const list = resourceListsIn(headerOf(request, 'Content-Type') ?? '', request.body)?.entries ?? [];
    void conference.invite(by, target.startsWith('cid:') ? list.map(({uri}) => uri) : [target]);
    return 202;
  }

  const controllingFunction: ControllingFunction = {
    factory,
    uri,
    port,
    conferences,
    requests,
    refuses: () => undefined,
    refusesRefer: () => undefined,
    async create({members, invitedBy, conversationId = randomUUID(), contributionId = randomUUID(), ...more}) {
      const entries = members.map((member): ListEntry => (typeof member === 'string' ? {uri: member} : member));
      const conference = newConference({...more, conversationId, contributionId}, entries);
      await conference.invite(invitedBy);
      return conference;
    },
    async close() {
      await Promise.all([userAgent.close(), endpoint.close()]);
    },
  };
  return controllingFunction;
}

/** What says in an INVITE, or its 200, who we are: the focus of this conference. */
function ownHeaders(conference: Conference): HeaderList {
  return [...contactOf(conference), ['P-Asserted-Identity', `<${conference.identity}>`]];
}

function contactOf({identity}: Conference): HeaderList {
  return [['Contact', formatContact(identity, {isFocus: true, icsi: ICSI.session})]];
}

function callerOf(request: SipRequest): string {
  return parseNameAddr(headerOf(request, 'P-Asserted-Identity') ?? headerOf(request, 'From') ?? '').uri;
}

function groupOf(request: SipRequest): GroupIdentity {
  return {
    conversationId: headerOf(request, 'Conversation-ID') ?? randomUUID(),
    contributionId: headerOf(request, 'Contribution-ID') ?? randomUUID(),
    subject: headerOf(request, 'Subject'),
  };
}

/** Only members may join, or start a group again; a session that is over, and one that never was, can only be made with a list (RFC 5366). */
function refusalOf(
  by: string,
  known: Conference | undefined,
  entries: readonly ListEntry[] | undefined,
): number | undefined {
  if (known?.over === false) return known.isMember(by) ? undefined : 403;
  if (entries === undefined || known?.restartable === false) return 404;
  return known === undefined || known.isMember(by) ? undefined : 403;
}

/** A session identity is known by its user part: parameters may come and go on the way. */
function sameUser(identity: string, requested: string): boolean {
  return parseSipUri(identity)?.user === parseSipUri(requested)?.user;
}
