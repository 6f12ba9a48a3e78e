/** Somebody who wants every message to arrive, whatever is killed meanwhile, and the comparison of his book with the recipient's. */
import type {ChatSession} from '../../lib/phone/chat-session.ts';
import type {SentMessage} from '../../lib/phone/ledger.ts';
import type {Phone} from '../../lib/phone/phone.ts';

/** An INVITE whose PF was killed gets no final answer for minutes: the person hangs up and tries again. */
export async function inTime(calling: Promise<ChatSession>): Promise<ChatSession> {
  let gaveUp = false;
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => {
      gaveUp = true;
      reject(new Error('nobody answered'));
    }, 4000);
  });
  void calling.then(
    (chat) => (gaveUp ? chat.end() : undefined),
    () => undefined,
  );
  return Promise.race([calling, late]);
}

/** A sender who wants every message to arrive: after a failure he calls again and repeats it, the same octets under the same id. */
export async function persist(
  sender: Phone,
  recipient: string,
  texts: AsyncIterable<string> | Iterable<string>,
  options: {dispositions?: []} = {},
): Promise<SentMessage[]> {
  const sent: SentMessage[] = [];
  let chat: ChatSession | undefined;
  for await (const text of texts) {
    let message: SentMessage | undefined;
    for (let attempt = 0; message?.accepted !== true; attempt++) {
      if (attempt > 5000) throw new Error(`message ${sent.length} was never accepted`);
      try {
        chat ??= await inTime(sender.startChat(recipient));
        if (message === undefined) message = await chat.sendText(text, options);
        else await chat.sendAgain(message);
      } catch {
        // Refused, or the PF is just not there.
      }

      if (message?.accepted === true) break;
      chat = undefined;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }

    sent.push(message);
  }

  await chat?.end();
  return sent;
}

/** A killed PF leaves requests without an answer: phone and server give them up in seconds, so that the sender goes on. */
export const impatient = {timers: {t1Ms: 50}, behaviour: {answerMilliseconds: 3000}};
export const impatientServer = {sip: {embedded: {t1Milliseconds: 50}}};

/** Numbered texts until `stop`; every tenth one is large. */
export async function* numbered(state: {stop: boolean}): AsyncGenerator<string> {
  for (let number = 0; !state.stop; number++) {
    yield number % 10 === 9 ? `${number} ${'x'.repeat(40_000)}` : String(number);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** All that was accepted is there once, octet for octet, in order. */
export async function compare(sent: readonly SentMessage[], bob: Phone): Promise<string[]> {
  await bob.messages.atLeast(sent.length, undefined, 60_000);
  const faults: string[] = [];
  const got = bob.messages.items;
  sent.forEach((message, index) => {
    if (got[index]?.messageId !== message.messageId) faults.push(`at ${index}: another message`);
    else if (!got[index].bytes.equals(message.bytes)) faults.push(`at ${index}: other octets`);
  });
  if (got.length > sent.length) faults.push(`${got.length - sent.length} more than were sent`);
  return faults.slice(0, 5);
}

export async function until(fits: () => Promise<boolean>, milliseconds = 10_000): Promise<void> {
  for (let tries = 0; tries < milliseconds / 50; tries++) {
    if (await fits().catch(() => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }

  throw new Error(`not within ${milliseconds} ms`);
}
