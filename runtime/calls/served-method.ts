import { UnknownMethodError } from '../../errors.ts';
import type { AnyActorDefinition, CallContext, MethodKind } from '../actor.ts';
import type { StandardSchemaV1 } from '../standard-schema.ts';
import { type CallPath, unpackArguments } from './handle.ts';
import { checkArguments } from './input-check.ts';
import type { Mailbox } from './mailbox.ts';
import type { Mailboxes } from './mailboxes.ts';
import type { StreamReader } from './stream-reader.ts';
import type { StreamReference } from './stream-reference.ts';

export interface ServedMethodsOptions {
  /** The actor's name. */
  readonly name: string;
  readonly definition: AnyActorDefinition;
  readonly instance: object;
  readonly mailboxes: Mailboxes;
  /** What handles inside arguments call through. */
  readonly path: CallPath;
}

/** The declared methods of one actor. */
export class ServedMethods {
  readonly #options: ServedMethodsOptions;
  readonly #methods: ReadonlyMap<string, ServedMethod>;

  constructor(options: ServedMethodsOptions) {
    this.#options = options;
    const kinds = Object.entries<MethodKind>(options.definition.methods);
    this.#methods = new Map(
      kinds.map(([method, kind]) => [method, new ServedMethod(method, kind, options)]),
    );
  }

  /** @throws UnknownMethodError for one that is not declared, or declared as another kind. */
  find(method: string, asStream: boolean): ServedMethod {
    const served = this.#methods.get(method);
    if (served !== undefined && (served.kind === 'stream') === asStream) return served;
    const { name, definition } = this.#options;
    const declared = [...this.#methods.keys()].join(', ');
    const found = served === undefined ? 'not declared' : `declared as ${served.kind}`;
    throw new UnknownMethodError(
      `${method} of actor ${name} (${definition.type}) is ${found}; declared are: ${declared}`,
    );
  }
}

export class ServedMethod {
  readonly method: string;
  readonly kind: MethodKind;
  readonly mailbox: Mailbox;
  /** Of the arguments, if the definition gives any. */
  readonly input: readonly StandardSchemaV1[] | undefined;
  readonly #options: ServedMethodsOptions;

  constructor(method: string, kind: MethodKind, options: ServedMethodsOptions) {
    const { group, input } = options.definition.details[method] ?? {};
    this.method = method;
    this.kind = kind;
    this.input = input;
    this.mailbox = options.mailboxes.of(group);
    this.#options = options;
  }

  /**
   * The arguments as the method gets them, checked if the definition has schemas; a promise only when
   * one of these is asynchronous. @throws InvalidInputError, DamagedDataError, TypeError
   */
  read(
    packed: unknown,
    openStream: (reference: StreamReference) => StreamReader,
  ): readonly unknown[] | Promise<readonly unknown[]> {
    const { path, name, definition } = this.#options;
    const args = unpackArguments(packed, path, openStream);
    if (!Array.isArray(args)) throw new TypeError(`the arguments of ${this.method} are no list`);
    if (this.input === undefined) return args;
    const what = `${this.method} of actor ${name} (${definition.type})`;
    return checkArguments(this.input, args, what);
  }

  apply(args: readonly unknown[], context: CallContext): unknown {
    const { instance, name } = this.#options;
    const target: unknown = (instance as Record<string, unknown>)[this.method];
    if (typeof target !== 'function') {
      throw new UnknownMethodError(
        `actor ${name} declares the method ${this.method}, but has none`,
      );
    }
    // One parameter more than arguments: the last takes the context. See `Explicit` in handle.ts.
    const given = target.length === args.length + 1 ? [...args, context] : args;
    return Reflect.apply(target, instance, given);
  }
}
