/** A group of twenty: Bob, Carol, and names without a phone, in whose name the focus speaks, and who come and go by seeded chance. */
import {keyOf, type Conference} from '../../lib/controlling-function/conference.ts';
import type {SwitchedMessage} from '../../lib/controlling-function/switched-message.ts';
import type {Disposition} from '../../lib/cpm/deferred-message.ts';
import {bobAddress, type Deployment} from './deployment.ts';
import {carolAddress, ids, knownGroup, type GroupDeployment} from './group-deployment.ts';
import {until} from './persistent-sender.ts';
import type {Random} from './random.ts';

export interface TalkingGroup {
  /** The one that stands now. */
  readonly conference: Conference;
  /** All texts, in order; each is there once. */
  readonly said: readonly string[];
  /** What died with a focus that had no 200 for it. */
  readonly lost: ReadonlySet<string>;
  /** So many texts, one now and then large; a pause now and then. */
  talk(count: number): Promise<void>;
  /** One of those without a phone leaves, and somebody else is invited. */
  oneForAnother(): void;
  /** The focus is killed; `meanwhile` it is away; another one at the same address has the group again, with one for another. */
  killFocus(meanwhile: () => Promise<void>): Promise<void>;
  /** What waits at the focus for a 200 of Bob's side. */
  unanswered(): readonly string[];
  /** Bob's side took all that was said, and nothing got another answer than 200. */
  allTaken(): Promise<void>;
  /** The PF knows the members that the focus has. */
  membersKnown(pf: Deployment): Promise<void>;
}

/** What follows on a kill takes its time where many processes share a machine. */
export const patiently = async (fits: () => boolean | Promise<boolean>): Promise<void> =>
  until(async () => fits(), 60_000);

export async function talkingGroup(
  all: GroupDeployment,
  random: Random,
  dispositions?: readonly Disposition[],
): Promise<TalkingGroup> {
  let names = 0;
  const newName = (): string => `sip:+1444${1000 + names++}@elsewhere.example;user=phone`;
  const present = Array.from({length: 18}, newName);
  const begun = () => ({...ids, subject: 'Twenty', members: [bobAddress, carolAddress, ...present]});
  let conference = await all.focus.create(begun());
  const said: string[] = [];
  const lost = new Set<string>();
  /** Texts of the conference that stands. */
  const spoken = new Map<SwitchedMessage, string>();
  const someone = (): number => random.below(present.length);

  const group: TalkingGroup = {
    get conference() {
      return conference;
    },
    said,
    lost,
    async talk(count) {
      for (let index = 0; index < count; index += 1) {
        const text = `${said.length} ${'x'.repeat(random.below(10) === 0 ? 30_000 : 20)}`;
        spoken.set(conference.say(present[someone()] ?? '', text, dispositions), text);
        said.push(text);
        await new Promise((resolve) => setTimeout(resolve, random.below(4) === 0 ? random.below(20) : 0));
      }
    },
    oneForAnother() {
      const name = newName();
      const [left = ''] = present.splice(someone(), 1, name);
      conference.leave(left);
      // Nobody waits for the answer: a PF through which the INVITE goes may be killed before it gives one.
      void conference.invite(carolAddress, [name]).catch(() => undefined);
    },
    async killFocus(meanwhile) {
      const focus = await all.restartFocus();
      for (const text of group.unanswered()) lost.add(text);
      spoken.clear();
      await meanwhile();
      present.splice(someone(), 1, newName());
      conference = await focus.create(begun());
    },
    unanswered() {
      const answers = conference.taken.items.filter(({to}) => to === keyOf(bobAddress));
      const answered = new Set(answers.map(({message}) => message));
      return [...spoken].filter(([message]) => !answered.has(message)).map(([, text]) => text);
    },
    allTaken: async () => patiently(() => group.unanswered().length === 0),
    async membersKnown(pf) {
      await patiently(async () => {
        const known = await knownGroup(pf, bobAddress, ids.contributionId);
        const has = [...conference.members.values()].map(({address}) => address);
        return (
          known?.conference.participants
            .map(({entity}) => entity)
            .sort()
            .join() === has.sort().join()
        );
      });
    },
  };
  return group;
}
