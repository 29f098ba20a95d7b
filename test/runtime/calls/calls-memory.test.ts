import { createSystem } from '../../../runtime/index.ts';
import { registerActorContract } from '../../support/actor-contract.ts';

registerActorContract('inline actors on the memory bus', () => createSystem({ bus: 'memory' }));
