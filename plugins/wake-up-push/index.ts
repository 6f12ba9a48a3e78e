/** Wakes a phone: asks a push gateway whenever something waits for somebody, and again, with patience, until he has registered. */
import {definePlugin, z, type Timer} from 'drachtio-cpm';

const options = z.strictObject({
  url: z
    .string()
    .regex(/^https?:\/\/\S+$/i)
    .meta({expected: 'an http: or https: URL'})
    .describe('Where the gateway takes a POST.'),
  headers: z.record(z.string(), z.string()).default({}).meta({secret: true}).describe('Of the request: authorization.'),
  pausesSeconds: z
    .array(z.int().min(1).max(86_400))
    .min(1)
    .default([30, 120, 600, 3600])
    .describe(
      'How long the registration is awaited after each request, whatever became of it; after the last one no more is tried.',
    ),
  requestSeconds: z.int().min(1).max(60).default(5).describe('How long the gateway may take.'),
  concurrentRequests: z.int().min(1).max(1000).default(16).describe('Requests at a time.'),
});

/** Users who are awaited at a time; beyond it, nobody more is woken until some have come or were given up. */
const mostAwaited = 100_000;

interface Awaited {
  attempts: number;
  timer: Timer | undefined;
  request: AbortController | undefined;
}

export default definePlugin({
  name: 'wake-up-push',
  options,
  hooks({url, headers, pausesSeconds, requestSeconds, concurrentRequests}, {clock, log}) {
    const awaited = new Map<string, Awaited>();
    /** Users whose request is due and waits for another one's end. */
    const due = new Set<string>();
    let running = 0;

    function wake(servedUser: string): void {
      due.add(servedUser);
      pushDue();
    }

    function pushDue(): void {
      for (const servedUser of due) {
        if (running >= concurrentRequests) return;
        due.delete(servedUser);
        const user = awaited.get(servedUser);
        if (user !== undefined) void push(servedUser, user);
      }
    }

    /** Never rejects. */
    async function push(servedUser: string, user: Awaited): Promise<void> {
      running += 1;
      const request = new AbortController();
      const timer = clock.after(requestSeconds * 1000, () => {
        request.abort(new Error('no answer in time'));
      });
      user.request = request;
      user.attempts += 1;
      const answer = await ask(servedUser, user.attempts, request.signal);
      timer.cancel();
      user.request = undefined;
      running -= 1;
      if (awaited.get(servedUser) === user) goOn(servedUser, user, answer);
      pushDue();
    }

    async function ask(user: string, attempt: number, signal: AbortSignal): Promise<number | undefined> {
      try {
        const body = JSON.stringify({user, attempt});
        const response = await fetch(url, {
          method: 'POST',
          headers: {'Content-Type': 'application/json', ...headers},
          body,
          signal,
          redirect: 'error',
        });
        await response.body?.cancel();
        if (response.ok) log.debug({attempt}, 'the push gateway was asked');
        else log.warn({status: response.status, attempt}, 'the push gateway refuses');
        return response.status;
      } catch (error) {
        if (awaited.has(user)) log.warn({error, attempt}, 'the push gateway does not answer');
        return undefined;
      }
    }

    function goOn(servedUser: string, user: Awaited, answer: number | undefined): void {
      const giveUp = (): void => {
        awaited.delete(servedUser);
        log.info({attempts: user.attempts}, 'a user is no longer awaited');
      };
      // The gateway knows no device of his: no request will find one.
      if (answer === 404 || answer === 410) {
        giveUp();
        return;
      }

      user.timer = clock.after((pausesSeconds[user.attempts - 1] ?? 0) * 1000, () => {
        if (user.attempts < pausesSeconds.length) wake(servedUser);
        else giveUp();
      });
    }

    function forget(servedUser: string): void {
      const user = awaited.get(servedUser);
      awaited.delete(servedUser);
      due.delete(servedUser);
      user?.timer?.cancel();
      user?.request?.abort();
    }

    return {
      afterDefer({kind, outcome, servedUser}) {
        if (kind !== 'chat' || outcome === 'duplicate' || awaited.has(servedUser)) return;
        if (awaited.size >= mostAwaited) {
          log.warn({awaited: awaited.size}, 'too many users are awaited: one is not woken');
          return;
        }

        awaited.set(servedUser, {attempts: 0, timer: undefined, request: undefined});
        wake(servedUser);
      },
      afterRegistration({registered, servedUser}) {
        if (registered) forget(servedUser);
      },
      close() {
        for (const servedUser of [...awaited.keys()]) forget(servedUser);
      },
    };
  },
});
