/** What the relay process is told when it starts: one JSON object, checked, with a default and a unit for everything that has one. */
import {z} from 'zod';
import {CpmError} from '../errors.ts';

const port = z.int().min(0).max(65_535);

/** A relay of somebody else's that sessions go through (RFC 4976), and who we are there. */
const via = z.strictObject({
  uri: z.string(),
  username: z.string(),
  /** One of them, or an empty password. */
  passwordFile: z.string().optional(),
  passwordVariable: z.string().optional(),
  /** For how long a path is asked; undefined: as long as the relay likes. */
  expiresSeconds: z.int().positive().optional(),
});

const side = z.strictObject({
  via: via.optional(),
  /** Where MSRP connections are accepted; port 0 takes a free one. */
  listen: z.strictObject({host: z.string().default('127.0.0.1'), port: port.default(0)}).prefault({}),
  /** What peers are told, where it differs: a public address, a forwarded port. */
  advertise: z.strictObject({host: z.string().optional(), port: port.optional()}).prefault({}),
  /** What we become where the peer leaves it to us (RFC 6135 §4.2); `active-only`: nobody can connect to us. */
  setup: z.enum(['passive', 'active', 'active-only']).default('passive'),
  /** CEMA is offered and answered (RFC 6714). */
  cema: z.boolean().default(true),
  /** MSRP over TLS; without it there is none. */
  tls: z
    .strictObject({
      certificateFile: z.string(),
      keyFile: z.string(),
      authorityFile: z.string().optional(),
      listenPort: port.default(0),
      advertisedPort: port.optional(),
      /** What we offer. */
      offer: z.enum(['msrps', 'msrp']).default('msrps'),
      /** Nothing goes without TLS: plain offers are refused. */
      require: z.boolean().default(false),
      /** How often the files are looked at. */
      watchSeconds: z.number().positive().default(5),
    })
    .optional(),
});

const tls = z.strictObject({ca: z.string(), cert: z.string(), key: z.string()});

const schema = z.strictObject({
  /** Of the package that starts it, told to whoever connects. */
  version: z.string().default('unknown'),
  /** Of the node whose process it is: stands in each of its log records. */
  node: z.string().default('relay'),
  /** `unix:/path` or `host:port`; beyond loopback only with `tls`. */
  control: z.string(),
  /** PEM files: both ends show a certificate of this authority. */
  tls: tls.optional(),
  access: side.prefault({}),
  core: side.prefault({}),
  /** How long the next hop may take to answer a relayed chunk, from its last octet written: half of a sender's 30 seconds. */
  nextHopSeconds: z.number().positive().default(15),
  /** How long a peer may take to answer what was sent for the PF (RFC 4975 §7.1.1). */
  transactionSeconds: z.number().positive().default(30),
  /** How long an open connection attempt may take. */
  connectSeconds: z.number().positive().default(10),
  /** How long relayed pairs go on when their PF is gone. */
  graceSeconds: z.number().min(0).default(30),
  /** How long a leg that ended waits for what it offered to be settled. */
  drainSeconds: z.number().min(0).default(20),
  /** Ends the process when no PF is connected for so long; undefined: it stays. */
  exitWhenOrphanedSeconds: z.number().positive().optional(),
  spool: z
    .strictObject({
      /** Octets of unsettled messages kept in memory, of all sessions. */
      memoryBytes: z
        .int()
        .positive()
        .default(256 * 1024 * 1024),
      /** A message beyond this goes to disk. */
      messageMemoryBytes: z
        .int()
        .positive()
        .default(1024 * 1024),
      /** Octets on disk, of all sessions; beyond both bounds a sender gets 413. */
      diskBytes: z
        .int()
        .min(0)
        .default(4 * 1024 * 1024 * 1024),
      /** Undefined: a folder of its own below the system's temporary one, removed at the end. */
      directory: z.string().optional(),
    })
    .prefault({}),
  limits: z
    .strictObject({
      startLineBytes: z.int().positive().default(512),
      headerBytes: z.int().positive().default(8192),
      /** A frame that was begun and does not go on for so long ends its connection. */
      unfinishedFrameSeconds: z.number().positive().default(30),
      /** A message whose chunks stop coming is forgotten after that. */
      unfinishedMessageSeconds: z.number().positive().default(120),
      /** A session without a request, or an answer to one, for so long ends; 0: never. */
      idleSessionSeconds: z.number().min(0).default(0),
      /** A connection on which no octet comes for so long is closed; 0: never. */
      idleConnectionSeconds: z.number().min(0).default(0),
      /** Connections that have no session are closed after that. */
      unboundSeconds: z.number().positive().default(30),
      sessions: z.int().positive().default(20_000),
      connections: z.int().positive().default(20_000),
      /** Sessions that one connection of ours may carry to the same host and port (RFC 4975 §5.4): a stuck reader holds up all of them. */
      sessionsPerConnection: z.int().positive().default(1),
      /** Accepted from one address. Behind an address translator, or a session border controller, all phones have the same one. */
      connectionsPerAddress: z.int().positive().default(20_000),
      /** A SEND whose From-Path does not end in the session-id that was negotiated gets 403. */
      checkFromPath: z.boolean().default(true),
      /** Octets of a frame that was refused already before its connection is closed: a sender should have stopped. */
      refusedFrameBytes: z
        .int()
        .positive()
        .default(16 * 1024 * 1024),
      /** Octets of answers that a peer asks for and does not read before his connection is closed. */
      unreadBytes: z
        .int()
        .positive()
        .default(8 * 1024 * 1024),
      /** Octets kept in memory for all sessions: unsettled, queued, sent for the PF. Beyond it messages get 413, and queues are held shorter. */
      memoryBytes: z
        .int()
        .positive()
        .default(512 * 1024 * 1024),
      /** Messages of one session that are unsettled at a time; more wait in the peer's socket, or get 413 where it carries other sessions. */
      messagesPerSession: z.int().positive().default(1000),
      /** Octets that wait for one slow or not yet opened partner before its sender is held up. */
      backlogBytes: z
        .int()
        .positive()
        .default(1024 * 1024),
      /** The same where the sender's connection carries other sessions, who are not to be held up: beyond it its messages get 413. */
      sharedBacklogBytes: z
        .int()
        .positive()
        .default(16 * 1024 * 1024),
      /** Octets queued on one connection before those that feed it are held up. */
      queueBytes: z
        .int()
        .positive()
        .default(256 * 1024),
    })
    .prefault({}),
});

export type Via = z.output<typeof via>;
export type RelayOptions = z.output<typeof schema>;
export type SideOptions = z.output<typeof side>;

/** Reads the options. Throws `CPM_RELAY_OPTIONS` (500) that names what is wrong. */
export function relayOptions(input: unknown): RelayOptions {
  const result = schema.safeParse(input);
  if (!result.success) throw new CpmError('CPM_RELAY_OPTIONS', 500, z.prettifyError(result.error));
  if (result.data.tls === undefined && !isLocal(result.data.control)) {
    throw new CpmError('CPM_RELAY_OPTIONS', 500, `control ${result.data.control} is beyond loopback and has no tls`);
  }
  return result.data;
}

/** Whether a control address is a unix socket or loopback. */
export function isLocal(control: string): boolean {
  return control.startsWith('unix:') || /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost):\d+$/.test(control);
}
