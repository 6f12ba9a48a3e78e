/** What `.ci/run` says of the latest test report: what is missing, and at last the counts alone on a line. Fails unless all is there. */
import {existsSync, readFileSync} from 'node:fs';
import {testReport, testReportPath} from '../lib/clause/clause-index.ts';
import {judge} from './judge.ts';

const report = existsSync(testReportPath)
  ? testReport.parse(JSON.parse(readFileSync(testReportPath, 'utf8')))
  : {tests: []};
const {complaints, counts} = judge(report.tests);
for (const complaint of complaints) process.stdout.write(`${complaint}\n`);
process.stdout.write(`${counts}\n`);
process.exitCode = complaints.length === 0 ? 0 : 1;
