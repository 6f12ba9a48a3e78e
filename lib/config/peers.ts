import {z} from 'zod';
import {file, host, listenPort} from './values.ts';

/** Section `peers`: where other nodes on the same store ask this one to give a user's lease up. */
export const peers = z
  .strictObject({
    listenHost: host
      .default('127.0.0.1')
      .describe('Address on which it listens for other nodes; with the embedded store it does not.'),
    listenPort: listenPort.default(0).describe('Its port; 0 takes a free one.'),
    advertisedHost: host.optional().describe('Host by which they reach it; unset: listenHost.'),
    tls: z
      .strictObject({
        certificateFile: file.optional().describe('Our certificate, PEM, made out to advertisedHost.'),
        keyFile: file.optional().describe('Its key, PEM.'),
        authorityFile: file
          .optional()
          .describe('Who has signed the certificates of all nodes, PEM, and of nobody else.'),
      })
      .prefault({})
      .describe('Mutual TLS between nodes; needed beyond loopback.'),
  })
  .prefault({})
  .describe('Other nodes on the same MongoDB (docs/operations.md).');
