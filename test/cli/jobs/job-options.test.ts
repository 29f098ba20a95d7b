import test from 'ava';
import * as v from 'valibot';
import {
  formatJobOptions,
  parseAssignment,
  parseJobOptions,
} from '../../../cli/jobs/job-options.ts';
import { describeAllowed } from '../../../cli/jobs/option-schema.ts';
import { UserInputError } from '../../../errors.ts';

const options = v.object({
  name: v.pipe(v.string(), v.description('what it is called')),
  count: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(9)), 3),
  rates: v.optional(v.array(v.number()), [0.5]),
  limit: v.pipe(v.optional(v.nullable(v.number()), null), v.description('none when null')),
  size: v.optional(v.union([v.literal('auto'), v.number()]), 'auto'),
  deep: v.optional(v.object({ flag: v.optional(v.boolean(), false) }), {}),
});
const job = { name: 'trial', options };
const parse = (...texts: string[]) => parseJobOptions(job, texts.map(parseAssignment));

test('defaults are filled in', (t) => {
  t.deepEqual(parse('name=x'), {
    name: 'x',
    count: 3,
    rates: [0.5],
    limit: null,
    size: 'auto',
    deep: { flag: false },
  });
});

test('texts become what the schema says', (t) => {
  const parsed = parse('name=1', 'count=7', 'rates=1,2.5', 'limit=4', 'size=12', 'deep.flag=yes');
  t.deepEqual(parsed, {
    name: '1',
    count: 7,
    rates: [1, 2.5],
    limit: 4,
    size: 12,
    deep: { flag: true },
  });
});

test('a value may hold an equals sign, a list may be JSON and null may be said', (t) => {
  t.like(parse('name=a=b', 'rates=[3, 4]', 'limit=null', 'size=auto'), {
    name: 'a=b',
    rates: [3, 4],
    limit: null,
    size: 'auto',
  });
});

test('lists that are given several times grow', (t) => {
  t.deepEqual(parse('name=x', 'rates=1', 'rates=2').rates, [1, 2]);
});

test('each wrong option is named with what was given and what is allowed', (t) => {
  const error = t.throws(() => parse('count=10', 'rates=1,x', 'deep.flag=maybe'), {
    instanceOf: UserInputError,
  });
  t.regex(error.message, /name: got nothing, allowed is text\./);
  t.regex(error.message, /count: got 10, allowed is a whole number from 1 to 9\./);
  t.regex(error.message, /rates: got "x", allowed is a list, each a number\./);
  t.regex(error.message, /deep\.flag: got "maybe", allowed is true or false\./);
});

test('a nested group of options is no option itself', (t) => {
  t.throws(() => parse('name=x', 'deep=1'), { message: /no option deep .*deep\.flag/s });
});

test('the list of options has descriptions, what is allowed, and defaults', (t) => {
  t.is(
    formatJobOptions(options),
    [
      '  name       what it is called; text (required)',
      '  count      a whole number from 1 to 9 (default 3)',
      '  rates      a list, each a number (default 0.5)',
      '  limit      none when null; a number',
      '  size       auto, or a number (default auto)',
      '  deep.flag  true or false (default false)',
    ].join('\n'),
  );
});

test('what is allowed is said in words', (t) => {
  t.is(
    describeAllowed(v.pipe(v.number(), v.gtValue(0), v.ltValue(1))),
    'a number above 0, below 1',
  );
  t.is(describeAllowed(v.pipe(v.number(), v.minValue(2))), 'a number of at least 2');
  t.is(describeAllowed(v.pipe(v.number(), v.maxValue(2))), 'a number of at most 2');
  t.is(describeAllowed(v.optional(v.picklist(['a', 'b']))), 'one of a, b');
});
