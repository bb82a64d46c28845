"use strict"
/* Blind listening tests. A page holds a <section data-listening> and, as JSON in #listening-data, what can be heard.
   Sounds are the page's own players (#sound-KEY) or lie in the JSON. */
const Listening = (() => {
    const FADE_SECONDS = 0.008 // of switches and of a loop's ends, which click without
    const COLUMNS = ["finished", "listener", "test", "form", "model", "loop", "number", "a", "b", "x", "answer", "hit",
        "seconds", "sound", "rating"]

    /** Probability of `hits` or more of `trials` fair coins: the exact one-sided binomial test. */
    function binomialP(hits, trials) {
        let total = 0
        let share = Math.pow(0.5, trials)
        for (let k = 0; k <= trials; k++) {
            if (k >= hits) total += share
            share *= (trials - k) / (k + 1)
        }
        return Math.min(total, 1)
    }

    function coin() {
        return crypto.getRandomValues(new Uint8Array(1))[0] < 128
    }

    function shuffled(items) {
        const keys = crypto.getRandomValues(new Uint32Array(items.length))
        return items.map((item, i) => [keys[i], item]).sort((p, q) => p[0] - q[0]).map(([, item]) => item)
    }

    /** What A, B and X are in one comparison. */
    function drawRoles(form, model) {
        const [a, b] = coin() ? ["dry", "wet"] : ["wet", "dry"]
        if (form === "nearer") return {a, b, x: model}
        const [first, second] = coin() ? ["wet", model] : [model, "wet"]
        return {a: first, b: second, x: coin() ? first : second}
    }

    function isHit(form, one) {
        const chosen = one.answer === "a" ? one.a : one.b
        return chosen === (form === "nearer" ? "wet" : one.x)
    }

    function cell(value) {
        let text = String(value ?? "")
        if (typeof value === "string" && /^[=+\-@\t]/.test(text)) text = "'" + text // no formula for a spreadsheet
        return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text
    }

    function toCsv(results) {
        const lines = [COLUMNS]
        for (const result of results) {
            const head = {finished: result.finished, listener: result.listener, test: result.kind, loop: result.loop}
            if (result.kind === "abx") {
                result.answers.forEach((one, i) => {
                    const hit = isHit(result.form, one) ? 1 : 0
                    const line = {...head, form: result.form, model: result.model, ...one, number: i + 1, hit}
                    lines.push(COLUMNS.map(column => line[column]))
                })
            } else {
                Object.entries(result.ratings).forEach(([sound, rating], i) => {
                    const line = {...head, number: i + 1, sound, rating}
                    lines.push(COLUMNS.map(column => line[column]))
                })
            }
        }
        return lines.map(line => line.map(cell).join(",")).join("\r\n") + "\r\n"
    }

    async function bytesOf(source) {
        if (!source.startsWith("data:")) return (await fetch(source)).arrayBuffer()
        const binary = atob(source.slice(source.indexOf(",") + 1)) // fetch refuses data: under some policies
        return Uint8Array.from(binary, char => char.charCodeAt(0)).buffer
    }

    /** Plays one of several loops; all run together, so that a switch keeps its place. */
    class Player {
        constructor(source) {
            this.source = source // of a sound's key
            this.decoded = new Map()
            this.voices = new Map()
            this.current = null
        }

        async start(keys, loop) {
            this.context ??= new AudioContext()
            await this.context.resume()
            const buffers = await Promise.all(keys.map(key => this.cut(key, loop)))
            this.stop()
            const at = this.context.currentTime + 0.05
            keys.forEach((key, i) => {
                const node = new AudioBufferSourceNode(this.context, {buffer: buffers[i], loop: true})
                const gain = new GainNode(this.context, {gain: 0})
                node.connect(gain).connect(this.context.destination)
                node.start(at)
                this.voices.set(key, {node, gain})
            })
        }

        async cut(key, loop) {
            if (!this.decoded.has(key)) {
                this.decoded.set(key, await this.context.decodeAudioData(await bytesOf(this.source(key))))
            }
            const whole = this.decoded.get(key)
            const start = Math.round(loop.start_seconds * whole.sampleRate)
            const stop = Math.min(Math.round(loop.stop_seconds * whole.sampleRate), whole.length)
            const part = new AudioBuffer({length: stop - start, sampleRate: whole.sampleRate})
            const samples = whole.getChannelData(0).slice(start, stop)
            const fade = Math.min(Math.round(FADE_SECONDS * whole.sampleRate), samples.length >> 1)
            for (let i = 0; i < fade; i++) {
                samples[i] *= i / fade
                samples[samples.length - 1 - i] *= i / fade
            }
            part.copyToChannel(samples, 0)
            return part
        }

        /** Lets one be heard, or none. */
        choose(key) {
            this.current = key
            for (const [name, voice] of this.voices) {
                voice.gain.gain.setTargetAtTime(name === key ? 1 : 0, this.context.currentTime, FADE_SECONDS / 3)
            }
        }

        stop() {
            for (const voice of this.voices.values()) {
                voice.node.stop()
                voice.node.disconnect()
            }
            this.voices.clear()
            this.current = null
        }
    }

    function element(tag, attributes = {}, ...children) {
        const made = document.createElement(tag)
        for (const [name, value] of Object.entries(attributes)) {
            if (name.startsWith("on")) made.addEventListener(name.slice(2), value)
            else if (value === true) made.setAttribute(name, "")
            else if (value !== false && value != null) made.setAttribute(name, value)
        }
        made.append(...children)
        return made
    }

    function chooser(label, name, options) {
        const select = element("select", {name}, ...options.map(([value, text]) => element("option", {value}, text)))
        return element("label", {}, label + " ", select)
    }

    /** The section: a form, then a test, then its result. */
    class Section {
        constructor(root, data) {
            this.root = root
            this.data = data
            this.store = `fxsearch listening ${data.search} ${data.data}` // all files on a disk may share one storage
            this.player = new Player(key => data.hidden[key] ?? document.getElementById("sound-" + key).src)
            this.keys = {}
            document.addEventListener("keydown", event => this.onKey(event))
            this.showForm()
        }

        onKey(event) {
            if (event.ctrlKey || event.metaKey || event.altKey) return
            if (event.target.closest?.("input[type=text], select, textarea")) return
            const act = this.keys[event.key.toLowerCase()]
            if (!act) return
            event.preventDefault()
            act()
        }

        show(keys, ...children) {
            this.keys = keys
            this.root.replaceChildren(...children)
        }

        results() {
            try {
                return JSON.parse(localStorage.getItem(this.store) ?? "[]")
            } catch {
                return [] // a page without storage of its own
            }
        }

        showForm() {
            this.player.stop()
            const {models, titles, loops} = this.data
            const form = element("form", {class: "listening-form", onsubmit: event => this.begin(event)},
                chooser("Test", "test", [
                    ["nearer", "ABX: is the model nearer to the dry or to the wet?"],
                    ["strict", "ABX, strict: is X the wet or the model?"],
                    ["mushra", "MUSHRA: rate the models beside the wet"],
                ]),
                chooser("Model", "model", models.map(key => [key, titles[key]])),
                chooser("Place", "loop", loops.map(loop => [loop.name, loop.name])),
                chooser("Comparisons", "trials", [["10", "10"], ["16", "16"], ["25", "25"]]),
                element("label", {}, "Listener ", element("input", {type: "text", name: "listener", maxlength: 80,
                    autocomplete: "off"})),
                element("button", {type: "submit"}, "Begin"))
            const results = this.results()
            const count = results.length
            const kept = element("p", {class: "note"}, count === 0 ? "No results in this browser yet."
                : `${count} result${count > 1 ? "s" : ""} in this browser.`)
            this.show({}, form, kept, ...count ? this.saving(results, !this.data.post) : [])
        }

        async begin(event) {
            event.preventDefault()
            const chosen = Object.fromEntries(new FormData(event.target))
            this.loop = this.data.loops.find(loop => loop.name === chosen.loop)
            this.listener = chosen.listener
            const keys = chosen.test === "mushra" ? ["wet", "anchor", ...this.data.models]
                : chosen.test === "nearer" ? ["dry", "wet", chosen.model] : ["wet", chosen.model]
            await this.player.start(keys, this.loop)
            if (chosen.test === "mushra") this.rate(keys)
            else this.compare(chosen.test, chosen.model, Number(chosen.trials), [])
        }

        compare(form, model, trials, answers) {
            const roles = drawRoles(form, model)
            const asked = performance.now()
            const status = element("p", {class: "listening-status", "aria-live": "polite"},
                `Comparison ${answers.length + 1} of ${trials}`)
            const hear = letter => {
                this.player.choose(roles[letter])
                for (const button of this.root.querySelectorAll("[data-hear]")) {
                    button.setAttribute("aria-pressed", String(button.dataset.hear === letter))
                }
            }
            const pause = () => {
                this.player.choose(null)
                for (const button of this.root.querySelectorAll("[data-hear]")) button.setAttribute("aria-pressed", "false")
            }
            const answer = letter => {
                const seconds = Math.round(performance.now() - asked) / 1000
                answers.push({...roles, answer: letter, seconds})
                if (answers.length < trials) this.compare(form, model, trials, answers)
                else this.finish({kind: "abx", form, model, answers})
            }
            const listen = ["a", "b", "x"].map(letter => element("button", {type: "button", class: "listening-sound",
                "data-hear": letter, "aria-pressed": "false", onclick: () => hear(letter)},
            letter.toUpperCase(), element("kbd", {}, letter)))
            const verb = form === "nearer" ? "X is nearer to" : "X is"
            const say = ["a", "b"].map((letter, i) => element("button", {type: "button", "data-answer": letter,
                onclick: () => answer(letter)}, `${verb} ${letter.toUpperCase()}`, element("kbd", {}, String(i + 1))))
            this.show({a: () => hear("a"), b: () => hear("b"), x: () => hear("x"), " ": pause, "0": pause,
                "1": () => answer("a"), "2": () => answer("b"), escape: () => this.showForm()},
            status,
            element("div", {class: "listening-row"}, ...listen),
            element("div", {class: "listening-row"}, ...say),
            element("p", {class: "note"}, "Keys: A, B and X play, 1 and 2 answer, space is silence, Escape ends the test."))
            this.player.choose(null)
        }

        rate(keys) {
            const order = shuffled(keys)
            const hear = key => {
                this.player.choose(key)
                const place = order.indexOf(key)
                this.root.querySelectorAll("[data-place]").forEach((button, i) => {
                    button.setAttribute("aria-pressed", String(i === place && this.heard !== "reference"))
                })
            }
            const rows = order.map((key, i) => {
                const name = `Sound ${i + 1}`
                const value = element("output", {}, "50")
                const slider = element("input", {type: "range", min: 0, max: 100, value: 50, "aria-label": `Rating of ${name}`,
                    oninput: event => { value.textContent = event.target.value }})
                slider.dataset.key = key
                const button = element("button", {type: "button", "data-place": i, "aria-pressed": "false",
                    onclick: () => { this.heard = key; hear(key) }}, name, element("kbd", {}, String(i + 1)))
                return element("div", {class: "listening-rating"}, button, slider, value)
            })
            const reference = () => { this.heard = "reference"; hear("wet") }
            const done = () => {
                const ratings = Object.fromEntries([...this.root.querySelectorAll("input[type=range]")]
                    .map(slider => [slider.dataset.key, Number(slider.value)]))
                this.finish({kind: "mushra", ratings})
            }
            const shortcuts = Object.fromEntries(order.map((key, i) => [String(i + 1), () => { this.heard = key; hear(key) }]))
            this.show({...shortcuts, r: reference, " ": () => this.player.choose(null), enter: done,
                escape: () => this.showForm()},
            element("p", {class: "listening-status"}, "Rate each sound beside the reference: 100 equal, 0 bad. One of them is the reference."),
            element("div", {class: "listening-row"}, element("button", {type: "button", onclick: reference}, "Reference",
                element("kbd", {}, "R"))),
            ...rows,
            element("div", {class: "listening-row"}, element("button", {type: "button", onclick: done}, "Done", element("kbd", {}, "↵"))))
            this.player.choose(null)
        }

        async finish(test) {
            this.player.stop()
            const result = {...test, loop: this.loop.name, listener: this.listener,
                finished: new Date().toISOString().slice(0, 19) + "Z"}
            let kept = "kept in this browser"
            try {
                localStorage.setItem(this.store, JSON.stringify([...this.results(), result]))
            } catch {
                kept = "not kept: this browser gives the page no storage; save it now"
            }
            if (this.data.post) {
                const reply = await fetch(this.data.post, {method: "POST", body: JSON.stringify(result),
                    headers: {"Content-Type": "application/json"}}).catch(() => null)
                kept = reply?.ok ? "kept with the search" : "kept in this browser only: the service did not take it"
            }
            const lines = test.kind === "abx" ? this.verdict(result) : this.ratings(result)
            this.show({escape: () => this.showForm()}, ...lines, element("p", {class: "note"}, `The result is ${kept}.`),
                ...this.saving([result], kept !== "kept with the search"),
                element("button", {type: "button", onclick: () => this.showForm()}, "Another test"))
            this.root.dispatchEvent(new CustomEvent("listening-finished", {bubbles: true, detail: result}))
        }

        verdict({form, model, answers}) {
            const hits = answers.filter(one => isHit(form, one)).length
            const p = binomialP(hits, answers.length)
            const title = this.data.titles[model]
            const count = `${hits} of ${answers.length}`
            const told = p < 0.05
            const text = form === "nearer"
                ? `${title} was nearer to the wet in ${count} comparisons: ${told ? "it is" : "that could be chance"}.`
                : `X was told in ${count} comparisons: ${told ? `${title} can be told from the wet` : `nothing shows that ${title} can be told from the wet`}.`
            return [element("p", {class: "listening-status", "aria-live": "polite"}, text),
                element("p", {class: "note"}, `p = ${p.toPrecision(3)} of so many or more by chance (exact binomial test).`)]
        }

        ratings({ratings}) {
            const rows = Object.entries(ratings).sort((p, q) => q[1] - p[1]).map(([key, rating]) => element("tr", {},
                element("td", {class: "text"}, key === "wet" ? "Hidden reference" : this.data.titles[key]),
                element("td", {}, String(rating))))
            return [element("table", {class: "listening-table"}, element("tbody", {}, ...rows))]
        }

        /** Buttons that save results: as a table, and as a file that the search takes in. */
        saving(results, bring) {
            const {search, data} = this.data
            const button = (text, kind, content) => element("button", {type: "button",
                onclick: () => this.download(kind, content)}, text)
            const row = element("div", {class: "listening-row"}, button("Save as CSV", "csv", toCsv(results)))
            if (!bring) return [row]
            row.append(button("Save for the search", "json", JSON.stringify({search, data, results}, null, 1)))
            return [row, element("p", {class: "note"}, "Who keeps the search adds a saved file to it: ",
                element("code", {}, `fxsearch listening ${search} --add ${search}-listening.json`))]
        }

        download(kind, content) {
            const blob = new Blob([content], {type: kind === "csv" ? "text/csv" : "application/json"})
            const link = element("a", {href: URL.createObjectURL(blob), download: `${this.data.search}-listening.${kind}`})
            link.click()
            setTimeout(() => URL.revokeObjectURL(link.href), 1000)
        }
    }

    function begin() {
        const root = document.querySelector("[data-listening]")
        if (root) new Section(root, JSON.parse(document.getElementById("listening-data").textContent))
    }

    return {begin, binomialP, bytesOf, drawRoles, element, isHit, toCsv}
})()
if (typeof document !== "undefined") Listening.begin()
if (typeof module !== "undefined") module.exports = Listening
