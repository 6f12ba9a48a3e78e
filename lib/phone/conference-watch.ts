/** A phone that watches a conference: its subscription, and what is known of the conference by it (RFC 4575 §4.6). */
import {CONFERENCE_INFO_TYPE, parseConferenceInfo} from '../codecs/conference-info.ts';
import {isType} from '../codecs/mime.ts';
import {mergeNotification, unknownConference, type ConferenceState} from '../cpm/conference-state.ts';
import {Inbox} from './inbox.ts';
import type {Notify, Subscription} from './subscription.ts';

export class ConferenceWatch {
  readonly subscription: Subscription;
  /** What was known after each notification. */
  readonly states = new Inbox<ConferenceState>('conference state');
  #state: ConferenceState = unknownConference;
  #refreshing = false;

  constructor(subscription: Subscription) {
    this.subscription = subscription;
    subscription.listen((notify) => {
      this.#take(notify);
    });
  }

  get state(): ConferenceState {
    return this.#state;
  }

  /** Unsubscribes; resolves with the status of the answer. */
  end(): Promise<number> {
    return this.subscription.end();
  }

  #take({contentType, body, state}: Notify): void {
    if (!isType(contentType, CONFERENCE_INFO_TYPE)) return;
    this.#state = mergeNotification(this.#state, parseConferenceInfo(body));
    this.states.push(this.#state);
    if (this.#state.refreshNeeded && !this.#refreshing && !state.startsWith('terminated')) void this.#refresh();
  }

  async #refresh(): Promise<void> {
    this.#refreshing = true;
    await this.subscription.refresh();
    this.#refreshing = false;
  }
}
