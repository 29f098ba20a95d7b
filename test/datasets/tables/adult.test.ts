import { existsSync } from 'node:fs';
import test from 'ava';
import type { TableFeatures } from '../../../datasets/prepared/dataset.ts';
import { adultFiles } from '../../../datasets/tables/adult.ts';
import { prepareTable } from '../../../datasets/tables/table-preparation.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const person = (age: string, workclass: string, income: string) =>
  `${age}, ${workclass}, 77516, Bachelors, 13, Never-married, Adm-clerical, Not-in-family, White, ` +
  `Male, 2174, 0, 40, United-States, ${income}`;

test('training and test part of Adult are read as they are published', async (t) => {
  const folder = await temporaryFolder(t, {
    'adult.data': `${person('39', 'State-gov', '<=50K')}\n${person('50', '?', '>50K')}\n\n`,
    'adult.test': `|1x3 Cross validator\n${person('25', 'Private', '<=50K.')}\n${person('30', 'State-gov', '>50K.')}\n\n`,
  });
  const directory = await temporaryFolder(t);
  const dataset = await prepareTable({ ...adultFiles(folder), split: { replicas: 1 }, directory });
  t.deepEqual(dataset.classes, ['<=50K', '>50K']);
  t.is(dataset.shards[0]!.rows, 2);
  t.is(dataset.heldOut.rows, 2);
  const { numeric, categorical } = dataset.features as TableFeatures;
  t.is(numeric[0]!.mean, 44.5);
  t.like(categorical[0], { name: 'workclass', values: ['State-gov'], missing: 1 });
});

test('the whole of Adult is prepared from ../shared/data', async (t) => {
  const folder = new URL('../../../../shared/data/adult', import.meta.url).pathname;
  if (!existsSync(folder)) {
    t.log('not tried: ../shared/data/adult is not there');
    t.pass();
    return;
  }
  const directory = await temporaryFolder(t);
  const dataset = await prepareTable({ ...adultFiles(folder), split: { replicas: 2 }, directory });
  t.is(dataset.shards[0]!.rows + dataset.shards[1]!.rows, 32_561);
  t.is(dataset.heldOut.rows, 16_281);
  t.is(dataset.skipped.rows, 0);
  const { categorical } = dataset.features as TableFeatures;
  t.is(categorical[0]!.missing, 1836);
  t.is(categorical.at(-1)!.cardinality, 42);
});
