/** One requirement of the Conversation Functions, or of what they stand on, in our own words. */
export interface ClauseRow {
  /** `A0` … `E9`: tests and code name it. */
  readonly row: string;
  /** `8.3.2.9.1.1`, or `RFC 4975 §7.1.1` for what the clauses stand on. */
  readonly clause: string;
  readonly holds: string;
}

const rowsOf =
  (letter: string, clause: string, first: number) =>
  (holds: string, index: number): ClauseRow => ({row: `${letter}${first + index}`, clause, holds});

const deferredOneToOne = [
  'what waits is taken sender by sender, senders in an order of policy, and inside a sender as it arrived',
  'one INVITE for each sender, with Conversation-ID and Contribution-ID of the original session',
  'the Request-URI is the recipient',
  'it addresses one device: by GRUU, else by public identity with its instance in Accept-Contact',
  'it is asserted as the deferred message management address',
  'Accept-Contact asks for the session ICSI',
  "our Contact carries the session ICSI and the instance of the sender's client",
  'P-Asserted-Service is the session ICSI',
  'Referred-By is the original sender',
  "the offer repeats the original one's capabilities, with our connection, sendrecv",
  'it goes through the core, and when the core hands it back it is known as our own',
  'the session timer is the one of the 200, and starts after the ACK',
  'the MSRP connection is made as negotiated',
  'each message goes in MSRP SENDs, within the negotiated sizes',
  "the recipient's notifications go on the sender's session where it lives, else by SIP MESSAGE",
  "BYE follows the 200 of that sender's last SEND",
  'a BYE of the client, whenever it comes, is answered, and what was not delivered is kept',
  'a second 200 for the same sender ends the session that stands, as completed elsewhere',
  '480 ends the delivery for all senders until the next trigger; other answers by policy',
  'for a client without notifications the requested ones are made, after the last message of that sender',
  'waiting notifications go in a session with that user, else by SIP MESSAGE, and cause no INVITE',
  'a delivery notification releases a message; the 200 alone only where none was asked for',
].map(rowsOf('A', '8.3.2.9.1.1', 0));

const bye = [
  'in proxy mode BYE and 200 are forwarded, and nothing else is done',
  'a BYE without Reason counts as cause 200',
  'cause 200: the others left, and no Group State Object is made',
  'cause 410 on a group: a Group State Object with status removed is kept',
  'cause 480 on a group: a Group State Object is kept, the group can start again',
  'any other cause on a group: as 480; on a 1-1 session none makes an object',
  'what the client sends late gets 481 and is discarded',
  'each connected client gets a BYE',
  "after the client's 200 the session is recorded, where stored or recorded sessions are asked for",
  'then the BYE is answered 200',
  'all media resources are released',
].map(rowsOf('B', '8.3.2.3', 1));

const deferredGroup = [
  'a registration triggers the delivery of what was missed, and of what came incompletely',
  'one INVITE for each group session, with its identifiers, participants and focus',
  'it is asserted as the deferred message management address, with the session ICSI',
  'the offer repeats the original group offer, sendrecv',
  '603 discards what waits for that group and leaves it',
  'other errors keep what waits, and are tried again by policy',
  'after the ACK messages and notifications are delivered in order',
  'interim Group State Objects may go with them over MSRP',
  'the client of an active group is joined with the conference',
  'an inactive group starts again only when the client sends something, which is forwarded first',
  'a BYE with cause 200 during the delivery leaves the group and discards the rest; other causes keep it',
  'answers, forks and several devices as in a terminating invitation',
].map(rowsOf('C', '8.3.2.9.1.2', 1));

const rejoin = [
  'a re-join hands over all that waits for the group, once, whatever trigger was first',
  'an inactive group: the last participants go to the client as a Group State Object',
  'an inactive group is started again; an error ends the client session with that cause',
  'what the client sent while that failed is reported as failed',
  'an active group: joined with the conference after what waits was delivered',
].map(rowsOf('D', '8.3.2.9.1.3', 1));

const plumbing: readonly ClauseRow[] = [
  {row: 'E1', clause: 'RFC 3862 §2', holds: 'CPIM is kept and forwarded octet for octet'},
  {row: 'E2', clause: 'RFC 5438 §6', holds: 'notifications cause none; what is ephemeral is never stored'},
  {
    row: 'E3',
    clause: 'RFC 4975 §7.1.1',
    holds: 'MSRP counts octets; each chunk is a transaction with a timer of its own',
  },
  {row: 'E4', clause: 'RFC 4975 §7.1.2', holds: 'a REPORT is never answered, nor a SEND that wants no failure report'},
  {row: 'E5', clause: 'RFC 4975 §6.1', holds: 'a session is found by its session-id, whatever host the URI names'},
  {row: 'E6', clause: 'RFC 4028 §7.4', holds: 'a refresh keeps origin and version, and the MSRP session stays'},
  {row: 'E7', clause: 'RFC 7092 §3', holds: "one leg's dialog never leaks to the other; CPM's headers pass"},
  {row: 'E8', clause: 'RFC 5438 §6.3', holds: 'a message is known by user, sender, kind and imdn.Message-ID'},
  {
    row: 'E9',
    clause: 'XML 1.0',
    holds: 'XML is read without DTD and entities, bounded, any prefix; written escaped and in order',
  },
];

/** Every row, in order: the index of code and tests (`npm run clause`). */
export const clauseRows: readonly ClauseRow[] = [...deferredOneToOne, ...bye, ...deferredGroup, ...rejoin, ...plumbing];
