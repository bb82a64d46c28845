/* Two models in Neural Amp Modeler's engine, side by side; `hear` says which is put out. */
import createNamModule from "/vendor/nam/nam.js"
import {NamWasmModule} from "/vendor/nam/NamWasmModule.js"

const FADE = 1 / 256 // of a switch, each sample

class Engine extends AudioWorkletProcessor {
    constructor({processorOptions}) {
        super()
        this.players = {}
        this.gains = {a: 1, b: 0, dry: 0}
        this.hear = "a"
        this.wet = new Float32Array(128)
        this.port.onmessage = ({data}) => this.take(data)
        this.begin(processorOptions.wasm)
    }

    async begin(wasmBinary) {
        try {
            this.nam = NamWasmModule.fromModule(await createNamModule({wasmBinary, locateFile: path => path}))
            this.nam.setSampleRate(sampleRate)
            this.port.postMessage({ready: true})
        } catch (error) {
            this.port.postMessage({complaint: String(error)})
        }
    }

    take({side, model, hear}) {
        if (hear) this.hear = hear
        if (!side) return
        if (side in this.players) this.nam.destroyInstance(this.players[side])
        delete this.players[side]
        if (model !== null) {
            const player = this.nam.createInstance()
            if (!this.nam.loadModel(player, model)) {
                this.port.postMessage({complaint: "the engine refuses this model"})
                return
            }
            this.players[side] = player
        }
        this.port.postMessage({loaded: side})
    }

    process([[dry]], [[out]]) {
        out.fill(0)
        if (!dry) return true
        for (const side of ["a", "b", "dry"]) {
            const wanted = this.hear === side ? 1 : 0
            if (wanted === 0 && this.gains[side] === 0) continue // what is not heard is not computed
            let wet = dry
            if (side in this.players) {
                this.nam.process(this.players[side], dry, this.wet)
                wet = this.wet
            }
            let gain = this.gains[side]
            for (let i = 0; i < out.length; i++) {
                gain = wanted ? Math.min(1, gain + FADE) : Math.max(0, gain - FADE)
                out[i] += gain * wet[i]
            }
            this.gains[side] = gain
        }
        return true
    }
}

registerProcessor("engine", Engine)
