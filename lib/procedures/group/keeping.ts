import type {OfferedMessage, Verdict} from '../../ports/media-plane.ts';
import type {Context} from '../context.ts';
import {deferMessage} from '../terminating/defer.ts';
import {queuedGroupState} from './group-state-object.ts';
import type {KnownGroup} from './known-group.ts';

/** What is kept of one group for its user, in order, while none of his clients hears it; and whether anything of it waits, as far as that is known here. */
export class Keeping {
  readonly #context: Context;
  readonly #group: KnownGroup;
  #under: Promise<unknown> = Promise.resolve();
  #keyed: Promise<void> = Promise.resolve();
  #waits: 'unknown' | 'something' | 'nothing' = 'unknown';

  constructor(context: Context, group: KnownGroup) {
    this.#context = context;
    this.#group = group;
  }

  /** Resolves once everything that came so far is stored, or refused. Never rejects. */
  get settled(): Promise<unknown> {
    return this.#under;
  }

  /** Known for sure: a client may be let in live without a look at the store. */
  get nothingWaits(): boolean {
    return this.#waits === 'nothing';
  }

  /** All that waited was handed over, and what comes now goes another way. */
  handedOver(): void {
    this.#waits = 'nothing';
  }

  /** Looks whether anything waits from before. Never rejects. */
  async look(): Promise<void> {
    if (!this.#isUnknown()) return;
    const {servedUser, sender} = this.#group;
    const first = {afterSequence: undefined, limit: 1, maxBytes: 1};
    const found = await this.#context.store.deferredQueue.next(servedUser, sender, first).catch(() => undefined);
    if (found?.length !== 0 || !this.#isUnknown()) return;
    this.#waits = 'nothing';
    this.#context.log.debug(this.#group.label, 'nothing of a group waits for its user');
  }

  /** Nobody takes it live. */
  async message(message: Pick<OfferedMessage, 'contentType' | 'bytes'>): Promise<Verdict> {
    const kept = this.#inOrder(async () => deferMessage(this.#context, this.#group, message));
    this.#follow(kept);
    return kept;
  }

  /**
   * A change of the group that its user does not see.
   * @clause CPM-CF 8.3.2.9.1.2 C8
   */
  state(version: string): void {
    const {store, log} = this.#context;
    const {record, original, label} = this.#group;
    const message = queuedGroupState(this.#context, record, original, version);
    if (message === undefined) return;
    const where = {...label, clause: 'CPM-CF 8.3.2.9.1.2 C8'};
    this.#follow(
      this.#inOrder(async () => store.deferredQueue.enqueue([{...message, servedUser: this.#group.servedUser}])).then(
        () => {
          log.info(where, 'a change of a group is kept for its user');
        },
        (error: unknown) => {
          log.warn({...where, error}, 'a change of a group could not be kept for its user');
        },
      ),
    );
  }

  /** Keeps something behind what came before, for whoever the user is by then. */
  async #inOrder<T>(keep: () => Promise<T>): Promise<T> {
    this.#keyed = this.#keyed.then(async () => this.#followUser());
    return this.#keyed.then(keep);
  }

  /** The key of the user may have become another one's meanwhile, by a registration at another node: what comes now belongs to him. */
  async #followUser(): Promise<void> {
    const {users, log} = this.#context;
    const {servedUser, label} = this.#group;
    const key = await users.resolve(servedUser).catch(() => undefined);
    if (key === undefined || key === servedUser) return;
    // What was written here since goes after him once all of it is; nothing waits for that.
    users.join(servedUser, key).catch((error: unknown) => {
      log.warn({...label, error, clause: 'CPM-CF 8.3.2.9.1.2 C1'}, 'what was kept for a key did not join its user');
    });
  }

  readonly #isUnknown = (): boolean => this.#waits === 'unknown';

  /** Of what is refused while the store goes away nobody knows whether it is there; while it is away, it is not. */
  #follow(kept: Promise<unknown>): void {
    if (this.#context.store.available) this.#waits = 'something';
    this.#under = Promise.allSettled([this.#under, kept]);
  }
}
