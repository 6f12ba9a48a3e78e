/**
 * The stand-in SIP server as a process: `node dist/lib/embedded-drachtio/main.js '<json>'`. It outlives whoever started it, so that the
 * dialogs of a killed application can be ended by the next one, and ends by itself when no application comes back.
 */
import {readFile} from 'node:fs/promises';
import {z} from 'zod';
import {CpmError} from '../errors.ts';
import {systemClock, type Timer} from '../ports/clock.ts';
import {startEmbeddedServer} from './server.ts';
import {hostPortOf} from './sip-values.ts';
import {rfc3261Timers} from './timers.ts';

const configuration = z.strictObject({
  adminHost: z.string().default('127.0.0.1'),
  adminPort: z.int().min(0).max(65_535).default(9022),
  /** TLS for applications; the files are PEM, the certificate with its chain. */
  adminTls: z.strictObject({port: z.int().min(0).max(65_535), certFile: z.string(), keyFile: z.string()}).optional(),
  secret: z.string().default('cymru'),
  contacts: z.array(z.string()).min(1),
  requestHandlers: z
    .array(
      z.strictObject({
        sipMethod: z.string().default('*'),
        httpMethod: z.enum(['GET', 'POST']).default('GET'),
        url: z.string().regex(/^(https?|tcp|tls):\/\/./),
        verifyPeer: z.boolean().default(false),
      }),
    )
    .default([]),
  /** Without an application for so long it ends; 0 is never. */
  exitWhenIdleSeconds: z.number().min(0).default(300),
  timers: z
    .strictObject({
      t1Ms: z.number().positive().default(rfc3261Timers.t1Ms),
      t2Ms: z.number().positive().default(rfc3261Timers.t2Ms),
      t4Ms: z.number().positive().default(rfc3261Timers.t4Ms),
      dMs: z.number().positive().default(rfc3261Timers.dMs),
    })
    .prefault({}),
});

async function main(text: string | undefined): Promise<void> {
  const config = configuration.parse(JSON.parse(text ?? '{}'));
  let idle: Timer | undefined;

  function exit(): void {
    void server.close().finally(() => process.exit(0));
  }
  function onApps(count: number): void {
    idle?.cancel();
    if (count > 0 || config.exitWhenIdleSeconds === 0) return;
    idle = systemClock.after(1000 * config.exitWhenIdleSeconds, exit);
  }

  // Whoever read our output may be gone; that is no reason to end.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  process.on('SIGHUP', () => undefined);
  const {adminTls, ...rest} = config;
  const server = await startEmbeddedServer({
    ...rest,
    adminTls: adminTls && {
      port: adminTls.port,
      cert: await readFile(adminTls.certFile, 'utf8'),
      key: await readFile(adminTls.keyFile, 'utf8'),
    },
    onApps,
    onError: (error) =>
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`),
  });
  process.on('SIGTERM', exit);
  process.on('SIGINT', exit);
  onApps(0);
  process.stderr.write('embedded SIP server: for evaluation and tests, not for operation\n');
  const {adminPort, adminTlsPort} = server;
  const contacts = server.contacts.map((contact) => `${contact.protocol}:${hostPortOf(contact)}`);
  process.stdout.write(`${JSON.stringify({event: 'listening', adminPort, adminTlsPort, contacts})}\n`);
}

main(process.argv[2]).catch((error: unknown) => {
  const sentence = error instanceof CpmError ? `${error.code}: ${error.message}` : String(error);
  process.stderr.write(`embedded SIP server: ${sentence}\n`);
  process.exitCode = 1;
});
