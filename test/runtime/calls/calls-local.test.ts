import { createSystem } from '../../../runtime/index.ts';
import { registerActorContract } from '../../support/actor-contract.ts';

registerActorContract('actor processes on the local bus', () => createSystem({ bus: 'local' }));
