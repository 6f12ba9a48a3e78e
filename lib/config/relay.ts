import {z} from 'zod';
import {controlAddress, file, host, listenPort, peerPort, whole} from './values.ts';

const side = (towards: string, port: number) =>
  z
    .strictObject({
      listenHost: host.default('127.0.0.1').describe('Address on which it listens.'),
      listenPort: listenPort.default(port).describe('Port on which it listens; 0 takes a free one.'),
      advertisedHost: host.optional().describe('Host in a=path; unset: listenHost.'),
      advertisedPort: peerPort.optional().describe('Port in a=path; unset: listenPort.'),
    })
    .prefault({})
    .describe(`MSRP towards ${towards}.`);

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
    access: side("the served users' devices", 2855),
    core: side('the core', 2856),
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
  })
  .prefault({})
  .describe('The MSRP relay sidecar.');
