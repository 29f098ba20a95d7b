import { createMemoryRegister } from '../../../runtime/registry/memory-register.ts';
import type { Register } from '../../../runtime/registry/register.ts';
import { registerRegisterContract } from '../../support/register-contract.ts';

registerRegisterContract('memory', async () => {
  const register = createMemoryRegister();
  return { open: async (): Promise<Register> => register };
});
