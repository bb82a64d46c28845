// Prints how many times faster than real time NAM Core plays a .nam file, in blocks of 64 samples.
//
//   node time_nam.mjs FOLDER MODEL.nam     where FOLDER holds the npm package @opendaw/nam-wasm

import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { pathToFileURL } from "node:url"

const BLOCK_SAMPLES = 64
const SECONDS = 0.5 // of processor time
const [folder, modelPath] = process.argv.slice(2)
const engine = resolve(folder, "dist")
const { createNamModule, NamWasmModule } = await import(pathToFileURL(join(engine, "index.js")))
const document = readFileSync(modelPath, "utf8")
const sampleRate = JSON.parse(document).sample_rate

const nam = NamWasmModule.fromModule(await createNamModule({ wasmBinary: readFileSync(join(engine, "nam.wasm")) }))
nam.setSampleRate(sampleRate)
const player = nam.createInstance()
if (!nam.loadModel(player, document)) {
    console.error(`NAM Core refuses ${modelPath}`)
    process.exit(1)
}
const dry = Float32Array.from({ length: BLOCK_SAMPLES }, (_, i) => 0.1 * Math.sin(i * i))
const wet = new Float32Array(BLOCK_SAMPLES)
const play = (blocks) => { for (let i = 0; i < blocks; i++) nam.process(player, dry, wet) }
const spent = (start) => { const used = process.cpuUsage(start); return (used.user + used.system) / 1e6 }

play(500) // until the engine's compiler has settled
let blocks = 0
const start = process.cpuUsage()
while (spent(start) < SECONDS) {
    play(50)
    blocks += 50
}
console.log((blocks * BLOCK_SAMPLES / sampleRate / spent(start)).toFixed(3))
