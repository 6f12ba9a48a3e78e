import {userInfo} from 'node:os';
import {readPortFile} from '../adapters/http/port-file.ts';
import {loadConfig} from '../config/load.ts';

/** An erasure of a user with a long queue takes its time. */
const patienceMilliseconds = 60_000;

/**
 * Asks the PF that runs with this configuration: GET, or POST where there is a body. Undefined when there is none, or it says no; standard
 * error says why.
 */
export async function askRunning<Answer>(configFile: string, path: string, body?: object): Promise<Answer | undefined> {
  const {runtimeDirectory} = loadConfig(configFile, process.env).node;
  const at = readPortFile(runtimeDirectory);
  let why = `no Participating Function runs with ${runtimeDirectory}`;
  try {
    if (at !== undefined) {
      const response = await fetch(new URL(path, at.url), {
        signal: AbortSignal.timeout(patienceMilliseconds),
        headers: {authorization: `Bearer ${at.key}`},
        ...(body === undefined ? {} : {method: 'POST', body: JSON.stringify(body)}),
      });
      const answer: unknown = await response.json();
      if (response.ok) return answer as Answer;
      why = (answer as {error?: string}).error ?? `it answers ${response.status}`;
    }
  } catch {
    // Nobody answers there: the file is of one that was killed.
  }
  process.stderr.write(`${why}\n`);
  return undefined;
}

/** Who stands in the audit log and in the histories. */
export const operatorName = (): string =>
  userInfo()
    .username.replaceAll(/[^\w.@-]/g, '_')
    .slice(0, 64);
