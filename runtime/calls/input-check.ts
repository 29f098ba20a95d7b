import { type InputIssue, InvalidInputError } from '../../errors.ts';
import type {
  StandardSchemaIssue,
  StandardSchemaResult,
  StandardSchemaV1,
} from '../standard-schema.ts';

/** Issues that an error names; a large list of bad items would make a large message. */
const ISSUES_MAX = 50;

/**
 * The arguments as their schemas return them; a promise of them only when a schema is asynchronous.
 * @param what for messages: which method of which actor
 * @throws InvalidInputError listing all issues
 */
export function checkArguments(
  schemas: readonly StandardSchemaV1[],
  args: readonly unknown[],
  what: string,
): readonly unknown[] | Promise<readonly unknown[]> {
  if (args.length > schemas.length) {
    const message = `there are ${args.length} arguments, at most ${schemas.length} are expected`;
    throw invalid(what, [{ message, path: [] }]);
  }
  const results = schemas.map((schema, index) => schema['~standard'].validate(args[index]));
  return results.some((result) => result instanceof Promise)
    ? Promise.all(results).then((settled) => valuesOf(settled, what))
    : valuesOf(results as readonly StandardSchemaResult<unknown>[], what);
}

/** The one value that `schema` makes of the options of an actor. @throws InvalidInputError */
export async function checkOptions(
  schema: StandardSchemaV1,
  options: unknown,
  what: string,
): Promise<unknown> {
  const result = await schema['~standard'].validate(options);
  if (result.issues === undefined) return result.value;
  throw invalid(what, result.issues.map(toIssue));
}

function valuesOf(
  results: readonly StandardSchemaResult<unknown>[],
  what: string,
): readonly unknown[] {
  const issues = results.flatMap((result, index) =>
    (result.issues ?? []).map((issue) => {
      const { message, path } = toIssue(issue);
      return { message, path: [index, ...path] };
    }),
  );
  if (issues.length > 0) throw invalid(what, issues);
  return results.map((result) => (result as { readonly value: unknown }).value);
}

function toIssue({ message, path = [] }: StandardSchemaIssue): InputIssue {
  const keys = path.map((step) => (typeof step === 'object' ? step.key : step));
  return { message, path: keys.map((key) => (typeof key === 'symbol' ? String(key) : key)) };
}

function invalid(what: string, issues: readonly InputIssue[]): InvalidInputError {
  const named = issues.slice(0, ISSUES_MAX);
  const texts = named.map(({ message, path }) => `at [${path.join('][')}]: ${message}`);
  const more = issues.length > named.length ? `; and ${issues.length - named.length} more` : '';
  return new InvalidInputError(`${what} can't take its input: ${texts.join('; ')}${more}`, named);
}
