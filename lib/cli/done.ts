/** Told by a command with which status the process is to end. */
export type Done = (status: number) => void;
