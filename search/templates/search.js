"use strict"
/* A search's page: says when the search has changed, draws its plots, and sends what the buttons ask. */
{
    const actions = document.querySelector("[data-search]")
    const address = "/api/searches/" + actions.dataset.search
    const complaint = actions.querySelector(".complaint")
    const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
    const plots = {}

    function axis(label, side) {
        return {label, stroke: () => css("--muted"), grid: {stroke: () => css("--rule"), width: 1}, ticks: {show: false},
            font: "12px system-ui, sans-serif", labelFont: "12px system-ui, sans-serif", size: side ? 56 : 30, labelSize: 20,
            values: (_, ticks) => ticks.map(tick => tick === null ? "" : String(Number(tick.toPrecision(3))))}
    }

    /** Of a logarithmic axis: ticks at 1, 2 and 5 only. */
    function few(_, ticks) {
        return ticks.map(tick => /^[125]\.00e/.test(tick.toExponential(2)) ? tick : null)
    }

    function range(_, low, high) {
        return low === null || low === undefined ? [0.1, 10] : [low / 1.15, high * 1.15]
    }

    function draw(id, series, data, x, labels) {
        const place = document.getElementById(id)
        plots[id]?.destroy()
        place.replaceChildren()
        if (data[0].length === 0) return
        const options = {width: place.clientWidth, height: 272, legend: {show: false}, cursor: {drag: {x: false, y: false}},
            scales: {x, y: {distr: 3, range}}, axes: [{...axis(labels[0], 0), ...(x.distr === 3 ? {filter: few} : {})}, {...axis(labels[1], 1), filter: few}], series: [{}, ...series]}
        plots[id] = new uPlot(options, data, place)
    }

    function drawCurves(curves, {colours, objective}) {
        const ends = curves.flatMap(curve => curve.compute_seconds)
        const seconds = [...new Set(ends)].sort((p, q) => p - q)
        const rows = new Map(seconds.map((second, i) => [second, i]))
        const ordered = [...curves].reverse() // the best on top
        const data = ordered.map(curve => {
            const column = new Array(seconds.length).fill(null)
            curve.compute_seconds.forEach((second, i) => { column[rows.get(second)] = curve.values[i] })
            return column
        })
        const series = ordered.map((curve, i) => {
            const colour = () => css(colours[curve.family])
            return {stroke: colour, spanGaps: true, width: i === ordered.length - 1 ? 3 : 1,
                points: {show: curve.values.length === 1, size: 6, fill: colour}}
        })
        draw("curves", series, [seconds, ...data], {time: false}, ["compute time (s)", objective])
    }

    function drawSpeed({points, colours, objective}) {
        const sorted = [...points].sort((p, q) => p.speed - q.speed)
        const groups = Object.keys(colours).flatMap(family => [[family, true], [family, false]])
        const data = groups.map(([family, front]) => sorted.map(point =>
            point.family === family && point.front === front ? point.objective : null))
        const series = groups.map(([family, front]) => ({paths: () => null, stroke: () => css(colours[family]),
            points: {show: true, size: 9, width: 1.5, stroke: () => css(colours[family]),
                fill: () => front ? css(colours[family]) : "transparent"}}))
        draw("speed", series, [sorted.map(point => point.speed), ...data], {time: false, distr: 3, range},
            ["playing speed (× real time)", objective])
    }

    async function redraw() {
        if (typeof uPlot === "undefined") return
        const page = "/searches/" + actions.dataset.search
        const answer = await fetch(page + "/plots")
        if (!answer.ok) return
        const told = await answer.json()
        drawCurves(told.curves, told)
        drawSpeed(told)
    }

    async function ask(path, body) {
        complaint.hidden = true
        const options = {method: "POST"}
        if (body) Object.assign(options, {body: JSON.stringify(body), headers: {"Content-Type": "application/json"}})
        for (const button of actions.querySelectorAll("button")) button.disabled = true
        try {
            const answer = await fetch(address + path, options)
            if (!answer.ok) throw new Error((await answer.json()).detail)
        } catch (error) {
            complaint.textContent = error.message
            complaint.hidden = false
        }
        for (const button of actions.querySelectorAll("button")) button.disabled = false
    }

    for (const button of actions.querySelectorAll("[data-verb]")) {
        button.addEventListener("click", () => ask("/" + button.dataset.verb))
    }
    actions.querySelector("[data-extend]").addEventListener("submit", event => {
        event.preventDefault()
        ask("/extend", {trials: Number(new FormData(event.target).get("trials"))})
    })
    let waiting = null
    const later = () => {
        clearTimeout(waiting)
        waiting = setTimeout(redraw, 200)
    }
    window.addEventListener("resize", later)
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", later)
    let first = true
    new EventSource(address + "/events").addEventListener("changed", () => {
        if (!first) document.body.dispatchEvent(new CustomEvent("search-changed"))
        first = false
        later()
    })
}
