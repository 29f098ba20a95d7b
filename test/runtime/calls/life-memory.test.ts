import { createSystem } from '../../../runtime/index.ts';
import { registerLifeContract } from '../../support/life-contract.ts';

registerLifeContract('inline actors on the memory bus', () => createSystem({ bus: 'memory' }), {
  isolated: false,
});
