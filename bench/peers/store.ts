/** The embedded store alone: what it takes to insert messages in batches. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import {openEmbeddedStore} from '../../lib/adapters/embedded-store/embedded-store.ts';
import type {NewDeferredMessage} from '../../lib/cpm/deferred-message.ts';
import {chatMessages} from '../sip/messages.ts';
import {serve} from '../worker.ts';

const day = 24 * 3600 * 1000;
let runs = 0;

/** Inserts messages of so many senders, one of each in a batch, one batch after the other; messages a second. */
async function insert({senders, messages}: {readonly senders: number; readonly messages: number}): Promise<number> {
  runs += 1;
  const folder = mkdtempSync(path.join(tmpdir(), 'cpm-bench-'));
  const store = await openEmbeddedStore({path: path.join(folder, 'cpm.db')});
  try {
    const batches = batchesOf(senders, messages);
    const begin = performance.now();
    for (const batch of batches) await store.deferredQueue.enqueue(batch);
    return (senders * messages) / ((performance.now() - begin) / 1000);
  } finally {
    await store.close();
    rmSync(folder, {recursive: true, force: true});
  }
}

function batchesOf(senders: number, messages: number): readonly (readonly NewDeferredMessage[])[] {
  const now = Date.now();
  const bodies = Array.from({length: senders}, (_, sender) => chatMessages(`store${runs}-${sender}-`, messages));
  return Array.from({length: messages}, (_, index) =>
    bodies.map((ofSender, sender) => ({
      servedUser: `tel:+1555${3_000_000 + sender}`,
      sender: `tel:+1444${1_000_000 + sender}`,
      kind: 'chat' as const,
      imdnMessageId: `store${runs}-${sender}-${String(index).padStart(8, '0')}`,
      dispositions: ['positive-delivery', 'display'] as const,
      contentType: 'message/cpim',
      bytes: ofSender[index] ?? Buffer.alloc(0),
      dateTime: now,
      receivedAt: now,
      expiresAt: now + 30 * day,
      session: {
        conversationId: '4c0f3b5e-7e0b-4a55-b07f-3f0f6f1ad1a1',
        contributionId: '0b5f4a3e-2c1d-4e6f-9a8b-7c6d5e4f3a2b',
        recipientAddress: `sip:+1555${3_000_000 + sender}@home.example;user=phone`,
        senderAddress: `sip:+1444${1_000_000 + sender}@elsewhere.example;user=phone`,
        senderInstance: '<urn:uuid:7f2d4f0e-5a0c-4c0e-8a53-5d0b1d3a9c11>',
        subject: undefined,
        offer: offer,
      },
    })),
  );
}

/** As long as the offer of a phone. */
const offer = `v=0\r\no=- 1790000000000 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 9 TCP/MSRP *\r\n${'a=accept-types:message/cpim application/im-iscomposing+xml\r\n'.repeat(4)}`;

const services = {insert};
export type StoreServices = typeof services;
serve(services);
