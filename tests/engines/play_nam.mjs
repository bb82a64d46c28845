// Plays raw float32 samples through a .nam file with NAM Core, as a plug-in would: 128 samples at a time.
//
//   node play_nam.mjs MODEL.nam DRY.f32 WET.f32

import { readFileSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"

import { createNamModule, NamWasmModule } from "@opendaw/nam-wasm"

const [modelPath, dryPath, wetPath] = process.argv.slice(2)
const document = readFileSync(modelPath, "utf8")
const dryBytes = readFileSync(dryPath)
const dry = new Float32Array(new Uint8Array(dryBytes).buffer)
const wet = new Float32Array(dry.length)

const wasmBinary = readFileSync(createRequire(import.meta.url).resolve("@opendaw/nam-wasm/nam.wasm"))
const nam = NamWasmModule.fromModule(await createNamModule({ wasmBinary }))
nam.setSampleRate(JSON.parse(document).sample_rate)
const player = nam.createInstance()
if (!nam.loadModel(player, document)) {
    console.error(`NAM Core refuses ${modelPath}`)
    process.exit(1)
}
for (let start = 0; start < dry.length; start += nam.bufferSize) {
    nam.process(player, dry.subarray(start, start + nam.bufferSize), wet.subarray(start, start + nam.bufferSize))
}
writeFileSync(wetPath, new Uint8Array(wet.buffer))
