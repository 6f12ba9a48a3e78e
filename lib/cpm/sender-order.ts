/** Orders senders by the DateTime of their oldest pending message (row A0's default policy); equal times by address, so that it is repeatable. */
export function oldestFirst<Sender extends {readonly sender: string; readonly oldestDateTime: number}>(
  senders: readonly Sender[],
): readonly Sender[] {
  return [...senders].sort((a, b) => a.oldestDateTime - b.oldestDateTime || (a.sender < b.sender ? -1 : 1));
}
