import type {TracedMessage} from '../cpm/history.ts';
import type {FolderSummary, StoredSummary} from '../cpm/stored-object.ts';
import type {GroupSummary, KeptGroupState} from '../ports/operator.ts';
import {askRunning} from './running.ts';

/** Lists of the admin endpoint; items stand under the name of their list. */
interface Lists {
  readonly messages: readonly TracedMessage[];
  readonly sessions: readonly FolderSummary[];
  readonly objects: readonly StoredSummary[];
  readonly groups: readonly GroupSummary[];
  readonly states: readonly KeptGroupState[];
}

const paths: Readonly<Record<keyof Lists, string>> = {
  messages: '/messages',
  sessions: '/recorded',
  objects: '/recorded',
  groups: '/groups',
  states: '/groups',
};

/** Asks for all items of a list, page by page; answers how many there were, undefined when nobody can be asked. */
export async function eachPage<Name extends keyof Lists>(
  config: string,
  list: Name,
  question: Readonly<Record<string, string>>,
  print: (items: Lists[Name]) => void,
): Promise<number | undefined> {
  let count = 0;
  for (let after: string | undefined; ;) {
    const parameters = new URLSearchParams({...question, ...(after === undefined ? {} : {after})});
    const page = await askRunning<Lists & {readonly next?: string}>(config, `${paths[list]}?${parameters.toString()}`);
    if (page === undefined) return undefined;
    print(page[list]);
    count += page[list].length;
    if (page.next === undefined) return count;
    after = page.next;
  }
}
