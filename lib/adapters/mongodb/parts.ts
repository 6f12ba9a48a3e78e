/** Bytes of large messages, in documents of their own: written before the message that names them, deleted after it. */
import type {Collection, Db} from 'mongodb';
import {collections} from './documents.ts';
import type {PartDocument} from './documents.ts';

/** Where parts of a kind of message are. */
export type PartsRoom = (database: Db) => Collection<PartDocument>;

/** Far below the 16 MB of a document, and few enough for one message. */
const partBytes = 4 * 1024 * 1024;

/** Answers how many parts there are. */
export async function writeParts(
  database: Db,
  message: string,
  bytes: Uint8Array,
  writtenAt: number,
  room: PartsRoom = collections.parts,
): Promise<number> {
  const count = Math.ceil(bytes.byteLength / partBytes);
  for (const _id of partIds(message, count)) {
    const start = Number(_id.slice(message.length + 1)) * partBytes;
    const part: PartDocument = {_id, message, writtenAt, bytes: Buffer.from(bytes.subarray(start, start + partBytes))};
    await room(database).insertOne(part);
  }
  return count;
}

/** The bytes of all parts, undefined when the message was settled meanwhile. */
export async function readParts(
  database: Db,
  message: string,
  count: number,
  room: PartsRoom = collections.parts,
): Promise<Uint8Array | undefined> {
  const parts: Buffer[] = [];
  for (const _id of partIds(message, count)) {
    const part = await room(database).findOne({_id});
    if (part === null) return undefined;
    parts.push(part.bytes);
  }
  return Buffer.concat(parts);
}

export async function deleteParts(
  database: Db,
  message: string,
  count: number,
  room: PartsRoom = collections.parts,
): Promise<void> {
  await room(database).deleteMany({_id: {$in: partIds(message, count)}});
}

/** Deletes parts written before `before` (ms) that nothing names: what a crash left between two writes. */
export async function sweepParts(
  database: Db,
  before: number,
  isNamed: (message: string) => Promise<boolean>,
  room: PartsRoom = collections.parts,
): Promise<void> {
  const parts = room(database);
  let checked: string | undefined;
  for await (const {_id, message} of parts.find(
    {writtenAt: {$lt: before}},
    {projection: {message: 1}, sort: {writtenAt: 1}},
  )) {
    if (message === checked) continue;
    if (await isNamed(message)) checked = message;
    else await parts.deleteOne({_id});
  }
}

function partIds(message: string, count: number): string[] {
  return Array.from({length: count}, (_, index) => `${message}:${index}`);
}
