import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { serve, startServer } from '../../datasets/public/file-server.ts';
import { actorctl, makeFolder, parseEvents, startActorctl } from '../actorctl-process.ts';

test('data list names each set, its size and its licence', async (t) => {
  await using folder = await makeFolder();
  const { exitCode, stdout } = await actorctl(['data', 'list'], folder.path);
  t.is(exitCode, 0);
  for (const text of [
    'adult',
    'CC BY 4.0',
    'fashion-mnist',
    '30.9 MB',
    'criteo-kaggle',
    "Criteo's",
  ]) {
    t.true(stdout.includes(text), text);
  }
  const json = await actorctl(['data', 'list', '--json'], folder.path);
  t.true(parseEvents(json.stdout).some(({ type, name }) => type === 'dataset' && name === 'mnist'));
});

test('data fetch shows the licence and refuses what is not the file', async (t) => {
  await using folder = await makeFolder();
  const server = await startServer(t, (request, response) =>
    serve(Buffer.from('not Adult'), request, response),
  );
  const args = ['data', 'fetch', 'adult', '--from', `${server.url}/adult`];
  const { exitCode, stdout, stderr } = await actorctl(args, folder.path);
  t.is(exitCode, 65);
  t.regex(stdout, /Licence: CC BY 4\.0/);
  t.regex(
    stderr,
    /adult\.data is not the file that was expected: it has 9 bytes, expected 3974305/,
  );
  t.is(server.requests[0]!.url, '/adult/adult.data');
});

test('data fetch brings the files of ../shared/data from a server with cuts', async (t) => {
  const shared = new URL('../../../../shared/data/adult/', import.meta.url).pathname;
  if (!existsSync(shared)) {
    t.log('not tried: ../shared/data/adult is not there');
    t.pass();
    return;
  }
  await using folder = await makeFolder();
  const server = await startServer(t, async (request, response) => {
    const content = await readFile(join(shared, request.url!.slice(1)));
    serve(content, request, response, server.requests.length === 1 ? { cutAfter: 1 << 20 } : {});
  });
  const args = ['data', 'fetch', 'adult', '--to', 'here', '--from', server.url, '--json'];
  const { exitCode, stdout, stderr } = await actorctl(args, folder.path);
  t.is(exitCode, 0, stderr);
  const fetched = parseEvents(stdout).filter(({ type }) => type === 'fetched');
  t.deepEqual(
    fetched.map(({ file, verified }) => [file, verified]),
    [
      ['adult.data', true],
      ['adult.test', true],
      ['adult.names', true],
    ],
  );
  t.is(server.requests.length, 4);
  t.deepEqual((await readdir(join(folder.path, 'here'))).sort(), [
    'adult.data',
    'adult.names',
    'adult.test',
  ]);
});

test('Ctrl-C keeps what has come', async (t) => {
  await using folder = await makeFolder();
  const server = await startServer(t, (_, response) => {
    response.writeHead(200, { 'content-length': 3_974_305 });
    response.write(Buffer.alloc(1000));
    command.child.kill('SIGINT');
  });
  await using command = startActorctl(
    ['data', 'fetch', 'adult', '--from', server.url],
    folder.path,
  );
  const { exitCode, stdout } = await command.ended;
  t.is(exitCode, 130);
  t.regex(stdout, /Interrupted\. What has come is kept/);
});

test('a data set that is not there and wrong words are named', async (t) => {
  await using folder = await makeFolder();
  const refused = async (...args: readonly string[]) => {
    const { exitCode, stderr } = await actorctl(['data', ...args], folder.path);
    t.is(exitCode, 2);
    return stderr;
  };
  t.regex(await refused('fetch', 'imagenet'), /no data set 'imagenet': it is one of adult/);
  t.regex(await refused('fetch'), /Which data set\? There are adult/);
  t.regex(await refused('get'), /list, fetch/);
  t.regex(await refused('fetch', 'adult', '--deadline', '0'), /above 0/);
});
