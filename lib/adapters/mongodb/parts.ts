/** Bytes of large messages, in documents of their own: written before the message that names them, deleted after it. */
import type {Db} from 'mongodb';
import {collections} from './documents.ts';
import type {PartDocument} from './documents.ts';

/** Far below the 16 MB of a document, and few enough for one message. */
const partBytes = 4 * 1024 * 1024;

/** Answers how many parts there are. */
export async function writeParts(database: Db, message: string, bytes: Uint8Array, writtenAt: number): Promise<number> {
  const count = Math.ceil(bytes.byteLength / partBytes);
  for (const _id of partIds(message, count)) {
    const start = Number(_id.slice(message.length + 1)) * partBytes;
    const part: PartDocument = {_id, message, writtenAt, bytes: Buffer.from(bytes.subarray(start, start + partBytes))};
    await collections.parts(database).insertOne(part);
  }
  return count;
}

/** The bytes of all parts, undefined when the message was settled meanwhile. */
export async function readParts(database: Db, message: string, count: number): Promise<Uint8Array | undefined> {
  const parts: Buffer[] = [];
  for (const _id of partIds(message, count)) {
    const part = await collections.parts(database).findOne({_id});
    if (part === null) return undefined;
    parts.push(part.bytes);
  }
  return Buffer.concat(parts);
}

export async function deleteParts(database: Db, message: string, count: number): Promise<void> {
  await collections.parts(database).deleteMany({_id: {$in: partIds(message, count)}});
}

/** Deletes parts written before `before` (ms) that no pending message names: what a crash left between two writes. */
export async function sweepParts(database: Db, before: number): Promise<void> {
  const parts = collections.parts(database);
  let checked: string | undefined;
  for await (const {_id, message} of parts.find(
    {writtenAt: {$lt: before}},
    {projection: {message: 1}, sort: {writtenAt: 1}},
  )) {
    if (message === checked) continue;
    const owner = await collections.messages(database).findOne({_id: message, pending: true}, {projection: {_id: 1}});
    if (owner !== null) checked = message;
    else await parts.deleteOne({_id});
  }
}

function partIds(message: string, count: number): string[] {
  return Array.from({length: count}, (_, index) => `${message}:${index}`);
}
