import {z} from 'zod';
import {cpm} from './cpm.ts';
import {overload} from './overload.ts';
import {peers} from './peers.ts';
import {hooks, plugins} from './plugins.ts';
import {relay} from './relay.ts';
import {sip} from './sip.ts';
import {file, host, identity, isLoopback, listenPort, loopback, text, whole} from './values.ts';

const node = z
  .strictObject({
    name: text.default('pf-1').describe('Name of this node, its own among all nodes on one store.'),
    runtimeDirectory: file.default('run').describe('Port files, sockets, spool: may be lost.'),
    stateDirectory: file.default('state').describe('The embedded store: must be kept.'),
    drainSeconds: whole(0, 3600).default(20).describe('How long SIGTERM waits for sessions to end.'),
  })
  .prefault({})
  .describe('This node.');

const deferral = z.boolean().describe('Keep messages while the user is away; false: the inviter is told 480.');

const allowOfflineStorage = z
  .boolean()
  .describe('His sessions are recorded in the message store when they are over (8.5.2).');

const served = z
  .strictObject({
    users: z
      .array(
        z.strictObject({
          identities: z.array(identity).min(1).describe('All addresses of the user, one at least.'),
          policy: z
            .strictObject({deferral: deferral.optional(), allowOfflineStorage: allowOfflineStorage.optional()})
            .optional()
            .describe('What differs from served.policy.'),
        }),
      )
      .default([])
      .meta({example: {identities: ['tel:+15550100', 'sip:alice@example.org']}})
      .describe('Served users by name.'),
    domains: z.array(host).default([]).meta({example: 'example.org'}).describe('Domains whose every user is served.'),
    numberPrefixes: z
      .array(
        z
          .string()
          .regex(/^\+\d{1,15}$/)
          .meta({expected: 'a number prefix such as +1555'}),
      )
      .default([])
      .meta({example: '+1555'})
      .describe('Ranges of international numbers whose every user is served.'),
    policy: z
      .strictObject({deferral: deferral.default(true), allowOfflineStorage: allowOfflineStorage.default(false)})
      .prefault({})
      .describe('Policy of everyone who has none of his own.'),
  })
  .prefault({})
  .describe('Who is served.');

const store = z
  .strictObject({
    kind: z
      .enum(['embedded', 'mongodb'])
      .default('embedded')
      .describe('A file of this node, or MongoDB for several nodes.'),
    path: file.optional().describe('File of the embedded store; unset: cpm.db in node.stateDirectory.'),
    uri: text.default('mongodb://127.0.0.1:27017').meta({secret: true}).describe('MongoDB connection string.'),
    database: text.default('cpm').describe('MongoDB database.'),
    answerSeconds: whole(1, 9)
      .default(8)
      .describe('Longest wait for the store; then it counts as away. Well inside the 30 s of an MSRP sender.'),
  })
  .prefault({})
  .describe('Where messages are kept.');

const admin = z
  .strictObject({
    host: loopback.default('127.0.0.1').describe('Loopback address of the admin endpoint.'),
    port: listenPort.default(9080).describe('Its port; 0 takes a free one.'),
  })
  .prefault({})
  .describe('The admin HTTP endpoint: /live, /ready, /status, /metrics.');

const log = z
  .strictObject({
    level: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('From where on records are written.'),
  })
  .prefault({})
  .describe('Log records, one JSON object a line, on standard output.');

/** The whole configuration, as a file may state it. */
export const schema = z
  .strictObject({node, sip, cpm, served, overload, relay, store, peers, hooks, plugins, admin, log})
  .superRefine((config, context) => {
    const mistake = (path: readonly string[], message: string): void => {
      context.addIssue({code: 'custom', path: [...path], message});
    };

    for (const side of ['access', 'core'] as const)
      if (['0.0.0.0', '::'].includes(config.relay[side].advertisedHost ?? config.relay[side].listenHost))
        mistake(['relay', side, 'advertisedHost'], 'an address that peers can reach');

    const {port, secret} = config.sip.listen;
    if (port !== undefined && secret === undefined)
      mistake(['sip', 'listen', 'secret'], 'the admin secret of the servers');
    if (port !== undefined && config.sip.drachtio.length === 0)
      mistake(['sip', 'drachtio'], 'a server at least, over which the PF sends what it originates');

    for (const side of ['access', 'core'] as const) {
      const {certificateFile, keyFile, authorityFile, require} = config.relay[side].tls;
      const needed = (key: string): void => {
        mistake(['relay', side, 'tls', key], 'a path: a certificate and its key go together');
      };
      if (certificateFile === undefined && (keyFile ?? authorityFile ?? (require || undefined)) !== undefined)
        needed('certificateFile');
      if (certificateFile !== undefined && keyFile === undefined) needed('keyFile');
    }

    const {certificateFile, keyFile, authorityFile} = config.relay.tls;
    const withTls = certificateFile !== undefined && keyFile !== undefined && authorityFile !== undefined;
    const control = [config.relay.control, ...config.relay.sidecars];
    if (!withTls && control.some(isRemote))
      mistake(['relay', 'tls'], 'all three files, as a control address is not loopback');

    const {listenHost, advertisedHost = listenHost, tls} = config.peers;
    const files = [tls.certificateFile, tls.keyFile, tls.authorityFile].filter((one) => one !== undefined);
    if (files.length < 3 && (files.length > 0 || ![listenHost, advertisedHost].every(isLoopback)))
      mistake(['peers', 'tls'], 'all three files, as other nodes are not on loopback');
    if (['0.0.0.0', '::'].includes(advertisedHost))
      mistake(['peers', 'advertisedHost'], 'an address that other nodes can reach');

    const seen = new Set<string>();
    config.served.users.forEach((user, index) => {
      for (const address of user.identities) {
        if (seen.has(address)) mistake(['served', 'users', String(index), 'identities'], `${address} in one user only`);
        seen.add(address);
      }
    });
  });

function isRemote(control: string): boolean {
  if (control.startsWith('unix:')) return false;
  return !isLoopback(control.slice(0, control.lastIndexOf(':')).replace(/^\[|\]$/g, ''));
}
