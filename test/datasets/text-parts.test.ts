import test from 'ava';
import { openTextParts, shareText } from '../../datasets/text-parts.ts';
import { writeTokenShard } from '../../datasets/token-shard.ts';
import { temporaryFolder } from './temporary-folder.ts';

/** Two shards of ten tokens, 0 … 9 and 10 … 19. */
async function shardsIn(folder: string): Promise<readonly string[]> {
  const paths: string[] = [];
  for (const first of [0, 10]) {
    const tokens = Uint16Array.from({ length: 10 }, (_, index) => first + index);
    const { file } = await writeTokenShard(folder, `${first}.tokens`, [tokens]);
    paths.push(`${folder}/${file}`);
  }
  return paths;
}

for (const [title, sharedFraction, expected] of [
  ['disjoint shards', 0, [[...range(0, 10)], [...range(10, 20)]]],
  [
    'three tenths shared',
    0.3,
    [
      [...range(0, 3), ...range(10, 13), ...range(3, 10)],
      [...range(0, 3), ...range(10, 13), ...range(13, 20)],
    ],
  ],
  ['all the same', 1, [[...range(0, 20)], [...range(0, 20)]]],
] as const) {
  test(`${title}: what each replica reads`, async (t) => {
    const shards = await shardsIn(await temporaryFolder(t));
    for (const [replica, tokens] of expected.entries()) {
      const shard = await openTextParts(shareText(shards, replica, sharedFraction));
      t.deepEqual([...shard.tokens], tokens);
    }
  });
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
