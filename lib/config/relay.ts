import {z} from 'zod';
import {controlAddress, file, host, listenPort, msrpUri, peerPort, text, whole} from './values.ts';

const via = z
  .strictObject({
    uri: msrpUri.optional().describe('The relay, `msrp://HOST:PORT;tcp`; unset: none.'),
    username: z.string().default('').describe('Who we are to it.'),
    passwordFile: file.optional().describe('The password, alone in a file.'),
    passwordVariable: text
      .optional()
      .describe('Or the environment variable that it stands in; both unset: an empty one.'),
    expiresSeconds: whole(60, 604_800)
      .optional()
      .describe('For how long a path is asked; unset: as long as the relay likes.'),
  })
  .prefault({})
  .describe('A relay of somebody else that sessions go through (RFC 4976).');

const tls = (port: number) =>
  z
    .strictObject({
      certificateFile: file.optional().describe('Our certificate and its chain, PEM; unset: MSRP is without TLS.'),
      keyFile: file.optional().describe('Its key, PEM; unset only where certificateFile is, too.'),
      authorityFile: file
        .optional()
        .describe('Who may have signed the certificate of a peer without a=fingerprint, PEM; unset: he gets 488.'),
      listenPort: listenPort.default(port).describe('Port for TLS; 0 takes a free one.'),
      advertisedPort: peerPort.optional().describe('Port in a=path; unset: listenPort.'),
      offer: z
        .enum(['msrps', 'msrp'])
        .default('msrps')
        .describe('What our offers say where there is a certificate; offers of others are answered in kind.'),
      require: z.boolean().default(false).describe('Whether an offer without TLS gets 488, and nobody listens for it.'),
    })
    .prefault({})
    .describe('MSRP over TLS. Changed files are used from a few seconds later on; sessions that run stay.');

const side = (towards: string, port: number, tlsPort: number) =>
  z
    .strictObject({
      listenHost: host.default('127.0.0.1').describe('Address on which it listens.'),
      listenPort: listenPort.default(port).describe('Port on which it listens; 0 takes a free one.'),
      advertisedHost: host.optional().describe('Host in a=path; unset: listenHost.'),
      advertisedPort: peerPort.optional().describe('Port in a=path; unset: listenPort.'),
      via,
      setup: z
        .enum(['passive', 'active', 'active-only'])
        .default('passive')
        .describe(
          'What we become where a peer leaves open who connects; active-only: nobody can connect to us (RFC 6135).',
        ),
      cema: z
        .boolean()
        .default(true)
        .describe('Offer and answer a=msrp-cema: the connection goes where c= and m= say (RFC 6714).'),
      tls: tls(tlsPort),
    })
    .prefault({})
    .describe(`MSRP towards ${towards}.`);

const megabyte = 2 ** 20;

/** Keys and defaults of the process itself (lib/sidecar/options.ts): what is beyond one is refused, counted and logged, and never fatal. */
const limits = z
  .strictObject({
    sessions: whole(1, 1_000_000).default(20_000).describe('MSRP sessions; beyond it invitations get 503.'),
    connections: whole(1, 1_000_000).default(20_000).describe('Connections, both sides.'),
    sessionsPerConnection: whole(1, 100_000)
      .default(1)
      .describe('Sessions on a connection that we open; 1, since one stuck reader holds up all of its sessions.'),
    connectionsPerAddress: whole(1, 1_000_000)
      .default(20_000)
      .describe(
        'Connections from one IPv4 address or IPv6 /64; lower it where no border controller gives all phones one.',
      ),
    checkFromPath: z
      .boolean()
      .default(true)
      .describe('403 for a SEND whose From-Path does not end in the session-id of the peer’s a=path.'),
    startLineBytes: whole(64, 8192).default(512).describe('First line of a frame.'),
    headerBytes: whole(512, 65_536).default(8192).describe('First line and headers of a frame.'),
    refusedFrameBytes: whole(2048, 2 ** 30)
      .default(16 * megabyte)
      .describe('Read of a frame that was refused, before its connection is closed.'),
    unfinishedFrameSeconds: whole(1, 3600).default(30).describe('Silence in the middle of a frame.'),
    unfinishedMessageSeconds: whole(1, 86_400)
      .default(120)
      .describe('Silence between the chunks of a message, and the longest that the head of a frame may take.'),
    unboundSeconds: whole(1, 3600).default(30).describe('A connection without a session.'),
    idleConnectionSeconds: whole(0, 604_800).default(0).describe('A connection without any octet; 0: never closed.'),
    idleSessionSeconds: whole(0, 604_800)
      .default(0)
      .describe('A session without a message or keep-alive; 0: the SIP session timer decides.'),
    messagesPerSession: whole(1, 1_000_000).default(1000).describe('Messages of a session that may be unanswered.'),
    unreadBytes: whole(65_536, 2 ** 30)
      .default(8 * megabyte)
      .describe('Answers that a peer asked for and does not read.'),
    memoryBytes: whole(megabyte, 2 ** 40)
      .default(512 * megabyte)
      .describe('Octets of messages in memory, all sessions; beyond it 413 and 503.'),
  })
  .prefault({})
  .describe('What one relay process takes; docs/operations.md has the counter of each.');

/** Section `relay`: the MSRP sidecar, read by the PF and by `cpm-pf relay`. */
export const relay = z
  .strictObject({
    sidecars: z
      .array(controlAddress)
      .default([])
      .meta({example: '192.0.2.7:7650'})
      .describe('Sidecars that run already. None: the PF starts and watches its own.'),
    control: controlAddress.default('127.0.0.1:0').describe('Where a sidecar of this configuration is controlled.'),
    tls: z
      .strictObject({
        certificateFile: file.optional().describe('Our certificate, PEM.'),
        keyFile: file.optional().describe('Its key, PEM.'),
        authorityFile: file.optional().describe('Who may have signed the other side, PEM.'),
      })
      .prefault({})
      .describe('Mutual TLS of the control connection; needed beyond loopback.'),
    access: side("the served users' devices", 2855, 2857),
    core: side('the core', 2856, 2858),
    bindSeconds: whole(1, 120).default(20).describe("Wait for a peer's MSRP connection after the answer."),
    nextHopSeconds: whole(1, 20)
      .default(15)
      .describe("Wait for the next hop's answer to a chunk; then it is deferred."),
    responseSeconds: whole(1, 120).default(30).describe('Wait for the answer to a chunk of our own (RFC 4975 §7.1).'),
    graceSeconds: whole(0, 3600).default(60).describe('How long relayed sessions go on without their PF.'),
    spoolDirectory: file.optional().describe('Unfinished messages; unset: spool in node.runtimeDirectory.'),
    spoolMemoryBytes: whole(0, 2 ** 30)
      .default(256 * 1024)
      .describe('Part of an unfinished message that is kept in memory, not on disk.'),
    spoolBytes: whole(2 ** 20, 2 ** 40)
      .default(2 ** 30)
      .describe('Bound of all unfinished messages; beyond it a sender gets 413.'),
    limits,
  })
  .prefault({})
  .describe('The MSRP relay sidecar.');
