import test from 'ava';
import { parseRowFilter } from '../../../cli/observation/row-filter.ts';

const keys = ['name', 'pid', 'labels'];
const titles = { process: 'pid' };
const row = { name: 'replica-1', pid: 7, labels: { zone: 'attic' } };

const cases: readonly (readonly [readonly string[], boolean])[] = [
  [[], true],
  [['name=replica-1'], true],
  [['name=replica'], false],
  [['name=replica-*'], true],
  [['name=*a-1'], true],
  [['name=r.plica-1'], false],
  [['pid=7'], true],
  [['pid=7', 'name=other'], false],
  [['labels.zone=attic'], true],
  [['labels.zone=cellar'], false],
  [['labels.colour=*'], false],
  [['NAME=replica-1'], true],
  [['Process=7'], true],
  [['process=8'], false],
  [['name='], false],
];

for (const [filters, kept] of cases) {
  test(`the filter ${filters.join(' ') || 'of nothing'} ${kept ? 'keeps' : 'drops'} the row`, (t) => {
    t.is(parseRowFilter(filters, keys, titles)(row), kept);
  });
}

test('a filter without a value or of an unknown key is refused with the keys there are', (t) => {
  t.throws(() => parseRowFilter(['name'], keys), { code: 'USER_INPUT', message: /key=value/ });
  t.throws(() => parseRowFilter(['size=1'], keys), { message: /there are: name, pid, labels/ });
});
