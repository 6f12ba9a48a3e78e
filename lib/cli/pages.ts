import type {TracedMessage} from '../cpm/history.ts';
import {askRunning} from './running.ts';

interface Page {
  readonly messages: readonly TracedMessage[];
  readonly next?: string;
}

/** Asks for all messages, page by page; answers how many there were, undefined when nobody can be asked. */
export async function eachPage(
  config: string,
  question: Readonly<Record<string, string>>,
  print: (messages: readonly TracedMessage[]) => void,
): Promise<number | undefined> {
  let count = 0;
  for (let after: string | undefined; ;) {
    const parameters = new URLSearchParams({...question, ...(after === undefined ? {} : {after})});
    const page = await askRunning<Page>(config, `/messages?${parameters.toString()}`);
    if (page === undefined) return undefined;
    print(page.messages);
    count += page.messages.length;
    if (page.next === undefined) return count;
    after = page.next;
  }
}
