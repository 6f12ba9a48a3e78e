import {latestEntries} from '../../cpm/history.ts';

/** Adds an entry, given as JSON, to the history of the row that is written anyway. */
export const noted = `events = events + 1, history =
  json_insert(CASE WHEN events >= ${latestEntries} THEN json_remove(history, '$[0]') ELSE history END, '$[#]', json(?))`;
