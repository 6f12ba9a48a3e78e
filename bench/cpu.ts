/** Processor time of processes, as Linux counts it. */
import {readdirSync, readFileSync} from 'node:fs';

/** Clock ticks a second of /proc (proc_pid_stat(5)); 100 on every Linux of today. */
const ticks = 100;

/** User and system time of this process, in seconds. */
export function ownSeconds(): number {
  const {user, system} = process.cpuUsage();
  return (user + system) / 1e6;
}

/** User and system time of these processes and all their children, in seconds. Needs Linux. */
export function cpuSeconds(pids: readonly number[]): number {
  return pids.flatMap(familyOf).reduce((sum, pid) => sum + secondsOf(pid), 0);
}

function secondsOf(pid: number): number {
  const fields = statOf(pid);
  return (Number(fields[11]) + Number(fields[12])) / ticks;
}

/** Fields of a process from the third one on: its name, the second one, may hold blanks. */
function statOf(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** The process and those that it started, and they in turn. */
function familyOf(pid: number): readonly number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(familyOf)];
}

/** Resident memory of a process, in octets. */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1')) ?? [];
  return Number(kilobytes) * 1024;
}
