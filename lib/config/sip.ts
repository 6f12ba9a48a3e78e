import {z} from 'zod';
import {addressRange, file, host, listenPort, peerPort, sipUri, text, whole} from './values.ts';

const drachtioServer = z.strictObject({
  host: host.describe('Where drachtio listens for applications.'),
  port: peerPort.default(9022).describe('Its admin port; its tls-port where tls is given.'),
  secret: text.meta({secret: true}).describe('Its admin secret.'),
  tls: z
    .strictObject({
      authorityFile: file.optional().describe('Who may have signed its certificate, PEM; unset: those of the system.'),
      serverName: host.optional().describe('The name in its certificate; unset: the host.'),
    })
    .optional()
    .describe('TLS on the admin connection; `{}` for the authorities of the system.'),
});

const listen = z
  .strictObject({
    host: host.default('127.0.0.1').describe('Address on which it listens for drachtio servers.'),
    port: listenPort
      .optional()
      .describe('Port on which it does; unset: no server connects to the PF. 0 takes a free one.'),
    secret: text.optional().meta({secret: true}).describe('Their admin secret; unset: none may connect.'),
    servers: z
      .array(addressRange)
      .default(['127.0.0.1', '::1'])
      .describe('Who may connect: the secret is told to whoever does.'),
  })
  .prefault({})
  .describe('Where drachtio servers connect to the PF for each call (their request-handlers), besides sip.drachtio.');

const embeddedServer = z
  .strictObject({
    host: host.default('127.0.0.1').describe('Address on which it listens for SIP.'),
    port: listenPort.default(5060).describe('Its SIP port, UDP and TCP; 0 takes a free one.'),
    adminPort: listenPort.default(9022).describe('Loopback port of its admin protocol; 0 takes a free one.'),
    t1Milliseconds: whole(10, 5000).default(500).describe('Timer T1 (RFC 3261 §17.1.1.1).'),
  })
  .prefault({})
  .describe('The SIP server that is started where no drachtio is named; for evaluation and tests.');

/** Section `sip`: the server, the network around it, and how long SIP may take. */
export const sip = z
  .strictObject({
    drachtio: z
      .array(drachtioServer)
      .default([])
      .meta({example: {host: '127.0.0.1', port: 9022, secret: '${DRACHTIO_SECRET}'}})
      .describe('The drachtio servers. None: the embedded server is started.'),
    listen,
    embedded: embeddedServer,
    contactHost: host.optional().describe("Host in our Contact; unset: the server's own."),
    homeDomain: host.default('localhost').describe('Domain of the served users.'),
    outboundProxy: sipUri.optional().describe('Next hop of what the PF originates, where no serving node is known.'),
    trustedPeers: z
      .array(addressRange)
      .default([])
      .meta({example: '192.0.2.0/24'})
      .describe('Whose P-Asserted-Identity and P-Served-User are believed (RFC 3325).'),
    directionMarkers: z
      .strictObject({
        originating: text.default('orig').describe('User part of the topmost Route, or Request-URI parameter.'),
        terminating: text.default('term').describe('User part of the topmost Route, or Request-URI parameter.'),
      })
      .prefault({})
      .describe('What marks the direction of a request that has no P-Served-User (RFC 5502).'),
    inviteSeconds: whole(1, 180)
      .default(25)
      .describe("Silence of the user's devices after which the PF accepts for him."),
    messageSeconds: whole(1, 30)
      .default(10)
      .describe(
        'Wait for the answer to a MESSAGE of ours; then nobody is there, and it is kept. Below the 32 s of its sender.',
      ),
    byeAnswerSeconds: whole(1, 25).default(10).describe('Latest answer to a BYE, whatever still goes on (8.3.2.3).'),
    sessionExpiresSeconds: whole(90, 86_400).default(1800).describe('Session timer that we ask for (RFC 4028).'),
    retryAfterSeconds: whole(1, 3600).default(30).describe('Retry-After of a 503.'),
    regEvent: z.boolean().default(false).describe('Subscribe to the reg event of registered users (RFC 3680).'),
  })
  .prefault({})
  .describe('SIP: the server, the network around it, and how long things may take.');
