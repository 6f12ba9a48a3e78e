import type {ChatSession} from './chat-session.ts';

/** The 1-1 CPM sessions that are alive on this node, found by who is served and who sends. */
export interface ChatSessions {
  add(session: ChatSession): void;
  remove(session: ChatSession): void;
  /** Sessions in which `sender` invited `servedUser`, newest first. */
  between(servedUser: string, sender: string): readonly ChatSession[];
  ofUser(servedUser: string): readonly ChatSession[];
  /** All that stand, those that served users began included. */
  all(): readonly Endable[];
  /** How many there are, those being set up and those being ended included. */
  readonly size: number;
  /** Counts one, until the function returned is called; `endable` is among all from now on. */
  begin(endable?: Endable): () => void;
  /** Resolves once there is none. */
  empty(): Promise<void>;
}

/** Whatever a node that stops has to end. */
export interface Endable {
  end(reason: string): Promise<void>;
}

export function createChatSessions(): ChatSessions {
  const byUser = new Map<string, Set<ChatSession>>();
  const others = new Set<Endable>();
  const waiting = new Set<() => void>();
  let size = 0;
  const ofUser = (servedUser: string): readonly ChatSession[] => [...(byUser.get(servedUser) ?? [])];
  const look = (): void => {
    if (size > 0) return;
    for (const resolve of waiting) resolve();
    waiting.clear();
  };
  return {
    add(session) {
      const sessions = byUser.get(session.servedUser) ?? new Set();
      byUser.set(session.servedUser, sessions.add(session));
    },
    remove(session) {
      const sessions = byUser.get(session.servedUser);
      sessions?.delete(session);
      if (sessions?.size === 0) byUser.delete(session.servedUser);
    },
    between: (servedUser, sender) =>
      ofUser(servedUser)
        .filter((session) => session.sender === sender)
        .reverse(),
    ofUser,
    all: () => [...[...byUser.values()].flatMap((sessions) => [...sessions]), ...others],
    get size() {
      return size;
    },
    begin(endable) {
      let counted = true;
      size += 1;
      if (endable !== undefined) others.add(endable);
      return () => {
        if (endable !== undefined) others.delete(endable);
        if (counted) size -= 1;
        counted = false;
        look();
      };
    },
    empty: () =>
      new Promise((resolve) => {
        waiting.add(resolve);
        look();
      }),
  };
}
