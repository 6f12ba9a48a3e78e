/** `cpm-pf demo`: a scenario on this machine, told as it happens, with the phones' own figures at the end. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import path from 'node:path';
import type {Account} from '../phone/ledger.ts';
import {ladderHead, ladderLine, twoPhones, type LadderEvent} from './ladder.ts';
import {endLeftovers, lastLogLines} from './pf-process.ts';
import {playScenario, type Scenario} from './stage.ts';

export interface DemoOptions {
  readonly scenario: Scenario;
  /** One JSON object a line instead of the ladder; the last one is the summary. */
  readonly json: boolean;
  /** Where to print; colours only where it is a terminal. */
  readonly out: {
    write(text: string): unknown;
    readonly isTTY?: boolean;
    on?(event: 'error', listener: () => void): unknown;
  };
}

const nothing: Account = {sent: 0, accepted: 0, delivered: 0, notified: 0, identical: false, inOrder: false};

/** Plays the demo in a temporary folder that is removed afterwards. Gives the exit status: 0, or 1 when anything is missing or came too late. */
export async function runDemo({scenario, json, out}: DemoOptions): Promise<number> {
  const folder = mkdtempSync(path.join(tmpdir(), 'cpm-demo-'));
  const started = performance.now();
  const {parties = twoPhones} = scenario;
  const colour = out.isTTY === true && process.env['NO_COLOR'] === undefined;
  const print = (object: object, line: string): void => {
    out.write(`${json ? JSON.stringify(object) : line}\n`);
  };
  const tell = (event: LadderEvent): void => {
    const seconds = (performance.now() - started) / 1000;
    print({...event, seconds: Number(seconds.toFixed(3))}, ladderLine(parties, event, seconds, colour));
  };

  const abort = new AbortController();
  const interrupted = (): void => {
    abort.abort(new Error('it was interrupted'));
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, interrupted);
  // Who reads may go before the end: `cpm-pf demo | head`.
  out.on?.('error', interrupted);

  let figures = nothing;
  if (!json) out.write(`${ladderHead(parties)}\n`);
  try {
    figures = await playScenario(scenario, folder, tell, abort.signal);
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    const log = lastLogLines(folder);
    print({event: 'failure', sentence, log}, ['', `The demo failed: ${sentence}`, ...log].join('\n'));
  } finally {
    for (const signal of signals) process.off(signal, interrupted);
    endLeftovers(folder);
    rmSync(folder, {recursive: true, force: true});
  }
  const {sent, ...arrived} = figures;
  print({event: 'summary', ...arrived, sent}, summary(figures));
  return isComplete(figures) ? 0 : 1;
}

/** Whether nothing is missing: every message accepted, delivered, notified, identical and in order. */
export function isComplete({sent, accepted, delivered, notified, identical, inOrder}: Account): boolean {
  return sent > 0 && [accepted, delivered, notified].every((count) => count === sent) && identical && inOrder;
}

function summary({sent, accepted, delivered, notified, identical, inOrder}: Account): string {
  const yes = (value: boolean): string => (value ? 'yes' : 'no');
  return [
    '',
    `messages sent        ${sent}`,
    `accepted (200)       ${accepted}`,
    `delivered whole      ${delivered}`,
    `notified back        ${notified}`,
    `octet for octet      ${yes(identical)}`,
    `in order             ${yes(inOrder)}`,
  ].join('\n');
}
