import { createSystem } from '../../../runtime/index.ts';
import { registerCallContract } from '../../support/call-contract.ts';

registerCallContract('actor processes on the local bus', () => createSystem({ bus: 'local' }), {
  isolated: true,
});
