import test from 'ava';
import {
  ActorDiedError,
  CodistillError,
  DamagedDataError,
  DeadlineError,
  RemoteError,
} from '../../../errors.ts';
import { fromWireError, toWireError } from '../../../runtime/wire/wire-error.ts';

const across = (thrown: unknown): Error => fromWireError(toWireError(thrown));

test("Codistill's errors arrive as their own class, with the far side's stack", (t) => {
  const error = across(new DeadlineError('too late'));
  t.true(error instanceof DeadlineError);
  t.is(error.message, 'too late');
  t.regex(error.stack ?? '', /wire-error\.test\.ts[\s\S]*from another process/);
  t.true(across(new DamagedDataError('x')) instanceof DamagedDataError);
});

test('a death keeps its cause', (t) => {
  const cause = { kind: 'exit', exitCode: 3, message: 'exited', lastOutput: ['bye'] } as const;
  const error = across(new ActorDiedError('gone', 'trainer-0', cause));
  t.true(error instanceof ActorDiedError);
  t.like(error, { actor: 'trainer-0', deathCause: cause, message: 'gone' });
});

test('other errors arrive as RemoteError with name, code and stack, over two hops too', (t) => {
  const thrown = Object.assign(new TypeError('no number'), { code: 'E_NUMBER' });
  for (const error of [across(thrown), across(across(thrown))]) {
    t.true(error instanceof RemoteError);
    t.like(error, { message: 'no number', remoteName: 'TypeError', remoteCode: 'E_NUMBER' });
    t.is((error as RemoteError).remoteStack, thrown.stack);
  }
  const plain = across(across(new Error('plain')));
  t.is((plain as RemoteError).remoteCode, undefined);
});

test('a thrown value that is no error, or an unknown code, survives as text', (t) => {
  t.is(across('just text').message, 'just text');
  t.is(across(undefined).message, 'undefined');
  class Custom extends CodistillError {
    readonly code = 'CUSTOM';
  }
  t.like(across(new Custom('mine')), { remoteName: 'Custom', remoteCode: 'CUSTOM' });
});

test('a text of any length stays within bounds', (t) => {
  t.true(across(new Error('x'.repeat(1_000_000))).message.length < 20_000);
});
