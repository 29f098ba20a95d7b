import { existsSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Set to `any`, WebGPU may use whatever adapter it finds, a software one included. */
const ADAPTER_VARIABLE = 'CODISTILL_WEBGPU_ADAPTER';

/** Drivers of render nodes without a processor behind them, and Vulkan drivers that compute on the CPU. */
const SOFTWARE_NODES: ReadonlySet<string> = new Set(['vgem', 'vkms']);
const SOFTWARE_DRIVER = /lvp|lavapipe|swiftshader/i;

const NVIDIA_DEVICES = ['/dev/nvidiactl', '/dev/dxg'];
const OTHER_DEVICES = ['/dev/kgsl-3d0', '/dev/mali0'];
const VULKAN_FOLDERS = [
  '/usr/share/vulkan/icd.d',
  '/usr/local/share/vulkan/icd.d',
  '/etc/vulkan/icd.d',
];

/**
 * WebGPU doesn't tell its users what it runs on, and takes a software adapter where there is no other, which is
 * slower than the engines that know the processor. So this looks for a GPU and its driver itself.
 * @throws Error that says what is missing.
 */
export function requireWebGpuDevice(): void {
  if (process.env[ADAPTER_VARIABLE] === 'any' || process.platform === 'darwin') return;
  if (process.platform !== 'linux') {
    throw new Error(
      `whether there is a real GPU can't be told on ${process.platform}; ` +
        `set ${ADAPTER_VARIABLE}=any if there is one`,
    );
  }
  if (![...NVIDIA_DEVICES, ...OTHER_DEVICES].some((path) => existsSync(path)) && !hasRenderNode()) {
    throw new Error('there is no GPU (no device in /dev/dri, /dev/nvidiactl or /dev/dxg)');
  }
  const drivers = vulkanDrivers();
  if (drivers.some((driver) => !SOFTWARE_DRIVER.test(driver))) return;
  throw new Error(
    `there is a GPU but no Vulkan driver for it (found: ${drivers.join(', ') || 'none'})`,
  );
}

/** @throws Error where the machine has no NVIDIA GPU. */
export function requireCudaDevice(): void {
  // Elsewhere the library's own attempt tells.
  if (process.platform !== 'linux' || NVIDIA_DEVICES.some((path) => existsSync(path))) return;
  throw new Error('there is no NVIDIA GPU (neither /dev/nvidiactl nor /dev/dxg)');
}

function hasRenderNode(): boolean {
  return namesIn('/dev/dri')
    .filter((name) => name.startsWith('renderD'))
    .some((name) => {
      try {
        const driver = basename(readlinkSync(`/sys/class/drm/${name}/device/driver`));
        return !SOFTWARE_NODES.has(driver);
      } catch {
        return true;
      }
    });
}

/** Names of the files that describe Vulkan drivers, where the Vulkan loader looks for them. */
function vulkanDrivers(): readonly string[] {
  const chosen = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  if (chosen !== undefined) return chosen.split(':').map((path) => basename(path));
  const own = join(process.env.HOME ?? '/', '.local/share/vulkan/icd.d');
  return [...VULKAN_FOLDERS, own].flatMap(namesIn).filter((name) => name.endsWith('.json'));
}

function namesIn(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
