import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { findCachedCorpus } from '../../datasets/corpus-cache.ts';
import { prepareCorpus } from '../../datasets/index.ts';
import { listTextSources } from '../../datasets/text-sources.ts';
import { exampleText } from './example-text.ts';
import { temporaryFolder } from './temporary-folder.ts';

const content = exampleText(20_000);
const options = { vocabularySize: 300, replicas: 2, heldOutFraction: 0.05 };

test.serial(
  'a corpus comes back by its text and options, byte for byte, or not at all',
  async (t) => {
    const folder = await temporaryFolder(t, { 'texts/a.txt': content });
    const text = join(folder, 'texts', 'a.txt');
    const before = process.env.CODISTILL_CACHE;
    process.env.CODISTILL_CACHE = join(folder, 'cache');
    t.teardown(() => {
      if (before === undefined) delete process.env.CODISTILL_CACHE;
      else process.env.CODISTILL_CACHE = before;
    });
    const directories = ['made', 'restored'].map((name) => join(folder, name)) as [string, string];
    const [made, restored] = directories;
    await mkdir(restored);
    const corpus = await prepareCorpus({ ...options, paths: [text], directory: made });
    const find = async (changed = {}) =>
      (await findCachedCorpus(await listTextSources([text]), { ...options, ...changed }))!;

    t.is(await (await find()).restore(restored), undefined);
    const manifest = JSON.parse(await readFile(join(made, 'corpus.json'), 'utf8'));
    await (await find()).keep(made, manifest);
    const again = await (await find()).restore(restored);
    t.like(again, {
      unigramLoss: corpus.unigramLoss,
      heldOut: { path: join(restored, 'held-out.tokens') },
    });
    t.deepEqual(await readdir(restored), await readdir(made));
    for (const name of await readdir(made)) {
      const [a, b] = await Promise.all(directories.map((each) => readFile(join(each, name))));
      t.true(a!.equals(b!), name);
    }

    t.is(await (await find({ replicas: 3 })).restore(restored), undefined);
    await writeFile(text, `${content}.`);
    t.is(await (await find()).restore(restored), undefined);
    await writeFile(text, content);
    const [entry] = await readdir(join(folder, 'cache', 'corpora'));
    await writeFile(join(folder, 'cache', 'corpora', entry!), 'damaged');
    t.is(await (await find()).restore(restored), undefined);

    process.env.CODISTILL_CACHE = 'off';
    t.is(await find(), undefined as never);
  },
);
