/** What a running PF has recorded, as its admin endpoint tells it. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import type {FolderSummary, StoredSummary} from '../../lib/cpm/stored-object.ts';
import type {Deployment} from './deployment.ts';

async function ask<Answer>(pf: Deployment, question: Readonly<Record<string, string>>): Promise<Answer> {
  const file = await readFile(path.join(pf.folder, 'run', 'admin.json'), 'utf8');
  const {url, key} = JSON.parse(file) as {url: string; key: string};
  const at = new URL(`/recorded?${new URLSearchParams(question).toString()}`, url);
  const response = await fetch(at, {headers: {authorization: `Bearer ${key}`}});
  return (await response.json()) as Answer;
}

export const recordedSessions = async (pf: Deployment, user: string): Promise<readonly FolderSummary[]> =>
  (await ask<{sessions: readonly FolderSummary[]}>(pf, {user})).sessions;

export const recordedObjects = async (
  pf: Deployment,
  user: string,
  conversation: string,
): Promise<readonly StoredSummary[]> =>
  (await ask<{objects: readonly StoredSummary[]}>(pf, {user, conversation})).objects;

/** The octets of an object. */
export const recordedBytes = async (pf: Deployment, user: string, object: string): Promise<Buffer> =>
  Buffer.from((await ask<{bytes: string}>(pf, {user, object, who: 'test'})).bytes, 'base64');
