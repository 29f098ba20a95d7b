import { type ActorDefinition, defineActor, type Handle } from '../../runtime/index.ts';
import { drive } from '../calls/drive.ts';

export class Echo {
  echo(bytes: Uint8Array): Uint8Array {
    return bytes;
  }
}

/** The smallest actor there is: what a call to it costs is the runtime's. */
export const echo: ActorDefinition<undefined, Echo> = defineActor({
  type: 'bench/echo',
  module: import.meta.url,
  methods: { echo: 'call' },
  create: () => new Echo(),
});

export class Driver {
  drive(target: Handle<Echo>, width: number, durationMs: number): Promise<number> {
    return drive((bytes) => target.echo(bytes), width, durationMs);
  }
}

/** A caller in a process of its own. */
export const driver: ActorDefinition<undefined, Driver> = defineActor({
  type: 'bench/driver',
  module: import.meta.url,
  methods: { drive: 'call' },
  create: () => new Driver(),
});
