import { createSystem } from '../../../runtime/index.ts';
import { registerCallContract } from '../../support/call-contract.ts';

registerCallContract('inline actors on the memory bus', () => createSystem({ bus: 'memory' }), {
  isolated: false,
});
