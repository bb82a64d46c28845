"use strict"
/* Waveforms to zoom into. Every .wave holds a picture of a place; once it comes near, it becomes a plot of the whole
   excerpt that begins there. Its samples are those of the page's players (#sound-KEY), brought to the level of the
   picture; #zoom-data has the gains and the places. Paper keeps the picture. */
const Zoom = (() => {
    const MARGIN = {left: 50, right: 6, top: 6, bottom: 38} // CSS pixels around a plot
    const FEWEST = 24 // samples across a plot
    const DOTTED = 5 // pixels a sample from which each is a dot
    const STEP = 1.5 // of a key or a button
    const decoded = new Map()
    const data = JSON.parse(document.getElementById("zoom-data").textContent)

    /** The samples of a player as plots show them. */
    function samples(key) {
        if (!decoded.has(key)) decoded.set(key, decode(key))
        return decoded.get(key)
    }

    async function decode(key) {
        const context = new OfflineAudioContext(1, 1, data.sample_rate)
        const bytes = await Listening.bytesOf(document.getElementById("sound-" + key).src)
        return (await context.decodeAudioData(bytes)).getChannelData(0).map(sample => sample / data.gains[key])
    }

    function css(name) {
        return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
    }

    /** Round numbers between two ends, with as many digits as tell them apart. */
    function ticks(low, high, most) {
        const rough = (high - low) / most
        const decade = 10 ** Math.floor(Math.log10(rough))
        const step = decade * [1, 2, 5, 10].find(factor => factor * decade >= rough)
        const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9))
        const first = Math.ceil(low / step - 1e-9)
        const count = Math.floor(high / step + 1e-9) - first + 1
        return Array.from({length: count}, (_, i) => [(first + i) * step, ((first + i) * step).toFixed(digits)])
    }

    class Plot {
        constructor(root, lines) {
            const {place, model} = root.dataset
            this.lines = lines // samples, colour, width; the first at the bottom
            this.length = lines[0].samples.length
            this.home = data.places[place]
            this.pointers = new Map()
            this.canvas = Listening.element("canvas", {"aria-hidden": "true"})
            this.told = Listening.element("output")
            const button = (text, label, act) => Listening.element("button",
                {type: "button", "aria-label": label, title: label, onclick: act}, text)
            this.root = Listening.element("div", {class: "zoom", tabindex: "0", role: "group",
                "aria-label": `Waveforms at a ${place.toLowerCase()} place, ${model.replace("-", " ")}: plus and minus zoom, arrows move, 0 goes back`},
            Listening.element("div", {class: "zoom-bar"}, Listening.element("b", {}, place), this.told,
                button("−", "Zoom out", () => this.zoom(STEP)), button("+", "Zoom in", () => this.zoom(1 / STEP)),
                button("↺", "Back to the place", () => this.show(...this.home))),
            this.canvas)
            root.append(this.root)
            this.root.addEventListener("keydown", event => this.onKey(event))
            this.canvas.addEventListener("wheel", event => this.onWheel(event), {passive: false})
            for (const kind of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
                this.canvas.addEventListener(kind, event => this[kind === "pointercancel" ? "pointerup" : kind](event))
            }
            this.show(...this.home)
            new ResizeObserver(() => this.draw()).observe(this.canvas)
            matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw())
        }

        /** Shows samples from `start` to `stop`, as many within the excerpt. */
        show(start, stop) {
            const span = Math.min(Math.max(stop - start, FEWEST), this.length)
            const middle = (start + stop) / 2
            this.start = Math.min(Math.max(middle - span / 2, 0), this.length - span)
            this.stop = this.start + span
            Object.assign(this.root.dataset, {start: this.start, stop: this.stop})
            const milliseconds = 1000 * span / data.sample_rate
            this.told.textContent = milliseconds < 1000 ? `${Number(milliseconds.toPrecision(3))} ms` : `${(milliseconds / 1000).toFixed(2)} s`
            this.draw()
        }

        /** Makes the span `factor` times as long; the sample at the share `at` of it stays where it is. */
        zoom(factor, at = 0.5) {
            const span = Math.min(Math.max((this.stop - this.start) * factor, FEWEST), this.length)
            const start = this.start + at * (this.stop - this.start - span)
            this.show(start, start + span)
        }

        /** Moves by a share of the span. */
        move(share) {
            const by = share * (this.stop - this.start)
            this.show(this.start + by, this.stop + by)
        }

        onKey(event) {
            if (event.ctrlKey || event.metaKey || event.altKey) return
            const act = {"+": () => this.zoom(1 / STEP), "=": () => this.zoom(1 / STEP), "-": () => this.zoom(STEP),
                ArrowLeft: () => this.move(-0.2), ArrowRight: () => this.move(0.2), 0: () => this.show(...this.home)}[event.key]
            if (!act) return
            event.preventDefault()
            event.stopPropagation() // to a listening test that goes on elsewhere
            act()
        }

        /** The wheel scrolls the page over a plot that nobody has clicked. */
        onWheel(event) {
            if (!event.ctrlKey && !this.root.contains(document.activeElement)) return
            event.preventDefault()
            if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.move(event.deltaX / this.width)
            else this.zoom(Math.exp(event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.002)), this.share(event.offsetX))
        }

        share(x) {
            return Math.min(Math.max((x - MARGIN.left) / this.width, 0), 1)
        }

        get width() {
            return this.canvas.clientWidth - MARGIN.left - MARGIN.right
        }

        pointerdown(event) {
            this.root.focus({preventScroll: true})
            this.canvas.setPointerCapture(event.pointerId)
            this.pointers.set(event.pointerId, event.offsetX)
        }

        pointermove(event) {
            if (!this.pointers.has(event.pointerId)) return
            const before = [...this.pointers.values()]
            this.pointers.set(event.pointerId, event.offsetX)
            const after = [...this.pointers.values()]
            const middle = xs => xs.reduce((sum, x) => sum + x, 0) / xs.length
            const apart = xs => Math.max(Math.abs(xs[0] - xs[1]), 10)
            this.move((middle(before) - middle(after)) / this.width)
            if (after.length === 2) this.zoom(apart(before) / apart(after), this.share(middle(after)))
        }

        pointerup(event) {
            this.pointers.delete(event.pointerId)
        }

        /** The smallest and the largest sample in sight, of all lines, a little apart. */
        limits() {
            let [low, high] = [Infinity, -Infinity]
            for (const {samples} of this.lines) {
                for (let i = Math.floor(this.start); i < Math.min(Math.ceil(this.stop) + 1, this.length); i++) {
                    if (samples[i] < low) low = samples[i]
                    if (samples[i] > high) high = samples[i]
                }
            }
            const pad = Math.max(0.05 * (high - low), 1e-5)
            return [low - pad, high + pad]
        }

        draw() {
            const [width, height, ratio] = [this.canvas.clientWidth, this.canvas.clientHeight, devicePixelRatio]
            if (width === 0) return // on paper
            this.canvas.width = width * ratio
            this.canvas.height = height * ratio
            const brush = this.canvas.getContext("2d")
            brush.scale(ratio, ratio)
            const [low, high] = this.limits()
            const bottom = height - MARGIN.bottom
            const x = sample => MARGIN.left + (sample - this.start) / (this.stop - this.start) * this.width
            const y = value => MARGIN.top + (high - value) / (high - low) * (bottom - MARGIN.top)
            this.drawAxes(brush, x, y, low, high, bottom)
            brush.beginPath()
            brush.rect(MARGIN.left, MARGIN.top, this.width, bottom - MARGIN.top)
            brush.clip()
            brush.lineJoin = "round"
            for (const line of this.lines) this.drawLine(brush, line, x, y)
        }

        drawAxes(brush, x, y, low, high, bottom) {
            const right = MARGIN.left + this.width
            brush.font = `12px ${getComputedStyle(document.body).fontFamily}`
            brush.lineWidth = 1
            brush.strokeStyle = css("--rule")
            brush.fillStyle = css("--muted")
            const rate = data.sample_rate
            for (const [value, text] of ticks(low, high, 5)) {
                brush.strokeRect(MARGIN.left, y(value), this.width, 0)
                brush.textAlign = "right"
                brush.fillText(text.replace("-", "−"), MARGIN.left - 6, y(value) + 4)
            }
            for (const [value, text] of ticks(this.start / rate, this.stop / rate, Math.max(3, this.width / 55))) {
                brush.strokeRect(x(value * rate), MARGIN.top, 0, bottom - MARGIN.top)
                brush.textAlign = "center"
                const half = brush.measureText(text).width / 2
                brush.fillText(text, Math.min(x(value * rate), right + MARGIN.right - half), bottom + 15)
            }
            brush.strokeStyle = css("--muted")
            brush.strokeRect(MARGIN.left, bottom, this.width, 0)
            brush.fillStyle = css("--ink")
            brush.textAlign = "center"
            brush.fillText("time in the excerpt (s)", MARGIN.left + this.width / 2, bottom + 32)
            brush.save()
            brush.translate(11, (MARGIN.top + bottom) / 2)
            brush.rotate(-Math.PI / 2)
            brush.fillText("amplitude", 0, 0)
            brush.restore()
        }

        /** Every sample, or where they are many, the lowest and the highest of each half pixel. */
        drawLine(brush, {samples, colour, width}, x, y) {
            const pixels = this.width / (this.stop - this.start) // a sample
            const stride = Math.max(1, Math.floor(0.5 / pixels))
            const first = Math.max(0, Math.floor(this.start / stride) * stride - stride)
            const last = Math.min(this.length, Math.ceil(this.stop) + stride)
            brush.strokeStyle = brush.fillStyle = css(colour)
            brush.lineWidth = width
            brush.beginPath()
            for (let i = first; i < last; i += stride) {
                let [low, high] = [samples[i], samples[i]]
                for (let k = i + 1; k < Math.min(i + stride, last); k++) {
                    if (samples[k] < low) low = samples[k]
                    if (samples[k] > high) high = samples[k]
                }
                brush.lineTo(x(i), y(low))
                if (high > low) brush.lineTo(x(i), y(high))
            }
            brush.stroke()
            if (pixels < DOTTED) return
            for (let i = first; i < last; i++) {
                brush.beginPath()
                brush.arc(x(i), y(samples[i]), width / 2 + 1, 0, 2 * Math.PI)
                brush.fill()
            }
        }
    }

    async function make(root) {
        const [dry, wet, model] = await Promise.all(["dry", "wet", root.dataset.model].map(samples))
        return new Plot(root, [{samples: dry, colour: "--dry", width: 1}, {samples: wet, colour: "--wet", width: 3},
            {samples: model, colour: "--model", width: 1.3}])
    }

    /** Pictures become plots when they come near; those whose sound a browser cannot decode stay pictures. */
    function begin() {
        const near = new IntersectionObserver(entries => {
            for (const {target, isIntersecting} of entries) {
                if (!isIntersecting) continue
                near.unobserve(target)
                make(target).catch(error => console.warn(error))
            }
        }, {rootMargin: "600px"})
        for (const root of document.querySelectorAll(".wave")) near.observe(root)
    }

    return {begin, samples}
})()
Zoom.begin()
