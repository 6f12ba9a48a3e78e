/** What a running PF has recorded, and which groups it knows, as its admin endpoint tells it. */
import {readFile} from 'node:fs/promises';
import path from 'node:path';
import type {FolderSummary, StoredSummary} from '../../lib/cpm/stored-object.ts';
import type {GroupSummary} from '../../lib/ports/operator.ts';
import type {Deployment} from './deployment.ts';

async function ask<Answer>(
  pf: Deployment,
  list: 'recorded' | 'groups',
  question: Readonly<Record<string, string>>,
): Promise<Answer> {
  const file = await readFile(path.join(pf.folder, 'run', 'admin.json'), 'utf8');
  const {url, key} = JSON.parse(file) as {url: string; key: string};
  const at = new URL(`/${list}?${new URLSearchParams(question).toString()}`, url);
  const response = await fetch(at, {headers: {authorization: `Bearer ${key}`}});
  return (await response.json()) as Answer;
}

export const recordedSessions = async (pf: Deployment, user: string): Promise<readonly FolderSummary[]> =>
  (await ask<{sessions: readonly FolderSummary[]}>(pf, 'recorded', {user})).sessions;

export const recordedObjects = async (
  pf: Deployment,
  user: string,
  conversation: string,
): Promise<readonly StoredSummary[]> =>
  (await ask<{objects: readonly StoredSummary[]}>(pf, 'recorded', {user, conversation})).objects;

/** The octets of an object. */
export const recordedBytes = async (pf: Deployment, user: string, object: string): Promise<Buffer> =>
  Buffer.from((await ask<{bytes: string}>(pf, 'recorded', {user, object, who: 'test'})).bytes, 'base64');

export const knownGroups = async (pf: Deployment, user: string): Promise<readonly GroupSummary[]> =>
  (await ask<{groups: readonly GroupSummary[]}>(pf, 'groups', {user})).groups;
