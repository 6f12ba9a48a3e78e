/** Calls with an MSRP session in them, as whoever has a user agent and an MSRP endpoint makes and takes them (RFC 4975 §8). */
import type {Part} from '../codecs/multipart.ts';
import type {SipResponse} from '../codecs/sip-message.ts';
import {Call, type HeaderList} from './call.ts';
import type {MsrpEndpoint, PeerMedia} from './msrp-endpoint.ts';
import type {MsrpSession, SessionBehaviour} from './msrp-session.ts';
import {
  answererRole,
  describe,
  mediaOf,
  offererRole,
  type MediaProfile,
  type PhoneMedia,
} from './session-description.ts';
import type {IncomingCall, UserAgent} from './sip-user-agent.ts';

export interface MediaEnd {
  readonly userAgent: UserAgent;
  readonly endpoint: MsrpEndpoint;
  readonly media: MediaProfile;
  readonly behaviour?: Partial<SessionBehaviour> | undefined;
}

/** A call that was answered. Its MSRP session ends with it. */
export interface MediaCall {
  readonly call: Call;
  readonly msrp: MsrpSession;
  /** Brings the MSRP connection about; without one in time the call is ended, and the promise rejects with `CpmError`. */
  readonly connect: () => Promise<void>;
}

/**
 * Takes a call whose offer is `sdp`.
 *
 * @throws CpmError 488 where the offer makes no sense, 487 where the call was cancelled.
 */
export async function acceptMedia(
  end: MediaEnd,
  incoming: IncomingCall,
  sdp: string,
  headers: HeaderList = [],
): Promise<MediaCall> {
  const {endpoint, media, behaviour} = end;
  const offer = mediaOf(sdp, endpoint.fingerprint !== undefined);
  const role = answererRole(offer, media);
  const msrp = await endpoint.openSession(behaviour);
  const setup = offer.setup === undefined ? undefined : role;
  const call = await incoming.accept(describe(media, ownMedia(end, msrp, setup)), headers);
  return mediaCall(endpoint, call, msrp, offer, role);
}

/** Makes a call; gives the response that refused it where one did. `parts` go beside the offer. */
export async function placeMedia(
  end: MediaEnd,
  uri: string,
  headers: HeaderList,
  parts?: readonly Pick<Part, 'headers' | 'body'>[],
): Promise<MediaCall | SipResponse> {
  const {userAgent, endpoint, media, behaviour} = end;
  const msrp = await endpoint.openSession(behaviour);
  const offer = describe(media, ownMedia(end, msrp, media.offerSetup));
  const call = await userAgent.invite(uri, offer, headers, parts).outcome;
  if (!(call instanceof Call)) {
    endpoint.closeSession(msrp);
    return call;
  }
  const answer = mediaOf(call.remoteSdp, endpoint.fingerprint !== undefined);
  return mediaCall(endpoint, call, msrp, answer, offererRole(answer));
}

function ownMedia({endpoint}: MediaEnd, {path}: MsrpSession, setup: string | undefined): PhoneMedia {
  return {path, port: endpoint.port, setup, fingerprint: endpoint.fingerprint};
}

function mediaCall(
  endpoint: MsrpEndpoint,
  call: Call,
  msrp: MsrpSession,
  peer: PeerMedia,
  role: 'active' | 'passive',
): MediaCall {
  void call.ended.then(() => {
    endpoint.closeSession(msrp);
  });
  return {
    call,
    msrp,
    async connect() {
      try {
        await endpoint.connect(msrp, peer, role);
        await msrp.bound();
      } catch (error) {
        void call.bye([['Reason', 'SIP;cause=408;text="No MSRP connection"']]);
        throw error;
      }
    },
  };
}
