/** A phone for benchmarks: SIP as every simulated phone has it, MSRP as the load has it, nothing looked at that need not be. */
import {once} from 'node:events';
import {createServer, type AddressInfo} from 'node:net';
import {formatAcceptContact} from '../../lib/codecs/sip-headers/accept-contact.ts';
import {formatFeatures} from '../../lib/codecs/sip-headers/features.ts';
import {parseMsrpUri} from '../../lib/codecs/msrp/uri.ts';
import {ICSI} from '../../lib/cpm/feature-tags.ts';
import {Call} from '../../lib/phone/call.ts';
import {describe, mediaOf, usualMedia} from '../../lib/phone/session-description.ts';
import {createUserAgent} from '../../lib/phone/sip-user-agent.ts';
import {randomUUID} from 'node:crypto';
import {Receiver} from '../msrp/receiver.ts';
import type {Session} from '../msrp/frames.ts';

export interface BenchPhone {
  register(expires?: number): Promise<void>;
  /** Invites to a chat; resolves with the call, and where its SENDs are to go. */
  invite(to: string): Promise<{readonly call: Call; readonly session: Session}>;
  /** Messages that came whole. */
  readonly received: number;
  /** `performance.now()` of the last INVITE that came. */
  readonly invitedAt: number;
  /** Resolves with `performance.now()` once so many messages have come. */
  receives(count: number): Promise<number>;
  /** Resolves when no call is left. */
  quiet(): Promise<void>;
  close(): Promise<void>;
}

/** Switches one on. `media`: it takes part in MSRP; otherwise its calls are SIP alone. */
export async function startBenchPhone(address: string, core: string, {media = true} = {}): Promise<BenchPhone> {
  const receivers: Receiver[] = [];
  let wanted: {readonly count: number; readonly done: (at: number) => void} | undefined;
  let invitedAt = 0;
  const received = () => receivers.reduce((sum, receiver) => sum + receiver.received, 0);
  const server = createServer((socket) => {
    receivers.push(
      new Receiver(socket, () => {
        if (wanted === undefined || received() < wanted.count) return;
        wanted.done(performance.now());
        wanted = undefined;
      }),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  const path = (at: number) => `msrp://127.0.0.1:${at}/${randomUUID()};tcp`;
  const userAgent = await createUserAgent({
    identity: address,
    user: /^sip:([^@;]+)/.exec(address)?.[1] ?? 'phone',
    contactParameters: formatFeatures({icsi: ICSI.session, instance: `<urn:uuid:${randomUUID()}>`}),
    userAgent: 'bench',
    proxy: core,
    protocol: 'tcp',
    onCall: (incoming) => {
      invitedAt = performance.now();
      // The network connects to us; without media we would connect, and never do.
      const answer = describe(usualMedia, {path: [path(port)], port, setup: media ? 'passive' : 'active'});
      incoming.accept(answer).catch(() => undefined);
    },
    onRequest: () => 200,
  });
  return {
    get received() {
      return received();
    },
    get invitedAt() {
      return invitedAt;
    },
    async register(expires = 3600) {
      const {status} = await userAgent.request('REGISTER', 'sip:home.example', [['Expires', String(expires)]]);
      if (status !== 200) throw new Error(`the registration was answered ${status}`);
    },
    async invite(to) {
      const own = path(9);
      const outgoing = userAgent.invite(to, describe(usualMedia, {path: [own], port: 9, setup: 'active'}), [
        ['Accept-Contact', formatAcceptContact({icsi: ICSI.session})],
        ['P-Preferred-Service', ICSI.session],
        ['Conversation-ID', randomUUID()],
        ['Contribution-ID', randomUUID()],
      ]);
      const call = await outgoing.outcome;
      if (!(call instanceof Call)) throw new Error(`the invitation was answered ${call.status}`);
      const {path: remote} = mediaOf(call.remoteSdp);
      const {host, port: remotePort = 2855} = parseMsrpUri(remote[0] ?? '');
      return {call, session: {host, port: remotePort, toPath: remote.join(' '), fromPath: own}};
    },
    receives(count) {
      if (received() >= count) return Promise.resolve(performance.now());
      return new Promise((done) => {
        wanted = {count, done};
      });
    },
    async quiet() {
      await Promise.all(userAgent.calls.map((call) => call.ended));
    },
    async close() {
      server.close();
      await userAgent.close();
    },
  };
}
