import test from 'ava';
import { parseLabels, parseResources, parseVariableNames } from '../../../cli/server/node-offer.ts';
import { UserInputError } from '../../../errors.ts';

test('resources of a node are known ones and any others', (t) => {
  t.deepEqual(parseResources(['cpu=4', 'gpu=0.5,memory=1.5GiB', 'camera=2']), {
    cpu: 4,
    gpu: 0.5,
    memoryBytes: 1.5 * 2 ** 30,
    custom: { camera: 2 },
  });
  t.deepEqual(parseResources(['memory=8GB']), { memoryBytes: 8e9 });
});

test('a resource that is no amount is refused with what would be one', (t) => {
  for (const word of ['cpu', 'cpu=', 'cpu=many', 'gpu=-1', 'memory=8XB', '=3']) {
    t.throws(() => parseResources([word]), { instanceOf: UserInputError, message: /--resources/ });
  }
});

test('variables that others may set are names without values', (t) => {
  t.deepEqual(parseVariableNames(['PATH', 'LC_ALL']), ['PATH', 'LC_ALL']);
  const error = t.throws(() => parseVariableNames(['TOKEN=secret']), {
    instanceOf: UserInputError,
  });
  t.regex(error.message, /--allow-environment takes names of variables.*"TOKEN…"/);
  t.false(error.message.includes('secret'));
});

test('labels of a node are names and values', (t) => {
  t.deepEqual(parseLabels(['zone=attic,disk=ssd', 'a=b=c']), {
    zone: 'attic',
    disk: 'ssd',
    a: 'b=c',
  });
  t.throws(() => parseLabels(['zone']), { instanceOf: UserInputError });
});
