"use strict"
/* Play through models: a phrase, a file or the live input, with a switch between two trials and the dry. */
{
    const form = document.getElementById("play")
    const status = document.getElementById("status")
    const complaint = form.querySelector(".complaint")
    const search = "/api/searches/" + form.dataset.search
    const sampleRate = Number(form.dataset.rate)
    let context = null
    let engine = null
    let input = null
    let source = null
    let stream = null

    function tell(text) {
        complaint.textContent = text
        complaint.hidden = !text
    }

    /** A plucked string (Karplus and Strong, 1983), added to `samples` from `start` seconds on. */
    function pluck(samples, start, hz, seconds, level) {
        const period = Math.round(sampleRate / hz)
        const line = Float32Array.from({length: period}, (_, i) => level * Math.sin(i * i * 12.9898 + hz) )
        const from = Math.round(start * sampleRate)
        for (let i = 0; i < seconds * sampleRate && from + i < samples.length; i++) {
            const place = i % period
            samples[from + i] += line[place]
            line[place] = 0.498 * (line[place] + line[(place + 1) % period])
        }
    }

    function phrase(name) {
        const buffer = new AudioBuffer({length: 4 * sampleRate, sampleRate})
        const samples = buffer.getChannelData(0)
        if (name === "plucks") {
            [82.4, 110, 146.8, 196, 246.9, 329.6, 246.9, 196].forEach((hz, i) => pluck(samples, i / 2, hz, 1.5, 0.35))
        } else {
            [[110, 164.8, 220, 277.2], [98, 146.8, 196, 246.9]].forEach((chord, i) =>
                chord.forEach((hz, j) => pluck(samples, 2 * i + 0.02 * j, hz, 2, 0.2)))
        }
        return buffer
    }

    async function bufferOf(name) {
        if (name === "plucks" || name === "chords") return phrase(name)
        const file = form.querySelector("input[type=file]").files[0]
        if (name === "file" && !file) throw new Error("choose a file first")
        const bytes = name === "file" ? file.arrayBuffer() : (await checked(fetch(search + "/sounds/input.flac"))).arrayBuffer()
        return context.decodeAudioData(await bytes)
    }

    async function checked(request) {
        const answer = await request
        if (!answer.ok) throw new Error((await answer.json()).detail)
        return answer
    }

    async function load(side) {
        const trial = form.elements[side].value
        const model = trial === "" ? null : await (await checked(fetch(`${search}/models/${trial}.nam`))).text()
        const loaded = new Promise((resolve, reject) => {
            const heard = ({data}) => {
                if (data.loaded !== side && !data.complaint) return
                engine.port.removeEventListener("message", heard)
                if (data.complaint) reject(new Error(data.complaint))
                else resolve()
            }
            engine.port.addEventListener("message", heard)
        })
        engine.port.postMessage({side, model})
        return loaded
    }

    async function begin() {
        context = new AudioContext({sampleRate, latencyHint: "interactive"})
        await context.audioWorklet.addModule("/static/play-worklet.js")
        const wasm = await (await checked(fetch("/vendor/nam/nam.wasm"))).arrayBuffer()
        engine = new AudioWorkletNode(context, "engine", {numberOfInputs: 1, outputChannelCount: [1],
            channelCount: 1, channelCountMode: "explicit", processorOptions: {wasm}})
        engine.port.start()
        await new Promise((resolve, reject) => engine.port.addEventListener("message",
            ({data}) => data.ready ? resolve() : reject(new Error(data.complaint)), {once: true}))
        input = new GainNode(context)
        input.connect(engine).connect(context.destination)
        await Promise.all([load("a"), load("b")])
    }

    async function start() {
        tell("")
        status.textContent = "Loading…"
        if (context === null) await begin()
        const name = form.elements.source.value
        stop()
        if (name === "live") {
            const audio = {echoCancellation: false, noiseSuppression: false, autoGainControl: false}
            stream = await navigator.mediaDevices.getUserMedia({audio})
            source = new MediaStreamAudioSourceNode(context, {mediaStream: stream})
        } else {
            source = new AudioBufferSourceNode(context, {buffer: await bufferOf(name), loop: true})
            source.start()
        }
        source.connect(input)
        await context.resume()
        form.querySelector("[data-act]").textContent = "Stop"
        status.textContent = `Playing at ${context.sampleRate / 1000} kHz.`
    }

    function stop() {
        source?.disconnect()
        stream?.getTracks().forEach(track => track.stop())
        source = stream = null
        form.querySelector("[data-act]").textContent = "Start"
        status.textContent = "Stopped."
    }

    function hear(side) {
        engine?.port.postMessage({hear: side})
        for (const button of form.querySelectorAll("[data-hear]")) {
            button.setAttribute("aria-pressed", String(button.dataset.hear === side))
        }
    }

    async function guarded(act) {
        try {
            await act()
        } catch (error) {
            stop()
            tell(error.message)
        }
    }

    form.addEventListener("submit", event => event.preventDefault())
    form.querySelector("[data-act]").addEventListener("click", () => guarded(async () => source ? stop() : start()))
    for (const button of form.querySelectorAll("[data-hear]")) {
        button.addEventListener("click", () => hear(button.dataset.hear))
    }
    form.elements.source.addEventListener("change", event => {
        document.getElementById("file").hidden = event.target.value !== "file"
        if (source && event.target.value !== "file") guarded(start)
    })
    form.querySelector("input[type=file]").addEventListener("change", () => guarded(start))
    for (const side of ["a", "b"]) {
        form.elements[side].addEventListener("change", () => { if (engine) guarded(() => load(side)) })
    }
    form.elements.gain.addEventListener("input", event => {
        event.target.nextElementSibling.textContent = `${event.target.value} dB`
        if (input) input.gain.value = 10 ** (event.target.value / 20)
    })
    addEventListener("dragover", event => event.preventDefault())
    addEventListener("drop", event => {
        event.preventDefault()
        if (!event.dataTransfer.files.length) return
        form.querySelector("input[type=file]").files = event.dataTransfer.files
        form.elements.source.value = "file"
        document.getElementById("file").hidden = false
        guarded(start)
    })
    document.addEventListener("keydown", event => {
        if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input")) return
        const side = {a: "a", b: "b", d: "dry"}[event.key.toLowerCase()]
        if (side) hear(side)
    })
    /** What reaches the output, and how far it lies from the input: root mean squares of 8192 samples. */
    window.fxsearchPlay = {measure: () => new Promise(resolve => {
        const meters = [new AnalyserNode(context, {fftSize: 8192}), new AnalyserNode(context, {fftSize: 8192})]
        const inverse = new GainNode(context, {gain: -1})
        engine.connect(meters[0])
        engine.connect(meters[1])
        input.connect(inverse).connect(meters[1])
        setTimeout(() => {
            const [output, change] = meters.map(meter => {
                const samples = new Float32Array(8192)
                meter.getFloatTimeDomainData(samples)
                return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)
            })
            for (const meter of meters) engine.disconnect(meter)
            input.disconnect(inverse)
            inverse.disconnect()
            resolve({output, change})
        }, 1200)
    })}
}
