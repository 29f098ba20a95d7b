import { createSystem } from '../../../runtime/index.ts';
import { registerObjectContract } from '../../support/object-contract.ts';

registerObjectContract('inline actors on the memory bus', (objects) =>
  createSystem({ bus: 'memory', objects }),
);
