import { createSystem } from '../../../runtime/index.ts';
import { registerLifeContract } from '../../support/life-contract.ts';

registerLifeContract('actor processes on the local bus', () => createSystem({ bus: 'local' }), {
  isolated: true,
});
